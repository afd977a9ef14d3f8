//! What comes back: lengths, chunks, lateness, and the driver's word on finished blocks.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::Hash;
use hbs2_core::limits::BLOCK_BYTES_MAX;

use super::block::Stage;
use super::fetch::Put;
use super::rank::{DEADLINE_OWED_MIN, Source};
use super::schedule::ask_chunks;
use super::wants::WantId;
use super::{Brain, Timer};
use crate::conduct::Kind;
use crate::moment::Moment;
use crate::wire::{BlockInfo, Message};
use crate::{Event, LinkId, Offence, Output, Ticket};

/// How long data may take in all while the peer delivers other blocks.
const FETCH_SECONDS_MAX: u64 = 60;

/// Time between looks at a request that is late while the peer delivers.
const LOOK: Duration = Duration::from_secs(2);

/// How often data is asked for again at the same peer.
const REPEATS_MAX: u32 = 1;

/// How often a length is asked for again over datagrams, where questions and answers get lost.
const SIZE_REPEATS_MAX: u32 = 3;

/// Requests that may be answered before an earlier one that has not begun: beyond it, the earlier one is lost. Our
/// own kind answers in order; others may answer in any, within what they read at a time.
const OVERTAKEN_MAX: u64 = 64;

/// Wait before a block is fetched again that the store could not write.
const STORE_RETRY: Duration = Duration::from_secs(10);

impl Brain {
    /// The store has said what is absent of a want.
    pub(crate) fn walked(&mut self, m: &mut Moment<'_>, ticket: Ticket, missing: &[Hash], truncated: bool) {
        let Some(id) = self.walks.remove(&ticket) else { return };
        let Some(want) = self.wants.get_mut(id) else { return };
        want.walking = None;
        // What the store does not have was not stored lately, whatever we remember.
        missing.iter().for_each(|hash| self.recent.forget(hash));
        let idle = truncated && missing.is_empty() && want.active.is_empty() && want.frontier.is_empty();
        want.frontier.clear();
        want.extend(missing, truncated);
        if idle {
            // A tree beyond what the store can walk: try again, but not in a circle.
            want.idle_walks += 1;
            return self.walk_later(m.now, id);
        }
        if !truncated {
            self.drop_present(id, missing);
        }
        if let Some(want) = self.wants.get_mut(id)
            && want.parked > 0
        {
            want.idle_walks += 1;
            if want.parked == want.active.len() {
                self.walk_later(m.now, id);
            }
        }
        self.wants.queue(id);
        self.check(m, id);
        self.pump(m);
    }

    /// Drops blocks of a want that a walk has not found missing: they have come by another way.
    fn drop_present(&mut self, id: WantId, missing: &[Hash]) {
        let Some(want) = self.wants.get(id) else { return };
        let idle = |hash: &&Hash| {
            self.blocks.get(hash).is_some_and(|block| matches!(block.stage, Stage::Parked | Stage::Queued))
        };
        let missing: std::collections::BTreeSet<&Hash> = missing.iter().collect();
        let idle = want.active.iter().filter(idle);
        let present: Vec<Hash> = idle.filter(|hash| !missing.contains(hash)).copied().collect();
        for hash in present {
            if self.parked.remove(&hash) {
                self.leave_park(&hash);
            }
            let wants = self.blocks.get(&hash).map(|block| block.wants.clone()).unwrap_or_default();
            for id in wants {
                if let Some(want) = self.wants.get_mut(id) {
                    want.active.remove(&hash);
                    want.rewalk = true;
                }
            }
            self.drop_block(&hash);
        }
    }

    /// A peer has said how long a block is, or that it does not have it.
    pub(crate) fn size(&mut self, m: &mut Moment<'_>, link: LinkId, hash: Hash, bytes: Option<u64>) {
        let Some(source) = self.sources.get_mut(&link) else { return };
        source.answer(&hash);
        self.timers.clear(&Timer::Size(link, hash));
        let Some(block) = self.blocks.get_mut(&hash).filter(|block| block.was_asked(link)) else { return };
        block.asked.retain(|asked| *asked != link);
        if bytes.is_some_and(|bytes| bytes > BLOCK_BYTES_MAX as u64) {
            m.offend(link, Offence::WrongSize);
        }
        let bytes = bytes.filter(|bytes| *bytes <= BLOCK_BYTES_MAX as u64);
        for id in &block.wants {
            if let Some(want) = self.wants.get_mut(*id) {
                let misses = want.misses.entry(link).or_default();
                *misses = if bytes.is_some() { 0 } else { *misses + 1 };
            }
        }
        match bytes {
            None => {
                source.misses += 1;
                block.in_vain(m.now, link, source, m.random);
                self.look_further(hash);
                self.pump(m);
            }
            Some(bytes) if matches!(block.stage, Stage::Queued | Stage::Asking | Stage::Parked) => {
                source.promise();
                if self.parked.remove(&hash) {
                    self.timers.clear(&Timer::Block(hash));
                    self.leave_park(&hash);
                }
                self.ready(m, link, hash, bytes);
                self.pump(m);
            }
            Some(_) => {}
        }
    }

    /// A peer has a block: it will be asked for its data.
    fn ready(&mut self, m: &mut Moment<'_>, link: LinkId, hash: Hash, bytes: u64) {
        let (Some(source), Some(block)) = (self.sources.get_mut(&link), self.blocks.get_mut(&hash)) else {
            return;
        };
        let roomy = |id: &WantId| self.wants.get(*id).is_none_or(|want| want.has_room(bytes));
        if !block.wants.is_empty() && !block.wants.iter().any(roomy) {
            for id in &block.wants {
                if let Some(want) = self.wants.get_mut(*id) {
                    want.is_over = true;
                }
            }
            block.in_vain(m.now, link, source, m.random);
            return self.requeue(hash);
        }
        block.bytes = bytes;
        if bytes == 0 {
            block.stage = Stage::Storing { bytes, mixed: false };
            m.out.push(Output::StoreBlock { hash, parts: Vec::new(), from: link });
            return;
        }
        block.stage = Stage::Ready(link);
        source.ready.push(block.wants.first().copied().unwrap_or_default(), hash);
        self.start_fetches(m, link);
    }

    /// The answer to a question for a length is late.
    pub(super) fn size_late(&mut self, m: &mut Moment<'_>, link: LinkId, hash: Hash) {
        let Some(source) = self.sources.get_mut(&link) else { return };
        let block = self.blocks.get_mut(&hash).filter(|block| block.asked.contains(&link));
        if let Some(block) = block {
            if source.pipe.is_some() && block.size_repeats < SIZE_REPEATS_MAX {
                block.size_repeats += 1;
                self.timers.set(Timer::Size(link, hash), source.size_deadline(m.now));
                return m.send(link, &Message::BlockInfo(BlockInfo::GetBlockSize(hash)));
            }
            block.asked.retain(|asked| *asked != link);
            block.in_vain(m.now, link, source, m.random);
        }
        source.ignores(&hash);
        m.out.counters.requests_late += 1;
        self.look_further(hash);
    }

    /// Lets a block be given to others when only such peers are still asked for it as may never answer.
    fn look_further(&mut self, hash: Hash) {
        let Some(block) = self.blocks.get(&hash) else { return };
        let may_answer = |link| self.sources.get(link).is_some_and(|source| !source.is_mute());
        if block.stage == Stage::Asking && !block.asked.iter().any(may_answer) {
            self.requeue(hash);
        }
    }

    /// A chunk has come.
    pub(crate) fn chunk(&mut self, m: &mut Moment<'_>, link: LinkId, cookie: u32, number: u16, data: Bytes) {
        let fetch = self.sources.get_mut(&link).and_then(|source| source.fetches.get_mut(&cookie));
        let Some(fetch) = fetch else { return unasked(m, link, data.len()) };
        let bytes = data.len() as u64;
        match fetch.parts.put(link, number, data) {
            Put::Repeated => unasked(m, link, bytes as usize),
            Put::Wrong => {
                m.out.counters.chunks_unexpected += 1;
                m.offend(link, Offence::WrongSize);
            }
            Put::New => {
                fetch.progress = m.now;
                fetch.open_bytes = fetch.open_bytes.saturating_sub(bytes);
                if let Some(source) = self.sources.get_mut(&link) {
                    source.delivered(m.now, bytes);
                    source.arrived(m, cookie, number);
                }
                self.start_fetches(m, link);
                self.ask_more(m, link);
            }
            Put::Last => {
                if let Some(source) = self.sources.get_mut(&link) {
                    source.arrived(m, cookie, number);
                }
                self.complete(m, link, cookie, bytes);
                self.start_fetches(m, link);
                self.ask_more(m, link);
                self.pump(m);
            }
        }
    }

    /// The last chunk of a block has come, of `last` bytes.
    fn complete(&mut self, m: &mut Moment<'_>, link: LinkId, cookie: u32, last: u64) {
        let Some(source) = self.sources.get_mut(&link) else { return };
        let Some(fetch) = source.fetches.remove(&cookie) else { return };
        source.forget(cookie);
        self.timers.clear(&Timer::Fetch(link, cookie));
        let bytes = fetch.parts.bytes();
        source.completed(m.now, bytes, m.now.saturating_duration_since(fetch.started));
        source.delivered(m.now, last);
        source.answered = source.answered.max(fetch.serial);
        let (parts, mixed) = fetch.parts.finish();
        if let Some(block) = self.blocks.get_mut(&fetch.hash) {
            block.stage = Stage::Storing { bytes, mixed };
        }
        m.out.push(Output::StoreBlock { hash: fetch.hash, parts, from: link });
    }

    /// Data is late: waits on while the peer is merely slow, asks again once, then gives the block to others.
    pub(super) fn fetch_late(&mut self, m: &mut Moment<'_>, link: LinkId, cookie: u32) {
        let in_debt = self.is_in_debt(link);
        let Some(source) = self.sources.get_mut(&link) else { return };
        let Some(fetch) = source.fetches.get_mut(&cookie) else { return };
        let look = if in_debt { DEADLINE_OWED_MIN } else { LOOK };
        let recent = |at: Instant| m.now.saturating_duration_since(at) < look;
        let overtaken = source.answered > fetch.serial + OVERTAKEN_MAX && !fetch.parts.is_begun();
        let old = m.now >= fetch.started + Duration::from_secs(FETCH_SECONDS_MAX);
        let datagrams = source.pipe.is_some();
        if datagrams && !fetch.stands_still(m.now) {
            self.timers.set(Timer::Fetch(link, cookie), m.now + LOOK);
            return;
        }
        let moving = recent(fetch.progress) || (source.progress.is_some_and(recent) && !overtaken && !old);
        if moving {
            self.timers.set(Timer::Fetch(link, cookie), m.now + look);
            return;
        }
        m.out.counters.requests_late += 1;
        if fetch.repeats < REPEATS_MAX && !datagrams && !in_debt {
            fetch.repeats += 1;
            ask_chunks(m, link, cookie, &fetch.hash, &fetch.parts);
            source.late(m.now);
            let deadline = source.deadline(m.now);
            self.timers.set(Timer::Fetch(link, cookie), deadline);
            return;
        }
        let Some(fetch) = source.fetches.remove(&cookie) else { return };
        source.forget(cookie);
        source.in_flight = source.in_flight.saturating_sub(fetch.open_bytes);
        source.late(m.now);
        if let Some(block) = self.blocks.get_mut(&fetch.hash) {
            block.in_vain(m.now, link, source, m.random);
        }
        let ready: Vec<Hash> = if in_debt { source.ready.drain().collect() } else { Vec::new() };
        self.give_back(fetch.hash, Some(fetch.parts));
        for hash in ready {
            if self.blocks.get(&hash).is_some_and(|block| block.stage == Stage::Ready(link)) {
                self.requeue(hash);
            }
        }
        self.start_fetches(m, link);
        self.ask_more(m, link);
    }

    /// Whether a peer owes data that others are likely to deliver.
    pub(super) fn is_in_debt(&self, link: LinkId) -> bool {
        let may_deliver = |source: &Source| !source.is_mute() && !source.breaks_promises();
        self.sources.get(&link).is_some_and(Source::owes)
            && self.sources.iter().any(|(other, source)| *other != link && may_deliver(source))
    }

    /// The driver has stored a block. Returns its length.
    pub(crate) fn stored(
        &mut self,
        m: &mut Moment<'_>,
        hash: &Hash,
        missing: &[Hash],
        truncated: bool,
    ) -> Option<u64> {
        let Stage::Storing { bytes, .. } = self.blocks.get(hash)?.stage else { return None };
        let block = self.blocks.remove(hash)?;
        self.budget.release(block.charged);
        self.recent.note(*hash);
        m.out.counters.blocks_fetched += 1;
        m.out.counters.block_bytes_fetched += bytes;
        for id in block.wants {
            let Some(want) = self.wants.get_mut(id) else { continue };
            want.active.remove(hash);
            want.gained(m.now, bytes);
            want.extend(missing, truncated);
            if !want.has_room(0) && !want.is_drained() {
                want.is_over = true;
                self.lose(m, id);
                continue;
            }
            self.wants.queue(id);
            self.check(m, id);
        }
        self.feed_starved(m);
        self.pump(m);
        Some(bytes)
    }

    /// The bytes of a block were wrong.
    pub(crate) fn rejected(&mut self, m: &mut Moment<'_>, hash: Hash, from: LinkId) {
        let Some(block) = self.blocks.get_mut(&hash) else { return };
        let Stage::Storing { mixed, .. } = block.stage else { return };
        m.out.counters.blocks_rejected += 1;
        self.budget.release(std::mem::take(&mut block.charged));
        if let Some(source) = self.sources.get(&from).filter(|_| !mixed) {
            block.lied(m.now, from, source);
            let peer = source.key;
            m.out.event(Event::Corrupt { peer, hash });
            m.offend(from, Offence::WrongBlock);
        }
        self.after_storing(m, hash);
    }

    /// The store could not write a block.
    pub(crate) fn failed(&mut self, m: &mut Moment<'_>, hash: Hash) {
        let Some(block) = self.blocks.get_mut(&hash) else { return };
        let Stage::Storing { .. } = block.stage else { return };
        m.out.counters.blocks_failed += 1;
        self.budget.release(std::mem::take(&mut block.charged));
        block.stage = Stage::Parked;
        self.parked.insert(hash);
        self.timers.set(Timer::Block(hash), m.now + STORE_RETRY);
        let wants = block.wants.clone();
        for id in &wants {
            if let Some(want) = self.wants.get_mut(*id) {
                want.parked += 1;
            }
        }
        if wants.is_empty() {
            self.drop_block(&hash);
        }
        self.feed_starved(m);
    }

    /// A block has come back from the driver unstored: fetch it again, if it is still wanted.
    fn after_storing(&mut self, m: &mut Moment<'_>, hash: Hash) {
        if self.blocks.get(&hash).is_some_and(|block| block.wants.is_empty()) {
            self.drop_block(&hash);
        } else {
            self.requeue(hash);
        }
        self.feed_starved(m);
        self.pump(m);
    }
}

/// Bytes have come that nobody waits for. Some are what was asked for twice, or not wanted any more; many are a flood.
fn unasked(m: &mut Moment<'_>, link: LinkId, bytes: usize) {
    m.out.counters.chunks_unexpected += 1;
    m.conduct.admits(m.now, link, Kind::Unasked, bytes);
}
