//! Keyring files.

use hbs2_core::{EncryptPublicKey, EncryptSecretKey, Keyring, KeyringEntry};

use crate::support::{Fields, Value, cases, file, json, round_trip, value};

fn names(list: &Value) -> Vec<EncryptPublicKey> {
    list.as_array().unwrap().iter().map(|name| name.as_str().unwrap().parse().unwrap()).collect()
}

fn public(keyring: &Keyring) -> Vec<EncryptPublicKey> {
    keyring.encrypt.iter().map(KeyringEntry::public).collect()
}

fn case(of: &str) -> Value {
    cases("keyring/manifest.json", "vectors").into_iter().find(|case| case.text("file") == of).unwrap()
}

#[test]
fn keyring_files_are_read_and_written_again() {
    for name in ["new-n0.key", "new-n1.key", "new-n3.key", "new-n5.key", "cli-n2.key"] {
        let (case, text) = (case(name), file(&format!("keyring/{name}")));
        let keyring = Keyring::parse(&text).unwrap();
        let newline = if case["ends_with_newline"] == Value::Bool(false) { "" } else { "\n" };
        assert_eq!(keyring.to_text().to_string() + newline, String::from_utf8(text).unwrap(), "{name}");
        assert_eq!(keyring.listing(), case.text("keyring_list_stdout"), "{name}");
        if let Some(cbor) = case["cbor_hex"].as_str() {
            assert_eq!(round_trip::<Keyring>(&hex::decode(cbor).unwrap()), keyring, "{name}");
        }
    }
}

#[test]
fn a_bare_keyring_is_read_as_its_text() {
    let bare = Keyring::parse(&file("keyring/raw-cbor.bin")).unwrap();
    assert_eq!(bare, Keyring::parse(&file("keyring/new-n5.key")).unwrap());
    assert_eq!(bare.listing(), case("raw-cbor.bin").text("stdout"));
}

#[test]
fn a_key_is_added_at_the_end_and_removed_from_its_place() {
    let before = Keyring::parse(&file("keyring/new-n5.key")).unwrap();

    let (case_added, added) = (case("added.key"), Keyring::parse(&file("keyring/added.key")).unwrap());
    assert_eq!(public(&before), names(&case_added["before"]["enc"]));
    let mut ours = before.clone();
    ours.add(added.encrypt.last().unwrap().clone());
    assert_eq!(ours, added);
    assert_eq!(public(&ours), names(&case_added["after"]["enc"]));

    let (case_deleted, deleted) =
        (case("deleted.key"), Keyring::parse(&file("keyring/deleted.key")).unwrap());
    let argument = case_deleted.text("command").split(' ').nth(1).unwrap().parse().unwrap();
    let mut ours = before;
    assert!(ours.remove(&argument));
    assert_eq!(ours, deleted);
    assert_eq!(public(&ours), names(&case_deleted["after"]["enc"]));
}

#[test]
fn the_text_form_is_as_strict_as_the_original() {
    let manifest = json("keyring/manifest.json");
    let variants =
        manifest.as_object().unwrap().values().find_map(|list| {
            list.as_array().filter(|list| list.iter().all(|case| case["variant"].is_string()))
        });
    for case in variants.unwrap() {
        let read = Keyring::parse(case.text("text").as_bytes());
        assert_eq!(read.is_ok(), case.number("rc") == 0, "{}: {read:?}", case.text("variant"));
        if let Ok(keyring) = read {
            assert_eq!(keyring.listing(), case.text("stdout"), "{}", case.text("variant"));
        }
    }
}

#[test]
fn the_fixture_keyrings_grow_from_their_seeds() {
    assert_eq!(value::<Keyring>("keyring", "cred0"), Keyring::new(&[1; 32], &[]));
    let mut keyring = Keyring::new(&[1; 32], &[]);
    let secret = |byte| EncryptSecretKey::from_bytes([byte; 32]);
    keyring.add(KeyringEntry { description: Some("desc".into()), ..KeyringEntry::new(secret(2)) });
    keyring.add(KeyringEntry::new(secret(3)));
    assert_eq!(value::<Keyring>("keyring", "cred2"), keyring);

    // The text is that of the first encryption key alone, the listing that of both.
    let case = &cases("keyring/format.json", "text_file")[0];
    assert_eq!(*Keyring::new(&[1; 32], &[[2; 32]]).to_text(), case.text("text"));
    let listing: Vec<&str> =
        case["list_output"].as_array().unwrap().iter().map(|l| l.as_str().unwrap()).collect();
    assert_eq!(keyring.listing(), listing.join("\n") + "\n");
}
