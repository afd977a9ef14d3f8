//! What the original wrote, read and written again byte for byte.

use hbs2_core::{Decode, Encode, Hash, ReflogUpdate, SignSecretKey};
use hbs2_git::link::Link;
use hbs2_git::manifest::{Manifest, read_value, value_block};
use hbs2_git::petname::petname;
use hbs2_git::refs;
use hbs2_git::segment::{RecordKind, RecordReader, verify, write_record};
use hbs2_git::transaction::Payload;

use crate::world::{World, facts};

#[test]
fn reflog_keys_and_manifests_grow_from_the_secret_key_and_the_seed() {
    let mut version_3 = 0;
    for vector in facts("derived-key")["vectors"].as_array().unwrap() {
        let bytes = hex::decode(vector["sign_secret_hex"].as_str().unwrap()).unwrap();
        let secret = SignSecretKey::from_bytes(bytes.as_slice().try_into().unwrap()).unwrap();
        let reflog = secret.derive(vector["seed"].as_u64().unwrap()).public();
        assert_eq!(secret.public().to_string(), vector["lwwref"].as_str().unwrap());
        assert_eq!(reflog.to_string(), vector["reflog"].as_str().unwrap());
        let Some(text) = vector["manifest_text"].as_str() else { continue };
        version_3 += 1;
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        assert_eq!(manifest.reflog().unwrap(), reflog);
        let group = manifest.group().unwrap();
        let again = Manifest::new(manifest.seed().unwrap(), &reflog, group.as_ref());
        assert_eq!(again.to_text(), text);
        assert_eq!(
            again.to_blocks().last().unwrap().0.to_string(),
            vector["manifest_tree"].as_str().unwrap()
        );
        if group.is_none() {
            let value = value_block(&again.to_blocks().last().unwrap().0, None).0;
            assert_eq!(value.to_string(), vector["lww_value"].as_str().unwrap());
        }
        assert_eq!(petname(&secret.public()), vector["remote_name"].as_str().unwrap());
    }
    assert_eq!(version_3, 2);
}

#[test]
fn petnames_are_those_the_original_gave() {
    for vector in facts("derived-key")["remote_names"].as_array().unwrap() {
        let key = vector["key"].as_str().unwrap().parse().unwrap();
        assert_eq!(petname(&key), vector["name"].as_str().unwrap());
    }
}

#[test]
fn values_list_a_manifest_and_in_encrypted_repositories_a_journal() {
    for (folder, has_journal) in [("git3-plain", false), ("git3-encrypted", true)] {
        let world = World::new();
        let site = world.site_of("alice", folder);
        let value: Hash = facts(folder)["lww_value"].as_str().unwrap().parse().unwrap();
        let block = site.folder().get(&[value]).unwrap().remove(0).unwrap();
        let (manifest, journal) = read_value(&block).unwrap();
        assert_eq!(journal.is_some(), has_journal);
        assert_eq!(value_block(&manifest, journal.as_ref()), (value, block));
    }
}

#[test]
fn transactions_are_written_again_to_the_same_bytes() {
    for folder in ["git3-plain", "git3-encrypted"] {
        let world = World::new();
        let site = world.site_of("alice", folder);
        let root: Hash = facts(folder)["reflog_root"].as_str().unwrap().parse().unwrap();
        let listed = site.folder().leaves(&root).unwrap().hashes;
        for id in &listed {
            let block = site.folder().get(&[*id]).unwrap().remove(0).unwrap();
            let update = ReflogUpdate::from_bytes(&block).unwrap();
            update.verify().unwrap();
            assert_eq!(update.to_bytes(), block);
            assert_eq!(Payload::read(update.data()).unwrap().to_data(), update.data());
        }
        assert!(listed.len() >= 5, "{folder}");
    }
}

#[test]
fn segments_are_written_again_to_the_same_records() {
    let world = World::new();
    let site = world.site_of("alice", "git3-plain");
    let key = facts("git3-plain")["lwwref"].as_str().unwrap().parse().unwrap();
    let (mut objects, mut references) = (0, 0);
    for tree in site.segments(key) {
        let content = site.content(&tree);
        let mut reader = RecordReader::new(&content[..]);
        let mut again = Vec::new();
        while let Some(head) = reader.head().unwrap() {
            let mut value = Vec::new();
            reader.value(&head, &mut value).unwrap();
            verify(head.id, head.kind, &value).unwrap();
            write_record(&mut again, head.id, head.kind, &value);
            if head.kind == RecordKind::Refs {
                let lines = refs::parse(&value, head.id).unwrap();
                assert_eq!(refs::write(&lines), value);
                references += lines.len();
            } else {
                objects += 1;
            }
        }
        assert_eq!(again, content);
    }
    assert!(objects > 10 && references >= 5, "{objects} objects, {references} lines");
}
