//! Reading trees: the hashes they list, in order, with bounded memory (docs/spec/tree.md).
//!
//! The walk is pulled: [`Leaves`] asks its caller for one block at a time and yields one leaf at a time. It takes
//! any shape and height, and annotated trees at every place where the original does. The names of blocks rule
//! out loops, but not trees that repeat one child for ever; so depth, width and barren stretches have limits.

use bytes::Bytes;

use super::{AnnotatedTree, Tree};
use crate::Hash;
use crate::cbor::{Decode, DecodeError};
use crate::limits::{TREE_LEVELS_MAX, WALK_BARREN_BLOCKS_MAX, WALK_HASHES_MAX};

/// Why a walk stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WalkError<E> {
    /// A block of the tree is not there.
    #[error("block {hash} of the tree is missing")]
    Missing {
        /// The absent block.
        hash: Hash,
    },
    /// A block that should belong to the tree is no tree block.
    #[error("block {hash} is no tree block")]
    Malformed {
        /// The block.
        hash: Hash,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// The tree is deeper than any writer makes it.
    #[error("tree {root} has more than {TREE_LEVELS_MAX} levels")]
    TooDeep {
        /// Root of the tree.
        root: Hash,
    },
    /// The tree is wider than any writer makes it.
    #[error("tree {root} keeps more than {WALK_HASHES_MAX} hashes waiting")]
    TooWide {
        /// Root of the tree.
        root: Hash,
    },
    /// The tree has blocks and blocks that list nothing.
    #[error("tree {root} lists nothing in {WALK_BARREN_BLOCKS_MAX} blocks")]
    Barren {
        /// Root of the tree.
        root: Hash,
    },
    /// The content is longer than the caller takes.
    #[error("the content of tree {root} is longer than {bytes_max} bytes")]
    TooLong {
        /// Root of the tree.
        root: Hash,
        /// What the caller takes.
        bytes_max: usize,
    },
    /// The source of blocks failed.
    #[error("cannot read a block of the tree")]
    Source(#[source] E),
}

/// The lists of the leaves of a tree, left to right. Ends after the first error.
pub struct Leaves<F> {
    root: Hash,
    get: F,
    /// Children still to read, one list for each level, each in reverse.
    levels: Vec<Vec<Hash>>,
    waiting: usize,
    barren: usize,
}

impl<F, E> Leaves<F>
where
    F: FnMut(&Hash) -> Result<Option<Bytes>, E>,
{
    /// A walk over the tree `root`, whose blocks `get` finds.
    pub fn new(root: Hash, get: F) -> Self {
        Self { root, get, levels: vec![vec![root]], waiting: 1, barren: 0 }
    }

    /// A block that the tree names.
    pub(super) fn block(&mut self, hash: &Hash) -> Result<Bytes, WalkError<E>> {
        (self.get)(hash).map_err(WalkError::Source)?.ok_or(WalkError::Missing { hash: *hash })
    }

    fn read(&mut self, hash: Hash) -> Result<Tree, WalkError<E>> {
        let block = self.block(&hash)?;
        decode(&block).map_err(|source| WalkError::Malformed { hash, source })
    }

    fn descend(&mut self, mut children: Vec<Hash>) -> Result<(), WalkError<E>> {
        let root = self.root;
        self.barren += 1;
        if self.barren > WALK_BARREN_BLOCKS_MAX {
            return Err(WalkError::Barren { root });
        }
        if children.is_empty() {
            return Ok(());
        }
        self.waiting += children.len();
        if self.waiting > WALK_HASHES_MAX {
            return Err(WalkError::TooWide { root });
        }
        children.reverse();
        self.levels.push(children);
        if self.levels.len() > TREE_LEVELS_MAX { Err(WalkError::TooDeep { root }) } else { Ok(()) }
    }

    /// The next block in order, if any is left. A level is dropped only when it is found empty, so that the
    /// number of levels is the depth.
    fn pop(&mut self) -> Option<Hash> {
        loop {
            if let Some(hash) = self.levels.last_mut()?.pop() {
                self.waiting -= 1;
                return Some(hash);
            }
            self.levels.pop();
        }
    }

    fn step(&mut self) -> Result<Option<Vec<Hash>>, WalkError<E>> {
        while let Some(hash) = self.pop() {
            match self.read(hash)? {
                Tree::Leaf(hashes) if !hashes.is_empty() => {
                    self.barren = 0;
                    return Ok(Some(hashes));
                }
                Tree::Leaf(_) => self.descend(Vec::new())?,
                Tree::Node { children, .. } => self.descend(children)?,
            }
        }
        Ok(None)
    }
}

impl<F, E> Iterator for Leaves<F>
where
    F: FnMut(&Hash) -> Result<Option<Bytes>, E>,
{
    type Item = Result<Vec<Hash>, WalkError<E>>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.levels.clear();
        }
        step.transpose()
    }
}

/// The tree block in `block`, plain or inside an annotated tree.
///
/// # Errors
/// It is neither.
pub fn decode(block: &[u8]) -> Result<Tree, DecodeError> {
    Tree::from_bytes(block)
        .or_else(|plain| AnnotatedTree::from_bytes(block).map(|it| it.tree).map_err(|_| plain))
}

/// The content of a plain tree: the blocks it lists, joined. For small things such as manifests; large content
/// is streamed with [`Leaves`].
///
/// # Errors
/// As [`Leaves`], a listed block is missing, or the content is longer than `bytes_max`.
pub fn content<E>(
    root: Hash,
    bytes_max: usize,
    mut get: impl FnMut(&Hash) -> Result<Option<Bytes>, E>,
) -> Result<Vec<u8>, WalkError<E>> {
    let mut whole = Vec::new();
    let mut leaves = Leaves::new(root, &mut get);
    while let Some(hashes) = leaves.next().transpose()? {
        for hash in hashes {
            let block = leaves.block(&hash)?;
            if whole.len() + block.len() > bytes_max {
                return Err(WalkError::TooLong { root, bytes_max });
            }
            whole.extend_from_slice(&block);
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use super::*;
    use crate::cbor::Encode;
    use crate::tree::build::{build, build_data};
    use crate::tree::{Crypt, Meta, Shape};

    #[derive(Default)]
    struct Blocks(BTreeMap<Hash, Bytes>);

    impl Blocks {
        fn put(&mut self, value: &impl Encode) -> Hash {
            let block = Bytes::from(value.to_bytes());
            let hash = Hash::of(&block);
            self.0.insert(hash, block);
            hash
        }

        fn node(&mut self, children: Vec<Hash>) -> Hash {
            self.put(&Tree::Node { height: 1, children })
        }

        fn walk(&self, root: Hash) -> Result<Vec<Hash>, WalkError<Infallible>> {
            let leaves: Result<Vec<_>, _> = Leaves::new(root, |hash| Ok(self.0.get(hash).cloned())).collect();
            leaves.map(|leaves| leaves.concat())
        }
    }

    fn names(count: usize) -> Vec<Hash> {
        (0..count).map(|i| Hash::of(&i.to_be_bytes())).collect()
    }

    #[test]
    fn a_walk_gives_back_what_was_built_for_any_shape() {
        for shape in [Shape { leaf: 1, node: 2 }, Shape { leaf: 2, node: 3 }, Shape::LOG] {
            for count in [0, 1, 2, 5, 6, 7, 13, 300] {
                let mut blocks = Blocks::default();
                let root = build(shape, &names(count), |hash, block| drop(blocks.0.insert(hash, block)));
                assert_eq!(blocks.walk(root), Ok(names(count)), "{shape:?} with {count} hashes");
            }
        }
    }

    #[test]
    fn a_child_may_be_an_annotated_tree() {
        let mut blocks = Blocks::default();
        let tree = Tree::Leaf(names(2));
        let inner = blocks.put(&AnnotatedTree { meta: Meta::Short("x".into()), crypt: Crypt::None, tree });
        let root = blocks.node(vec![inner, inner]);
        assert_eq!(blocks.walk(root), Ok([names(2), names(2)].concat()));
    }

    #[test]
    fn a_missing_block_and_a_blob_are_named() {
        let mut blocks = Blocks::default();
        let absent = Hash::of(b"absent");
        let root = blocks.node(vec![absent]);
        assert_eq!(blocks.walk(root), Err(WalkError::Missing { hash: absent }));
        let blob = Hash::of(b"blob");
        blocks.0.insert(blob, Bytes::from_static(b"blob"));
        assert!(matches!(blocks.walk(blob), Err(WalkError::Malformed { hash, .. }) if hash == blob));
    }

    #[test]
    fn hostile_trees_end_in_an_error() {
        let mut blocks = Blocks::default();
        let mut deep = blocks.put(&Tree::Leaf(names(1)));
        for _ in 0..TREE_LEVELS_MAX {
            deep = blocks.node(vec![deep]);
        }
        assert_eq!(blocks.walk(deep), Err(WalkError::TooDeep { root: deep }));

        let mut barren = blocks.node(vec![]);
        for _ in 0..8 {
            barren = blocks.node(vec![barren; 256]);
        }
        assert_eq!(blocks.walk(barren), Err(WalkError::Barren { root: barren }));

        let mut wide = blocks.put(&Tree::Leaf(names(1)));
        for _ in 0..12 {
            wide = blocks.node(vec![wide; 100_000]);
        }
        assert_eq!(blocks.walk(wide), Err(WalkError::TooWide { root: wide }));
    }

    #[test]
    fn content_joins_the_chunks_and_knows_its_limit() {
        let mut blocks = Blocks::default();
        let data = Bytes::from(vec![7; 300_000]);
        let root = build_data(&data, |hash, block| drop(blocks.0.insert(hash, block)));
        let get = |hash: &Hash| Ok::<_, Infallible>(blocks.0.get(hash).cloned());
        assert_eq!(content(root, 300_000, get), Ok(data.to_vec()));
        assert_eq!(content(root, 299_999, get), Err(WalkError::TooLong { root, bytes_max: 299_999 }));
    }
}
