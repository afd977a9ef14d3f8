//! Service Storage: blocks and raw references.

use bytes::Bytes;
use hbs2_core::Hash;
use hbs2_core::cbor::{DecodeError, Decoder};

use super::{BLOCK_OUTPUT_BYTES, SMALL_OUTPUT_BYTES, methods};
use crate::value::{Value, Writer};

/// Id of the service.
pub const ID: u64 = 0xDA23_7461_0001;

methods! { "storage" ID:
    /// Size of a block in bytes, none when we do not have it.
    0 HasBlock "has-block" (Hash) -> Option<u64>, SMALL_OUTPUT_BYTES;
    /// A block.
    1 GetBlock "get-block" (Hash) -> Option<Bytes>, BLOCK_OUTPUT_BYTES;
    /// Stores a block some time soon. The name is known at once; ours stores it before it answers.
    2 EnqueueBlock "enqueue-block" (Bytes) -> Option<Hash>, SMALL_OUTPUT_BYTES;
    /// Stores a block; answers when it is on stable storage. None: not stored.
    3 PutBlock "put-block" (Bytes) -> Option<Hash>, SMALL_OUTPUT_BYTES;
    /// Deletes a block.
    4 DelBlock "del-block" (Hash) -> (), SMALL_OUTPUT_BYTES;
    /// A part of a block: hash, offset in bytes, size in bytes.
    5 GetChunk "get-chunk" ((Hash, u64, u64)) -> Option<Bytes>, BLOCK_OUTPUT_BYTES;
    /// Value of a reference.
    6 GetRef "get-ref" (RefAlias) -> Option<Hash>, SMALL_OUTPUT_BYTES;
    /// Sets a reference.
    7 UpdateRef "update-ref" ((RefAlias, Hash)) -> (), SMALL_OUTPUT_BYTES;
    /// Deletes a reference.
    8 DelRef "del-ref" (RefAlias) -> (), SMALL_OUTPUT_BYTES;
}

/// A reference named by its storage key: `[0, map, HashRef]`. The map is always empty when we write it and
/// ignored when we read it; the bare `HashRef` of older clients is read too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefAlias(pub Hash);

/// Pairs in the map of a [`RefAlias`] we read over, at most. The original has none.
const ALIAS_PAIRS_MAX: u64 = 64;

impl Value for RefAlias {
    fn write(&self, w: &mut Writer) {
        w.cbor().variant(0, 2);
        w.cbor().map(0);
        self.0.write(w);
    }

    fn read(d: &mut Decoder<'_>, frame: &Bytes) -> Result<Self, DecodeError> {
        let mut alias = d.clone();
        if alias.variant()? != (0, 2) {
            return Hash::read(d, frame).map(Self);
        }
        *d = alias;
        let pairs = d.map()?;
        if pairs > ALIAS_PAIRS_MAX {
            return Err(d.error("a short map"));
        }
        for _ in 0..pairs {
            d.text()?;
            d.text()?;
        }
        Hash::read(d, frame).map(Self)
    }
}
