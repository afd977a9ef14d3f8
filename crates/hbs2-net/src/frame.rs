//! Frames of the classic TCP carrier (spec: wire 1.2).
//!
//! A frame is a tag (u32, big-endian; the sender's cookie, ignored by the receiver), a length (u32,
//! big-endian) and that many bytes. [`FrameReader`] cuts frames out of a byte stream without a socket: it
//! lends the places where the next bytes go, is told how many came, and yields complete frames.
//!
//! Small frames are copied out of a staging buffer, so that a stored message of a hundred bytes never keeps a
//! large buffer alive. The payload of a larger frame is read straight into the buffer in which it is handed
//! up.

use std::io::IoSliceMut;
use std::sync::Arc;

use bytes::Bytes;

use crate::pool::{Grown, Lease, Pool};

/// Length of the head of a frame, in bytes.
pub const HEAD_BYTES: usize = 8;

/// Largest payload of a frame, in bytes: the longest message of a mebibyte, and what a seal adds. The original has no
/// cap; its own messages stay below 70 KB.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024 + 64;

/// Size of the staging buffer of a link, in bytes: dozens of control messages in one read, and little to
/// copy when the start of a large frame comes with them.
const STAGING_BYTES: usize = 16 * 1024;

/// Payloads up to this size are copied out of the staging buffer, in bytes. They must fit it with their head.
const SMALL_BYTES_MAX: usize = 4 * 1024;

/// Step by which the buffer of an oversized frame grows, in bytes. It grows as the data comes, so a peer that
/// only announces a large frame costs nothing.
const GROWTH_BYTES: usize = 256 * 1024;

/// A frame that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The announced payload is longer than the cap.
    #[error("the frame announces {bytes} bytes, more than {max}")]
    TooLong {
        /// Announced length in bytes.
        bytes: usize,
        /// The cap in bytes.
        max: usize,
    },
    /// So many long frames are coming that there is no memory for this one.
    #[error("there is no memory left for a frame of {bytes} bytes")]
    NoMemory {
        /// Announced length in bytes.
        bytes: usize,
    },
}

/// The head of a frame with `bytes` bytes of payload.
///
/// # Panics
/// The payload is longer than [`FRAME_BYTES_MAX`]; callers check that before.
#[must_use]
pub fn head(tag: u32, bytes: usize) -> [u8; HEAD_BYTES] {
    assert!(bytes <= FRAME_BYTES_MAX, "a frame of {bytes} bytes must not be sent");
    let length = u32::try_from(bytes).expect("the cap of a frame fits 32 bits");
    let mut head = [0; HEAD_BYTES];
    head[..4].copy_from_slice(&tag.to_be_bytes());
    head[4..].copy_from_slice(&length.to_be_bytes());
    head
}

/// Cuts frames out of a byte stream.
#[derive(Debug)]
pub(crate) struct FrameReader {
    pool: Arc<Pool>,
    /// Bytes that are not yet assigned to a payload: `staging[start..end]`.
    staging: Box<[u8]>,
    start: usize,
    end: usize,
    /// The payload that is being filled. While there is one, the staging buffer is empty.
    payload: Option<Payload>,
}

#[derive(Debug)]
struct Payload {
    buffer: Buffer,
    filled: usize,
    bytes: usize,
}

#[derive(Debug)]
enum Buffer {
    Leased(Lease),
    Grown(Grown),
}

impl FrameReader {
    pub(crate) fn new(pool: Arc<Pool>) -> Self {
        Self { pool, staging: vec![0; STAGING_BYTES].into(), start: 0, end: 0, payload: None }
    }

    /// The places for the next bytes, in order; never both empty once [`next`](Self::next) has said `None`.
    pub(crate) fn slices(&mut self) -> [IoSliceMut<'_>; 2] {
        if self.start > 0 {
            self.staging.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let whole = self.payload.as_ref().is_none_or(Payload::has_whole_buffer);
        let payload = self.payload.as_mut().map(Payload::rest).unwrap_or_default();
        // Nothing may come behind a payload whose buffer has yet to grow.
        let behind = if whole { &mut self.staging[self.end..] } else { &mut [] };
        [IoSliceMut::new(payload), IoSliceMut::new(behind)]
    }

    /// Takes notice of `bytes` new bytes at the places lent by [`slices`](Self::slices).
    pub(crate) fn advance(&mut self, bytes: usize) {
        let to_payload = match &mut self.payload {
            Some(payload) => {
                let taken = bytes.min(payload.rest().len());
                payload.filled += taken;
                taken
            }
            None => 0,
        };
        self.end += bytes - to_payload;
        assert!(self.end <= self.staging.len(), "no more bytes than were lent can arrive");
    }

    /// The next complete frame, if there is one.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        if let Some(payload) = &mut self.payload {
            if payload.filled < payload.bytes {
                if !payload.grow() {
                    return Err(FrameError::NoMemory { bytes: payload.bytes });
                }
                return Ok(None);
            }
            return Ok(self.payload.take().map(Payload::finish));
        }
        let staged = &self.staging[self.start..self.end];
        let Some((head, after)) = staged.split_first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let [_, _, _, _, length @ ..] = *head;
        let bytes = u32::from_be_bytes(length) as usize;
        if bytes > FRAME_BYTES_MAX {
            return Err(FrameError::TooLong { bytes, max: FRAME_BYTES_MAX });
        }
        if let Some(whole) = after.get(..bytes) {
            let frame = Bytes::copy_from_slice(whole);
            self.start += HEAD_BYTES + bytes;
            return Ok(Some(frame));
        }
        if bytes > SMALL_BYTES_MAX {
            let payload = Payload::begin(&self.pool, bytes, after);
            self.payload = Some(payload.ok_or(FrameError::NoMemory { bytes })?);
            (self.start, self.end) = (0, 0);
        }
        Ok(None)
    }
}

impl Payload {
    /// A payload of `bytes` bytes that starts with `first`; nothing when there is no memory for it.
    fn begin(pool: &Arc<Pool>, bytes: usize, first: &[u8]) -> Option<Self> {
        let buffer = match pool.lease(bytes) {
            Some(lease) => Buffer::Leased(lease),
            None => Buffer::Grown(pool.grown(bytes.min(GROWTH_BYTES))?),
        };
        let mut payload = Self { buffer, filled: 0, bytes };
        payload.rest()[..first.len()].copy_from_slice(first);
        payload.filled = first.len();
        Some(payload)
    }

    /// The part of the buffer that waits for bytes.
    fn rest(&mut self) -> &mut [u8] {
        match &mut self.buffer {
            Buffer::Leased(lease) => &mut lease.bytes_mut()[self.filled..],
            Buffer::Grown(buffer) => &mut buffer.bytes_mut()[self.filled..],
        }
    }

    /// Whether the buffer has its final length.
    fn has_whole_buffer(&self) -> bool {
        match &self.buffer {
            Buffer::Leased(_) => true,
            Buffer::Grown(buffer) => buffer.len() == self.bytes,
        }
    }

    /// Makes room when the announced length is larger than the buffer and the buffer is full; whether there is memory.
    fn grow(&mut self) -> bool {
        match &mut self.buffer {
            Buffer::Grown(buffer) if self.filled == buffer.len() => {
                buffer.grow(self.bytes.min(buffer.len() * 2))
            }
            Buffer::Grown(_) | Buffer::Leased(_) => true,
        }
    }

    fn finish(self) -> Bytes {
        match self.buffer {
            Buffer::Leased(lease) => lease.freeze(),
            Buffer::Grown(buffer) => buffer.freeze(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(payloads: &[Vec<u8>]) -> Vec<u8> {
        payloads.iter().flat_map(|payload| [&head(7, payload.len())[..], payload].concat()).collect()
    }

    /// Feeds `bytes` in pieces of at most `piece` bytes and collects the frames.
    fn read(bytes: &[u8], piece: usize) -> Result<Vec<Bytes>, FrameError> {
        feed(&mut FrameReader::new(Arc::new(Pool::default())), bytes, piece)
    }

    fn feed(reader: &mut FrameReader, bytes: &[u8], piece: usize) -> Result<Vec<Bytes>, FrameError> {
        let mut frames = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let mut taken = 0;
            for mut place in reader.slices() {
                let count = place.len().min(piece - taken).min(rest.len());
                place[..count].copy_from_slice(&rest[..count]);
                rest = &rest[count..];
                taken += count;
            }
            assert!(taken > 0, "the reader lends no room");
            reader.advance(taken);
            while let Some(frame) = reader.next()? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    #[test]
    fn frames_of_every_size_come_out_whole_whatever_the_pieces() {
        let sizes = [0, 1, 7, 8, 4096, 4097, 10_000, 16_384, 32_800, 65_600, 70_000, 300_000, 1_000_000, 3];
        let payloads: Vec<Vec<u8>> =
            sizes.iter().map(|size| (0..*size).map(|i| ((i * 31 + size) % 251) as u8).collect()).collect();
        let bytes = stream(&payloads);
        for piece in [1, 5, 1000, 4096, 65_536, bytes.len()] {
            assert!(read(&bytes, piece).unwrap() == payloads, "pieces of {piece} bytes");
        }
    }

    #[test]
    fn a_frame_beyond_the_cap_is_refused_at_its_head() {
        let mut bytes = head(1, FRAME_BYTES_MAX).to_vec();
        assert_eq!(read(&bytes, 8), Ok(vec![]));
        bytes[4..].copy_from_slice(&(FRAME_BYTES_MAX as u32 + 1).to_be_bytes());
        let refused = FrameError::TooLong { bytes: FRAME_BYTES_MAX + 1, max: FRAME_BYTES_MAX };
        assert_eq!(read(&bytes, 8), Err(refused));
    }

    #[test]
    fn long_frames_that_never_end_take_no_more_than_their_share() {
        let pool = Arc::new(Pool::default());
        pool.limit_grown(4 * 1024 * 1024);
        let mut readers = Vec::new();
        let refused = loop {
            let mut reader = FrameReader::new(Arc::clone(&pool));
            let bytes = [&head(1, FRAME_BYTES_MAX)[..], &vec![0; FRAME_BYTES_MAX - 1]].concat();
            if let Err(error) = feed(&mut reader, &bytes, 65_536) {
                break error;
            }
            readers.push(reader);
        };
        assert_eq!((refused, readers.len()), (FrameError::NoMemory { bytes: FRAME_BYTES_MAX }, 3));
        drop(readers);
        let mut reader = FrameReader::new(pool);
        assert_eq!(feed(&mut reader, &stream(&[vec![7; 300_000]]), 65_536).unwrap().len(), 1);
    }

    #[test]
    fn an_announced_length_alone_allocates_little() {
        let mut reader = FrameReader::new(Arc::new(Pool::default()));
        reader.slices()[1][..HEAD_BYTES].copy_from_slice(&head(1, FRAME_BYTES_MAX));
        reader.advance(HEAD_BYTES);
        assert_eq!(reader.next(), Ok(None));
        assert!(reader.slices()[0].len() <= GROWTH_BYTES);
    }
}
