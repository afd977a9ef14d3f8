//! Protocol 3: "I have this" (spec: wire 2.10).

use hbs2_core::Hash;
use hbs2_core::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};

use super::handshake::{decode_nonce, encode_nonce};

/// A message of protocol 3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockAnnounce {
    /// Process nonce of the sender.
    pub process: Vec<u8>,
    /// A number that nobody uses; 0.
    pub number: u64,
    /// A remark about the block; none in practice.
    pub meta: AnnounceMeta,
    /// Length of the block, in bytes.
    pub bytes: u64,
    /// The block.
    pub hash: Hash,
}

/// The remark of an announce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnnounceMeta {
    /// None.
    None,
    /// A few bytes.
    Short(Vec<u8>),
    /// In a block.
    Block(Hash),
}

impl Encode for BlockAnnounce {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 2);
        encode_nonce(e, &self.process);
        e.variant(0, 4);
        e.variant(0, 1);
        e.uint(self.number);
        match &self.meta {
            AnnounceMeta::None => e.variant(0, 0),
            AnnounceMeta::Short(bytes) => {
                e.variant(1, 1);
                e.lazy_bytes(bytes);
            }
            AnnounceMeta::Block(hash) => {
                e.variant(2, 1);
                e.inner_hash(hash);
            }
        }
        e.uint(self.bytes);
        e.inner_hash(&self.hash);
    }
}

impl Decode for BlockAnnounce {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(2)?;
        let process = decode_nonce(d)?;
        d.record(4)?;
        d.record(1)?;
        let number = d.uint()?;
        let meta = match d.variant()? {
            (0, 0) => AnnounceMeta::None,
            (1, 1) => AnnounceMeta::Short(d.lazy_bytes()?.into_owned()),
            (2, 1) => AnnounceMeta::Block(d.inner_hash()?),
            _ => return Err(d.error("the remark of an announce")),
        };
        Ok(Self { process, number, meta, bytes: d.uint()?, hash: d.inner_hash()? })
    }
}
