//! What can go wrong with a repository, for every operation of this crate.
//!
//! Formats have their own small errors ([`SegmentError`], [`ManifestError`], …); here they meet the name of the
//! thing they belong to. The text says what was done to what; the hint for the user is made at the door, from
//! the variant.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use hbs2_core::{EncryptPublicKey, Hash, SignPublicKey};

use crate::link::LinkError;
use crate::manifest::ManifestError;
use crate::object::{ObjectId, RefName};
use crate::repo::JOURNAL_KEYS_MAX;
use crate::segment::SegmentError;
use crate::v2::SecondError;

/// Why an operation on a repository failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The daemon did not do what was asked.
    #[error("cannot {doing}")]
    Link {
        /// What we were about to do.
        doing: String,
        /// What the daemon or the socket said.
        source: LinkError,
    },
    /// A wait reached its limit.
    #[error("waited {} s for {what}", limit.as_secs())]
    Timeout {
        /// What was waited for, with its name.
        what: String,
        /// The limit.
        limit: Duration,
    },
    /// The lwwref has no value here, and nobody sent one in time.
    #[error("repository {repo} has no value here: no connected peer sent it within {} s", limit.as_secs())]
    NoRepository {
        /// The repository.
        repo: SignPublicKey,
        /// How long we waited.
        limit: Duration,
    },
    /// A block is not here, and nobody sent it in time.
    #[error("block {block} of {what} did not arrive within {} s", limit.as_secs())]
    MissingBlock {
        /// One of the missing blocks.
        block: Hash,
        /// What it is part of.
        what: String,
        /// How long we waited without any progress.
        limit: Duration,
    },
    /// The value of the lwwref is not that of a version 3 repository.
    #[error("{value}, the value of repository {repo} is not a list of a manifest and a journal")]
    NotARepository {
        /// The repository.
        repo: SignPublicKey,
        /// Its value.
        value: Hash,
    },
    /// The value of the lwwref is that of a version 2 repository.
    #[error("repository {repo} is of version 2, for which this command is not made")]
    Version2 {
        /// The repository.
        repo: SignPublicKey,
    },
    /// Something about a repository of version 2.
    #[error(transparent)]
    Second(#[from] Box<SecondError>),
    /// The manifest cannot be used.
    #[error("cannot use manifest {tree} of repository {repo}")]
    Manifest {
        /// The repository.
        repo: SignPublicKey,
        /// Root of the manifest's tree.
        tree: Hash,
        /// What is wrong with it.
        source: Box<ManifestError>,
    },
    /// A segment cannot be read.
    #[error("cannot import segment {tree} of transaction {transaction}")]
    Segment {
        /// The transaction that names it.
        transaction: Hash,
        /// Root of its tree.
        tree: Hash,
        /// What is wrong with it.
        source: Box<SegmentError>,
    },
    /// The segment is sealed for a group we cannot open.
    #[error("no access to group key {group} of segment {tree} in transaction {transaction}")]
    NoAccess {
        /// The transaction that names it.
        transaction: Hash,
        /// Root of its tree.
        tree: Hash,
        /// The group key that seals it.
        group: Hash,
    },
    /// A group key that we would have to open is sealed for others.
    #[error("no access to group key {group}")]
    NotMember {
        /// The group key.
        group: Hash,
    },
    /// The group key for a new repository is not here.
    #[error("group key not found: {group}")]
    GroupKeyNotFound {
        /// What was named.
        group: Hash,
    },
    /// A hash names no group key that is here.
    #[error("no group key {group}")]
    NoGroupKey {
        /// What was named.
        group: Hash,
    },
    /// A tree that should hold a group key holds none that can be used.
    #[error("cannot use group key {group}")]
    GroupKey {
        /// Root of the tree.
        group: Hash,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Who is removed with a group key would have its secret.
    #[error(
        "group key {group} has the same secret as {same} which {member} can open: it would keep nobody out"
    )]
    SameSecret {
        /// The new group key.
        group: Hash,
        /// One of the repository.
        same: Hash,
        /// A member of the old one who is none of the new one.
        member: EncryptPublicKey,
    },
    /// The journal lists more group keys than anybody makes.
    #[error("the journal of repository {repo} lists {count} group keys, more than {JOURNAL_KEYS_MAX}")]
    JournalTooLong {
        /// The repository.
        repo: SignPublicKey,
        /// How many there are.
        count: usize,
    },
    /// The secret key of the repository is not in the key index.
    #[error("no access: no secret key of repository {repo} is known and only its owner can write to it")]
    NoSecretKey {
        /// The repository.
        repo: SignPublicKey,
    },
    /// The reflog key derived from the secret key and the seed is not the one of the manifest.
    #[error(
        "reflog credentials not matched: the key and the seed give {derived} but the manifest of {repo} names {named}"
    )]
    ReflogMismatch {
        /// The repository.
        repo: SignPublicKey,
        /// The derived key.
        derived: SignPublicKey,
        /// The key of the manifest.
        named: SignPublicKey,
    },
    /// The repository is encrypted, and we cannot write to it.
    #[error("no access to group key {group} with which new segments of repository {repo} are sealed")]
    Sealed {
        /// The repository.
        repo: SignPublicKey,
        /// Its group key.
        group: Hash,
    },
    /// The compressor failed.
    #[error("cannot compress a segment")]
    Compress {
        /// What it said.
        source: io::Error,
    },
    /// The key index failed.
    #[error("cannot {doing} in the key index")]
    Keys {
        /// What we were about to do.
        doing: String,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A text names no repository and no remote.
    #[error(
        "remote key not resolved: {name:?} is neither a key, nor hbs23://KEY, nor a remote with such a URL"
    )]
    Unresolved {
        /// The text.
        name: String,
    },
    /// No git repository where one is needed.
    #[error("{path} is not in a git repository")]
    NoGitDir {
        /// Where we looked.
        path: PathBuf,
    },
    /// The repository has a property that the format has no place for.
    #[error("cannot {doing} a {what} repository {path}")]
    Unsupported {
        /// What we were about to do.
        doing: &'static str,
        /// The property: `shallow`, `sha256`.
        what: &'static str,
        /// The git directory.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("cannot {doing} {path}")]
    File {
        /// What we were about to do.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A git program failed.
    #[error("git {command} failed: {message}")]
    Git {
        /// Its arguments.
        command: String,
        /// What it said on stderr, or how it ended.
        message: String,
    },
    /// An object cannot be read from the local repository.
    #[error("cannot read object {id} from the local repository: {message}")]
    Object {
        /// The object.
        id: ObjectId,
        /// Why.
        message: String,
    },
    /// A revision or reference does not exist locally.
    #[error("{name:?} names no local object")]
    NoRevision {
        /// What was asked for.
        name: String,
    },
    /// An object that git asks for is in no imported segment.
    #[error("object {id} of {name} is in no segment of the repository")]
    MissingObject {
        /// The object.
        id: ObjectId,
        /// The reference that names it.
        name: RefName,
    },
    /// A new repository finds no free remote name.
    #[error("can't generate remote name: {name} and its variants are taken")]
    NoRemoteName {
        /// The petname.
        name: String,
    },
    /// git said something on the helper's stdin that is not in its protocol.
    #[error("git sent {line:?}, which is not in the protocol of remote helpers")]
    Protocol {
        /// The line.
        line: String,
    },
    /// Talking with git broke off.
    #[error("cannot talk to git")]
    Pipe {
        /// What the system said.
        source: io::Error,
    },
    /// The system gave no random bytes.
    #[error("cannot get random bytes: {message}")]
    Random {
        /// What it said.
        message: String,
    },
}

/// What to do about a sealed repository of others.
const NO_ACCESS_HINT: &str = "only members of the group read this repository: send your encryption key (hbs2-keyman list) to its owner, who adds it with git hbs2 repo:gk:update";

impl Error {
    /// What the user can do about it: one line, if there is anything to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoRepository { .. } => {
                "check the key, and that hbs2-peer is connected to a peer that has the repository (hbs2-peer peers); if it is yours and new, name its key file with hbs2-keyman add-mask, run hbs2-keyman update, then git hbs2 export --new".into()
            }
            Self::MissingBlock { block, .. } => format!(
                "hbs2-peer goes on looking for it (hbs2-peer download list, hbs2-peer fetch {block} ); raise the limit with git config hbs2.timeout SECONDS"
            ),
            Self::Timeout { .. } => "raise the limit with git config hbs2.timeout SECONDS".into(),
            Self::NoAccess { .. } => NO_ACCESS_HINT.into(),
            Self::NotMember { .. } | Self::Sealed { .. } => {
                "a key of yours must be among its members (hbs2-keyman list); if its file is elsewhere, name it with hbs2-keyman add-mask and run hbs2-keyman update".into()
            }
            Self::GroupKeyNotFound { .. } | Self::NoGroupKey { .. } => {
                "name the file of a group key, or the hash of one that this peer has".into()
            }
            Self::SameSecret { .. } => "to remove somebody make a group key with a new secret".into(),
            Self::NoSecretKey { repo } => {
                format!("if you have the key file of {repo} run hbs2-keyman add-mask with its path and hbs2-keyman update")
            }
            Self::ReflogMismatch { .. } => "the manifest was written with another key or seed; nothing was changed".into(),
            Self::Unresolved { .. } => "git hbs2 repo:remotes lists the remotes of this repository".into(),
            Self::NoGitDir { .. } => "go into a git repository, or set GIT_DIR".into(),
            Self::Unsupported { what: "shallow", .. } => "run git fetch --unshallow from where it was cloned".into(),
            Self::Unsupported { .. } => "the formats have room for SHA-1 ids only".into(),
            Self::MissingObject { .. } => "the repository was pushed incompletely; ask the owner to push again".into(),
            Self::Link { source, .. } => return source.hint(),
            Self::Second(error) => return error.hint(),
            Self::Version2 { repo } => format!(
                "git itself works with it; git hbs2 export, import, key, tools and fsck are for version 2, and git hbs2 migrate {repo} makes version 3 of it"
            ),
            _ => return None,
        })
    }
}

/// What most functions here return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
