//! Which block is asked of whom, and when.
//!
//! A *want* is a tree. A walk of the store finds what is absent of it; each absent block becomes known before those
//! it names, and the deepest known is asked for first, so the list of known missing blocks stays short. For each block
//! a peer is picked by the time it is likely to need; it is asked for the length, then for the data, many blocks at a
//! time. When a block is stored, what it names and is absent is wanted next.
//!
//! Whoever does not have a block, or does not deliver it, is not asked for it again for a while that doubles. A block
//! that nobody has is *parked* until such a while is over or a peer comes. A want never gives up by itself.
//!
//! * [`poll`] the table of polled references
//! * [`wants`] wants and turns — [`block`] one block's state — [`fetch`] the chunks of a block from one peer
//! * [`datagrams`] the same over a carrier that loses packets, [`pipe`] what is on its way there
//! * [`rank`] what a peer can do — [`ready`] what waits for it — [`budget`] how much memory may be used
//! * [`schedule`] giving blocks to peers — [`answers`] what comes back

mod answers;
mod block;
mod budget;
mod datagrams;
mod fetch;
mod pipe;
mod poll;
mod rank;
mod ready;
mod schedule;
mod status;
mod wants;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::addr::Transport;
use hbs2_core::{DecodeError, Hash, SignPublicKey};

use crate::moment::Moment;
use crate::refs::Seen;
use crate::timers::Timers;
use crate::{Keep, LinkId, Offence, Output, Ticket};

use block::{Block, Stage};
use budget::Budget;
use rank::Source;
use wants::{Want, WantId, Wants};

pub(crate) use poll::{Added, POLLS_MAX, Polls};
pub(crate) use wants::{Bounds, WANTS_MAX};

/// First wait before the store is walked again for a want that does not get on, in seconds; doubles.
const REWALK_SECONDS_MIN: u64 = 30;

/// Longest such wait, in seconds.
const REWALK_SECONDS_MAX: u64 = 600;

/// What wanting did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A new want.
    Started,
    /// It was wanted already.
    Joined,
    /// No place.
    Full,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// A parked block may be asked for again.
    Block(Hash),
    /// The answer to a question for a length is late.
    Size(LinkId, Hash),
    /// Data is late.
    Fetch(LinkId, u32),
    /// Chunks asked for over datagrams may be lost.
    Pipe(LinkId),
    /// Look again what is absent.
    Walk(WantId),
    /// The want ends unfulfilled.
    Expire(WantId),
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Brain {
    wants: Wants,
    walks: BTreeMap<Ticket, WantId>,
    blocks: BTreeMap<Hash, Block>,
    /// Blocks that wait to be given to a peer before any from a frontier.
    queued: VecDeque<Hash>,
    parked: BTreeSet<Hash>,
    /// Blocks stored lately.
    recent: Seen,
    sources: BTreeMap<LinkId, Source>,
    /// Peers that could not be asked for data because of the budget.
    starved: BTreeSet<LinkId>,
    budget: Budget,
    timers: Timers<Timer>,
    /// Trees that are complete and not yet told.
    done: Vec<Hash>,
    /// Wants that ended unfulfilled and are not yet told.
    lost: Vec<Hash>,
}

impl Brain {
    /// Sets how many bytes of blocks may be held.
    pub(crate) fn limit(&mut self, bytes: u64) {
        self.budget.limit(bytes);
    }

    /// Wants a tree. Its end is told by [`take_done`](Self::take_done), or by [`take_lost`](Self::take_lost) when it
    /// meets one of its bounds.
    pub(crate) fn want(
        &mut self,
        m: &mut Moment<'_>,
        root: Hash,
        keep: Keep,
        bounds: Option<Bounds>,
    ) -> Wanted {
        self.add_want(m, Want::new(root, keep, m.now, bounds))
    }

    /// Wants a tree until `until` or the end of a link, and its blocks of the peer at that link alone. As to its end, see
    /// [`want`](Self::want). Nothing when that link is not used.
    pub(crate) fn want_from(
        &mut self,
        m: &mut Moment<'_>,
        root: Hash,
        link: LinkId,
        until: Instant,
    ) -> Option<Wanted> {
        self.sources.get(&link)?;
        let mut want = Want::new(root, Keep::ThisRun, m.now, Some(Bounds::time(until)));
        want.only = Some(link);
        Some(self.add_want(m, want))
    }

    fn add_want(&mut self, m: &mut Moment<'_>, want: Want) -> Wanted {
        if let Some(id) = self.wants.find(&want.root) {
            for hash in self.wants.strengthen(id, &want) {
                if let Some(block) = self.blocks.get_mut(&hash) {
                    block.only = None;
                }
            }
            self.hurry(m, id);
            return Wanted::Joined;
        }
        if self.wants.len() >= WANTS_MAX {
            m.out.counters.wants_refused += 1;
            return Wanted::Full;
        }
        let bounds = want.bounds;
        let id = self.wants.add(want);
        if let Some(bounds) = bounds {
            self.timers.set(Timer::Expire(id), bounds.until);
        }
        self.walk(m, id);
        Wanted::Started
    }

    /// Drops a want.
    pub(crate) fn unwant(&mut self, m: &mut Moment<'_>, root: &Hash) {
        if let Some(id) = self.wants.find(root) {
            self.lost.push(*root);
            self.drop_want(id);
            self.kick(m);
        }
    }

    /// Drops a want with bounds, as nobody needs it any more. A want that somebody asked for stays.
    pub(crate) fn release(&mut self, m: &mut Moment<'_>, root: &Hash) {
        let id = self.wants.find(root);
        if id.and_then(|id| self.wants.get(id)).is_some_and(|want| want.bounds.is_some()) {
            self.unwant(m, root);
        }
    }

    /// Drops a want from one peer. If somebody else wants it too, it stays.
    pub(crate) fn unwant_from(&mut self, m: &mut Moment<'_>, root: &Hash) {
        let id = self.wants.find(root);
        if id.and_then(|id| self.wants.get(id)).is_some_and(|want| want.only.is_some()) {
            self.unwant(m, root);
        }
    }

    /// Trees that have become complete.
    pub(crate) fn take_done(&mut self) -> Vec<Hash> {
        std::mem::take(&mut self.done)
    }

    /// Wants that have ended unfulfilled.
    pub(crate) fn take_lost(&mut self) -> Vec<Hash> {
        std::mem::take(&mut self.lost)
    }

    /// Whether so much is wanted that what comes in large numbers had better wait.
    pub(crate) fn is_crowded(&self) -> bool {
        self.wants.len() >= WANTS_MAX / 2
    }

    /// A trusted link is to be used.
    pub(crate) fn source_up(
        &mut self,
        m: &mut Moment<'_>,
        link: LinkId,
        key: SignPublicKey,
        native: bool,
        round_trip: Option<Duration>,
        carrier: Transport,
    ) {
        let mut source = Source::new(m.now, key, round_trip, carrier);
        source.native = native;
        self.sources.insert(link, source);
        self.unpark_all();
        self.pump(m);
    }

    /// A peer has said what it is.
    pub(crate) fn described(&mut self, link: LinkId, native: bool) {
        if let Some(source) = self.sources.get_mut(&link) {
            source.native = native;
        }
    }

    /// A round trip was measured.
    pub(crate) fn measured(&mut self, link: LinkId, round_trip: Duration) {
        if let Some(source) = self.sources.get_mut(&link) {
            source.measured(round_trip);
        }
    }

    /// A link is not to be used any more.
    pub(crate) fn source_down(&mut self, m: &mut Moment<'_>, link: LinkId) {
        let Some(mut source) = self.sources.remove(&link) else { return };
        self.starved.remove(&link);
        self.timers.clear(&Timer::Pipe(link));
        for hash in source.asking() {
            self.timers.clear(&Timer::Size(link, *hash));
        }
        for (cookie, fetch) in source.fetches {
            self.timers.clear(&Timer::Fetch(link, cookie));
            self.give_back(fetch.hash, Some(fetch.parts));
        }
        for hash in source.ready.drain() {
            if self.blocks.get(&hash).is_some_and(|block| block.stage == Stage::Ready(link)) {
                self.requeue(hash);
            }
        }
        let mut alone = Vec::new();
        for (hash, block) in &mut self.blocks {
            block.forget(link);
            if block.stage == Stage::Asking && block.asked.is_empty() {
                alone.push(*hash);
            }
        }
        alone.into_iter().for_each(|hash| self.requeue(hash));
        self.wants.forget_source(link);
        for id in self.wants.only_from(link) {
            self.lose(m, id);
        }
        self.pump(m);
    }

    /// A peer has news: what it did not have, it may have now.
    pub(crate) fn announced(&mut self, m: &mut Moment<'_>, link: LinkId) {
        if let Some(source) = self.sources.get_mut(&link) {
            source.epoch += 1;
            self.unpark_all();
            self.pump(m);
        }
    }

    /// Whether a block is likely to be here soon.
    pub(crate) fn is_coming(&self, hash: &Hash) -> bool {
        match self.blocks.get(hash) {
            Some(block) => block.stage != Stage::Parked,
            None => self.wants.find(hash).is_some() && !self.sources.is_empty(),
        }
    }

    /// Does what is due.
    pub(crate) fn wake(&mut self, m: &mut Moment<'_>) {
        while let Some(timer) = self.timers.pop_due(m.now) {
            match timer {
                Timer::Block(hash) => self.unpark(&hash),
                Timer::Size(link, hash) => self.size_late(m, link, hash),
                Timer::Fetch(link, cookie) => self.fetch_late(m, link, cookie),
                Timer::Pipe(link) => self.pipe_due(m, link),
                Timer::Walk(id) => self.walk(m, id),
                Timer::Expire(id) => self.expire(m, id),
            }
        }
        self.kick(m);
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Whether the record of wants is out of date.
    pub(crate) fn is_unsaved(&self) -> bool {
        self.wants.is_unsaved()
    }

    /// The record of wants, if it is out of date.
    pub(crate) fn take_record(&mut self) -> Option<Bytes> {
        self.wants.take_record()
    }

    /// Reads a record of wants.
    pub(crate) fn from_record(record: &[u8]) -> Result<Vec<Hash>, DecodeError> {
        Wants::from_record(record)
    }

    /// Asks the store what is absent of a want.
    fn walk(&mut self, m: &mut Moment<'_>, id: WantId) {
        let Some(want) = self.wants.get_mut(id) else { return };
        if want.walking.is_some() {
            return;
        }
        let ticket = m.out.ticket();
        want.walking = Some(ticket);
        want.rewalk = false;
        self.walks.insert(ticket, id);
        self.timers.clear(&Timer::Walk(id));
        m.out.push(Output::Walk { ticket, root: want.root });
    }

    /// Walks again later, because the want does not get on.
    fn walk_later(&mut self, now: Instant, id: WantId) {
        let Some(want) = self.wants.get_mut(id) else { return };
        let seconds = (REWALK_SECONDS_MIN << want.idle_walks.min(8)).min(REWALK_SECONDS_MAX);
        self.timers.set_earlier(Timer::Walk(id), now + Duration::from_secs(seconds));
    }

    /// Ends a want that has nothing left to fetch, or looks again if it cannot be sure.
    fn check(&mut self, m: &mut Moment<'_>, id: WantId) {
        let Some(want) = self.wants.get(id) else { return };
        if !want.is_drained() {
            return;
        }
        if want.rewalk {
            return self.walk(m, id);
        }
        let root = want.root;
        self.drop_want(id);
        self.done.push(root);
    }

    /// Somebody wants it again: ask everybody at once, and look again what is absent if it does not get on. Blocks
    /// may have come by another way, from the node's owner for instance.
    fn hurry(&mut self, m: &mut Moment<'_>, id: WantId) {
        let Some(want) = self.wants.get(id) else { return };
        if want.parked == want.active.len() || self.sources.is_empty() {
            self.walk(m, id);
        }
        let Some(want) = self.wants.get(id) else { return };
        let parked: Vec<Hash> =
            want.active.iter().filter(|hash| self.parked.contains(hash)).copied().collect();
        for hash in &parked {
            if let Some(block) = self.blocks.get_mut(hash) {
                block.forget_tries();
            }
            self.unpark(hash);
        }
        if !parked.is_empty() {
            self.pump(m);
        }
    }

    fn expire(&mut self, m: &mut Moment<'_>, id: WantId) {
        let Some(want) = self.wants.get(id) else { return };
        match want.bounds {
            Some(bounds) if bounds.until <= m.now => self.lose(m, id),
            Some(bounds) => self.timers.set(Timer::Expire(id), bounds.until),
            None => {}
        }
    }

    /// Ends a want that has met one of its bounds. Who named a tree that is too large is to blame for it.
    fn lose(&mut self, m: &mut Moment<'_>, id: WantId) {
        let Some(want) = self.wants.get(id) else { return };
        self.lost.push(want.root);
        if want.is_over {
            m.out.counters.wants_over += 1;
            if let Some(cause) = want.bounds.and_then(|bounds| bounds.cause) {
                m.offend(cause, Offence::Bait);
            }
        }
        self.drop_want(id);
    }

    fn drop_want(&mut self, id: WantId) {
        let Some(want) = self.wants.remove(id) else { return };
        self.timers.clear(&Timer::Walk(id));
        self.timers.clear(&Timer::Expire(id));
        if let Some(ticket) = want.walking {
            self.walks.remove(&ticket);
        }
        for hash in want.active {
            let Some(block) = self.blocks.get_mut(&hash) else { continue };
            block.wants.retain(|other| *other != id);
            // A block with the driver stays until the driver has answered.
            if block.wants.is_empty() && !matches!(block.stage, Stage::Storing { .. }) {
                self.drop_block(&hash);
            }
        }
    }

    /// Forgets a block that nobody wants. Questions for its length stay with those who were asked.
    fn drop_block(&mut self, hash: &Hash) {
        let Some(block) = self.blocks.remove(hash) else { return };
        self.budget.release(block.charged);
        self.parked.remove(hash);
        self.timers.clear(&Timer::Block(*hash));
        if let Stage::Fetching(link, cookie) = block.stage
            && let Some(source) = self.sources.get_mut(&link)
            && let Some(fetch) = source.fetches.remove(&cookie)
        {
            source.in_flight = source.in_flight.saturating_sub(fetch.open_bytes);
            source.forget(cookie);
            self.timers.clear(&Timer::Fetch(link, cookie));
        }
    }
}
