//! What no key file says: it outlives the index, and is never thrown away.

use std::fs;
use std::sync::{Arc, Mutex};

use hbs2_core::Hash;
use hbs2_core::groupkey::GroupKeyId;
use hbs2_keyman::{Vanished, Warning};

use crate::home::{Home, keyring};

const ROOT: Hash = Hash::from_bytes([1; 32]);
const ID: GroupKeyId = GroupKeyId::from_bytes([2; 32]);

#[test]
fn weights_and_group_keys_survive_the_loss_of_the_index() {
    let home = Home::with_config("key-files ~/*.key");
    home.key("a.key", 1);
    let index = home.index();
    index.set_weight(keyring(1).public().as_bytes(), 7).unwrap();
    index.track(&[(ROOT, ID)]).unwrap();
    drop(index);
    let state = home.paths().state;
    let losses: [&dyn Fn(); 3] = [
        &|| fs::remove_file(&state).unwrap(),
        &|| fs::write(&state, b"this is not a database, it is a text of some length").unwrap(),
        &|| fs::write(&state, b"").unwrap(),
    ];
    for lose in losses {
        lose();
        let index = home.index();
        assert_eq!(index.list().unwrap()[1].weight, Some(7));
        assert_eq!(index.tracked(&ID).unwrap(), [ROOT]);
    }
}

#[test]
fn weights_of_an_index_of_before_are_taken_over_once() {
    let home = Home::with_config("key-files ~/*.key");
    home.key("a.key", 1);
    fs::create_dir_all(home.paths().state.parent().unwrap()).unwrap();
    let old = rusqlite::Connection::open(home.paths().state).unwrap();
    let schema = "CREATE TABLE hbs2_weight_1 (key BLOB PRIMARY KEY NOT NULL, weight INTEGER NOT NULL);";
    old.execute_batch(schema).unwrap();
    let key = keyring(1).public();
    old.execute("INSERT INTO hbs2_weight_1 VALUES (?, 5)", [key.as_bytes()]).unwrap();
    drop(old);
    let weight = || home.index().list().unwrap().into_iter().find_map(|listed| listed.weight);
    assert_eq!(weight(), Some(5));
    home.index().set_weight(key.as_bytes(), 6).unwrap();
    assert_eq!(weight(), Some(6));
    fs::remove_file(home.paths().kept()).unwrap();
    assert_eq!(weight(), None, "who deletes the weights has none");
}

#[test]
fn a_broken_file_is_set_aside_and_told_once() {
    let home = Home::with_config("key-files ~/*.key");
    home.key("a.key", 1);
    home.index().set_weight(keyring(1).public().as_bytes(), 7).unwrap();
    let broken = b"this is not a database, it is a text of some length";
    fs::write(home.paths().kept(), broken).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    let index = home.index().with_listener(move |warning| listener.lock().unwrap().push(warning.clone()));
    assert_eq!(index.list().unwrap()[0].weight, None);
    index.set_weight(keyring(1).public().as_bytes(), 8).unwrap();
    assert_eq!(home.index().list().unwrap()[1].weight, Some(8));
    match told.lock().unwrap().as_slice() {
        [Warning::SetAside { file }] => assert_eq!(fs::read(file).unwrap(), broken),
        other => panic!("{other:?}"),
    };
}

#[test]
fn a_file_of_another_shape_is_set_aside_while_it_is_open() {
    let home = Home::with_config("key-files ~/*.key");
    let index = home.index();
    index.track(&[(ROOT, ID)]).unwrap();
    let other = rusqlite::Connection::open(home.paths().kept()).unwrap();
    other.execute_batch("DROP TABLE hbs2_group_key_1").unwrap();
    drop(other);
    assert_eq!(index.tracked(&ID).unwrap(), []);
    assert_eq!(index.track(&[(ROOT, ID)]).unwrap(), 1);
    let dir = home.paths().kept().parent().unwrap().to_owned();
    let aside = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with("kept.db.broken-");
    assert_eq!(fs::read_dir(dir).unwrap().filter(|entry| aside(entry.as_ref().unwrap())).count(), 1);
}

#[test]
fn several_users_who_meet_a_broken_file_lose_nothing_of_each_other() {
    let home = Home::with_config("key-files ~/*.key");
    fs::create_dir_all(home.paths().state.parent().unwrap()).unwrap();
    fs::write(home.paths().kept(), b"this is not a database, it is a text of some length").unwrap();
    std::thread::scope(|scope| {
        for seed in 1..9u8 {
            let home = &home;
            scope.spawn(move || {
                let index = home.index();
                index.track(&[(Hash::from_bytes([seed; 32]), ID)]).unwrap();
                index.update(Vanished::Forget).unwrap();
            });
        }
    });
    assert_eq!(home.index().tracked(&ID).unwrap().len(), 8);
}

#[test]
fn a_loose_mode_is_told_once_for_each_file() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::with_config("key-files ~/*.key");
    let file = home.key("a.key", 1);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    let index = home.index().with_listener(move |warning| listener.lock().unwrap().push(warning.clone()));
    for _ in 0..3 {
        assert!(index.find_sign(&keyring(1).public()).unwrap().is_some());
        assert!(index.find_encrypt(&keyring(1).encrypt[0].public()).unwrap().is_some());
    }
    assert_eq!(*told.lock().unwrap(), [Warning::LooseMode { file, mode: 0o640 }]);
}
