//! Reading sealed trees.

use bytes::Bytes;

use super::{BlockCipher, BlockError, CryptError};
use crate::Hash;
use crate::groupkey::GroupSecret;
use crate::tree::Crypt;
use crate::tree::walk::{Leaves, WalkError};

/// Why a sealed tree cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError<E> {
    /// The tree is not sealed for a group.
    #[error("cannot open tree {root}")]
    Crypt {
        /// The annotated root.
        root: Hash,
        /// How it is sealed instead.
        source: CryptError,
    },
    /// A block is missing, or the tree is not well formed.
    #[error("cannot read sealed tree {root}")]
    Tree {
        /// The annotated root.
        root: Hash,
        /// What went wrong.
        source: WalkError<E>,
    },
    /// A block is not the one that was sealed.
    #[error("cannot open sealed tree {root}")]
    Block {
        /// The annotated root.
        root: Hash,
        /// What is wrong with the block.
        source: BlockError,
    },
}

/// The chunks of a sealed tree, opened, in order. Ends after the first error. Holds one leaf and one chunk.
pub struct Opener<F> {
    root: Hash,
    cipher: BlockCipher,
    leaves: Leaves<F>,
    leaf: std::vec::IntoIter<Hash>,
    place: u64,
    done: bool,
}

impl<F, E> Opener<F>
where
    F: FnMut(&Hash) -> Result<Option<Bytes>, E>,
{
    /// Opens the tree under the annotated block `root`, which is sealed as `crypt` says; `get` finds blocks.
    ///
    /// # Errors
    /// [`OpenError::Crypt`].
    pub fn new(root: Hash, crypt: &Crypt, secret: &GroupSecret, get: F) -> Result<Self, OpenError<E>> {
        let cipher = BlockCipher::new(secret, crypt).map_err(|source| OpenError::Crypt { root, source })?;
        let leaf = Vec::new().into_iter();
        Ok(Self { root, cipher, leaves: Leaves::new(root, get), leaf, place: 0, done: false })
    }

    fn step(&mut self) -> Result<Option<Vec<u8>>, OpenError<E>> {
        let root = self.root;
        let broken = |source| OpenError::Tree { root, source };
        let hash = loop {
            if let Some(hash) = self.leaf.next() {
                break hash;
            }
            match self.leaves.next().transpose().map_err(broken)? {
                Some(hashes) => self.leaf = hashes.into_iter(),
                None => return Ok(None),
            }
        };
        let block = self.leaves.block(&hash).map_err(broken)?;
        self.place += 1;
        let opened = self.cipher.open(self.place, &hash, &block);
        opened.map(Some).map_err(|source| OpenError::Block { root, source })
    }
}

impl<F, E> Iterator for Opener<F>
where
    F: FnMut(&Hash) -> Result<Option<Bytes>, E>,
{
    type Item = Result<Vec<u8>, OpenError<E>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let step = self.step().transpose();
        self.done = !matches!(step, Some(Ok(_)));
        step
    }
}

/// The content of a sealed tree, for small things; large content is streamed with [`Opener`].
///
/// # Errors
/// As [`Opener`], or the content is longer than `bytes_max`.
pub fn content<E>(
    root: Hash,
    crypt: &Crypt,
    secret: &GroupSecret,
    bytes_max: usize,
    get: impl FnMut(&Hash) -> Result<Option<Bytes>, E>,
) -> Result<Vec<u8>, OpenError<E>> {
    let mut whole = Vec::new();
    for chunk in Opener::new(root, crypt, secret, get)? {
        let chunk = chunk?;
        if whole.len() + chunk.len() > bytes_max {
            return Err(OpenError::Tree { root, source: WalkError::TooLong { root, bytes_max } });
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole)
}
