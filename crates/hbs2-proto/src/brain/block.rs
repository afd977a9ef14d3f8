//! A wanted block: who is asked, what was said.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::fetch::Parts;
use super::rank::Source;
use super::wants::WantId;
use crate::LinkId;
use crate::random::Random;

/// First wait before one of our own kind is asked again for a block it did not have. It may be about to get it.
const RETRY_NATIVE: Duration = Duration::from_millis(250);

/// First wait before any other peer is asked again: the original's own spacing.
const RETRY_OTHER: Duration = Duration::from_secs(1);

/// Longest wait.
const RETRY_MAX: Duration = Duration::from_secs(300);

/// What is happening to a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Waits to be given to a peer.
    Queued,
    /// Peers have been asked whether they have it.
    Asking,
    /// In the queue of a peer that has it.
    Ready(LinkId),
    /// Its data has been asked for, with this cookie.
    Fetching(LinkId, u32),
    /// With the driver, from this peer; `mixed` when others delivered as well.
    Storing {
        /// Its length.
        bytes: u64,
        /// Whether blame would be uncertain.
        mixed: bool,
    },
    /// Nobody who could be asked has it now.
    Parked,
}

/// A peer that was asked in vain.
#[derive(Debug, Clone, Copy)]
struct Tried {
    epoch: u64,
    count: u32,
    until: Instant,
}

/// One block of the table.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) wants: Vec<WantId>,
    pub(crate) stage: Stage,
    /// The only peer that is asked for it, when no want lets others be asked.
    pub(crate) only: Option<LinkId>,
    /// Length as told by the peer in whose queue it is.
    pub(crate) bytes: u64,
    /// Bytes charged to the budget for it.
    pub(crate) charged: u64,
    /// Peers whose answer is open.
    pub(crate) asked: Vec<LinkId>,
    /// How often its length was asked for again, over datagrams.
    pub(crate) size_repeats: u32,
    /// Chunks left by a peer that did not finish.
    pub(crate) parts: Option<Parts>,
    tried: BTreeMap<LinkId, Tried>,
}

impl Block {
    pub(crate) fn new(want: WantId, only: Option<LinkId>) -> Self {
        Self {
            wants: vec![want],
            stage: Stage::Queued,
            only,
            bytes: 0,
            charged: 0,
            asked: Vec::new(),
            size_repeats: 0,
            parts: None,
            tried: BTreeMap::new(),
        }
    }

    /// Whether this peer may be asked now.
    pub(crate) fn may_ask(&self, now: Instant, link: LinkId, source: &Source) -> bool {
        self.only.is_none_or(|only| only == link)
            && !self.asked.contains(&link)
            && self.tried.get(&link).is_none_or(|tried| tried.epoch < source.epoch || tried.until <= now)
    }

    /// Whether this peer has been asked before, with whatever result.
    pub(crate) fn was_asked(&self, link: LinkId) -> bool {
        self.asked.contains(&link) || self.tried.contains_key(&link)
    }

    /// Notes that a peer was asked in vain: it is not asked again for a while that doubles each time.
    pub(crate) fn in_vain(&mut self, now: Instant, link: LinkId, source: &Source, random: &mut Random) {
        let before = self.tried.get(&link).filter(|tried| tried.epoch == source.epoch).map_or(0, |t| t.count);
        let first = if source.native { RETRY_NATIVE } else { RETRY_OTHER };
        let wait = (first * (1 << before.min(16))).min(RETRY_MAX);
        let tried = Tried { epoch: source.epoch, count: before + 1, until: now + random.jitter(wait) };
        self.tried.insert(link, tried);
    }

    /// Notes that a peer delivered nonsense: it is not asked again for the longest time.
    pub(crate) fn lied(&mut self, now: Instant, link: LinkId, source: &Source) {
        self.tried.insert(link, Tried { epoch: source.epoch, count: 16, until: now + RETRY_MAX });
    }

    /// When the first peer that was asked in vain may be asked again.
    pub(crate) fn retry(&self) -> Option<Instant> {
        self.tried.values().map(|tried| tried.until).min()
    }

    /// Forgets who was asked in vain.
    pub(crate) fn forget_tries(&mut self) {
        self.tried.clear();
    }

    /// Forgets a peer.
    pub(crate) fn forget(&mut self, link: LinkId) {
        self.asked.retain(|asked| *asked != link);
        self.tried.remove(&link);
    }
}
