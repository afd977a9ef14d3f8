//! References from peer to peer.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::lwwref::LwwRef;
use hbs2_core::pointer::AnnotatedRef;
use hbs2_core::refkey::RefKind;
use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::{Encode, Hash, SignSecretKey, Signed};
use hbs2_rpc::api::lwwref::{self, LwwKey};
use hbs2_rpc::api::node::{
    Guard, Leaves, LeavesFrom, PostEntries, PostMany, Posted, RefName, RefWait, WaitRef,
};
use hbs2_rpc::api::peer::PollAdd;
use hbs2_rpc::api::reflog;
use hbs2_rpc::api::storage::GetBlock;

use crate::kit::{PATIENCE, Person, noise, tree_of};

fn author() -> SignSecretKey {
    SignSecretKey::from_seed(&[42; 32])
}

fn update(number: u8, data: &[u8]) -> ReflogUpdate {
    ReflogUpdate::sign(&author(), [number; 24], Bytes::copy_from_slice(data))
}

fn poll(person: &Person, kind: &str) {
    person.call::<PollAdd>((author().public(), kind.to_owned(), 60));
}

fn wait_ref(person: &Person, kind: RefKind, seen: Option<Hash>) -> Option<Hash> {
    let name = RefName { kind, key: author().public() };
    person.call::<WaitRef>(RefWait { name, seen, timeout_ms: 30_000 })
}

/// Waits until the reflog at `person` has so many entries; returns them.
fn wait_entries(person: &Person, count: usize) -> Vec<Hash> {
    let begin = Instant::now();
    let mut seen = None;
    loop {
        seen = wait_ref(person, RefKind::Reflog, seen);
        let root = seen.expect("the reflog has a value");
        let page = person.call::<Leaves>(LeavesFrom { root, skip: 0 });
        if page.hashes.len() >= count {
            return page.hashes;
        }
        assert!(
            begin.elapsed() < PATIENCE,
            "{} of {count} entries: {:#?}",
            page.hashes.len(),
            person.status()
        );
    }
}

/// Alice and carol are linked through bob only; all three poll the reference.
fn chain(kind: &str) -> (Person, Person, Person) {
    let bob = Person::alone();
    let alice = Person::start(&[bob.address], "");
    let carol = Person::start(&[bob.address], "");
    bob.wait_peers(2);
    for person in [&alice, &bob, &carol] {
        poll(person, kind);
    }
    (alice, bob, carol)
}

#[test]
fn reflog_entries_and_what_they_name_travel_through_a_third_peer() {
    let (alice, _bob, carol) = chain("reflog");
    let (root, blocks) = tree_of(&noise(1, 500_000));
    alice.put(blocks.clone());
    let updates = [update(1, b"hello"), update(2, &AnnotatedRef::to(root).to_bytes())];
    let begin = Instant::now();
    for update in &updates {
        alice.call::<reflog::Post>(update.clone());
    }
    let mut expected: Vec<Hash> = updates.iter().map(ReflogUpdate::id).collect();
    expected.sort();
    assert_eq!(wait_entries(&carol, 2), expected);
    assert!(begin.elapsed() < Duration::from_secs(5), "it took {:?}", begin.elapsed());
    carol.fetch(&[root]);
    for block in &blocks {
        assert!(carol.call::<GetBlock>(Hash::of(block)).as_ref() == Some(block));
    }
}

#[test]
fn a_peer_that_comes_late_gets_the_whole_log() {
    let alice = Person::alone();
    let updates: Vec<ReflogUpdate> = (0..200).map(|number| update(number, b"x")).collect();
    let posted = alice.call::<PostMany>(PostEntries { updates: updates.clone(), guard: Guard::Is(None) });
    let Posted::Done(root) = posted else { panic!("{posted:?}") };
    assert_eq!(alice.call::<reflog::Get>(author().public()), Some(root));
    let bob = Person::start(&[alice.address], "");
    // Alice answers only for what she polls herself.
    poll(&alice, "reflog");
    poll(&bob, "reflog");
    let mut expected: Vec<Hash> = updates.iter().map(ReflogUpdate::id).collect();
    expected.sort();
    assert_eq!(wait_entries(&bob, 200), expected);
}

#[test]
fn a_guarded_post_is_refused_when_the_log_has_moved() {
    let alice = Person::alone();
    let post =
        |number, guard| alice.call::<PostMany>(PostEntries { updates: vec![update(number, b"x")], guard });
    let Posted::Done(first) = post(1, Guard::Is(None)) else { panic!("the log is empty") };
    assert_eq!(post(2, Guard::Is(None)), Posted::Moved(Some(first)));
    let Posted::Done(second) = post(2, Guard::Is(Some(first))) else { panic!("the log has not moved") };
    assert_ne!(first, second);
    assert!(matches!(post(3, Guard::Any), Posted::Done(_)));
    assert_eq!(wait_entries(&alice, 3).len(), 3);
}

#[test]
fn a_badly_signed_entry_is_refused() {
    let alice = Person::alone();
    let mut bytes = update(1, b"x").to_bytes();
    *bytes.last_mut().unwrap() ^= 1;
    let forged = <ReflogUpdate as hbs2_core::Decode>::from_bytes(&bytes).unwrap();
    assert!(alice.client().call::<reflog::Post>(&forged, PATIENCE).is_err());
    assert_eq!(alice.call::<reflog::Get>(author().public()), None);
}

#[test]
fn lwwref_values_travel_through_a_third_peer_and_the_higher_sequence_wins() {
    let (alice, _bob, carol) = chain("lwwref");
    let set = |person: &Person, seq, value: &[u8]| {
        let value = LwwRef { seq, value: Hash::of(value), proof: None };
        person.client().call::<lwwref::Update>(&Signed::sign(&author(), &value), PATIENCE)
    };
    let get = |person: &Person| person.call::<lwwref::Get>(LwwKey(author().public())).map(|value| value.seq);
    assert_eq!(get(&alice), None);
    set(&alice, 7, b"seven").unwrap();
    let begin = Instant::now();
    let seen = wait_ref(&carol, RefKind::Lww, None);
    assert_eq!(get(&carol), Some(7), "after {:?}", begin.elapsed());
    set(&carol, 9, b"nine").unwrap();
    let seen = wait_ref(&carol, RefKind::Lww, seen).map_or(seen, Some);
    assert!(set(&carol, 8, b"eight").is_err());
    let mut at_alice = None;
    while get(&alice) != Some(9) {
        at_alice = wait_ref(&alice, RefKind::Lww, at_alice);
        assert!(begin.elapsed() < PATIENCE);
    }
    assert_eq!(wait_ref(&alice, RefKind::Lww, None), seen);
}

#[test]
fn references_are_there_after_a_restart_and_can_grow() {
    let mut alice = Person::alone();
    alice.call::<reflog::Post>(update(1, b"one"));
    alice.stop();
    alice.start_again();
    alice.call::<reflog::Post>(update(2, b"two"));
    assert_eq!(wait_entries(&alice, 2).len(), 2);
}

#[test]
fn a_wait_for_a_reference_ends_with_its_time() {
    let alice = Person::alone();
    let name = RefName { kind: RefKind::Reflog, key: author().public() };
    let begin = Instant::now();
    assert_eq!(alice.call::<WaitRef>(RefWait { name, seen: None, timeout_ms: 150 }), None);
    assert!(begin.elapsed() >= Duration::from_millis(150));
}
