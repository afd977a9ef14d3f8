//! What kind of block this is, and what it names (docs/spec/inspect.md).
//!
//! A block does not say its type; readers try forms in a fixed order and the first that fits a *prefix* of the
//! block wins. This must agree with the original bit by bit, because it decides what a recursive download
//! fetches. So the matcher here is lenient where the decoders of the values are strict: a hash may have any
//! length, an integer any size, bytes after the value do not matter.

use crate::Hash;
use crate::cbor::{DecodeError, Decoder};

/// The kinds of block that a peer tells apart, in the order in which they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`AnnotatedTree`](crate::AnnotatedTree).
    AnnotatedTree,
    /// [`AnnotatedRef`](crate::AnnotatedRef).
    AnnotatedRef,
    /// [`Tree`](crate::Tree): a node or a leaf.
    Tree,
    /// [`SequentialRef`](crate::SequentialRef).
    SequentialRef,
    /// Anything else.
    Blob,
}

/// The kind of `block`.
#[must_use]
pub fn kind(block: &[u8]) -> Kind {
    find(block, &mut |_| ())
}

/// Every hash in `block` that a recursive download must fetch next, in the order of the block, repeats included:
/// children of a node, entries of a leaf, metadata and key blocks of an annotated tree, annotation and target
/// of a pointer. Hashes of another length than 32 bytes name nothing and are left out. A blob has none.
#[must_use]
pub fn links(block: &[u8]) -> Vec<Hash> {
    let mut links = Vec::new();
    let kind = find(block, &mut |hash| links.extend(hash.try_into().map(Hash::from_bytes)));
    if kind == Kind::Blob { Vec::new() } else { links }
}

/// Whether `block` may have links: a look at its first bytes. False means that it is certainly a blob; true means
/// that only [`kind`] knows.
#[must_use]
pub fn may_link(block: &[u8]) -> bool {
    let mut d = Decoder::new(block);
    match d.variant() {
        Ok((0, 3) | (1, 1)) => is_array(&d),
        Ok((0, 2)) => is_array(&d) || skip_integer(&mut d).is_ok(),
        _ => false,
    }
}

fn is_array(d: &Decoder<'_>) -> bool {
    d.peek().is_some_and(|byte| byte >> 5 == 4)
}

type Matched = Result<(), DecodeError>;

/// Tries the forms in order, each from the start. Their heads differ, so at most one of them gives hashes to
/// `sink`; when that one fails in the end the block is a blob, and the caller drops what it was given.
fn find(block: &[u8], sink: &mut impl FnMut(&[u8])) -> Kind {
    let d = Decoder::new(block);
    if !may_link(block) {
        Kind::Blob
    } else if annotated_tree(&mut d.clone(), sink).is_ok() {
        Kind::AnnotatedTree
    } else if annotated_ref(&mut d.clone(), sink).is_ok() {
        Kind::AnnotatedRef
    } else if tree(&mut d.clone(), sink).is_ok() {
        Kind::Tree
    } else if sequential_ref(&mut d.clone(), sink).is_ok() {
        Kind::SequentialRef
    } else {
        Kind::Blob
    }
}

fn annotated_tree(d: &mut Decoder<'_>, sink: &mut impl FnMut(&[u8])) -> Matched {
    d.record(3)?;
    meta(d, sink)?;
    crypt(d, sink)?;
    tree(d, sink)
}

fn meta(d: &mut Decoder<'_>, sink: &mut impl FnMut(&[u8])) -> Matched {
    match d.variant()? {
        (0, 0) => Ok(()),
        (1, 1) => d.text().map(drop),
        (2, 1) => hash(d, sink),
        _ => Err(d.error("tree metadata")),
    }
}

fn crypt(d: &mut Decoder<'_>, sink: &mut impl FnMut(&[u8])) -> Matched {
    match d.variant()? {
        (0, 0) => Ok(()),
        (1, 1) => hash(d, sink),
        (2, 2) => {
            hash(d, sink)?;
            d.bytes().map(drop)
        }
        (3, 3) => {
            d.record(1)?;
            d.tuple(2)?;
            d.uint()?;
            d.uint()?;
            hash(d, sink)?;
            d.bytes().map(drop)
        }
        _ => Err(d.error("tree encryption")),
    }
}

fn tree(d: &mut Decoder<'_>, sink: &mut impl FnMut(&[u8])) -> Matched {
    match d.variant()? {
        (0, 2) => {
            d.record(1)?;
            skip_integer(d)?;
            each(d, |d| hash(d, sink))
        }
        (1, 1) => each(d, |d| hash_ref(d, sink)),
        _ => Err(d.error("a tree node or leaf")),
    }
}

fn annotated_ref(d: &mut Decoder<'_>, sink: &mut impl FnMut(&[u8])) -> Matched {
    d.record(2)?;
    d.maybe(|d| hash_ref(d, sink))?;
    hash_ref(d, sink)
}

fn sequential_ref(d: &mut Decoder<'_>, sink: &mut impl FnMut(&[u8])) -> Matched {
    d.record(2)?;
    skip_integer(d)?;
    annotated_ref(d, sink)
}

/// A list of any length, without a vector: every item takes at least one byte, so the block is the limit.
fn each(d: &mut Decoder<'_>, mut item: impl FnMut(&mut Decoder<'_>) -> Matched) -> Matched {
    match d.list_head()? {
        Some(count) => (0..count).try_for_each(|_| item(d)),
        None => {
            while !d.eat_break() {
                item(d)?;
            }
            Ok(())
        }
    }
}

fn hash_ref(d: &mut Decoder<'_>, sink: &mut impl FnMut(&[u8])) -> Matched {
    if let Some(bytes) = d.array_after::<32>(&[0x82, 0x00, 0x82, 0x00, 0x58, 0x20]) {
        sink(&bytes);
        return Ok(());
    }
    d.record(1)?;
    hash(d, sink)
}

fn hash(d: &mut Decoder<'_>, sink: &mut impl FnMut(&[u8])) -> Matched {
    d.record(1)?;
    sink(d.bytes()?);
    Ok(())
}

/// An integer of any size.
fn skip_integer(d: &mut Decoder<'_>) -> Matched {
    if d.bignum()?.is_some() { Ok(()) } else { d.integer().map(drop) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hex: &str, kind_expected: Kind, links_expected: usize) {
        let block = hex::decode(hex).unwrap();
        assert_eq!((kind(&block), links(&block).len()), (kind_expected, links_expected), "{hex}");
    }

    #[test]
    fn an_empty_leaf_is_found_in_any_block_that_starts_so() {
        check("820180", Kind::Tree, 0);
        check("8201806a756e6b", Kind::Tree, 0);
        check("82019fff", Kind::Tree, 0);
        check("8218019fff", Kind::Tree, 0);
        check("9f0180ff", Kind::Blob, 0);
    }

    #[test]
    fn a_short_hash_is_seen_but_names_nothing() {
        check("8201818200820041aa", Kind::Tree, 0);
    }

    #[test]
    fn an_integer_has_any_size() {
        let hash = format!("820082005820{}", "11".repeat(32));
        check(&format!("830020830080{hash}"), Kind::SequentialRef, 1);
        check(&format!("8300c25820{}830080{hash}", "ff".repeat(32)), Kind::SequentialRef, 1);
        check(&format!("83008200c25820{}80", "ff".repeat(32)), Kind::Tree, 0);
        check(&format!("83008200f5{hash}"), Kind::Blob, 0);
    }

    #[test]
    fn a_list_that_promises_too_much_is_a_blob() {
        check("82019bffffffffffffffff", Kind::Blob, 0);
        check("82019f8200820041aa", Kind::Blob, 0);
    }
}
