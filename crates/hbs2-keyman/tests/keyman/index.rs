//! The index itself: update, list, weights, repair, several processes.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use hbs2_keyman::{KeyIndex, KeyKind, KeymanError, Paths, Vanished};

use hbs2_testkit::vectors;

use crate::home::{Home, keyring};

#[test]
fn a_new_index_is_filled_when_it_is_asked() {
    let home = Home::with_config("key-files ~/*.key");
    home.key("b.key", 2);
    home.key("a.key", 1);
    let listed = home.index().list().unwrap();
    let rows: Vec<_> =
        listed.iter().map(|row| (row.key.clone(), row.kind, row.file.clone(), row.weight)).collect();
    let (a, b) = (keyring(1), keyring(2));
    let file = |name: &str| home.path().join(name);
    assert_eq!(
        rows,
        [
            (a.public().to_string(), KeyKind::Sign, file("a.key"), None),
            (a.encrypt[0].public().to_string(), KeyKind::Encrypt, file("a.key"), None),
            (b.public().to_string(), KeyKind::Sign, file("b.key"), None),
            (b.encrypt[0].public().to_string(), KeyKind::Encrypt, file("b.key"), None),
        ]
    );
    assert_eq!(
        (KeyKind::Sign.to_string(), format!("{:10}|", KeyKind::Encrypt)),
        ("sign".into(), "encrypt   |".into())
    );
}

#[test]
fn an_update_follows_files_that_change_and_keeps_those_that_vanish() {
    let home = Home::with_config("key-files ~/*.key");
    let file = home.key("a.key", 1);
    let index = home.index();
    let counts = |vanished| {
        let updated = index.update(vanished).unwrap();
        (updated.added, updated.forgotten)
    };
    assert_eq!(counts(Vanished::Keep), (2, 0));
    assert_eq!(counts(Vanished::Forget), (0, 0));
    home.key("a.key", 2);
    assert_eq!(counts(Vanished::Keep), (2, 2));
    home.write("a.key", b"no keyring any more");
    assert_eq!(counts(Vanished::Keep), (0, 2));
    home.key("a.key", 2);
    assert_eq!(counts(Vanished::Keep), (2, 0));
    fs::remove_file(file).unwrap();
    assert_eq!(counts(Vanished::Keep), (0, 0));
    assert_eq!(home.listed(), [("a.key".to_owned(), 2)]);
    assert_eq!(counts(Vanished::Forget), (0, 2));
    assert_eq!(home.listed(), []);
}

#[test]
fn forgetting_spares_files_that_no_mask_names_any_more() {
    let home = Home::with_config("key-files ~/*.key");
    home.key("a.key", 1);
    home.index().update(Vanished::Keep).unwrap();
    home.write("config/hbs2-keyman/config", b"");
    assert_eq!(home.index().update(Vanished::Forget).unwrap().forgotten, 0);
}

#[test]
fn weights_order_the_list_and_the_preference() {
    let home = Home::with_config("key-files ~/*.key");
    for (name, seed) in [("a.key", 1), ("b.key", 2), ("c.key", 3)] {
        home.key(name, seed);
    }
    let index = home.index();
    index.set_weight(keyring(2).public().as_bytes(), 7).unwrap();
    index.set_weight(keyring(3).public().as_bytes(), -1).unwrap();
    let signing: Vec<_> = [2, 1, 3].map(|seed| keyring(seed).public()).into();
    assert_eq!(index.signing_keys().unwrap(), signing);
    assert_eq!(index.encryption_keys().unwrap().len(), 3);
    let weights: Vec<_> = index.list().unwrap().into_iter().map(|row| row.weight).collect();
    assert_eq!(weights, [None, None, None, None, Some(-1), Some(7)]);
    // An update does not lose what the user said.
    index.update(Vanished::Forget).unwrap();
    assert_eq!(home.index().signing_keys().unwrap(), signing);
}

#[test]
fn a_broken_database_is_replaced() {
    let home = Home::with_config("key-files ~/*.key");
    home.key("a.key", 1);
    let expected = [("a.key".to_owned(), 2)];
    assert_eq!(home.listed(), expected);
    let state = home.paths().state;
    let whole = fs::read(&state).unwrap();
    // Not a database; a page of garbage; cut short; a database of somebody else.
    let mut torn = whole.clone();
    for byte in &mut torn[4096..] {
        *byte = 0x5a;
    }
    for broken in
        [b"this is not a database, it is a text of some length".as_slice(), &torn, &whole[..5000], b""]
    {
        fs::write(&state, broken).unwrap();
        assert_eq!(home.listed(), expected);
        assert!(home.index().find_sign(&keyring(1).public()).unwrap().is_some());
    }
    fs::remove_file(&state).unwrap();
    let foreign = rusqlite::Connection::open(&state).unwrap();
    foreign
        .execute_batch("CREATE TABLE keyfile (key TEXT, file TEXT); CREATE TABLE hbs2_key_1 (key TEXT);")
        .unwrap();
    drop(foreign);
    assert_eq!(home.listed(), expected);
}

#[test]
fn a_database_that_breaks_while_it_is_open_is_replaced() {
    let home = Home::with_config("key-files ~/*.key");
    home.key("a.key", 1);
    let index = home.index();
    index.update(Vanished::Keep).unwrap();
    let other = rusqlite::Connection::open(home.paths().state).unwrap();
    other.execute_batch("DROP TABLE hbs2_key_1").unwrap();
    assert!(index.find_sign(&keyring(1).public()).unwrap().is_some());
    assert_eq!(index.list().unwrap().len(), 2);
}

#[test]
fn an_index_that_is_deleted_while_it_is_open_begins_anew() {
    let home = Home::with_config("key-files ~/*.key");
    let index = home.index();
    index.update(Vanished::Keep).unwrap();
    fs::remove_file(home.paths().state).unwrap();
    home.key("a.key", 1);
    assert_eq!(index.update(Vanished::Keep).unwrap().added, 2);
    index.set_weight(keyring(1).public().as_bytes(), 1).unwrap();
    fs::remove_file(home.paths().kept()).unwrap();
    index.set_weight(keyring(1).public().as_bytes(), 7).unwrap();
    assert_eq!(home.index().list().unwrap()[1].weight, Some(7));
}

#[test]
fn several_users_who_meet_a_broken_index_all_get_on() {
    for _ in 0..20 {
        let home = Home::with_config("key-files ~/*.key");
        home.key("a.key", 1);
        home.write("data/hbs2-keyman/state.db", b"this is not a database, it is a text of some length");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(home.index().update(Vanished::Forget).unwrap().files, 1));
            }
        });
        assert_eq!(home.index().list().unwrap().len(), 2);
    }
}

#[test]
fn several_users_of_one_index_wait_for_each_other() {
    let home = Home::with_config("key-files ~/*.key");
    for seed in 1..9 {
        home.key(&format!("{seed}.key"), seed);
    }
    std::thread::scope(|scope| {
        for seed in 1..9u8 {
            let home = &home;
            scope.spawn(move || {
                // Each opens its own, as processes do; all start from nothing.
                let index = home.index();
                for round in 0..5 {
                    index.update(Vanished::Forget).unwrap();
                    index.set_weight(keyring(seed).public().as_bytes(), round).unwrap();
                    assert!(index.find_sign(&keyring(seed).public()).unwrap().is_some());
                }
            });
        }
    });
    assert_eq!(home.index().list().unwrap().len(), 16);
}

#[test]
fn no_secret_is_in_the_index() {
    let home = Home::with_config("key-files ~/*.key");
    home.key("a.key", 1);
    let index = home.index();
    index.find_sign(&keyring(1).public()).unwrap().unwrap();
    index.find_encrypt(&keyring(1).encrypt[0].public()).unwrap().unwrap();
    drop(index);
    let bytes = fs::read(home.paths().state).unwrap();
    let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    assert!(holds(keyring(1).public().as_bytes()), "the public key is there");
    assert!(!holds(&[1; 32]), "the seed and the encryption secret are not");
}

#[test]
fn a_new_keyring_is_written_for_its_owner_only_and_is_known_at_once() {
    let home = Home::new();
    let index = home.index();
    let file = index.add_keyring(&keyring(1), "lwwref").unwrap();
    let name = format!(".hbs2-keyman/keys/{}-lwwref.key", keyring(1).public());
    assert_eq!(file, home.path().join(name));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(file.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    let found = index.find_sign(&keyring(1).public()).unwrap().unwrap();
    assert_eq!((found.secret, found.file), (keyring(1).sign, file.clone()));
    // The same again is nothing new; another keyring under the name is refused.
    assert_eq!(index.add_keyring(&keyring(1), "lwwref").unwrap(), file);
    fs::write(&file, keyring(2).to_text().as_bytes()).unwrap();
    let error = index.add_keyring(&keyring(1), "lwwref").unwrap_err();
    assert!(matches!(error, KeymanError::Occupied { .. }), "{error}");
    let plain = index.add_keyring(&keyring(3), "").unwrap();
    assert_eq!(plain.file_name().unwrap().to_str().unwrap(), format!("{}.key", keyring(3).public()));
}

#[test]
fn the_text_of_a_keyring_is_kept_under_the_name_that_the_original_gives_it() {
    let home = Home::new();
    let name = "FXmRcdpqJazTsFFc5BjLRrYPpGmVm3KvWUZBXyfJHAs.key";
    let text = vectors::bytes(&format!("git3-encrypted/keys/{name}")).unwrap();
    let text = String::from_utf8(text).unwrap();
    let index = home.index();
    let file = index.add_keyring_text(&text).unwrap();
    assert_eq!(file, home.path().join(".hbs2-keyman/keys").join(name));
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(index.add_keyring_text(&text).unwrap(), file);
    assert_eq!(index.list().unwrap().len(), 2);
    assert!(matches!(index.add_keyring_text("no keyring"), Err(KeymanError::NotKeyring { .. })));
}

#[test]
fn the_usual_places_follow_the_environment() {
    let paths = |pairs: &[(&str, &str)]| {
        Paths::from_environment(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
        })
    };
    let usual =
        paths(&[("HOME", "/home/a"), ("XDG_DATA_HOME", ""), ("XDG_CONFIG_HOME", "relative")]).unwrap();
    assert_eq!(usual.config, std::path::Path::new("/home/a/.config/hbs2-keyman/config"));
    assert_eq!(usual.state, std::path::Path::new("/home/a/.local/share/hbs2-keyman/state.db"));
    let moved = paths(&[("HOME", "/h"), ("XDG_DATA_HOME", "/d"), ("XDG_CONFIG_HOME", "/c")]).unwrap();
    assert_eq!(moved.config, std::path::Path::new("/c/hbs2-keyman/config"));
    assert_eq!(moved.state, std::path::Path::new("/d/hbs2-keyman/state.db"));
    assert!(matches!(paths(&[]), Err(KeymanError::NoHome)));
}

#[test]
fn an_index_that_cannot_be_made_is_an_error_with_its_path() {
    let home = Home::new();
    home.write("data", b"a file where a directory should be");
    let error = KeyIndex::open(home.paths()).unwrap_err();
    assert!(error.to_string().contains("data/hbs2-keyman"), "{error}");
}
