//! Reflogs: updates, the tree that lists them, and the place of the reference.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use bytes::Bytes;
use hbs2_core::inspect::{self, Kind};
use hbs2_core::tree::build::build;
use hbs2_core::tree::walk::Leaves;
use hbs2_core::{Decode, Hash, Keyring, RefKind, ReflogUpdate, Shape, SignPublicKey, SignSecretKey};

use crate::support::{Fields, Value, cases, file, json, round_trip, value};

/// All blocks of a case by name, each checked against it.
fn blocks(case: &Value) -> BTreeMap<Hash, Bytes> {
    let dir = case.text("dir");
    let blocks: BTreeMap<Hash, Bytes> = if let Some(all) = case["all_blocks_json"].as_str() {
        let all = json(&format!("reflog/{all}"));
        let all = all.as_object().unwrap();
        all.iter().map(|(name, hex)| (name, hex::decode(hex.as_str().unwrap()).unwrap())).map(named).collect()
    } else {
        let list = case["blocks"].as_array().unwrap();
        list.iter()
            .map(|it| (it.text("hash"), file(&format!("reflog/{dir}/{}", it.text("file")))))
            .map(named)
            .collect()
    };
    assert!(blocks.iter().all(|(hash, block)| Hash::of(block) == *hash), "blocks of {dir} have their names");
    blocks
}

fn named((name, block): (impl AsRef<str>, Vec<u8>)) -> (Hash, Bytes) {
    (name.as_ref().parse().unwrap(), block.into())
}

fn leaf_order(case: &Value) -> Vec<Hash> {
    case["leaf_order"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hash| hash.as_str().unwrap().parse().unwrap())
        .collect()
}

#[test]
fn every_update_in_the_tree_verifies_and_names_itself() {
    for case in cases("reflog/manifest.json", "vectors") {
        let (blocks, key): (_, SignPublicKey) = (blocks(&case), case.parsed("key"));
        let listed: Result<Vec<_>, _> =
            Leaves::new(case.parsed("root"), |hash| Ok::<_, Infallible>(blocks.get(hash).cloned())).collect();
        let listed = listed.unwrap().concat();
        assert_eq!(listed, leaf_order(&case));
        for hash in &listed {
            let update: ReflogUpdate = round_trip(&blocks[hash]);
            assert_eq!((update.verify(), update.key(), update.id()), (Ok(()), &key, *hash));
            assert_eq!(inspect::kind(&blocks[hash]), Kind::Blob, "an update is no pointer itself");
        }
        let keyring = Keyring::parse(&file(&format!("reflog/{}/reflog.key", case.text("dir")))).unwrap();
        assert_eq!(keyring.public(), key);
        assert_eq!(RefKind::Reflog.key(&key), case.parsed("ref_hash"));
    }
}

#[test]
fn the_payloads_are_those_that_were_posted() {
    for case in cases("reflog/manifest.json", "vectors").iter().filter(|case| case.text("dir") != "special") {
        let blocks = blocks(case);
        let payload = |hash: &Hash| ReflogUpdate::from_bytes(&blocks[hash]).unwrap().data().clone();
        let order = leaf_order(case);
        let found: BTreeSet<Bytes> = order.iter().map(&payload).collect();
        let count = case.number("n");
        let posted = (0..count).map(|i| Bytes::from(format!("tx {i} of {count}"))).collect();
        assert_eq!(found, posted);
        if let Some(cat) = case["reflog_cat_stdout"].as_str() {
            assert_eq!(order.iter().map(payload).collect::<Vec<_>>().concat(), cat.as_bytes());
        }
    }
}

#[test]
fn the_tree_has_the_shape_of_a_log() {
    for case in cases("reflog/manifest.json", "vectors") {
        let (blocks, mut listed) = (blocks(&case), leaf_order(&case));
        let check = |listed: &[Hash]| {
            let root = build(Shape::LOG, listed, |hash, block| assert_eq!(blocks.get(&hash), Some(&block)));
            assert_eq!(root, case.parsed("root"));
        };
        check(&listed);
        listed.sort();
        hbs2_core::order::sort_by_table(&mut listed, |hash| hash.as_bytes());
        check(&listed);
    }
}

#[test]
fn pointers_as_payload_are_recognised() {
    let case =
        cases("reflog/manifest.json", "vectors").into_iter().find(|case| case.text("dir") == "special");
    let blocks = blocks(case.as_ref().unwrap());
    let target: Hash = "8bQhvAYE8psjeQ6AmnbcpPRTKHbp4WHYqszPDxNnMHBB".parse().unwrap();
    let kinds: Vec<Kind> = leaf_order(case.as_ref().unwrap())
        .iter()
        .map(|hash| ReflogUpdate::from_bytes(&blocks[hash]).unwrap().data().clone())
        .map(|data| {
            assert_eq!(inspect::links(&data), [target]);
            inspect::kind(&data)
        })
        .collect();
    assert!(kinds.contains(&Kind::AnnotatedRef) && kinds.contains(&Kind::SequentialRef), "{kinds:?}");
}

#[test]
fn updates_are_signed_as_the_original_signs() {
    let key = SignSecretKey::from_seed(&[1; 32]);
    let sign = |data: &'static str| ReflogUpdate::sign(&key, [9; 24], Bytes::from(data));
    assert_eq!(value::<ReflogUpdate>("reflog", "RefLogUpdate nonce=09*24 data"), sign("data"));

    let case = &cases("reflog/format.json", "reflog_root")[0];
    let hashes = |list: &str| -> Vec<Hash> {
        case[list].as_array().unwrap().iter().map(|hash| hash.as_str().unwrap().parse().unwrap()).collect()
    };
    let mut ids: Vec<Hash> = ["1", "2", "3"].map(|data| sign(data).id()).to_vec();
    assert_eq!(ids, hashes("tx_hashes_insertion"));
    hbs2_core::order::sort_by_table(&mut ids, |hash| hash.as_bytes());
    assert_eq!(ids, hashes("list_order"));
    assert_eq!(build(Shape::LOG, &ids, |_, _| ()), case.parsed("root_b58"));
}
