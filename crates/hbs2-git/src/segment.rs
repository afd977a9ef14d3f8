//! Segments: git objects and references as records in a zstd stream (spec: git3 6).
//!
//! ```text
//! record = length u32 BE | key 20 bytes | letter 1 byte | value
//!          length = 21 + bytes of the value
//! ```
//!
//! The key of an object is its git id; the key of a reference record is the id its value would have as a blob.
//! There is no header, no footer and no order. Letters: `C` commit, `T` tree, `B` blob, `R` references, and `G`
//! annotated tag, which is ours: readers that do not know a letter take the record for a blob, so for them a
//! tag is one dangling blob.

use std::io::{self, Read};

use hbs2_core::tree::sealed::BlockError;

use crate::object::{ObjectId, ObjectKind};

/// The largest value we read or write, in bytes. The length field would allow twice as much; a value must fit
/// into memory, and git itself handles blobs beyond 2 GiB badly.
pub const VALUE_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024 - 1;

/// Bytes of a record that the length field counts besides the value: key and letter.
const KEY_AND_LETTER_BYTES: u64 = 21;

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKind {
    /// A git object.
    Object(ObjectKind),
    /// Lines that set references ([`refs`](crate::refs)).
    Refs,
}

impl RecordKind {
    /// The letter that stands for it.
    #[must_use]
    pub const fn letter(self) -> u8 {
        match self {
            Self::Object(ObjectKind::Commit) => b'C',
            Self::Object(ObjectKind::Tree) => b'T',
            Self::Object(ObjectKind::Blob) => b'B',
            Self::Object(ObjectKind::Tag) => b'G',
            Self::Refs => b'R',
        }
    }

    /// What a letter stands for; an unknown one for a blob, as in the original.
    #[must_use]
    pub const fn from_letter(letter: u8) -> Self {
        match letter {
            b'C' => Self::Object(ObjectKind::Commit),
            b'T' => Self::Object(ObjectKind::Tree),
            b'G' => Self::Object(ObjectKind::Tag),
            b'R' => Self::Refs,
            _ => Self::Object(ObjectKind::Blob),
        }
    }

    /// The kind of object under which the key is computed.
    #[must_use]
    pub const fn hashed_as(self) -> ObjectKind {
        match self {
            Self::Object(kind) => kind,
            Self::Refs => ObjectKind::Blob,
        }
    }
}

/// The fixed part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHead {
    /// The key.
    pub id: ObjectId,
    /// What the value is.
    pub kind: RecordKind,
    /// Length of the value, in bytes.
    pub bytes: u64,
}

/// Why a segment cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The content cannot be had or is no zstd stream.
    #[error("its content cannot be decompressed")]
    Content {
        /// What went wrong below.
        source: io::Error,
    },
    /// A block of a sealed segment does not open.
    #[error("its content does not open")]
    Sealed {
        /// In which way.
        source: BlockError,
    },
    /// The stream ends within the length, key or letter of a record.
    #[error("malformed segment: it ends within the head of record {record}")]
    Head {
        /// Number of the record, from 0.
        record: u64,
    },
    /// The length field of a record is impossible.
    #[error("malformed segment: record {record} claims a length of {length} bytes")]
    Length {
        /// Number of the record, from 0.
        record: u64,
        /// The length.
        length: u64,
    },
    /// The stream ends within a value.
    #[error("malformed segment: it ends within object {id}, {missing} bytes short")]
    Truncated {
        /// Key of the record.
        id: ObjectId,
        /// Bytes that are missing.
        missing: u64,
    },
    /// The key of a record is not the id of its value.
    #[error("malformed segment: the {kind} named {id} has the id {actual}")]
    WrongId {
        /// Key of the record.
        id: ObjectId,
        /// Id of the value.
        actual: ObjectId,
        /// The kind it is recorded as.
        kind: &'static str,
    },
    /// A reference record has a line that is none.
    #[error("malformed segment: reference record {id} has the line {line:?}")]
    RefLine {
        /// Key of the record.
        id: ObjectId,
        /// The line.
        line: String,
    },
}

impl SegmentError {
    /// What a failed read means: the error of a sealed block if that is what it carries.
    pub(crate) fn content(error: io::Error) -> Self {
        match error.downcast() {
            Ok(source) => Self::Sealed { source },
            Err(source) => Self::Content { source },
        }
    }
}

/// Reads the records of a decompressed stream, one after the other.
#[derive(Debug)]
pub struct RecordReader<R> {
    input: R,
    records: u64,
}

impl<R: Read> RecordReader<R> {
    /// A reader at the first record.
    pub fn new(input: R) -> Self {
        Self { input, records: 0 }
    }

    /// The head of the next record, or none at the end. The value must be read or skipped next.
    ///
    /// # Errors
    /// The stream is broken, ends within the head, or the length is impossible.
    pub fn head(&mut self) -> Result<Option<RecordHead>, SegmentError> {
        let mut head = [0; 25];
        let got = read_full(&mut self.input, &mut head)?;
        if got == 0 {
            return Ok(None);
        }
        let record = self.records;
        if got < head.len() {
            return Err(SegmentError::Head { record });
        }
        self.records += 1;
        let length = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        match length.checked_sub(KEY_AND_LETTER_BYTES) {
            Some(bytes) if bytes <= VALUE_BYTES_MAX => {
                let id = ObjectId::from_slice(&head[4..]).expect("21 bytes are left");
                Ok(Some(RecordHead { id, kind: RecordKind::from_letter(head[24]), bytes }))
            }
            _ => Err(SegmentError::Length { record, length }),
        }
    }

    /// Appends the value of the record whose head was just read.
    ///
    /// # Errors
    /// The stream is broken or ends within the value.
    pub fn value(&mut self, head: &RecordHead, out: &mut Vec<u8>) -> Result<(), SegmentError> {
        let got = (&mut self.input).take(head.bytes).read_to_end(out).map_err(SegmentError::content)?;
        match head.bytes - got as u64 {
            0 => Ok(()),
            missing => Err(SegmentError::Truncated { id: head.id, missing }),
        }
    }

    /// Passes over the value of the record whose head was just read.
    ///
    /// # Errors
    /// The stream is broken or ends within the value.
    pub fn skip(&mut self, head: &RecordHead) -> Result<(), SegmentError> {
        let got = io::copy(&mut (&mut self.input).take(head.bytes), &mut io::sink())
            .map_err(SegmentError::content)?;
        match head.bytes - got {
            0 => Ok(()),
            missing => Err(SegmentError::Truncated { id: head.id, missing }),
        }
    }
}

/// Reads until `buffer` is full or the input ends; gives the bytes read.
fn read_full(input: &mut impl Read, buffer: &mut [u8]) -> Result<usize, SegmentError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(SegmentError::content(error)),
        }
    }
    Ok(filled)
}

/// Checks that the key of a record is the id of its value.
///
/// # Errors
/// [`SegmentError::WrongId`] when it is not.
pub fn verify(id: ObjectId, kind: RecordKind, value: &[u8]) -> Result<(), SegmentError> {
    let actual = ObjectId::of(kind.hashed_as(), value);
    if actual == id {
        Ok(())
    } else {
        Err(SegmentError::WrongId { id, actual, kind: kind.hashed_as().name() })
    }
}

/// Appends one record.
///
/// # Panics
/// The value is longer than [`VALUE_BYTES_MAX`]; callers check sizes when they read the object.
pub fn write_record(out: &mut Vec<u8>, id: ObjectId, kind: RecordKind, value: &[u8]) {
    out.extend_from_slice(&record_head(id, kind, value.len()));
    out.extend_from_slice(value);
}

/// The 25 bytes before a value of `bytes` bytes.
///
/// # Panics
/// `bytes` is above [`VALUE_BYTES_MAX`].
#[must_use]
pub fn record_head(id: ObjectId, kind: RecordKind, bytes: usize) -> [u8; 25] {
    assert!(bytes as u64 <= VALUE_BYTES_MAX, "a value of {bytes} bytes does not fit a record");
    let length = (bytes as u64 + KEY_AND_LETTER_BYTES) as u32;
    let mut head = [0; 25];
    head[..4].copy_from_slice(&length.to_be_bytes());
    head[4..24].copy_from_slice(id.as_bytes());
    head[24] = kind.letter();
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_all(bytes: &[u8]) -> Result<Vec<(RecordHead, Vec<u8>)>, SegmentError> {
        let mut reader = RecordReader::new(bytes);
        let mut records = Vec::new();
        while let Some(head) = reader.head()? {
            let mut value = Vec::new();
            reader.value(&head, &mut value)?;
            records.push((head, value));
        }
        Ok(records)
    }

    #[test]
    fn the_example_of_the_spec_is_written_and_read() {
        let id = ObjectId::of(ObjectKind::Blob, b"hello\n");
        let mut bytes = Vec::new();
        write_record(&mut bytes, id, RecordKind::Object(ObjectKind::Blob), b"hello\n");
        assert_eq!(hex::encode(&bytes), "0000001bce013625030ba8dba906f756967f9e9ca394464a4268656c6c6f0a");
        let records = read_all(&bytes).unwrap();
        assert_eq!(records[0].1, b"hello\n");
        assert!(verify(id, records[0].0.kind, b"hello\n").is_ok());
    }

    #[test]
    fn unknown_letters_are_blobs() {
        assert_eq!(RecordKind::from_letter(b'x'), RecordKind::Object(ObjectKind::Blob));
    }

    #[test]
    fn a_wrong_id_names_both_ids() {
        let error = verify(ObjectId::NULL, RecordKind::Refs, b"x").unwrap_err().to_string();
        assert!(error.contains(&ObjectId::NULL.to_string()), "{error}");
        assert!(error.contains(&ObjectId::of(ObjectKind::Blob, b"x").to_string()), "{error}");
    }

    #[test]
    fn an_impossible_length_is_refused() {
        for length in [0u32, 20, u32::MAX] {
            let mut bytes = length.to_be_bytes().to_vec();
            bytes.extend_from_slice(&[0; 21]);
            assert!(matches!(read_all(&bytes), Err(SegmentError::Length { record: 0, .. })), "{length}");
        }
    }

    proptest! {
        #[test]
        fn records_come_back(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20)) {
            let kinds = [b'C', b'T', b'B', b'G', b'R'].map(RecordKind::from_letter);
            let mut bytes = Vec::new();
            let mut expected = Vec::new();
            for (i, value) in values.into_iter().enumerate() {
                let kind = kinds[i % kinds.len()];
                let id = ObjectId::of(kind.hashed_as(), &value);
                write_record(&mut bytes, id, kind, &value);
                expected.push((RecordHead { id, kind, bytes: value.len() as u64 }, value));
            }
            prop_assert_eq!(read_all(&bytes).unwrap(), expected.clone());
            // Cut anywhere, it is either a shorter list or an error, never a panic.
            for cut in 0..bytes.len() {
                if let Ok(records) = read_all(&bytes[..cut]) {
                    prop_assert_eq!(&records[..], &expected[..records.len()]);
                }
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_all(&bytes);
        }
    }
}
