//! What the user can do about a failure.

use hbs2_keyman::GroupSecretError;
use hbs2_node::RunError;
use hbs2_rpc::api::node::TreeStatus;
use hbs2_script::{Fault, ScriptError};
use hbs2_store::StoreError;

use super::{Failure, host_failure};
use crate::input::STDIN;

/// The storage is open elsewhere, and no socket of a peer was found.
const LOCKED_HINT: &str = "that is a running hbs2-peer most likely, whose socket was not found: name it with \
                           --socket PATH, or the directory of its config with -c DIR";

impl Failure {
    /// What the user can do about it.
    pub(super) fn hint(&self) -> Option<String> {
        Some(match self {
            Self::MissedBlock { hash } => format!("ask other peers for it with: hbs2-peer fetch -p {hash}"),
            Self::Keyring { .. } => "make a keyring with: hbs2 keyring-new > FILE".to_owned(),
            Self::TooLong { what, .. } if what == STDIN => {
                "store it with: hbs2 store, and use the hash instead".to_owned()
            }
            Self::NoAccess { .. } => hbs2_keyman::NO_ACCESS_HINT.to_owned(),
            Self::NoMembers { .. } => {
                "a keyring has encryption keys when it is made with: hbs2 keyring-new -n1".to_owned()
            }
            Self::NotInKeyring { file, .. } => {
                format!("see which keys it has with: hbs2 keyring-list {}", file.display())
            }
            Self::Changed { .. } => "nothing was stored under a name; store a copy of it".to_owned(),
            Self::Spool { .. } => {
                "name another directory with TMPDIR, or store a file instead of stdin".to_owned()
            }
            Self::Broken { .. } => "get them again from other peers with: hbs2-peer fetch HASH".to_owned(),
            Self::MissedBlocks { first, .. } => {
                format!("ask other peers for them with: hbs2-peer fetch -p {first}")
            }
            Self::NoReflog { key } => format!("ask other peers for it with: hbs2-peer reflog fetch {key}"),
            Self::NoSecret { .. } => hbs2_keyman::NOT_FOUND_HINT.to_owned(),
            Self::Git(error) => return error.hint(),
            Self::Sync(error) => return error.hint(),
            Self::Told { hint, .. } => return hint.clone(),
            Self::WhichRemote { count: 0 } => "make a repository with: git hbs2 init --new".to_owned(),
            Self::WhichRemote { .. } => "name one with --to REPO; see: git hbs2 repo:remotes".to_owned(),
            Self::Keyman(error) => error.hint().to_owned(),
            Self::GroupSecret(error) => match **error {
                GroupSecretError::NoAccess { .. } => hbs2_keyman::NO_ACCESS_HINT.to_owned(),
                _ => return None,
            },
            Self::NoSequence { .. } => "number the first value with: -s 1".to_owned(),
            Self::OldSequence { current, .. } => match current.checked_add(1) {
                Some(next) => format!("take -s {next} or a higher number"),
                None => return None,
            },
            Self::Script(script) => return hint_of_script(script),
            Self::UnknownCommand { closest: Some(word), .. }
            | Self::UnknownWord { closest: Some(word), .. } => format!("did you mean '{word}'?"),
            Self::NoHome => "set HOME, or name a directory with -c DIR".to_owned(),
            Self::Peer(error) => error.hint().to_owned(),
            Self::OtherBlocks { .. } => {
                "somebody else may listen at this socket; see: hbs2-peer poke".to_owned()
            }
            Self::Stalled { status, .. } => stalled_hint(status),
            Self::Store(StoreError::Locked { .. }) => LOCKED_HINT.to_owned(),
            Self::Run(RunError::Store(StoreError::Locked { .. })) => {
                "a peer runs with this storage already; see: hbs2-peer poke".to_owned()
            }
            Self::Run(RunError::Listen(_)) => {
                "choose another address with -l ADDR:PORT, or with listen and listen-tcp in the config"
                    .to_owned()
            }
            Self::Run(RunError::Http { .. }) => {
                "choose another port with http-port in the config, or switch it off".to_owned()
            }
            Self::Run(RunError::Socket(_)) => {
                "a peer may run already (hbs2-peer poke); choose another socket with --socket PATH".to_owned()
            }
            Self::Run(RunError::NoKey { default, .. }) => {
                format!("make a key with: (umask 077; hbs2 keyring-new > {})", default.display())
            }
            _ => return None,
        })
    }
}

fn stalled_hint(status: &TreeStatus) -> String {
    let blocks = match (status.missing, status.sample.first()) {
        (0, _) | (_, None) => "no missing block is known".to_owned(),
        (1, Some(block)) => format!("block {block} is missing"),
        (count, Some(block)) => format!("{count} blocks are missing, one is {block}"),
    };
    let peers = match status.peers_asked {
        0 => "no other peer is connected: see hbs2-peer peers",
        _ => "none of the connected peers has them; the peer goes on asking",
    };
    format!("{blocks} – {peers}")
}

fn hint_of_script(script: &ScriptError) -> Option<String> {
    match &*script.fault {
        Fault::NotBound { .. } => Some("list all words with: hbs2-cli --help".to_owned()),
        Fault::NotFunction { .. } => {
            Some("forms that follow each other stand on lines of their own".to_owned())
        }
        _ => host_failure(script)?.hint(),
    }
}
