//! Every block that can be reached from a block, in the order of the tree.

use std::collections::HashSet;

use bytes::Bytes;
use hbs2_core::inspect::{self, Kind};
use hbs2_core::{AnnotatedTree, Decode, Hash};

use super::blocks::{BATCH_BLOCKS, Blocks};
use crate::error::Failure;

/// Blocks that one walk meets, at most: a terabyte of data. The set of them then takes about 200 MB.
const BLOCKS_MAX: usize = 1 << 22;

/// Hashes that wait in one walk, at most, 40 MiB. An honest tree keeps some thousand for each level.
const WAITING_MAX: usize = 1 << 20;

/// Blocks fetched before they are needed that one walk holds, at most, 16 MiB of data.
const AHEAD_BLOCKS_MAX: usize = 64;

/// Whether the group key of sealed data belongs to what is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupKeys {
    /// It does: without it nobody reads the data.
    Reach,
    /// It does not: other data may be sealed with it too.
    Leave,
}

/// Blocks that can be reached, each once: a block comes before what it names.
pub struct Reach<'a> {
    blocks: &'a Blocks,
    keys: GroupKeys,
    /// What is to be looked at, the next one last; with the block when it has been fetched already.
    waiting: Vec<(Hash, Option<Bytes>)>,
    ahead: usize,
    met: HashSet<Hash>,
    missing: Vec<Hash>,
}

impl<'a> Reach<'a> {
    /// A walk from `root`.
    #[must_use]
    pub fn new(root: Hash, keys: GroupKeys, blocks: &'a Blocks) -> Self {
        Self { blocks, keys, waiting: vec![(root, None)], ahead: 0, met: HashSet::new(), missing: Vec::new() }
    }

    /// Blocks that were named and are not here, so far.
    #[must_use]
    pub fn missing(&self) -> &[Hash] {
        &self.missing
    }

    /// The next block, if any is left.
    ///
    /// # Errors
    /// The storage failed, or the walk is too large.
    pub fn step(&mut self) -> Result<Option<(Hash, Bytes)>, Failure> {
        while let Some((hash, fetched)) = self.waiting.pop() {
            self.ahead -= usize::from(fetched.is_some());
            if self.met.contains(&hash) {
                continue;
            }
            if self.met.len() >= BLOCKS_MAX {
                return Err(Failure::TooManyBlocks { hash });
            }
            self.met.insert(hash);
            let block = match fetched {
                Some(block) => block,
                None => match self.fetch(hash)? {
                    Some(block) => block,
                    None => {
                        self.missing.push(hash);
                        continue;
                    }
                },
            };
            let links = self.links(&block);
            if self.waiting.len() + links.len() > WAITING_MAX {
                return Err(Failure::TooManyBlocks { hash });
            }
            self.waiting.extend(links.into_iter().rev().map(|link| (link, None)));
            return Ok(Some((hash, block)));
        }
        Ok(None)
    }

    /// The block, and with the same question some that are needed soon.
    fn fetch(&mut self, hash: Hash) -> Result<Option<Bytes>, Failure> {
        let room = AHEAD_BLOCKS_MAX.saturating_sub(self.ahead).min(BATCH_BLOCKS - 1);
        let from = self.waiting.len().saturating_sub(room);
        let soon: Vec<usize> = (from..self.waiting.len())
            .filter(|at| self.waiting[*at].1.is_none() && !self.met.contains(&self.waiting[*at].0))
            .collect();
        let hashes: Vec<Hash> =
            std::iter::once(hash).chain(soon.iter().map(|at| self.waiting[*at].0)).collect();
        let mut found = self.blocks.get_all(&hashes)?.into_iter();
        let block = found.next().flatten();
        for (at, block) in soon.into_iter().zip(found) {
            self.ahead += usize::from(block.is_some());
            self.waiting[at].1 = block;
        }
        Ok(block)
    }

    fn links(&self, block: &[u8]) -> Vec<Hash> {
        let mut links = inspect::links(block);
        if self.keys == GroupKeys::Leave && inspect::kind(block) == Kind::AnnotatedTree {
            let key = AnnotatedTree::from_bytes(block).ok().and_then(|tree| tree.crypt.group_key().ok());
            links.retain(|link| Some(*link) != key);
        }
        links
    }
}
