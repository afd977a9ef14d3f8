//! Who is linked with whom.

use hbs2_proto::{Answer, Command, Event};
use hbs2_testkit::sim::{NodeId, Sim};

use crate::{MINUTE, SECOND, pair};

fn peers(sim: &Sim, node: NodeId) -> usize {
    sim.machine(node).map_or(0, |node| node.peers().len())
}

#[test]
fn peers_that_list_each_other_are_linked_within_a_second_of_the_second_start() {
    for late in [0, 1, 59, 3600] {
        let mut sim = Sim::new(late);
        let (alice, bob) = (sim.node("alice"), sim.node("bob"));
        sim.know(alice, bob);
        sim.know(bob, alice);
        sim.start(alice);
        sim.run(SECOND * late as u32);
        sim.start(bob);
        assert!(sim.run_until(SECOND, |sim| peers(sim, alice) == 1 && peers(sim, bob) == 1), "{sim}");
        sim.run(10 * MINUTE);
        assert_eq!((peers(&sim, alice), peers(&sim, bob)), (1, 1), "{sim}");
    }
}

#[test]
fn a_banned_peer_is_neither_listed_nor_served() {
    let mut sim = Sim::new(1);
    let (alice, eve) = (sim.node("alice"), sim.node("eve"));
    let banned = sim.key(eve);
    sim.config(alice).blacklist.insert(banned);
    sim.know(eve, alice);
    let root = sim.put_data(alice, b"secret");
    sim.start_all();
    sim.command(eve, Command::Want { root, keep: hbs2_proto::Keep::ThisRun });
    sim.run(5 * MINUTE);
    assert_eq!(peers(&sim, alice), 0);
    assert!(!sim.has_tree(eve, &root), "{sim}");
}

#[test]
fn only_the_whitelist_comes_in_when_there_is_one() {
    let mut sim = Sim::new(1);
    let (alice, bob, eve) = (sim.node("alice"), sim.node("bob"), sim.node("eve"));
    let friend = sim.key(bob);
    sim.config(alice).whitelist.insert(friend);
    sim.know(eve, alice);
    sim.know(bob, alice);
    sim.start_all();
    sim.run(MINUTE);
    let listed: Vec<_> = sim.machine(alice).unwrap().peers().iter().map(|peer| peer.key).collect();
    assert_eq!(listed, [friend]);
}

#[test]
fn a_node_that_lists_itself_is_not_linked_with_itself() {
    let mut sim = Sim::new(1);
    let alice = sim.node("alice");
    sim.know(alice, alice);
    sim.start_all();
    sim.run(10 * MINUTE);
    assert_eq!(peers(&sim, alice), 0);
}

#[test]
fn a_dead_line_is_found_and_dialled_again() {
    let (mut sim, alice, bob) = pair(1);
    assert!(sim.run_until(SECOND, |sim| peers(sim, bob) == 1), "{sim}");
    for _ in 0..3 {
        sim.run(10 * SECOND);
        sim.cut(alice, bob);
        sim.run(SECOND / 10);
        assert_eq!(peers(&sim, bob), 0, "{sim}");
        assert!(sim.run_until(SECOND, |sim| peers(sim, bob) == 1 && peers(sim, alice) == 1), "{sim}");
    }
    sim.crash(alice);
    sim.run(30 * MINUTE);
    sim.start(alice);
    assert!(sim.run_until(2 * MINUTE, |sim| peers(sim, bob) == 1), "{sim}");
}

#[test]
fn a_line_that_carries_nothing_is_given_up_and_dialled_again() {
    let (mut sim, alice, bob) = pair(1);
    assert!(sim.run_until(SECOND, |sim| peers(sim, bob) == 1 && peers(sim, alice) == 1), "{sim}");
    sim.silence(alice, bob);
    assert!(sim.run_until(65 * SECOND, |sim| peers(sim, bob) == 0 && peers(sim, alice) == 0), "{sim}");
    sim.heal();
    assert!(sim.run_until(90 * SECOND, |sim| peers(sim, bob) == 1 && peers(sim, alice) == 1), "{sim}");
}

#[test]
fn peers_learn_of_each_other_through_a_third() {
    let mut sim = Sim::new(3);
    let (alice, bob, carol) = (sim.node("alice"), sim.node("bob"), sim.node("carol"));
    sim.know(bob, alice);
    sim.know(carol, alice);
    sim.start_all();
    assert!(sim.run_until(10 * MINUTE, |sim| peers(sim, bob) == 2 && peers(sim, carol) == 2), "{sim}");
    assert!(sim.machine(alice).unwrap().exchange_addresses().len() == 2, "{sim}");
}

#[test]
fn a_ping_tells_whether_somebody_answers() {
    let (mut sim, alice, bob) = pair(1);
    let carol = sim.node("carol");
    sim.run(SECOND);
    let linked = sim.address(alice);
    let known = sim.command(bob, Command::Ping { address: linked });
    let dead = sim.address(carol);
    let silent = sim.command(bob, Command::Ping { address: dead });
    sim.run(3 * SECOND);
    assert_eq!(sim.answer(bob, known), Some(Answer::Pinged { answered: true }));
    assert_eq!(sim.answer(bob, silent), Some(Answer::Pinged { answered: false }));
    sim.start(carol);
    sim.run(SECOND);
    let fresh = sim.command(bob, Command::Ping { address: dead });
    sim.run(3 * SECOND);
    assert_eq!(sim.answer(bob, fresh), Some(Answer::Pinged { answered: true }), "{sim}");
}

#[test]
fn a_kicked_peer_goes_and_may_come_back() {
    let (mut sim, alice, bob) = pair(1);
    sim.run(SECOND);
    let peer = sim.key(bob);
    sim.command(alice, Command::Kick { peer });
    sim.run(5 * SECOND);
    assert!(sim.events(alice).iter().any(|event| matches!(event, Event::PeerDown { .. })));
    assert_eq!(peers(&sim, alice), 1, "{sim}");
}

#[test]
fn what_no_linked_peer_has_is_looked_for_further_away() {
    let mut sim = Sim::new(4);
    let nodes: Vec<NodeId> = (0..90).map(|n| sim.node(&format!("alice{n}"))).collect();
    for pair in nodes.windows(2) {
        sim.know(pair[0], pair[1]);
    }
    sim.start_all();
    sim.run(5 * MINUTE);
    let (reader, holder) = (nodes[0], nodes[89]);
    let linked = sim.machine(reader).unwrap().peers();
    assert!(linked.iter().all(|peer| peer.key != sim.key(holder)), "the holder is to be far away");
    let root = sim.put_data(holder, b"a needle");
    sim.command(reader, Command::Want { root, keep: hbs2_proto::Keep::ThisRun });
    assert!(sim.run_until(5 * MINUTE, |sim| sim.has_tree(reader, &root)), "{sim}");
}
