//! Commands whose effect shows on another peer: `fetch`, `peers`, `ping`, `poll`, `lwwref`, `reflog`, `announce`,
//! `repo:relay-only`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use std::time::{Duration, Instant};

use hbs2_testkit::{Daemon, Repo};
use kit::{await_text, home, new_key, peer_key, text};

/// How long something may take to travel over the loopback interface on a loaded machine, in seconds.
const TRAVEL_SECONDS: u64 = 20;

#[test]
fn peers_know_each_other_and_answer_pings() {
    let (alice, bob) = (home("alice"), home("bob"));
    let at_alice = Daemon::start(&alice, &[]).unwrap();
    let _at_bob = Daemon::start(&bob, &[at_alice.address()]).unwrap();
    assert_eq!(text(&bob, &format!("hbs2-peer ping tcp://{}", at_alice.address())), "pong");
    for (home, other) in [(&alice, &bob), (&bob, &alice)] {
        let peers = text(home, "hbs2-peer peers");
        assert!(peers.starts_with(&format!("{:<44} tcp://127.0.0.1:", peer_key(other))), "{peers}");
        assert_eq!(peers.lines().count(), 1, "{peers}");
    }
}

#[test]
fn fetch_with_progress_returns_when_the_whole_tree_is_here() {
    let (alice, bob) = (home("alice"), home("bob"));
    let at_alice = Daemon::start(&alice, &[]).unwrap();
    let content: Vec<u8> =
        (0..1_500_000u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let root = alice.line("hbs2 store").stdin(content.clone()).ok().unwrap().text();
    let _at_bob = Daemon::start(&bob, &[at_alice.address()]).unwrap();
    let done = bob.line(&format!("hbs2-peer fetch -p {root}")).ok().unwrap();
    assert_eq!(done.text(), "");
    assert!(done.talk().contains("complete: 24 blocks, 6.0 MB fetched in "), "{done}");
    assert!(bob.line(&format!("hbs2 cat {root}")).ok().unwrap().stdout == content);
    assert_eq!(text(&bob, "hbs2-peer download list"), "");
    let again = bob.line(&format!("hbs2-peer fetch -p {root}")).ok().unwrap();
    assert!(again.talk().contains("complete: "), "{again}");
}

#[test]
fn fetch_returns_at_once_and_the_peer_goes_on() {
    let (alice, bob) = (home("alice"), home("bob"));
    let at_alice = Daemon::start(&alice, &[]).unwrap();
    let root = alice.line("hbs2 store").stdin("hello").ok().unwrap().text();
    let _at_bob = Daemon::start(&bob, &[at_alice.address()]).unwrap();
    bob.line(&format!("hbs2-peer fetch {root}")).ok().unwrap();
    await_text(&bob, &format!("hbs2 cat {root}"), "hello");
}

#[test]
fn a_wait_for_a_block_that_nobody_has_ends_with_its_name() {
    let (alice, bob) = (home("alice"), home("bob"));
    let at_alice = Daemon::start(&alice, &[]).unwrap();
    let _at_bob = Daemon::start(&bob, &[at_alice.address()]).unwrap();
    let absent = "Dn9xPBUXJFekp781C1MnMWkiXGJ3aB3H5Cca37nUWBSp";
    let done = bob.line(&format!("hbs2-peer fetch -p --stall 2 {absent}")).fails().unwrap();
    assert!(done.talk().contains(&format!("nothing new has arrived of tree {absent} for 2 s")), "{done}");
    assert!(done.talk().contains(&format!("hint: block {absent} is missing")), "{done}");
}

#[test]
fn an_lwwref_travels_to_peers_that_poll_it() {
    let (alice, bob) = (home("alice"), home("bob"));
    let at_alice = Daemon::start(&alice, &[]).unwrap();
    let _at_bob = Daemon::start(&bob, &[at_alice.address()]).unwrap();
    let key = new_key(&alice, "reference").0;
    let value = alice.line("hbs2 store").stdin("the value").ok().unwrap().text();
    for home in [&alice, &bob] {
        home.line(&format!("hbs2-peer poll add {key} lwwref 1")).ok().unwrap();
    }
    alice.line(&format!("hbs2-peer lwwref update -s 5 -v {value} {key}")).ok().unwrap();
    bob.line(&format!("hbs2-peer lwwref fetch {key}")).ok().unwrap();
    let shape = format!("(lwwref\n  (seq 5)\n  (value \"{value}\")\n  )");
    await_text(&bob, &format!("hbs2-peer lwwref get {key}"), &shape);
    await_text(&bob, &format!("hbs2 cat {value}"), "the value");
}

#[test]
fn a_reflog_travels_to_peers_that_poll_it() {
    let (alice, bob) = (home("alice"), home("bob"));
    let at_alice = Daemon::start(&alice, &[]).unwrap();
    let _at_bob = Daemon::start(&bob, &[at_alice.address()]).unwrap();
    let key = new_key(&alice, "reference").0;
    for home in [&alice, &bob] {
        home.line(&format!("hbs2-peer poll add {key} reflog 1")).ok().unwrap();
    }
    alice.line(&format!("hbs2-peer reflog send {key}")).stdin("one entry").ok().unwrap();
    bob.line(&format!("hbs2-peer reflog fetch {key}")).ok().unwrap();
    let root = text(&alice, &format!("hbs2-peer reflog get {key}"));
    await_text(&bob, &format!("hbs2-peer reflog get {key}"), &root);
    assert_eq!(text(&bob, &format!("hbs2-peer reflog cat {key}")), "one entry");
}

#[test]
fn an_announced_tree_is_fetched_by_those_who_accept_it() {
    let (alice, bob) = (home("alice"), home("bob"));
    let at_alice = Daemon::start(&alice, &[]).unwrap();
    let at = hbs2_testkit::free_address().unwrap();
    let extra = "accept-block-announce *\n";
    let _at_bob = Daemon::start_at(&bob, at, &[at_alice.address()], extra).unwrap();
    let root = alice.line("hbs2 store").stdin("news").ok().unwrap().text();
    let began = Instant::now();
    while bob.line(&format!("hbs2 has {root}")).run().unwrap().text().is_empty() {
        alice.line(&format!("hbs2-peer announce {root}")).ok().unwrap();
        assert!(began.elapsed() < Duration::from_secs(TRAVEL_SECONDS), "the announced tree did not arrive");
    }
    await_text(&bob, &format!("hbs2 cat {root}"), "news");
}

#[test]
fn relay_only_keeps_a_repository_without_touching_git() {
    let (alice, bob) = (home("alice"), home("bob"));
    let at_alice = Daemon::start(&alice, &[]).unwrap();
    let repo = Repo::init(&alice, "work").unwrap();
    let added = alice.line("git hbs2 init --new").dir(repo.path()).ok().unwrap().text();
    let key = added.split("hbs23://").nth(1).unwrap().to_owned();
    let _at_bob = Daemon::start(&bob, &[at_alice.address()]).unwrap();
    let done = bob.line(&format!("hbs2-git3 repo:relay-only {key}")).ok().unwrap();
    assert_eq!(done.text(), "");
    let polls = text(&bob, "hbs2-peer poll list");
    assert!(polls.starts_with(&format!("{key:<44} 31  lwwref\n")), "{polls}");
    assert!(polls.ends_with(" 17  reflog"), "{polls}");
    assert!(!bob.join(".git").exists());
}
