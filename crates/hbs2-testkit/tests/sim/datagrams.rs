//! Peers that are linked by datagrams, which get lost.

use std::time::Duration;

use hbs2_core::Hash;
use hbs2_proto::{Command, Keep, PollKind};
use hbs2_testkit::noise;
use hbs2_testkit::sim::{NodeId, Sim};

use crate::{MINUTE, SECOND, poll, ref_key};

fn peers(sim: &Sim, node: NodeId) -> usize {
    sim.machine(node).map_or(0, |node| node.peers().iter().filter(|peer| !peer.spare).count())
}

/// Alice and bob, linked by datagrams only, with lines of this delay and rate.
fn pair(seed: u64, delay_millis: u64, rate: u64, loss_per_mille: usize) -> (Sim, NodeId, NodeId) {
    let mut sim = Sim::new(seed);
    let (alice, bob) = (sim.node("alice"), sim.node("bob"));
    sim.config(alice).listen_tcp = None;
    sim.config(bob).listen_tcp = None;
    sim.set_lines(Duration::from_millis(delay_millis), rate);
    sim.set_loss(loss_per_mille);
    sim.know_udp(bob, alice);
    sim.start_all();
    (sim, alice, bob)
}

fn fetch(sim: &mut Sim, alice: NodeId, bob: NodeId, bytes: usize, most: Duration) -> Duration {
    let root = sim.put_data(alice, &noise(1, bytes));
    assert!(sim.run_until(MINUTE, |sim| peers(sim, bob) == 1 && peers(sim, alice) == 1), "{sim}");
    let begin = sim.elapsed();
    sim.command(bob, Command::Want { root, keep: Keep::ThisRun });
    assert!(sim.run_until(most, |sim| sim.has_tree(bob, &root)), "{sim}");
    sim.elapsed() - begin
}

#[test]
fn a_tree_comes_whole_over_a_line_that_loses_one_in_ten() {
    for seed in 0..8 {
        let (mut sim, alice, bob) = pair(seed, 20, 10_000_000, 100);
        fetch(&mut sim, alice, bob, 2_000_000, 2 * MINUTE);
        assert_eq!(sim.disk(bob).len(), sim.disk(alice).len(), "{sim}");
    }
}

#[test]
fn a_clean_line_is_filled_to_half_at_least() {
    let (mut sim, alice, bob) = pair(1, 20, 4_000_000, 0);
    let took = fetch(&mut sim, alice, bob, 20_000_000, MINUTE);
    assert!(took < 10 * SECOND, "20 MB at 4 MB/s took {took:?}");
}

#[test]
fn a_narrow_line_is_not_flooded() {
    let (mut sim, alice, bob) = pair(1, 50, 250_000, 0);
    fetch(&mut sim, alice, bob, 2_000_000, MINUTE);
    let (sent, dropped) = sim.datagrams();
    assert!(dropped * 20 < sent, "{dropped} of {sent} datagrams were too many for the line");
}

#[test]
fn what_is_lost_is_asked_for_and_nothing_else() {
    let (mut sim, alice, bob) = pair(1, 20, 10_000_000, 50);
    let bytes = 4_000_000;
    fetch(&mut sim, alice, bob, bytes, MINUTE);
    let served = sim.machine(alice).unwrap().counters().block_bytes_served;
    assert!(served * 100 < bytes as u64 * 115, "{served} bytes were served for {bytes} at a loss of 5 %");
}

#[test]
fn a_dead_line_is_left_and_found_again() {
    let (mut sim, alice, bob) = pair(1, 5, 10_000_000, 20);
    assert!(sim.run_until(20 * SECOND, |sim| peers(sim, bob) == 1 && peers(sim, alice) == 1), "{sim}");
    sim.silence(alice, bob);
    assert!(sim.run_until(2 * MINUTE, |sim| peers(sim, bob) == 0 && peers(sim, alice) == 0), "{sim}");
    sim.heal();
    assert!(sim.run_until(3 * MINUTE, |sim| peers(sim, bob) == 1 && peers(sim, alice) == 1), "{sim}");
    sim.crash(alice);
    sim.start(alice);
    fetch(&mut sim, alice, bob, 300_000, 3 * MINUTE);
}

#[test]
fn a_peer_known_by_both_carriers_is_one_peer_and_the_stream_is_used() {
    let mut sim = Sim::new(5);
    let (alice, bob) = (sim.node("alice"), sim.node("bob"));
    sim.know_udp(bob, alice);
    sim.know(bob, alice);
    sim.start_all();
    let root = sim.put_data(alice, &noise(1, 1_000_000));
    sim.run(5 * SECOND);
    let links = sim.machine(bob).unwrap().peers();
    assert_eq!((links.len(), peers(&sim, bob), peers(&sim, alice)), (2, 1, 1), "{sim}");
    sim.command(bob, Command::Want { root, keep: Keep::ThisRun });
    assert!(sim.run_until(MINUTE, |sim| sim.has_tree(bob, &root)), "{sim}");
    let used = |sim: &Sim| sim.machine(bob).unwrap().peers().into_iter().find(|peer| peer.blocks > 0);
    assert_eq!(used(&sim).unwrap().remote, sim.address(alice));
    sim.cut(alice, bob);
    let root = sim.put_data(alice, &noise(1, 77_777));
    sim.command(bob, Command::Want { root, keep: Keep::ThisRun });
    assert!(sim.run_until(SECOND, |sim| sim.has_tree(bob, &root)), "the spare takes over at once; {sim}");
}

#[test]
fn references_follow_over_datagrams() {
    let (mut sim, alice, bob) = pair(3, 10, 10_000_000, 100);
    let key = ref_key(1);
    for node in [alice, bob] {
        poll(&mut sim, node, key.public(), PollKind::Reflog);
        poll(&mut sim, node, key.public(), PollKind::Lwwref);
    }
    sim.run(SECOND);
    sim.post(alice, &key, b"one".to_vec().into());
    sim.set(bob, &key, 7, Hash::of(b"value"));
    let agree =
        |sim: &Sim| sim.reflog(bob, &key.public()).len() == 1 && sim.lwwref(alice, &key.public()).is_some();
    assert!(sim.run_until(5 * MINUTE, agree), "{sim}");
}
