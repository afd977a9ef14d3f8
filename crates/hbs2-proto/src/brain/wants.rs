//! What is wanted: trees, their known missing blocks, and whose turn it is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use hbs2_core::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use hbs2_core::{Hash, SignPublicKey};

use crate::{Keep, LinkId, Ticket};

/// Wants, at most. Those to be kept are one record of the store, of 38 bytes each.
pub(crate) const WANTS_MAX: usize = 16_384;

/// Missing blocks that a want remembers, at most, 2 MiB; beyond it, the last in the order of the tree are dropped and
/// found again by another walk.
const FRONTIER_HASHES_MAX: usize = 65_536;

/// Peers remembered as asked, for the status, at most.
const ASKED_SHOWN_MAX: usize = 16;

/// Names a want in the tables of the brain.
pub(crate) type WantId = u64;

/// One wanted tree.
#[derive(Debug)]
pub(crate) struct Want {
    pub(crate) root: Hash,
    pub(crate) keep: Keep,
    pub(crate) since: Instant,
    pub(crate) expires: Option<Instant>,
    /// Missing blocks that nobody has been asked for, the next at the end.
    pub(crate) frontier: Vec<Hash>,
    /// Missing blocks in the table of blocks.
    pub(crate) active: BTreeSet<Hash>,
    /// How many of them are parked.
    pub(crate) parked: usize,
    pub(crate) walking: Option<Ticket>,
    /// The frontier may be incomplete: walk again when it is empty.
    pub(crate) rewalk: bool,
    /// Walks in a row that brought nothing.
    pub(crate) idle_walks: u32,
    pub(crate) blocks: u64,
    pub(crate) block_bytes: u64,
    pub(crate) progress: Option<Instant>,
    pub(crate) asked: BTreeSet<SignPublicKey>,
    /// "No" answers in a row, by peer; 0 after a "yes".
    pub(crate) misses: BTreeMap<LinkId, u32>,
}

impl Want {
    pub(crate) fn new(root: Hash, keep: Keep, now: Instant, expires: Option<Instant>) -> Self {
        Self {
            root,
            keep,
            since: now,
            expires,
            frontier: Vec::new(),
            active: BTreeSet::new(),
            parked: 0,
            walking: None,
            rewalk: false,
            idle_walks: 0,
            blocks: 0,
            block_bytes: 0,
            progress: None,
            asked: BTreeSet::new(),
            misses: BTreeMap::new(),
        }
    }

    /// Adds missing blocks, given in the order of the tree, to be asked for before all others.
    pub(crate) fn extend(&mut self, missing: &[Hash], truncated: bool) {
        self.rewalk |= truncated;
        self.frontier.extend(missing.iter().rev());
        if self.frontier.len() > FRONTIER_HASHES_MAX {
            // Down to half, so that the front is not moved for each new hash.
            self.frontier.drain(..self.frontier.len() - FRONTIER_HASHES_MAX / 2);
            self.rewalk = true;
        }
    }

    /// Notes that a peer was asked for a block of it.
    pub(crate) fn asks(&mut self, peer: SignPublicKey) {
        if self.asked.len() < ASKED_SHOWN_MAX {
            self.asked.insert(peer);
        }
    }

    /// Whether nothing is known to be missing.
    pub(crate) fn is_drained(&self) -> bool {
        self.frontier.is_empty() && self.active.is_empty() && self.walking.is_none()
    }
}

/// All wants, and the order in which they take turns.
#[derive(Debug, Default)]
pub(crate) struct Wants {
    wants: BTreeMap<WantId, Want>,
    roots: BTreeMap<Hash, WantId>,
    last: WantId,
    /// Wants that may have something in their frontier.
    turns: VecDeque<WantId>,
    queued: BTreeSet<WantId>,
    /// Whether the wants to be kept differ from the record last made.
    unsaved: bool,
}

impl Wants {
    pub(crate) fn len(&self) -> usize {
        self.wants.len()
    }

    pub(crate) fn get(&self, id: WantId) -> Option<&Want> {
        self.wants.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: WantId) -> Option<&mut Want> {
        self.wants.get_mut(&id)
    }

    pub(crate) fn find(&self, root: &Hash) -> Option<WantId> {
        self.roots.get(root).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (WantId, &Want)> {
        self.wants.iter().map(|(id, want)| (*id, want))
    }

    pub(crate) fn add(&mut self, want: Want) -> WantId {
        self.last += 1;
        self.unsaved |= want.keep == Keep::UntilDone;
        self.roots.insert(want.root, self.last);
        self.wants.insert(self.last, want);
        self.last
    }

    /// Makes a want live longer: the stronger of what it has and what is asked.
    pub(crate) fn strengthen(&mut self, id: WantId, keep: Keep, expires: Option<Instant>) {
        let Some(want) = self.wants.get_mut(&id) else { return };
        if keep == Keep::UntilDone && want.keep == Keep::ThisRun {
            want.keep = keep;
            self.unsaved = true;
        }
        want.expires = want.expires.zip(expires).map(|(a, b)| a.max(b));
    }

    pub(crate) fn remove(&mut self, id: WantId) -> Option<Want> {
        let want = self.wants.remove(&id)?;
        self.roots.remove(&want.root);
        self.unsaved |= want.keep == Keep::UntilDone;
        Some(want)
    }

    /// Lets a want take its turn again.
    pub(crate) fn queue(&mut self, id: WantId) {
        if self.queued.insert(id) {
            self.turns.push_back(id);
        }
    }

    /// Whose turn it is; the turn is over.
    pub(crate) fn turn(&mut self) -> Option<WantId> {
        let id = self.turns.pop_front()?;
        self.queued.remove(&id);
        Some(id)
    }

    /// How many turns are waiting.
    pub(crate) fn turns(&self) -> usize {
        self.turns.len()
    }

    /// Forgets what a link said.
    pub(crate) fn forget_source(&mut self, link: LinkId) {
        for want in self.wants.values_mut() {
            want.misses.remove(&link);
        }
    }

    /// Whether the record is out of date.
    pub(crate) fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    /// The record of the wants to be kept, if it has changed since the last: `[0, [root…]]`.
    pub(crate) fn take_record(&mut self) -> Option<Bytes> {
        if !std::mem::take(&mut self.unsaved) {
            return None;
        }
        let mut e = Encoder::new();
        e.variant(0, 1);
        let kept = self.wants.values().filter(|want| want.keep == Keep::UntilDone);
        e.list(kept, |e, want| want.root.encode(e));
        Some(e.into_bytes().into())
    }

    /// Reads a record.
    pub(crate) fn from_record(record: &[u8]) -> Result<Vec<Hash>, DecodeError> {
        let d = &mut Decoder::new(record);
        d.record(1)?;
        d.list(WANTS_MAX, Hash::decode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn want(byte: u8, keep: Keep) -> Want {
        Want::new(Hash::from_bytes([byte; 32]), keep, Instant::now(), None)
    }

    #[test]
    fn only_wants_to_be_kept_are_in_the_record() {
        let mut wants = Wants::default();
        assert_eq!(wants.take_record(), None);
        wants.add(want(1, Keep::UntilDone));
        let second = wants.add(want(2, Keep::ThisRun));
        let record = wants.take_record().unwrap();
        assert_eq!(Wants::from_record(&record).unwrap(), [Hash::from_bytes([1; 32])]);
        wants.strengthen(second, Keep::UntilDone, None);
        assert_eq!(Wants::from_record(&wants.take_record().unwrap()).unwrap().len(), 2);
        assert_eq!(wants.take_record(), None);
    }

    #[test]
    fn the_first_block_of_the_tree_is_the_next_one() {
        let mut want = want(1, Keep::ThisRun);
        let hash = |byte| Hash::from_bytes([byte; 32]);
        want.extend(&[hash(1), hash(9)], false);
        assert_eq!(want.frontier.pop(), Some(hash(1)));
        want.extend(&[hash(2), hash(3)], false);
        assert_eq!(want.frontier, [hash(9), hash(3), hash(2)]);
    }

    #[test]
    fn a_frontier_over_its_limit_is_cut_and_walked_again() {
        let mut want = want(1, Keep::ThisRun);
        let hashes: Vec<Hash> =
            (0..FRONTIER_HASHES_MAX as u32 + 1).map(|i| Hash::of(&i.to_le_bytes())).collect();
        want.extend(&hashes, false);
        assert!(want.rewalk && want.frontier.len() <= FRONTIER_HASHES_MAX);
        assert_eq!(want.frontier.last(), Some(&hashes[0]));
    }
}
