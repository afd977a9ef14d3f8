//! Making trees: from hashes to tree blocks, from data to chunks (docs/spec/tree.md).
//!
//! The shape is part of the format, because it decides the root hash: hashes are grouped into leaves; while
//! there are more children than a node may hold, groups of children become nodes. A group that consists of a
//! single leaf gets no node above it; a group that consists of a single node does.

use bytes::Bytes;

use super::{AnnotatedTree, Crypt, Meta, Shape, Tree};
use crate::Hash;
use crate::cbor::{Decode, Encode};
use crate::limits::CHUNK_BYTES;

/// A block already emitted, on its way to a parent.
#[derive(Clone, Copy)]
struct Child {
    hash: Hash,
    /// 1 for a leaf; for a node one more than its height.
    level: u64,
}

/// Builds the tree that lists `hashes` and gives every tree block to `emit`, children before parents. Returns
/// the hash of the root.
///
/// # Panics
/// If `shape` has a leaf of 0 or a node of less than 2; shapes are constants of the program.
pub fn build(shape: Shape, hashes: &[Hash], mut emit: impl FnMut(Hash, Bytes)) -> Hash {
    assert!(shape.leaf >= 1, "a leaf holds something");
    let leaves: Vec<Hash> = hashes.chunks(shape.leaf).map(|leaf| put(leaf_of(leaf), &mut emit)).collect();
    build_above(shape, &leaves, emit)
}

/// Builds the nodes above leaf blocks that exist already, for writers that change few leaves of a long list. Gives
/// the node blocks to `emit`, children before parents. Returns the hash of the root, which is the leaf itself when
/// there is but one.
///
/// # Panics
/// If `shape` has a node of less than 2; shapes are constants of the program.
pub fn build_above(shape: Shape, leaves: &[Hash], mut emit: impl FnMut(Hash, Bytes)) -> Hash {
    assert!(shape.node >= 2, "a tree of shape {shape:?} does not get smaller upwards");
    let mut children: Vec<Child> = leaves.iter().map(|hash| Child { hash: *hash, level: 1 }).collect();
    while children.len() > shape.node {
        children = children
            .chunks(shape.node)
            .map(|group| match group {
                [leaf @ Child { level: 1, .. }] => *leaf,
                group => join(group, &mut emit),
            })
            .collect();
    }
    match children.as_slice() {
        [leaf @ Child { level: 1, .. }] => leaf.hash,
        children => join(children, &mut emit).hash,
    }
}

/// Builds the annotated tree that lists `hashes` and gives its blocks to `emit`, children before parents. The plain root
/// stands inside the annotated block and is not emitted by itself. Returns the hash of the annotated block.
///
/// # Panics
/// As [`build`].
pub fn build_annotated(
    shape: Shape,
    hashes: &[Hash],
    meta: Meta,
    crypt: Crypt,
    mut emit: impl FnMut(Hash, Bytes),
) -> Hash {
    let mut last = None;
    build(shape, hashes, |hash, block| {
        if let Some((hash, block)) = last.replace((hash, block)) {
            emit(hash, block);
        }
    });
    let (_, root) = last.expect("every tree has a root");
    let tree = Tree::from_bytes(&root).expect("the root was written just now");
    let block = Bytes::from(AnnotatedTree { meta, crypt, tree }.to_bytes());
    let hash = Hash::of(&block);
    emit(hash, block);
    hash
}

/// The leaf block that lists `hashes`, with its name.
#[must_use]
pub fn leaf_block(hashes: &[Hash]) -> (Hash, Bytes) {
    let block = Bytes::from(leaf_of(hashes).to_bytes());
    (Hash::of(&block), block)
}

fn leaf_of(hashes: &[Hash]) -> Tree {
    Tree::Leaf(hashes.to_vec())
}

fn put(tree: Tree, emit: &mut impl FnMut(Hash, Bytes)) -> Hash {
    let block = Bytes::from(tree.to_bytes());
    let hash = Hash::of(&block);
    emit(hash, block);
    hash
}

fn join(children: &[Child], emit: &mut impl FnMut(Hash, Bytes)) -> Child {
    let height = children.iter().map(|child| child.level).max().unwrap_or(0);
    let children = children.iter().map(|child| child.hash).collect();
    Child { hash: put(Tree::Node { height, children }, emit), level: height + 1 }
}

/// `data` cut into the chunks that become its blocks: 256 KiB each, the last may be shorter; none for no data.
pub fn chunks(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    data.chunks(CHUNK_BYTES)
}

/// Stores `data` as a tree: gives its chunks and then the tree blocks to `emit`, without copying the data.
/// Returns the hash of the root.
pub fn build_data(data: &Bytes, mut emit: impl FnMut(Hash, Bytes)) -> Hash {
    let chunks: Vec<&[u8]> = chunks(data).collect();
    let hashes = Hash::of_many(&chunks);
    for (hash, chunk) in hashes.iter().zip(&chunks) {
        emit(*hash, data.slice_ref(chunk));
    }
    build(Shape::DATA, &hashes, emit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_list_is_an_empty_node() {
        let mut blocks = vec![];
        let root = build(Shape::DATA, &[], |hash, block| blocks.push((hash, block)));
        assert_eq!(root.to_string(), "56JXzPzJQzaC9PuniQ7zHCPjedLhyc8vBjn3RtcwfXDt");
        assert_eq!(blocks, [(root, Bytes::from_static(&[0x83, 0, 0x82, 0, 0, 0x80]))]);
    }

    #[test]
    fn the_root_is_emitted_last_and_once() {
        let hashes: Vec<Hash> = (0..7u8).map(|i| Hash::of(&[i])).collect();
        let mut blocks = vec![];
        let root = build(Shape { leaf: 1, node: 2 }, &hashes, |hash, _| blocks.push(hash));
        assert_eq!(blocks.iter().rposition(|hash| *hash == root), Some(blocks.len() - 1));
        assert_eq!(blocks.iter().filter(|hash| **hash == root).count(), 1);
    }

    #[test]
    fn nodes_above_given_leaves_are_those_of_the_whole_list() {
        let hashes: Vec<Hash> = (0..200u8).map(|i| Hash::of(&[i])).collect();
        for count in [0, 1, 2, 3, 18, 19, 200] {
            let shape = Shape { leaf: 3, node: 2 };
            let leaves: Vec<Hash> =
                hashes[..count].chunks(shape.leaf).map(|leaf| leaf_block(leaf).0).collect();
            let whole = build(shape, &hashes[..count], |_, _| ());
            assert_eq!(build_above(shape, &leaves, |_, _| ()), whole, "{count} hashes");
        }
    }

    #[test]
    fn an_annotated_tree_has_the_blocks_of_the_plain_one_and_its_own_root() {
        for count in [0, 1, 2, 7] {
            let hashes: Vec<Hash> = (0..count).map(|i| Hash::of(&[i])).collect();
            let shape = Shape { leaf: 1, node: 2 };
            let (mut plain, mut annotated) = (vec![], vec![]);
            build(shape, &hashes, |_, block| plain.push(block));
            let root = build_annotated(shape, &hashes, Meta::None, Crypt::None, |hash, block| {
                assert_eq!(hash, Hash::of(&block));
                annotated.push(block);
            });
            let block = annotated.pop().unwrap();
            assert_eq!(root, Hash::of(&block));
            let inner = AnnotatedTree::from_bytes(&block).unwrap().tree;
            assert_eq!(Some(inner.to_bytes().into()), plain.pop(), "{count} hashes");
            assert_eq!(annotated, plain, "{count} hashes");
        }
    }

    #[test]
    fn a_text_is_one_chunk_under_one_leaf() {
        let mut blocks = vec![];
        let root = build_data(&Bytes::from_static(b"hello"), |hash, block| blocks.push((hash, block)));
        assert_eq!(root.to_string(), "ArdzKVNBiUhHsDqKZwpNinzdNhuQefCFZqNyVubpbW8g");
        assert_eq!(blocks.len(), 2);
        assert_eq!(blocks[0], (Hash::of(b"hello"), Bytes::from_static(b"hello")));
    }
}
