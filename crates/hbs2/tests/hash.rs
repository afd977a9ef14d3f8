//! `hbs2 hash`, `hbs2 version` and the end of a pipeline.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use kit::home;

#[test]
fn hash_reads_a_file_or_stdin() {
    let home = home("alice");
    let expected = "4PNCZERNLKAqwSYHhZpb7B4GE34eiYDPXGgeNKWNNaBp\n";
    std::fs::write(home.join("hello"), "hello").unwrap();
    assert_eq!(home.line("hbs2 hash hello").ok().unwrap().stdout, expected.as_bytes());
    assert_eq!(home.line("hbs2 hash").stdin("hello").ok().unwrap().stdout, expected.as_bytes());
    assert_eq!(
        home.line("hbs2 hash").ok().unwrap().text(),
        "xyw95Bsby3s4mt6f4FmFDnFVpQBAeJxBFNGzu2cX4dM",
        "of nothing"
    );
}

#[test]
fn hash_names_the_file_it_cannot_read() {
    let home = home("alice");
    let done = home.line("hbs2 hash nowhere").fails().unwrap();
    let said = "hbs2: error: cannot read nowhere\ncause: No such file or directory (os error 2)\n";
    assert_eq!((done.status.code(), done.talk().as_str()), (Some(1), said));
    home.line("hbs2 hash .").fails().unwrap().says("cannot read .").unwrap();
}

#[test]
fn version_is_one_json_object_without_line_end() {
    let home = home("alice");
    for program in ["hbs2", "hbs2-peer"] {
        let done = home.call(program).arg("version").ok().unwrap();
        let value: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(value["buildVersion_pkg"], env!("CARGO_PKG_VERSION"));
        assert!(value.get("buildVersion_git").is_some());
        assert!(done.stdout.ends_with(b"}"));
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let home = home("alice");
    let done = home.call("sh").args(["-c", "hbs2-peer --help | true; echo ${PIPESTATUS:-0}"]).ok().unwrap();
    assert_eq!(done.talk(), "");
}
