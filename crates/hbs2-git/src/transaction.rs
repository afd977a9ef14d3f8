//! The two kinds of transaction in a reflog (spec: git3 5).
//!
//! A *segment* (S) names a tree of git objects and reference records. A *checkpoint* (C) names the tree of the
//! whole reflog at a moment when all its transactions were there, with the time as its rank: what counts is
//! what the checkpoint of the greatest rank lists.

use bytes::Bytes;
use hbs2_core::{AnnotatedRef, Decode, Encode, Hash, SequentialRef};

/// What a transaction says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// Here are objects and references.
    Segment {
        /// Root of the segment's tree.
        tree: Hash,
    },
    /// This state of the reflog is consistent.
    Checkpoint {
        /// Root of a tree of transactions.
        tree: Hash,
        /// When it was made, in seconds since 1970.
        rank: i128,
    },
}

/// A transaction and its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transaction {
    /// Hash of the update's block.
    pub id: Hash,
    /// What it says.
    pub payload: Payload,
}

impl Payload {
    /// Reads the data of a reflog update; none when it is no transaction of this application.
    #[must_use]
    pub fn read(data: &[u8]) -> Option<Self> {
        if let Ok(AnnotatedRef { target, .. }) = AnnotatedRef::from_bytes(data) {
            return Some(Self::Segment { tree: target });
        }
        let SequentialRef { rank, target } = SequentialRef::from_bytes(data).ok()?;
        Some(Self::Checkpoint { tree: target.target, rank })
    }

    /// The data of a reflog update.
    #[must_use]
    pub fn to_data(&self) -> Bytes {
        match *self {
            Self::Segment { tree } => AnnotatedRef::to(tree).to_bytes().into(),
            Self::Checkpoint { tree, rank } => {
                SequentialRef { rank, target: AnnotatedRef::to(tree) }.to_bytes().into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_those_of_the_spec() {
        let tree = Hash::of(b"");
        let segment = Payload::Segment { tree };
        let hash = "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8";
        assert_eq!(hex::encode(segment.to_data()), format!("830080820082005820{hash}"));
        let checkpoint = Payload::Checkpoint { tree, rank: 1739026121 };
        assert_eq!(hex::encode(checkpoint.to_data()), format!("83001a67a76ec9830080820082005820{hash}"));
        for payload in [segment, checkpoint] {
            assert_eq!(Payload::read(&payload.to_data()), Some(payload));
        }
    }

    #[test]
    fn an_annotation_is_ignored_and_other_data_is_no_transaction() {
        let tree = Hash::of(b"t");
        let annotated = AnnotatedRef { annotation: Some(Hash::of(b"a")), target: tree };
        assert_eq!(Payload::read(&annotated.to_bytes()), Some(Payload::Segment { tree }));
        assert_eq!(Payload::read(b""), None);
        assert_eq!(Payload::read(b"hello"), None);
    }
}
