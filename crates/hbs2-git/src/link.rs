//! The daemon as this crate sees it: blocks, trees, the two references of a repository.
//!
//! The trait is narrow so that the same code runs against the local socket and, in tests, against a storage
//! folder. All calls block; each has a deadline inside.

use std::time::Duration;

use bytes::Bytes;
use hbs2_core::{Hash, LwwRef, PeerAddr, ReflogUpdate, SignPublicKey, Signed};

pub use hbs2_core::RefKind;
use hbs2_rpc::client::ClientError;

pub mod daemon;
#[cfg(feature = "testing")]
pub mod folder;

/// Blocks that one [`Link::get`] may ask for.
pub const GET_HASHES_MAX: usize = 64;

/// What the daemon knows about trees and their download.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreeStatus {
    /// Everything reachable from the roots is here.
    pub complete: bool,
    /// Blocks known to be missing; more may show when these arrive.
    pub missing: u64,
    /// Some of the missing blocks.
    pub sample: Vec<Hash>,
    /// Bytes fetched since the download began.
    pub bytes: u64,
    /// Peers that were asked.
    pub peers: u64,
    /// Grows with every change.
    pub mark: u64,
}

/// The leaf entries of a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leaves {
    /// The entries, up to the first tree block that is not here.
    pub hashes: Vec<Hash>,
    /// That block.
    pub missing: Option<Hash>,
}

/// What a post expects of the reflog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Nothing.
    Any,
    /// Its value is exactly this.
    Is(Option<Hash>),
}

/// What became of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    /// All updates are in the reflog, whose value is now this.
    Done(Hash),
    /// The guard did not hold; nothing was posted, the value is this.
    Moved(Option<Hash>),
}

/// Why the daemon did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The call over the local socket failed.
    #[error(transparent)]
    Daemon(#[from] ClientError),
    /// The store behind the link failed.
    #[error("{message}")]
    Failed {
        /// What happened.
        message: String,
    },
}

impl LinkError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Daemon(error) => Some(error.hint().to_owned()),
            Self::Failed { .. } => None,
        }
    }
}

/// Blocks by name in the order of the names, each with its name; none for a block that is not here.
pub type BlockStream<'a> = Box<dyn Iterator<Item = Result<(Hash, Option<Bytes>), LinkError>> + 'a>;

/// Takes many blocks, one after the other, while earlier ones are on their way.
pub trait BlockSink {
    /// Takes the next block.
    ///
    /// # Errors
    /// The daemon refused an earlier one or is gone.
    fn put(&mut self, block: Bytes) -> Result<(), LinkError>;

    /// Returns when all are on stable storage.
    ///
    /// # Errors
    /// The daemon refused one or is gone; some of the blocks may not be stored.
    fn finish(self: Box<Self>) -> Result<(), LinkError>;
}

/// A place that keeps blocks and references and shares them with others.
pub trait Link: Send + Sync {
    /// Stores a few blocks. They can be read at once and are on stable storage when a later [`Link::sync`] returns.
    ///
    /// # Errors
    /// The daemon refused or is gone.
    fn put(&self, blocks: &[Bytes]) -> Result<(), LinkError>;

    /// Returns when all blocks put before are on stable storage.
    ///
    /// # Errors
    /// The daemon is gone.
    fn sync(&self) -> Result<(), LinkError>;

    /// The blocks that are here, in the order of the hashes; at most [`GET_HASHES_MAX`].
    ///
    /// # Errors
    /// The daemon is gone.
    fn get(&self, hashes: &[Hash]) -> Result<Vec<Option<Bytes>>, LinkError>;

    /// Begins to store many blocks.
    fn upload(&self) -> Box<dyn BlockSink + '_>;

    /// Reads many blocks, ahead of who takes them.
    fn stream(&self, hashes: Vec<Hash>) -> BlockStream<'_>;

    /// The leaf entries of a tree, in order.
    ///
    /// # Errors
    /// The daemon is gone, or the tree is malformed.
    fn leaves(&self, root: &Hash) -> Result<Leaves, LinkError>;

    /// Whether everything reachable from the roots is here, after waiting up to `wait` for the download, which
    /// this starts. With the mark of an earlier status in `seen` it also returns when there was progress since.
    ///
    /// # Errors
    /// The daemon is gone.
    fn wait_trees(&self, roots: &[Hash], wait: Duration, seen: Option<u64>) -> Result<TreeStatus, LinkError>;

    /// The value of an lwwref.
    ///
    /// # Errors
    /// The daemon is gone.
    fn lwwref(&self, key: &SignPublicKey) -> Result<Option<LwwRef>, LinkError>;

    /// Publishes a new value of an lwwref.
    ///
    /// # Errors
    /// The daemon refused or is gone.
    fn set_lwwref(&self, signed: &Signed<LwwRef>) -> Result<(), LinkError>;

    /// The value of a reflog: the root of the tree of its updates.
    ///
    /// # Errors
    /// The daemon is gone.
    fn reflog(&self, key: &SignPublicKey) -> Result<Option<Hash>, LinkError>;

    /// Adds updates, all of one reflog, in one step; they are on stable storage when this returns.
    ///
    /// # Errors
    /// The daemon refused or is gone.
    fn post(&self, updates: &[ReflogUpdate], guard: Guard) -> Result<Posted, LinkError>;

    /// Waits up to `wait` until a reference, an lwwref or a reflog, differs from `seen`; gives what the store
    /// holds for it then: the block of the signed box, or the reflog's root.
    ///
    /// # Errors
    /// The daemon is gone.
    fn wait_ref(
        &self,
        kind: RefKind,
        key: &SignPublicKey,
        seen: Option<Hash>,
        wait: Duration,
    ) -> Result<Option<Hash>, LinkError>;

    /// Asks the connected peers for the value of a reference, without waiting for their answers.
    ///
    /// # Errors
    /// The daemon is gone.
    fn fetch_ref(&self, kind: RefKind, key: &SignPublicKey) -> Result<(), LinkError>;

    /// The peers that are connected.
    ///
    /// # Errors
    /// The daemon is gone.
    fn peers(&self) -> Result<Vec<PeerAddr>, LinkError>;

    /// Subscribes to a reference and asks for it every `minutes`.
    ///
    /// # Errors
    /// The daemon refused or is gone.
    fn poll(&self, kind: RefKind, key: &SignPublicKey, minutes: u32) -> Result<(), LinkError>;
}
