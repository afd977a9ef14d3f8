//! `hbs2 keyring-new`, `keyring-list`, `keyring-key-add`, `keyring-key-del`, `show-peer-key` and `hbs2 keyring`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hbs2_testkit::{Home, vectors};
use kit::home;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A keyring of the original in `home`, readable by its owner only.
fn copy(home: &Home, vector: &str) {
    fs::write(home.join(vector), vectors::bytes(&format!("keyring/{vector}")).unwrap()).unwrap();
    fs::set_permissions(home.join(vector), Permissions::from_mode(0o600)).unwrap();
}

fn listing(home: &Home, file: &str) -> String {
    String::from_utf8(home.line("hbs2 keyring-list").arg(file).ok().unwrap().stdout).unwrap()
}

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

#[test]
fn a_key_is_added_at_the_end_and_the_file_stays() {
    let home = home("alice");
    copy(&home, "new-n5.key");
    let before = listing(&home, "new-n5.key");
    for line in ["hbs2 keyring-key-add new-n5.key", "hbs2 keyring add new-n5.key"] {
        let done = home.line(line).ok().unwrap();
        assert_eq!(done.talk(), "hbs2: adding a key into keyring new-n5.key\n");
        assert!(done.stdout.ends_with(b"\n"));
        fs::write(home.join("added.key"), done.stdout).unwrap();
        let after = listing(&home, "added.key");
        let added = after.strip_prefix(&before).unwrap();
        assert!(added.starts_with("pub-key:   ") && added.lines().count() == 1, "{added}");
    }
    assert_eq!(listing(&home, "new-n5.key"), before);
}

#[test]
fn a_key_is_deleted_as_the_original_deletes_it() {
    let home = home("alice");
    copy(&home, "new-n5.key");
    let key = "7BBDHrLTGf1at2LaXUgnD2dpFS7K6iqoBgpCCftjkV2S";
    for line in ["hbs2 keyring-key-del", "hbs2 keyring del"] {
        let done = home.line(line).args([key, "new-n5.key"]).ok().unwrap();
        assert_eq!(done.stdout, vectors::bytes("keyring/deleted.key").unwrap());
        assert_eq!(done.talk(), format!("hbs2: removing key {key} from keyring new-n5.key\n"));
    }
    let other = "8FGQ5M2AyPtbYgHJ47LKxfBmhCPcaKtmKxYvBKpChJH9";
    home.line("hbs2 keyring-key-del")
        .args([other, "new-n5.key"])
        .fails()
        .unwrap()
        .says("public key not found in credentials file new-n5.key")
        .unwrap();
}

#[test]
fn show_peer_key_prints_what_the_original_prints_from_a_file_and_from_stdin() {
    let home = home("alice");
    let manifest = vectors::json("keyring/manifest.json").unwrap();
    let mut checked = 0;
    for vector in manifest["vectors"].as_array().unwrap() {
        let Some(expected) = vector["show_peer_key_stdout"].as_str() else { continue };
        let name = vector["file"].as_str().unwrap();
        copy(&home, name);
        let done = home.line("hbs2 show-peer-key").arg(name).ok().unwrap();
        assert_eq!((done.stdout.as_slice(), done.talk().as_str()), (expected.as_bytes(), ""));
        let text = fs::read(home.join(name)).unwrap();
        assert_eq!(home.line("hbs2 show-peer-key").stdin(text).ok().unwrap().stdout, expected.as_bytes());
        checked += 1;
    }
    assert!(checked >= 4);
    let done = home.line("hbs2 show-peer-key").stdin("shopping list").fails().unwrap();
    assert!(done.talk().contains("stdin is not a keyring"), "{done}");
}

#[test]
fn texts_that_the_original_refuses_are_refused_and_the_others_read() {
    let home = home("alice");
    let manifest = vectors::json("keyring/manifest.json").unwrap();
    for variant in manifest["parser_variants"].as_array().unwrap() {
        fs::write(home.join("variant"), variant["text"].as_str().unwrap()).unwrap();
        let done = home.line("hbs2 keyring-list variant").run().unwrap();
        assert_eq!(done.status.success(), variant["rc"] == 0, "{}: {done}", variant["variant"]);
        assert_eq!(done.stdout, variant["stdout"].as_str().unwrap().as_bytes(), "{}", variant["variant"]);
    }
}

#[test]
fn find_prints_the_files_of_a_signing_key() {
    let home = home("alice");
    ["new-n1.key", "new-n3.key"].iter().for_each(|name| copy(&home, name));
    fs::write(home.join("notes"), "shopping list").unwrap();
    let find = |key: &str| {
        home.line("hbs2 keyring find -s").arg(key).args(["notes", "none", "new-n1.key", "new-n3.key"])
    };
    assert_eq!(find("FPHrWVG1M6s5gJL5CczAo2CX7RcRUpsb7p8XkHadRTfq").ok().unwrap().text(), "new-n1.key");
    let done = find("5fPtZb6QpJMNH2QEVF3acBNjH9F6gnuMp4Tv4uS3zp9S").fails().unwrap();
    assert_eq!((done.text(), done.talk()), (String::new(), String::new()));
}

#[test]
fn a_file_that_a_keyring_is_written_into_becomes_private_and_a_loose_one_is_warned_about() {
    let home = home("alice");
    let shell = |script: &str| home.call("sh").args(["-c", script]).ok().unwrap();
    shell("umask 022; hbs2 keyring-new -n1 > my.key");
    assert_eq!(mode(&home.join("my.key")), 0o600);
    assert_eq!(home.line("hbs2 keyring-list my.key").ok().unwrap().talk(), "");
    shell("umask 022; hbs2 keyring-key-add my.key > more.key");
    assert_eq!(mode(&home.join("more.key")), 0o600);
    fs::set_permissions(home.join("my.key"), Permissions::from_mode(0o644)).unwrap();
    let done = home.line("hbs2 keyring-list my.key").ok().unwrap();
    let warning = "hbs2: warning: others may read the key file my.key (mode 644); use: chmod 600\n";
    assert_eq!(done.talk(), warning);
}

#[test]
fn disclose_stores_the_signing_key_alone_and_asks_first() {
    let home = home("alice");
    fs::create_dir_all(home.join(".hbs2-keyman/keys")).unwrap();
    let text = vectors::bytes("keyring/new-n1.key").unwrap();
    fs::write(home.join(".hbs2-keyman/keys/my.key"), text).unwrap();
    let line = "hbs2 keyring disclose FPHrWVG1M6s5gJL5CczAo2CX7RcRUpsb7p8XkHadRTfq";
    let done = home.line(line).stdin("n\n").fails().unwrap();
    assert!(done.talk().contains("Are you sure to give the secret key of FPHr"), "{done}");
    let hash = home.line(line).stdin("y\n").ok().unwrap().text();
    assert_eq!(home.line(&format!("{line} -y")).ok().unwrap().text(), hash);
    let block = home.line(&format!("hbs2 cat {hash}")).ok().unwrap().stdout;
    fs::write(home.join("disclosed"), block).unwrap();
    assert_eq!(listing(&home, "disclosed"), "sign-key:  FPHrWVG1M6s5gJL5CczAo2CX7RcRUpsb7p8XkHadRTfq\n\n");
}
