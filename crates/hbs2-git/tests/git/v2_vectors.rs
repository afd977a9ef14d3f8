//! What the original wrote in its second generation, read and written again byte for byte.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;

use bytes::Bytes;
use hbs2_core::groupkey::GroupKey;
use hbs2_core::tree::sealed::{self, Sealer};
use hbs2_core::tree::{build, walk};
use hbs2_core::{
    AnnotatedTree, Crypt, Decode, Encode, Hash, Keyring, Meta, RefKind, ReflogUpdate, Shape, SignSecretKey,
};
use hbs2_git::link::Link;
use hbs2_git::v2::container::{read_index, write_index};
use hbs2_git::v2::{LwwBlock, RepoHead, SnapshotRef, seal};
use hbs2_testkit::vectors;

use crate::world::{Site, World, facts};

const FOLDERS: [&str; 2] = ["git2-plain", "git2-encrypted"];

fn block(site: &Site<'_>, hash: &Hash) -> Bytes {
    site.folder().get(&[*hash]).unwrap().remove(0).unwrap_or_else(|| panic!("no block {hash}"))
}

fn get<'s>(site: &'s Site<'_>) -> impl FnMut(&Hash) -> Result<Option<Bytes>, Infallible> + use<'s> {
    |hash| Ok(site.folder().get(&[*hash]).unwrap().remove(0))
}

/// The transactions of a vector, oldest first.
fn snapshots(site: &Site<'_>, folder: &str) -> Vec<SnapshotRef> {
    let root: Hash = facts(folder)["reflog_root"].as_str().unwrap().parse().unwrap();
    let listed = site.folder().leaves(&root).unwrap().hashes;
    let read = |id: &Hash| {
        let update = ReflogUpdate::from_bytes(&block(site, id)).unwrap();
        update.verify().unwrap();
        let snapshot = SnapshotRef::read(update.data()).unwrap();
        assert_eq!(snapshot.to_data(), update.data());
        snapshot
    };
    let mut all: Vec<_> = listed.iter().map(read).collect();
    all.sort_by_key(|snapshot| snapshot.rank);
    all
}

/// The tree over a text or a list, built again.
fn rebuilt(hashes: &[Hash]) -> Hash {
    build::build(Shape::DATA, hashes, |_, _| {})
}

#[test]
fn values_name_the_seed_and_the_reflog_that_grows_from_it() {
    for folder in FOLDERS {
        let facts = facts(folder);
        let bytes = hex::decode(facts["lww_block_hex"].as_str().unwrap()).unwrap();
        assert_eq!(Hash::of(&bytes).to_string(), facts["lww_value"].as_str().unwrap());
        let value = LwwBlock::from_bytes(&bytes).unwrap();
        assert_eq!(value.to_bytes(), bytes);
        assert_eq!(value.reflog.to_string(), facts["reflog"].as_str().unwrap());
        let keyring = Keyring::parse(&fs::read(vectors::path(folder).join("lwwref.key")).unwrap()).unwrap();
        assert_eq!(keyring.sign.derive(value.seed).public(), value.reflog);
        assert!(facts["final_refs"].get(RefKind::Reflog.key(&value.reflog).to_string()).is_some());
    }
    let format = facts_of_format();
    let value = LwwBlock::from_bytes(&format).unwrap();
    assert_eq!(value.seed, 1);
    assert_eq!(value.to_bytes(), format);
    assert_eq!(value.reflog, SignSecretKey::from_seed(&[1; 32]).public());
}

fn facts_of_format() -> Vec<u8> {
    let all = vectors::json("git2/format.json").unwrap();
    hex::decode(all["cbor"][0]["hex"].as_str().unwrap()).unwrap()
}

#[test]
fn heads_and_lists_of_packs_are_written_again_to_the_same_trees() {
    for folder in FOLDERS {
        let world = World::new();
        let site = world.site_of("alice", folder);
        let shown: Vec<String> = facts(folder)["storage_after"]
            .as_array()
            .unwrap()
            .iter()
            .map(|step| step["show_ref"].as_str().unwrap().to_owned())
            .collect();
        let mut earlier = Vec::new();
        for (snapshot, shown) in snapshots(&site, folder).iter().zip(&shown) {
            let bytes = walk::content(snapshot.head, usize::MAX, get(&site)).unwrap();
            let head = RepoHead::from_bytes(&bytes).unwrap();
            assert_eq!(head.to_bytes(), bytes);
            assert_eq!(build::build_data(&bytes.into(), |_, _| {}), snapshot.head);
            assert_eq!(i128::from(head.time), snapshot.rank);
            assert_eq!(head.group.is_some(), folder == "git2-encrypted");
            let refs: String = head.existing().map(|(name, id)| format!("{id} {name}\n")).collect();
            assert_eq!(&refs, shown);
            let packs = site.folder().leaves(&snapshot.bundles).unwrap().hashes;
            assert_eq!(rebuilt(&packs), snapshot.bundles);
            assert!(packs.starts_with(&earlier) && packs.len() > earlier.len());
            earlier = packs;
        }
        assert_eq!(shown.len(), 4);
    }
}

#[test]
fn packs_are_written_again_to_the_same_trees() {
    let world = World::new();
    let site = world.site_of("alice", "git2-plain");
    let last = snapshots(&site, "git2-plain").pop().unwrap();
    for pack in site.folder().leaves(&last.bundles).unwrap().hashes {
        let content = walk::content(pack, usize::MAX, get(&site)).unwrap();
        let mut rest = &content[..];
        let ids = read_index(&mut rest).unwrap();
        assert!(ids.is_sorted() && rest.starts_with(b"PACK"));
        assert_eq!([&write_index(&ids)[..], rest].concat(), content);
        assert_eq!(build::build_data(&content.into(), |_, _| {}), pack);
    }
}

#[test]
fn sealed_packs_are_opened_by_each_reader_and_sealed_again_to_the_same_trees() {
    let folder = "git2-encrypted";
    let world = World::new();
    let site = world.site_of("alice", folder);
    // The pack that a transaction adds was sealed together with its head.
    let mut heads = BTreeMap::new();
    for snapshot in snapshots(&site, folder) {
        let head = walk::content(snapshot.head, usize::MAX, get(&site)).unwrap();
        for pack in site.folder().leaves(&snapshot.bundles).unwrap().hashes {
            heads.entry(pack).or_insert_with(|| head.clone());
        }
    }
    assert_eq!(heads.len(), 4);
    for reader in ["reader.key", "reader2.key"] {
        let keyring = Keyring::parse(&fs::read(vectors::path(folder).join(reader)).unwrap()).unwrap();
        for (pack, head) in &heads {
            let tree = AnnotatedTree::from_bytes(&block(&site, pack)).unwrap();
            assert_eq!(tree.meta, Meta::None);
            let Crypt::Group2 { key, .. } = tree.crypt else { panic!("{:?}", tree.crypt) };
            let group = GroupKey::load(key, get(&site)).unwrap();
            let secret = group.open_with(keyring.encrypt.iter().map(|entry| &entry.secret)).unwrap();
            let content = sealed::content(*pack, &tree.crypt, &secret, usize::MAX, get(&site)).unwrap();
            read_index(&mut &content[..]).unwrap();
            assert_eq!(seal::crypt(key, &content, head), tree.crypt);
            let emit = |_: Hash, _: Bytes| Ok::<_, Infallible>(());
            let mut sealer = Sealer::new(&secret, seal::crypt(key, &content, head), emit).unwrap();
            let Ok(()) = sealer.write(&content);
            let Ok(again) = sealer.finish(Meta::None);
            assert_eq!(again, *pack);
        }
    }
}
