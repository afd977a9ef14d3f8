//! What is wanted: trees, their known missing blocks, and whose turn it is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use hbs2_core::{Hash, SignPublicKey};

use crate::io::REFLOG_UPDATES_MAX;
use crate::{Keep, LinkId, Ticket};

/// Wants, at most. Those to be kept are one record of the store, of 38 bytes each.
pub(crate) const WANTS_MAX: usize = 16_384;

/// Missing blocks that a want remembers, at most, 2 MiB; beyond it, the last in the order of the tree are dropped and
/// found again by another walk.
const FRONTIER_HASHES_MAX: usize = 65_536;

/// Bytes and blocks of a text that a peer names, at most: heads and policies have at most a mebibyte, and so has a message.
const TEXT_BYTES_MAX: u64 = 2 * 1024 * 1024;
const TEXT_BLOCKS_MAX: u64 = 64;

/// Bytes and blocks of a log that a peer names, at most: the hundred thousand updates of a large one have 50 MiB, and a
/// log has no more entries than a million.
const LOG_BYTES_MAX: u64 = 256 * 1024 * 1024;
const LOG_BLOCKS_MAX: u64 = (REFLOG_UPDATES_MAX + REFLOG_UPDATES_MAX / 64) as u64;

/// Peers remembered as asked, for the status, at most.
const ASKED_SHOWN_MAX: usize = 16;

/// Time over which the rate of a want is measured, and after which what was measured is no news.
const RATE_SPAN: Duration = Duration::from_secs(2);

/// What a want may cost that others cause: a tree of which a peer says that it is to be something. What is on its way
/// when a bound is met comes on top of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// The link that named the tree.
    pub(crate) cause: Option<LinkId>,
    /// When the want ends unfulfilled.
    pub(crate) until: Instant,
    /// Bytes of blocks that are fetched for it, at most.
    pub(crate) bytes: u64,
    /// Blocks that are fetched for it, at most.
    pub(crate) blocks: u64,
}

impl Bounds {
    /// A want that only ends with time, for friends.
    pub(crate) fn time(until: Instant) -> Self {
        Self { cause: None, until, bytes: u64::MAX, blocks: u64::MAX }
    }

    /// A head, policy or message: one text and the blocks of its tree.
    pub(crate) fn text(cause: Option<LinkId>, until: Instant) -> Self {
        Self { cause, until, bytes: TEXT_BYTES_MAX, blocks: TEXT_BLOCKS_MAX }
    }

    /// The list of a log and its entries, which are small.
    pub(crate) fn log(cause: Option<LinkId>, until: Instant) -> Self {
        Self { cause, until, bytes: LOG_BYTES_MAX, blocks: LOG_BLOCKS_MAX }
    }

    /// The wider of two.
    fn or(self, other: Self) -> Self {
        Self {
            cause: self.cause.or(other.cause),
            until: self.until.max(other.until),
            bytes: self.bytes.max(other.bytes),
            blocks: self.blocks.max(other.blocks),
        }
    }
}

/// Names a want in the tables of the brain.
pub(crate) type WantId = u64;

/// One wanted tree.
#[derive(Debug)]
pub(crate) struct Want {
    pub(crate) root: Hash,
    pub(crate) keep: Keep,
    pub(crate) since: Instant,
    pub(crate) bounds: Option<Bounds>,
    /// The only peer that is asked for its blocks.
    pub(crate) only: Option<LinkId>,
    /// Whether a block of it was left out as too large.
    pub(crate) is_over: bool,
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
    /// Since when bytes are counted for the rate, and how many.
    span: (Instant, u64),
    /// Bytes per second in the span before.
    rate: u64,
}

impl Want {
    pub(crate) fn new(root: Hash, keep: Keep, now: Instant, bounds: Option<Bounds>) -> Self {
        Self {
            root,
            keep,
            since: now,
            bounds,
            only: None,
            is_over: false,
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
            span: (now, 0),
            rate: 0,
        }
    }

    /// A block of it, of `bytes` bytes, has been stored.
    pub(crate) fn gained(&mut self, now: Instant, bytes: u64) {
        self.blocks += 1;
        self.block_bytes += bytes;
        self.idle_walks = 0;
        let (begin, counted) = self.span;
        let passed = now.saturating_duration_since(begin);
        if passed < RATE_SPAN {
            self.span.1 = counted + bytes;
        } else {
            // A pause is no slowness: it ends the measurement.
            let paused = self.progress.is_none_or(|at| now.saturating_duration_since(at) > RATE_SPAN);
            self.rate = if paused { 0 } else { per_second(counted, passed) };
            self.span = (now, bytes);
        }
        self.progress = Some(now);
    }

    /// What has come lately, in bytes per second; 0 when nothing has.
    pub(crate) fn rate(&self, now: Instant) -> u64 {
        match self.progress {
            Some(at) if now.saturating_duration_since(at) <= RATE_SPAN => {
                let passed = now.saturating_duration_since(self.span.0);
                if self.rate == 0 { per_second(self.span.1, passed) } else { self.rate }
            }
            _ => 0,
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

    /// Whether all that is missing of it waits for somebody to have it.
    pub(crate) fn waits(&self) -> bool {
        self.parked > 0 && self.parked == self.active.len()
    }

    /// Whether a block of `bytes` bytes may be fetched for it.
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        self.bounds.is_none_or(|bounds| {
            self.blocks < bounds.blocks && self.block_bytes.saturating_add(bytes) <= bounds.bytes
        })
    }

    /// Whether nothing is known to be missing.
    pub(crate) fn is_drained(&self) -> bool {
        self.frontier.is_empty() && self.active.is_empty() && self.walking.is_none()
    }
}

/// A rate, over no less than a tenth of a second: what came at once is not a rate.
fn per_second(bytes: u64, passed: Duration) -> u64 {
    let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX).max(100);
    bytes.saturating_mul(1000) / millis
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

    /// Makes a want live longer and ask more peers: the stronger of what it has and what `other` asks. The blocks for which
    /// one peer alone was asked, and now may all be.
    pub(crate) fn strengthen(&mut self, id: WantId, other: &Want) -> Vec<Hash> {
        let Some(want) = self.wants.get_mut(&id) else { return Vec::new() };
        if other.keep == Keep::UntilDone && want.keep == Keep::ThisRun {
            want.keep = other.keep;
            self.unsaved = true;
        }
        want.bounds = want.bounds.zip(other.bounds).map(|(one, other)| one.or(other));
        if want.only.is_none() || want.only == other.only {
            return Vec::new();
        }
        want.only = None;
        want.active.iter().copied().collect()
    }

    /// The wants for which the peer at this link alone is asked.
    pub(crate) fn only_from(&self, link: LinkId) -> Vec<WantId> {
        self.iter().filter(|(_, want)| want.only == Some(link)).map(|(id, _)| id).collect()
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
        wants.strengthen(second, &want(2, Keep::UntilDone));
        assert_eq!(Wants::from_record(&wants.take_record().unwrap()).unwrap().len(), 2);
        assert_eq!(wants.take_record(), None);
    }

    #[test]
    fn the_rate_is_what_has_come_lately_and_nothing_after_a_while() {
        let mut want = want(1, Keep::ThisRun);
        let start = want.since;
        assert_eq!(want.rate(start), 0);
        for step in 1..=100 {
            want.gained(start + Duration::from_millis(100 * step), 100_000);
        }
        let now = start + Duration::from_secs(10);
        assert!((900_000..=1_100_000).contains(&want.rate(now)), "{}", want.rate(now));
        assert_eq!((want.rate(now + Duration::from_secs(3)), want.blocks), (0, 100));
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
