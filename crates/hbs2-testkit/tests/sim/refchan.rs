//! Refchans: heads, proposals, quorums, logs that become equal, notices.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use hbs2_core::cbor::Encode;
use hbs2_core::pointer::AnnotatedRef;
use hbs2_core::refchan::Acceptance;
use hbs2_core::refkey::RefKind;
use hbs2_core::tree::{Shape, build};
use hbs2_core::{Blob, ChanHead, ChanUpdate, Hash, SignPublicKey, SignSecretKey, Signed};
use hbs2_proto::io::NoticeRule;
use hbs2_proto::{Answer, Command, Commit, Event, PollKind, Refusal};
use hbs2_testkit::sim::{Fault, NodeId, Sim};

use crate::{MINUTE, SECOND, poll, ref_key};

/// Key of the channel.
fn owner() -> SignSecretKey {
    ref_key(1)
}

/// Who may write.
pub(crate) fn author() -> SignSecretKey {
    ref_key(2)
}

pub(crate) fn chan() -> SignPublicKey {
    owner().public()
}

/// A head with these peers.
fn head(sim: &Sim, version: u64, quorum: u64, peers: &[NodeId]) -> ChanHead {
    ChanHead {
        version,
        quorum,
        wait: 10,
        peers: peers.iter().map(|node| (sim.key(*node), 1)).collect(),
        authors: BTreeSet::from([author().public()]),
        ..ChanHead::default()
    }
}

/// As many nodes, each linked with all, that poll the channel; the first has posted a head with all as peers.
pub(crate) fn channel(seed: u64, count: usize, quorum: u64) -> (Sim, Vec<NodeId>) {
    let mut sim = Sim::new(seed);
    let nodes: Vec<NodeId> =
        ["alice", "bob", "carol", "dave", "frank"].iter().take(count).map(|name| sim.node(name)).collect();
    for (at, node) in nodes.iter().enumerate() {
        nodes[..at].iter().for_each(|other| sim.know(*node, *other));
    }
    sim.start_all();
    for node in &nodes {
        poll(&mut sim, *node, chan(), PollKind::Refchan);
    }
    sim.run(SECOND);
    let first = head(&sim, 1, quorum, &nodes);
    sim.post_head(nodes[0], &owner(), &first);
    sim.run(SECOND);
    (sim, nodes)
}

fn all_have(sim: &Sim, nodes: &[NodeId], payloads: &[&str]) -> bool {
    nodes.iter().all(|node| sim.payloads(*node, &chan()) == payloads)
}

#[test]
fn a_head_reaches_everybody_who_polls_the_channel() {
    let mut sim = Sim::new(1);
    let nodes: Vec<NodeId> = (0..4).map(|i| sim.node(&format!("n{i}"))).collect();
    for (at, node) in nodes.iter().enumerate() {
        if at > 0 {
            sim.know(*node, nodes[at - 1]);
        }
        nodes[..at.saturating_sub(1)].iter().for_each(|other| sim.part(*node, *other));
    }
    sim.start_all();
    for node in &nodes {
        poll(&mut sim, *node, chan(), PollKind::Refchan);
    }
    sim.run(SECOND);
    let first = head(&sim, 1, 1, &nodes);
    let post = sim.post_head(nodes[0], &owner(), &first);
    sim.run(SECOND);
    let root = sim.head(nodes[0], &chan()).unwrap();
    assert_eq!(sim.answer(nodes[0], post), Some(Answer::Posted { value: root }));
    assert!(nodes.iter().all(|node| sim.head(*node, &chan()) == Some(root)), "{sim}");
    assert!(sim.events(nodes[3]).contains(&Event::ChanHeadChanged { chan: chan(), root }));
}

#[test]
fn a_head_counts_only_with_a_higher_version_and_the_key_of_the_channel() {
    let (mut sim, nodes) = channel(1, 2, 1);
    let first = sim.head(nodes[0], &chan());
    let same = head(&sim, 1, 2, &nodes);
    let refused = sim.post_head(nodes[1], &owner(), &same);
    // Eve has a head that is signed by herself; she says that it is the channel's.
    let eve = ref_key(9);
    let foreign = sim.put_data(nodes[1], &Signed::sign(&eve, &head(&sim, 9, 1, &nodes)).to_bytes());
    sim.run(SECOND);
    assert_eq!(sim.answer(nodes[1], refused), Some(Answer::Refused(Refusal::Stale { known: 1 })));
    let references = vec![(RefKind::ChanHead.key(&chan()), foreign)];
    sim.crash(nodes[1]);
    sim.disk(nodes[1]).commit(Commit { references, ..Commit::default() });
    sim.start(nodes[1]);
    sim.run(2 * MINUTE);
    assert_eq!(sim.head(nodes[0], &chan()), first);
    assert_eq!(sim.head(nodes[1], &chan()), first, "what is no head of the channel is mended; {sim}");
    let second = head(&sim, 2, 1, &nodes);
    sim.post_head(nodes[1], &owner(), &second);
    sim.run(SECOND);
    assert_ne!(sim.head(nodes[0], &chan()), first);
    assert_eq!(sim.head(nodes[0], &chan()), sim.head(nodes[1], &chan()));
}

#[test]
fn a_proposal_is_in_every_log_when_a_quorum_has_accepted_it() {
    for (count, quorum) in [(1, 1), (2, 1), (2, 2), (3, 2), (5, 5)] {
        let (mut sim, nodes) = channel(1, count, quorum);
        let id = sim.propose(nodes[0], chan(), &author(), "hello");
        assert!(
            sim.run_until(SECOND, |sim| all_have(sim, &nodes, &["hello"])),
            "{count} peers, quorum {quorum}; {sim}"
        );
        assert!(matches!(sim.answer(nodes[0], id), Some(Answer::Posted { .. })));
        sim.run(2 * MINUTE);
        let logs: BTreeSet<_> = nodes.iter().map(|node| sim.chan_log(*node, &chan())).collect();
        assert_eq!(logs.len(), 1, "equal logs; {sim}");
        assert_eq!(logs.first().unwrap().len(), 1 + count, "the proposal and everybody's acceptance; {sim}");
    }
}

#[test]
fn without_a_quorum_nothing_is_admitted_and_waiting_ends() {
    let (mut sim, nodes) = channel(1, 3, 3);
    sim.part(nodes[0], nodes[2]);
    sim.part(nodes[1], nodes[2]);
    sim.run(SECOND);
    sim.propose(nodes[0], chan(), &author(), "hello");
    sim.run(MINUTE);
    assert!(all_have(&sim, &nodes, &[]), "{sim}");
    sim.heal();
    sim.run(3 * MINUTE);
    assert!(all_have(&sim, &nodes, &[]), "the round is over; {sim}");
}

#[test]
fn who_was_cut_off_takes_the_log_from_peers() {
    let (mut sim, nodes) = channel(1, 3, 2);
    sim.part(nodes[0], nodes[2]);
    sim.part(nodes[1], nodes[2]);
    sim.run(SECOND);
    let root = sim.put_data(nodes[0], &[9; 300_000]);
    let payload = Signed::sign(&author(), &Blob(AnnotatedRef::to(root).to_bytes().into()));
    let payload = payload.to_bytes().into();
    sim.command(nodes[0], Command::Propose { chan: chan(), payload });
    sim.propose(nodes[1], chan(), &author(), "b");
    sim.run(MINUTE);
    assert_eq!(sim.chan_log(nodes[0], &chan()).len(), 6);
    assert!(sim.chan_log(nodes[2], &chan()).is_empty());
    sim.heal();
    sim.run(3 * MINUTE);
    let logs: BTreeSet<_> = nodes.iter().map(|node| sim.chan_log(*node, &chan())).collect();
    assert_eq!(logs.len(), 1, "{sim}");
    assert!(nodes.iter().all(|node| sim.has_tree(*node, &root)), "what a payload names is fetched; {sim}");
    assert_eq!(
        sim.disk(nodes[0]).reference(&RefKind::ChanLog.key(&chan())),
        sim.disk(nodes[2]).reference(&RefKind::ChanLog.key(&chan())),
        "equal sets have equal roots"
    );
}

#[test]
fn only_authors_write_and_only_peers_bring() {
    let (mut sim, nodes) = channel(1, 2, 1);
    let eve = sim.node("eve");
    sim.know(eve, nodes[0]);
    sim.start(eve);
    poll(&mut sim, eve, chan(), PollKind::Refchan);
    sim.run(SECOND);
    let strange = sim.propose(nodes[0], chan(), &ref_key(9), "by a stranger");
    let brought = sim.propose(eve, chan(), &author(), "brought by a stranger");
    sim.run(MINUTE);
    assert_eq!(sim.answer(nodes[0], strange), Some(Answer::Refused(Refusal::NotAllowed)));
    assert_eq!(sim.answer(eve, brought), Some(Answer::Refused(Refusal::NotAllowed)));
    assert!(all_have(&sim, &nodes, &[]), "{sim}");
    let unknown = sim.propose(eve, ref_key(5).public(), &author(), "nowhere");
    sim.run(SECOND);
    assert_eq!(sim.answer(eve, unknown), Some(Answer::Refused(Refusal::NoHead)));
}

#[test]
fn what_a_lying_peer_has_in_its_log_is_taken_only_as_far_as_it_is_good() {
    let (mut sim, nodes) = channel(1, 2, 2);
    let (bob, eve) = (nodes[0], nodes[1]);
    let root = sim.head(bob, &chan()).unwrap();
    sim.crash(eve);
    let eve_key = sim.config(eve).key.clone();
    let bob_key = sim.config(bob).key.clone();
    let propose = |peer: &SignSecretKey, author: &SignSecretKey, text: &'static str| {
        let payload = Signed::sign(author, &Blob(Bytes::from_static(text.as_bytes())));
        ChanUpdate::propose(peer, chan(), root, payload)
    };
    let accept = |peer: &SignSecretKey, id: Hash, seconds: u64| {
        ChanUpdate::accept(peer, chan(), &Acceptance { seconds: Some(seconds), head: root, proposal: id })
    };
    let good = propose(&eve_key, &author(), "good");
    let lonely = propose(&eve_key, &author(), "accepted by one");
    let twice = propose(&eve_key, &author(), "accepted twice by one");
    let foreign = propose(&eve_key, &ref_key(9), "by a stranger");
    let mut planted = vec![
        accept(&eve_key, good.id(), 1),
        accept(&bob_key, good.id(), 2),
        accept(&eve_key, lonely.id(), 1),
        accept(&eve_key, twice.id(), 1),
        accept(&eve_key, twice.id(), 2),
        accept(&eve_key, foreign.id(), 1),
        accept(&bob_key, foreign.id(), 1),
        accept(&ref_key(9), good.id(), 1),
    ];
    planted.extend([good, lonely, twice, foreign]);
    let mut hashes = Vec::new();
    let disk = sim.disk(eve);
    for update in planted {
        disk.put(update.id(), update.to_bytes().into());
        hashes.push(update.id());
    }
    let noise = Bytes::from_static(b"no update");
    hashes.push(Hash::of(&noise));
    disk.put(Hash::of(&noise), noise);
    let planted = build::build(Shape::LOG, &hashes, |hash, block| disk.put(hash, block));
    let references = vec![(RefKind::ChanLog.key(&chan()), planted)];
    disk.commit(Commit { references, ..Commit::default() });
    sim.start(eve);
    sim.run(3 * MINUTE);
    assert_eq!(sim.payloads(bob, &chan()), ["good"], "{sim}");
    assert_eq!(sim.chan_log(bob, &chan()).len(), 3, "{sim}");
}

#[test]
fn what_the_validator_of_one_peer_rejects_others_may_admit() {
    let (mut sim, nodes) = channel(1, 3, 2);
    sim.crash(nodes[2]);
    sim.config(nodes[2]).validated_chans = BTreeSet::from([chan()]);
    sim.lie(nodes[2], Fault::Rejects);
    sim.start(nodes[2]);
    sim.run(SECOND);
    let own = sim.propose(nodes[2], chan(), &author(), "never");
    sim.propose(nodes[0], chan(), &author(), "hello");
    sim.run(MINUTE);
    assert!(matches!(sim.answer(nodes[2], own), Some(Answer::Posted { .. })));
    assert!(all_have(&sim, &nodes, &["hello"]), "{sim}");
    let accepted = sim.chan_log(nodes[0], &chan()).len();
    assert_eq!(accepted, 3, "the rejecting peer has accepted nothing");
}

#[test]
fn a_validator_that_likes_everything_changes_nothing() {
    let (mut sim, nodes) = channel(1, 2, 2);
    sim.crash(nodes[1]);
    sim.config(nodes[1]).validated_chans = BTreeSet::from([chan()]);
    sim.start(nodes[1]);
    sim.run(SECOND);
    sim.propose(nodes[0], chan(), &author(), "hello");
    assert!(sim.run_until(SECOND, |sim| all_have(sim, &nodes, &["hello"])), "{sim}");
}

#[test]
fn an_update_waits_for_the_head_it_names() {
    let (mut sim, nodes) = channel(1, 2, 2);
    // Bob learns of the second head by the proposal only: his copy of the message is lost.
    sim.silence(nodes[0], nodes[1]);
    let second = head(&sim, 2, 2, &nodes);
    sim.post_head(nodes[0], &owner(), &second);
    sim.run(SECOND);
    sim.heal();
    sim.propose(nodes[0], chan(), &author(), "hello");
    assert!(sim.run_until(5 * SECOND, |sim| all_have(sim, &nodes, &["hello"])), "{sim}");
    assert_eq!(sim.head(nodes[0], &chan()), sim.head(nodes[1], &chan()));
}

#[test]
fn a_newcomer_judges_old_updates_by_the_heads_of_their_time() {
    let (mut sim, nodes) = channel(1, 2, 2);
    sim.propose(nodes[0], chan(), &author(), "old");
    sim.run(SECOND);
    let carol = sim.node("carol");
    sim.know(carol, nodes[0]);
    let everybody = [nodes[0], nodes[1], carol];
    // The old author writes no more.
    let mut second = head(&sim, 2, 3, &everybody);
    second.authors = BTreeSet::from([ref_key(3).public()]);
    sim.post_head(nodes[0], &owner(), &second);
    sim.start(carol);
    poll(&mut sim, carol, chan(), PollKind::Refchan);
    sim.run(3 * MINUTE);
    assert!(all_have(&sim, &everybody, &["old"]), "{sim}");
    let refused = sim.propose(nodes[0], chan(), &author(), "late");
    sim.propose(nodes[0], chan(), &ref_key(3), "new");
    sim.run(SECOND);
    assert_eq!(sim.answer(nodes[0], refused), Some(Answer::Refused(Refusal::NotAllowed)));
    assert!(all_have(&sim, &everybody, &["new", "old"]), "{sim}");
}

#[test]
fn nothing_is_stored_of_channels_that_are_not_polled() {
    let (mut sim, nodes) = channel(1, 2, 1);
    let carol = sim.node("carol");
    sim.know(carol, nodes[0]);
    sim.start(carol);
    sim.run(SECOND);
    let before = sim.disk(carol).len();
    sim.propose(nodes[0], chan(), &author(), "hello");
    let second = head(&sim, 2, 1, &nodes);
    sim.post_head(nodes[0], &owner(), &second);
    sim.run(3 * MINUTE);
    assert_eq!(sim.disk(carol).len(), before, "{sim}");
    sim.command(carol, Command::FetchRef { key: chan(), kind: PollKind::Refchan });
    sim.run(SECOND);
    assert_eq!(sim.head(carol, &chan()), sim.head(nodes[0], &chan()), "asked for once; {sim}");
}

#[test]
fn a_log_survives_the_crash_of_everybody() {
    let (mut sim, nodes) = channel(1, 3, 2);
    for text in ["a", "b", "c"] {
        sim.propose(nodes[0], chan(), &author(), text);
    }
    sim.run(SECOND);
    nodes.iter().for_each(|node| sim.crash(*node));
    sim.start_all();
    sim.run(MINUTE);
    sim.propose(nodes[1], chan(), &author(), "d");
    sim.run(2 * MINUTE);
    assert!(all_have(&sim, &nodes, &["a", "b", "c", "d"]), "{sim}");
}

#[test]
fn a_post_to_a_broken_store_is_refused() {
    let (mut sim, nodes) = channel(1, 1, 1);
    sim.lie(nodes[0], Fault::BrokenDisk);
    let proposal = sim.propose(nodes[0], chan(), &author(), "hello");
    let second = head(&sim, 2, 1, &nodes);
    let post = sim.post_head(nodes[0], &owner(), &second);
    sim.run(SECOND);
    assert_eq!(sim.answer(nodes[0], proposal), Some(Answer::Refused(Refusal::Store)));
    assert_eq!(sim.answer(nodes[0], post), Some(Answer::Refused(Refusal::Store)));
    sim.repent(nodes[0]);
    let again = sim.propose(nodes[0], chan(), &author(), "hello");
    sim.run(SECOND);
    assert!(matches!(sim.answer(nodes[0], again), Some(Answer::Posted { .. })), "{sim}");
    assert!(all_have(&sim, &nodes, &["hello"]), "{sim}");
}

fn notify(sim: &mut Sim, node: NodeId, by: &SignSecretKey, text: &str) -> hbs2_proto::CommandId {
    let signed = Signed::sign(by, &Blob(Bytes::copy_from_slice(text.as_bytes()))).to_bytes();
    sim.command(node, Command::Notify { chan: chan(), signed: signed.into() })
}

fn notices(sim: &Sim, node: NodeId) -> usize {
    sim.events(node).iter().filter(|event| matches!(event, Event::ChanNotice { .. })).count()
}

#[test]
fn a_notice_is_told_to_everybody_once_and_not_kept() {
    let (mut sim, nodes) = channel(1, 4, 1);
    let blocks: Vec<usize> = nodes.iter().map(|node| sim.disk(*node).len()).collect();
    let sent = notify(&mut sim, nodes[0], &author(), "news");
    let refused = notify(&mut sim, nodes[0], &ref_key(9), "spam");
    sim.run(MINUTE);
    assert_eq!(sim.answer(nodes[0], sent), Some(Answer::Done));
    assert_eq!(sim.answer(nodes[0], refused), Some(Answer::Refused(Refusal::NotAllowed)));
    assert!(nodes.iter().all(|node| notices(&sim, *node) == 1), "{sim}");
    assert_eq!(nodes.iter().map(|node| sim.disk(*node).len()).collect::<Vec<_>>(), blocks);
}

#[test]
fn the_last_notices_are_kept_in_order_where_the_owner_wants_them() {
    let (mut sim, nodes) = channel(1, 2, 1);
    sim.crash(nodes[1]);
    let rule = NoticeRule { write: SECOND, keep: 3 };
    sim.config(nodes[1]).notice_logs = BTreeMap::from([(chan(), rule)]);
    sim.start(nodes[1]);
    sim.run(SECOND);
    for text in ["1", "2", "3", "4"] {
        notify(&mut sim, nodes[0], &author(), text);
        sim.run(SECOND / 10);
    }
    sim.run(5 * SECOND);
    let list = |sim: &mut Sim| {
        let root = sim.disk(nodes[1]).reference(&RefKind::notices(&chan())).unwrap();
        sim.disk(nodes[1]).leaves(root).0
    };
    let before = list(&mut sim);
    assert_eq!(before.len(), 3);
    sim.crash(nodes[1]);
    sim.start(nodes[1]);
    sim.run(SECOND);
    notify(&mut sim, nodes[0], &author(), "5");
    sim.run(5 * SECOND);
    let after = list(&mut sim);
    assert_eq!(after[..2], before[1..], "the list goes on after a restart; {sim}");
}

#[test]
fn logs_are_equal_after_crashes_and_partitions_whatever_the_seed() {
    for seed in 1..=12 {
        let (mut sim, nodes) = channel(seed, 4, 2);
        let mut acknowledged = Vec::new();
        for round in 0..12 {
            let (at, other) = (sim.random().below(4), sim.random().below(4));
            match sim.random().below(5) {
                0 => sim.part(nodes[at], nodes[other]),
                1 => sim.heal(),
                2 => {
                    sim.crash(nodes[at]);
                    sim.start(nodes[at]);
                }
                _ => {
                    sim.propose(nodes[at], chan(), &author(), &format!("{round:02}"));
                }
            }
            let pause = sim.random().below(20_000) as u64;
            sim.run(Duration::from_millis(pause));
            acknowledged = nodes.iter().flat_map(|node| sim.chan_log(*node, &chan())).collect();
        }
        sim.heal();
        sim.run(4 * MINUTE);
        let logs: BTreeSet<_> = nodes.iter().map(|node| sim.chan_log(*node, &chan())).collect();
        assert_eq!(logs.len(), 1, "{sim}");
        let log = logs.first().unwrap();
        assert!(acknowledged.iter().all(|update| log.contains(update)), "nothing admitted is lost; {sim}");
    }
}

#[test]
fn admitted_proposals_take_no_room_from_those_that_come_after() {
    // More than the rounds that a channel keeps, all within the wait of the head.
    const PROPOSALS: usize = 4500;
    let (mut sim, nodes) = channel(1, 1, 1);
    let mut proposed = Vec::new();
    for number in 0..PROPOSALS {
        proposed.push(sim.propose(nodes[0], chan(), &author(), &number.to_string()));
        if number % 500 == 499 {
            sim.run(2 * SECOND);
        }
    }
    let posted = |command: &&_| matches!(sim.answer(nodes[0], **command), Some(Answer::Posted { .. }));
    assert_eq!(proposed.iter().filter(posted).count(), PROPOSALS);
    assert_eq!(sim.payloads(nodes[0], &chan()).len(), PROPOSALS);
}
