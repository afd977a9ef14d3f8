//! Limits and bans that the owner sets while the daemon runs.

use std::time::{Duration, Instant};

use hbs2_core::addr::PeerAddr;
use hbs2_rpc::api::node::{Ban, Bans, Reload, Unban};
use hbs2_rpc::api::peer::Ping;

use crate::kit::{Person, noise, tree_of};

#[test]
fn limits_are_read_again_while_the_daemon_runs() {
    let alice = Person::start(&[], "limit-peers-per-address 1\nlimit-upload 1M\n");
    let bob = Person::start(&[alice.address], "");
    bob.wait_peers(1);
    let carol = Person::alone();
    assert!(!carol.call::<Ping>(PeerAddr::tcp(alice.address)), "the address has its one link");
    let (root, blocks) = tree_of(&noise(1, 1_500_000));
    alice.put(blocks);
    let begin = Instant::now();
    bob.fetch(&[root]);
    assert!(begin.elapsed() > Duration::from_secs(1), "{:?}", begin.elapsed());

    alice.configure(&[], "limit-peers-per-address 2\nlimit-upload off\n");
    let changes = alice.call::<Reload>(());
    assert_eq!(changes, ["limit-peers-per-address 2, was 1", "limit-upload off, was 1048576"]);
    assert!(carol.call::<Ping>(PeerAddr::tcp(alice.address)));
}

#[test]
fn a_ban_by_hand_outlives_a_restart_and_ends_when_it_is_lifted() {
    let bob = Person::alone();
    let mut alice = Person::start(&[bob.address], "");
    alice.wait_peers(1);
    alice.call::<Ban>((bob.key, None));
    alice.wait_fewer_peers(0);
    alice.stop();
    alice.start_again();
    let bans = alice.call::<Bans>(());
    assert_eq!((bans[0].key, bans[0].reason.as_str(), bans[0].seconds_left), (bob.key, "by hand", None));
    assert!(!alice.call::<Ping>(PeerAddr::tcp(bob.address)));
    alice.call::<Unban>(bob.key);
    assert_eq!(alice.call::<Bans>(()), []);
    assert!(alice.call::<Ping>(PeerAddr::tcp(bob.address)), "it is let in again");
}
