//! Channels in which much is written, and asking for their news.

use hbs2_proto::{Answer, Command, CommandId, Event, PollKind};
use hbs2_testkit::sim::{NodeId, Sim};

use crate::refchan::{author, chan, channel};
use crate::{MINUTE, SECOND};

/// Three thousand entries in a second: more signatures than a peer may make us check of what is of no use.
fn post_many(quorum: u64) -> (Sim, Vec<NodeId>) {
    const PROPOSALS: usize = 3000;
    let (mut sim, nodes) = channel(1, 2, quorum);
    for number in 0..PROPOSALS {
        sim.propose(nodes[0], chan(), &author(), &number.to_string());
        if number % 30 == 29 {
            sim.run(SECOND / 100);
        }
    }
    sim.run(2 * SECOND);
    let counts = nodes.iter().map(|node| sim.payloads(*node, &chan()).len());
    assert_eq!(counts.collect::<Vec<_>>(), [PROPOSALS; 2], "{sim}");
    (sim, nodes)
}

#[test]
fn who_posts_thousands_of_entries_is_heard_and_not_blamed() {
    // Each has to hear the other about each entry.
    let (sim, nodes) = post_many(2);
    for node in nodes {
        let machine = sim.machine(node).unwrap();
        assert_eq!(machine.counters().messages_limited, 0);
        assert!(machine.conduct().iter().all(|conduct| conduct.points == 0 && conduct.dropped == 0));
    }
}

#[test]
fn a_long_log_is_written_in_groups() {
    let (sim, nodes) = post_many(1);
    for node in nodes {
        let changes = sim
            .events(node)
            .iter()
            .filter(|event| matches!(event, Event::RefChanged { kind: PollKind::Refchan, .. }));
        assert!((2..100).contains(&changes.count()), "{sim}");
    }
}

fn ask_news(sim: &mut Sim, node: NodeId) -> CommandId {
    sim.command(node, Command::AskNews { chan: chan(), wait: 2 * SECOND })
}

#[test]
fn news_are_here_when_all_peers_have_told_them() {
    let (mut sim, nodes) = channel(1, 3, 1);
    sim.part(nodes[0], nodes[2]);
    sim.part(nodes[1], nodes[2]);
    for number in 0..300 {
        sim.propose(nodes[0], chan(), &author(), &number.to_string());
    }
    sim.run(2 * MINUTE);
    assert_eq!(sim.payloads(nodes[2], &chan()).len(), 0);
    sim.heal();
    let linked = |sim: &Sim| sim.machine(nodes[2]).is_some_and(|node| node.peers().len() == 2);
    assert!(sim.run_until(10 * MINUTE, linked), "{sim}");
    let asked = ask_news(&mut sim, nodes[2]);
    assert!(sim.run_until(2 * SECOND, |sim| sim.answer(nodes[2], asked).is_some()), "{sim}");
    assert_eq!(sim.answer(nodes[2], asked), Some(Answer::Told { all: true }), "{sim}");
    assert_eq!(sim.payloads(nodes[2], &chan()).len(), 300, "{sim}");
}

#[test]
fn of_an_empty_channel_there_are_no_news_and_nobody_waits() {
    let (mut sim, nodes) = channel(1, 2, 1);
    let asked = ask_news(&mut sim, nodes[1]);
    assert!(sim.run_until(SECOND / 10, |sim| sim.answer(nodes[1], asked).is_some()), "{sim}");
    assert_eq!(sim.answer(nodes[1], asked), Some(Answer::Told { all: true }));
}

#[test]
fn who_waits_for_news_of_somebody_silent_or_gone_is_told() {
    let (mut sim, nodes) = channel(1, 2, 1);
    sim.propose(nodes[0], chan(), &author(), "one");
    sim.run(MINUTE);
    sim.silence(nodes[0], nodes[1]);
    let asked = ask_news(&mut sim, nodes[1]);
    assert!(sim.run_until(3 * SECOND, |sim| sim.answer(nodes[1], asked).is_some()), "{sim}");
    assert_eq!(sim.answer(nodes[1], asked), Some(Answer::Told { all: false }));
    sim.heal();
    sim.cut(nodes[0], nodes[1]);
    sim.part(nodes[0], nodes[1]);
    sim.run(SECOND);
    let asked = ask_news(&mut sim, nodes[1]);
    assert!(
        sim.run_until(SECOND / 10, |sim| sim.answer(nodes[1], asked).is_some()),
        "nobody is there; {sim}"
    );
    assert_eq!(sim.answer(nodes[1], asked), Some(Answer::Told { all: false }));
}
