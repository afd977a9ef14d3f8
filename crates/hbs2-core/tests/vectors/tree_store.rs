//! Whole files as trees: sizes around the borders of chunks and leaves, up to 256 MiB and one byte.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use hbs2_core::limits::CHUNK_BYTES;
use hbs2_core::tree::build::{build, chunks};
use hbs2_core::{Hash, Shape};

use crate::support::{Fields, Value, cases, file};

/// The content `byte[i] = i mod 251` without ever being whole in memory: it repeats after 251 bytes, so each
/// chunk is a window of one short buffer.
struct Content {
    period: Vec<u8>,
    bytes: usize,
}

impl Content {
    const PERIOD_BYTES: usize = 251;

    fn new(bytes: usize) -> Self {
        let period = (0..CHUNK_BYTES + Self::PERIOD_BYTES).map(|i| (i % Self::PERIOD_BYTES) as u8).collect();
        Self { period, bytes }
    }

    fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.bytes).step_by(CHUNK_BYTES).map(|at| {
            let start = at % Self::PERIOD_BYTES;
            &self.period[start..start + CHUNK_BYTES.min(self.bytes - at)]
        })
    }

    /// The hash of every chunk. A chunk repeats when its window does, so few are ever hashed.
    fn hashes(&self) -> Vec<Hash> {
        let mut known = BTreeMap::new();
        self.chunks()
            .map(|chunk| *known.entry((chunk[0], chunk.len())).or_insert_with(|| Hash::of(chunk)))
            .collect()
    }
}

fn sizes(list: &Value) -> BTreeSet<(Hash, u64)> {
    list.as_array().unwrap().iter().map(|block| (block.parsed("hash"), block.number("size"))).collect()
}

fn check(case: &Value) {
    let bytes = case.number("size") as usize;
    assert_eq!(case.text("formula"), "byte[i] = (i + 0) mod 251");
    let content = Content::new(bytes);
    assert_eq!(
        Hash::of_parts(content.chunks()),
        case.parsed("content_blake2b256_b58"),
        "content of {bytes} bytes"
    );

    let hashes = content.hashes();
    let mut tree: BTreeMap<Hash, Bytes> = BTreeMap::new();
    let root = build(Shape::DATA, &hashes, |hash, block| drop(tree.insert(hash, block)));
    assert_eq!(root, case.parsed("root"), "{bytes} bytes");
    assert_eq!(tree[&root], case.hex("root_block_hex"));
    assert_eq!(hashes.len() as u64, case.number("leaf_count"));

    let tree_sizes: BTreeSet<(Hash, u64)> =
        tree.iter().map(|(hash, block)| (*hash, block.len() as u64)).collect();
    let chunk_sizes = hashes.iter().zip(content.chunks()).map(|(hash, chunk)| (*hash, chunk.len() as u64));
    let all: BTreeSet<(Hash, u64)> = chunk_sizes.chain(tree_sizes.iter().copied()).collect();
    assert_eq!(all.len() as u64, case.number("distinct_blocks"));
    if case["blocks"].is_array() {
        assert_eq!(all, sizes(&case["blocks"]));
    } else {
        assert_eq!(tree_sizes, sizes(&case["tree_blocks"]));
        assert!(tree.iter().all(|(hash, block)| file(&format!("tree/blocks/{hash}")) == *block));
    }

    let listing: String = hashes.iter().map(|hash| format!("{hash}\n")).collect();
    assert_eq!(Hash::of(listing.as_bytes()), case.parsed("leaf_list_blake2b256_of_joined_text_b58"));
    if let Some(printed) = case["cat_H_stdout"].as_str() {
        assert_eq!(listing, printed);
    }
}

#[test]
fn files_of_any_size_have_the_blocks_of_the_original() {
    cases("tree/store-sizes.json", "vectors").iter().for_each(check);
}

#[test]
fn files_around_one_full_leaf_have_their_shape() {
    // One byte less than a full leaf, a full leaf, and one byte more: 1024 chunks are a leaf, 1025 need a node.
    let full = CHUNK_BYTES * 1024;
    for (bytes, blocks) in [(full - 1, 1), (full, 1), (full + 1, 3)] {
        let mut count = 0;
        build(Shape::DATA, &Content::new(bytes).hashes(), |_, _| count += 1);
        assert_eq!(count, blocks, "{bytes} bytes");
    }
}

#[test]
fn small_texts_have_the_root_of_the_original() {
    for case in cases("tree/small-texts.json", "vectors") {
        let data = case.hex("input_hex");
        let hashes: Vec<Hash> = chunks(&data).map(Hash::of).collect();
        let mut last = None;
        let root = build(Shape::DATA, &hashes, |_, block| last = Some(block));
        assert_eq!(root, case.parsed("root"));
        assert_eq!(last.unwrap(), case.hex("cat_raw_hex"));
        assert_eq!(Hash::of(&data), case.parsed("hbs2_hash_stdout"));
    }
}
