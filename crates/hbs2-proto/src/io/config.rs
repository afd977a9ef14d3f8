//! What a node is told when it is made.

use std::collections::BTreeSet;
use std::time::Duration;

use hbs2_core::addr::PeerAddr;
use hbs2_core::{SignPublicKey, SignSecretKey};

/// Time between pings when nothing else is configured, in seconds. The original's; it drops a TCP connection after
/// 67 silent seconds.
pub const PING_INTERVAL_SECONDS: u64 = 30;

/// Connections, at most, when nothing else is configured. Each may hold a few MiB of unsent data.
pub const LINKS_MAX: usize = 256;

/// Whose announces make us fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnnouncePolicy {
    /// Everybody's.
    Everybody,
    /// Those of these peers; nobody's when empty.
    Only(BTreeSet<SignPublicKey>),
}

impl AnnouncePolicy {
    /// Whether announces of `peer` are followed.
    #[must_use]
    pub fn allows(&self, peer: &SignPublicKey) -> bool {
        match self {
            Self::Everybody => true,
            Self::Only(peers) => peers.contains(peer),
        }
    }
}

/// Identity and rules of a node.
#[derive(Debug, Clone)]
pub struct Config {
    /// The peer key: who we are.
    pub key: SignSecretKey,
    /// Fresh random bytes, different at each start. All nonces, cookies and jitter grow from them.
    pub seed: [u8; 32],
    /// The TCP port we tell others, when we accept connections from outside.
    pub listen_tcp: Option<u16>,
    /// Addresses that are always kept linked.
    pub known_peers: Vec<PeerAddr>,
    /// Peers that are not let in.
    pub blacklist: BTreeSet<SignPublicKey>,
    /// When not empty, the only peers that are let in.
    pub whitelist: BTreeSet<SignPublicKey>,
    /// Whose announces are followed, and whose reflog updates are kept without a poll.
    pub accept_announces: AnnouncePolicy,
    /// Time between pings on an idle link.
    pub ping_interval: Duration,
    /// Connections, at most.
    pub links_max: usize,
}

impl Config {
    /// The configuration of a node that knows nobody, accepts everybody and follows no announces.
    #[must_use]
    pub fn new(key: SignSecretKey, seed: [u8; 32]) -> Self {
        Self {
            key,
            seed,
            listen_tcp: None,
            known_peers: Vec::new(),
            blacklist: BTreeSet::new(),
            whitelist: BTreeSet::new(),
            accept_announces: AnnouncePolicy::Only(BTreeSet::new()),
            ping_interval: Duration::from_secs(PING_INTERVAL_SECONDS),
            links_max: LINKS_MAX,
        }
    }

    /// Whether `peer` may come in.
    #[must_use]
    pub fn admits(&self, peer: &SignPublicKey) -> bool {
        !self.blacklist.contains(peer) && (self.whitelist.is_empty() || self.whitelist.contains(peer))
    }
}
