//! One record of a volume: a header that proves itself, and a payload.
//!
//! ```text
//! offset  bytes  field (numbers little-endian)
//!      0      4  magic: 89 48 32 52  ("H2R" after a byte that no text has)
//!      4      1  kind
//!      5      1  length of the name
//!      6      2  zero
//!      8      4  length of the payload
//!     12      4  CRC-32 of bytes 0 to 11 and the name
//!     16      n  name: hash of a block, name of a record, nothing for references
//!   16+n      m  payload
//! ```
//!
//! The CRC lets a reader trust the lengths and find the next record behind damage. It says nothing about the
//! payload: a block is proved by its hash, everything else by the check of [`value`](super::value).

use hbs2_core::Hash;
use hbs2_core::limits::BLOCK_BYTES_MAX;

const MAGIC: [u8; 4] = [0x89, b'H', b'2', b'R'];

/// Length of a header without the name, in bytes.
const FIXED_BYTES: usize = 16;

/// Length of the longest header, in bytes.
pub(super) const HEADER_BYTES_MAX: usize = FIXED_BYTES + u8::MAX as usize;

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A block that names no others.
    Blob = 1,
    /// A block that may name others.
    Linking = 2,
    /// The block is no more.
    BlockRemoved = 3,
    /// References that were set or removed together.
    References = 4,
    /// A record of the store's owner.
    Record = 5,
    /// That record is no more.
    RecordRemoved = 6,
}

impl Kind {
    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        let kinds = [
            Self::Blob,
            Self::Linking,
            Self::BlockRemoved,
            Self::References,
            Self::Record,
            Self::RecordRemoved,
        ];
        kinds.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// The header of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) name: Vec<u8>,
    pub(super) payload_bytes: u32,
}

impl Header {
    pub(super) fn new(kind: Kind, name: &[u8], payload: &[u8]) -> Self {
        let payload_bytes = payload.len().try_into().expect("payloads are limited to 16 MiB");
        Self { kind, name: name.to_vec(), payload_bytes }
    }

    /// Length of the encoded header, in bytes.
    pub(super) fn bytes(&self) -> usize {
        FIXED_BYTES + self.name.len()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes());
        bytes.extend(MAGIC);
        bytes.push(self.kind as u8);
        bytes.push(u8::try_from(self.name.len()).expect("names are limited to 255 bytes"));
        bytes.extend([0, 0]);
        bytes.extend(self.payload_bytes.to_le_bytes());
        bytes.extend(check(&bytes, &self.name));
        bytes.extend(&self.name);
        bytes
    }

    /// The header at the start of `bytes`, if there is a whole and undamaged one.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (start, rest) = bytes.split_at_checked(FIXED_BYTES - 4)?;
        let (found, rest) = rest.split_at_checked(4)?;
        let name = rest.get(..usize::from(start[5]))?;
        if start[..4] != MAGIC || found != check(start, name) {
            return None;
        }
        let payload_bytes = u32::from_le_bytes(start[8..12].try_into().expect("these are four bytes"));
        let kind = Kind::from_byte(start[4])?;
        (payload_bytes as usize <= BLOCK_BYTES_MAX).then(|| Self { kind, name: name.to_vec(), payload_bytes })
    }

    /// Whether a header starts with these bytes; used to look for one.
    pub(super) fn may_start(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC)
    }

    /// The hash of the block that the record is about.
    pub(super) fn hash(&self) -> Option<Hash> {
        self.name.as_slice().try_into().ok().map(Hash::from_bytes)
    }
}

fn check(start: &[u8], name: &[u8]) -> [u8; 4] {
    let mut crc = crc32fast::Hasher::new();
    crc.update(start);
    crc.update(name);
    crc.finalize().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_again_and_any_flipped_bit_is_found() {
        let header = Header::new(Kind::Linking, Hash::of(b"x").as_bytes(), &[0; 1000]);
        let mut bytes = header.encode();
        assert_eq!(bytes.len(), header.bytes());
        assert!(Header::may_start(&bytes));
        bytes.extend([7; 20]);
        assert_eq!(Header::decode(&bytes), Some(header.clone()));
        for bit in 0..header.bytes() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&bytes), None, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        for end in 0..header.bytes() {
            assert_eq!(Header::decode(&bytes[..end]), None);
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_document() {
        let header = Header::new(Kind::Record, b"polls", &[0; 258]);
        assert_eq!(header.encode()[..12], [0x89, 0x48, 0x32, 0x52, 5, 5, 0, 0, 2, 1, 0, 0]);
        assert_eq!(header.encode()[16..], *b"polls");
        let crc = crc32fast::hash(&[&header.encode()[..12], b"polls"].concat());
        assert_eq!(header.encode()[12..16], crc.to_le_bytes());
    }
}
