//! `hbs2 keyring-new` and `hbs2 keyring-list`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use hbs2_testkit::vectors;
use kit::home;

#[test]
fn keyring_list_prints_what_the_original_prints() {
    let home = home("alice");
    let manifest = vectors::json("keyring/manifest.json").unwrap();
    let mut checked = 0;
    for vector in manifest["vectors"].as_array().unwrap() {
        let Some(listing) = vector["keyring_list_stdout"].as_str() else { continue };
        let file = vectors::path("keyring").join(vector["file"].as_str().unwrap());
        let done = home.line("hbs2 keyring-list").arg(&file).ok().unwrap();
        assert_eq!(String::from_utf8(done.stdout).unwrap(), listing, "{}", file.display());
        checked += 1;
    }
    assert!(checked >= 4);
}

#[test]
fn a_new_keyring_has_a_signing_key_and_as_many_encryption_keys_as_asked_for() {
    let home = home("alice");
    for (line, count) in [("hbs2 keyring-new", 0), ("hbs2 keyring-new -n2", 2), ("hbs2 keyring new -n 3", 3)]
    {
        let keyring = home.line(line).ok().unwrap();
        assert!(keyring.text().starts_with("# hbs2 credentials file\n# keep it private\n\n"), "{line}");
        std::fs::write(home.join("new.key"), keyring.stdout).unwrap();
        let list = home.line("hbs2 keyring list new.key").ok().unwrap().text();
        assert_eq!(list.lines().filter(|line| line.starts_with("sign-key:  ")).count(), 1);
        assert_eq!(list.lines().filter(|line| line.starts_with("pub-key:   ")).count(), count);
    }
    let two: Vec<_> = (0..2).map(|_| home.line("hbs2 keyring-new").ok().unwrap().stdout).collect();
    assert_ne!(two[0], two[1]);
}

#[test]
fn a_file_that_is_no_keyring_is_named() {
    let home = home("alice");
    std::fs::write(home.join("notes"), "shopping list").unwrap();
    home.line("hbs2 keyring-list notes").fails().unwrap().says("error: notes is not a keyring").unwrap();
    home.line("hbs2 keyring-list none").fails().unwrap().says("error: cannot read none").unwrap();
    std::fs::write(home.join("long"), vec![b'1'; 100_000]).unwrap();
    home.line("hbs2 keyring-list long").fails().unwrap().says("long is longer than 65536 bytes").unwrap();
}
