//! What nodes decide, in a made-up world: alice and bob are honest, eve is not.

mod blocks;
mod busy;
mod bypass;
mod datagrams;
mod discovery;
mod links;
mod mailbox;
mod random;
mod refchan;
mod refs;

use std::time::Duration;

use hbs2_core::{SignPublicKey, SignSecretKey};
use hbs2_proto::{Command, Poll, PollKind};
use hbs2_testkit::sim::{NodeId, Sim};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// Alice and bob, linked and started.
pub(crate) fn pair(seed: u64) -> (Sim, NodeId, NodeId) {
    let mut sim = Sim::new(seed);
    let (alice, bob) = (sim.node("alice"), sim.node("bob"));
    sim.know(bob, alice);
    sim.start_all();
    (sim, alice, bob)
}

/// A key that is no node's.
pub(crate) fn ref_key(byte: u8) -> SignSecretKey {
    SignSecretKey::from_seed(&[100 + byte; 32])
}

pub(crate) fn poll(sim: &mut Sim, node: NodeId, key: SignPublicKey, kind: PollKind) {
    sim.command(node, Command::PollAdd(Poll { key, kind, minutes: 1 }));
}
