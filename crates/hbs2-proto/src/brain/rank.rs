//! What we know of a peer as a source of blocks: how fast, how far, how much may be asked of it.
//!
//! The window is the number of bytes asked for and not yet delivered. It starts small and doubles each round trip
//! while answers come promptly; when an answer takes much longer than the line needs, data queues up somewhere and
//! the window shrinks. So a loopback peer is soon kept busy with megabytes and a modem with one block.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use hbs2_core::addr::Transport;
use hbs2_core::{Hash, SignPublicKey};

use super::fetch::{Fetch, Terms};
use super::pipe::Pipe;
use super::ready::Ready;

/// First window, in bytes: two full chunks of data.
const WINDOW_BYTES_START: u64 = 512 * 1024;

/// Smallest window, in bytes. A block is asked for whenever less than the window is under way, so there is always
/// one; half a chunk of data asks for the next before the last one ends.
const WINDOW_BYTES_MIN: u64 = 128 * 1024;

/// Largest window, in bytes: a gigabit line with 60 ms round trip; and what one peer may hold of our memory.
const WINDOW_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Time an answer may take beyond two round trips before the window shrinks. What waits in queues for longer makes
/// everything else on the line late.
const QUEUE_DELAY: Duration = Duration::from_millis(250);

/// Growth of the window per window's worth of data once it has shrunk before, in bytes.
const GROWTH_BYTES: u64 = 64 * 1024;

/// Rate assumed of an unknown peer, in bytes per second: a slow home line.
const RATE_START: u64 = 1_000_000;

/// Round trip assumed of an unknown peer.
const ROUND_TRIP_START: Duration = Duration::from_millis(50);

/// Time over which rates are measured.
const RATE_SPAN: Duration = Duration::from_millis(100);

/// Blocks whose size is asked or known but whose data is not asked for yet, at least and at most.
const AHEAD_BLOCKS_MIN: usize = 16;
const AHEAD_BLOCKS_MAX: usize = 1024;

/// Shortest deadline for data of a peer that owes some while others deliver: a line of 64 KiB a second brings a chunk.
pub(super) const DEADLINE_OWED_MIN: Duration = Duration::from_secs(1);

/// Shortest and longest deadline.
const DEADLINE_MIN: Duration = Duration::from_secs(2);
const DEADLINE_MAX: Duration = Duration::from_secs(30);

/// Shortest wait for a size over datagrams: the original sends the same question no more than once a second.
const DATAGRAM_SIZE_WAIT: Duration = Duration::from_secs(1);

/// Bytes of a chunk over datagrams, for turning the window of the pipe into bytes.
const DATAGRAM_CHUNK_BYTES: u64 = 1024;

/// How a peer keeps its word that it has a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promises {
    /// It has promised nothing yet, or its latest block has come.
    Kept,
    /// It has given its first.
    Given,
    /// Its data has been late since it last delivered a block.
    Broken,
}

/// A linked peer as a source of blocks.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) key: SignPublicKey,
    pub(crate) native: bool,
    /// Raised when what it said it has not is forgotten.
    pub(crate) epoch: u64,
    /// Blocks whose size it was asked for and may still tell, also when somebody else has told it meanwhile.
    asking: BTreeSet<Hash>,
    /// Such questions that it has ignored since its last answer; one before its first answer.
    pub(crate) ignored: u32,
    promises: Promises,
    /// Blocks it has, whose data is not asked for yet.
    pub(crate) ready: Ready,
    /// Blocks asked for, by cookie.
    pub(crate) fetches: BTreeMap<u32, Fetch>,
    /// Bytes asked for and not delivered.
    pub(crate) in_flight: u64,
    /// Requests so far.
    pub(crate) serial: u64,
    /// The latest request that has been answered in full.
    pub(crate) answered: u64,
    /// When a chunk last came.
    pub(crate) progress: Option<Instant>,
    pub(crate) blocks: u64,
    pub(crate) block_bytes: u64,
    /// Blocks it was asked for and did not have.
    pub(crate) misses: u64,
    /// Answers of it that were late.
    pub(crate) lates: u64,
    /// What is on its way, when the peer is reached by datagrams.
    pub(crate) pipe: Option<Pipe>,
    /// Over datagrams: blocks, by cookie, of which chunks are to be asked for.
    pub(crate) todo: VecDeque<u32>,
    round_trip: Duration,
    window: u64,
    slow_start: bool,
    shrunk: Instant,
    rate: u64,
    span: (Instant, u64),
}

impl Source {
    pub(crate) fn new(
        now: Instant,
        key: SignPublicKey,
        round_trip: Option<Duration>,
        carrier: Transport,
    ) -> Self {
        Self {
            key,
            native: false,
            epoch: 0,
            asking: BTreeSet::new(),
            ignored: 1,
            promises: Promises::Kept,
            ready: Ready::default(),
            fetches: BTreeMap::new(),
            in_flight: 0,
            serial: 0,
            answered: 0,
            progress: None,
            blocks: 0,
            block_bytes: 0,
            misses: 0,
            lates: 0,
            pipe: (carrier == Transport::Udp).then(|| Pipe::new(round_trip)),
            todo: VecDeque::new(),
            round_trip: round_trip.unwrap_or(ROUND_TRIP_START),
            window: WINDOW_BYTES_START,
            slow_start: true,
            shrunk: now,
            rate: RATE_START,
            span: (now, 0),
        }
    }

    /// Bytes that may be on their way.
    pub(crate) fn window(&self) -> u64 {
        self.pipe.as_ref().map_or(self.window, |pipe| u64::from(pipe.window()) * DATAGRAM_CHUNK_BYTES)
    }

    /// What it delivers, in bytes per second; 0 before it has delivered anything.
    pub(crate) fn rate_seen(&self) -> u64 {
        if self.block_bytes == 0 { 0 } else { self.rate }
    }

    /// How data is asked for.
    pub(crate) fn terms(&self) -> Terms {
        match (&self.pipe, self.native) {
            (Some(_), _) => Terms::Datagrams,
            (None, true) => Terms::Native,
            (None, false) => Terms::Other,
        }
    }

    /// A round trip was measured.
    pub(crate) fn measured(&mut self, round_trip: Duration) {
        self.round_trip = round_trip.min(self.round_trip + self.round_trip / 8);
    }

    /// Notes that it is asked for the size of a block.
    pub(crate) fn ask(&mut self, hash: Hash) {
        self.asking.insert(hash);
    }

    /// Notes that it has told the size of a block, or that it does not have it.
    pub(crate) fn answer(&mut self, hash: &Hash) {
        if self.asking.remove(hash) {
            self.ignored = 0;
        }
    }

    /// Notes that its answer about a block is late.
    pub(crate) fn ignores(&mut self, hash: &Hash) {
        if self.asking.remove(hash) {
            self.ignored = self.ignored.saturating_add(1);
        }
    }

    /// The blocks whose size it may still tell.
    pub(crate) fn asking(&self) -> &BTreeSet<Hash> {
        &self.asking
    }

    /// Whether nothing may be left to it alone, as it has not answered yet or not in time.
    pub(crate) fn is_mute(&self) -> bool {
        self.ignored > 0
    }

    /// Notes that it has a block, and says so.
    pub(crate) fn promise(&mut self) {
        if self.blocks == 0 && self.promises == Promises::Kept {
            self.promises = Promises::Given;
        }
    }

    /// Whether it has to show first that it delivers.
    pub(crate) fn owes(&self) -> bool {
        self.promises != Promises::Kept
    }

    /// Whether it has let data be late since it last delivered.
    pub(crate) fn breaks_promises(&self) -> bool {
        self.promises == Promises::Broken
    }

    /// Whether another block may be asked for.
    pub(crate) fn has_room(&self) -> bool {
        self.in_flight < self.window()
    }

    /// Whether another block may be assigned: its size asked for, ahead of its data.
    pub(crate) fn has_place(&self) -> bool {
        if self.owes() {
            return self.asking.is_empty() && self.ready.is_empty() && self.fetches.is_empty();
        }
        let ahead = (AHEAD_BLOCKS_MIN + 2 * self.fetches.len()).min(AHEAD_BLOCKS_MAX);
        self.asking.len() + self.ready.len() < ahead
    }

    /// Time after which a block assigned now is likely to be here, in microseconds.
    pub(crate) fn wait_micros(&self) -> u64 {
        const LIKELY_BLOCK_BYTES: u64 = 64 * 1024;
        let ahead = self.in_flight + (self.asking.len() + self.ready.len() + 1) as u64 * LIKELY_BLOCK_BYTES;
        ahead.saturating_mul(1_000_000) / self.rate.max(1) + self.round_trip.as_micros() as u64
    }

    /// When an answer asked for now is late.
    pub(crate) fn deadline(&self, now: Instant) -> Instant {
        self.deadline_from(now, DEADLINE_MIN)
    }

    /// When data is late that it owes while others deliver.
    pub(crate) fn deadline_owed(&self, now: Instant) -> Instant {
        self.deadline_from(now, DEADLINE_OWED_MIN)
    }

    fn deadline_from(&self, now: Instant, min: Duration) -> Instant {
        let queued = Duration::from_micros(self.in_flight.saturating_mul(1_000_000) / self.rate.max(1));
        now + (min + 4 * self.round_trip + 2 * queued).min(DEADLINE_MAX)
    }

    /// When the answer to a question for a size asked now is late.
    pub(crate) fn size_deadline(&self, now: Instant) -> Instant {
        match self.pipe {
            Some(_) => now + DATAGRAM_SIZE_WAIT.max(2 * self.round_trip),
            None => self.deadline(now),
        }
    }

    /// Bytes came.
    pub(crate) fn delivered(&mut self, now: Instant, bytes: u64) {
        self.in_flight = self.in_flight.saturating_sub(bytes);
        // A pause is no slowness: the span begins with the first bytes after it.
        let idle = self.progress.is_none_or(|at| now.saturating_duration_since(at) > 5 * RATE_SPAN);
        self.progress = Some(now);
        if idle {
            self.span = (now, 0);
            return;
        }
        self.span.1 += bytes;
        let passed = now.saturating_duration_since(self.span.0);
        if passed >= RATE_SPAN {
            let seen = (u128::from(self.span.1) * 1_000_000 / passed.as_micros().max(1)) as u64;
            self.rate = (self.rate * 3 + seen * 2) / 5;
            self.span = (now, 0);
        }
    }

    /// A block of `bytes` bytes came in full, `took` after it was asked for.
    pub(crate) fn completed(&mut self, now: Instant, bytes: u64, took: Duration) {
        self.blocks += 1;
        self.block_bytes += bytes;
        self.promises = Promises::Kept;
        if took > 2 * self.round_trip + QUEUE_DELAY {
            self.shrink(now, took, 3, 4);
        } else if self.slow_start {
            self.grow(bytes);
        } else {
            self.grow((bytes * GROWTH_BYTES).div_ceil(self.window));
        }
    }

    /// Data was late.
    pub(crate) fn late(&mut self, now: Instant) {
        self.lates += 1;
        self.promises = Promises::Broken;
        self.shrink(now, 4 * self.round_trip, 1, 2);
    }

    fn grow(&mut self, bytes: u64) {
        // A window that is not used proves nothing.
        if self.in_flight >= self.window / 4 {
            self.window = (self.window + bytes).min(WINDOW_BYTES_MAX);
        }
    }

    /// Shrinks the window, but once only for all answers that suffered together.
    fn shrink(&mut self, now: Instant, span: Duration, numerator: u64, denominator: u64) {
        if now.saturating_duration_since(self.shrunk) >= span {
            self.window = (self.window * numerator / denominator).max(WINDOW_BYTES_MIN);
            self.shrunk = now;
            self.slow_start = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const BLOCK: u64 = 256 * 1024;

    fn source(now: Instant, round_trip_millis: u64) -> Source {
        let key = SignPublicKey::from_bytes([1; 32]);
        Source::new(now, key, Some(Duration::from_millis(round_trip_millis)), Transport::Tcp)
    }

    /// Runs a line of `rate` bytes per second for `seconds`, keeping the window full of blocks.
    fn run(rate: u64, round_trip_millis: u64, seconds: u64) -> Source {
        let start = Instant::now();
        let mut source = source(start, round_trip_millis);
        let mut asked: VecDeque<Instant> = VecDeque::new();
        let mut free = start;
        let mut now = start;
        while now < start + Duration::from_secs(seconds) {
            while source.has_room() {
                asked.push_back(now);
                source.in_flight += BLOCK;
            }
            let sent = asked.pop_front().unwrap();
            free = free.max(sent + source.round_trip) + Duration::from_micros(BLOCK * 1_000_000 / rate);
            now = free;
            source.delivered(now, BLOCK);
            source.completed(now, BLOCK, now - sent);
        }
        source
    }

    #[test]
    fn a_fast_line_gets_the_largest_window() {
        let source = run(1_000_000_000, 0, 1);
        assert_eq!(source.window(), WINDOW_BYTES_MAX);
        assert!(source.rate > 500_000_000, "{}", source.rate);
    }

    #[test]
    fn a_slow_line_gets_what_it_delivers_in_the_allowed_delay() {
        let source = run(1_000_000, 50, 60);
        assert!((WINDOW_BYTES_MIN..=768 * 1024).contains(&source.window()), "{}", source.window());
        assert!((800_000..=1_200_000).contains(&source.rate), "{}", source.rate);
    }

    #[test]
    fn a_long_fat_line_is_filled() {
        let source = run(100_000_000, 80, 20);
        assert!(source.window() >= 6 * 1024 * 1024, "{}", source.window());
    }

    #[test]
    fn lateness_halves_the_window_once_for_a_whole_group() {
        let start = Instant::now();
        let mut source = source(start, 100);
        let now = start + Duration::from_secs(10);
        source.late(now);
        source.late(now);
        assert_eq!((source.window(), source.lates), (WINDOW_BYTES_START / 2, 2));
    }
}
