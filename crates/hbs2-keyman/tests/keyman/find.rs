//! Secrets, read at the moment of use.

use std::fs;

use hbs2_keyman::{Gone, KeymanError, Vanished};

use crate::home::{Home, keyring};

#[test]
fn a_key_is_found_by_its_public_half() {
    let home = Home::with_config("key-files ~/*.key");
    let file = home.key("a.key", 1);
    let index = home.index();
    let sign = index.find_sign(&keyring(1).public()).unwrap().unwrap();
    assert_eq!((sign.secret, sign.file), (keyring(1).sign, file));
    let encrypt = index.find_encrypt(&keyring(1).encrypt[0].public()).unwrap().unwrap();
    assert_eq!(encrypt.secret, keyring(1).encrypt[0].secret);
    assert_eq!(index.find_keyring(&keyring(1).public()).unwrap().unwrap().secret, keyring(1));
}

#[test]
fn an_unknown_key_is_none_and_a_key_whose_file_came_since_is_found() {
    let home = Home::with_config("key-files ~/*.key");
    home.key("a.key", 1);
    let index = home.index();
    index.update(Vanished::Keep).unwrap();
    assert!(index.find_sign(&keyring(2).public()).unwrap().is_none());
    assert!(index.find_encrypt(&keyring(2).encrypt[0].public()).unwrap().is_none());
    home.key("b.key", 2);
    assert!(index.find_sign(&keyring(2).public()).unwrap().is_some());
}

#[test]
fn a_key_that_moved_is_found_at_its_new_place() {
    let home = Home::with_config("key-files ~/*.key");
    let file = home.key("a.key", 1);
    let index = home.index();
    index.update(Vanished::Keep).unwrap();
    fs::rename(file, home.path().join("b.key")).unwrap();
    let found = index.find_sign(&keyring(1).public()).unwrap().unwrap();
    assert_eq!(found.file, home.path().join("b.key"));
}

#[test]
fn the_second_file_of_a_key_stands_in_for_the_first() {
    let home = Home::with_config("key-files ~/*.key");
    let (first, second) = (home.key("a.key", 1), home.key("b.key", 1));
    let index = home.index();
    assert_eq!(index.list().unwrap().len(), 4);
    assert_eq!(index.find_sign(&keyring(1).public()).unwrap().unwrap().file, first);
    fs::remove_file(&first).unwrap();
    assert_eq!(index.find_sign(&keyring(1).public()).unwrap().unwrap().file, second);
}

#[test]
fn a_file_that_lost_its_key_is_named() {
    let home = Home::with_config("key-files ~/*.key");
    let file = home.key("a.key", 1);
    let index = home.index();
    index.update(Vanished::Keep).unwrap();
    fs::remove_file(&file).unwrap();
    let error = index.find_sign(&keyring(1).public()).unwrap_err();
    let expected = format!(
        "cannot read the secret of {} from {}: the file is gone",
        keyring(1).public(),
        file.display()
    );
    assert_eq!(error.to_string(), expected);
    assert!(error.hint().contains("add-mask"));
    // A keyring of another key in its place: the index learns that, and the key is simply not there.
    home.key("a.key", 2);
    assert!(index.find_sign(&keyring(1).public()).unwrap().is_none());
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let home = Home::with_config("key-files ~/a.key");
    let file = home.key("a.key", 1);
    let index = home.index();
    index.update(Vanished::Keep).unwrap();
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let error = index.find_sign(&keyring(1).public()).unwrap_err();
    assert!(matches!(&error, KeymanError::Vanished { gone: Gone::Unreadable(_), .. }), "{error}");
}

#[test]
fn a_key_in_the_index_is_found_without_the_configuration() {
    let home = Home::with_config("key-files ~/*.key");
    home.key("a.key", 1);
    home.index().update(Vanished::Keep).unwrap();
    home.write("config/hbs2-keyman/config", b"(broken");
    let index = home.index();
    assert!(index.find_sign(&keyring(1).public()).unwrap().is_some());
    assert!(matches!(index.find_sign(&keyring(2).public()), Err(KeymanError::Config { .. })));
}
