//! What a node is told when it is made.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

use hbs2_core::addr::PeerAddr;
use hbs2_core::{SignPublicKey, SignSecretKey};

use super::Memory;

/// Time between pings when nothing else is configured, in seconds. The original's; it drops a TCP connection after
/// 67 silent seconds.
pub const PING_INTERVAL_SECONDS: u64 = 30;

/// Time after which a peer is asked again what it tells about itself, in seconds; the original's.
pub const PROBE_WAIT_SECONDS: u64 = 300;

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

/// How the last notices of a refchan are kept in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoticeRule {
    /// Time after which a new notice is in the list.
    pub write: Duration,
    /// Notices in the list, at most.
    pub keep: usize,
}

/// Identity and rules of a node.
#[derive(Clone)]
pub struct Config {
    /// The peer key: who we are.
    pub key: SignSecretKey,
    /// Fresh random bytes, different at each start. All nonces, cookies and jitter grow from them.
    pub seed: [u8; 32],
    /// A moment, and the seconds since 1970 at that moment. Messages that tell the time say 0 without it.
    pub clock: Option<(Instant, u64)>,
    /// The TCP port we tell others, when we accept connections from outside.
    pub listen_tcp: Option<u16>,
    /// The UDP port we tell others.
    pub listen_udp: Option<u16>,
    /// The port of HTTP that we tell others, when others can reach it.
    pub http_port: Option<u16>,
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
    /// Connections, at most. A quarter of them is kept for those that we make.
    pub links_max: usize,
    /// How much memory may be used for what.
    pub memory: Memory,
    /// Whether packets are sealed for peers that can open them.
    pub bypass: bool,
    /// Whether we announce ourselves on the local network.
    pub multicast: bool,
    /// Domains that are asked for addresses.
    pub bootstrap: BTreeSet<String>,
    /// Peers for which we fetch the blocks that they ask us for in vain.
    pub proxy_fetch_for: BTreeSet<SignPublicKey>,
    /// Time after which a peer is asked again what it tells about itself.
    pub probe_wait: Duration,
    /// Refchans whose proposals a local program judges.
    pub validated_chans: BTreeSet<SignPublicKey>,
    /// Refchans whose last notices are kept in a list.
    pub notice_logs: BTreeMap<SignPublicKey, NoticeRule>,
}

/// Without the seed, from which secrets grow.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("key", &self.key.public())
            .field("listen_tcp", &self.listen_tcp)
            .field("known_peers", &self.known_peers)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// The configuration of a node that knows nobody, accepts everybody and follows no announces.
    #[must_use]
    pub fn new(key: SignSecretKey, seed: [u8; 32]) -> Self {
        Self {
            key,
            seed,
            clock: None,
            listen_tcp: None,
            listen_udp: None,
            http_port: None,
            known_peers: Vec::new(),
            blacklist: BTreeSet::new(),
            whitelist: BTreeSet::new(),
            accept_announces: AnnouncePolicy::Only(BTreeSet::new()),
            ping_interval: Duration::from_secs(PING_INTERVAL_SECONDS),
            links_max: LINKS_MAX,
            memory: Memory::default(),
            bypass: true,
            multicast: false,
            bootstrap: BTreeSet::new(),
            proxy_fetch_for: BTreeSet::new(),
            probe_wait: Duration::from_secs(PROBE_WAIT_SECONDS),
            validated_chans: BTreeSet::new(),
            notice_logs: BTreeMap::new(),
        }
    }

    /// Takes over from `new` all that may change while the node runs: all but who and where we are.
    pub(crate) fn change(&mut self, new: Self) {
        let Self { key, seed, clock, listen_tcp, listen_udp, http_port, .. } = self.clone();
        *self = Self { key, seed, clock, listen_tcp, listen_udp, http_port, ..new };
    }

    /// Whether `peer` may come in.
    #[must_use]
    pub fn admits(&self, peer: &SignPublicKey) -> bool {
        !self.blacklist.contains(peer) && (self.whitelist.is_empty() || self.whitelist.contains(peer))
    }
}
