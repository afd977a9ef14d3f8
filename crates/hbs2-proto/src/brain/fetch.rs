//! One block on its way from one peer: which chunks are here, which are asked for.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use hbs2_core::Hash;

use crate::LinkId;

/// Longest chunk asked of our own kind, in bytes: the most that the message can say.
const NATIVE_CHUNK_BYTES_MAX: u64 = u16::MAX as u64;

/// Length of chunks asked for over datagrams, in bytes: what the original asks for, and with its wrapping a packet of
/// every common line.
const DATAGRAM_CHUNK_BYTES: u64 = 1024;

/// Longest chunk asked of others, in bytes. Originals have been seen to serve any size; half of the most leaves room
/// for whatever counts in signed numbers.
const CHUNK_BYTES_MAX: u64 = 32 * 1024;

/// How data is asked of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terms {
    /// Our own kind, on a stream.
    Native,
    /// Another kind, on a stream.
    Other,
    /// By datagrams, whoever it is.
    Datagrams,
}

/// The chunks of a block, of which some may be here.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    bytes: u64,
    chunk_bytes: u16,
    chunks: Vec<Option<Bytes>>,
    absent: usize,
    /// Who delivered.
    from: Vec<LinkId>,
}

/// What a chunk was worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// Something new.
    New,
    /// The last one that was absent.
    Last,
    /// Here already.
    Repeated,
    /// Not of this block: number or length is wrong.
    Wrong,
}

impl Parts {
    /// The empty frame of a block of `bytes` bytes, which is more than none. On a stream the chunks are as long as may
    /// be, and nearly equal.
    pub(crate) fn new(bytes: u64, terms: Terms) -> Self {
        let longest = match terms {
            Terms::Native => NATIVE_CHUNK_BYTES_MAX,
            Terms::Other => CHUNK_BYTES_MAX,
            Terms::Datagrams => DATAGRAM_CHUNK_BYTES,
        };
        let count = bytes.div_ceil(longest).max(1);
        let even = if terms == Terms::Datagrams { longest } else { bytes.div_ceil(count) };
        let chunk_bytes = u16::try_from(even).expect("no longer than the longest chunk").max(1);
        let count = bytes.div_ceil(u64::from(chunk_bytes)) as usize;
        Self { bytes, chunk_bytes, chunks: vec![None; count], absent: count, from: Vec::new() }
    }

    /// Whether chunks of `other`, asked for on the same terms, would fit here.
    pub(crate) fn fits(&self, other: &Self) -> bool {
        self.bytes == other.bytes && self.chunk_bytes == other.chunk_bytes
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn chunk_bytes(&self) -> u16 {
        self.chunk_bytes
    }

    /// Bytes that are not here.
    pub(crate) fn absent_bytes(&self) -> u64 {
        self.chunks.iter().enumerate().filter(|(_, chunk)| chunk.is_none()).map(|(i, _)| self.len_of(i)).sum()
    }

    /// Runs of absent chunks: first and count.
    pub(crate) fn absent_runs(&self) -> Vec<(u32, u32)> {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for (number, _) in self.chunks.iter().enumerate().filter(|(_, chunk)| chunk.is_none()) {
            let number = number as u32;
            match runs.last_mut() {
                Some((first, count)) if *first + *count == number => *count += 1,
                _ => runs.push((number, 1)),
            }
        }
        runs
    }

    /// Takes in a chunk.
    pub(crate) fn put(&mut self, from: LinkId, number: u16, data: Bytes) -> Put {
        let number = usize::from(number);
        if number >= self.chunks.len() || data.len() as u64 != self.len_of(number) {
            return Put::Wrong;
        }
        let chunk = &mut self.chunks[number];
        if chunk.is_some() {
            return Put::Repeated;
        }
        *chunk = Some(data);
        self.absent -= 1;
        if !self.from.contains(&from) {
            self.from.push(from);
        }
        if self.absent == 0 { Put::Last } else { Put::New }
    }

    /// Whether any chunk is here.
    pub(crate) fn is_begun(&self) -> bool {
        self.absent < self.chunks.len()
    }

    /// The chunks in order and whether they came from more than one peer.
    pub(crate) fn finish(self) -> (Vec<Bytes>, bool) {
        let mixed = self.from.len() > 1;
        (self.chunks.into_iter().flatten().collect(), mixed)
    }

    fn len_of(&self, number: usize) -> u64 {
        let start = number as u64 * u64::from(self.chunk_bytes);
        u64::from(self.chunk_bytes).min(self.bytes - start)
    }
}

/// A block that has been asked of a peer.
#[derive(Debug)]
pub(crate) struct Fetch {
    pub(crate) hash: Hash,
    pub(crate) parts: Parts,
    /// When it was asked for.
    pub(crate) started: Instant,
    /// When a chunk last came; at first when it was asked for.
    pub(crate) progress: Instant,
    /// Place in the order of requests to this peer.
    pub(crate) serial: u64,
    /// Bytes asked for and not here.
    pub(crate) open_bytes: u64,
    /// How often it was asked for again.
    pub(crate) repeats: u32,
    /// Over datagrams: runs of chunks that are still to be asked for.
    pub(crate) todo: VecDeque<Run>,
    /// Over datagrams: whether it is in the list of those with something to ask for.
    pub(crate) listed: bool,
}

/// A run of chunks to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first: u32,
    pub(crate) count: u32,
    /// Whether it was asked for before.
    pub(crate) again: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_chunks(bytes: u64, terms: Terms, expected: (u16, usize)) {
        let parts = Parts::new(bytes, terms);
        assert_eq!((parts.chunk_bytes, parts.chunks.len()), expected, "{bytes} {terms:?}");
        assert_eq!(parts.absent_bytes(), bytes);
    }

    #[test]
    fn chunks_are_long_and_nearly_equal() {
        check_chunks(1, Terms::Native, (1, 1));
        check_chunks(65_535, Terms::Native, (65_535, 1));
        check_chunks(65_536, Terms::Native, (32_768, 2));
        check_chunks(262_144, Terms::Native, (52_429, 5));
        check_chunks(262_144, Terms::Other, (32_768, 8));
        check_chunks(16 * 1024 * 1024, Terms::Other, (32_768, 512));
        check_chunks(262_144, Terms::Datagrams, (1024, 256));
        check_chunks(1500, Terms::Datagrams, (1024, 2));
        check_chunks(5, Terms::Datagrams, (1024, 1));
    }

    #[test]
    fn only_absent_runs_are_asked_for_again() {
        let mut parts = Parts::new(10 * 32_768, Terms::Other);
        let chunk = Bytes::from(vec![0; 32_768]);
        for number in [0, 1, 4, 9] {
            assert_eq!(parts.put(LinkId(1), number, chunk.clone()), Put::New);
        }
        assert_eq!(parts.absent_runs(), [(2, 2), (5, 4)]);
        assert_eq!(parts.put(LinkId(1), 4, chunk.clone()), Put::Repeated);
        assert_eq!(parts.put(LinkId(1), 10, chunk.clone()), Put::Wrong);
        assert_eq!(parts.put(LinkId(1), 2, chunk.slice(1..)), Put::Wrong);
        for number in [2, 3, 5, 6, 7] {
            assert_eq!(parts.put(LinkId(2), number, chunk.clone()), Put::New);
        }
        assert_eq!(parts.put(LinkId(1), 8, chunk), Put::Last);
        let (chunks, mixed) = parts.finish();
        assert_eq!((chunks.len(), mixed), (10, true));
    }
}
