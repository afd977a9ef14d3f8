//! Service RefLog: grow-only logs. The key is the bare public key here, unlike in [`lwwref`](super::lwwref).

use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::{Hash, SignPublicKey};

use super::{SMALL_OUTPUT_BYTES, methods};

/// Id of the service.
pub const ID: u64 = 0xDA23_7162_0001;

methods! { "reflog" ID:
    /// Root of the log's tree, none when we have no entry.
    0 Get "get" (SignPublicKey) -> Option<Hash>, SMALL_OUTPUT_BYTES;
    /// Asks the neighbours for the log now; answers at once.
    1 Fetch "fetch" (SignPublicKey) -> (), SMALL_OUTPUT_BYTES;
    /// Adds an entry, stores it and passes it on. Our daemon answers when the entry is part of the log and on
    /// stable storage; the original answers at once.
    2 Post "post" (ReflogUpdate) -> (), SMALL_OUTPUT_BYTES;
}
