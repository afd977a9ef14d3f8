//! Bundles.

use hbs2_core::bundle::{self, BundleRef, Unpacker};
use hbs2_core::tree::build::build_data;
use hbs2_core::{Hash, Tree};

use crate::support::{Fields, cases, file, h1, json, value};

fn unpack(stream: &[u8]) -> Vec<(Hash, Vec<u8>)> {
    let mut unpacker = Unpacker::new();
    unpacker.push(stream);
    let blocks = std::iter::from_fn(|| unpacker.block().unwrap()).collect();
    unpacker.finish().unwrap();
    blocks
}

#[test]
fn bundles_are_unpacked_and_packed_again() {
    for case in cases("bundle/manifest.json", "vectors") {
        let stream = file(&format!("bundle/{}", case.text("stream")));
        assert_eq!(build_data(&stream.clone().into(), |_, _| ()), case.parsed("bundle"));
        let blocks = unpack(&stream);
        let listing: String = blocks.iter().map(|(hash, _)| format!("{hash}\n")).collect();
        assert_eq!(listing, case.text("list_stdout"), "{}", case.text("name"));
        let sections = blocks.iter().map(|(hash, block)| bundle::section(hash, block));
        let ours: Vec<u8> = bundle::head().into_iter().chain(sections.flatten()).collect();
        assert_eq!(unpack(&ours), blocks);
    }
}

#[test]
fn a_bundled_tree_stands_before_its_chunks() {
    let blocks = unpack(&file("bundle/stream-1.bin"));
    let (root, chunks) = blocks.split_first().unwrap();
    let content: Vec<u8> = (0..600_000).map(|i| ((i + 1) % 251) as u8).collect();
    assert_eq!(build_data(&content.clone().into(), |_, _| ()), root.0);
    let listed: Vec<Hash> = chunks.iter().map(|(hash, _)| *hash).collect();
    assert_eq!(crate::support::round_trip::<Tree>(&root.1), Tree::Leaf(listed));
    assert!(chunks.iter().flat_map(|(_, chunk)| chunk).eq(&content));
}

#[test]
fn the_fixtures_have_the_form_of_the_original() {
    assert_eq!(value::<BundleRef>("bundle", "BundleRefSimple"), BundleRef { bundle: h1() });
    let case = &json("bundle/format.json")["bundle"][0];
    assert_eq!(unpack(&case.hex("stream_hex")), [(Hash::of(b"hello"), b"hello".to_vec())]);
    assert_eq!(bundle::head()[..], case.hex("stream_hex")[..64]);
    let ours = bundle::section(&Hash::of(b"hello"), b"hello");
    assert_eq!(ours[5..64], case.hex("stream_hex")[64 + 5..128], "the head but for the compressed size");
}
