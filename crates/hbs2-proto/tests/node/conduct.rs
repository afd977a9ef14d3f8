//! What is held against a peer, and what follows.

use bytes::Bytes;
use hbs2_core::addr::PeerAddr;
use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::{Encode, SignSecretKey};
use hbs2_proto::io::BANS_RECORD;
use hbs2_proto::io::status::BanSource;
use hbs2_proto::wire::Message;
use hbs2_proto::{Answer, CloseReason, Command, CommandId, Event, Input, Offence, Origin, Output, Refusal};

use crate::table::{Other, Table, ping, seconds};

const COMMAND: CommandId = CommandId(7);

fn closes(outputs: &[Output]) -> Vec<CloseReason> {
    let reason = |output: &Output| match output {
        Output::Close { reason, .. } => Some(*reason),
        _ => None,
    };
    outputs.iter().filter_map(reason).collect()
}

/// Gives a command, lets what it commits be durable, and returns all outputs.
fn order(alice: &mut Table, command: Command) -> Vec<Output> {
    alice.take();
    alice.give(Input::Command(COMMAND, command));
    let mut outputs = alice.take();
    let commit = outputs.iter().find_map(|output| match output {
        Output::Commit { ticket, .. } => Some(*ticket),
        _ => None,
    });
    if let Some(ticket) = commit {
        alice.give(Input::Committed { ticket, durable: true });
        outputs.extend(alice.take());
    }
    outputs
}

fn answered(outputs: &[Output]) -> Option<Answer> {
    outputs.iter().find_map(|output| match output {
        Output::Event(Event::Answer { command: COMMAND, answer }) => Some(*answer),
        _ => None,
    })
}

fn record(outputs: &[Output]) -> Bytes {
    let commit = outputs.iter().find_map(|output| match output {
        Output::Commit { commit, .. } => Some(commit),
        _ => None,
    });
    let (name, record) = &commit.expect("the list is saved").records[0];
    assert_eq!(*name, BANS_RECORD);
    record.clone()
}

#[test]
fn a_ban_of_the_owner_ends_the_links_and_keeps_the_peer_out_until_it_is_lifted() {
    let (mut alice, eve) = (Table::new(|_| {}), Other::new(1, 2));
    alice.meet(&eve);
    let peer = eve.key.public();
    let outputs = order(&mut alice, Command::Ban { peer, seconds: None });
    assert_eq!(closes(&outputs), [CloseReason::Banned]);
    assert_eq!(answered(&outputs), Some(Answer::Done));
    assert_eq!(alice.node.bans()[0].source, BanSource::Owner);

    let again = Other::new(2, 2);
    alice.link_up(&again);
    alice.pong(&again);
    assert_eq!(closes(&alice.take()), [CloseReason::Banned]);
    assert!(alice.node.peers().is_empty());

    assert_eq!(answered(&order(&mut alice, Command::Unban { peer })), Some(Answer::Done));
    let refused = Answer::Refused(Refusal::NotBanned);
    assert_eq!(answered(&order(&mut alice, Command::Unban { peer })), Some(refused));
    alice.meet(&Other::new(3, 2));
    assert_eq!(alice.node.peers().len(), 1);
}

#[test]
fn a_timed_ban_of_the_owner_outlives_a_restart_and_ends_by_the_clock() {
    let mut alice = Table::new(|_| {});
    let peer = Other::new(1, 2).key.public();
    let no_clock = Answer::Refused(Refusal::NoClock);
    let ban = Command::Ban { peer, seconds: Some(60) };
    assert_eq!(answered(&order(&mut alice, ban.clone())), Some(no_clock));
    alice.give(Input::Clock { unix_seconds: 1_000_000 });
    let saved = record(&order(&mut alice, ban));

    let mut later = Table::new(|_| {});
    later.give(Input::Record { name: BANS_RECORD.to_owned(), value: saved });
    later.give(Input::Clock { unix_seconds: 1_000_050 });
    assert_eq!(later.node.bans()[0].left, Some(seconds(10)));
    later.pass(seconds(9));
    later.meet(&Other::new(1, 2));
    assert!(later.node.peers().is_empty());
    later.pass(seconds(2));
    later.meet(&Other::new(2, 2));
    assert_eq!((later.node.peers().len(), later.node.bans().len()), (1, 0));
}

/// An update of `author`'s reflog, signed or with one bit of the signature turned.
fn update(author: u8, nonce: u8, good: bool) -> Message {
    let key = SignSecretKey::from_seed(&[author; 32]);
    let update = ReflogUpdate::sign(&key, [nonce; 24], Bytes::from_static(b"news"));
    let mut bytes = update.to_bytes();
    if !good {
        *bytes.last_mut().expect("an update has bytes") ^= 1;
    }
    Message::ReflogUpdate(hbs2_core::Decode::from_bytes(&bytes).expect("its form is good"))
}

#[test]
fn ten_bad_signatures_ban_and_the_links_end_with_the_reason() {
    let (mut alice, eve, bob) = (Table::new(|_| {}), Other::new(1, 2), Other::new(2, 3));
    alice.meet(&eve);
    alice.meet(&bob);
    alice.take();
    for n in 0..10u8 {
        assert_eq!(closes(&alice.take()), []);
        alice.tell(&eve, &update(9, n, false));
    }
    let outputs = alice.take();
    assert_eq!(closes(&outputs), [CloseReason::Misconduct(Offence::BadSignature)]);
    let banned = |output: &Output| {
        matches!(output, Output::Event(Event::Banned { offence: Offence::BadSignature, seconds: 600, .. }))
    };
    assert!(outputs.iter().any(banned));
    assert_eq!(alice.node.bans()[0].source, BanSource::Conduct(Offence::BadSignature));
    assert_eq!(alice.node.peers().len(), 1, "bob stays");
    assert_eq!(alice.node.counters().bans, 1);

    alice.pass(seconds(300));
    alice.meet(&Other::new(3, 2));
    assert!(alice.node.peers().iter().all(|peer| peer.key != eve.key.public()), "not yet");
    alice.pass(seconds(301));
    alice.meet(&Other::new(4, 2));
    assert!(alice.node.peers().iter().any(|peer| peer.key == eve.key.public()), "the ban is over");
}

#[test]
fn garbage_before_a_greeting_closes_the_link_and_in_datagrams_is_held_against_nobody() {
    let (mut alice, eve) = (Table::new(|_| {}), Other::new(1, 2));
    let garbage = Bytes::from_static(&[0xff; 100]);
    alice.link_up(&eve);
    for _ in 0..64 {
        alice.give(Input::Received { link: eve.link, packet: garbage.clone() });
    }
    assert_eq!(closes(&alice.take()), [CloseReason::Misconduct(Offence::Garbage)]);

    let bob = Other::new(2, 3);
    let remote = PeerAddr::udp(bob.remote().socket);
    alice.give(Input::LinkUp { link: bob.link, remote, origin: Origin::Accepted });
    alice.pong(&bob);
    alice.tell(&bob, &ping());
    for second in 0..60 {
        alice.give(Input::Received { link: bob.link, packet: garbage.clone() });
        if second % 10 == 0 {
            alice.tell(&bob, &ping());
        }
        alice.pass(seconds(1));
    }
    let conduct = &alice.node.conduct()[0];
    assert_eq!((conduct.points, &conduct.offences[..]), (0, &[(Offence::Garbage, 60)][..]));
    assert_eq!(alice.node.peers().len(), 1);
}
