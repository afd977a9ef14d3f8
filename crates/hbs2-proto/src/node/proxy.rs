//! Fetching for others: what a friend asks us for in vain (spec: wire 2.8).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hbs2_core::{Hash, SignPublicKey};

use super::{Node, moment};
use crate::Keep;
use crate::brain::Bounds;

/// How long a block is looked for, and how long after it is not looked for again for the same peer; the original's.
const PROXY: Duration = Duration::from_secs(600);

/// Blocks that are remembered, at most; a full table forgets what is over, and takes no more if nothing is.
const PROXIED_MAX: usize = 4096;

/// Blocks that were looked for on behalf of peers, and when that ends.
#[derive(Debug, Default)]
pub(super) struct Proxy {
    since: BTreeMap<(SignPublicKey, Hash), Instant>,
}

impl Proxy {
    /// Whether a block is to be looked for now.
    fn begins(&mut self, now: Instant, peer: SignPublicKey, hash: Hash) -> bool {
        if self.since.len() >= PROXIED_MAX {
            self.since.retain(|_, end| now < *end);
        }
        let known = self.since.get(&(peer, hash)).is_some_and(|end| now < *end);
        let begins = !known && self.since.len() < PROXIED_MAX;
        if begins {
            self.since.insert((peer, hash), now + PROXY);
        }
        begins
    }
}

impl Node {
    /// Looks for the blocks that friends have just been refused.
    pub(super) fn proxy_fetch(&mut self) {
        for (link, hash) in self.sizes.take_refused() {
            let peer = self.sessions.get(link).and_then(|link| link.peer()).map(|peer| peer.key);
            let friend = peer.filter(|peer| self.config.proxy_fetch_for.contains(peer));
            let Some(friend) = friend else { continue };
            if self.proxy.begins(self.now, friend, hash) {
                self.out.counters.blocks_proxied += 1;
                self.brain.want(moment!(self), hash, Keep::ThisRun, Some(Bounds::time(self.now + PROXY)));
            }
        }
    }
}
