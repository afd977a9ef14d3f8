//! How peers that nobody has told of find each other, and what a changed configuration does.

use std::collections::BTreeSet;

use hbs2_core::Hash;
use hbs2_core::addr::{PeerAddr, Transport};
use hbs2_proto::{Command, Keep};
use hbs2_testkit::sim::{NodeId, Sim};

use crate::{MINUTE, SECOND, pair};

fn peers(sim: &Sim, node: NodeId) -> usize {
    sim.machine(node).map_or(0, |node| node.peers().iter().filter(|peer| !peer.spare).count())
}

#[test]
fn peers_of_one_network_find_each_other_without_being_told() {
    let mut sim = Sim::new(1);
    let nodes = ["alice", "bob", "carol"].map(|name| sim.node(name));
    for node in nodes {
        sim.config(node).multicast = true;
    }
    sim.start_all();
    let linked = |sim: &Sim| nodes.iter().all(|node| peers(sim, *node) == 2);
    assert!(sim.run_until(10 * SECOND, linked), "{sim}");
    sim.run(5 * MINUTE);
    assert!(linked(&sim), "{sim}");
}

#[test]
fn a_node_that_does_not_hear_the_network_stays_alone() {
    let mut sim = Sim::new(1);
    let (alice, bob) = (sim.node("alice"), sim.node("bob"));
    sim.config(alice).multicast = true;
    sim.start_all();
    sim.run(5 * MINUTE);
    assert_eq!((peers(&sim, alice), peers(&sim, bob)), (0, 0), "{sim}");
}

#[test]
fn a_bootstrap_domain_links_a_newcomer() {
    let mut sim = Sim::new(1);
    let (alice, bob) = (sim.node("alice"), sim.node("bob"));
    let nobody: PeerAddr = "tcp://10.9.9.9:1".parse().unwrap();
    let broadcast: PeerAddr = "255.255.255.255:1".parse().unwrap();
    for address in [nobody, broadcast, sim.address(alice), sim.address(bob)] {
        sim.list_in_domains(address);
    }
    sim.config(bob).bootstrap.insert("bootstrap.example".to_owned());
    sim.start_all();
    assert!(sim.run_until(5 * SECOND, |sim| peers(sim, bob) == 1), "{sim}");
    sim.run(20 * MINUTE);
    assert_eq!(peers(&sim, bob), 1, "{sim}");
}

#[test]
fn addresses_learned_by_datagrams_are_told_in_both_forms() {
    let mut sim = Sim::new(3);
    let (alice, bob, carol) = (sim.node("alice"), sim.node("bob"), sim.node("carol"));
    for node in [alice, bob, carol] {
        sim.config(node).listen_tcp = None;
        sim.config(node).listen_udp = Some(7351);
    }
    sim.know_udp(bob, alice);
    sim.know_udp(carol, alice);
    sim.start_all();
    assert!(sim.run_until(10 * MINUTE, |sim| peers(sim, bob) == 2 && peers(sim, carol) == 2), "{sim}");
    let told: BTreeSet<PeerAddr> = sim.machine(alice).unwrap().exchange_addresses().into_iter().collect();
    assert_eq!(told, [sim.udp_address(bob), sim.udp_address(carol)].into());
}

#[test]
fn an_address_that_the_network_rewrote_is_not_told() {
    let mut sim = Sim::new(3);
    let (alice, bob) = (sim.node("alice"), sim.node("bob"));
    // Bob thinks that he listens elsewhere: somebody between them gives his datagrams another port.
    sim.config(bob).listen_udp = Some(40_000);
    sim.config(bob).listen_tcp = None;
    sim.know_udp(bob, alice);
    sim.start_all();
    sim.run(MINUTE);
    assert_eq!(peers(&sim, alice), 1, "{sim}");
    let told = sim.machine(alice).unwrap().exchange_addresses();
    assert!(!told.contains(&sim.udp_address(bob)), "{told:?}");
}

#[test]
fn a_peer_met_by_datagrams_is_dialled_where_it_accepts_connections() {
    let mut sim = Sim::new(3);
    let (alice, bob) = (sim.node("alice"), sim.node("bob"));
    sim.know_udp(bob, alice);
    sim.start_all();
    let streams = |sim: &Sim| {
        let peers = sim.machine(bob).map(|node| node.peers()).unwrap_or_default();
        peers.iter().any(|peer| peer.remote.transport == Transport::Tcp && !peer.spare)
    };
    assert!(sim.run_until(30 * SECOND, streams), "{sim}");
    assert_eq!((peers(&sim, alice), peers(&sim, bob)), (1, 1));
}

#[test]
fn what_a_friend_asks_for_in_vain_is_fetched_for_it() {
    let mut sim = Sim::new(1);
    let (alice, bob, carol) = (sim.node("alice"), sim.node("bob"), sim.node("carol"));
    sim.know(bob, alice);
    sim.know(carol, bob);
    // Carol must not learn of alice.
    sim.config(alice).listen_tcp = None;
    let friend = sim.key(carol);
    sim.config(bob).proxy_fetch_for.insert(friend);
    let only_bob = [sim.key(bob)];
    sim.config(carol).whitelist.extend(only_bob);
    let root = sim.put_data(alice, &[5; 300_000]);
    sim.start_all();
    sim.run(SECOND);
    sim.command(carol, Command::Want { root, keep: Keep::ThisRun });
    assert!(sim.run_until(2 * MINUTE, |sim| sim.has_tree(carol, &root)), "{sim}");
    assert!(sim.machine(bob).unwrap().counters().blocks_proxied >= 1);
    let absent = Hash::of(b"nowhere");
    sim.command(carol, Command::Want { root: absent, keep: Keep::ThisRun });
    sim.run(SECOND);
    assert!(sim.machine(bob).unwrap().want(&absent).is_some(), "{sim}");
    sim.command(carol, Command::Unwant { root: absent });
    sim.run(12 * MINUTE);
    assert_eq!(
        sim.machine(bob).unwrap().want(&absent).map(|want| want.missing),
        None,
        "it ends when nobody asks any more"
    );
}

#[test]
fn strangers_are_not_fetched_for() {
    let (mut sim, alice, bob) = pair(1);
    sim.run(SECOND);
    sim.command(bob, Command::Want { root: Hash::of(b"nowhere"), keep: Keep::ThisRun });
    sim.run(10 * SECOND);
    assert!(sim.machine(alice).unwrap().wants().is_empty(), "{sim}");
}

#[test]
fn a_changed_configuration_bans_releases_and_dials() {
    let (mut sim, alice, bob) = pair(1);
    let carol = sim.node("carol");
    sim.start(carol);
    sim.run(SECOND);
    assert_eq!(peers(&sim, alice), 1, "{sim}");
    let (banned, new) = (sim.key(bob), sim.address(carol));
    sim.reconfigure(alice, |config| {
        config.blacklist.insert(banned);
        config.known_peers.push(new);
    });
    sim.run(SECOND);
    let listed: Vec<_> = sim.machine(alice).unwrap().peers().iter().map(|peer| peer.key).collect();
    assert_eq!(listed, [sim.key(carol)], "{sim}");
    sim.reconfigure(alice, |config| config.blacklist.clear());
    assert!(sim.run_until(2 * MINUTE, |sim| peers(sim, alice) == 2), "{sim}");
}
