//! Tree blocks, shapes and roots.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write;

use bytes::Bytes;
use hbs2_core::tree::build::{build, build_data};
use hbs2_core::tree::walk::Leaves;
use hbs2_core::tree::{meta, walk};
use hbs2_core::{AnnotatedTree, Crypt, Encode, Hash, Meta, Shape, Tree};

use crate::support::{Fields, H0, Value, cases, h1, round_trip, value};

#[test]
fn tree_blocks_have_the_form_of_the_original() {
    let leaf = || Tree::Leaf(vec![h1()]);
    assert_eq!(value::<Tree>("tree", "MTree leaf [h1]"), leaf());
    assert_eq!(value::<Tree>("tree", "MTree leaf [h1,h0]"), Tree::Leaf(vec![h1(), H0]));
    assert_eq!(value::<Tree>("tree", "MTree node h=1 [h1]"), Tree::Node { height: 1, children: vec![h1()] });
    let annotated = |meta, crypt| AnnotatedTree { meta, crypt, tree: leaf() };
    assert_eq!(
        value::<AnnotatedTree>("tree", "MTreeAnn NoMeta Null leaf[h1]"),
        annotated(Meta::None, Crypt::None)
    );
    assert_eq!(
        value::<AnnotatedTree>("tree", "MTreeAnn AnnHashRef Asymm"),
        annotated(Meta::Block(h1()), Crypt::Asymmetric { key: h1() })
    );
    assert_eq!(
        value::<AnnotatedTree>("tree", "MTreeAnn Symm1"),
        annotated(Meta::None, Crypt::Group1 { key: h1(), nonce: b"nonce".to_vec() })
    );
}

#[test]
fn annotations_of_encrypted_trees_are_written_again() {
    for case in cases("tree/format.json", "annotated_encrypted") {
        let bytes = case.hex("root_block_hex");
        assert_eq!(Hash::of(&bytes), case.parsed("root_b58"));
        assert_ne!(round_trip::<AnnotatedTree>(&bytes).crypt, Crypt::None);
    }
}

fn shape(case: &Value) -> Shape {
    Shape { leaf: case.number("leaf") as usize, node: case.number("children") as usize }
}

/// The hashes of the decimal numbers from 1 to `n`.
fn numbered(n: u64) -> Vec<Hash> {
    (1..=n).map(|i| Hash::of(i.to_string().as_bytes())).collect()
}

#[test]
fn lists_have_the_root_of_the_original() {
    for list in ["list_tree", "small_tree_root"] {
        for case in cases("tree/format.json", list) {
            let root = build(shape(&case), &numbered(case.number("n")), |_, _| ());
            assert_eq!(root, case.parsed("root_b58"), "{}", case.text("name"));
        }
    }
    let further = [
        (Shape::DATA, 1025, "9q4g72vWfGqvE2U5YUvHYNGWf8kQRE7PeVTknCg4AjYt"),
        (Shape::LOG, 65537, "4K2ybZjQ7bPyZo7qmjJXcEpQP4wBumCXQEpPBJiT6snP"),
    ];
    for (shape, n, root) in further {
        assert_eq!(build(shape, &numbered(n), |_, _| ()).to_string(), root);
    }
}

/// A tree drawn as the vectors draw it: `T(…)` for a node, `[1,2]` for a leaf.
fn draw(out: &mut String, blocks: &BTreeMap<Hash, Bytes>, names: &BTreeMap<Hash, usize>, root: Hash) {
    match round_trip(&blocks[&root]) {
        Tree::Leaf(hashes) => {
            let numbers: Vec<String> = hashes.iter().map(|hash| names[hash].to_string()).collect();
            write!(out, "[{}]", numbers.join(",")).unwrap();
        }
        Tree::Node { children, .. } => {
            out.push_str("T(");
            for (i, child) in children.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { " " });
                draw(out, blocks, names, *child);
            }
            out.push(')');
        }
    }
}

#[test]
fn trees_have_the_shape_of_the_original() {
    for case in cases("tree/format.json", "tree_shape") {
        let hashes = numbered(case.number("n"));
        let mut blocks = BTreeMap::new();
        let root = build(shape(&case), &hashes, |hash, block| drop(blocks.insert(hash, block)));
        let names = hashes.iter().enumerate().map(|(i, hash)| (*hash, i + 1)).collect();
        let mut drawn = String::new();
        draw(&mut drawn, &blocks, &names, root);
        assert_eq!(drawn, case.text("shape"), "{}", case.text("name"));
    }
}

/// `pat(n)`: n bytes `i mod 251`.
fn pattern(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i % 251) as u8).collect()
}

#[test]
fn data_has_the_root_of_the_original_and_is_read_back() {
    for case in cases("tree/format.json", "data_tree") {
        let input = case.text("input");
        let data = match input.strip_prefix("pat(") {
            Some(n) => pattern(n.trim_end_matches(')').parse().unwrap()),
            None => input.replace("empty", "").into_bytes(),
        };
        let mut blocks = BTreeMap::new();
        let root = build_data(&Bytes::from(data.clone()), |hash, block| drop(blocks.insert(hash, block)));
        assert_eq!(root, case.parsed("root_b58"), "{input}");
        assert_eq!(blocks[&root], case.hex("root_block_hex"));
        let get = |hash: &Hash| Ok::<_, Infallible>(blocks.get(hash).cloned());
        assert_eq!(walk::content(root, data.len(), get), Ok(data), "{input}");
    }
}

#[test]
fn short_metadata_is_the_text_of_the_original() {
    for case in cases("tree/short-meta.json", "vectors") {
        let bytes = case.hex("root_block_hex");
        let tree: AnnotatedTree = round_trip(&bytes);
        assert_eq!(Hash::of(&bytes), case.parsed("root"));
        assert_eq!(hbs2_core::base58::decode(case.text("meta_arg")), Ok(case.hex("meta_bytes_hex")));
        let text = meta::from_latin1(&case.hex("meta_bytes_hex"));
        assert_eq!(case["metadata_dump"].hex("stdout_hex"), text.as_bytes());
        assert_eq!(tree.meta, Meta::Short(text.clone()));

        let mut plain = None;
        let data = Bytes::from(case.hex("input_hex"));
        let root = build_data(&data, |hash, block| plain = Some((hash, block)));
        let (hash, block) = plain.unwrap();
        let ours = AnnotatedTree { meta: Meta::Short(text), crypt: Crypt::None, tree: round_trip(&block) };
        assert_eq!((hash, ours.to_bytes()), (root, bytes));
    }
}

#[test]
fn metadata_lines_stand_in_table_order() {
    for case in cases("tree/metadata.json", "vectors") {
        let tree: AnnotatedTree = round_trip(&case.hex("root_block_hex"));
        let Meta::Short(text) = tree.meta else { panic!("{} has a short text", case.text("root")) };
        assert_eq!(text, case["hbs2_metadata_dump"].text("stdout"));
        let mut pairs: Vec<(&str, &str)> = text
            .lines()
            .map(|line| line.split_once(": ").unwrap())
            .map(|(key, value)| (key, value.trim_matches('"')))
            .collect();
        assert!(pairs.iter().all(|(key, value)| meta::value(&text, key) == Some(value)));
        pairs.sort();
        hbs2_core::order::sort_by_table(&mut pairs, |(key, _)| key.as_bytes());
        assert_eq!(meta::text(pairs), text);
    }
}

#[test]
fn the_manifest_of_the_first_public_repository_has_its_name() {
    let text = "(hbs2-git 3)\n(seed 15200703225588472373)\n(public)\n\
                (reflog G7tbCgFxgULK8U2NZZUthG5dB62cwLb62MgPM1UuadTk)";
    assert_eq!(text.len(), 103);
    let mut blocks = BTreeMap::new();
    let mut put = |hash: Hash, block: Bytes| drop(blocks.insert(hash, block));
    let plain = build_data(&Bytes::from(text), &mut put);
    assert_eq!(Hash::of(text.as_bytes()).to_string(), "4tkUW828Trk6QZcQfUy7zEWPUQ6VjhsAyRvBH8UyKiCi");

    let tree = round_trip(&blocks[&plain]);
    let annotated = AnnotatedTree { meta: Meta::Short(String::new()), crypt: Crypt::None, tree };
    let manifest = Hash::of(&annotated.to_bytes());
    assert_eq!(manifest.to_string(), "63rVF2w1xLKHjD7bihEuB8gkhMRuMzfUVxzEe2jD5VN8");
    blocks.insert(manifest, annotated.to_bytes().into());

    let root = build(Shape::DATA, &[manifest], |hash, block| drop(blocks.insert(hash, block)));
    assert_eq!(root.to_string(), "42nttBEUkzzZRx3sHnH1sUvYYSUAPY6iL5xsKRfBQ8Rd");

    let get = |hash: &Hash| Ok::<_, Infallible>(blocks.get(hash).cloned());
    let listed: Result<Vec<_>, _> = Leaves::new(root, get).collect();
    assert_eq!(listed.unwrap(), [[manifest]]);
    assert_eq!(walk::content(manifest, 1024, get), Ok(text.as_bytes().to_vec()));
}
