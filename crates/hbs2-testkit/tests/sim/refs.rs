//! References: polled, published, merged.

use std::collections::BTreeSet;

use bytes::Bytes;
use hbs2_core::cbor::Encode;
use hbs2_core::pointer::AnnotatedRef;
use hbs2_core::refkey::RefKind;
use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::tree::{Shape, build};
use hbs2_core::{Hash, SignSecretKey};
use hbs2_proto::{Answer, Command, Commit, Event, Poll, PollKind, Refusal};
use hbs2_testkit::sim::{Fault, NodeId, Sim};

use crate::{MINUTE, SECOND, pair, poll, ref_key};

/// Puts a ready-made reflog on a disk, with whatever updates.
fn plant(sim: &mut Sim, node: NodeId, key: &SignSecretKey, updates: &[ReflogUpdate]) {
    let disk = sim.disk(node);
    let mut hashes = Vec::new();
    for update in updates {
        let block = Bytes::from(update.to_bytes());
        hashes.push(Hash::of(&block));
        disk.put(Hash::of(&block), block);
    }
    let root = build::build(Shape::LOG, &hashes, |hash, block| disk.put(hash, block));
    let references = vec![(RefKind::Reflog.key(&key.public()), root)];
    disk.commit(Commit { references, ..Commit::default() });
}

fn updates(key: &SignSecretKey, numbers: std::ops::Range<u32>) -> Vec<ReflogUpdate> {
    numbers.map(|i| ReflogUpdate::sign(key, [7; 24], Bytes::copy_from_slice(&i.to_le_bytes()))).collect()
}

fn pointer(target: Hash) -> Bytes {
    AnnotatedRef::to(target).to_bytes().into()
}

#[test]
fn a_posted_update_reaches_subscribers_at_once_with_its_tree() {
    let (mut sim, alice, bob) = pair(1);
    let key = ref_key(1);
    poll(&mut sim, bob, key.public(), PollKind::Reflog);
    sim.run(SECOND);
    let root = sim.put_data(alice, &[9; 700_000]);
    let post = sim.post(alice, &key, pointer(root));
    assert!(sim.run_until(SECOND / 3, |sim| sim.has_tree(bob, &root)), "{sim}");
    sim.run(SECOND / 10);
    let value = sim.disk(alice).reference(&RefKind::Reflog.key(&key.public())).unwrap();
    assert_eq!(sim.answer(alice, post), Some(Answer::Posted { value }));
    assert_eq!(sim.reflog(bob, &key.public()).len(), 1);
    let changed = Event::RefChanged { key: key.public(), kind: PollKind::Reflog, value };
    assert!(sim.events(bob).contains(&changed), "equal sets have equal roots");
}

#[test]
fn gossip_passes_through_peers_that_do_not_subscribe() {
    let mut sim = Sim::new(1);
    let (alice, bob, carol) = (sim.node("alice"), sim.node("bob"), sim.node("carol"));
    sim.know(bob, alice);
    sim.know(carol, bob);
    sim.part(alice, carol);
    let key = ref_key(1);
    sim.start_all();
    poll(&mut sim, carol, key.public(), PollKind::Reflog);
    sim.run(SECOND);
    sim.post(alice, &key, Bytes::from_static(b"news"));
    sim.run(SECOND);
    assert_eq!(sim.reflog(carol, &key.public()).len(), 1, "{sim}");
    assert_eq!(sim.reflog(bob, &key.public()).len(), 0, "{sim}");
}

#[test]
fn sets_are_merged_and_not_replaced() {
    let (mut sim, alice, bob) = pair(1);
    let key = ref_key(1);
    plant(&mut sim, alice, &key, &updates(&key, 0..700));
    plant(&mut sim, bob, &key, &updates(&key, 650..1400));
    for node in [alice, bob] {
        poll(&mut sim, node, key.public(), PollKind::Reflog);
    }
    let expected: BTreeSet<Hash> = updates(&key, 0..1400).iter().map(ReflogUpdate::id).collect();
    sim.run(5 * SECOND);
    assert_eq!(sim.reflog(alice, &key.public()), expected, "{sim}");
    assert_eq!(sim.reflog(bob, &key.public()), expected, "{sim}");
    let ref_key = RefKind::Reflog.key(&key.public());
    assert_eq!(sim.disk(alice).reference(&ref_key), sim.disk(bob).reference(&ref_key));
}

#[test]
fn foreign_and_bad_updates_never_enter_a_reflog() {
    let mut sim = Sim::new(1);
    let (bob, eve) = (sim.node("bob"), sim.node("eve"));
    sim.know(bob, eve);
    let (key, foreign) = (ref_key(1), ref_key(2));
    let mut planted = updates(&key, 0..2);
    planted.extend(updates(&foreign, 0..3));
    plant(&mut sim, eve, &key, &planted);
    let forged = {
        let mut bytes = updates(&key, 9..10)[0].to_bytes();
        *bytes.last_mut().unwrap() ^= 1;
        Bytes::from(bytes)
    };
    let disk = sim.disk(eve);
    let mut hashes: Vec<Hash> = planted.iter().map(ReflogUpdate::id).collect();
    for block in [forged, Bytes::from_static(b"no update")] {
        hashes.push(Hash::of(&block));
        disk.put(Hash::of(&block), block);
    }
    let root = build::build(Shape::LOG, &hashes, |hash, block| disk.put(hash, block));
    let references = vec![(RefKind::Reflog.key(&key.public()), root)];
    disk.commit(Commit { references, ..Commit::default() });
    sim.start_all();
    for node in [bob, eve] {
        poll(&mut sim, node, key.public(), PollKind::Reflog);
    }
    sim.run(5 * SECOND);
    assert_eq!(sim.reflog(bob, &key.public()).len(), 2, "{sim}");
    let counters = sim.machine(bob).unwrap().counters();
    assert_eq!((counters.updates_foreign, counters.updates_bad), (3, 2));
}

#[test]
fn nothing_is_answered_for_references_that_are_not_polled() {
    let (mut sim, alice, bob) = pair(1);
    let key = ref_key(1);
    sim.post(alice, &key, Bytes::from_static(b"mine"));
    sim.set(alice, &key, 1, Hash::of(b"value"));
    sim.run(SECOND);
    poll(&mut sim, bob, key.public(), PollKind::Reflog);
    poll(&mut sim, bob, key.public(), PollKind::Lwwref);
    sim.run(5 * MINUTE);
    assert!(sim.reflog(bob, &key.public()).is_empty(), "{sim}");
    assert_eq!(sim.lwwref(bob, &key.public()), None);
    poll(&mut sim, alice, key.public(), PollKind::Reflog);
    poll(&mut sim, alice, key.public(), PollKind::Lwwref);
    sim.run(2 * MINUTE);
    assert_eq!(sim.reflog(bob, &key.public()).len(), 1, "{sim}");
    assert_eq!(sim.lwwref(bob, &key.public()).map(|lww| lww.seq), Some(1));
}

#[test]
fn a_removed_poll_ends_the_subscription() {
    let (mut sim, alice, bob) = pair(1);
    let key = ref_key(1);
    poll(&mut sim, bob, key.public(), PollKind::Reflog);
    sim.run(SECOND);
    let gone = sim.command(bob, Command::PollDel { key: key.public(), kind: None });
    sim.run(SECOND);
    assert_eq!(sim.answer(bob, gone), Some(Answer::Done));
    sim.post(alice, &key, Bytes::from_static(b"news"));
    sim.run(SECOND);
    assert!(sim.reflog(bob, &key.public()).is_empty());
}

#[test]
fn polls_survive_a_restart_in_their_order() {
    let (mut sim, _, bob) = pair(1);
    let rows = [
        Poll { key: ref_key(9).public(), kind: PollKind::Lwwref, minutes: 5 },
        Poll { key: ref_key(1).public(), kind: PollKind::Reflog, minutes: 1 },
        Poll { key: ref_key(5).public(), kind: PollKind::Refchan, minutes: 7 },
    ];
    for row in rows {
        sim.command(bob, Command::PollAdd(row));
    }
    sim.run(SECOND);
    sim.crash(bob);
    sim.start(bob);
    sim.run(SECOND);
    assert_eq!(sim.machine(bob).unwrap().polls(), rows);
}

#[test]
fn an_acknowledged_post_survives_a_crash() {
    let (mut sim, alice, _) = pair(1);
    let key = ref_key(1);
    sim.run(SECOND);
    let posts: Vec<_> = (0..50u8).map(|i| sim.post(alice, &key, Bytes::copy_from_slice(&[i]))).collect();
    assert!(
        sim.run_until(SECOND, |sim| posts.iter().any(|post| sim.answer(alice, *post).is_some())),
        "{sim}"
    );
    sim.crash(alice);
    let acknowledged = posts.iter().filter(|post| sim.answer(alice, **post).is_some()).count();
    assert!(sim.reflog(alice, &key.public()).len() >= acknowledged);
    sim.start(alice);
    let again = sim.post(alice, &key, Bytes::from_static(b"again"));
    sim.run(SECOND);
    assert!(matches!(sim.answer(alice, again), Some(Answer::Posted { .. })));
    assert!(sim.reflog(alice, &key.public()).len() > acknowledged);
}

#[test]
fn many_posts_share_few_writes() {
    let (mut sim, alice, _) = pair(1);
    let key = ref_key(1);
    sim.run(SECOND);
    for i in 0..200u8 {
        sim.post(alice, &key, Bytes::copy_from_slice(&[i]));
    }
    sim.run(SECOND);
    assert_eq!(sim.reflog(alice, &key.public()).len(), 200);
    let written = sim.events(alice).iter().filter(|event| matches!(event, Event::RefChanged { .. })).count();
    assert!(written < 10, "{written} writes");
}

#[test]
fn a_post_to_a_broken_store_is_refused_and_can_be_repeated() {
    let (mut sim, alice, _) = pair(1);
    let key = ref_key(1);
    sim.run(SECOND);
    sim.lie(alice, Fault::BrokenDisk);
    let update: Bytes = updates(&key, 0..1)[0].to_bytes().into();
    let refused = sim.command(alice, Command::PostReflog { update: update.clone() });
    let value = sim.set(alice, &key, 1, Hash::of(b"v"));
    sim.run(SECOND);
    assert_eq!(sim.answer(alice, refused), Some(Answer::Refused(Refusal::Store)));
    assert_eq!(sim.answer(alice, value), Some(Answer::Refused(Refusal::Store)));
    sim.repent(alice);
    let post = sim.command(alice, Command::PostReflog { update });
    let value = sim.set(alice, &key, 1, Hash::of(b"v"));
    sim.run(SECOND);
    assert!(matches!(sim.answer(alice, post), Some(Answer::Posted { .. })), "{sim}");
    assert!(matches!(sim.answer(alice, value), Some(Answer::Posted { .. })), "{sim}");
    assert_eq!(sim.reflog(alice, &key.public()).len(), 1);
}

#[test]
fn malformed_and_badly_signed_posts_are_refused() {
    let (mut sim, alice, _) = pair(1);
    let mut update = updates(&ref_key(1), 0..1)[0].to_bytes();
    *update.last_mut().unwrap() ^= 1;
    let bad = sim.command(alice, Command::PostReflog { update: update.into() });
    let odd = sim.command(alice, Command::PostLwwref { signed: Bytes::from_static(b"?") });
    sim.run(SECOND);
    assert_eq!(sim.answer(alice, bad), Some(Answer::Refused(Refusal::Signature)));
    assert_eq!(sim.answer(alice, odd), Some(Answer::Refused(Refusal::Malformed)));
}

#[test]
fn a_log_that_cannot_be_read_is_mended_from_peers_and_not_overwritten() {
    let (mut sim, alice, bob) = pair(1);
    let key = ref_key(1);
    plant(&mut sim, alice, &key, &updates(&key, 0..600));
    plant(&mut sim, bob, &key, &updates(&key, 0..600));
    let root = sim.disk(alice).reference(&RefKind::Reflog.key(&key.public())).unwrap();
    let leaf = hbs2_core::inspect::links(sim.disk(alice).get(&root).unwrap())[0];
    sim.disk(alice).delete(&leaf);
    sim.part(alice, bob);
    poll(&mut sim, alice, key.public(), PollKind::Reflog);
    let refused = sim.post(alice, &key, Bytes::from_static(b"x"));
    sim.run(SECOND);
    assert_eq!(sim.answer(alice, refused), Some(Answer::Refused(Refusal::Unreadable)));
    sim.heal();
    sim.run(2 * MINUTE);
    let post = sim.post(alice, &key, Bytes::from_static(b"y"));
    sim.run(SECOND);
    assert!(matches!(sim.answer(alice, post), Some(Answer::Posted { .. })), "{sim}");
    assert_eq!(sim.reflog(alice, &key.public()).len(), 601);
}

#[test]
fn lwwref_higher_seq_wins_and_then_the_larger_value() {
    let (mut sim, alice, bob) = pair(1);
    let key = ref_key(1);
    for node in [alice, bob] {
        poll(&mut sim, node, key.public(), PollKind::Lwwref);
    }
    sim.run(SECOND);
    let (low, high) = (Hash::from_bytes([1; 32]), Hash::from_bytes([2; 32]));
    let check = |sim: &mut Sim, node, seq, value, expected| {
        sim.set(node, &key, seq, value);
        sim.run(SECOND);
        for node in [alice, bob] {
            assert_eq!(
                sim.lwwref(node, &key.public()).map(|lww| (lww.seq, lww.value)),
                Some(expected),
                "{sim}"
            );
        }
    };
    check(&mut sim, alice, 5, low, (5, low));
    check(&mut sim, bob, 4, high, (5, low));
    check(&mut sim, bob, 5, high, (5, high));
    check(&mut sim, alice, 5, low, (5, high));
    check(&mut sim, alice, 6, low, (6, low));
}

#[test]
fn a_stale_value_is_refused_with_the_known_sequence_and_not_passed_on() {
    let (mut sim, alice, bob) = pair(1);
    let key = ref_key(1);
    for node in [alice, bob] {
        poll(&mut sim, node, key.public(), PollKind::Lwwref);
    }
    sim.run(SECOND);
    sim.set(alice, &key, 5, Hash::of(b"a"));
    sim.run(SECOND);
    let sent = |sim: &Sim| sim.machine(alice).unwrap().counters().packets_sent;
    let before = sent(&sim);
    let stale = sim.set(alice, &key, 4, Hash::of(b"b"));
    sim.run(SECOND / 10);
    assert_eq!(sim.answer(alice, stale), Some(Answer::Refused(Refusal::Stale { known: 5 })));
    assert_eq!(sent(&sim), before);
}

#[test]
fn the_tree_of_a_value_is_fetched() {
    let (mut sim, alice, bob) = pair(1);
    let key = ref_key(1);
    poll(&mut sim, bob, key.public(), PollKind::Lwwref);
    sim.run(SECOND);
    let value = sim.put_data(alice, &[3; 300_000]);
    sim.set(alice, &key, 1, value);
    assert!(sim.run_until(SECOND / 3, |sim| sim.has_tree(bob, &value)), "{sim}");
}

#[test]
fn an_asked_for_reference_is_taken_once_without_a_poll() {
    let (mut sim, alice, bob) = pair(1);
    let key = ref_key(1);
    for kind in [PollKind::Reflog, PollKind::Lwwref] {
        poll(&mut sim, alice, key.public(), kind);
    }
    sim.post(alice, &key, Bytes::from_static(b"x"));
    sim.set(alice, &key, 3, Hash::of(b"v"));
    sim.run(SECOND);
    for kind in [PollKind::Reflog, PollKind::Lwwref] {
        sim.command(bob, Command::FetchRef { key: key.public(), kind });
    }
    sim.run(SECOND);
    assert_eq!(sim.reflog(bob, &key.public()).len(), 1, "{sim}");
    assert_eq!(sim.lwwref(bob, &key.public()).map(|lww| lww.seq), Some(3));
}
