//! What can go wrong in a store.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use hbs2_core::limits::BLOCK_BYTES_MAX;
use thiserror::Error;

use crate::{RECORD_BYTES_MAX, RECORD_NAME_BYTES_MAX, REFERENCES_MAX};

/// The cause of a failure, shared because all callers of one group commit receive it.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// What can go wrong in a store.
#[derive(Clone, Debug, Error)]
pub enum StoreError {
    /// Another process owns the directory.
    #[error("the store at {} is in use by another process", path.display())]
    Locked {
        /// Directory of the store.
        path: PathBuf,
    },
    /// A block beyond the limit; nothing of the call was stored.
    #[error("a block of {bytes} bytes is too large, the limit is {BLOCK_BYTES_MAX} bytes")]
    BlockTooLarge {
        /// Length of the block, in bytes.
        bytes: usize,
    },
    /// More references in one call than the limit; none was changed.
    #[error("{count} references are too many to change at once, the limit is {REFERENCES_MAX}")]
    TooManyReferences {
        /// References in the call.
        count: usize,
    },
    /// A record beyond the limit.
    #[error("the record {name} of {bytes} bytes is too large, the limit is {RECORD_BYTES_MAX} bytes")]
    RecordTooLarge {
        /// Name of the record.
        name: String,
        /// Length of its value, in bytes.
        bytes: usize,
    },
    /// An empty or overlong name of a record.
    #[error("the record name {name:?} is empty or longer than {RECORD_NAME_BYTES_MAX} bytes")]
    RecordName {
        /// The name.
        name: String,
    },
    /// The directory could not be opened as a store.
    #[error("cannot open the store at {}", path.display())]
    Open {
        /// Directory of the store.
        path: PathBuf,
        /// What the engine said.
        source: Cause,
    },
    /// Reading failed.
    #[error("cannot read from the store at {}", path.display())]
    Read {
        /// File or directory concerned.
        path: PathBuf,
        /// What the engine said.
        source: Cause,
    },
    /// Writing or syncing failed. Nothing that was waiting for it is acknowledged, and the store takes no more
    /// writes until it is opened again.
    #[error("cannot write to the store at {}", path.display())]
    Write {
        /// File or directory concerned.
        path: PathBuf,
        /// What the engine said.
        source: Cause,
    },
}
