//! Daemons that are linked by UDP, by sealed links, or by both carriers.

use std::net::SocketAddr;

use hbs2_core::addr::{PeerAddr, Transport};
use hbs2_rpc::api::node::Reload;
use hbs2_rpc::api::peer::{BypassInfo, Peers, PexInfo, Ping};
use hbs2_rpc::client::ClientError;

use crate::kit::{PATIENCE, Person, noise, tree_of};

const UDP_ONLY: &str = "multicast off\nlisten-tcp off\nlisten \"127.0.0.1:0\"\n";
const BOTH: &str = "multicast off\nlisten \"127.0.0.1:0\"\n";

fn known_udp(address: SocketAddr) -> String {
    format!("known-peer \"udp://{address}\"\n")
}

/// Bob fetches from alice, who has what he wants.
fn check_transfer(alice: &Person, bob: &Person, bytes: usize) {
    let (root, blocks) = tree_of(&noise(bytes as u64, bytes));
    alice.put(blocks);
    bob.fetch(&[root]);
}

#[test]
fn two_daemons_work_over_udp_alone_and_seal_it() {
    let alice = Person::start(&[], UDP_ONLY);
    let bob = Person::start(&[], &(UDP_ONLY.to_owned() + &known_udp(alice.udp())));
    bob.wait_peers(1);
    alice.wait_peers(1);
    check_transfer(&alice, &bob, 5_000_000);
    let info = bob.call::<BypassInfo>(());
    assert!(info.decrypted > 4000 && info.flows == 1, "{info:?}");
    assert_eq!(bob.call::<Peers>(()), [(alice.key, PeerAddr::udp(alice.udp()))]);
    assert!(bob.call::<Ping>(PeerAddr::udp(alice.udp())));
}

#[test]
fn a_peer_that_restarts_on_udp_is_found_and_sealed_again() {
    let mut alice = Person::start(&[], UDP_ONLY);
    let bob = Person::start(&[], &(UDP_ONLY.to_owned() + &known_udp(alice.udp())));
    bob.wait_peers(1);
    alice.stop();
    alice.start_again();
    check_transfer(&alice, &bob, 100_000);
}

#[test]
fn a_stream_is_sealed_unless_one_side_does_not_want_it() {
    let alice = Person::start(&[], "");
    let bob = Person::start(&[alice.address], "");
    let carol = Person::start(&[alice.address], "bypass off\n");
    bob.wait_peers(1);
    carol.wait_peers(1);
    check_transfer(&alice, &bob, 3_000_000);
    check_transfer(&alice, &carol, 3_000_001);
    let (sealed, clear) = (bob.call::<BypassInfo>(()), carol.call::<BypassInfo>(()));
    assert!(sealed.decrypted > 40, "{sealed:?}");
    assert_eq!((clear.decrypted, clear.encrypted), (0, 0), "{clear:?}");
}

#[test]
fn a_peer_known_by_both_carriers_is_one_peer() {
    let alice = Person::start(&[], BOTH);
    let bob = Person::start(&[alice.address], &(BOTH.to_owned() + &known_udp(alice.udp())));
    bob.wait_peers(1);
    check_transfer(&alice, &bob, 1_000_000);
    let peers = bob.call::<Peers>(());
    assert_eq!(peers, [(alice.key, PeerAddr::tcp(alice.address))]);
    let told = bob.call::<PexInfo>(());
    assert!(told.iter().any(|address| address.transport == Transport::Tcp), "{told:?}");
}

#[test]
fn a_changed_configuration_is_taken_and_its_changes_are_listed() {
    let alice = Person::start(&[], "");
    let bob = Person::start(&[], "");
    assert_eq!(alice.call::<Reload>(()), Vec::<String>::new());
    alice.configure(&[bob.address], "debug on\nping-interval 20\nrpc unix \"./other.socket\"\n");
    let expected = [
        "debug on, was off".to_owned(),
        format!("known-peer tcp://{} added", bob.address),
        "ping-interval 20, was as usual".to_owned(),
        "rpc changed (needs a restart)".to_owned(),
    ];
    assert_eq!(alice.call::<Reload>(()), expected);
    alice.wait_peers(1);
    alice.configure(&[bob.address], &format!("blacklist \"{}\"\n", bob.key));
    let changes = alice.call::<Reload>(());
    assert!(changes.contains(&format!("blacklist {} added", bob.key)), "{changes:?}");
    alice.wait_fewer_peers(0);
}

#[test]
fn a_broken_configuration_changes_nothing() {
    let alice = Person::start(&[], "");
    let bob = Person::start(&[alice.address], "");
    bob.wait_peers(1);
    alice.configure(&[], "blacklist nobody\n");
    let refused: Result<_, ClientError> = alice.client().call::<Reload>(&(), PATIENCE);
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("the configuration was not taken") && refused.contains("public key"),
        "{refused}"
    );
    alice.wait_peers(1);
}
