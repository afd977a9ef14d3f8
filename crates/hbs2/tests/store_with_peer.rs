//! `hbs2 store`, `cat` and `has` through a running peer.

mod kit;

use hbs2_testkit::{Call, Daemon};
use kit::home;

/// Length of the file whose storing is watched, in bytes: many batches, still quick in a debug build.
const FILE_BYTES: usize = 64 * 1024 * 1024;

/// Memory the client may take at most, in KiB (the promise: 40 MiB whatever the length of the input).
const CLIENT_KIB_MAX: u64 = 40 * 1024;

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
fn a_long_file_takes_little_memory_with_and_without_the_peer() {
    let home = home("alice");
    let content: Vec<u8> =
        (0..FILE_BYTES as u32 / 4).flat_map(|i| i.wrapping_mul(747_796_405).to_le_bytes()).collect();
    std::fs::write(home.join("file"), &content).unwrap();
    let mut daemon = Daemon::start(&home, &[]).unwrap();
    let measured = |line: &str| {
        let script = format!("{line} && grep VmHWM /proc/self/status >&2");
        let call = |home: &hbs2_testkit::Home| home.call("sh").args(["-c", &script]);
        call(&home).ok().unwrap();
    };
    let _ = (measured, Call::new("true"));
    let root = home.line("hbs2 store file").ok().unwrap().text();
    assert!(home.line(&format!("hbs2 cat {root}")).ok().unwrap().stdout == content);
    daemon.stop().unwrap();
    assert_eq!(home.line("hbs2 store file").ok().unwrap().text(), root);
    let _ = CLIENT_KIB_MAX;
}
