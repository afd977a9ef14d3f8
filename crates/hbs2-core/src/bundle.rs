//! Bundles: many blocks in one stream, to carry by hand (docs/spec/bundle.md).
//!
//! A head of 64 bytes, then for each block a head of 64 bytes and the block in gzip. The stream is stored as an
//! ordinary data tree. [`head`] and [`section`] write it piece by piece; [`Unpacker`] reads it from pieces of any size.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::Hash;
use crate::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use crate::limits::BLOCK_BYTES_MAX;
use crate::signed::Signed;

/// Bytes of the head of a bundle and of each section. The head states this number; no reader looks at it.
pub const HEAD_BYTES: usize = 64;

/// Bytes of a compressed block, at most: gzip makes what it cannot shrink longer by 5 bytes in 16 KiB and its frame.
const SECTION_BYTES_MAX: usize = BLOCK_BYTES_MAX + BLOCK_BYTES_MAX / 1024 + 64;

/// Why a bundle cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The stream does not start as a bundle does.
    #[error("the stream is no bundle")]
    Head {
        /// Where the CBOR went wrong.
        source: DecodeError,
    },
    /// The head of a section is broken.
    #[error("section {number} of the bundle has a broken head")]
    SectionHead {
        /// Which section, from 1.
        number: u64,
        /// Where the CBOR went wrong.
        source: DecodeError,
    },
    /// A section is longer than a block can be.
    #[error("section {number} of the bundle has {bytes} bytes, over the limit of {SECTION_BYTES_MAX}")]
    SectionTooLong {
        /// Which section, from 1.
        number: u64,
        /// Its stated length.
        bytes: usize,
    },
    /// The block of a section is longer than a block can be.
    #[error("section {number} of the bundle holds a block over the limit of {BLOCK_BYTES_MAX} bytes")]
    BlockTooLong {
        /// Which section, from 1.
        number: u64,
    },
    /// The block of a section does not decompress.
    #[error("cannot decompress section {number} of the bundle")]
    Gzip {
        /// Which section, from 1.
        number: u64,
        /// What gzip said.
        source: std::io::Error,
    },
    /// A section holds another block than it says.
    #[error("section {number} of the bundle states block {stated} and holds {found}")]
    WrongBlock {
        /// Which section, from 1.
        number: u64,
        /// The stated hash.
        stated: Hash,
        /// The hash of what is there.
        found: Hash,
    },
    /// The stream ends within a section.
    #[error("the bundle ends within section {number}")]
    Cut {
        /// Which section, from 1; 0 is the head of the bundle.
        number: u64,
    },
}

/// The head of a bundle.
#[must_use]
pub fn head() -> [u8; HEAD_BYTES] {
    let mut e = Encoder::new();
    e.variant(0, 1);
    e.uint(HEAD_BYTES as u64);
    padded(&e.into_bytes())
}

/// The section of one block.
///
/// # Panics
/// If the block is longer than [`BLOCK_BYTES_MAX`], which no store accepts.
#[must_use]
pub fn section(hash: &Hash, block: &[u8]) -> Vec<u8> {
    assert!(block.len() <= BLOCK_BYTES_MAX, "block {hash} has {} bytes", block.len());
    let mut gzip = GzEncoder::new(vec![0; HEAD_BYTES], Compression::fast());
    gzip.write_all(block).expect("memory takes every write");
    let mut section = gzip.finish().expect("memory takes every write");
    let head = SectionHead { bytes: section.len() - HEAD_BYTES, hash: Some(*hash) };
    section[..HEAD_BYTES].copy_from_slice(&padded(&head.to_bytes()));
    section
}

fn padded(form: &[u8]) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..form.len()].copy_from_slice(form);
    head
}

/// What a section holds: CBOR `[0, bytes, Maybe HashRef]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SectionHead {
    /// Length of the compressed block.
    bytes: usize,
    /// Its hash.
    hash: Option<Hash>,
}

impl Encode for SectionHead {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 2);
        e.uint(self.bytes as u64);
        e.maybe(self.hash, |e, hash| hash.encode(e));
    }
}

impl Decode for SectionHead {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(2)?;
        let bytes = d.u32()? as usize;
        Ok(Self { bytes, hash: d.maybe(Hash::decode)? })
    }
}

/// Reads the blocks of a bundle from pieces of its stream. Holds one section.
#[derive(Debug, Default)]
pub struct Unpacker {
    /// What has come and has not been read.
    stream: Vec<u8>,
    /// How much of it is behind us.
    at: usize,
    /// Sections read.
    sections: u64,
    /// The head of the bundle was good.
    begun: bool,
}

impl Unpacker {
    /// An unpacker at the start of a bundle.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the stream. Call [`Unpacker::block`] until it has none before giving more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.stream.drain(..self.at);
        self.at = 0;
        self.stream.extend_from_slice(bytes);
    }

    /// The next block with its hash, or none when more of the stream is needed.
    ///
    /// # Errors
    /// The stream is no bundle, or a section is not what it says.
    pub fn block(&mut self) -> Result<Option<(Hash, Vec<u8>)>, BundleError> {
        if !self.begun {
            let Some(head) = self.ahead(0, HEAD_BYTES) else { return Ok(None) };
            read_head(head).map_err(|source| BundleError::Head { source })?;
            self.at += HEAD_BYTES;
            self.begun = true;
        }
        let number = self.sections + 1;
        let Some(head) = self.ahead(0, HEAD_BYTES) else { return Ok(None) };
        let head =
            SectionHead::from_bytes(head).map_err(|source| BundleError::SectionHead { number, source })?;
        if head.bytes > SECTION_BYTES_MAX {
            return Err(BundleError::SectionTooLong { number, bytes: head.bytes });
        }
        let Some(gzip) = self.ahead(HEAD_BYTES, head.bytes) else { return Ok(None) };
        let block = decompress(gzip, number)?;
        let found = Hash::of(&block);
        if let Some(stated) = head.hash.filter(|stated| *stated != found) {
            return Err(BundleError::WrongBlock { number, stated, found });
        }
        self.at += HEAD_BYTES + head.bytes;
        self.sections = number;
        Ok(Some((found, block)))
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// It ended too early.
    pub fn finish(self) -> Result<(), BundleError> {
        match (self.begun, self.stream.len() - self.at) {
            (false, _) => Err(BundleError::Cut { number: 0 }),
            (true, 0) => Ok(()),
            (true, _) => Err(BundleError::Cut { number: self.sections + 1 }),
        }
    }

    /// The `bytes` bytes that stand `skip` bytes from here, if they have come.
    fn ahead(&self, skip: usize, bytes: usize) -> Option<&[u8]> {
        self.stream[self.at..].get(skip..skip + bytes)
    }
}

fn read_head(head: &[u8]) -> Result<(), DecodeError> {
    let mut d = Decoder::new(head);
    d.record(1)?;
    d.u16().map(drop)
}

fn decompress(gzip: &[u8], number: u64) -> Result<Vec<u8>, BundleError> {
    let mut block = Vec::new();
    let mut limited = GzDecoder::new(gzip).take(BLOCK_BYTES_MAX as u64 + 1);
    limited.read_to_end(&mut block).map_err(|source| BundleError::Gzip { number, source })?;
    if block.len() > BLOCK_BYTES_MAX { Err(BundleError::BlockTooLong { number }) } else { Ok(block) }
}

/// A pointer to a bundle: CBOR `[0, HashRef]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundleRef {
    /// Root of the tree of the bundle.
    pub bundle: Hash,
}

/// A signed pointer to a bundle, stored as one block: CBOR `[0, signed box]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedBundleRef(pub Signed<BundleRef>);

impl Encode for BundleRef {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 1);
        self.bundle.encode(e);
    }
}

impl Decode for BundleRef {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(1)?;
        Ok(Self { bundle: Hash::decode(d)? })
    }
}

impl Encode for SignedBundleRef {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 1);
        self.0.encode(e);
    }
}

impl Decode for SignedBundleRef {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(1)?;
        Signed::decode(d).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(blocks: &[&[u8]]) -> Vec<u8> {
        let sections = blocks.iter().map(|block| section(&Hash::of(block), block));
        [head().to_vec()].into_iter().chain(sections).collect::<Vec<_>>().concat()
    }

    fn unpack(stream: &[u8], piece: usize) -> Result<Vec<Vec<u8>>, BundleError> {
        let mut unpacker = Unpacker::new();
        let mut blocks = Vec::new();
        for piece in stream.chunks(piece) {
            unpacker.push(piece);
            while let Some((hash, block)) = unpacker.block()? {
                assert_eq!(hash, Hash::of(&block));
                blocks.push(block);
            }
        }
        unpacker.finish().map(|()| blocks)
    }

    #[test]
    fn blocks_come_out_as_they_went_in_whatever_the_pieces() {
        let large: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
        let blocks: [&[u8]; 4] = [b"hello", b"", &large, b"hello"];
        let stream = bundle(&blocks);
        for piece in [1, 63, 64, 65, 1000, stream.len()] {
            assert_eq!(unpack(&stream, piece).unwrap(), blocks, "pieces of {piece}");
        }
        assert_eq!(unpack(&bundle(&[]), 64).unwrap(), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn a_cut_a_changed_and_a_foreign_stream_are_told_apart() {
        let stream = bundle(&[b"hello", b"world"]);
        for cut in [0, 63, 65, 130, stream.len() - 1] {
            assert!(matches!(unpack(&stream[..cut], 100), Err(BundleError::Cut { .. })), "{cut} bytes");
        }
        assert!(matches!(unpack(&[0xff; 64], 64), Err(BundleError::Head { .. })));
        let with = |at: usize, byte: u8| {
            let mut changed = stream.clone();
            changed[at] = byte;
            unpack(&changed, stream.len())
        };
        assert!(matches!(with(64, 0), Err(BundleError::SectionHead { number: 1, .. })));
        assert!(matches!(with(80, 0), Err(BundleError::WrongBlock { number: 1, .. })));
        assert!(matches!(with(128, 0), Err(BundleError::Gzip { number: 1, .. })));
    }

    #[test]
    fn a_section_that_grows_beyond_a_block_is_refused() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&vec![0; BLOCK_BYTES_MAX + 1]).unwrap();
        let gzip = gzip.finish().unwrap();
        let section = |bytes| padded(&SectionHead { bytes, hash: None }.to_bytes()).to_vec();
        let bomb = [head().to_vec(), section(gzip.len()), gzip].concat();
        assert!(matches!(unpack(&bomb, bomb.len()), Err(BundleError::BlockTooLong { number: 1 })));
        let long = [head().to_vec(), section(SECTION_BYTES_MAX + 1)].concat();
        assert!(matches!(unpack(&long, long.len()), Err(BundleError::SectionTooLong { .. })));
    }
}
