//! The sorted list of a log's entries and the tree blocks that store it.
//!
//! The tree has the shape of the original (256 and 256 for reflogs and refchans, 6000 and 1024 for mailboxes) over the
//! hashes in ascending order, so equal sets have equal roots. A new hash moves those after it; the leaves before it stay
//! as they are and are neither encoded nor hashed again.

use bytes::Bytes;
use hbs2_core::Hash;
use hbs2_core::tree::{Shape, build};

/// A log as a list and as blocks.
#[derive(Debug)]
pub(crate) struct LogTree {
    shape: Shape,
    /// Ascending, each once.
    updates: Vec<Hash>,
    /// The leaf blocks that are written, from the first on.
    leaves: Vec<Hash>,
}

/// The blocks that a change has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grown {
    pub(crate) root: Hash,
    /// New leaves and all nodes.
    pub(crate) blocks: Vec<(Hash, Bytes)>,
}

impl LogTree {
    /// A list as read from a store, in any order. Its blocks may have another layout: all are made anew at the first
    /// change.
    pub(crate) fn new(shape: Shape, mut updates: Vec<Hash>) -> Self {
        updates.sort_unstable();
        updates.dedup();
        Self { shape, updates, leaves: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.updates.len()
    }

    /// Leaf blocks that are written.
    pub(crate) fn leaves(&self) -> usize {
        self.leaves.len()
    }

    pub(crate) fn contains(&self, update: &Hash) -> bool {
        self.updates.binary_search(update).is_ok()
    }

    /// Adds updates that are not there yet, and makes the blocks.
    pub(crate) fn grow(&mut self, mut new: Vec<Hash>) -> Grown {
        new.sort_unstable();
        new.dedup();
        new.retain(|update| !self.contains(update));
        let first =
            new.first().map_or(self.updates.len(), |first| self.updates.partition_point(|u| u < first));
        self.updates.extend(new);
        // The front is sorted already, so this is a merge of two runs.
        self.updates[first..].sort();
        let mut blocks = Vec::new();
        self.leaves.truncate(first / self.shape.leaf);
        for leaf in self.updates.chunks(self.shape.leaf).skip(self.leaves.len()) {
            let (hash, block) = build::leaf_block(leaf);
            self.leaves.push(hash);
            blocks.push((hash, block));
        }
        let root = build::build_above(self.shape, &self.leaves, |hash, block| blocks.push((hash, block)));
        Grown { root, blocks }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn hashes(range: std::ops::Range<u32>) -> Vec<Hash> {
        range.map(|i| Hash::of(&i.to_le_bytes())).collect()
    }

    fn whole(mut all: Vec<Hash>) -> (Hash, BTreeMap<Hash, Bytes>) {
        all.sort();
        let mut blocks = BTreeMap::new();
        let root = build::build(Shape::LOG, &all, |hash, block| drop(blocks.insert(hash, block)));
        (root, blocks)
    }

    #[test]
    fn growing_in_steps_gives_the_tree_of_the_sorted_set() {
        let mut log = LogTree::new(Shape::LOG, Vec::new());
        let mut written = BTreeMap::new();
        for (from, to) in [(0, 1), (1, 300), (290, 700), (700, 701), (701, 1500)] {
            let grown = log.grow(hashes(from..to));
            written.extend(grown.blocks);
            let (root, blocks) = whole(hashes(0..to));
            assert_eq!(grown.root, root, "after {to}");
            assert!(blocks.iter().all(|(hash, block)| written.get(hash) == Some(block)), "after {to}");
        }
        assert_eq!(log.len(), 1500);
    }

    #[test]
    fn leaves_before_a_new_update_are_not_made_again() {
        let mut log = LogTree::new(Shape::LOG, Vec::new());
        let mut all = hashes(0..2561);
        all.sort();
        let last = all.pop().unwrap();
        log.grow(all);
        assert_eq!(log.grow(vec![last]).blocks.len(), 2, "one leaf and the root");
    }

    #[test]
    fn order_and_repeats_of_a_read_list_do_not_matter() {
        let mut read = hashes(0..10);
        read.reverse();
        read.extend(hashes(3..5));
        let mut log = LogTree::new(Shape::LOG, read);
        assert_eq!(log.grow(hashes(10..11)).root, whole(hashes(0..11)).0);
    }
}
