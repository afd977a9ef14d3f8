//! Group keys, with the keyrings of all members.

use std::collections::BTreeSet;

use hbs2_core::groupkey::{Change, GroupKeyError, is_asymmetric};
use hbs2_core::nacl::Nonce;
use hbs2_core::{
    EncryptPublicKey, EncryptSecretKey, GroupKey, GroupKeyId, GroupSecret, Keyring, KeyringEntry,
};

use crate::support::{Blocks, Fields, Value, cases, file, json, round_trip, value};

fn group(name: &str) -> GroupKey {
    GroupKey::parse(std::str::from_utf8(&file(&format!("groupkey/{name}"))).unwrap()).unwrap()
}

fn keys(path: &str) -> Vec<EncryptSecretKey> {
    let keyring = Keyring::parse(&file(path)).unwrap();
    keyring.encrypt.into_iter().map(|entry: KeyringEntry| entry.secret).collect()
}

/// The keys of all members: of one keyring, or of all that the sigils were made from.
fn members(case: &Value) -> Vec<EncryptSecretKey> {
    match case["members_keyring"].as_str().or(case["keyring"].as_str()) {
        Some(keyring) => keys(&format!("groupkey/{keyring}")),
        None => ["n1", "n3", "n5"].iter().flat_map(|n| keys(&format!("keyring/new-{n}.key"))).collect(),
    }
}

#[test]
fn group_keys_are_read_written_and_opened_by_every_member() {
    for case in cases("groupkey/manifest.json", "vectors") {
        let name = case.text("file");
        let group = group(name);
        assert_eq!(round_trip::<GroupKey>(&case.hex("cbor_hex")), group, "{name}");
        assert_eq!(group.dump(), case.text("dump_stdout"), "{name}");
        let text = String::from_utf8(file(&format!("groupkey/{name}"))).unwrap();
        assert_eq!(group.to_text(), text.trim_end(), "{name}");

        let keys = members(&case);
        let secret = group.open_with(&keys).unwrap();
        assert_eq!(Some(secret.id()), group.id(), "{name}");
        let publics: BTreeSet<EncryptPublicKey> = keys.iter().map(EncryptSecretKey::public).collect();
        for key in &keys {
            let expected =
                if group.has_member(&key.public()) { Ok(&secret) } else { Err(&GroupKeyError::NotMember) };
            assert_eq!(group.open(key).as_ref(), expected, "{name}");
        }
        let known = group.members().iter().filter(|member| publics.contains(member)).count();
        let of_others = usize::from(name == "updated.gk");
        assert_eq!(known + of_others, group.members().len(), "{name}");
    }
}

#[test]
fn an_update_keeps_the_secret_for_its_new_members() {
    let (before, after) = (group("from-keys-2.gk"), group("updated.gk"));
    let secret = before.open_with(&keys("groupkey/members-2.key")).unwrap();
    for of in ["groupkey/members-1.key", "groupkey/members-2.key"] {
        assert_eq!(after.open_with(&keys(of)).as_ref(), Ok(&secret));
    }
    assert_eq!(after.id(), before.id());

    // Ours for the same change has the same bytes but for the boxes.
    let of = |group: &GroupKey| group.members().into_iter().collect::<BTreeSet<_>>();
    let change = Change { add: &of(&after) - &of(&before), remove: &of(&before) - &of(&after) };
    let ours = before
        .update(&secret, &change, after.seconds().unwrap(), || EncryptSecretKey::from_bytes([9; 32]))
        .unwrap();
    assert_eq!(ours.dump(), after.dump());
    assert_eq!(ours.open_with(&keys("groupkey/members-1.key")), Ok(secret));
}

#[test]
fn the_fixtures_have_the_form_of_the_original() {
    let secret = GroupSecret::from_bytes([5; 32]);
    assert_eq!(value::<GroupSecret>("groupkey", "GroupSecret(Key)"), secret);
    assert_eq!(value::<GroupKeyId>("groupkey", "GroupKeyId"), secret.id());
    assert_eq!(value::<Nonce>("groupkey", "SK.Nonce"), Nonce::from_bytes([6; 24]));
    assert_eq!(cases("groupkey/format.json", "group_key_id")[0].parsed::<GroupKeyId>("id_b58"), secret.id());
    let plain: GroupKey = value("groupkey", "GroupKeySymmPlain {}");
    assert_eq!((plain.id(), plain.seconds(), plain.members().len()), (None, None, 0));

    let fancy: GroupKey = value("groupkey", "GroupKeySymmFancy");
    assert_eq!(fancy.id(), Some(secret.id()));
    let key = EncryptSecretKey::from_bytes([2; 32]);
    assert_eq!(fancy.open(&key), Err(GroupKeyError::Box { member: key.public() }), "its boxes hold \"BOX\"");
    let mut blocks = Blocks::default();
    let root = fancy.build(|hash, block| drop(blocks.0.insert(hash, block)));
    assert_eq!(root, cases("groupkey/format.json", "group_key_tree")[0].parsed("root_b58"));
    assert_eq!(GroupKey::load(root, |hash| blocks.get(hash)), Ok(fancy));
}

#[test]
fn a_real_group_key_opens() {
    let case = &json("groupkey/format.json")["group_key_real"][0];
    let group: GroupKey = round_trip(&case.hex("cbor_hex"));
    assert_eq!(GroupKey::parse(case.text("text")), Ok(group.clone()));
    for byte in [2, 3] {
        let secret = group.open(&EncryptSecretKey::from_bytes([byte; 32])).unwrap();
        assert_eq!(secret.expose().to_vec(), case.hex("secret_hex"));
    }
}

#[test]
fn the_old_asymmetric_kind_is_recognised_and_not_read() {
    let case = cases("groupkey/format.json", "cbor");
    let case = case.iter().find(|case| case.text("name") == "Asymm GroupKey").unwrap();
    assert!(is_asymmetric(&case.hex("hex")));
    let text = hbs2_core::armour::to_text("# hbs2 groupkey file\n", &case.hex("hex"));
    assert_eq!(GroupKey::parse(&text), Err(GroupKeyError::Asymmetric));
    assert!(!is_asymmetric(&json("groupkey/format.json")["group_key_real"][0].hex("cbor_hex")));
}
