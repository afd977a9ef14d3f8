//! Protocol 1: sizes of blocks (spec: wire 2.8).
//!
//! Each [`BlockInfo::GetBlockSize`] of a known peer gets exactly one answer, in the order of the questions: the
//! original takes any answer for the one it waits for.

use hbs2_core::Hash;
use hbs2_core::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};

/// A message of protocol 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockInfo {
    /// How long is this block?
    GetBlockSize(Hash),
    /// We do not have it.
    NoBlock(Hash),
    /// We have it.
    BlockSize {
        /// Which block.
        hash: Hash,
        /// Its length.
        bytes: u64,
    },
}

impl Encode for BlockInfo {
    fn encode(&self, e: &mut Encoder) {
        match self {
            Self::GetBlockSize(hash) => {
                e.variant(0, 1);
                e.inner_hash(hash);
            }
            Self::NoBlock(hash) => {
                e.variant(1, 1);
                e.inner_hash(hash);
            }
            Self::BlockSize { hash, bytes } => {
                e.variant(2, 2);
                e.inner_hash(hash);
                e.uint(*bytes);
            }
        }
    }
}

impl Decode for BlockInfo {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match d.variant()? {
            (0, 1) => d.inner_hash().map(Self::GetBlockSize),
            (1, 1) => d.inner_hash().map(Self::NoBlock),
            (2, 2) => Ok(Self::BlockSize { hash: d.inner_hash()?, bytes: d.uint()? }),
            _ => Err(d.error("GetBlockSize, NoBlock or BlockSize")),
        }
    }
}
