//! Sealed trees and blocks: opened, and sealed again under the nonce string that the original chose.

use std::collections::BTreeSet;

use bytes::Bytes;
use hbs2_core::cbor::Encoder;
use hbs2_core::limits::CHUNK_BYTES;
use hbs2_core::tree::build::chunks;
use hbs2_core::tree::sealed::{self, BlockCipher, Sealer};
use hbs2_core::{
    AnnotatedTree, Crypt, Decode, Encode, EncryptSecretKey, GroupKey, GroupSecret, Hash, Keyring, Meta,
    SealedBlock, kdf,
};

use crate::support::{Blocks, Fields, Value, cases, file, h1, json, pat, round_trip, value};

fn keys(path: &str) -> Vec<EncryptSecretKey> {
    Keyring::parse(&file(path)).unwrap().encrypt.into_iter().map(|entry| entry.secret).collect()
}

fn fixture() -> GroupSecret {
    GroupSecret::from_bytes([5; 32])
}

/// Seals `content` again as the original sealed it: root and blocks.
fn seal(secret: &GroupSecret, like: &AnnotatedTree, content: &[u8]) -> (Hash, Blocks) {
    let mut blocks = Blocks::default();
    let emit = |hash, block: Bytes| {
        blocks.0.insert(hash, block);
        Ok::<_, std::convert::Infallible>(())
    };
    let mut sealer = Sealer::new(secret, like.crypt.clone(), emit).unwrap();
    // Pieces that end nowhere near a chunk.
    content.chunks(100_003).for_each(|piece| sealer.write(piece).unwrap());
    let root = sealer.finish(like.meta.clone()).unwrap();
    (root, blocks)
}

fn open(root: Hash, tree: &AnnotatedTree, secret: &GroupSecret, blocks: &Blocks) -> Vec<u8> {
    sealed::content(root, &tree.crypt, secret, usize::MAX, |hash| blocks.get(hash)).unwrap()
}

/// Checks one tree: sealed again it has the same blocks, and it opens to `content`. Blocks too large for the vectors
/// come out of the sealing; their names are in the manifest.
fn check(root: Hash, stored: &Blocks, secret: &GroupSecret, content: &[u8]) {
    let tree: AnnotatedTree = stored.value(&root);
    let (again, ours) = seal(secret, &tree, content);
    assert_eq!(again, root);
    for (hash, block) in &ours.0 {
        assert!(stored.0.get(hash).is_none_or(|theirs| theirs == block), "block {hash}");
    }
    let mut all = stored.clone();
    all.0.extend(ours.0);
    assert_eq!(open(root, &tree, secret, &all), content);
}

fn nonce(tree: &AnnotatedTree) -> &[u8] {
    match &tree.crypt {
        Crypt::Group1 { nonce, .. } | Crypt::Group2 { nonce, .. } => nonce,
        other => panic!("{other:?} has no nonce string"),
    }
}

/// The nonce string of `hbs2 store`: the hash of a list of hashes of the chunks.
fn store_nonce(content: &[u8]) -> Hash {
    let words = (2_716_310_006_254_639_645, 507_093_936_407_764_973);
    let mut e = Encoder::new();
    e.list(chunks(content), |e, chunk| e.uint(kdf::siphash(words, chunk)));
    Hash::of(&e.into_bytes())
}

/// The nonce string of `hbs2-cli` and of repositories: the hash of the first MiB.
fn prefix_nonce(content: &[u8]) -> Hash {
    Hash::of(&content[..content.len().min(1024 * 1024)])
}

#[test]
fn stored_trees_open_and_are_sealed_again() {
    for case in cases("sealed/store/manifest.json", "vectors") {
        let content = match case.text("input") {
            "ascii hello" => b"hello".to_vec(),
            "empty" => Vec::new(),
            formula => pat(formula.strip_prefix("i mod 251, ").unwrap().parse().unwrap()),
        };
        assert_eq!(Hash::of(&content), case.parsed("input_blake2b256_b58"));
        let stored = Blocks::of(&format!("sealed/store/{}", case.text("blocks_dir")));
        let text = file(&case.text("group_key").replace("../05-groupkeys", "groupkey"));
        let group = GroupKey::parse(std::str::from_utf8(&text).unwrap()).unwrap();
        let keys = keys(&case.text("keyring").replace("../05-groupkeys", "groupkey"));
        let secret = group.open_with(&keys).unwrap();

        let root = case.parsed("root");
        let tree: AnnotatedTree = stored.value(&root);
        assert_eq!(stored.0[&root], case.hex("root_block_hex"));
        assert_eq!(tree.crypt.group_key(), Ok(group.build(|hash, block| assert_eq!(stored.0[&hash], block))));
        assert_eq!(nonce(&tree), store_nonce(&content).as_bytes());
        check(root, &stored, &secret, &content);

        // Every block of the tree is known to the manifest, under this name and with this size.
        let names: BTreeSet<(Hash, u64)> =
            case["blocks"].as_array().unwrap().iter().map(|b| (b.parsed("hash"), b.number("size"))).collect();
        for (hash, block) in seal(&secret, &tree, &content).1.0 {
            assert!(names.contains(&(hash, block.len() as u64)), "block {hash}");
        }
    }
}

/// The text that `metadata:get` prints for these lines.
fn printed(text: &str) -> String {
    let forms: Vec<String> = text.lines().map(|line| format!("({line})")).collect();
    if forms.is_empty() { String::new() } else { format!("({})", forms.join(" ")) }
}

#[test]
fn trees_with_metadata_open_and_are_sealed_again() {
    let manifest = json("sealed/cli/manifest.json");
    let reader = keys("sealed/cli/reader.key");
    let mut opened = 0;
    for case in cases("sealed/cli/manifest.json", "vectors") {
        if case["encrypted"] == Value::Bool(false) {
            continue;
        }
        opened += 1;
        let stored = Blocks::of(&format!("sealed/cli/{}", case.text("blocks_dir")));
        let root = case.parsed("root");
        let tree: AnnotatedTree = stored.value(&root);
        let key = tree.crypt.group_key().unwrap();
        let group = GroupKey::load(key, |hash| stored.get(hash)).unwrap();
        let secret = group.open_with(&reader).unwrap();
        let content = match case["cat_stdout_hex"].as_str() {
            Some(hex) => hex::decode(hex).unwrap(),
            None => pat(1_100_000),
        };
        assert_eq!(nonce(&tree), prefix_nonce(&content).as_bytes());
        check(root, &stored, &secret, &content);

        let Meta::Block(hash) = tree.meta else { panic!("{:?} is not sealed", tree.meta) };
        let block: SealedBlock = stored.value(&hash);
        let text = block.open_meta(&secret).unwrap();
        if let Some(expected) = case["metadata_get_stdout"].as_str() {
            assert_eq!(printed(&text), expected);
        }
        let cbor = Meta::Short(text).to_bytes();
        let again = SealedBlock::seal_under(&secret, block.key, Hash::of(&cbor).as_bytes().to_vec(), &cbor);
        assert_eq!(again, block);

        if case["rekeyed_from"].is_string() {
            let added = keys("sealed/cli/added-reader.key");
            assert_eq!(group.open_with(&added), Ok(secret));
            let before = Blocks::of("sealed/cli/v5/blocks");
            let mut old: AnnotatedTree = before.value(&case.parsed("rekeyed_from"));
            assert_eq!(old.crypt.group_key(), Ok(manifest.parsed("group_key")));
            old.crypt.rekey(key).unwrap();
            assert_eq!(Hash::of(&old.to_bytes()), root, "only the group key changes its name");
        }
    }
    assert_eq!(opened, 4);
}

#[test]
fn sealed_blocks_open_and_are_sealed_again() {
    let manifest = json("sealed/block/manifest.json");
    let stored = Blocks::of("sealed/block/blocks");
    let key = manifest.parsed("group_key");
    let group = GroupKey::load(key, |hash| stored.get(hash)).unwrap();
    let secret = group.open_with(&keys("sealed/block/reader.key")).unwrap();
    for case in cases("sealed/block/manifest.json", "vectors") {
        let block: SealedBlock = round_trip(&file(&format!("sealed/block/{}", case.text("file"))));
        assert_eq!(block.to_bytes(), case.hex("hex"));
        let input = case.hex("input_hex");
        assert_eq!(*block.open_bytes(&secret).unwrap(), input);
        let mut e = Encoder::new();
        e.bytes(&input);
        let cbor = e.into_bytes();
        let again = SealedBlock::seal_under(&secret, key, Hash::of(&cbor).as_bytes().to_vec(), &cbor);
        assert_eq!(again, block);
        assert_eq!(*SealedBlock::seal_bytes(&secret, key, &input).open_bytes(&secret).unwrap(), input);
    }
}

#[test]
fn the_fixture_blocks_open() {
    let strict: SealedBlock =
        value("groupkey", "SmallEncryptedBlock(gk=h1,nonce=07*32,payload bytes \"payload\")");
    assert_eq!(strict.open_bytes(&fixture()).unwrap().as_slice(), b"payload");
    assert_eq!(strict, SealedBlock::seal_under(&fixture(), h1(), vec![7; 32], b"\x47payload"));
    let lazy: SealedBlock = value("groupkey", "SmallEncryptedBlock of lazy bytestring payload");
    assert!(lazy.open_bytes(&fixture()).is_ok());
    let ours: SealedBlock = value("groupkey", "hbs2:groupkey:encrypt-block payload gk=fancy");
    assert!(ours.open_bytes(&fixture()).is_ok());
    let case = &cases("groupkey/format.json", "small_encrypted_block")[0];
    let meta: SealedBlock = round_trip(&case.hex("hex"));
    assert_eq!(meta.open_meta(&fixture()), Ok("file-name: \"x\"".into()));

    let crypt = Crypt::Group1 { key: h1(), nonce: vec![7; 32] };
    let hello = BlockCipher::new(&fixture(), &crypt).unwrap().seal(1, b"hello");
    assert_eq!(hex::encode(hello), "b882a7e0c0310ff88cbfcad21563f24be858df48ed");
}

#[test]
fn the_fixture_trees_are_sealed_again_by_both_methods() {
    let content = pat(300_000);
    let mut second = 0;
    for case in cases("groupkey/format.json", "encrypted_tree") {
        let tree: AnnotatedTree = round_trip(&case.hex("root_block_hex"));
        let name = case.text("name");
        second += usize::from(matches!(tree.crypt, Crypt::Group2 { .. }));
        if name.contains("v2 style") {
            continue; // Its content is not told.
        }
        let (root, blocks) = seal(&fixture(), &tree, &content);
        assert_eq!(root, case.parsed("root_b58"), "{name}");
        for block in case["blocks"].as_array().into_iter().flatten() {
            let ours = &blocks.0[&block.parsed("hash")];
            assert_eq!(
                (ours.len() as u64, ours[..64].to_vec()),
                (block.number("size"), block.hex("first64_hex"))
            );
        }
        assert_eq!(open(root, &tree, &fixture(), &blocks), content, "{name}");
    }
    assert_eq!(second, 2);
    let store = &cases("groupkey/format.json", "store_g_nonce")[0];
    assert_eq!(store_nonce(&content).as_bytes().to_vec(), store.hex("nonce_hex"));
}

/// Every sealed tree in the storage of a repository, opened with the keys of two readers and sealed again.
fn repository(folder: &str, readers: [&str; 2], each: impl Fn(&AnnotatedTree, &[u8], &Blocks, &GroupSecret)) {
    let stored = Blocks::of(&format!("{folder}/storage/blocks"));
    let mut opened = 0;
    for (root, block) in &stored.0 {
        let Ok(tree) = AnnotatedTree::from_bytes(block) else { continue };
        let Ok(key) = tree.crypt.group_key() else { continue };
        opened += 1;
        let group = GroupKey::load(key, |hash| stored.get(hash)).unwrap();
        let secrets = readers.map(|reader| group.open_with(&keys(&format!("{folder}/{reader}"))).unwrap());
        assert_eq!(secrets[0], secrets[1]);
        let content = open(*root, &tree, &secrets[0], &stored);
        assert!(content.len() < CHUNK_BYTES);
        check(*root, &stored, &secrets[0], &content);
        each(&tree, &content, &stored, &secrets[0]);
    }
    assert!(opened >= 3, "{opened} sealed trees in {folder}");
}

#[test]
fn an_encrypted_repository_opens_for_both_readers() {
    let readers = ["keys/FXmRcdpqJazTsFFc5BjLRrYPpGmVm3KvWUZBXyfJHAs.key", "reader2.key"];
    repository("git3-encrypted", readers, |tree, content, stored, secret| {
        assert_eq!(content[..4], [0x28, 0xb5, 0x2f, 0xfd], "a zstd frame");
        assert_eq!(nonce(tree), prefix_nonce(content).as_bytes());
        let Meta::Block(hash) = tree.meta else { panic!("{:?} is not sealed", tree.meta) };
        assert_eq!(stored.value::<SealedBlock>(&hash).open_meta(secret), Ok(String::new()));
    });
    let manifest = json("git3-encrypted/manifest.json");
    let stored = Blocks::of("git3-encrypted/storage/blocks");
    let group = GroupKey::load(manifest.parsed("group_key_hash"), |hash| stored.get(hash)).unwrap();
    assert_eq!(group.dump(), manifest["group_key_dump"].text("stdout"));
}

#[test]
fn an_encrypted_repository_of_the_old_kind_opens_for_both_readers() {
    repository("git2-encrypted", ["reader.key", "reader2.key"], |tree, content, _, _| {
        let Crypt::Group2 { sip, nonce, .. } = &tree.crypt else { panic!("{:?}", tree.crypt) };
        assert_eq!((nonce.len(), &nonce[..3]), (35, &[0x00, 0x58, 0x20][..]));
        let first = kdf::siphash((2_716_370_006_254_639_645, 507_093_936_407_764_973), nonce);
        let second = kdf::siphash((9_209_704_780_415_729_085, 272_090_086_441_077_315), nonce);
        assert_eq!(*sip, (first, second));
        let (index, pack) =
            content[8..].split_at(u32::from_be_bytes(content[..4].try_into().unwrap()) as usize);
        assert!(!index.is_empty());
        assert_eq!((&content[4..8], &pack[..4]), (&[0, 0, 0, 1][..], &b"PACK"[..]));
    });
    let text = file("git2-encrypted/group.key");
    let group = GroupKey::parse(std::str::from_utf8(&text).unwrap()).unwrap();
    assert!(group.open_with(&keys("git2-encrypted/reader.key")).is_ok());
}
