//! Sealed trees: content of any length that only a group can read (docs/spec/sealed.md).
//!
//! The content is cut into chunks, each chunk sealed into a block of its own, and a plain tree lists those blocks;
//! so strangers can carry, check and repair a tree that they cannot read. An annotated root names the group key and
//! holds the nonce string from which, with the group's secret, the key and the nonces of all blocks grow. Blocks are
//! numbered from 1, and the number is part of the nonce: a block opens at its own place only.
//!
//! [`Sealer`] and [`Opener`] stream: neither holds more than a few chunks. [`BlockCipher`] is one block of either, for
//! callers that have blocks in flight of their own.
//!
//! The nonce string decides whether sealing is safe: two contents under one string and one secret share their
//! keystream. Our rule is the keyed hash of the whole content ([`NonceHasher`](crate::sealed::NonceHasher)), so a
//! writer reads the content twice. The original hashes the first MiB only; we read what it wrote, for the string is
//! stored in the root.

use bytes::Bytes;

use super::Crypt;
use crate::cbor::{Decode, Decoder, Encode, Encoder};
use crate::groupkey::GroupSecret;
use crate::limits::MISPLACED_SEARCH_BLOCKS;
use crate::nacl::{BoxKey, MAC_BYTES, Nonce};
use crate::{Hash, kdf};

mod open;
mod seal;

pub use open::{OpenError, Opener, content};
pub use seal::{Sealer, seal_data};

/// Seals and opens the blocks of one tree.
#[derive(Debug, Clone)]
pub struct BlockCipher {
    key: BoxKey,
    nonce: Nonce,
    method: Method,
}

/// What a nonce depends on beside the place.
#[derive(Debug, Clone, Copy)]
enum Method {
    /// Nothing; a block is a bare box.
    Group1,
    /// The content, hashed with these words; a block is CBOR `(nonce, box)`.
    Group2 { sip: (u64, u64) },
}

/// The blocks of a tree are not sealed for a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CryptError {
    /// They are not sealed at all.
    #[error("the tree is not encrypted")]
    None,
    /// They are sealed by the asymmetric method that was given up.
    #[error("the tree is encrypted by the old asymmetric method, which nobody reads any more")]
    Asymmetric,
}

/// Why a block does not open. No part of it is given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// The bytes are not those that the tree names: cut or changed after they were stored.
    #[error("block {hash} was cut or changed: its bytes do not have its name")]
    Altered {
        /// The name in the tree.
        hash: Hash,
    },
    /// The tree names these bytes, but they end too early to be a sealed block.
    #[error("block {hash} has {bytes} bytes, too few for a sealed block or not its form")]
    Cut {
        /// The block.
        hash: Hash,
        /// Its length.
        bytes: usize,
    },
    /// The block was sealed for another place of this tree.
    #[error("block {hash} stands at place {place} of the tree but was sealed for place {belongs}")]
    Misplaced {
        /// The block.
        hash: Hash,
        /// Where the tree lists it, from 1.
        place: u64,
        /// Where it belongs.
        belongs: u64,
    },
    /// The first block does not open, so the nonce string or the secret is not that of the tree.
    #[error(
        "block {hash} does not open: the nonce string or the secret is not the one the tree was sealed with"
    )]
    Nonce {
        /// The first block.
        hash: Hash,
    },
    /// A block further on does not open: it was sealed for something else.
    #[error("block {hash} at place {place} does not belong to this tree")]
    Foreign {
        /// The block.
        hash: Hash,
        /// Where the tree lists it, from 1.
        place: u64,
    },
}

impl Crypt {
    /// The root of the tree of the group key, if the blocks are sealed for a group.
    ///
    /// # Errors
    /// They are not.
    pub fn group_key(&self) -> Result<Hash, CryptError> {
        match self {
            Self::None => Err(CryptError::None),
            Self::Asymmetric { .. } => Err(CryptError::Asymmetric),
            Self::Group1 { key, .. } | Self::Group2 { key, .. } => Ok(*key),
        }
    }

    /// Names another group key with the same secret, so that its members read the tree too. The blocks and the
    /// method stay.
    ///
    /// # Errors
    /// The blocks are not sealed for a group.
    pub fn rekey(&mut self, to: Hash) -> Result<(), CryptError> {
        match self {
            Self::None => Err(CryptError::None),
            Self::Asymmetric { .. } => Err(CryptError::Asymmetric),
            Self::Group1 { key, .. } | Self::Group2 { key, .. } => {
                *key = to;
                Ok(())
            }
        }
    }
}

impl BlockCipher {
    /// The cipher of a tree that is sealed as `crypt` says.
    ///
    /// # Errors
    /// It is not sealed for a group.
    pub fn new(secret: &GroupSecret, crypt: &Crypt) -> Result<Self, CryptError> {
        let (nonce, method) = match crypt {
            Crypt::None => return Err(CryptError::None),
            Crypt::Asymmetric { .. } => return Err(CryptError::Asymmetric),
            Crypt::Group1 { nonce, .. } => (nonce, Method::Group1),
            Crypt::Group2 { sip, nonce, .. } => (nonce, Method::Group2 { sip: *sip }),
        };
        Ok(Self { key: secret.box_key(nonce), nonce: Nonce::of_string(nonce), method })
    }

    /// The block of `chunk` at `place`, counted from 1.
    #[must_use]
    pub fn seal(&self, place: u64, chunk: &[u8]) -> Bytes {
        match self.method {
            Method::Group1 => self.key.seal(&self.nonce.counted(place), chunk).into(),
            Method::Group2 { sip } => {
                let nonce = self.nonce.counted(place.wrapping_add(kdf::siphash(sip, chunk)));
                let mut e = Encoder::with_capacity(GROUP2_BYTES + chunk.len());
                e.array(2);
                nonce.encode(&mut e);
                e.bytes(&self.key.seal(&nonce, chunk));
                e.into_bytes().into()
            }
        }
    }

    /// The chunk in `block`, which the tree lists as `hash` at `place`, counted from 1. The name is not checked
    /// when the block opens, because that proves it as well.
    ///
    /// # Errors
    /// The block is not the one that was sealed for this place of this tree; the error says in which way.
    pub fn open(&self, place: u64, hash: &Hash, block: &[u8]) -> Result<Vec<u8>, BlockError> {
        let opened = match self.method {
            Method::Group1 => self.key.open(&self.nonce.counted(place), block).ok(),
            Method::Group2 { sip } => {
                let opened = read_group2(block).and_then(|(nonce, boxed)| {
                    let count = self.nonce.count_to(&nonce)?;
                    Some((count, self.key.open(&nonce, boxed).ok()?))
                });
                match opened {
                    // The stored nonce opens the block at any place; only the count inside it tells the right one.
                    Some((count, chunk)) => match count.wrapping_sub(kdf::siphash(sip, &chunk)) {
                        belongs if belongs == place => Some(chunk),
                        belongs => return Err(BlockError::Misplaced { hash: *hash, place, belongs }),
                    },
                    None => None,
                }
            }
        };
        opened.ok_or_else(|| self.explain(place, hash, block))
    }

    /// Why `block` did not open.
    fn explain(&self, place: u64, hash: &Hash, block: &[u8]) -> BlockError {
        let (hash, bytes) = (*hash, block.len());
        if Hash::of(block) != hash {
            return BlockError::Altered { hash };
        }
        let belongs = match self.method {
            Method::Group1 if bytes < MAC_BYTES => return BlockError::Cut { hash, bytes },
            Method::Group1 => self.find_place(place, block),
            Method::Group2 { .. } if read_group2(block).is_none() => return BlockError::Cut { hash, bytes },
            Method::Group2 { .. } => None,
        };
        match belongs {
            Some(belongs) => BlockError::Misplaced { hash, place, belongs },
            None if place == 1 => BlockError::Nonce { hash },
            None => BlockError::Foreign { hash, place },
        }
    }

    /// The place near `place` at which `block` opens.
    fn find_place(&self, place: u64, block: &[u8]) -> Option<u64> {
        let mut scratch = vec![0; block.len() - MAC_BYTES];
        let near = place.saturating_sub(MISPLACED_SEARCH_BLOCKS).max(1)
            ..=place.saturating_add(MISPLACED_SEARCH_BLOCKS);
        near.into_iter().find(|at| self.key.open_into(&self.nonce.counted(*at), block, &mut scratch).is_ok())
    }
}

/// Bytes that a block of the second method is longer than its chunk, when that is a whole one.
const GROUP2_BYTES: usize = 50;

/// The parts of a block of the second method.
fn read_group2(block: &[u8]) -> Option<(Nonce, &[u8])> {
    let mut d = Decoder::new(block);
    d.tuple(2).ok()?;
    let nonce = Nonce::decode(&mut d).ok()?;
    let boxed = d.bytes().ok()?;
    (boxed.len() >= MAC_BYTES).then_some((nonce, boxed))
}
