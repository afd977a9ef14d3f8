//! Data over a carrier that loses packets: asked for in short runs, and what is lost once more.
//!
//! Whole blocks are given to such a peer as to any other; here their chunks are asked for as the [`Pipe`] has room.

use std::time::{Duration, Instant};

use super::fetch::{Fetch, Run};
use super::rank::Source;
use super::{Brain, Timer};
use crate::LinkId;
use crate::moment::Moment;
use crate::wire::{BlockChunks, ChunksBody, Message};

/// Longest run of chunks asked for in one message. The original asks for 256 at most; a shorter run loses less when
/// the message is lost.
const RUN_CHUNKS_MAX: u32 = 64;

/// How long a block may stand still before it is given to others.
const STILL: Duration = Duration::from_secs(10);

impl Brain {
    /// Asks for as many chunks as the pipe has room for.
    pub(super) fn ask_more(&mut self, m: &mut Moment<'_>, link: LinkId) {
        let Some(source) = self.sources.get_mut(&link) else { return };
        let Some(pipe) = &mut source.pipe else { return };
        let mut room = pipe.room();
        while room > 0
            && let Some(cookie) = source.todo.front().copied()
        {
            let Some(fetch) = source.fetches.get_mut(&cookie) else {
                source.todo.pop_front();
                continue;
            };
            let Some(run) = fetch.todo.pop_front() else {
                fetch.listed = false;
                source.todo.pop_front();
                continue;
            };
            let count = run.count.min(room).min(RUN_CHUNKS_MAX);
            if count < run.count {
                let rest = Run { first: run.first + count, count: run.count - count, again: run.again };
                fetch.todo.push_front(rest);
            }
            room -= count;
            pipe.asked(m.now, cookie, run.first, count, run.again);
            let chunk_bytes = fetch.parts.chunk_bytes();
            let body = ChunksBody::GetChunks { hash: fetch.hash, chunk_bytes, first: run.first, count };
            m.send(link, &Message::BlockChunks(BlockChunks { cookie, body }));
        }
        match pipe.next() {
            Some(at) => self.timers.set(Timer::Pipe(link), at),
            None => self.timers.clear(&Timer::Pipe(link)),
        }
    }

    /// Chunks may be lost: asks for them once more.
    pub(super) fn pipe_due(&mut self, m: &mut Moment<'_>, link: LinkId) {
        let Some(source) = self.sources.get_mut(&link) else { return };
        source.take_lost(m);
        self.ask_more(m, link);
    }
}

impl Source {
    /// Notes that a chunk has come.
    pub(super) fn arrived(&mut self, m: &mut Moment<'_>, cookie: u32, number: u16) {
        if let Some(pipe) = &mut self.pipe {
            pipe.arrived(m.now, cookie, u32::from(number));
            self.take_lost(m);
        }
    }

    /// Puts the chunks that are lost back to be asked for.
    fn take_lost(&mut self, m: &mut Moment<'_>) {
        let Some(pipe) = &mut self.pipe else { return };
        for (cookie, number) in pipe.lost(m.now) {
            let Some(fetch) = self.fetches.get_mut(&cookie) else { continue };
            m.out.counters.chunks_lost += 1;
            fetch.ask_again(number);
            if !std::mem::replace(&mut fetch.listed, true) {
                self.todo.push_back(cookie);
            }
        }
    }

    /// Forgets what is on its way of a block.
    pub(super) fn forget(&mut self, cookie: u32) {
        if let Some(pipe) = &mut self.pipe {
            pipe.forget(cookie);
        }
    }
}

impl Fetch {
    /// Puts a chunk before those that have not been asked for.
    fn ask_again(&mut self, number: u32) {
        match self.todo.front_mut() {
            Some(run) if run.again && run.first + run.count == number => run.count += 1,
            _ => self.todo.push_front(Run { first: number, count: 1, again: true }),
        }
    }

    /// Whether nothing has come of the block for so long that others had better be asked.
    pub(super) fn stands_still(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.progress) >= STILL
    }
}
