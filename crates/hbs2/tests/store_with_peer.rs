//! `hbs2 store`, `cat` and `has` through a running peer.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use hbs2_testkit::Daemon;
use kit::home;

/// Length of a long file, in bytes: many batches, and more than the client may allocate.
const FILE_BYTES: u32 = 96 * 1024 * 1024;

/// Memory the client may allocate, in KiB. What it holds at once is a few batches of 2 MiB; the rest is room for
/// stacks and the allocator.
const CLIENT_KIB_MAX: u32 = 64 * 1024;

#[test]
fn what_is_stored_through_the_peer_comes_back_through_it() {
    let home = home("alice");
    let mut daemon = Daemon::start(&home, &[]).unwrap();
    let root = home.line("hbs2 store").stdin("hello").ok().unwrap().text();
    assert_eq!(root, "ArdzKVNBiUhHsDqKZwpNinzdNhuQefCFZqNyVubpbW8g");
    assert_eq!(home.line(&format!("hbs2 cat {root}")).ok().unwrap().text(), "hello");
    assert_eq!(home.line(&format!("hbs2 has {root}")).ok().unwrap().text(), "42");
    let absent = "Dn9xPBUXJFekp781C1MnMWkiXGJ3aB3H5Cca37nUWBSp";
    home.line(&format!("hbs2 cat {absent}")).fails().unwrap().says("missed block: ").unwrap();
    home.line(&format!("hbs2 has {absent}")).fails().unwrap();
    daemon.stop().unwrap();
    assert_eq!(home.line(&format!("hbs2 cat {root}")).ok().unwrap().text(), "hello", "without the peer");
}

#[test]
fn a_long_file_takes_little_memory_of_the_client() {
    let home = home("alice");
    let content: Vec<u8> =
        (0..FILE_BYTES / 4).flat_map(|i| i.wrapping_mul(747_796_405).to_le_bytes()).collect();
    std::fs::write(home.join("file"), &content).unwrap();
    let _daemon = Daemon::start(&home, &[]).unwrap();
    let limited = |command: &str| {
        let script = format!("ulimit -d {CLIENT_KIB_MAX} && {command}");
        home.call("sh").args(["-c", &script]).ok().unwrap()
    };
    let root = limited("hbs2 store file").text();
    assert_eq!(limited("hbs2 store < file").text(), root);
    assert!(limited(&format!("hbs2 cat {root}")).stdout == content);

    std::fs::write(home.join("kr"), home.line("hbs2 keyring-new -n1").ok().unwrap().stdout).unwrap();
    let keys = home.line("hbs2 keyring-list kr").ok().unwrap().stdout;
    std::fs::write(home.join("gk"), home.line("hbs2 groupkey-new").stdin(keys).ok().unwrap().stdout).unwrap();
    let root = limited("hbs2 store -g gk -k kr file").text();
    assert_eq!(limited("cat file | hbs2 store -g gk -k kr").text(), root);
    assert!(limited(&format!("hbs2 cat -k kr {root}")).stdout == content);
}
