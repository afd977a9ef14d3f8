//! When the lists of references are written.

use bytes::Bytes;
use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::{Hash, SignSecretKey};
use hbs2_proto::wire::Message;
use hbs2_proto::{Command, CommandId, Input, Output, Poll, PollKind, Ticket};

use crate::table::{Other, Table, seconds};

/// Longer than any list rests.
const AFTER_REST: u64 = 2;

/// Nonce of an update that is in the list from the beginning.
const OLD: u8 = 200;

/// A node that follows a reflog of some leaves and is linked with somebody who passes its updates on.
fn following() -> (Table, Other, SignSecretKey) {
    let (mut alice, bob) = (Table::new(|_| {}), Other::new(1, 2));
    let author = SignSecretKey::from_seed(&[9; 32]);
    alice.meet(&bob);
    alice.take();
    let (key, kind) = (author.public(), PollKind::Reflog);
    alice.give(Input::Command(CommandId(1), Command::PollAdd(Poll { key, kind, minutes: 1 })));
    let reads = alice.take().into_iter().filter_map(|output| match output {
        Output::ReadLog { ticket, .. } => Some(ticket),
        _ => None,
    });
    for ticket in reads.collect::<Vec<_>>() {
        let old = update(&author, OLD).id();
        let leaves = (0..1000_u32).map(|number| Hash::of(&number.to_be_bytes())).chain([old]).collect();
        alice.give(Input::LogRead { ticket, root: Some(Hash::of(b"root")), leaves, complete: true });
    }
    alice.take();
    (alice, bob, author)
}

fn update(author: &SignSecretKey, nonce: u8) -> ReflogUpdate {
    ReflogUpdate::sign(author, [nonce; 24], Bytes::from_static(b"news"))
}

/// Lets an update come as gossip.
fn hear(alice: &mut Table, bob: &Other, author: &SignSecretKey, nonce: u8) {
    alice.tell(bob, &Message::ReflogUpdate(update(author, nonce)));
}

/// The writes of the reflog so far: their tickets and new values.
fn writes(alice: &mut Table) -> Vec<(Ticket, Hash)> {
    let write = |output| match output {
        Output::Commit { ticket, commit } => commit.references.first().map(|(_, value)| (ticket, *value)),
        _ => None,
    };
    alice.take().into_iter().filter_map(write).collect()
}

/// Hears one update and writes it.
fn write_one(alice: &mut Table, bob: &Other, author: &SignSecretKey) -> Hash {
    hear(alice, bob, author, 1);
    let [(ticket, value)] = writes(alice)[..] else { panic!("the first update is written at once") };
    alice.give(Input::Committed { ticket, durable: true });
    alice.take();
    value
}

#[test]
fn after_a_write_a_list_rests_and_then_writes_all_that_came() {
    let (mut alice, bob, author) = following();
    let first = write_one(&mut alice, &bob, &author);
    (2..9).for_each(|nonce| hear(&mut alice, &bob, &author, nonce));
    assert_eq!(writes(&mut alice), []);
    alice.pass(seconds(AFTER_REST));
    let written = writes(&mut alice);
    assert!(written.len() == 1 && written[0].1 != first, "{written:?}");
    alice.give(Input::Committed { ticket: written[0].0, durable: true });
    alice.pass(seconds(AFTER_REST));
    alice.take();
    hear(&mut alice, &bob, &author, 9);
    assert_eq!(writes(&mut alice).len(), 1, "after a pause at once");
}

#[test]
fn an_entry_of_the_owner_does_not_wait_for_the_end_of_the_rest() {
    let (mut alice, bob, author) = following();
    write_one(&mut alice, &bob, &author);
    hear(&mut alice, &bob, &author, 2);
    let update = Bytes::from(hbs2_core::Encode::to_bytes(&update(&author, 3)));
    alice.give(Input::Command(CommandId(2), Command::PostReflog { update }));
    assert_eq!(writes(&mut alice).len(), 1);
}

#[test]
fn what_rests_or_waits_for_a_write_is_written_at_the_end() {
    let (mut alice, bob, author) = following();
    write_one(&mut alice, &bob, &author);
    hear(&mut alice, &bob, &author, 2);
    alice.give(Input::Stop);
    assert_eq!(writes(&mut alice).len(), 1, "it rested");

    let (mut alice, bob, author) = following();
    hear(&mut alice, &bob, &author, 1);
    hear(&mut alice, &bob, &author, 2);
    assert_eq!(writes(&mut alice).len(), 1);
    alice.give(Input::Stop);
    assert_eq!(writes(&mut alice).len(), 1, "a write was under way");
}

#[test]
fn what_is_in_the_list_already_is_neither_written_nor_passed_on() {
    let (mut alice, bob, author) = following();
    let carol = Other::new(2, 3);
    alice.meet(&carol);
    alice.take();
    let passed_on = |alice: &mut Table| {
        alice.said(&carol).into_iter().any(|message| matches!(message, Message::ReflogUpdate(_)))
    };
    hear(&mut alice, &bob, &author, OLD);
    assert!(!passed_on(&mut alice));
    hear(&mut alice, &bob, &author, 1);
    assert!(passed_on(&mut alice), "what is new is");
}
