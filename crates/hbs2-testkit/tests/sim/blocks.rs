//! Fetching and serving trees.

use std::time::Duration;

use bytes::Bytes;
use hbs2_core::tree::{Shape, build};
use hbs2_core::{Hash, limits};
use hbs2_proto::io::status::WantState;
use hbs2_proto::{AnnouncePolicy, Command, Event, Keep};
use hbs2_testkit::sim::{Fault, NodeId, Sim};

use crate::{MINUTE, SECOND, pair};

fn data(sim: &mut Sim, bytes: usize) -> Vec<u8> {
    sim.random().bytes(bytes)
}

fn want(sim: &mut Sim, node: NodeId, root: Hash) {
    sim.command(node, Command::Want { root, keep: Keep::UntilDone });
}

fn is_done(sim: &Sim, node: NodeId, root: Hash) -> bool {
    sim.events(node).contains(&Event::TreeDone { root })
}

/// A folder: a tree whose leaves name trees of `bytes` bytes.
fn folder(sim: &mut Sim, node: NodeId, files: usize, bytes: usize) -> Hash {
    let roots: Vec<Hash> = (0..files)
        .map(|_| {
            let file = data(sim, bytes);
            sim.put_data(node, &file)
        })
        .collect();
    let disk = sim.disk(node);
    build::build(Shape::DATA, &roots, |hash, block| disk.put(hash, block))
}

#[test]
fn a_tree_is_fetched_whole_and_told_once() {
    let (mut sim, alice, bob) = pair(1);
    let content = data(&mut sim, 3_000_000);
    let root = sim.put_data(alice, &content);
    want(&mut sim, bob, root);
    assert!(sim.run_until(5 * SECOND, |sim| is_done(sim, bob, root)), "{sim}");
    assert!(sim.has_tree(bob, &root));
    sim.run(MINUTE);
    let told = sim.events(bob).iter().filter(|event| **event == Event::TreeDone { root }).count();
    assert_eq!(told, 1);
    assert!(sim.machine(bob).unwrap().wants().is_empty());
    assert_eq!(sim.machine(bob).unwrap().held_bytes(), 0);
}

#[test]
fn a_tree_that_is_here_is_done_at_once() {
    let mut sim = Sim::new(1);
    let alice = sim.node("alice");
    let root = sim.put_data(alice, b"hello");
    sim.start_all();
    want(&mut sim, alice, root);
    sim.run(SECOND);
    assert!(is_done(&sim, alice, root), "{sim}");
}

#[test]
fn blocks_of_any_length_travel() {
    let (mut sim, alice, bob) = pair(1);
    for bytes in [0, 1, 65_534, 65_535, 65_536, 262_144, 1_000_003, limits::BLOCK_BYTES_MAX] {
        let block = Bytes::from(data(&mut sim, bytes));
        let hash = Hash::of(&block);
        sim.disk(alice).put(hash, block);
        want(&mut sim, bob, hash);
        assert!(sim.run_until(10 * SECOND, |sim| is_done(sim, bob, hash)), "{bytes} bytes; {sim}");
    }
}

#[test]
fn a_fast_line_is_kept_busy() {
    let (mut sim, alice, bob) = pair(1);
    sim.set_lines(Duration::from_micros(100), 200_000_000);
    sim.run(SECOND);
    let content = data(&mut sim, 64 << 20);
    let root = sim.put_data(alice, &content);
    let before = sim.elapsed();
    want(&mut sim, bob, root);
    assert!(sim.run_until(10 * SECOND, |sim| is_done(sim, bob, root)), "{sim}");
    let rate = 64.0 * 1.048_576 / (sim.elapsed() - before).as_secs_f64();
    assert!(rate > 150.0, "{rate} MB/s of 200");
}

#[test]
fn many_small_blocks_are_asked_for_together() {
    let mut sim = Sim::new(1);
    sim.set_lines(Duration::from_millis(20), 100_000_000);
    let (alice, bob) = (sim.node("alice"), sim.node("bob"));
    sim.know(bob, alice);
    let root = folder(&mut sim, alice, 2000, 1000);
    sim.start_all();
    sim.run(SECOND);
    let before = sim.elapsed();
    want(&mut sim, bob, root);
    assert!(sim.run_until(MINUTE, |sim| is_done(sim, bob, root)), "{sim}");
    let took = sim.elapsed() - before;
    assert!(took < 3 * SECOND, "4000 blocks took {took:?} at up to 40 ms a round trip");
}

#[test]
fn several_holders_share_the_work() {
    let mut sim = Sim::new(1);
    sim.set_lines(Duration::from_millis(5), 10_000_000);
    let bob = sim.node("bob");
    let content = data(&mut sim, 8_000_000);
    let mut root = None;
    let holders: Vec<NodeId> = ["alice", "carol", "dave"].map(|name| sim.node(name)).to_vec();
    for holder in &holders {
        sim.know(bob, *holder);
        root = Some(sim.put_data(*holder, &content));
    }
    let root = root.unwrap();
    sim.start_all();
    sim.run(SECOND);
    let before = sim.elapsed();
    want(&mut sim, bob, root);
    assert!(sim.run_until(MINUTE, |sim| is_done(sim, bob, root)), "{sim}");
    let took = sim.elapsed() - before;
    let shares: Vec<u64> = sim.machine(bob).unwrap().peers().iter().map(|peer| peer.block_bytes).collect();
    assert!(shares.iter().all(|share| *share > 1_000_000), "{shares:?}");
    assert!(took < Duration::from_millis(600), "{took:?} with three lines of 0.8 s each");
}

#[test]
fn a_slow_holder_does_not_hold_up_the_end() {
    let mut sim = Sim::new(1);
    let (alice, bob, snail) = (sim.node("alice"), sim.node("bob"), sim.node("snail"));
    let content = data(&mut sim, 8_000_000);
    let root = sim.put_data(alice, &content);
    sim.put_data(snail, &content);
    sim.know(bob, snail);
    sim.set_lines(Duration::from_millis(5), 100_000);
    sim.start_all();
    sim.run(SECOND);
    sim.set_lines(Duration::from_millis(5), 50_000_000);
    sim.know(alice, bob);
    sim.crash(alice);
    sim.start(alice);
    sim.run(SECOND);
    want(&mut sim, bob, root);
    let before = sim.elapsed();
    assert!(sim.run_until(2 * MINUTE, |sim| is_done(sim, bob, root)), "{sim}");
    let took = sim.elapsed() - before;
    assert!(took < 8 * SECOND, "{took:?}");
}

#[test]
fn a_want_without_a_peer_waits_and_ends_when_one_comes() {
    let mut sim = Sim::new(1);
    let (alice, bob) = (sim.node("alice"), sim.node("bob"));
    sim.know(alice, bob);
    let root = sim.put_data(alice, b"late");
    sim.start(bob);
    want(&mut sim, bob, root);
    sim.run(60 * MINUTE);
    let status = sim.machine(bob).unwrap().want(&root).unwrap();
    assert_eq!((status.state, status.missing), (WantState::Alone, 1));
    sim.start(alice);
    assert!(sim.run_until(SECOND, |sim| is_done(sim, bob, root)), "{sim}");
}

#[test]
fn no_is_not_for_ever() {
    let (mut sim, alice, bob) = pair(1);
    let content = data(&mut sim, 400_000);
    let root = build::build_data(&Bytes::from(content.clone()), |_, _| {});
    want(&mut sim, bob, root);
    sim.run(60 * MINUTE);
    let status = sim.machine(bob).unwrap().want(&root).unwrap();
    assert_eq!(status.state, WantState::Waiting, "{sim}");
    assert_eq!((status.missing_some, status.asked), (vec![root], vec![sim.key(alice)]));
    let asked = sim.machine(alice).unwrap().counters().sizes_served;
    assert!((10..100).contains(&asked), "asked {asked} times in an hour");
    sim.put_data(alice, &content);
    assert!(sim.run_until(10 * MINUTE, |sim| is_done(sim, bob, root)), "{sim}");
}

#[test]
fn asking_again_asks_the_peers_at_once() {
    let (mut sim, alice, bob) = pair(1);
    let root = Hash::of(b"news");
    want(&mut sim, bob, root);
    sim.run(60 * MINUTE);
    sim.disk(alice).put(root, Bytes::from_static(b"news"));
    want(&mut sim, bob, root);
    assert!(sim.run_until(SECOND, |sim| is_done(sim, bob, root)), "{sim}");
}

#[test]
fn what_the_owner_stores_meanwhile_counts() {
    let (mut sim, _, bob) = pair(1);
    let root = Hash::of(b"mine");
    want(&mut sim, bob, root);
    sim.run(MINUTE);
    sim.disk(bob).put(root, Bytes::from_static(b"mine"));
    assert!(sim.run_until(15 * MINUTE, |sim| is_done(sim, bob, root)), "{sim}");
}

#[test]
fn a_relay_passes_on_what_it_is_just_fetching() {
    let mut sim = Sim::new(1);
    let (alice, bob, carol) = (sim.node("alice"), sim.node("bob"), sim.node("carol"));
    // Alice and carol cannot reach each other.
    sim.know(bob, alice);
    sim.know(carol, bob);
    sim.part(alice, carol);
    let content = data(&mut sim, 5_000_000);
    let root = sim.put_data(alice, &content);
    sim.start_all();
    sim.run(SECOND);
    want(&mut sim, carol, root);
    want(&mut sim, bob, root);
    assert!(sim.run_until(5 * SECOND, |sim| is_done(sim, carol, root)), "{sim}");
}

#[test]
fn a_liar_is_found_and_the_honest_deliver() {
    for fault in [Fault::WrongBytes, Fault::Withholds, Fault::ClaimsAll] {
        let mut sim = Sim::new(1);
        let (alice, bob, eve) = (sim.node("alice"), sim.node("bob"), sim.node("eve"));
        sim.know(bob, alice);
        sim.know(bob, eve);
        sim.lie(eve, Fault::ClaimsAll);
        sim.lie(eve, fault);
        let content = data(&mut sim, 2_000_000);
        let root = sim.put_data(alice, &content);
        sim.start_all();
        sim.run(SECOND);
        want(&mut sim, bob, root);
        assert!(sim.run_until(2 * MINUTE, |sim| is_done(sim, bob, root)), "{fault:?}; {sim}");
        let blamed: Vec<_> = sim
            .events(bob)
            .iter()
            .filter_map(|event| match event {
                Event::Corrupt { peer, .. } => Some(*peer),
                _ => None,
            })
            .collect();
        assert!(blamed.iter().all(|peer| *peer == sim.key(eve)), "{fault:?}; {sim}");
        assert_eq!(!blamed.is_empty(), fault == Fault::WrongBytes, "{fault:?}; {sim}");
    }
}

/// How long bob needs for two trees that alice has, while eight others are linked that do this.
fn time_beside(faults: &[Fault]) -> [Duration; 2] {
    let mut sim = Sim::new(1);
    sim.set_lines(Duration::from_millis(5), 50_000_000);
    let (alice, bob) = (sim.node("alice"), sim.node("bob"));
    sim.know(bob, alice);
    for number in 0..8 {
        let other = sim.node(&format!("eve {number}"));
        sim.know(bob, other);
        faults.iter().for_each(|fault| sim.lie(other, *fault));
    }
    sim.start_all();
    sim.run(SECOND);
    [(); 2].map(|()| {
        let content = data(&mut sim, 24_000_000);
        let root = sim.put_data(alice, &content);
        let before = sim.elapsed();
        want(&mut sim, bob, root);
        assert!(sim.run_until(10 * MINUTE, |sim| is_done(sim, bob, root)), "{sim}");
        sim.elapsed() - before
    })
}

#[test]
fn peers_that_never_answer_hold_nothing_up() {
    for (calm, took) in time_beside(&[]).into_iter().zip(time_beside(&[Fault::Mute])) {
        assert!(
            took < calm + calm / 4,
            "{took:?} beside eight mutes, {calm:?} beside eight that have nothing"
        );
    }
}

#[test]
fn each_peer_that_promises_and_never_delivers_costs_a_moment_once() {
    let [first, second] = time_beside(&[Fault::ClaimsAll, Fault::Withholds]);
    assert!(first < 12 * SECOND, "{first:?}, while nobody has delivered anything and eight withhold");
    assert!(second < 3 * SECOND, "{second:?}, when alice has delivered and eight withhold");
}

#[test]
fn a_repentant_liar_is_asked_again_after_a_while() {
    let mut sim = Sim::new(1);
    let (bob, eve) = (sim.node("bob"), sim.node("eve"));
    sim.know(bob, eve);
    sim.lie(eve, Fault::WrongBytes);
    let content = data(&mut sim, 2_000_000);
    let root = sim.put_data(eve, &content);
    sim.start_all();
    want(&mut sim, bob, root);
    sim.run(MINUTE);
    assert!(!is_done(&sim, bob, root));
    sim.repent(eve);
    assert!(sim.run_until(30 * MINUTE, |sim| is_done(sim, bob, root)), "{sim}");
}

#[test]
fn a_cut_line_is_resumed_without_fetching_anything_twice() {
    let (mut sim, alice, bob) = pair(5);
    sim.set_lines(Duration::from_millis(5), 2_000_000);
    sim.run(SECOND);
    sim.cut(alice, bob);
    let content = data(&mut sim, 6_000_000);
    let root = sim.put_data(alice, &content);
    want(&mut sim, bob, root);
    for _ in 0..5 {
        sim.run(SECOND);
        sim.cut(alice, bob);
    }
    assert!(sim.run_until(MINUTE, |sim| is_done(sim, bob, root)), "{sim}");
    let fetched = sim.machine(bob).unwrap().counters().blocks_fetched;
    assert_eq!(fetched, sim.disk(alice).len() as u64);
}

#[test]
fn a_restarted_node_goes_on_where_it_was() {
    let (mut sim, alice, bob) = pair(1);
    sim.set_lines(Duration::from_millis(5), 2_000_000);
    sim.run(SECOND);
    sim.cut(alice, bob);
    let content = data(&mut sim, 8_000_000);
    let root = sim.put_data(alice, &content);
    want(&mut sim, bob, root);
    sim.run(3 * SECOND);
    let before = sim.disk(bob).len();
    assert!(before > 4 && !is_done(&sim, bob, root), "{sim}");
    sim.crash(bob);
    sim.run(SECOND);
    sim.start(bob);
    assert!(sim.run_until(MINUTE, |sim| is_done(sim, bob, root)), "{sim}");
    let fetched = sim.machine(bob).unwrap().counters().blocks_fetched;
    assert!(fetched < sim.disk(alice).len() as u64, "{fetched} fetched after the restart");
    sim.run(5 * SECOND);
    sim.crash(bob);
    sim.start(bob);
    sim.run(SECOND);
    assert!(sim.machine(bob).unwrap().wants().is_empty(), "a finished want is forgotten; {sim}");
}

#[test]
fn a_small_want_does_not_wait_for_a_large_one() {
    let (mut sim, alice, bob) = pair(1);
    sim.set_lines(Duration::from_millis(5), 5_000_000);
    sim.run(SECOND);
    sim.cut(alice, bob);
    let large = data(&mut sim, 40_000_000);
    let large = sim.put_data(alice, &large);
    let small = data(&mut sim, 300_000);
    let small = sim.put_data(alice, &small);
    want(&mut sim, bob, large);
    sim.run(2 * SECOND);
    want(&mut sim, bob, small);
    assert!(sim.run_until(4 * SECOND, |sim| is_done(sim, bob, small)), "{sim}");
    assert!(!is_done(&sim, bob, large));
}

#[test]
fn a_dropped_want_is_not_fetched() {
    let (mut sim, alice, bob) = pair(1);
    sim.set_lines(Duration::from_millis(5), 2_000_000);
    sim.run(SECOND);
    sim.cut(alice, bob);
    let content = data(&mut sim, 8_000_000);
    let root = sim.put_data(alice, &content);
    want(&mut sim, bob, root);
    sim.run(2 * SECOND);
    sim.command(bob, Command::Unwant { root });
    sim.run(MINUTE);
    assert!(!sim.has_tree(bob, &root));
    let bob = sim.machine(bob).unwrap();
    assert_eq!((bob.wants().len(), bob.held_bytes()), (0, 0));
}

#[test]
fn announces_are_followed_only_when_allowed() {
    for allowed in [true, false] {
        let (mut sim, alice, bob) = pair(1);
        if allowed {
            sim.crash(bob);
            sim.config(bob).accept_announces = AnnouncePolicy::Everybody;
            sim.start(bob);
        }
        let root = sim.put_data(alice, b"look");
        sim.run(2 * SECOND);
        sim.command(alice, Command::Announce { root, bytes: 1 });
        sim.run(SECOND);
        assert_eq!(sim.has_tree(bob, &root), allowed, "{sim}");
    }
}

#[test]
fn a_block_that_was_deleted_is_fetched_again() {
    let (mut sim, alice, bob) = pair(1);
    let root = sim.put_data(alice, &[5; 300_000]);
    want(&mut sim, bob, root);
    sim.run(SECOND);
    sim.disk(bob).delete(&root);
    want(&mut sim, bob, root);
    sim.run(SECOND);
    assert!(sim.has_tree(bob, &root), "{sim}");
    assert!(sim.machine(bob).unwrap().wants().is_empty(), "{sim}");
}

#[test]
fn wants_that_do_not_get_on_leave_room_for_others() {
    let (mut sim, alice, bob) = pair(1);
    sim.run(SECOND);
    for tree in 0..150u32 {
        let absent: Vec<Hash> = (0..300u32).map(|i| Hash::of(&(tree * 1000 + i).to_le_bytes())).collect();
        let disk = sim.disk(alice);
        let root = build::build(Shape::DATA, &absent, |hash, block| disk.put(hash, block));
        want(&mut sim, bob, root);
    }
    sim.run(20 * SECOND);
    let root = sim.put_data(alice, &[6; 2_000_000]);
    want(&mut sim, bob, root);
    assert!(sim.run_until(5 * SECOND, |sim| is_done(sim, bob, root)), "{sim}");
}

#[test]
fn a_store_that_fails_is_tried_again() {
    let (mut sim, alice, bob) = pair(1);
    sim.lie(bob, Fault::BrokenDisk);
    let root = sim.put_data(alice, b"hello");
    want(&mut sim, bob, root);
    sim.run(MINUTE);
    assert!(!is_done(&sim, bob, root));
    sim.repent(bob);
    assert!(sim.run_until(MINUTE, |sim| is_done(sim, bob, root)), "{sim}");
}

#[test]
fn a_node_sleeps_while_the_only_one_who_claims_to_have_a_block_lies() {
    let mut sim = Sim::new(1);
    let (bob, eve) = (sim.node("bob"), sim.node("eve"));
    sim.know(bob, eve);
    sim.start_all();
    let absent: Vec<Hash> = (0..6u8).map(|number| Hash::of(&[number])).collect();
    for root in &absent {
        sim.command(bob, Command::Want { root: *root, keep: Keep::ThisRun });
    }
    // At first she has nothing, and is asked again and again; then she lies about everything.
    sim.run(SECOND);
    sim.lie(eve, Fault::ClaimsAll);
    sim.lie(eve, Fault::WrongBytes);
    for number in 6..12u8 {
        sim.command(bob, Command::Want { root: Hash::of(&[number]), keep: Keep::ThisRun });
        sim.run(SECOND);
    }
    sim.run(30 * MINUTE);
    assert!(absent.iter().all(|root| sim.machine(bob).unwrap().want(root).is_some()), "{sim}");
}
