//! Service RefChan: channels that many write.

use hbs2_core::{Blob, Hash, SignPublicKey, Signed};

use super::{SMALL_OUTPUT_BYTES, methods};

/// Id of the service.
pub const ID: u64 = 0xDA23_7463_0001;

methods! { "refchan" ID:
    /// Root of the tree of the head, none when we have none.
    0 HeadGet "head-get" (SignPublicKey) -> Option<Hash>, SMALL_OUTPUT_BYTES;
    /// Asks the neighbours for the head now; answers at once.
    1 HeadFetch "head-fetch" (SignPublicKey) -> (), SMALL_OUTPUT_BYTES;
    /// Publishes a head that is stored as a tree. Ours answers when it counts and is on stable storage.
    2 HeadPost "head-post" (Hash) -> (), SMALL_OUTPUT_BYTES;
    /// Root of the tree of the log, none when nothing was admitted.
    3 Get "get" (SignPublicKey) -> Option<Hash>, SMALL_OUTPUT_BYTES;
    /// Asks the neighbours for head and log now; answers at once.
    4 Fetch "fetch" (SignPublicKey) -> (), SMALL_OUTPUT_BYTES;
    /// Brings a payload that an author has signed. Ours answers when it is on stable storage; whether a quorum
    /// accepts it shows in the log.
    5 Propose "propose" ((SignPublicKey, Signed<Blob>)) -> (), SMALL_OUTPUT_BYTES;
    /// Sends a notice that an author or notifier has signed.
    6 Notify "notify" ((SignPublicKey, Signed<Blob>)) -> (), SMALL_OUTPUT_BYTES;
}
