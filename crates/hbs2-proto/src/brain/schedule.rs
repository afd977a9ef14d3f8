//! Giving blocks to peers.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use hbs2_core::Hash;

use super::block::{Block, Stage};
use super::fetch::{Fetch, Parts, Run, Terms};
use super::rank::Source;
use super::wants::Want;
use super::{Brain, Timer};
use crate::LinkId;
use crate::moment::Moment;
use crate::wire::{BlockChunks, BlockInfo, ChunksBody, Message};

/// Blocks in the table, at most: one parked for each of as many wants as there may be, [`PARKED_MANY`] more, and as
/// many again on their way. Each takes a few hundred bytes.
const BLOCKS_MAX: usize = 32_768;

/// Blocks of one want in the table, at most, so that others have a place.
const WANT_BLOCKS_MAX: usize = 4096;

/// Parked blocks of one want at which it looks for no others. If nobody has these, hardly anybody has the rest.
const WANT_PARKED_MAX: usize = 256;

/// Parked blocks from which on a want with one of them looks for no others, so that wants that do not get on leave
/// room for those that do.
const PARKED_MANY: usize = 8192;

/// "No" answers in a row after which a peer is asked for blocks of a want only when nobody else is left.
const MISSES_MAX: u32 = 4;

/// One in so many blocks is asked of such a peer all the same: it may have become complete.
const EXPERIMENT_ONE_IN: usize = 32;

/// Peers asked at a time for a block when nobody is known to have anything of its tree, or to answer at all.
const PROBED_PEERS_MAX: usize = 4;

/// Blocks for which no place was found that are tolerated in one round before it ends.
const SKIPPED_MAX: usize = 64;

/// Blocks taken from a slow peer's queue at a time.
const STOLEN_MAX: usize = 16;

/// How much sooner, in microseconds, an idle peer must deliver for blocks to be moved to it.
const STEAL_GAIN_MICROS: u64 = 500_000;

/// What giving did.
enum Given {
    /// Peers have been asked.
    Asked,
    /// Peers could be asked, but are busy.
    Busy,
    /// Nobody else can be asked now.
    Nobody,
}

impl Brain {
    /// Gives out blocks as long as there are any and peers have a place.
    pub(super) fn pump(&mut self, m: &mut Moment<'_>) {
        let mut skipped = Vec::new();
        while skipped.len() < SKIPPED_MAX && self.any_place() {
            let Some(hash) = self.next_block(m) else {
                self.steal(m);
                break;
            };
            match self.give(m, &hash) {
                Given::Asked => {}
                Given::Busy => skipped.push(hash),
                Given::Nobody => self.park(m, hash),
            }
        }
        for hash in skipped.into_iter().rev() {
            self.queued.push_front(hash);
        }
    }

    /// Goes on wherever it is possible, after something was dropped or has come to its time.
    pub(super) fn kick(&mut self, m: &mut Moment<'_>) {
        let links: Vec<LinkId> = self.sources.keys().copied().collect();
        for link in links {
            self.start_fetches(m, link);
        }
        self.pump(m);
    }

    /// Asks a peer for the data of blocks in its queue, as far as its window and the memory allow.
    pub(super) fn start_fetches(&mut self, m: &mut Moment<'_>, link: LinkId) {
        let in_debt = self.is_in_debt(link);
        loop {
            let Some(source) = self.sources.get_mut(&link) else { return };
            if !source.has_room() {
                return;
            }
            let Some(hash) = source.ready.front() else { return };
            let Some(block) = self.blocks.get_mut(&hash).filter(|block| block.stage == Stage::Ready(link))
            else {
                source.ready.pop();
                continue;
            };
            let more = block.bytes.saturating_sub(block.charged);
            if more > 0 && !self.budget.fits(more) {
                self.starved.insert(link);
                return;
            }
            source.ready.pop();
            self.budget.charge(more);
            block.charged += more;
            let fresh = Parts::new(block.bytes, source.terms());
            let parts = block.parts.take().filter(|parts| parts.fits(&fresh)).unwrap_or(fresh);
            let mut cookie = m.random.u32();
            while source.fetches.contains_key(&cookie) {
                cookie = m.random.u32();
            }
            let open_bytes = parts.absent_bytes();
            let deadline = if in_debt { source.deadline_owed(m.now) } else { source.deadline(m.now) };
            source.serial += 1;
            source.in_flight += open_bytes;
            block.stage = Stage::Fetching(link, cookie);
            let datagrams = source.terms() == Terms::Datagrams;
            let mut todo = VecDeque::new();
            if datagrams {
                let runs = parts.absent_runs().into_iter();
                todo.extend(runs.map(|(first, count)| Run { first, count, again: false }));
                source.todo.push_back(cookie);
            } else {
                ask_chunks(m, link, cookie, &hash, &parts);
            }
            let fetch = Fetch {
                hash,
                parts,
                started: m.now,
                progress: m.now,
                serial: source.serial,
                open_bytes,
                repeats: 0,
                todo,
                listed: datagrams,
            };
            source.fetches.insert(cookie, fetch);
            self.timers.set(Timer::Fetch(link, cookie), deadline);
            self.ask_more(m, link);
        }
    }

    /// Memory has become free.
    pub(super) fn feed_starved(&mut self, m: &mut Moment<'_>) {
        for link in std::mem::take(&mut self.starved) {
            self.start_fetches(m, link);
        }
    }

    /// Puts a block back to be given to somebody else.
    pub(super) fn requeue(&mut self, hash: Hash) {
        if let Some(block) = self.blocks.get_mut(&hash) {
            block.stage = Stage::Queued;
            self.queued.push_back(hash);
        }
    }

    /// Puts a block back with what is here of it.
    pub(super) fn give_back(&mut self, hash: Hash, parts: Option<Parts>) {
        let Some(block) = self.blocks.get_mut(&hash) else { return };
        block.parts = parts.filter(|parts| parts.is_begun() && self.budget.is_relaxed());
        if block.parts.is_none() {
            self.budget.release(std::mem::take(&mut block.charged));
        }
        self.requeue(hash);
    }

    /// Sets a block aside until somebody answers or may be asked again.
    fn park(&mut self, m: &mut Moment<'_>, hash: Hash) {
        let Some(block) = self.blocks.get_mut(&hash) else { return };
        if !block.asked.is_empty() {
            block.stage = Stage::Asking; // somebody still owes an answer: it decides
            return;
        }
        block.stage = Stage::Parked;
        block.parts = None;
        self.budget.release(std::mem::take(&mut block.charged));
        self.parked.insert(hash);
        if let Some(at) = block.retry() {
            self.timers.set(Timer::Block(hash), at);
        }
        for id in block.wants.clone() {
            let Some(want) = self.wants.get_mut(id) else { continue };
            want.parked += 1;
            if want.waits() {
                self.walk_later(m.now, id);
            }
        }
    }

    pub(super) fn unpark(&mut self, hash: &Hash) {
        if !self.parked.remove(hash) {
            return;
        }
        self.timers.clear(&Timer::Block(*hash));
        self.leave_park(hash);
        self.requeue(*hash);
    }

    /// Counts a block as parked no more.
    pub(super) fn leave_park(&mut self, hash: &Hash) {
        let Some(block) = self.blocks.get(hash) else { return };
        for id in block.wants.clone() {
            if let Some(want) = self.wants.get_mut(id) {
                want.parked -= 1;
                self.wants.queue(id);
            }
        }
    }

    pub(super) fn unpark_all(&mut self) {
        for hash in self.parked.clone() {
            self.unpark(&hash);
        }
    }

    fn any_place(&self) -> bool {
        self.sources.values().any(Source::has_place)
    }

    /// The next block to be given out: those that came back first, then one of each want in turn.
    fn next_block(&mut self, m: &mut Moment<'_>) -> Option<Hash> {
        while let Some(hash) = self.queued.pop_front() {
            if self.blocks.get(&hash).is_some_and(|block| block.stage == Stage::Queued) {
                return Some(hash);
            }
        }
        for _ in 0..self.wants.turns() {
            if self.blocks.len() >= BLOCKS_MAX {
                return None;
            }
            let id = self.wants.turn()?;
            let Some(want) = self.wants.get_mut(id) else { continue };
            let parked_max = if self.parked.len() < PARKED_MANY { WANT_PARKED_MAX } else { 1 };
            if want.active.len() >= WANT_BLOCKS_MAX || want.parked >= parked_max {
                // It gets a turn again when one of its blocks is done or unparked.
                continue;
            }
            while let Some(hash) = want.frontier.pop() {
                if self.recent.contains(&hash) {
                    // It is here since; what it names may be missing in this want.
                    want.rewalk = true;
                    continue;
                }
                if !want.active.insert(hash) {
                    continue;
                }
                if let Some(block) = self.blocks.get_mut(&hash) {
                    block.wants.push(id);
                    let is_parked = block.stage == Stage::Parked;
                    want.parked += usize::from(is_parked);
                    if block.only.is_some() && block.only != want.only {
                        block.only = None;
                        if is_parked {
                            // There are others to ask.
                            self.unpark(&hash);
                            return Some(hash);
                        }
                    }
                    continue;
                }
                self.blocks.insert(hash, Block::new(id, want.only));
                self.wants.queue(id);
                return Some(hash);
            }
            self.check(m, id);
        }
        None
    }

    /// Asks the best peer for a block, or several when it is not known who has anything of its tree.
    ///
    /// A block is left to peers that answer. Whoever has not shown that he does is asked beside them, one question at a
    /// time: who keeps silent holds nothing up, and who is new soon has his share.
    fn give(&mut self, m: &mut Moment<'_>, hash: &Hash) -> Given {
        let Some(block) = self.blocks.get(hash) else { return Given::Asked };
        let want = block.wants.first().and_then(|id| self.wants.get(*id));
        let mut peers = Candidates::new(m.now, &self.sources, block, want);
        if !peers.any {
            return Given::Nobody;
        }
        let known = want.is_some_and(|want| want.misses.values().any(|misses| *misses == 0));
        let most = if known { 1 } else { PROBED_PEERS_MAX };
        let mut chosen = match (peers.good.is_empty(), peers.any_good) {
            (false, _) => best(&mut peers.good, most),
            (true, true) => return Given::Busy,
            (true, false) if !peers.poor.is_empty() => best(&mut peers.poor, most),
            (true, false) if peers.idle_mute.is_empty() => best(&mut peers.mute, PROBED_PEERS_MAX),
            (true, false) => Vec::new(),
        };
        if peers.any_good && known && !peers.poor.is_empty() && m.random.below(EXPERIMENT_ONE_IN) == 0 {
            chosen.extend(best(&mut peers.poor, 1));
        }
        chosen.append(&mut peers.idle_mute);
        if chosen.is_empty() {
            return Given::Busy;
        }
        for link in chosen {
            self.ask_size(m, link, *hash);
        }
        Given::Asked
    }

    fn ask_size(&mut self, m: &mut Moment<'_>, link: LinkId, hash: Hash) {
        let (Some(source), Some(block)) = (self.sources.get_mut(&link), self.blocks.get_mut(&hash)) else {
            return;
        };
        source.ask(hash);
        block.asked.push(link);
        block.size_repeats = 0;
        block.stage = Stage::Asking;
        for id in &block.wants {
            if let Some(want) = self.wants.get_mut(*id) {
                want.asks(source.key);
            }
        }
        self.timers.set(Timer::Size(link, hash), source.size_deadline(m.now));
        m.send(link, &Message::BlockInfo(BlockInfo::GetBlockSize(hash)));
    }

    /// Nothing new is to be asked for: moves blocks from the longest queue to an idle peer that is much sooner.
    fn steal(&mut self, m: &mut Moment<'_>) {
        let idle = self.sources.iter().filter(|(_, source)| {
            !source.is_mute()
                && !source.owes()
                && source.fetches.is_empty()
                && source.ready.is_empty()
                && source.asking().is_empty()
                && source.has_place()
        });
        let Some((idle, soon)) =
            idle.map(|(link, source)| (*link, source.wait_micros())).min_by_key(|(_, wait)| *wait)
        else {
            return;
        };
        let Some(slow) = self
            .sources
            .iter()
            .filter(|(_, source)| {
                source.ready.len() > 1 && source.wait_micros() > 2 * soon + STEAL_GAIN_MICROS
            })
            .max_by_key(|(_, source)| source.wait_micros())
            .map(|(link, _)| *link)
        else {
            return;
        };
        for _ in 0..STOLEN_MAX {
            let source = self.sources.get_mut(&slow).expect("just seen");
            if source.ready.len() <= 1 {
                break;
            }
            let Some(hash) = source.ready.pop_last() else { break };
            let (Some(block), Some(source)) = (self.blocks.get(&hash), self.sources.get(&idle)) else {
                continue;
            };
            if block.stage != Stage::Ready(slow) {
                continue;
            }
            if !block.may_ask(m.now, idle, source) {
                self.requeue(hash);
                break;
            }
            self.ask_size(m, idle, hash);
        }
    }
}

/// Peers that may be asked for a block.
#[derive(Debug, Default)]
struct Candidates {
    /// Whether there is any, with a place or without.
    any: bool,
    /// Whether there is a good one, with a place or without.
    any_good: bool,
    /// With a place: those that answer, and have said no to little of the tree.
    good: Vec<Rank>,
    /// With a place: those that answer, and have said no to much of it or delivered late.
    poor: Vec<Rank>,
    /// With a place: those that do not answer, and are asked something already.
    mute: Vec<Rank>,
    /// Those that do not answer, and are asked nothing.
    idle_mute: Vec<LinkId>,
}

impl Candidates {
    fn new(now: Instant, sources: &BTreeMap<LinkId, Source>, block: &Block, want: Option<&Want>) -> Self {
        let mut peers = Self::default();
        for (link, source) in sources.iter().filter(|(link, source)| block.may_ask(now, **link, source)) {
            let misses = want.and_then(|want| want.misses.get(link));
            let is_mute = source.is_mute();
            let is_poor = source.breaks_promises() || misses.is_some_and(|misses| *misses >= MISSES_MAX);
            peers.any = true;
            peers.any_good |= !is_mute && !is_poor;
            let rank = (source.ignored, source.wait_micros(), *link);
            match source.has_place() {
                true if is_mute && source.asking().is_empty() => peers.idle_mute.push(*link),
                true if is_mute => peers.mute.push(rank),
                true if is_poor => peers.poor.push(rank),
                true => peers.good.push(rank),
                false => {}
            }
        }
        peers
    }
}

/// A peer by the questions that it has ignored and the microseconds that it is likely to need.
type Rank = (u32, u64, LinkId);

/// The best `most` of some peers.
fn best(peers: &mut [Rank], most: usize) -> Vec<LinkId> {
    peers.sort_unstable();
    peers.iter().take(most).map(|(.., link)| *link).collect()
}

/// Asks for the absent chunks of a block.
pub(super) fn ask_chunks(m: &mut Moment<'_>, link: LinkId, cookie: u32, hash: &Hash, parts: &Parts) {
    for (first, count) in parts.absent_runs() {
        let body = ChunksBody::GetChunks { hash: *hash, chunk_bytes: parts.chunk_bytes(), first, count };
        m.send(link, &Message::BlockChunks(BlockChunks { cookie, body }));
    }
}
