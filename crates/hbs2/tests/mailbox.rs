//! `hbs2-peer mailbox` over two real daemons, with messages that the original wrote.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use std::path::Path;

use hbs2_testkit::{Daemon, Home};
use kit::{await_text, home, text};

/// Whom the messages are for, and who wrote them.
const OWNER: &str = "4m4KhF3jfMd9n14CbjFaSJnXLaHnDaYLVKNjX4VJBNdm";
const SENDER: &str = "69DHLLdT5q7yyFsAGkZrQR4xiZYEDMqR5mHFs5zS3Gdy";

/// The first of them.
const MESSAGE: &str = "DeiKcqjoFfqMT6hj8Mu6dAZCox8Jf9QsdUZSXdmfedWu";

/// Copies a file of the vectors into a home.
fn copy(home: &Home, name: &str, to: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/mailbox").join(name);
    let to = home.join(to);
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::copy(from, to).unwrap();
}

#[test]
fn a_message_is_kept_read_and_deleted_at_the_mailbox_of_its_recipient() {
    let (alice, bob) = (home("alice"), home("bob"));
    let at_alice = Daemon::start(&alice, &[]).unwrap();
    let _at_bob = Daemon::start(&bob, &[at_alice.address()]).unwrap();
    copy(&bob, "user1.key", ".hbs2-keyman/keys/owner.key");
    copy(&alice, "message0.bin", "message.bin");

    let absent = bob.line(&format!("hbs2-peer mailbox status {OWNER}")).fails().unwrap();
    assert!(absent.talk().contains(&format!("mailbox {OWNER} is not kept here")), "{absent}");
    assert_eq!(text(&bob, &format!("hbs2-peer mailbox create --key {OWNER} hub")), "");
    assert_eq!(text(&bob, "hbs2-peer mailbox list"), format!("{OWNER:<44} hub"));
    assert_eq!(text(&bob, "hbs2-peer mailbox poke"), "");
    assert_eq!(text(&bob, "hbs2-peer mailbox hey"), "hey");
    std::fs::write(bob.join("policy.txt"), format!("peer allow all\nsender allow \"{SENDER}\"\n")).unwrap();
    let policy = text(&bob, &format!("hbs2-peer mailbox set-policy {OWNER} 1 policy.txt"));
    assert_eq!(
        text(&bob, &format!("hbs2 cat {policy}")),
        format!("(peer allow all)\n(sender allow {SENDER})")
    );
    let stale = bob.line(&format!("hbs2-peer mailbox set-policy {OWNER} 1 policy.txt")).fails().unwrap();
    assert!(stale.talk().contains("hint: take 2 or a higher number"), "{stale}");

    alice.line("hbs2-peer mailbox send --file message.bin").ok().unwrap();
    await_text(&bob, &format!("hbs2-peer mailbox list:messages {OWNER}"), MESSAGE);
    assert_eq!(text(&bob, &format!("hbs2-peer mailbox read {MESSAGE}")), "hello mailbox");
    let status = text(&bob, &format!("hbs2-peer mailbox status {OWNER}"));
    let root = text(&bob, &format!("hbs2-peer mailbox get {OWNER}"));
    assert!(status.starts_with("(mailbox-status\n  [(nonce "), "{status}");
    assert!(
        status.contains(&format!("\n   (key {OWNER})\n   (type hub)\n   (mailbox-tree {root})\n")),
        "{status}"
    );
    assert!(status.ends_with(&format!("\n     [(version 1)\n      (ref {policy})])])")), "{status}");

    assert_eq!(text(&bob, &format!("hbs2-peer mailbox delete:message {OWNER} {MESSAGE}")), "");
    await_text(&bob, &format!("hbs2-peer mailbox list:messages {OWNER}"), "");
    assert_eq!(text(&bob, &format!("hbs2-peer mailbox fetch {OWNER}")), "");
    assert_eq!(text(&bob, &format!("hbs2-peer mailbox delete {OWNER}")), "");
    assert_eq!(text(&bob, "hbs2-peer mailbox list"), "");
}

#[test]
fn a_peer_that_comes_later_gets_policy_and_messages_from_another() {
    let (alice, bob) = (home("alice"), home("bob"));
    let at_alice = Daemon::start(&alice, &[]).unwrap();
    copy(&alice, "user1.key", ".hbs2-keyman/keys/owner.key");
    copy(&alice, "message0.bin", "message.bin");
    alice.line(&format!("hbs2-peer mailbox create --key {OWNER} relay")).ok().unwrap();
    std::fs::write(alice.join("policy.txt"), "peer allow all\nsender allow all\n").unwrap();
    alice.line(&format!("hbs2-peer mailbox set-policy {OWNER} 5 policy.txt")).ok().unwrap();
    alice
        .line("hbs2-peer mailbox send --stdin")
        .stdin(std::fs::read(alice.join("message.bin")).unwrap())
        .ok()
        .unwrap();
    await_text(&alice, &format!("hbs2-peer mailbox list:messages {OWNER}"), MESSAGE);
    let _at_bob = Daemon::start(&bob, &[at_alice.address()]).unwrap();
    bob.line(&format!("hbs2-peer mailbox create --key {OWNER} hub")).ok().unwrap();
    await_text(&bob, &format!("hbs2-peer mailbox list:messages {OWNER}"), MESSAGE);
    let root = text(&alice, &format!("hbs2-peer mailbox get {OWNER}"));
    await_text(&bob, &format!("hbs2-peer mailbox get {OWNER}"), &root);
    let forged = bob.line("hbs2-peer mailbox send --stdin").stdin("?").fails().unwrap();
    assert!(forged.talk().contains("stdin is no message"), "{forged}");
}
