//! Merkle trees: how anything larger than one block is named (docs/spec/tree.md).
//!
//! Data is cut into chunks of 256 KiB, each a block; the list of their hashes becomes a tree of blocks, and the
//! hash of the root block is the name of the whole. Leaves hold `HashRef`s (38 bytes each), nodes hold `Hash`es
//! (36 bytes). An [`AnnotatedTree`] is a root with metadata and encryption facts around it; its block has a hash
//! of its own, which then is the name.
//!
//! [`build`] makes trees, [`walk`] reads them, [`meta`] reads and writes the metadata text, [`sealed`] makes and reads
//! trees whose content only a group can read.

use crate::Hash;
use crate::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use crate::limits::{LEAF_HASHES_MAX, LOG_HASHES_MAX, NODE_CHILDREN_MAX, TREE_HASHES_MAX};

pub mod build;
pub mod meta;
pub mod sealed;
pub mod walk;

/// How many hashes a tree block holds, at most. A writer's choice; readers take any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Hashes in one leaf, at least 1.
    pub leaf: usize,
    /// Children of one node, at least 2.
    pub node: usize,
}

impl Shape {
    /// The shape of data trees.
    pub const DATA: Self = Self { leaf: LEAF_HASHES_MAX, node: NODE_CHILDREN_MAX };
    /// The shape of reflogs and refchan logs.
    pub const LOG: Self = Self { leaf: LOG_HASHES_MAX, node: LOG_HASHES_MAX };
    /// The shape of mailboxes.
    pub const MAILBOX: Self = Self { leaf: 6000, node: 1024 };
    /// The shape of logs of refchan notices.
    pub const NOTICES: Self = Self { leaf: 512, node: 512 };
}

/// One block of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    /// CBOR `[0, [0, height], [Hash]]`.
    Node {
        /// Levels of blocks below; 0 only for the empty tree.
        height: u64,
        /// Tree blocks, left to right.
        children: Vec<Hash>,
    },
    /// CBOR `[1, [HashRef]]`: the hashes that the tree lists.
    Leaf(Vec<Hash>),
}

/// Metadata of an annotated tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meta {
    /// No metadata.
    None,
    /// A text of lines `key: "value"`, readable by everybody even when the tree is encrypted.
    Short(String),
    /// A block that holds the text, or, in an encrypted tree, its encrypted form.
    Block(Hash),
}

/// How the blocks that an annotated tree lists are encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Crypt {
    /// Not at all.
    None,
    /// To one key, block by block. Deprecated: recognised, never read.
    Asymmetric {
        /// Block of the access keys.
        key: Hash,
    },
    /// With a group key; the nonce counts blocks.
    Group1 {
        /// Root of the tree of the group key.
        key: Hash,
        /// What the tree's own key and nonce grow from; any length.
        nonce: Vec<u8>,
    },
    /// With a group key; the nonce depends on the content of each block too.
    Group2 {
        /// Key words of the content hash.
        sip: (u64, u64),
        /// Root of the tree of the group key.
        key: Hash,
        /// What the tree's own key and nonce grow from; any length.
        nonce: Vec<u8>,
    },
}

/// A root with metadata and encryption facts: CBOR `[0, meta, crypt, tree]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnotatedTree {
    /// What is said about the content.
    pub meta: Meta,
    /// How the content is encrypted.
    pub crypt: Crypt,
    /// The root block itself, not its hash.
    pub tree: Tree,
}

impl Tree {
    /// The hashes in this block: children of a node, entries of a leaf.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        match self {
            Self::Node { children, .. } => children,
            Self::Leaf(hashes) => hashes,
        }
    }
}

/// Bytes of one hash in a node, and of one in a leaf.
const NODE_ITEM_BYTES: usize = 36;
const LEAF_ITEM_BYTES: usize = 38;
/// Room for the heads and the break around the list of a tree block, in bytes.
const FRAME_BYTES: usize = 16;

impl Encode for Tree {
    fn encode(&self, e: &mut Encoder) {
        match self {
            Self::Node { height, children } => {
                e.reserve(FRAME_BYTES + NODE_ITEM_BYTES * children.len());
                e.variant(0, 2);
                e.variant(0, 1);
                e.uint(*height);
                e.list(children, Encoder::inner_hash);
            }
            Self::Leaf(hashes) => {
                e.reserve(FRAME_BYTES + LEAF_ITEM_BYTES * hashes.len());
                e.variant(1, 1);
                e.list(hashes, |e, hash| hash.encode(e));
            }
        }
    }
}

impl Decode for Tree {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let start = d.at();
        match d.variant()? {
            (0, 2) => {
                d.record(1)?;
                let height = d.uint()?;
                Ok(Self::Node { height, children: hash_list(d, NODE_ITEM_BYTES, Decoder::inner_hash)? })
            }
            (1, 1) => Ok(Self::Leaf(hash_list(d, LEAF_ITEM_BYTES, Hash::decode)?)),
            _ => Err(DecodeError::new(start, "a tree node or leaf")),
        }
    }
}

/// Reads a list of hashes into one allocation of the right size.
fn hash_list<'a>(
    d: &mut Decoder<'a>,
    item_bytes: usize,
    each: fn(&mut Decoder<'a>) -> Result<Hash, DecodeError>,
) -> Result<Vec<Hash>, DecodeError> {
    let room = Vec::with_capacity((d.rest().len() / item_bytes).min(TREE_HASHES_MAX));
    d.list_into(room, TREE_HASHES_MAX, each)
}

impl Encode for Meta {
    fn encode(&self, e: &mut Encoder) {
        match self {
            Self::None => e.variant(0, 0),
            Self::Short(text) => {
                e.variant(1, 1);
                e.text(text);
            }
            Self::Block(hash) => {
                e.variant(2, 1);
                e.inner_hash(hash);
            }
        }
    }
}

impl Decode for Meta {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let start = d.at();
        match d.variant()? {
            (0, 0) => Ok(Self::None),
            (1, 1) => Ok(Self::Short(d.text()?.to_owned())),
            (2, 1) => Ok(Self::Block(d.inner_hash()?)),
            _ => Err(DecodeError::new(start, "tree metadata")),
        }
    }
}

impl Encode for Crypt {
    fn encode(&self, e: &mut Encoder) {
        match self {
            Self::None => e.variant(0, 0),
            Self::Asymmetric { key } => {
                e.variant(1, 1);
                e.inner_hash(key);
            }
            Self::Group1 { key, nonce } => {
                e.variant(2, 2);
                e.inner_hash(key);
                e.bytes(nonce);
            }
            Self::Group2 { sip, key, nonce } => {
                e.variant(3, 3);
                e.variant(0, 1);
                e.array(2);
                e.uint(sip.0);
                e.uint(sip.1);
                e.inner_hash(key);
                e.bytes(nonce);
            }
        }
    }
}

impl Decode for Crypt {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let start = d.at();
        match d.variant()? {
            (0, 0) => Ok(Self::None),
            (1, 1) => Ok(Self::Asymmetric { key: d.inner_hash()? }),
            (2, 2) => Ok(Self::Group1 { key: d.inner_hash()?, nonce: d.bytes()?.to_vec() }),
            (3, 3) => {
                d.record(1)?;
                d.tuple(2)?;
                let sip = (d.uint()?, d.uint()?);
                Ok(Self::Group2 { sip, key: d.inner_hash()?, nonce: d.bytes()?.to_vec() })
            }
            _ => Err(DecodeError::new(start, "tree encryption")),
        }
    }
}

impl Encode for AnnotatedTree {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 3);
        self.meta.encode(e);
        self.crypt.encode(e);
        self.tree.encode(e);
    }
}

impl Decode for AnnotatedTree {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(3)?;
        Ok(Self { meta: Meta::decode(d)?, crypt: Crypt::decode(d)?, tree: Tree::decode(d)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tree: &Tree, head: &[u8], bytes: usize) {
        let form = tree.to_bytes();
        assert_eq!((&form[..head.len()], form.len()), (head, bytes));
        assert_eq!(Tree::from_bytes(&form).as_ref(), Ok(tree));
    }

    #[test]
    fn leaves_hold_38_bytes_for_a_hash_and_nodes_36() {
        let hashes = vec![Hash::of(b"x"); 1024];
        check(&Tree::Leaf(hashes.clone()), &[0x82, 0x01, 0x9f], 4 + 38 * 1024);
        check(&Tree::Node { height: 1, children: hashes }, &[0x83, 0, 0x82, 0, 1, 0x9f], 7 + 36 * 1024);
        check(&Tree::Node { height: 0, children: vec![] }, &[0x83, 0, 0x82, 0, 0, 0x80], 6);
    }

    #[test]
    fn an_annotated_tree_is_no_plain_tree() {
        let tree = AnnotatedTree { meta: Meta::None, crypt: Crypt::None, tree: Tree::Leaf(vec![]) };
        assert_eq!(tree.to_bytes(), [0x84, 0, 0x81, 0, 0x81, 0, 0x82, 1, 0x80]);
        assert!(Tree::from_bytes(&tree.to_bytes()).is_err());
    }
}
