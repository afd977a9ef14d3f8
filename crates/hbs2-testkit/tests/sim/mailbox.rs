//! Mailboxes: messages kept, passed on, merged and deleted.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use hbs2_core::cbor::Encode;
use hbs2_core::mailbox::{Deletion, MailboxEntry, MailboxKind};
use hbs2_core::refkey::RefKind;
use hbs2_core::tree::{Shape, build};
use hbs2_core::{Hash, SignPublicKey, SignSecretKey, Signed};
use hbs2_proto::{Answer, Command, CommandId, Commit, Refusal};
use hbs2_testkit::sim::{Fault, NodeId, Sim};

use crate::{MINUTE, SECOND, ref_key};

/// Time in which two keepers of a mailbox certainly ask each other.
const CHECK: Duration = Duration::from_secs(700);

const OPEN: &str = "peer allow all\nsender allow all\n";

/// Whose mailbox it is.
fn owner() -> SignSecretKey {
    ref_key(1)
}

fn mailbox() -> SignPublicKey {
    owner().public()
}

/// A row of linked nodes; each knows the one before it.
fn row(seed: u64, names: &[&str]) -> (Sim, Vec<NodeId>) {
    let mut sim = Sim::new(seed);
    let nodes: Vec<NodeId> = names.iter().map(|name| sim.node(name)).collect();
    for at in 1..nodes.len() {
        sim.know(nodes[at], nodes[at - 1]);
        nodes[..at - 1].iter().for_each(|other| sim.part(nodes[at], *other));
    }
    sim.start_all();
    sim.run(SECOND);
    (sim, nodes)
}

fn keep(sim: &mut Sim, node: NodeId) -> CommandId {
    sim.command(node, Command::MailboxCreate { key: mailbox(), kind: MailboxKind::Hub })
}

fn letter(text: &str) -> hbs2_core::Message {
    Sim::letter(&ref_key(2), mailbox(), text, &[])
}

#[test]
fn a_message_reaches_its_mailbox_through_peers_that_do_not_keep_it() {
    let (mut sim, nodes) = row(1, &["alice", "bob", "carol"]);
    let created = keep(&mut sim, nodes[2]);
    sim.set_policy(nodes[2], &owner(), 1, OPEN);
    sim.run(SECOND);
    assert_eq!(sim.answer(nodes[2], created), Some(Answer::Done));
    let root = sim.put_data(nodes[0], &[5; 300_000]);
    let message = Sim::letter(&ref_key(2), mailbox(), "hello", &[root]);
    let sent = sim.mail(nodes[0], &message);
    sim.run(SECOND);
    assert_eq!(sim.answer(nodes[0], sent), Some(Answer::Done));
    assert_eq!(sim.letters(nodes[2], &mailbox()), BTreeSet::from([message.id()]), "{sim}");
    assert!(sim.letters(nodes[1], &mailbox()).is_empty());
    let counters = sim.machine(nodes[1]).unwrap().counters();
    assert_eq!((counters.letters_kept, counters.letters_bad), (0, 0));
}

#[test]
fn attachments_come_with_their_message() {
    let (mut sim, nodes) = row(1, &["alice", "bob"]);
    keep(&mut sim, nodes[1]);
    sim.set_policy(nodes[1], &owner(), 1, OPEN);
    sim.run(SECOND);
    let root = sim.put_data(nodes[0], &[5; 300_000]);
    sim.mail(nodes[0], &Sim::letter(&ref_key(2), mailbox(), "hello", &[root]));
    sim.run(5 * SECOND);
    assert!(sim.has_tree(nodes[1], &root), "{sim}");
}

#[test]
fn without_a_policy_nothing_is_taken() {
    let (mut sim, nodes) = row(1, &["alice", "bob"]);
    keep(&mut sim, nodes[1]);
    sim.run(SECOND);
    sim.mail(nodes[0], &letter("hello"));
    sim.run(SECOND);
    assert!(sim.letters(nodes[1], &mailbox()).is_empty());
    assert_eq!(sim.machine(nodes[1]).unwrap().counters().letters_refused, 1);
}

#[test]
fn the_policy_says_which_peers_and_senders() {
    let (mut sim, nodes) = row(1, &["alice", "bob", "carol"]);
    keep(&mut sim, nodes[1]);
    let friend = ref_key(2).public();
    let text = format!("sender allow {friend}\npeer allow {}\n", sim.key(nodes[0]));
    sim.set_policy(nodes[1], &owner(), 1, &text);
    sim.run(SECOND);
    let good = letter("good");
    sim.mail(nodes[0], &good);
    sim.mail(nodes[0], &Sim::letter(&ref_key(3), mailbox(), "by a stranger", &[]));
    sim.mail(nodes[2], &letter("brought by a stranger"));
    sim.run(SECOND);
    assert_eq!(sim.letters(nodes[1], &mailbox()), BTreeSet::from([good.id()]), "{sim}");
}

#[test]
fn a_policy_counts_only_with_a_higher_version_and_the_key_of_the_owner() {
    let (mut sim, nodes) = row(1, &["alice"]);
    let unknown = sim.set_policy(nodes[0], &owner(), 1, OPEN);
    sim.run(SECOND);
    assert_eq!(sim.answer(nodes[0], unknown), Some(Answer::Refused(Refusal::Unknown)));
    keep(&mut sim, nodes[0]);
    let first = sim.set_policy(nodes[0], &owner(), 3, OPEN);
    let stale = sim.set_policy(nodes[0], &owner(), 3, "sender deny all\n");
    let foreign = sim.set_policy(nodes[0], &ref_key(9), 4, "sender deny all\n");
    sim.run(SECOND);
    assert!(matches!(sim.answer(nodes[0], first), Some(Answer::Posted { .. })));
    assert_eq!(sim.answer(nodes[0], stale), Some(Answer::Refused(Refusal::Stale { known: 3 })));
    assert_eq!(sim.answer(nodes[0], foreign), Some(Answer::Refused(Refusal::Unknown)));
    sim.mail(nodes[0], &letter("hello"));
    sim.run(SECOND);
    assert_eq!(sim.letters(nodes[0], &mailbox()).len(), 1);
}

#[test]
fn keepers_of_one_mailbox_tell_each_other_policy_and_messages() {
    let (mut sim, nodes) = row(1, &["alice", "bob"]);
    for node in &nodes {
        keep(&mut sim, *node);
    }
    sim.run(SECOND);
    sim.part(nodes[0], nodes[1]);
    sim.set_policy(nodes[0], &owner(), 1, OPEN);
    let messages: Vec<_> = (0..300).map(|i| letter(&format!("message {i}"))).collect();
    sim.run(SECOND);
    for message in &messages {
        sim.mail(nodes[0], message);
    }
    sim.erase(nodes[0], &owner(), messages[0].id());
    sim.run(5 * SECOND);
    assert_eq!(sim.letters(nodes[0], &mailbox()).len(), 299, "{sim}");
    assert!(sim.letters(nodes[1], &mailbox()).is_empty());
    sim.heal();
    sim.run(2 * MINUTE);
    sim.command(nodes[1], Command::MailboxFetch { key: mailbox() });
    sim.run(MINUTE);
    assert_eq!(sim.entries(nodes[1], &mailbox()), sim.entries(nodes[0], &mailbox()), "{sim}");
    assert_eq!(sim.letters(nodes[1], &mailbox()).len(), 299);
}

#[test]
fn a_hub_that_was_away_finds_its_messages_at_a_relay() {
    let (mut sim, nodes) = row(1, &["alice", "relay", "hub"]);
    sim.command(nodes[1], Command::MailboxCreate { key: mailbox(), kind: MailboxKind::Relay });
    keep(&mut sim, nodes[2]);
    sim.set_policy(nodes[2], &owner(), 1, OPEN);
    sim.run(SECOND);
    sim.command(nodes[1], Command::MailboxFetch { key: mailbox() });
    sim.run(SECOND);
    sim.crash(nodes[2]);
    sim.mail(nodes[0], &letter("hello"));
    sim.run(SECOND);
    sim.start(nodes[2]);
    sim.run(2 * MINUTE);
    assert_eq!(sim.letters(nodes[2], &mailbox()).len(), 1, "{sim}");
}

#[test]
fn only_the_owner_deletes_and_also_what_comes_later() {
    let (mut sim, nodes) = row(1, &["alice", "bob"]);
    keep(&mut sim, nodes[1]);
    sim.set_policy(nodes[1], &owner(), 1, OPEN);
    sim.run(SECOND);
    let (first, second) = (letter("first"), letter("second"));
    sim.mail(nodes[0], &first);
    sim.erase(nodes[0], &ref_key(9), first.id());
    sim.run(SECOND);
    assert_eq!(sim.letters(nodes[1], &mailbox()).len(), 1, "{sim}");
    sim.erase(nodes[0], &owner(), first.id());
    sim.erase(nodes[0], &owner(), second.id());
    sim.run(SECOND);
    sim.mail(nodes[0], &second);
    sim.run(SECOND);
    assert!(sim.letters(nodes[1], &mailbox()).is_empty(), "{sim}");
    assert_eq!(sim.entries(nodes[1], &mailbox()).len(), 4);
}

#[test]
fn mailboxes_and_their_policies_survive_a_restart() {
    let (mut sim, nodes) = row(1, &["alice"]);
    keep(&mut sim, nodes[0]);
    sim.set_policy(nodes[0], &owner(), 7, OPEN);
    sim.run(SECOND);
    sim.crash(nodes[0]);
    sim.start(nodes[0]);
    sim.mail(nodes[0], &letter("hello"));
    sim.run(SECOND);
    assert_eq!(sim.letters(nodes[0], &mailbox()).len(), 1, "a message waits for its policy; {sim}");
    let info = &sim.machine(nodes[0]).unwrap().mailboxes()[0];
    assert!(info.policy_ready && info.key == mailbox());
    let gone = sim.command(nodes[0], Command::MailboxDelete { key: mailbox() });
    sim.run(SECOND);
    assert_eq!(sim.answer(nodes[0], gone), Some(Answer::Done));
    sim.crash(nodes[0]);
    sim.start(nodes[0]);
    sim.run(SECOND);
    assert!(sim.machine(nodes[0]).unwrap().mailboxes().is_empty());
}

#[test]
fn what_a_lying_keeper_has_is_taken_only_as_far_as_it_is_good() {
    let (mut sim, nodes) = row(1, &["bob", "eve"]);
    let (bob, eve) = (nodes[0], nodes[1]);
    keep(&mut sim, bob);
    sim.set_policy(bob, &owner(), 1, &format!("peer allow all\nsender allow {}\n", ref_key(2).public()));
    keep(&mut sim, eve);
    sim.run(SECOND);
    let kept = letter("kept");
    sim.mail(bob, &kept);
    sim.run(SECOND);
    sim.crash(eve);
    let good = letter("good");
    let mut forged = letter("forged").to_bytes();
    *forged.last_mut().unwrap() ^= 1;
    let elsewhere = Sim::letter(&ref_key(2), ref_key(8).public(), "elsewhere", &[]);
    let strange = Sim::letter(&ref_key(3), mailbox(), "strange", &[]);
    let deletion = Signed::sign(&ref_key(9), &Deletion::of(kept.id())).to_bytes();
    let other = Signed::sign(&owner(), &Deletion::of(Hash::of(b"other"))).to_bytes();
    let disk = sim.disk(eve);
    let mut put = |block: Vec<u8>| {
        let hash = Hash::of(&block);
        disk.put(hash, block.into());
        hash
    };
    let exists = |message| MailboxEntry::Exists { policy: None, message };
    let deleted = |proof| MailboxEntry::Deleted { proof, message: kept.id() };
    let planted = [
        exists(put(good.to_bytes())),
        exists(put(forged)),
        exists(put(elsewhere.to_bytes())),
        exists(put(strange.to_bytes())),
        exists(Hash::of(b"nowhere")),
        deleted(Some(put(deletion))),
        deleted(Some(put(other))),
        deleted(None),
    ];
    let mut hashes: Vec<Hash> = planted.iter().map(|entry| put(entry.to_bytes())).collect();
    hashes.push(put(b"no entry".to_vec()));
    let root = build::build(Shape::MAILBOX, &hashes, |hash, block| disk.put(hash, block));
    let references = vec![(RefKind::Mailbox.key(&mailbox()), root)];
    disk.commit(Commit { references, ..Commit::default() });
    sim.start(eve);
    sim.run(3 * CHECK);
    assert_eq!(sim.letters(bob, &mailbox()), BTreeSet::from([kept.id(), good.id()]), "{sim}");
    assert!(sim.machine(bob).unwrap().counters().letters_bad >= 5);
}

#[test]
fn malformed_and_badly_signed_letters_are_refused() {
    let (mut sim, nodes) = row(1, &["alice"]);
    let mut forged = letter("x").to_bytes();
    *forged.last_mut().unwrap() ^= 1;
    let bad = sim.command(nodes[0], Command::MailboxSend { message: forged.into() });
    let odd = sim.command(nodes[0], Command::MailboxSend { message: Bytes::from_static(b"?") });
    let gone = sim.command(nodes[0], Command::MailboxDelete { key: mailbox() });
    sim.run(SECOND);
    assert_eq!(sim.answer(nodes[0], bad), Some(Answer::Refused(Refusal::Signature)));
    assert_eq!(sim.answer(nodes[0], odd), Some(Answer::Refused(Refusal::Malformed)));
    assert_eq!(sim.answer(nodes[0], gone), Some(Answer::Refused(Refusal::Unknown)));
}

#[test]
fn a_letter_to_a_broken_store_is_refused_and_can_be_repeated() {
    let (mut sim, nodes) = row(1, &["alice"]);
    keep(&mut sim, nodes[0]);
    sim.set_policy(nodes[0], &owner(), 1, OPEN);
    sim.run(SECOND);
    sim.lie(nodes[0], Fault::BrokenDisk);
    let refused = sim.mail(nodes[0], &letter("hello"));
    sim.run(SECOND);
    assert_eq!(sim.answer(nodes[0], refused), Some(Answer::Refused(Refusal::Store)));
    sim.repent(nodes[0]);
    let sent = sim.mail(nodes[0], &letter("hello"));
    sim.run(SECOND);
    assert!(matches!(sim.answer(nodes[0], sent), Some(Answer::Posted { .. })), "{sim}");
}

#[test]
fn keepers_become_equal_after_crashes_and_partitions_whatever_the_seed() {
    for seed in 1..=8 {
        let (mut sim, nodes) = row(seed, &["alice", "bob", "carol"]);
        sim.heal();
        for node in &nodes {
            keep(&mut sim, *node);
        }
        sim.set_policy(nodes[0], &owner(), 1, OPEN);
        sim.run(CHECK);
        let mut sent = Vec::new();
        for round in 0..12 {
            let (at, other) = (sim.random().below(3), sim.random().below(3));
            match sim.random().below(6) {
                0 => sim.part(nodes[at], nodes[other]),
                1 => sim.heal(),
                2 => {
                    sim.crash(nodes[at]);
                    sim.start(nodes[at]);
                }
                3 if !sent.is_empty() => {
                    let place = sim.random().below(sent.len());
                    sim.erase(nodes[at], &owner(), sent[place]);
                }
                _ => {
                    let message = letter(&format!("{round}"));
                    sent.push(message.id());
                    sim.mail(nodes[at], &message);
                }
            }
            let pause = sim.random().below(20_000) as u64;
            sim.run(Duration::from_millis(pause));
        }
        sim.heal();
        sim.run(4 * CHECK);
        let entries: BTreeSet<_> = nodes.iter().map(|node| sim.entries(*node, &mailbox())).collect();
        assert_eq!(entries.len(), 1, "{sim}");
    }
}
