//! Kinds of blocks and their links.

use std::collections::BTreeMap;

use hbs2_core::Hash;
use hbs2_core::inspect::{self, Kind};
use hbs2_core::{Decode, Tree};

use crate::support::{Fields, Value, cases, h1, json};

/// The kind that the name of a crafted block promises.
fn promised(name: &str) -> Kind {
    match name {
        _ if name.starts_with("annotated") => Kind::AnnotatedTree,
        _ if name.starts_with("AnnotatedHashRef") => Kind::AnnotatedRef,
        _ if name.starts_with("SequentialRef") => Kind::SequentialRef,
        _ if ["leaf", "node", "empty leaf", "empty node"].iter().any(|head| name.starts_with(head)) => {
            Kind::Tree
        }
        _ => Kind::Blob,
    }
}

#[test]
fn crafted_blocks_have_the_kind_the_original_sees() {
    for case in cases("inspect/detection.json", "vectors") {
        let block = case.hex("block_hex");
        assert_eq!(inspect::kind(&block), promised(case.text("name")), "{}", case.text("name"));
        // The original prints a blob as it is, and the content of anything else.
        let printed_as_it_is = case["cat"].hex("stdout_hex") == block;
        assert!(printed_as_it_is || promised(case.text("name")) != Kind::Blob);
    }
}

/// What the original calls the references of a block leaves out the entries of leaves, which it walks.
fn without_leaf_entries(block: &[u8], links: &[Hash]) -> Vec<Hash> {
    let entries = match inspect::kind(block) {
        Kind::Tree => tree_entries(block),
        Kind::AnnotatedTree => {
            let tree = hbs2_core::AnnotatedTree::from_bytes(block).unwrap().tree;
            if let Tree::Leaf(entries) = tree { entries.len() } else { 0 }
        }
        _ => 0,
    };
    links[..links.len() - entries].to_vec()
}

fn tree_entries(block: &[u8]) -> usize {
    match Tree::from_bytes(block) {
        Ok(Tree::Leaf(entries)) => entries.len(),
        _ => 0,
    }
}

fn printed(text: &str) -> Vec<Hash> {
    text.split('"').filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn links_are_the_references_of_the_original_and_the_entries_of_leaves() {
    for case in cases("inspect/detection.json", "vectors") {
        let block = case.hex("block_hex");
        let links = inspect::links(&block);
        assert_eq!(
            without_leaf_entries(&block, &links),
            printed(case.text("tree_refs_stdout")),
            "{}",
            case.text("name")
        );
    }
}

/// The blocks that a download of `root` finds absent, each once, through what is present.
fn missing(store: &BTreeMap<Hash, Vec<u8>>, root: Hash) -> Vec<Hash> {
    let (mut absent, mut queue) = (Vec::new(), vec![root]);
    while let Some(hash) = queue.pop() {
        match store.get(&hash) {
            Some(block) => queue.extend(inspect::links(block)),
            None if absent.contains(&hash) => {}
            None => absent.push(hash),
        }
    }
    absent.sort();
    absent
}

#[test]
fn following_links_finds_what_the_original_misses() {
    let manifest = json("inspect/detection.json");
    let all = cases("inspect/detection.json", "vectors");
    let leaves = [&manifest["leafA"], &manifest["leafB"]].map(|leaf| leaf.hex("hex"));
    let mut store: BTreeMap<Hash, Vec<u8>> =
        leaves.into_iter().map(|block| (Hash::of(&block), block)).collect();
    for case in &all {
        store.insert(case.parsed("hash"), case.hex("block_hex"));
    }
    let inner: Hash = manifest.parsed("inner_leaf");
    let leaf =
        all.iter().find(|case| case.text("name") == "annotated, no meta, no crypt").unwrap().hex("block_hex");
    store.insert(inner, leaf[6..].to_vec());
    assert_eq!(Hash::of(&store[&inner]), inner, "the inner leaf stands inside the annotated tree");

    for case in &all {
        let mut expected = printed(case.text("tree_missed_stdout"));
        expected.sort();
        expected.dedup();
        assert_eq!(missing(&store, case.parsed("hash")), expected, "{}", case.text("name"));
    }
}

#[test]
fn lenient_forms_are_seen_as_the_original_sees_them() {
    let hash_ref = "82008200582000".to_owned() + &"00".repeat(31);
    let block = |name: &str| match name {
        "empty" => String::new(),
        "830082000080 + junk" => "8300820000806a756e6b".into(),
        "82019fff (indef empty)" => "82019fff".into(),
        "82 01 81 href short hash" => "82018182008200 41aa".replace(' ', ""),
        "82 18 01 80 (noncanonical tag)" => "82180180".into(),
        "node with href indefinite bytes" => "8300820001 81 82005f4101ff".replace(' ', ""),
        "seq neg" => format!("830020830080{hash_ref}"),
        "ann maybe" => format!("830081{hash_ref}{hash_ref}"),
        other => panic!("unknown case {other}"),
    };
    for case in cases("inspect/format.json", "detect") {
        let expected = match case.text("result") {
            "Blob" => Kind::Blob,
            "SeqRef" => Kind::SequentialRef,
            "AnnRef" => Kind::AnnotatedRef,
            tree => {
                assert!(tree.starts_with("Merkle "), "{tree}");
                Kind::Tree
            }
        };
        assert_eq!(
            inspect::kind(&hex::decode(block(case.text("name"))).unwrap()),
            expected,
            "{}",
            case.text("name")
        );
    }
}

/// Every CBOR case of a noun.
fn records(noun: &str) -> Vec<Value> {
    cases(&format!("{noun}/format.json"), "cbor")
}

#[test]
fn no_other_record_is_mistaken_for_a_tree_or_a_pointer() {
    let nouns = [
        "hash", "key", "keyring", "signed", "reflog", "lwwref", "refkey", "sigil", "groupkey", "refchan",
        "mailbox", "bundle", "git2", "store",
    ];
    for case in nouns.iter().flat_map(|noun| records(noun)) {
        assert_eq!(inspect::kind(&case.hex("hex")), Kind::Blob, "{}", case.text("name"));
        assert!(inspect::links(&case.hex("hex")).is_empty());
    }
    for (noun, kinds) in
        [("tree", [Kind::Tree, Kind::AnnotatedTree]), ("pointer", [Kind::AnnotatedRef, Kind::SequentialRef])]
    {
        for case in records(noun) {
            let block = case.hex("hex");
            assert!(kinds.contains(&inspect::kind(&block)), "{}", case.text("name"));
            assert!(
                inspect::may_link(&block) && inspect::links(&block).contains(&h1()) | (noun == "pointer")
            );
        }
    }
}
