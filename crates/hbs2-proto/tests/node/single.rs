//! What the owner asks of single peers.

use std::time::Duration;

use hbs2_core::Hash;
use hbs2_proto::wire::{BlockInfo, Message};
use hbs2_proto::{Answer, Command, CommandId, Event, Input, Keep, LinkId, Output, Refusal};

use crate::table::{Other, Table, answer, hash, ping, seconds};

const COMMAND: CommandId = CommandId(7);

/// How long the tests let a want be.
const LIMIT: Duration = Duration::from_secs(60);

fn order(alice: &mut Table, command: Command) {
    alice.give(Input::Command(COMMAND, command));
}

/// The answers to the command, of all outputs so far.
fn answers(alice: &mut Table) -> Vec<Answer> {
    let answers = alice.take().into_iter().filter_map(|output| match output {
        Output::Event(Event::Answer { command: COMMAND, answer }) => Some(answer),
        _ => None,
    });
    answers.collect()
}

/// Two peers, alice's table and nothing left to take.
fn meet() -> (Table, Other, Other) {
    let (mut alice, bob, carol) = (Table::new(|_| {}), Other::new(1, 2), Other::new(2, 3));
    alice.meet(&bob);
    alice.meet(&carol);
    alice.take();
    (alice, bob, carol)
}

/// Wants a single absent block from one peer; whom it asks how long it is.
fn want_from(alice: &mut Table, other: &Other, root: Hash) -> Vec<LinkId> {
    order(alice, Command::WantFrom { root, link: other.link, limit: LIMIT });
    walk(alice, root)
}

/// Answers the walk that was asked for: the root is absent. Who is asked for it then.
fn walk(alice: &mut Table, root: Hash) -> Vec<LinkId> {
    let tickets: Vec<_> = alice
        .take()
        .into_iter()
        .filter_map(|output| match output {
            Output::Walk { ticket, .. } => Some(ticket),
            _ => None,
        })
        .collect();
    for ticket in tickets {
        alice.give(Input::Walked { ticket, missing: vec![root], truncated: false });
    }
    asked(alice, root)
}

/// Who is asked for a block, of all outputs so far.
fn asked(alice: &mut Table, root: Hash) -> Vec<LinkId> {
    let question = Message::BlockInfo(BlockInfo::GetBlockSize(root));
    let asked = alice.take().into_iter().filter_map(|output| match output {
        Output::Send { link, packet } => (packet.to_bytes() == question.encode().to_bytes()).then_some(link),
        _ => None,
    });
    asked.collect()
}

#[test]
fn a_peer_is_asked_how_long_a_block_is_and_its_word_is_told() {
    let (mut alice, bob, carol) = meet();
    for bytes in [Some(42), None] {
        order(&mut alice, Command::AskSize { link: bob.link, hash: hash(5) });
        assert_eq!(asked(&mut alice, hash(5)), [bob.link]);
        alice.tell(&carol, &answer(5, Some(1)));
        alice.tell(&bob, &answer(6, Some(2)));
        assert_eq!(answers(&mut alice), []);
        alice.tell(&bob, &answer(5, bytes));
        assert_eq!(answers(&mut alice), [Answer::Size { bytes }]);
    }
}

#[test]
fn a_peer_that_says_nothing_for_five_seconds_is_silent() {
    let (mut alice, bob, _) = meet();
    order(&mut alice, Command::AskSize { link: bob.link, hash: hash(5) });
    alice.pass(Duration::from_millis(4999));
    assert_eq!(answers(&mut alice), []);
    alice.pass(Duration::from_millis(1));
    assert_eq!(answers(&mut alice), [Answer::Refused(Refusal::Silent)]);
    alice.tell(&bob, &answer(5, Some(42)));
    assert_eq!(answers(&mut alice), []);
}

#[test]
fn a_peer_that_leaves_or_is_not_there_is_silent_at_once() {
    let (mut alice, bob, _) = meet();
    let silent = [Answer::Refused(Refusal::Silent)];
    order(&mut alice, Command::AskSize { link: bob.link, hash: hash(5) });
    alice.give(Input::LinkDown { link: bob.link });
    assert_eq!(answers(&mut alice), silent);
    order(&mut alice, Command::AskSize { link: bob.link, hash: hash(5) });
    assert_eq!(answers(&mut alice), silent);
    order(&mut alice, Command::WantFrom { root: hash(5), link: bob.link, limit: LIMIT });
    assert_eq!(answers(&mut alice), silent);
}

#[test]
fn a_want_from_one_peer_asks_nobody_else_and_ends_by_its_limit() {
    let (mut alice, bob, carol) = meet();
    assert_eq!(want_from(&mut alice, &bob, hash(5)), [bob.link]);
    alice.tell(&bob, &answer(5, None));
    let mut links = Vec::new();
    for _ in 0..59 {
        alice.pass(seconds(1));
        alice.tell(&bob, &ping());
        alice.tell(&carol, &ping());
        for link in asked(&mut alice, hash(5)) {
            alice.tell(&bob, &answer(5, None));
            links.push(link);
        }
    }
    assert!(!links.is_empty() && !links.contains(&carol.link), "{links:?}");
    assert!(alice.node.want(&hash(5)).is_some());
    alice.pass(seconds(2));
    assert!(alice.node.want(&hash(5)).is_none());
}

#[test]
fn a_want_from_one_peer_ends_with_its_link() {
    let (mut alice, bob, carol) = meet();
    want_from(&mut alice, &bob, hash(5));
    alice.give(Input::LinkDown { link: bob.link });
    assert!(alice.node.want(&hash(5)).is_none());
    alice.pass(seconds(90));
    assert!(!asked(&mut alice, hash(5)).contains(&carol.link));
}

#[test]
fn who_wants_the_same_from_anybody_gets_it_from_anybody() {
    let (mut alice, bob, carol) = meet();
    want_from(&mut alice, &bob, hash(5));
    alice.tell(&bob, &answer(5, None));
    order(&mut alice, Command::Want { root: hash(5), keep: Keep::ThisRun });
    let links = asked(&mut alice, hash(5));
    assert!(links.contains(&carol.link), "{links:?}");
    order(&mut alice, Command::UnwantFrom { root: hash(5) });
    alice.give(Input::LinkDown { link: bob.link });
    assert!(alice.node.want(&hash(5)).is_some());
}

#[test]
fn a_block_wanted_from_one_peer_is_asked_of_all_for_another_tree() {
    let (mut alice, bob, carol) = meet();
    want_from(&mut alice, &bob, hash(5));
    alice.tell(&bob, &answer(5, None));
    order(&mut alice, Command::Want { root: hash(6), keep: Keep::ThisRun });
    let mut links = walk(&mut alice, hash(5));
    alice.pass(Duration::from_millis(100));
    links.extend(asked(&mut alice, hash(5)));
    assert!(links.contains(&carol.link), "{links:?}");
}

#[test]
fn a_want_from_one_peer_can_be_given_up() {
    let (mut alice, bob, _) = meet();
    want_from(&mut alice, &bob, hash(5));
    order(&mut alice, Command::UnwantFrom { root: hash(5) });
    assert_eq!(answers(&mut alice), [Answer::Done]);
    assert!(alice.node.want(&hash(5)).is_none());
}
