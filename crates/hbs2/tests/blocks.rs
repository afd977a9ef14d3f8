//! `hbs2 deps`, `del`, `fsck`, `metadata`, `bundle`, `reflog`, `anyref`, on a storage of one's own and through a peer.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use std::fs;

use hbs2_testkit::{Daemon, Home, vectors};
use kit::home;

const ABSENT: &str = "Dn9xPBUXJFekp781C1MnMWkiXGJ3aB3H5Cca37nUWBSp";
const KEY: &str = "7rCNRqcv4ZBHhjE3ChA9XrJdRCr2KH9jKKQyug29Qrek";

fn store(home: &Home, bytes: impl Into<Vec<u8>>) -> String {
    home.line("hbs2 store").stdin(bytes).ok().unwrap().text()
}

fn lines(home: &Home, line: &str) -> Vec<String> {
    home.line(line).ok().unwrap().text().lines().map(str::to_owned).collect()
}

/// Runs `check` without a peer and with one.
fn both(check: fn(&Home)) {
    check(&home("alice"));
    let home = home("bob");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    check(&home);
}

#[test]
fn deps_prints_all_that_the_original_prints_and_inner_nodes_too() {
    let home = home("alice");
    let manifest = vectors::json("inspect/detection.json").unwrap();
    for key in ["leafA", "leafB"] {
        store(&home, vectors::hex(&manifest[key]["hex"]).unwrap());
    }
    let leaf = "82019f8200820058208e3851f88613f681c9769ea8bccf19a99df69ce2832557c5b8620913ae068af0820082005820f3a5\
                516873e2cdb9cba8d6ff5c3da5692e7069956821bfeb225575b68851042cff";
    store(&home, vectors::hex(&serde_json::Value::from(leaf)).unwrap());
    let mut checked = 0;
    for vector in manifest["vectors"].as_array().unwrap() {
        let (name, hash) = (vector["name"].as_str().unwrap(), vector["hash"].as_str().unwrap());
        if name == "empty block" {
            continue;
        }
        store(&home, vectors::hex(&vector["block_hex"]).unwrap());
        let done = home.line(&format!("hbs2 deps {hash}")).run().unwrap();
        let (ours, stdout) = (done.text(), vector["deps"]["stdout"].as_str().unwrap());
        assert_eq!(ours.lines().next(), Some(hash), "{name}");
        let mut rest = ours.lines();
        assert!(stdout.lines().all(|theirs| rest.any(|line| line == theirs)), "{name}: {ours} and {stdout}");
        assert_eq!(done.status.success(), !done.talk().contains("missed block"), "{name}: {done}");
        assert!(!name.contains("missing") || !done.status.success(), "{name}: {done}");
        checked += 1;
    }
    assert!(checked >= 20, "{checked}");
    home.line(&format!("hbs2 deps {ABSENT}"))
        .fails()
        .unwrap()
        .says(&format!("missed block: {ABSENT}"))
        .unwrap();
}

#[test]
fn deps_of_a_long_file_has_each_block_once_in_order() {
    both(|home| {
        let content: Vec<u8> = (0..3_000_000u32).flat_map(u32::to_be_bytes).collect();
        let root = store(home, content);
        let listed = lines(home, &format!("hbs2 cat -H {root}"));
        let mut expected = vec![root.clone()];
        expected.extend(listed);
        assert_eq!(lines(home, &format!("hbs2 deps {root}")), expected);
        let twice = store(home, vec![7; 2 * 262_144]);
        assert_eq!(lines(home, &format!("hbs2 deps {twice}")).len(), 2);
    });
}

#[test]
fn del_takes_one_block_or_everything_below_it() {
    both(|home| {
        let root = store(home, "hello");
        let leaf = "4PNCZERNLKAqwSYHhZpb7B4GE34eiYDPXGgeNKWNNaBp";
        let done = home.line(&format!("hbs2 del {root}")).stdin("n\n").ok().unwrap();
        let question = format!("Are you sure to delete block {root} [y/n]: ");
        assert_eq!((done.text(), done.talk()), (String::new(), question.clone()));
        home.line(&format!("hbs2 del {root}")).ok().unwrap();
        assert_eq!(home.line(&format!("hbs2 has {root}")).ok().unwrap().text(), "42", "no answer is no");

        let done = home.line(&format!("hbs2 del {root}")).stdin("y").ok().unwrap();
        assert_eq!((done.text(), done.talk()), (format!("deleted {root}"), question));
        home.line(&format!("hbs2 has {root}")).fails().unwrap();
        home.line(&format!("hbs2 has {leaf}")).ok().unwrap();
        home.line(&format!("hbs2 del -y {root}")).fails().unwrap().says("missed block").unwrap();

        store(home, "hello");
        let deleted = lines(home, &format!("hbs2 del -r -y {root}"));
        assert_eq!(deleted, [format!("deleted {leaf}"), format!("deleted {root}")]);
        home.line(&format!("hbs2 has {leaf}")).fails().unwrap();
        store(home, "hello");
        let done = home.line(&format!("hbs2 del -r {root}")).stdin("n\ny\n").ok().unwrap();
        assert_eq!(done.text(), format!("deleted {root}"));
        home.line(&format!("hbs2 has {leaf}")).ok().unwrap();
    });
}

#[test]
fn del_of_sealed_data_leaves_the_group_key() {
    let home = home("alice");
    let gk = vectors::path("groupkey/from-keys-1.gk");
    let root = home.line("hbs2 store -g").arg(gk).arg("-k").arg(vectors::path("groupkey/members-1.key"));
    let root = root.stdin("secret").ok().unwrap().text();
    let all = lines(&home, &format!("hbs2 deps {root}"));
    assert_eq!(all.len(), 4, "root, group key in two blocks, data: {all:?}");
    let deleted = lines(&home, &format!("hbs2 del -ry {root}"));
    assert_eq!(deleted, [format!("deleted {}", all[3]), format!("deleted {root}")]);
    home.line(&format!("hbs2 deps {}", all[1])).ok().unwrap();
}

#[test]
fn fsck_is_silent_when_all_is_well_and_names_a_broken_block() {
    let home = home("alice");
    let root = store(&home, b"a block that will be broken on the disk".repeat(3000));
    store(&home, "another");
    let done = home.line("hbs2 fsck").ok().unwrap();
    assert_eq!((done.text(), done.talk()), (String::new(), String::new()));
    let broken = lines(&home, &format!("hbs2 cat -H {root}")).remove(0);
    let mut files = 0;
    for entry in walk(&home.join(".local/share/hbs2")) {
        let mut bytes = fs::read(&entry).unwrap();
        if let Some(at) = bytes.windows(7).position(|piece| piece == b"a block") {
            bytes[at] ^= 1;
            fs::write(entry, bytes).unwrap();
            files += 1;
        }
    }
    assert_eq!(files, 1);
    for _ in 0..2 {
        let done = home.line("hbs2 fsck").fails().unwrap();
        assert_eq!(done.text(), format!("{:<24} {broken}", "broken"));
        assert!(done.talk().contains("error: 1 of 4 blocks are broken\n"), "{done}");
    }
    let _daemon = Daemon::start(&home, &[]).unwrap();
    let done = home.line("hbs2 fsck").fails().unwrap();
    assert_eq!(done.text(), format!("{:<24} {broken}", "broken"), "through the peer");
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn metadata_is_created_from_a_file_and_dumped_again() {
    both(|home| {
        fs::write(home.join("notes.txt"), "shopping list\n").unwrap();
        let text = "file-name: \"notes.txt\"\nmime-type: \"text/plain; charset=us-ascii\"";
        let would = lines(home, "hbs2 metadata create --auto -n -H notes.txt").remove(0);
        home.line(&format!("hbs2 has {would}")).fails().unwrap();
        let done = home.line("hbs2 metadata create --auto notes.txt").ok().unwrap();
        assert_eq!(done.stdout, format!("{text}\n\n{would}\n").as_bytes());
        assert_eq!(lines(home, "hbs2 metadata create -H notes.txt"), [would.as_str()]);
        assert_eq!(home.line(&format!("hbs2 metadata dump {would}")).ok().unwrap().stdout, text.as_bytes());
        assert_eq!(home.line(&format!("hbs2 cat {would}")).ok().unwrap().stdout, b"shopping list\n");
        let plain = store(home, "no metadata");
        let done = home.line(&format!("hbs2 metadata dump {plain}")).fails().unwrap();
        assert_eq!((done.text(), done.talk()), (String::new(), String::new()));
    });
}

#[test]
fn a_bundle_carries_blocks_to_another_storage() {
    both(|home| {
        let content: Vec<u8> = (0..600_000u32).map(|i| ((i + 1) % 251) as u8).collect();
        let root = store(home, content.clone());
        let bundle = home.line("hbs2 bundle create").stdin(format!("{root}\n")).ok().unwrap().text();
        let listed = lines(home, &format!("hbs2 bundle list {bundle}"));
        assert_eq!(listed, lines(home, &format!("hbs2 deps {root}")));
        assert_eq!(listed, lines(home, &format!("hbs2 bundle list --check {bundle}")));
        fs::write(home.join("list"), &root).unwrap();
        assert_eq!(lines(home, "hbs2 bundle create -f list"), [bundle.as_str()]);

        let file = home.line(&format!("hbs2 cat {bundle}")).ok().unwrap().stdout;
        let carried = home.line("hbs2 store -p away").stdin(file).ok().unwrap().text();
        assert_eq!(carried, bundle);
        home.line(&format!("hbs2 cat -p away {root}")).fails().unwrap();
        let done = home.line(&format!("hbs2 bundle import -p away {bundle}")).ok().unwrap();
        assert_eq!((done.text(), done.talk()), (String::new(), String::new()));
        assert!(home.line(&format!("hbs2 cat -p away {root}")).ok().unwrap().stdout == content);

        home.line("hbs2 bundle create").stdin(ABSENT).fails().unwrap().says("missed block").unwrap();
        home.line("hbs2 bundle create").stdin("x").fails().unwrap().says("'x' in stdin is no hash").unwrap();
        home.line(&format!("hbs2 bundle list {root}")).fails().unwrap().says("cannot read bundle").unwrap();
    });
}

#[test]
fn bundles_of_the_original_are_listed_and_imported() {
    let home = home("alice");
    let manifest = vectors::json("bundle/manifest.json").unwrap();
    for vector in manifest["vectors"].as_array().unwrap() {
        let stream = vectors::path("bundle").join(vector["stream"].as_str().unwrap());
        let bundle = home.line("hbs2 store").arg(stream).ok().unwrap().text();
        assert_eq!(vector["bundle"], bundle.as_str());
        for (option, stdout) in [("", &vector["list_stdout"]), ("--check", &vector["list_check_stdout"])] {
            let done = home.line(&format!("hbs2 bundle list {option} {bundle}")).ok().unwrap();
            assert_eq!(done.stdout, stdout.as_str().unwrap().as_bytes());
        }
        home.line(&format!("hbs2 bundle import {bundle}")).ok().unwrap();
        for hash in vector["list_stdout"].as_str().unwrap().lines() {
            home.line(&format!("hbs2 has {hash}")).ok().unwrap();
        }
    }
}

#[test]
fn a_reference_to_a_bundle_is_a_signed_block() {
    use hbs2_core::Decode;
    use hbs2_core::bundle::{BundleRef, SignedBundleRef};
    let home = home("alice");
    let keyring = vectors::path("keyring/new-n1.key");
    let hash = home.line("hbs2 bundle create-ref -k").arg(keyring).arg(ABSENT).ok().unwrap().text();
    let block = home.line(&format!("hbs2 cat {hash}")).ok().unwrap().stdout;
    let verified = SignedBundleRef::from_bytes(&block).unwrap().0.verify().unwrap();
    assert_eq!(verified.signer.to_string(), "FPHrWVG1M6s5gJL5CczAo2CX7RcRUpsb7p8XkHadRTfq");
    assert_eq!(verified.value, BundleRef { bundle: ABSENT.parse().unwrap() });
}

#[test]
fn an_anyref_has_the_value_that_was_set() {
    both(|home| {
        let get = || home.line(&format!("hbs2 anyref get {KEY}"));
        let done = get().fails().unwrap();
        assert!(done.text().is_empty() && !done.talk().contains("error"), "{done}");
        for value in [ABSENT, "ArdzKVNBiUhHsDqKZwpNinzdNhuQefCFZqNyVubpbW8g"] {
            let done = home.line(&format!("hbs2 anyref set {KEY} {value}")).ok().unwrap();
            assert_eq!((done.text(), done.talk()), (String::new(), String::new()));
            assert_eq!(get().ok().unwrap().text(), value);
        }
    });
}

#[test]
fn a_reflog_is_read_from_the_storage_with_and_without_the_peer() {
    let home = home("alice");
    fs::create_dir_all(home.join(".hbs2-keyman/keys")).unwrap();
    fs::write(home.join(".hbs2-keyman/keys/a.key"), vectors::bytes("keyring/new-n1.key").unwrap()).unwrap();
    let key = "FPHrWVG1M6s5gJL5CczAo2CX7RcRUpsb7p8XkHadRTfq";
    let get = || home.line(&format!("hbs2 reflog get {key}"));
    let mut daemon = Daemon::start(&home, &[]).unwrap();
    get().fails().unwrap();
    home.line(&format!("hbs2-peer reflog send {key}")).stdin("entry").ok().unwrap();
    home.line(&format!("hbs2 reflog fetch {key}")).ok().unwrap();
    let root = home.line(&format!("hbs2-peer reflog get {key}")).ok().unwrap().text();
    assert_eq!(get().ok().unwrap().text(), root);
    daemon.stop().unwrap();
    assert_eq!(get().ok().unwrap().text(), root);
}
