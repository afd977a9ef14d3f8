//! `hbs2-peer` with one daemon, and without any.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use std::time::Duration;

use hbs2_testkit::{Daemon, vectors};
use kit::{home, new_key, text};

const KEY: &str = "Dn9xPBUXJFekp781C1MnMWkiXGJ3aB3H5Cca37nUWBSp";

#[test]
fn init_makes_a_config_and_a_private_key_and_touches_nothing_that_is_there() {
    let home = home("alice");
    let done = home.line("hbs2-peer init here").ok().unwrap();
    assert_eq!(done.text(), "");
    assert_eq!(done.talk(), "hbs2-peer: made here/config\nhbs2-peer: made here/default.key\n");
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(home.join("here/default.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = std::fs::read(home.join("here/default.key")).unwrap();
    let again = home.line("hbs2-peer init here").ok().unwrap();
    assert_eq!(again.talk(), "hbs2-peer: here/config is there already, nothing was changed\n");
    assert_eq!(std::fs::read(home.join("here/default.key")).unwrap(), before);
}

#[test]
fn poke_prints_the_attributes_in_the_shape_of_the_spec() {
    let home = home("alice");
    let daemon = Daemon::start(&home, &[]).unwrap();
    let poke = text(&home, "hbs2-peer poke");
    let names: Vec<_> = poke.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(names, ["peer-key", "tcp", "rpc", "storage"]);
    let key = text(&home, "hbs2 keyring-list .config/hbs2-peer/default.key");
    let key = key.strip_prefix("sign-key:  ").unwrap();
    assert!(poke.starts_with(&format!("peer-key: \"{key}\"\n")), "{poke}");
    assert!(poke.contains(&format!("tcp: \"tcp://{}\"\n", daemon.address())), "{poke}");
    assert!(poke.contains(&format!("rpc: \"{}\"\n", home.join("run/hbs2-rpc.socket").display())), "{poke}");
    assert_eq!(text(&home, "hbs2-git3 hbs2:peer:poke"), poke);
    assert_eq!(text(&home, "hbs2-git3 test:hbs2:peer:poke"), poke);
}

#[test]
fn without_a_daemon_the_error_names_the_sockets_and_what_to_start() {
    let home = home("alice");
    for line in ["poke".to_owned(), "peers".to_owned(), format!("fetch {KEY}"), format!("lwwref get {KEY}")] {
        let done = home.line(&format!("hbs2-peer {line}")).fails().unwrap();
        let runtime = home.join("run/hbs2-rpc.socket");
        assert_eq!((done.status.code(), done.text().as_str()), (Some(1), ""));
        assert!(done.talk().contains(&format!("no hbs2-peer answers at {}", runtime.display())), "{done}");
        assert!(done.talk().contains("hint: start the peer with: hbs2-peer run"), "{done}");
    }
    home.line("hbs2-peer poke --socket ./x.sock").fails().unwrap().says("x.sock").unwrap();
    let done = home.line("hbs2-peer poke").env("HBS2_RPC_SOCKET", "/nowhere/y.sock").fails().unwrap();
    done.says("/nowhere/y.sock").unwrap();
}

#[test]
fn a_config_that_names_a_socket_only_is_enough_for_commands_and_not_for_the_daemon() {
    let (home, client) = (home("alice"), kit::home("client"));
    let _daemon = Daemon::start(&home, &[]).unwrap();
    let config = client.join(".config/hbs2-peer");
    std::fs::create_dir_all(&config).unwrap();
    let socket = home.join("run/hbs2-rpc.socket");
    std::fs::write(config.join("config"), format!("rpc unix {:?}\n", socket.to_str().unwrap())).unwrap();
    let poke = client.line("hbs2-peer poke").env("HBS2_RPC_SOCKET", "").ok().unwrap();
    assert_eq!(poke.text(), text(&home, "hbs2-peer poke"));
    let done = client.line("hbs2-peer run").fails().unwrap();
    let key = config.join("default.key");
    let hint = format!("hint: make a key with: (umask 077; hbs2 keyring-new > {})", key.display());
    done.says(&format!("names no key, and there is no {}", key.display())).unwrap().says(&hint).unwrap();
}

#[test]
fn polls_are_listed_in_the_order_of_their_addition_and_take_effect_at_once() {
    let home = home("alice");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    assert_eq!(home.line("hbs2-peer poll list").ok().unwrap().stdout, b"");
    let other = "CVR22mkuuBbXHTfBswjkH1ez8558gd3SBk62Mdw87Lsr";
    let added = home.line(&format!("hbs2-peer poll add {KEY} reflog 17")).ok().unwrap();
    assert_eq!(added.stdout, format!("added poller for {KEY}").into_bytes());
    home.line(&format!("hbs2-peer poll add {other} lwwref 31")).ok().unwrap();
    let list = home.line("hbs2-peer poll list").ok().unwrap().stdout;
    assert_eq!(String::from_utf8(list).unwrap(), format!("{KEY} 17  reflog\n{other} 31  lwwref\n"));
    home.line(&format!("hbs2-peer poll add {KEY} reflog 3")).ok().unwrap();
    assert_eq!(text(&home, "hbs2-peer poll list"), format!("{KEY} 3   reflog\n{other} 31  lwwref"));
    let deleted = home.line(&format!("hbs2-peer poll del {KEY}")).ok().unwrap();
    assert_eq!(deleted.stdout, format!("deleted poller for {KEY}").into_bytes());
    assert_eq!(text(&home, "hbs2-peer poll list"), format!("{other} 31  lwwref"));
}

#[test]
fn an_lwwref_is_empty_then_signed_then_counted_up() {
    let home = home("alice");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    let key = new_key(&home, "reference").0;
    assert_eq!(home.line(&format!("hbs2-peer lwwref get {key}")).ok().unwrap().stdout, b"\n");
    let update = |options: &str| home.line(&format!("hbs2-peer lwwref update {options} -v {KEY} {key}"));
    let done = update("").fails().unwrap();
    assert!(
        done.talk().contains("has no value from which to count on\nhint: number the first value with: -s 1")
    );
    update("-s 1").ok().unwrap();
    let value = |seq: u64| format!("(lwwref\n  (seq {seq})\n  (value \"{KEY}\")\n  )\n");
    let got = home.line(&format!("hbs2-peer lwwref get {key}")).ok().unwrap().stdout;
    assert_eq!(String::from_utf8(got).unwrap(), value(1));
    let other = "CVR22mkuuBbXHTfBswjkH1ez8558gd3SBk62Mdw87Lsr";
    home.line(&format!("hbs2-peer lwwref update --value {other} {key}")).ok().unwrap();
    assert!(text(&home, &format!("hbs2-peer lwwref get {key}")).contains("(seq 2)"));
    let done = update("-s 1").fails().unwrap();
    assert!(done.talk().contains("which has number 2\nhint: take -s 3 or a higher number"), "{done}");
    assert_eq!(text(&home, &format!("hbs2-peer lwwref fetch {key}")), "");
    let done = home.line(&format!("hbs2-peer lwwref update -s 1 -v {KEY} {other}")).fails().unwrap();
    assert!(
        done.talk().contains(&format!("no secret key is known for {other}\nhint: name its file")),
        "{done}"
    );
}

#[test]
fn a_reflog_takes_entries_and_gives_them_back() {
    let home = home("alice");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    let key = new_key(&home, "reference").0;
    let done = home.line(&format!("hbs2-peer reflog get {key}")).fails().unwrap();
    assert_eq!((done.text().as_str(), done.status.code()), ("", Some(1)));
    home.line(&format!("hbs2-peer reflog send {key}")).stdin("some data").ok().unwrap();
    let root = text(&home, &format!("hbs2-peer reflog get {key}"));
    assert_eq!(text(&home, &format!("hbs2 cat -H {root}")).lines().count(), 1);
    let cat = home.line(&format!("hbs2-peer reflog cat {key}")).ok().unwrap();
    assert_eq!(cat.stdout, b"some data");
    let long: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
    home.line(&format!("hbs2-peer reflog send {key}")).stdin(long.clone()).ok().unwrap();
    let cat = home.line(&format!("hbs2-peer reflog cat {key}")).ok().unwrap();
    assert_eq!(cat.stdout.len(), 100_009, "nothing is cut off");
    let done = home.line(&format!("hbs2-peer reflog send {KEY}")).stdin("x").fails().unwrap();
    assert!(done.talk().contains(&format!("no secret key is known for {KEY}\n")), "{done}");
    home.line("hbs2-peer reflog send-raw").stdin("rubbish").fails().unwrap().says("is no signed").unwrap();
}

#[test]
fn a_ready_entry_of_the_original_is_posted() {
    let home = home("alice");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    let key = "CJASN2b9Jwm2c5M4xhaeKtzBYWSDdrLeJNdgZjSDnGP8";
    let entry = "reflog/n1/blocks/HLiZnYgpRGC6WDs8Dr7JrfMRjogC5kYEjsRQ1LMi9rG3";
    let entry = vectors::bytes(entry).unwrap();
    home.line("hbs2-peer reflog send-raw").stdin(entry).ok().unwrap();
    let root = text(&home, &format!("hbs2-peer reflog get {key}"));
    assert_eq!(root, "43SAxHp97upYwSC1m891ZgvBodkFsxRmPU9agFynAZUy", "as the original has it");
    assert_eq!(text(&home, &format!("hbs2-peer reflog cat {key}")), "tx 0 of 1");
}

#[test]
fn die_and_signals_end_the_daemon_cleanly() {
    let home = home("alice");
    let mut daemon = Daemon::start(&home, &[]).unwrap();
    assert!(daemon.stop().unwrap() < Duration::from_secs(2));
    daemon.restart().unwrap();
    home.line("hbs2-peer die").ok().unwrap();
    home.line("hbs2-peer poke").fails().unwrap();
}

#[test]
fn a_quiet_daemon_logs_errors_only() {
    let home = home("alice");
    home.line("hbs2-peer init").ok().unwrap();
    let config = home.join(".config/hbs2-peer/config");
    let alone = std::fs::read_to_string(&config).unwrap() + "multicast off\nbootstrap-dns off\n";
    std::fs::write(&config, alone).unwrap();
    let running = home.line("hbs2-peer run -q -l 127.0.0.1:0").start().unwrap();
    let began = std::time::Instant::now();
    while home.line("hbs2-peer die").run().unwrap().status.code() != Some(0) {
        assert!(began.elapsed() < Duration::from_secs(20), "the daemon does not answer");
    }
    let done = running.wait().unwrap().must_succeed().unwrap();
    assert_eq!((done.text(), done.talk()), (String::new(), String::new()));
}

#[test]
fn a_second_daemon_on_the_same_storage_is_told_who_has_it() {
    let home = home("alice");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    let done = home.line("hbs2-peer run -l 127.0.0.1:0 --socket ./second.sock").fails().unwrap();
    assert!(done.talk().contains("in use by another process\nhint: a peer runs with this storage"), "{done}");
}

#[test]
fn a_locked_storage_whose_socket_is_not_found_is_explained() {
    let home = home("alice");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    let call = home.line("hbs2 store").stdin("x").env("HBS2_RPC_SOCKET", "/nowhere/z.sock");
    let done = call.fails().unwrap();
    assert!(done.talk().contains("in use by another process\nhint: "), "{done}");
    assert!(done.talk().contains("--socket PATH"), "{done}");
    let storage = home.join(".local/share/hbs2");
    let by_prefix = home.line("hbs2 store -p").arg(&storage).stdin("hello").ok().unwrap();
    assert_eq!(by_prefix.text(), "ArdzKVNBiUhHsDqKZwpNinzdNhuQefCFZqNyVubpbW8g", "through the daemon");
}

#[test]
fn a_broken_config_is_an_error_with_file_line_and_place() {
    let home = home("alice");
    home.line("hbs2-peer init bad").ok().unwrap();
    std::fs::write(home.join("bad/config"), "key \"./default.key\"\nlisten-tcp \"nonsense\"\n").unwrap();
    for line in ["hbs2-peer run -c bad", "hbs2-peer poke -c bad", "hbs2 store -c bad"] {
        let done = home.line(line).env("HBS2_RPC_SOCKET", "").fails().unwrap();
        assert!(
            done.talk().contains("cannot understand the configuration\ncause: bad/config, line 2"),
            "{done}"
        );
        assert!(done.talk().contains("  listen-tcp \"nonsense\""), "{done}");
    }
    let done = home.line("hbs2-peer poke -c nowhere").env("HBS2_RPC_SOCKET", "").fails().unwrap();
    done.says("cannot read the configuration").unwrap();
}

#[test]
fn announcing_what_is_not_here_is_an_error() {
    let home = home("alice");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    let done = home.line(&format!("hbs2-peer announce {KEY}")).fails().unwrap();
    assert!(done.talk().starts_with(&format!("hbs2-peer: error: missed block: {KEY}\n")), "{done}");
    let root = home.line("hbs2 store").stdin("hello").ok().unwrap().text();
    assert_eq!(text(&home, &format!("hbs2-peer announce {root}")), "");
}

#[test]
fn a_download_is_listed_until_it_is_given_up_and_a_wait_for_it_has_a_limit() {
    let home = home("alice");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    assert_eq!(home.line(&format!("hbs2-peer fetch {KEY}")).ok().unwrap().stdout, b"");
    let list = text(&home, "hbs2-peer download list");
    assert!(list.starts_with(&format!("{KEY} 0:00:00:0")), "{list}");
    let done = home.line(&format!("hbs2-peer fetch -p --stall 1 {KEY}")).fails().unwrap();
    assert!(done.talk().contains(&format!("nothing new has arrived of tree {KEY} for 1 s\n")), "{done}");
    assert!(done.talk().contains("no other peer is connected"), "{done}");
    home.line(&format!("hbs2-peer download del {KEY}")).ok().unwrap();
    assert_eq!(text(&home, "hbs2-peer download list"), "");
}

#[test]
fn ping_says_pang_when_nobody_is_there() {
    let home = home("alice");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    assert_eq!(text(&home, "hbs2-peer ping tcp://127.0.0.1:1"), "pang");
}
