//! Writing sealed trees.

use std::convert::Infallible;

use bytes::Bytes;

use super::{BlockCipher, CryptError};
use crate::Hash;
use crate::groupkey::GroupSecret;
use crate::limits::CHUNK_BYTES;
use crate::sealed;
use crate::tree::build::build_annotated;
use crate::tree::{Crypt, Meta, Shape};

/// Blocks that are named together: as many as the vector registers have lanes for (see [`Hash::of_many`]).
const BATCH_BLOCKS: usize = 4;

/// Seals content as it comes and gives every block to `emit`, children before parents.
///
/// Holds a part of a chunk, a few blocks that wait for their names, and 32 bytes for each block of the tree.
pub struct Sealer<F> {
    cipher: BlockCipher,
    crypt: Crypt,
    emit: F,
    /// The start of the next chunk.
    part: Vec<u8>,
    /// Blocks that have no name yet.
    waiting: Vec<Bytes>,
    hashes: Vec<Hash>,
}

impl<F, E> Sealer<F>
where
    F: FnMut(Hash, Bytes) -> Result<(), E>,
{
    /// A sealer of the tree that `crypt` describes. Its nonce string must be for this content alone; that of
    /// [`NonceHasher`](crate::sealed::NonceHasher) is.
    ///
    /// # Errors
    /// `crypt` is not for a group.
    pub fn new(secret: &GroupSecret, crypt: Crypt, emit: F) -> Result<Self, CryptError> {
        let cipher = BlockCipher::new(secret, &crypt)?;
        Ok(Self { cipher, crypt, emit, part: Vec::new(), waiting: Vec::new(), hashes: Vec::new() })
    }

    /// Takes the next bytes of the content, any number.
    ///
    /// # Errors
    /// What `emit` says.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), E> {
        if !self.part.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK_BYTES - self.part.len()));
            self.part.extend_from_slice(now);
            bytes = later;
            if self.part.len() < CHUNK_BYTES {
                return Ok(());
            }
            let chunk = std::mem::take(&mut self.part);
            self.seal(&chunk)?;
        }
        let (chunks, rest) = bytes.as_chunks::<CHUNK_BYTES>();
        for chunk in chunks {
            self.seal(chunk)?;
        }
        self.part.extend_from_slice(rest);
        Ok(())
    }

    /// Seals what is left and writes the tree. Returns the hash of the annotated root, which is emitted last. `meta`
    /// is in the clear unless it names a sealed block ([`SealedBlock::seal_meta`](crate::SealedBlock::seal_meta)).
    ///
    /// # Errors
    /// What `emit` says.
    pub fn finish(mut self, meta: Meta) -> Result<Hash, E> {
        if !self.part.is_empty() {
            let chunk = std::mem::take(&mut self.part);
            self.seal(&chunk)?;
        }
        self.name_waiting()?;
        let mut blocks = Vec::new();
        let emit = |hash, block| blocks.push((hash, block));
        let root = build_annotated(Shape::DATA, &self.hashes, meta, self.crypt, emit);
        for (hash, block) in blocks {
            (self.emit)(hash, block)?;
        }
        Ok(root)
    }

    fn seal(&mut self, chunk: &[u8]) -> Result<(), E> {
        let place = (self.hashes.len() + self.waiting.len()) as u64 + 1;
        self.waiting.push(self.cipher.seal(place, chunk));
        if self.waiting.len() == BATCH_BLOCKS { self.name_waiting() } else { Ok(()) }
    }

    fn name_waiting(&mut self) -> Result<(), E> {
        let names = Hash::of_many(&self.waiting.iter().map(|block| &block[..]).collect::<Vec<_>>());
        for (hash, block) in names.into_iter().zip(self.waiting.drain(..)) {
            self.hashes.push(hash);
            (self.emit)(hash, block)?;
        }
        Ok(())
    }
}

/// Seals `data` by the first method, under the nonce string for it, and gives every block to `emit`. Returns the hash
/// of the annotated root. `key` is the root of the tree of the group key.
pub fn seal_data(
    secret: &GroupSecret,
    key: Hash,
    meta: Meta,
    data: &[u8],
    mut emit: impl FnMut(Hash, Bytes),
) -> Hash {
    let crypt = Crypt::Group1 { key, nonce: sealed::nonce_for(secret, data) };
    let emit = |hash, block| {
        emit(hash, block);
        Ok::<_, Infallible>(())
    };
    let mut sealer = Sealer::new(secret, crypt, emit).expect("this crypt is for a group");
    let Ok(()) = sealer.write(data);
    let Ok(root) = sealer.finish(meta);
    root
}
