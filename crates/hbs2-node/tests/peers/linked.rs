//! Who is linked with whom.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hbs2_core::Hash;
use hbs2_core::addr::PeerAddr;
use hbs2_rpc::api::peer::{Peers, Ping};

use crate::kit::{Person, noise, tree_of};

#[test]
fn two_peers_that_list_each_other_are_linked_within_a_second() {
    let mut alice = Person::alone();
    let bob = Person::start(&[alice.address], "");
    alice.stop();
    alice.configure(&[bob.address], "");
    let begin = Instant::now();
    alice.start_again();
    alice.wait_peers(1);
    bob.wait_peers(1);
    assert!(begin.elapsed() < Duration::from_secs(3), "it took {:?}", begin.elapsed());
    assert_eq!(alice.call::<Peers>(()).iter().map(|(key, _)| *key).collect::<Vec<_>>(), [bob.key]);
    assert_eq!(bob.call::<Peers>(()).iter().map(|(key, _)| *key).collect::<Vec<_>>(), [alice.key]);
}

#[test]
fn two_peers_that_start_at_the_same_moment_are_linked_at_once_and_stay_so() {
    let (mut alice, mut bob) = (Person::alone(), Person::alone());
    alice.stop();
    bob.stop();
    alice.configure(&[bob.address], "");
    bob.configure(&[alice.address], "");
    for round in 0..5 {
        let begin = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| alice.start_again());
            scope.spawn(|| bob.start_again());
        });
        alice.wait_peers(1);
        bob.wait_peers(1);
        assert!(begin.elapsed() < Duration::from_secs(5), "round {round} took {:?}", begin.elapsed());
        let (root, blocks) = tree_of(&noise(round, 300_000));
        alice.put(blocks);
        bob.fetch(&[root]);
        alice.stop();
        bob.stop();
    }
}

#[test]
fn a_peer_that_lists_itself_stays_alone_and_well() {
    let mut alice = Person::alone();
    alice.stop();
    alice.configure(&[alice.address], "");
    alice.start_again();
    assert!(!alice.call::<Ping>(PeerAddr::tcp(alice.address)));
    assert_eq!(alice.call::<Peers>(()), []);
    let bob = Person::start(&[alice.address], "");
    bob.wait_peers(1);
}

#[test]
fn a_ping_tells_whether_a_peer_answers_there() {
    let (alice, mut bob) = (Person::alone(), Person::alone());
    assert!(alice.call::<Ping>(PeerAddr::tcp(bob.address)));
    bob.stop();
    let begin = Instant::now();
    assert!(!alice.call::<Ping>(PeerAddr::tcp(bob.address)));
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
    assert!(!alice.call::<Ping>(PeerAddr::udp(nowhere)));
    assert!(begin.elapsed() < Duration::from_secs(5), "it took {:?}", begin.elapsed());
}

#[test]
fn a_peer_that_comes_back_is_linked_again() {
    let mut alice = Person::alone();
    let bob = Person::start(&[alice.address], "");
    bob.wait_peers(1);
    alice.stop();
    bob.wait_fewer_peers(0);
    alice.start_again();
    bob.wait_peers(1);
}

#[test]
fn a_known_peer_that_cannot_be_reached_stops_nothing() {
    let nowhere = [SocketAddr::from(([127, 0, 0, 1], 1)), SocketAddr::from(([203, 0, 113, 1], 1))];
    let alice = Person::start(&nowhere, "known-peer \"127.0.0.1:7351\"\n");
    let bob = Person::start(&[alice.address], "");
    alice.wait_peers(1);
    bob.wait_peers(1);
}

#[test]
fn a_blacklisted_peer_gets_nothing() {
    let mut alice = Person::alone();
    let (root, blocks) = tree_of(&noise(1, 10_000));
    alice.put(blocks);
    let bob = Person::start(&[alice.address], "");
    bob.wait_peers(1);
    alice.stop();
    alice.configure(&[], &format!("blacklist \"{}\"\n", bob.key));
    alice.start_again();
    let status = bob.fetch_for(&[root], 1_500);
    assert!(!status.complete, "{status:?}");
    assert_eq!(alice.call::<Peers>(()), []);
}

#[test]
fn a_whitelist_admits_its_members_only() {
    let mut alice = Person::alone();
    let bob = Person::start(&[alice.address], "");
    let carol = Person::start(&[alice.address], "");
    alice.stop();
    alice.configure(&[], &format!("whitelist \"{}\"\n", bob.key));
    alice.start_again();
    alice.wait_peers(1);
    let status = carol.fetch_for(&[Hash::of(b"x")], 300);
    assert!(!status.complete);
    assert_eq!(alice.call::<Peers>(()).iter().map(|(key, _)| *key).collect::<Vec<_>>(), [bob.key]);
}
