//! Why a folder cannot be kept equal.

use std::io;
use std::path::PathBuf;

use hbs2_core::groupkey::GroupKeyError;
use hbs2_core::{EncryptPublicKey, Hash, SignPublicKey};
use hbs2_keyman::{GroupSecretError, KeymanError};
use hbs2_rpc::ClientError;
use hbs2_script::ConfigError;

/// Why something with a folder failed. [`SyncError::hint`] says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// What was read cannot be written to where the caller wants it.
    #[error("cannot write the content")]
    Output(#[source] io::Error),
    /// The config of the folder names no channel, or there is no config.
    #[error("no refchan set for {}", dir.display())]
    NoChannel {
        /// The folder.
        dir: PathBuf,
    },
    /// The peer does not know the head of the channel.
    #[error("no refchan head found for {}", dir.display())]
    NoHead {
        /// The folder.
        dir: PathBuf,
    },
    /// The head names nobody who may read.
    #[error("no readers defined in the refchan for {}", dir.display())]
    NoReaders {
        /// The folder.
        dir: PathBuf,
    },
    /// The secret key of the author that the config names is in no file we know.
    #[error("sign key not set or not found {}", dir.display())]
    NoSign {
        /// The folder.
        dir: PathBuf,
    },
    /// The config names no author, and the head none whose key we have.
    #[error("the head of refchan {chan} names no author whose key is yours")]
    NoAuthor {
        /// The channel.
        chan: SignPublicKey,
    },
    /// The head does not name the author.
    #[error("the head of refchan {chan} does not name {author} as an author")]
    NotAuthor {
        /// The channel.
        chan: SignPublicKey,
        /// The author.
        author: SignPublicKey,
    },
    /// The head does not name this peer.
    #[error("the head of refchan {chan} does not name {peer} which is this peer")]
    NotPeer {
        /// The channel.
        chan: SignPublicKey,
        /// The peer.
        peer: SignPublicKey,
    },
    /// The head is not the channel's.
    #[error("cannot believe the head {root} of refchan {chan}")]
    BadHead {
        /// The channel.
        chan: SignPublicKey,
        /// The root of its tree.
        root: Hash,
    },
    /// There is a config already, here or above.
    #[error("there is a config already: {}", config.display())]
    Exists {
        /// It.
        config: PathBuf,
    },
    /// A reader's key is not usable.
    #[error("the keyring of {author} has no encryption key")]
    NoReaderKey {
        /// Whose keyring.
        author: SignPublicKey,
    },
    /// Another process works in the folder.
    #[error("another hbs2-sync works in {}", dir.display())]
    Busy {
        /// The folder.
        dir: PathBuf,
    },
    /// A file or directory cannot be used.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What we tried.
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The config is wrong.
    #[error("cannot use the config of the folder")]
    Config {
        /// What and where.
        #[from]
        source: ConfigError,
    },
    /// Nothing of that name is in the channel.
    #[error("the channel has no file {path}")]
    NoFile {
        /// The path.
        path: String,
    },
    /// No accepted entry has this hash.
    #[error("no entry of the channel has the hash {hash}")]
    NoEntry {
        /// The hash.
        hash: Hash,
    },
    /// A path that no folder has.
    #[error("'{path}' is no path of a folder: {source}")]
    Path {
        /// It.
        path: String,
        /// Why.
        source: crate::path::PathError,
    },
    /// Blocks did not come.
    #[error("nothing new has arrived of {what} for {seconds} s")]
    Stalled {
        /// What is missing.
        what: String,
        /// How long we waited.
        seconds: u64,
    },
    /// A tree cannot be read.
    #[error("cannot read tree {root}: {reason}")]
    Tree {
        /// The tree.
        root: Hash,
        /// Why.
        reason: String,
    },
    /// A file changed while it was read, or is not there any more.
    #[error("{path} changed while it was read")]
    Changing {
        /// It.
        path: String,
    },
    /// The channel takes no more entries now.
    #[error("the peer did not take {count} entries of refchan {chan}")]
    NotTaken {
        /// The channel.
        chan: SignPublicKey,
        /// How many.
        count: usize,
        /// What it said about the first.
        source: ClientError,
    },
    /// The key of a reader is one for which nothing can be sealed, or there are too many readers.
    #[error("cannot make a group key for the readers of the channel")]
    GroupKey {
        /// Why.
        source: GroupKeyError,
    },
    /// The secret of a group key is not to be had.
    #[error(transparent)]
    Secret(Box<GroupSecretError<ClientError>>),
    /// The key index failed.
    #[error(transparent)]
    Keys(#[from] KeymanError),
    /// The peer failed, or is gone.
    #[error(transparent)]
    Peer(#[from] ClientError),
    /// The system has no random bytes.
    #[error("cannot get random bytes")]
    Random(#[source] getrandom::Error),
    /// The folder cannot be watched.
    #[error("cannot watch {}", dir.display())]
    Watch {
        /// The folder.
        dir: PathBuf,
        /// What the system said.
        source: notify::Error,
    },
    /// The key is no member's.
    #[error("{key} is no reader of the channel")]
    NotReader {
        /// The key.
        key: EncryptPublicKey,
    },
}

impl SyncError {
    /// What the user can do about it, in one sentence.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoChannel { .. } => {
                "make a channel with: hbs2-sync init; to join one: hbs2-sync init --refchan CHAN".into()
            }
            Self::NoHead { .. } => {
                "start a peer that has it, and see: hbs2-peer peers; hbs2-peer refchan head get CHAN".into()
            }
            Self::NoReaders { .. } => {
                "the owner of the channel names one with: hbs2-peer refchan head edit CHAN --add-reader KEY"
                    .into()
            }
            Self::NoSign { .. } => hbs2_keyman::NOT_FOUND_HINT.into(),
            Self::NoAuthor { chan } => format!(
                "its owner names you with: hbs2-peer refchan head edit {chan} --add-author KEY (the sign-key of: hbs2 keyring-list FILE)"
            ),
            Self::NotAuthor { chan, author } => format!(
                "the owner of the channel names him with: hbs2-peer refchan head edit {chan} --add-author {author}"
            ),
            Self::NotPeer { chan, peer } => format!(
                "the owner of the channel names it with: hbs2-peer refchan head edit {chan} --add-peer {peer}"
            ),
            Self::Exists { .. } => "keep this folder equal with: hbs2-sync sync".into(),
            Self::NoReaderKey { .. } => "make a keyring with one: hbs2 keyring-new -n1".into(),
            Self::Busy { .. } => "wait for its end, or stop it".into(),
            Self::NoFile { .. } | Self::NoEntry { .. } => "see what there is with: hbs2-sync history".into(),
            Self::Stalled { .. } => "see which peers are connected with: hbs2-peer peers".into(),
            Self::Secret(error) => match **error {
                GroupSecretError::NoAccess { .. } => hbs2_keyman::NO_ACCESS_HINT.into(),
                _ => return None,
            },
            Self::NotTaken { .. } => {
                "run it again when the other peers of the channel are there: the quorum is missing".into()
            }
            Self::Keys(error) => error.hint().into(),
            Self::Peer(error) => error.hint().into(),
            Self::Watch { .. } => {
                "large folders need more watches: sysctl fs.inotify.max_user_watches".into()
            }
            _ => return None,
        })
    }
}

impl From<GroupSecretError<ClientError>> for SyncError {
    fn from(error: GroupSecretError<ClientError>) -> Self {
        match error {
            GroupSecretError::Keyman(error) => Self::Keys(error),
            other => Self::Secret(Box::new(other)),
        }
    }
}

/// What this crate returns.
pub type Result<T> = std::result::Result<T, SyncError>;
