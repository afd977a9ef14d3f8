//! `hbs2-peer status` and the small commands that look at a running peer.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use hbs2_testkit::{Daemon, free_address, until};
use kit::{home, peer_key, text};

const ABSENT: &str = "Dn9xPBUXJFekp781C1MnMWkiXGJ3aB3H5Cca37nUWBSp";

#[test]
fn a_lonely_peer_says_that_its_download_is_stuck_because_nobody_is_there() {
    let alice = home("alice");
    let _daemon = Daemon::start(&alice, &[]).unwrap();
    let page = text(&alice, "hbs2-peer status");
    assert!(page.starts_with(&format!("peer {} up ", peer_key(&alice))), "{page}");
    assert!(page.contains("\n0 peers\n") && page.ends_with("\n0 downloads"), "{page}");
    text(&alice, &format!("hbs2-peer fetch {ABSENT}"));
    let page = text(&alice, "hbs2-peer status");
    assert!(
        page.ends_with(&format!("1 download\n{ABSENT}  stuck     1 block missing; no peer is linked")),
        "{page}"
    );
    let json: serde_json::Value = serde_json::from_str(&text(&alice, "hbs2-peer status --json")).unwrap();
    assert_eq!(json["key"], peer_key(&alice));
    assert_eq!(json["wanted"], 1);
    assert_eq!(json["downloads"][0]["root"], ABSENT);
    assert_eq!(json["downloads"][0]["state"], "alone");
    assert_eq!(json["downloads"][0]["sample"][0], ABSENT);
}

#[test]
fn a_linked_peer_is_shown_with_its_link_and_what_it_does_not_have() {
    let (alice, bob) = (home("alice"), home("bob"));
    let at_alice = Daemon::start(&alice, &[]).unwrap();
    let _at_bob = Daemon::start(&bob, &[at_alice.address()]).unwrap();
    let (key, address) = (peer_key(&alice), at_alice.address());
    let line = format!("{key}  tcp://{address}  out sealed");
    until("a sealed link", || Ok(text(&bob, "hbs2-peer status").contains(&line))).unwrap();
    until("bob at alice", || Ok(text(&alice, "hbs2-peer status").contains("  in sealed"))).unwrap();
    let root = alice.line("hbs2 store").stdin("hello").ok().unwrap().text();
    bob.line(&format!("hbs2-peer fetch -p {root}")).ok().unwrap();
    let page = text(&bob, "hbs2-peer status");
    assert!(page.contains(" in 2 blocks") && page.contains("\n1 peer\n"), "{page}");
    text(&bob, &format!("hbs2-peer fetch {ABSENT}"));
    until("a download that waits", || {
        let page = text(&bob, "hbs2-peer status");
        Ok(page.contains(&format!("{ABSENT}  stuck     1 block missing; 1 peer asked, none has them")))
    })
    .unwrap();
    let json: serde_json::Value = serde_json::from_str(&text(&bob, "hbs2-peer status --json")).unwrap();
    assert_eq!(json["peers"][0]["key"], key);
    assert_eq!(json["peers"][0]["dialled"], true);
    assert_eq!(json["peers"][0]["sealed"], true);
    assert_eq!(json["peers"][0]["blocks"], 2);
    assert_eq!(json["downloads"][0]["asked"][0], key);
    until("the address of alice", || Ok(text(&bob, "hbs2-peer pexinfo") == format!("tcp://{address}")))
        .unwrap();
}

#[test]
fn watching_shows_the_status_again_and_again_until_the_reader_leaves() {
    let alice = home("alice");
    let _daemon = Daemon::start(&alice, &[]).unwrap();
    let lines =
        alice.call("sh").arg("-c").arg("hbs2-peer status --watch --json | head -n 2").ok().unwrap().text();
    let up: Vec<u64> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["up_ms"].as_u64().unwrap())
        .collect();
    assert!(up.len() == 2 && up[0] + 900 <= up[1], "{lines}");
    let pages = alice.call("sh").arg("-c").arg("hbs2-peer status --watch | head -n 8").ok().unwrap().text();
    assert_eq!(pages.lines().filter(|line| line.starts_with("peer ")).count(), 2, "{pages}");
    assert!(!pages.contains('\x1b'), "a pipe gets plain text");
}

#[test]
fn counters_have_the_shapes_of_the_original() {
    let alice = home("alice");
    let _daemon = Daemon::start(&alice, &[]).unwrap();
    let show = text(&alice, "hbs2-peer bypass show");
    let labels: Vec<_> = show.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    let expected = [
        "bypassed:",
        "encrypted:",
        "decrypted:",
        "decryptFails:",
        "sent:",
        "received:",
        "sentBytes:",
        "recvBytes:",
        "flowNum:",
        "peers:",
        "authFail:",
        "maxPktLen:",
    ];
    assert_eq!(labels, expected);
    assert!(show.lines().all(|line| line.as_bytes()[15] == b' ' && line.as_bytes()[16] != b' '), "{show}");
    let probes = text(&alice, "hbs2-peer probes");
    let names: Vec<_> = probes.lines().map(|line| line.split_once(' ').unwrap().0).collect();
    assert!(names.is_sorted() && probes.contains("\nDownload.wip 0\n"), "{probes}");
    text(&alice, &format!("hbs2-peer fetch {ABSENT}"));
    assert!(text(&alice, "hbs2-peer probes").contains("\nDownload.wip 1\n"));
    assert_eq!(text(&alice, "hbs2-peer gc"), "");
}

#[test]
fn the_log_says_more_from_one_command_to_the_next() {
    let alice = home("alice");
    let daemon = Daemon::start(&alice, &[]).unwrap();
    let nobody = free_address().unwrap();
    assert_eq!(text(&alice, "hbs2-peer log debug on"), "");
    text(&alice, &format!("hbs2-peer ping tcp://{nobody}"));
    until("a debug message", || Ok(daemon.log().contains("DEBUG"))).unwrap();
    assert_eq!(text(&alice, "hbs2-peer log debug off"), "");
    let before = daemon.log().matches("DEBUG").count();
    text(&alice, &format!("hbs2-peer ping tcp://{nobody}"));
    assert_eq!(daemon.log().matches("DEBUG").count(), before);
    alice.line("hbs2-peer log debug maybe").fails().unwrap().says("not one of: on, off").unwrap();
}

#[test]
fn a_wait_without_a_terminal_writes_plain_lines() {
    let alice = home("alice");
    let _daemon = Daemon::start(&alice, &[]).unwrap();
    let done = alice.line(&format!("hbs2-peer fetch -p --stall 3 {ABSENT}")).fails().unwrap();
    let line = "hbs2-peer: 0 blocks, 0 B fetched, 0 B/s, 1 more known to be missing\n";
    assert!(done.talk().contains(line) && done.text().is_empty(), "{done}");
}

#[test]
fn a_hang_up_makes_the_peer_read_its_config_again() {
    let alice = home("alice");
    let mut daemon = Daemon::start(&alice, &[]).unwrap();
    let config = std::fs::read_to_string(daemon.config()).unwrap();
    std::fs::write(daemon.config(), format!("{config}blacklist \"{ABSENT}\"\n")).unwrap();
    alice.line(&format!("kill -HUP {}", daemon.pid())).ok().unwrap();
    let said = format!("read the configuration again: blacklist {ABSENT} added");
    until("the change in the log", || Ok(daemon.log().contains(&said))).unwrap();
    assert_eq!(text(&alice, "hbs2-peer reload"), "", "nothing has changed since");
    std::fs::write(daemon.config(), "poll nonsense\n").unwrap();
    alice.line(&format!("kill -HUP {}", daemon.pid())).ok().unwrap();
    until("the mistake in the log", || Ok(daemon.log().contains("the configuration was not taken"))).unwrap();
    text(&alice, "hbs2-peer poke --socket run/hbs2-rpc.socket");
    std::fs::write(daemon.config(), config).unwrap();
    daemon.stop().unwrap();
}

#[test]
fn a_banned_peer_is_away_until_the_ban_is_lifted() {
    let (alice, bob) = (home("alice"), home("bob"));
    let at_alice = Daemon::start(&alice, &[]).unwrap();
    let _at_bob = Daemon::start(&bob, &[at_alice.address()]).unwrap();
    let key = peer_key(&bob);
    let linked = || text(&alice, "hbs2-peer peers").contains(&key);
    until("bob at alice", || Ok(linked())).unwrap();
    assert_eq!(text(&alice, "hbs2-peer bans"), "");
    assert_eq!(text(&alice, &format!("hbs2-peer ban --for 2h {key}")), "");
    until("bob gone", || Ok(!linked())).unwrap();
    let bans = text(&alice, "hbs2-peer bans");
    let is_left = |left: &str| bans.starts_with(&format!("{key:<44} {left}"));
    assert!((is_left("2 h 0 min") || is_left("1 h 59 min")) && bans.ends_with(" by hand"), "{bans}");
    assert_eq!(text(&alice, &format!("hbs2-peer unban {key}")), "");
    assert_eq!(text(&alice, "hbs2-peer bans"), "");
    until("bob at alice again", || Ok(linked())).unwrap();
    let done = alice.line(&format!("hbs2-peer unban {key}")).fails().unwrap();
    assert!(done.talk().contains("not banned"), "{done}");
    text(&alice, &format!("hbs2-peer ban {key}"));
    assert!(text(&alice, "hbs2-peer bans").contains("for ever"));
}

#[test]
fn commands_inside_the_peer_are_answered_by_forms() {
    let (alice, bob) = (home("alice"), home("bob"));
    let at_alice = Daemon::start(&alice, &[]).unwrap();
    let _at_bob = Daemon::start(&bob, &[at_alice.address()]).unwrap();
    let address = format!("tcp://{}", at_alice.address());
    let run = |words: &str| bob.call("hbs2-peer").arg("do").arg(words).run().unwrap();
    assert_eq!(text(&alice, "hbs2-peer do hey"), "(hey)");
    assert_eq!(text(&alice, "hbs2-peer do hey and hey"), "(hey)\n(hey)");
    assert_eq!(run("(hey) (hey)").text(), "(hey)\n(hey)");
    assert!(text(&alice, "hbs2-peer do system:capabilities").starts_with("(capabilities "));
    until("a peer", || Ok(run("(peer-info)").text().contains(&peer_key(&alice)))).unwrap();
    let info = run("(peer-info)").text();
    for field in ["(key ", "(addr ", "(seen ", "(burst ", "(burst-max ", "(errors ", "(downloaded ", "(miss "]
    {
        assert!(info.contains(field), "{info}");
    }
    let root = alice.line("hbs2 store").stdin("hello").ok().unwrap().text();
    assert_eq!(run(&format!("(query-block-size-from-peer {root} {address})")).text(), "(size 42)");
    assert_eq!(run(&format!("(query-block-size-from-peer {ABSENT} {address})")).text(), "no-block");
    let sizes = run(&format!("(request-block-size 1.5 {root})")).text();
    assert!(sizes.contains("(size") && sizes.contains(&peer_key(&alice)), "{sizes}");
    assert_eq!(run(&format!("(query-block-from-peer {root} {address})")).text(), "(okay 42)");
    assert_eq!(text(&bob, &format!("hbs2 has {root}")), "42");
    assert_eq!(run(&format!("(query-block-from-peer:rec {root} {address})")).text(), "(okay)");
    assert_eq!(text(&bob, &format!("hbs2 cat {root}")), "hello");
    for (words, says) in [
        (format!("(query-block-from-peer {ABSENT} {address})"), "(error \"no-block\")"),
        ("(query-block-from-peer)".to_owned(), "(error \"query-block-from-peer takes other arguments\")"),
        ("(tcp:peer:kick nowhere)".to_owned(), "error:invalid-address"),
        ("(hey".to_owned(), "(error "),
    ] {
        let done = run(&words).must_fail().unwrap();
        assert!(done.text().starts_with(says), "{done}");
        assert!(done.talk().contains("the peer could not do all of it"), "{done}");
    }
    assert_eq!(run(&format!("(tcp:peer:kick {address})")).text(), format!("(kicked {address})"));
    until("the peer again", || Ok(run("(peer-info)").text().contains(&peer_key(&alice)))).unwrap();
    assert_eq!(run("(reset)").text(), "(okay)");
    let show = text(&alice, "hbs2-peer bypass show");
    let longest: usize =
        show.lines().last().unwrap().strip_prefix("maxPktLen:").unwrap().trim().parse().unwrap();
    assert!(longest > 40, "{show}");
}
