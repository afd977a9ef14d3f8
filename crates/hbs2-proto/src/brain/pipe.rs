//! Asking for data over a carrier that loses packets: which chunks are on their way, and how many may be.
//!
//! Each chunk asked for gets a number that is never used again, so a chunk that was asked for twice is told from its
//! first copy. A chunk is lost when one that was asked for later has come and it is older than the line needs; or when
//! nothing has come for long. The window counts chunks on their way. It starts small, doubles each round trip until the
//! first loss or until answers queue up somewhere, and shrinks once for all chunks that were lost together, so we never
//! ask for much more than the line carries.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// First window, in chunks of 1 KiB: half of the original's first burst.
const WINDOW_CHUNKS_START: u32 = 24;

/// Smallest window, in chunks.
const WINDOW_CHUNKS_MIN: u32 = 4;

/// Largest window, in chunks: 10 MB/s at a round trip of 100 ms. More at a time only fills the receive buffer.
const WINDOW_CHUNKS_MAX: u32 = 1024;

/// Round trip assumed before one is measured.
const ROUND_TRIP_START: Duration = Duration::from_millis(200);

/// How much longer than the shortest round trip an answer may take before the window stops growing: what waits in
/// queues for longer makes everything else on the line late.
const QUEUE_DELAY: Duration = Duration::from_millis(50);

/// Shortest wait for a chunk of which nothing later has come. Timers and the other side's disk take their time.
const SILENCE_MIN: Duration = Duration::from_millis(100);

/// Longest such wait, after it has doubled with each that was in vain.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// Slack for chunks that overtake each other.
const OVERTAKING: Duration = Duration::from_millis(5);

/// A chunk on its way.
#[derive(Debug, Clone, Copy)]
struct Open {
    cookie: u32,
    number: u32,
    at: Instant,
    /// Asked for before: its round trip cannot be told.
    again: bool,
}

/// The chunks on their way from one peer.
#[derive(Debug)]
pub(crate) struct Pipe {
    open: BTreeMap<u64, Open>,
    /// The latest asking of each chunk on its way.
    places: BTreeMap<(u32, u32), u64>,
    next: u64,
    /// The latest asking that was answered.
    answered: u64,
    window: u32,
    /// Chunks that have come since the window last grew.
    gained: u32,
    slow_start: bool,
    /// Losses of chunks asked for before this asking are those that the window has shrunk for.
    cut: u64,
    round_trip: Duration,
    variation: Duration,
    shortest: Duration,
    /// Waits in vain in a row.
    silences: u32,
}

impl Pipe {
    pub(crate) fn new(round_trip: Option<Duration>) -> Self {
        let round_trip = round_trip.unwrap_or(ROUND_TRIP_START);
        Self {
            open: BTreeMap::new(),
            places: BTreeMap::new(),
            next: 1,
            answered: 0,
            window: WINDOW_CHUNKS_START,
            gained: 0,
            slow_start: true,
            cut: 0,
            round_trip,
            variation: round_trip / 2,
            shortest: round_trip,
            silences: 0,
        }
    }

    /// Chunks that may be on their way.
    pub(crate) fn window(&self) -> u32 {
        self.window
    }

    /// Chunks that may be asked for now. Small numbers are saved up, so that not each chunk costs a question.
    pub(crate) fn room(&self) -> u32 {
        let room = self.window.saturating_sub(self.open.len() as u32);
        if self.open.is_empty() || room >= self.window / 8 { room } else { 0 }
    }

    /// Notes that chunks are asked for.
    pub(crate) fn asked(&mut self, now: Instant, cookie: u32, first: u32, count: u32, again: bool) {
        for number in first..first + count {
            self.open.insert(self.next, Open { cookie, number, at: now, again });
            if let Some(old) = self.places.insert((cookie, number), self.next) {
                self.open.remove(&old);
            }
            self.next += 1;
        }
    }

    /// A chunk has come.
    pub(crate) fn arrived(&mut self, now: Instant, cookie: u32, number: u32) {
        let Some(place) = self.places.remove(&(cookie, number)) else { return };
        let full = self.open.len() as u32 >= self.window / 2;
        let Some(open) = self.open.remove(&place) else { return };
        self.answered = self.answered.max(place);
        self.silences = 0;
        let took = now.saturating_duration_since(open.at);
        if !open.again {
            self.measured(took);
        }
        if full && took <= 2 * self.shortest + QUEUE_DELAY {
            self.grow();
        }
    }

    /// Takes out the chunks that are lost.
    pub(crate) fn lost(&mut self, now: Instant) -> Vec<(u32, u32)> {
        let mut lost = Vec::new();
        let mut silent = false;
        while let Some((place, open)) = self.open.first_key_value().map(|(place, open)| (*place, *open)) {
            if now < self.end(place, &open) {
                break;
            }
            silent |= place >= self.answered;
            self.open.remove(&place);
            self.places.remove(&(open.cookie, open.number));
            lost.push((open.cookie, open.number));
            if place >= self.cut {
                self.cut = self.next;
                self.window = (self.window * 7 / 10).max(WINDOW_CHUNKS_MIN);
                self.slow_start = false;
            }
        }
        self.silences += u32::from(silent);
        lost
    }

    /// When [`lost`](Self::lost) has something.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.open.first_key_value().map(|(place, open)| self.end(*place, open))
    }

    /// Forgets the chunks of a block.
    pub(crate) fn forget(&mut self, cookie: u32) {
        let places: Vec<(u32, u32)> =
            self.places.range((cookie, 0)..=(cookie, u32::MAX)).map(|(chunk, _)| *chunk).collect();
        for chunk in places {
            if let Some(place) = self.places.remove(&chunk) {
                self.open.remove(&place);
            }
        }
    }

    /// Until when a chunk is waited for.
    fn end(&self, place: u64, open: &Open) -> Instant {
        let wait = if place < self.answered {
            self.round_trip + self.variation + OVERTAKING
        } else {
            let wait = (self.round_trip + 4 * self.variation).max(SILENCE_MIN);
            (wait * (1 << self.silences.min(8))).min(SILENCE_MAX.max(wait))
        };
        open.at + wait
    }

    fn measured(&mut self, took: Duration) {
        let off = took.abs_diff(self.round_trip);
        self.variation = (self.variation * 3 + off) / 4;
        self.round_trip = (self.round_trip * 7 + took) / 8;
        self.shortest = self.shortest.min(took);
    }

    fn grow(&mut self) {
        self.gained += 1;
        if self.slow_start || self.gained >= self.window {
            self.gained = 0;
            self.window = (self.window + 1).min(WINDOW_CHUNKS_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: Duration = Duration::from_millis(20);

    fn after(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn a_chunk_that_is_overtaken_is_lost_after_a_round_trip_and_a_late_line_after_a_silence() {
        let start = Instant::now();
        let mut pipe = Pipe::new(Some(LINE));
        pipe.asked(start, 1, 0, 8, false);
        for number in [1, 2, 3] {
            pipe.arrived(after(start, 20), 1, number);
        }
        assert_eq!(pipe.lost(after(start, 21)), []);
        assert_eq!(pipe.lost(after(start, 40)), [(1, 0)]);
        let silence = pipe.next().unwrap();
        assert!(silence >= after(start, 100), "what was asked for later may still come");
        assert_eq!(pipe.lost(silence), [(1, 4), (1, 5), (1, 6), (1, 7)]);
        assert_eq!(pipe.next(), None);
    }

    #[test]
    fn the_window_doubles_each_round_trip_until_a_loss_and_shrinks_once_for_a_group() {
        let start = Instant::now();
        let mut pipe = Pipe::new(Some(LINE));
        let (mut now, mut next) = (start, 0);
        for _ in 0..3 {
            let count = pipe.room();
            pipe.asked(now, 1, next, count, false);
            now += LINE;
            (next..next + count).for_each(|number| pipe.arrived(now, 1, number));
            next += count;
        }
        let window = pipe.window();
        assert!((60..=WINDOW_CHUNKS_START * 8).contains(&window), "{window}");
        pipe.asked(now, 1, next, 10, false);
        pipe.arrived(now + LINE, 1, next + 9);
        assert_eq!(pipe.lost(now + 10 * LINE).len(), 9);
        assert_eq!(pipe.window(), window * 7 / 10);
    }

    #[test]
    fn silence_is_waited_for_twice_as_long_each_time() {
        let mut now = Instant::now();
        let mut pipe = Pipe::new(Some(LINE));
        let mut waits = Vec::new();
        for round in 0..8 {
            pipe.asked(now, 1, 0, 4, round > 0);
            let end = pipe.next().unwrap();
            waits.push((end - now).as_millis());
            now = end;
            assert_eq!(pipe.lost(now).len(), 4);
        }
        assert!(waits[0] >= 60 && waits[1] == 2 * waits[0] && waits[7] == 2000, "{waits:?}");
        assert_eq!(pipe.window(), WINDOW_CHUNKS_MIN);
    }

    #[test]
    fn a_forgotten_block_leaves_nothing_behind() {
        let now = Instant::now();
        let mut pipe = Pipe::new(None);
        pipe.asked(now, 1, 0, 4, false);
        pipe.asked(now, 2, 0, 4, false);
        pipe.forget(1);
        assert_eq!((pipe.open.len(), pipe.places.len()), (4, 4));
        pipe.arrived(now + LINE, 1, 0);
        assert_eq!(pipe.open.len(), 4);
    }
}
