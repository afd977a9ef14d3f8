//! The content of a pack's tree: an index of object ids, then a git pack (docs/spec/git2.md).
//!
//! ```text
//! u32 BE bytes of the index | u32 BE 1 | CBOR list of ids | what git pack-objects wrote
//! ```
//! The index tells what a pack holds without unpacking it.

use std::io::{self, Read};

use hbs2_core::cbor::{DecodeError, Decoder, Encoder};

use crate::object::ObjectId;

/// The only version of the container.
const VERSION: u32 = 1;

/// Objects of one pack, at most. The history of Linux has a third of it.
pub const OBJECTS_MAX: usize = 32 * 1024 * 1024;

/// Bytes before the index: its length and the version.
pub const HEAD_BYTES: usize = 8;

/// Bytes of an id in the index: two for its constructor, one for its length.
const ID_BYTES: usize = 2 + 1 + ObjectId::BYTES;

/// Longest index, in bytes.
const INDEX_BYTES_MAX: usize = OBJECTS_MAX * ID_BYTES + 2;

/// Why a pack cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// Its bytes cannot be had.
    #[error("cannot read its content")]
    Content {
        /// What went wrong.
        #[from]
        source: io::Error,
    },
    /// It has a version we do not know.
    #[error("its version is {version} and not {VERSION}")]
    Version {
        /// The version.
        version: u32,
    },
    /// The index is longer than any we read.
    #[error("its index has {bytes} bytes, more than {INDEX_BYTES_MAX}")]
    IndexTooLong {
        /// How long it is.
        bytes: usize,
    },
    /// The index is no list of object ids.
    #[error("its index is no list of object ids")]
    Index {
        /// Where it went wrong.
        source: DecodeError,
    },
    /// The index names an object that the pack does not have.
    #[error("it lacks object {id} of its index")]
    Lacks {
        /// The object.
        id: ObjectId,
    },
}

/// What stands before the git pack of these objects.
///
/// # Panics
/// There are more than [`OBJECTS_MAX`] of them.
#[must_use]
pub fn write_index(ids: &[ObjectId]) -> Vec<u8> {
    assert!(ids.len() <= OBJECTS_MAX, "a pack of too many objects");
    let mut index = Encoder::with_capacity(ids.len() * ID_BYTES + 2);
    index.list(ids, |e, id| {
        e.variant(0, 1);
        e.bytes(id.as_bytes());
    });
    let index = index.into_bytes();
    let length = u32::try_from(index.len()).expect("the number of objects was compared");
    [&length.to_be_bytes()[..], &VERSION.to_be_bytes(), &index].concat()
}

/// Reads the index; what `content` gives after it is the git pack.
///
/// # Errors
/// It is none of this version, or too long.
pub fn read_index(content: &mut impl Read) -> Result<Vec<ObjectId>, ContainerError> {
    let (mut length, mut version) = ([0; 4], [0; 4]);
    content.read_exact(&mut length)?;
    content.read_exact(&mut version)?;
    let version = u32::from_be_bytes(version);
    if version != VERSION {
        return Err(ContainerError::Version { version });
    }
    let bytes = u32::from_be_bytes(length) as usize;
    if bytes > INDEX_BYTES_MAX {
        return Err(ContainerError::IndexTooLong { bytes });
    }
    let mut index = Vec::new();
    content.take(bytes as u64).read_to_end(&mut index)?;
    if index.len() < bytes {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    read_ids(&index).map_err(|source| ContainerError::Index { source })
}

fn read_ids(index: &[u8]) -> Result<Vec<ObjectId>, DecodeError> {
    let mut d = Decoder::new(index);
    d.list_into(Vec::with_capacity(index.len() / ID_BYTES), OBJECTS_MAX, |d| {
        d.record(1)?;
        Ok(ObjectId::from_bytes(d.byte_array()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_follows_the_index_is_the_pack() {
        for count in [0_u8, 1, 200] {
            let ids: Vec<_> = (0..count).map(|n| ObjectId::from_bytes([n; 20])).collect();
            let content = [&write_index(&ids)[..], b"PACK"].concat();
            let mut rest = &content[..];
            assert_eq!(read_index(&mut rest).unwrap(), ids);
            assert_eq!(rest, b"PACK");
        }
    }

    #[test]
    fn other_versions_and_cut_containers_are_refused() {
        let whole = write_index(&[ObjectId::from_bytes([1; 20])]);
        for end in 0..whole.len() {
            assert!(read_index(&mut &whole[..end]).is_err(), "{end}");
        }
        let mut other = whole.clone();
        other[7] = 2;
        assert!(matches!(read_index(&mut &other[..]), Err(ContainerError::Version { version: 2 })));
        other[0..8].copy_from_slice(&[255, 255, 255, 255, 0, 0, 0, 1]);
        assert!(matches!(read_index(&mut &other[..]), Err(ContainerError::IndexTooLong { .. })));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_index(&mut &[&[0, 0, 0, 150, 0, 0, 0, 1], &bytes[..]].concat()[..]);
        }
    }
}
