//! What has passed by lately: stops gossip from going round.

use std::collections::{BTreeSet, VecDeque};

use hbs2_core::Hash;

/// Hashes remembered. What somebody posts as fast as programs do takes half a minute, several times the life of a rumour.
const SEEN_HASHES_MAX: usize = 65_536;

/// Roots of peers' trees that are remembered as merged, for one reference: some more than the peers that tell us.
const MERGED_ROOTS_MAX: usize = 32;

/// The latest `MAX` hashes, oldest forgotten first.
#[derive(Debug, Default)]
pub(crate) struct Seen<const MAX: usize = SEEN_HASHES_MAX> {
    set: BTreeSet<Hash>,
    order: VecDeque<Hash>,
}

/// Roots of peers' trees of which all was taken.
pub(crate) type Merged = Seen<MERGED_ROOTS_MAX>;

impl<const MAX: usize> Seen<MAX> {
    pub(crate) fn contains(&self, hash: &Hash) -> bool {
        self.set.contains(hash)
    }

    /// Forgets a hash.
    pub(crate) fn forget(&mut self, hash: &Hash) {
        // Its place in the order stays, which at worst forgets a later note of it too early.
        self.set.remove(hash);
    }

    /// Notes a hash; whether it is new.
    pub(crate) fn note(&mut self, hash: Hash) -> bool {
        if !self.set.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
        true
    }
}
