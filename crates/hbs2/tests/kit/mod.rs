//! What the tests of the binary share.

#![allow(dead_code, reason = "no test uses all of it")]

use std::path::Path;
use std::time::{Duration, Instant};

use hbs2_testkit::Home;

/// How long something may take to travel over the loopback interface on a loaded machine, in seconds.
const TRAVEL_SECONDS: u64 = 30;

/// A new home for `name`, in which the binary just built is called.
pub(crate) fn home(name: &str) -> Home {
    Home::new(name, Path::new(env!("CARGO_BIN_EXE_hbs2"))).expect("a temporary directory can be made")
}

/// What a command prints.
pub(crate) fn text(home: &Home, line: &str) -> String {
    home.line(line).ok().unwrap().text()
}

/// Runs a command until it prints what is wanted, and says so; for what another peer sends in its own time.
pub(crate) fn await_that(home: &Home, line: &str, wanted: impl Fn(&str) -> bool) -> String {
    let began = Instant::now();
    loop {
        let done = home.line(line).run().unwrap();
        if wanted(&done.text()) {
            return done.text();
        }
        assert!(began.elapsed() < Duration::from_secs(TRAVEL_SECONDS), "not yet: {done}");
    }
}

/// Runs a command until it prints `expected`.
pub(crate) fn await_text(home: &Home, line: &str, expected: &str) {
    await_that(home, line, |said| said == expected);
}

/// The key of the peer with a config in this home.
pub(crate) fn peer_key(home: &Home) -> String {
    let listing = text(home, "hbs2 keyring-list .config/hbs2-peer/default.key");
    listing.strip_prefix("sign-key:  ").unwrap().to_owned()
}

/// Makes a keyring that hbs2-keyman knows; its signing key and its encryption key.
pub(crate) fn new_key(home: &Home, name: &str) -> (String, String) {
    std::fs::create_dir_all(home.join(".hbs2-keyman/keys")).unwrap();
    let file = format!(".hbs2-keyman/keys/{name}.key");
    std::fs::write(home.join(&file), text(home, "hbs2 keyring-new -n1")).unwrap();
    let listing = text(home, &format!("hbs2 keyring-list {file}"));
    let words: Vec<&str> = listing.split_whitespace().collect();
    (words[1].to_owned(), words[words.len() - 1].to_owned())
}

/// Signs the head of a channel and publishes it; the hash of its tree.
pub(crate) fn post_head(home: &Home, chan: &str, head: &str) -> String {
    std::fs::write(home.join("head.txt"), head).unwrap();
    let signed = home.line(&format!("hbs2-peer refchan head gen head.txt {chan}")).ok().unwrap().stdout;
    let hash = home.line("hbs2 store").stdin(signed).ok().unwrap().text();
    home.line(&format!("hbs2-peer refchan head post {hash}")).ok().unwrap();
    hash
}
