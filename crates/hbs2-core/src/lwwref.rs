//! Last-writer-wins references: one value, the highest sequence number wins (docs/spec/lwwref.md).
//!
//! The signed box of an [`LwwRef`], `Signed<LwwRef>`, is one block; the reference points at it. The signer is
//! the key of the reference. Everybody applies the same rule, [`LwwRef::beats`], so all peers agree in the end.

use crate::Hash;
use crate::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};

/// A value with its sequence number: CBOR `[0, seq, HashRef, Maybe HashRef]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LwwRef {
    /// Sequence number; writers count up or use the time in seconds.
    pub seq: u64,
    /// What the reference points at.
    pub value: Hash,
    /// Reserved; every known writer leaves it empty.
    pub proof: Option<Hash>,
}

impl LwwRef {
    /// Whether this value replaces `current`: a higher sequence number, or the same and a larger hash.
    #[must_use]
    pub fn beats(&self, current: &Self) -> bool {
        (self.seq, self.value) > (current.seq, current.value)
    }

    /// The sequence number for the next write: the time, but always above the number of `current`.
    #[must_use]
    pub fn next_seq(current: Option<&Self>, now_seconds: u64) -> u64 {
        current.map_or(now_seconds, |current| now_seconds.max(current.seq.saturating_add(1)))
    }
}

impl Encode for LwwRef {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 3);
        e.uint(self.seq);
        self.value.encode(e);
        e.maybe(self.proof.as_ref(), |e, hash| hash.encode(e));
    }
}

impl Decode for LwwRef {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(3)?;
        Ok(Self { seq: d.uint()?, value: Hash::decode(d)?, proof: d.maybe(Hash::decode)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(new: (u64, u8), current: (u64, u8), expected: bool) {
        let lww = |(seq, byte): (u64, u8)| LwwRef { seq, value: Hash::from_bytes([byte; 32]), proof: None };
        assert_eq!(lww(new).beats(&lww(current)), expected, "{new:?} beats {current:?}");
    }

    #[test]
    fn lwwref_higher_seq_wins() {
        check((2, 0), (1, 9), true);
        check((1, 9), (2, 0), false);
    }

    #[test]
    fn lwwref_equal_seq_larger_hash_wins() {
        check((1, 9), (1, 8), true);
        check((1, 8), (1, 9), false);
        check((1, 9), (1, 9), false);
    }

    #[test]
    fn next_seq_never_goes_back() {
        let current = LwwRef { seq: 100, value: Hash::of(b""), proof: None };
        assert_eq!(LwwRef::next_seq(None, 7), 7);
        assert_eq!(LwwRef::next_seq(Some(&current), 7), 101);
        assert_eq!(LwwRef::next_seq(Some(&current), 200), 200);
        assert_eq!(LwwRef::next_seq(Some(&LwwRef { seq: u64::MAX, ..current }), 7), u64::MAX);
    }
}
