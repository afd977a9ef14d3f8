//! What can go wrong with a repository of version 2, beside what can go wrong with any.

use std::path::PathBuf;
use std::time::Duration;

use hbs2_core::{Hash, PeerAddr, SignPublicKey};
use hbs2_script::ConfigError;

use super::container::ContainerError;
use super::head::MANIFEST_BYTES_MAX;

/// Why an operation on a repository of version 2 failed.
#[derive(Debug, thiserror::Error)]
pub enum SecondError {
    /// The repository is of version 3.
    #[error("repository {repo} is of version 3, for which this command is not made")]
    Version3 {
        /// The repository.
        repo: SignPublicKey,
    },
    /// The lwwref has no value here, and nobody sent one in time.
    #[error("repository {repo} was not found: no connected peer sent it within {} s", limit.as_secs())]
    NoReference {
        /// The repository.
        repo: SignPublicKey,
        /// How long we waited.
        limit: Duration,
    },
    /// A transaction cannot be applied, because its packs are sealed for others.
    #[error(
        "can not apply tx {transaction} because no key of ours opens group key {group} of its pack {tree}"
    )]
    CannotApply {
        /// The transaction.
        transaction: Hash,
        /// The group key.
        group: Hash,
        /// Root of the tree of the pack.
        tree: Hash,
    },
    /// Blocks of a transaction are not here, and nobody sent them in time.
    #[error(
        "transaction {transaction} is incomplete: {missing} blocks did not arrive within {} s, {peers} peers were asked for {} in vain{}",
        limit.as_secs(), list(sample), among(connected)
    )]
    Incomplete {
        /// The transaction.
        transaction: Hash,
        /// How many blocks are known to be missing.
        missing: u64,
        /// Some of them.
        sample: Vec<Hash>,
        /// How many peers were asked.
        peers: u64,
        /// The peers that are connected now.
        connected: Vec<PeerAddr>,
        /// How long we waited without any progress.
        limit: Duration,
    },
    /// What should be the head of a transaction is none.
    #[error("tree {tree} is no head of a repository: {message}")]
    Head {
        /// Root of the head's tree.
        tree: Hash,
        /// What is wrong with it.
        message: String,
    },
    /// A pack cannot be read.
    #[error("cannot import pack {tree} of transaction {transaction}")]
    Pack {
        /// The transaction.
        transaction: Hash,
        /// Root of the pack's tree.
        tree: Hash,
        /// What is wrong with it.
        source: ContainerError,
    },
    /// The repository is encrypted, and an export in the clear was asked for.
    #[error("repository {repo} is encrypted and is not exported in the clear")]
    Exposed {
        /// The repository.
        repo: SignPublicKey,
    },
    /// The config file is wrong.
    #[error("cannot use the config of this repository")]
    Config {
        /// What and where.
        #[from]
        source: ConfigError,
    },
    /// The manifest is too long or no text.
    #[error("the manifest {} is no text of at most {MANIFEST_BYTES_MAX} bytes", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
    },
    /// A repository that was made anew is not the one it was made from.
    #[error("the new repository differs from the old one in {what}: nothing was switched")]
    Differs {
        /// In what.
        what: String,
    },
}

/// Hashes of an error message; each followed by a blank, so that it can be copied.
fn list(hashes: &[Hash]) -> String {
    let shown: Vec<String> = hashes.iter().take(SHOWN_MAX).map(Hash::to_string).collect();
    shown.join(" ")
}

/// The peers among whom those that were asked are, for the end of an error message.
fn among(connected: &[PeerAddr]) -> String {
    if connected.is_empty() {
        return "; no peer is connected".to_owned();
    }
    let shown: Vec<String> = connected.iter().take(SHOWN_MAX).map(PeerAddr::to_string).collect();
    let more = connected.len().saturating_sub(SHOWN_MAX);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("; connected are {}{more}", shown.join(" "))
}

/// Blocks, or peers, that are named in a message.
const SHOWN_MAX: usize = 4;

impl SecondError {
    /// What the user can do about it: one line, if there is anything to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Version3 { .. } => "git push, git fetch and git hbs2 repo:… work with it".into(),
            Self::NoReference { repo, .. } => format!(
                "check the key and hbs2-peer peers; if the repository is yours and new, add its key file with hbs2-keyman add-mask, run hbs2-keyman update, then git hbs2 export --new --public {repo}"
            ),
            Self::CannotApply { .. } => "give one of your encryption keys (hbs2-keyman list) to the owner; if you are a member already, name the file of your key with hbs2-keyman add-mask and run hbs2-keyman update".into(),
            Self::Incomplete { sample, .. } => {
                let block = sample.first()?;
                format!("hbs2-peer goes on looking for them (hbs2-peer download list, hbs2-peer fetch {block} ); raise the limit with git config hbs2.timeout SECONDS")
            }
            Self::Exposed { .. } => "make a new repository to publish it".into(),
            Self::Head { .. } | Self::Pack { .. } => "ask the owner to push again".into(),
            _ => return None,
        })
    }
}
