//! Pointer blocks: small values that name another block (docs/spec/pointer.md).
//!
//! An [`AnnotatedRef`] names a target, with an annotation beside it if there is one; a [`SequentialRef`] adds a
//! rank. They are the payloads of reflog updates that a peer understands, so that it fetches what they name.

use crate::Hash;
use crate::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};

/// A target and what is said about it: CBOR `[0, Maybe HashRef, HashRef]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnnotatedRef {
    /// Tree or block that describes the target.
    pub annotation: Option<Hash>,
    /// Tree or block that is meant.
    pub target: Hash,
}

/// A target with its place in an order: CBOR `[0, Integer, AnnotatedRef]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequentialRef {
    /// Place in the order; git checkpoints put the time here, in seconds.
    pub rank: i128,
    /// What is ranked.
    pub target: AnnotatedRef,
}

impl AnnotatedRef {
    /// A pointer without annotation.
    #[must_use]
    pub const fn to(target: Hash) -> Self {
        Self { annotation: None, target }
    }
}

impl Encode for AnnotatedRef {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 2);
        e.maybe(self.annotation.as_ref(), |e, hash| hash.encode(e));
        self.target.encode(e);
    }
}

impl Decode for AnnotatedRef {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(2)?;
        Ok(Self { annotation: d.maybe(Hash::decode)?, target: Hash::decode(d)? })
    }
}

impl Encode for SequentialRef {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 2);
        e.integer(self.rank);
        self.target.encode(e);
    }
}

impl Decode for SequentialRef {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(2)?;
        Ok(Self { rank: d.integer()?, target: AnnotatedRef::decode(d)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequential_ref_wraps_an_annotated_one() {
        let pointer = SequentialRef { rank: -1, target: AnnotatedRef::to(Hash::from_bytes([7; 32])) };
        let bytes = pointer.to_bytes();
        assert_eq!(bytes[..6], [0x83, 0x00, 0x20, 0x83, 0x00, 0x80]);
        assert_eq!(SequentialRef::from_bytes(&bytes), Ok(pointer));
        assert!(AnnotatedRef::from_bytes(&bytes).is_err());
    }
}
