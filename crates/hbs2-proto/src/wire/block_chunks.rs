//! Protocol 2: data of blocks (spec: wire 2.9).
//!
//! The asker picks a cookie, a chunk size and a range; the holder streams the chunks of the range that exist, each
//! as a message of its own. Nothing is acknowledged, an unknown block is met with silence.

use bytes::Bytes;
use hbs2_core::Hash;
use hbs2_core::cbor::{DecodeError, Decoder, Encode, Encoder};

use super::{Packet, protocol, shared};

/// A message of protocol 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockChunks {
    /// Names the download; chosen by the asker, repeated in each chunk.
    pub cookie: u32,
    /// What is said.
    pub body: ChunksBody,
}

/// What a message of protocol 2 says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChunksBody {
    /// Send the whole block.
    GetAllChunks {
        /// Which block.
        hash: Hash,
        /// In chunks of this many bytes; zero is nonsense, but must be read.
        chunk_bytes: u16,
    },
    /// Send a range of chunks.
    GetChunks {
        /// Which block.
        hash: Hash,
        /// Length of all chunks but the last, in bytes; zero is nonsense, but must be read.
        chunk_bytes: u16,
        /// Number of the first chunk.
        first: u32,
        /// How many; more than exist is allowed.
        count: u32,
    },
    /// Never sent by anybody.
    NoChunks,
    /// One chunk.
    Chunk {
        /// Its number.
        number: u16,
        /// Its bytes.
        data: Bytes,
    },
    /// A chunk came for a cookie that the receiver does not know.
    Lost,
}

/// Begins a lazy byte string.
const LAZY_START: u8 = 0x5f;

/// Ends a lazy byte string.
const BREAK: u8 = 0xff;

/// Ends the lazy byte strings of the data and of the envelope.
const CHUNK_TAIL: &[u8] = &[BREAK, BREAK];

impl BlockChunks {
    /// Reads a body; data is a slice of it.
    pub(super) fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        let d = &mut Decoder::new(body);
        d.record(2)?;
        let cookie = d.u32()?;
        let body = match d.variant()? {
            (0, 2) => ChunksBody::GetAllChunks { hash: d.inner_hash()?, chunk_bytes: small(d)? },
            (1, 4) => ChunksBody::GetChunks {
                hash: d.inner_hash()?,
                chunk_bytes: small(d)?,
                first: d.u32()?,
                count: d.u32()?,
            },
            (2, 0) => ChunksBody::NoChunks,
            (3, 2) => ChunksBody::Chunk { number: small(d)?, data: shared(body, d.lazy_bytes()?) },
            (4, 0) => ChunksBody::Lost,
            _ => return Err(d.error("a message about chunks")),
        };
        Ok(Self { cookie, body })
    }

    /// Reads the body of a long chunk as the original sends it: in three pieces, of which the second is exactly the
    /// data. Nothing when the body is not of this kind; it must then be joined before it can be read.
    pub(super) fn decode_in_place(packet: &Bytes) -> Option<Self> {
        let d = &mut Decoder::new(packet);
        d.tuple(2).ok()?;
        if d.uint().ok()? != protocol::BLOCK_CHUNKS {
            return None;
        }
        let pieces = Decoder::new(d.rest().strip_prefix(&[LAZY_START])?);
        let (head, data, tail) = three_pieces(pieces)?;
        let d = &mut Decoder::new(head);
        d.record(2).ok()?;
        let cookie = d.u32().ok()?;
        let (3, 2) = d.variant().ok()? else { return None };
        let number = small(d).ok()?;
        let announced = open_lazy(Encoder::new(), data.len());
        let is_whole = d.rest() == announced && tail == [BREAK];
        let data = packet.slice_ref(data);
        is_whole.then_some(Self { cookie, body: ChunksBody::Chunk { number, data } })
    }

    /// The packet. The data of a chunk stays where it is.
    pub(super) fn seal(&self) -> Packet {
        let ChunksBody::Chunk { data, .. } = &self.body else {
            return super::seal(protocol::BLOCK_CHUNKS, &self.to_bytes());
        };
        if data.is_empty() {
            return super::seal(protocol::BLOCK_CHUNKS, &self.to_bytes());
        }
        let mut inner = Encoder::with_capacity(32);
        self.encode_head(&mut inner);
        let inner = open_lazy(inner, data.len());
        // The body ends with the first byte of the tail; the second ends the envelope.
        let mut e = Encoder::with_capacity(64);
        e.array(2);
        e.uint(protocol::BLOCK_CHUNKS);
        let mut head = open_lazy(e, inner.len() + data.len() + 1);
        head.extend_from_slice(&inner);
        Packet { head: head.into(), data: data.clone(), tail: Bytes::from_static(CHUNK_TAIL), flow: None }
    }

    /// Everything of a message but the data of a chunk.
    fn encode_head(&self, e: &mut Encoder) {
        e.variant(0, 2);
        e.uint(u64::from(self.cookie));
        match &self.body {
            ChunksBody::GetAllChunks { hash, chunk_bytes } => {
                e.variant(0, 2);
                e.inner_hash(hash);
                encode_small(e, *chunk_bytes);
            }
            ChunksBody::GetChunks { hash, chunk_bytes, first, count } => {
                e.variant(1, 4);
                e.inner_hash(hash);
                encode_small(e, *chunk_bytes);
                e.uint(u64::from(*first));
                e.uint(u64::from(*count));
            }
            ChunksBody::NoChunks => e.variant(2, 0),
            ChunksBody::Chunk { number, .. } => {
                e.variant(3, 2);
                encode_small(e, *number);
            }
            ChunksBody::Lost => e.variant(4, 0),
        }
    }
}

impl Encode for BlockChunks {
    fn encode(&self, e: &mut Encoder) {
        self.encode_head(e);
        if let ChunksBody::Chunk { data, .. } = &self.body {
            e.lazy_bytes(data);
        }
    }
}

/// The pieces of a lazy byte string that has exactly three.
fn three_pieces(mut d: Decoder<'_>) -> Option<(&[u8], &[u8], &[u8])> {
    let pieces = (d.bytes().ok()?, d.bytes().ok()?, d.bytes().ok()?);
    (d.peek() == Some(BREAK)).then_some(pieces)
}

/// What is written, then the start of a lazy byte string with one chunk of `bytes` bytes.
fn open_lazy(e: Encoder, bytes: usize) -> Vec<u8> {
    let mut out = e.into_bytes();
    out.push(LAZY_START);
    match (u8::try_from(bytes), u16::try_from(bytes)) {
        (Ok(bytes @ 0..24), _) => out.push(0x40 | bytes),
        (Ok(bytes), _) => out.extend_from_slice(&[0x58, bytes]),
        (_, Ok(bytes)) => {
            out.push(0x59);
            out.extend_from_slice(&bytes.to_be_bytes());
        }
        _ => {
            out.push(0x5a);
            out.extend_from_slice(&u32::try_from(bytes).expect("a chunk is under 4 GiB").to_be_bytes());
        }
    }
    out
}

fn small(d: &mut Decoder<'_>) -> Result<u16, DecodeError> {
    d.record(1)?;
    d.u16()
}

fn encode_small(e: &mut Encoder, value: u16) {
    e.variant(0, 1);
    e.uint(u64::from(value));
}
