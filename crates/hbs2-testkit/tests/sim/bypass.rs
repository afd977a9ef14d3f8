//! Encryption between neighbours.

use hbs2_proto::{Command, Keep};
use hbs2_testkit::sim::{NodeId, Sim};

use crate::{MINUTE, SECOND};

/// Alice and bob, who seal if they can; bob dials, at the address of this carrier.
fn pair(seed: u64, datagrams: bool) -> (Sim, NodeId, NodeId) {
    let mut sim = Sim::new(seed);
    let (alice, bob) = (sim.node("alice"), sim.node("bob"));
    for node in [alice, bob] {
        sim.config(node).bypass = true;
    }
    if datagrams {
        sim.config(alice).listen_tcp = None;
        sim.config(bob).listen_tcp = None;
        sim.know_udp(bob, alice);
    } else {
        sim.know(bob, alice);
    }
    (sim, alice, bob)
}

fn sealed(sim: &Sim, node: NodeId) -> bool {
    sim.machine(node).is_some_and(|node| {
        let peers = node.peers();
        !peers.is_empty() && peers.iter().all(|peer| peer.sealed)
    })
}

#[test]
fn two_of_us_seal_at_once_on_either_carrier() {
    for datagrams in [false, true] {
        let (mut sim, alice, bob) = pair(1, datagrams);
        sim.start_all();
        assert!(sim.run_until(SECOND, |sim| sealed(sim, alice) && sealed(sim, bob)), "{datagrams} {sim}");
        let root = sim.put_data(alice, &[3; 700_000]);
        let before = sim.machine(bob).unwrap().counters().packets_opened;
        sim.command(bob, Command::Want { root, keep: Keep::ThisRun });
        assert!(sim.run_until(MINUTE, |sim| sim.has_tree(bob, &root)), "{sim}");
        let counters = sim.machine(bob).unwrap().counters();
        assert!(counters.packets_opened > before + 4 && counters.packets_unreadable <= 1, "{counters:?}");
        sim.run(10 * MINUTE);
        assert!(sealed(&sim, alice) && sealed(&sim, bob), "{sim}");
        let heys = sim.machine(bob).unwrap().counters().heys_sent;
        assert!(heys <= 4, "{heys} greetings");
    }
}

#[test]
fn whoever_does_not_seal_is_spoken_to_in_clear() {
    for datagrams in [false, true] {
        let (mut sim, alice, bob) = pair(1, datagrams);
        sim.config(alice).bypass = false;
        sim.start_all();
        let root = sim.put_data(alice, &[3; 100_000]);
        sim.command(bob, Command::Want { root, keep: Keep::ThisRun });
        assert!(sim.run_until(MINUTE, |sim| sim.has_tree(bob, &root)), "{sim}");
        sim.run(5 * MINUTE);
        assert!(!sealed(&sim, alice) && !sealed(&sim, bob), "{sim}");
        let counters = sim.machine(alice).unwrap().counters();
        assert_eq!((counters.packets_unreadable, counters.heys_sent), (0, 0));
    }
}

#[test]
fn lost_greetings_stop_nothing_and_are_repeated() {
    for seed in 0..20 {
        let (mut sim, alice, bob) = pair(seed, true);
        sim.set_loss(300);
        sim.start_all();
        assert!(sim.run_until(2 * MINUTE, |sim| sealed(sim, alice) && sealed(sim, bob)), "{sim}");
        let root = sim.put_data(alice, &[3; 50_000]);
        sim.command(bob, Command::Want { root, keep: Keep::ThisRun });
        assert!(sim.run_until(5 * MINUTE, |sim| sim.has_tree(bob, &root)), "{sim}");
    }
}

#[test]
fn a_peer_that_forgot_our_key_gets_it_again() {
    let (mut sim, alice, bob) = pair(1, true);
    sim.start_all();
    assert!(sim.run_until(SECOND, |sim| sealed(sim, alice) && sealed(sim, bob)), "{sim}");
    for node in [alice, bob] {
        sim.crash(node);
        sim.start(node);
        // The one that went on seals with a key that nobody has any more.
        assert!(sim.run_until(45 * SECOND, |sim| sealed(sim, alice) && sealed(sim, bob)), "{sim}");
        let root = sim.put_data(alice, &sim.elapsed().as_nanos().to_le_bytes().repeat(1000));
        sim.command(bob, Command::Want { root, keep: Keep::ThisRun });
        assert!(sim.run_until(MINUTE, |sim| sim.has_tree(bob, &root)), "{sim}");
    }
}

#[test]
fn a_peer_that_starts_again_without_seals_is_spoken_to_in_clear() {
    let (mut sim, alice, bob) = pair(1, true);
    sim.know_udp(alice, bob);
    sim.start_all();
    assert!(sim.run_until(SECOND, |sim| sealed(sim, alice) && sealed(sim, bob)), "{sim}");
    sim.crash(bob);
    sim.config(bob).bypass = false;
    sim.start(bob);
    let root = sim.put_data(alice, &[3; 100_000]);
    sim.command(bob, Command::Want { root, keep: Keep::ThisRun });
    assert!(sim.run_until(MINUTE, |sim| sim.has_tree(bob, &root)), "{sim}");
}
