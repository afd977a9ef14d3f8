//! The transactions of the reflog: each names a whole snapshot (docs/spec/git2.md).

use bytes::Bytes;
use hbs2_core::cbor::{Decode, Encode};
use hbs2_core::{AnnotatedRef, Hash, SequentialRef};

/// What a transaction says: CBOR `[0, rank, [0, [head], bundles]]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotRef {
    /// When it was made, in seconds since 1970. Of all that are here completely the greatest counts.
    pub rank: i128,
    /// Root of the tree of the [`RepoHead`](super::RepoHead).
    pub head: Hash,
    /// Root of the tree that lists the trees of all packs, earlier ones first.
    pub bundles: Hash,
}

impl SnapshotRef {
    /// Reads the data of a reflog update; none when it is no transaction of this application.
    #[must_use]
    pub fn read(data: &[u8]) -> Option<Self> {
        let SequentialRef { rank, target } = SequentialRef::from_bytes(data).ok()?;
        Some(Self { rank, head: target.annotation?, bundles: target.target })
    }

    /// The data of a reflog update.
    #[must_use]
    pub fn to_data(&self) -> Bytes {
        let target = AnnotatedRef { annotation: Some(self.head), target: self.bundles };
        SequentialRef { rank: self.rank, target }.to_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::Payload;

    #[test]
    fn a_checkpoint_of_version_3_is_no_snapshot() {
        let snapshot = SnapshotRef { rank: 5, head: Hash::of(b"h"), bundles: Hash::of(b"b") };
        assert_eq!(SnapshotRef::read(&snapshot.to_data()), Some(snapshot));
        for payload in
            [Payload::Checkpoint { tree: Hash::of(b"t"), rank: 5 }, Payload::Segment { tree: Hash::of(b"t") }]
        {
            assert_eq!(SnapshotRef::read(&payload.to_data()), None);
        }
        assert_eq!(SnapshotRef::read(b"hello"), None);
    }
}
