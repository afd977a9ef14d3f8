//! `hbs2 storage import`: what the original left behind, taken over with and without a running peer.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::fs;
use std::path::{Path, PathBuf};

use hbs2_testkit::{Home, Person, Repo, vectors};

mod kit;

fn fact(name: &str) -> String {
    vectors::manifest("git2-plain").unwrap()[name].as_str().unwrap().to_owned()
}

/// A copy of the vector's storage in the home, as `old`.
fn old_storage(home: &Home) -> PathBuf {
    let to = home.join("old");
    vectors::copy("git2-plain/storage", &to).unwrap();
    to
}

#[test]
fn a_storage_is_imported_into_ours_and_again_without_reading_it() {
    let home = kit::home("alice");
    old_storage(&home);
    let done = home.line("hbs2 storage import old -p ours").ok().unwrap();
    done.says("30 blocks imported, 0 were here already; 2 references; 0 files corrupt").unwrap();
    let done = home.line("hbs2 storage import old -p ours").ok().unwrap();
    done.says("0 blocks imported, 30 were here already; 2 references; 0 files corrupt").unwrap();
    // Both may lie in one folder, as they do where each has its usual place.
    let done = home.line("hbs2 storage import old -p old").ok().unwrap();
    done.says("30 blocks imported, 0 were here already").unwrap();
    let listed = home.line(&format!("hbs2 cat -H {} -p ours", fact("reflog_root"))).ok().unwrap().text();
    assert_eq!(listed, fact("reflog_cat_H").trim_end());
}

#[test]
fn corrupt_files_are_listed_and_not_taken_and_the_rest_is() {
    let home = kit::home("alice");
    let old = old_storage(&home);
    let root = fact("reflog_root");
    let broken = old.join("blocks").join(&root[..1]).join(&root[1..]);
    fs::write(&broken, b"other").unwrap();
    let stranger = old.join("blocks").join(&root[..1]).join("notes.txt");
    fs::write(&stranger, b"mine").unwrap();
    fs::write(old.join("blocks").join(&root[..1]).join("atomic12-3.write"), b"half").unwrap();
    let done = home.line("hbs2 storage import old -p ours").fails().unwrap();
    let mut lines: Vec<String> = done.text().lines().map(str::to_owned).collect();
    lines.sort_unstable();
    let mut expected = [&broken, &stranger]
        .map(|path| format!("corrupt old/{}", path.strip_prefix(&old).unwrap().display()));
    expected.sort_unstable();
    assert_eq!(lines, expected);
    let done = done.says("29 blocks imported").unwrap().says("2 files corrupt").unwrap();
    done.says(&format!("block {root} is not here")).unwrap();
    home.line(&format!("hbs2 has {root} -p ours")).fails().unwrap();
    // Mended, it goes on where it was.
    vectors::copy("git2-plain/storage", &old).unwrap();
    fs::remove_file(&stranger).unwrap();
    let done = home.line("hbs2 storage import old -p ours").ok().unwrap();
    done.says("1 blocks imported, 29 were here already; 2 references; 0 files corrupt").unwrap();
    home.line(&format!("hbs2 has {root} -p ours")).ok().unwrap();
    home.line("hbs2 storage import nowhere -p ours").fails().unwrap().says("is no storage folder").unwrap();
}

#[test]
fn a_running_peer_takes_a_storage_over_and_serves_what_it_is_subscribed_to() {
    let [alice, bob] = Person::row(["alice", "bob"], Path::new(env!("CARGO_BIN_EXE_hbs2"))).unwrap();
    old_storage(&alice.home);
    alice.line("hbs2 storage import old").ok().unwrap();
    let key = fact("lwwref");
    assert_eq!(
        alice.line(&format!("hbs2-peer reflog get {}", fact("reflog"))).ok().unwrap().text().len(),
        44
    );
    // A storage does not say what its peer was subscribed to, and a peer hands on only that.
    alice.line(&format!("hbs2-git-subscribe {key}")).ok().unwrap();
    let copy = Repo::clone(&bob.home, &format!("hbs2://{key}"), "copy").unwrap();
    assert_eq!(copy.id("HEAD").unwrap(), "274bf01710256743e25c91e955d3d16501ec5f80");
    copy.fsck().unwrap();
    // What the daemon has is not set back.
    alice.line("hbs2 storage import old").ok().unwrap().says("0 blocks imported").unwrap();
}
