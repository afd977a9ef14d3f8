//! Changes to the head of a channel, one by one.

use std::collections::btree_map::Entry;
use std::fmt;
use std::mem::replace;

use super::ChanHead;
use crate::limits::CHAN_KEYS_MAX;
use crate::{EncryptPublicKey, SignPublicKey};

/// Weight of a peer for which none is given. Nothing has a use for it; the channels of the original have this one.
const WEIGHT: i128 = 1;

/// Somebody whom a head names, as what he is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    /// A peer that brings and accepts proposals.
    Peer(SignPublicKey),
    /// Who may write.
    Author(SignPublicKey),
    /// A key for which programs seal what they write.
    Reader(EncryptPublicKey),
    /// Who may send notices.
    Notifier(SignPublicKey),
}

/// One change to a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadEdit {
    /// Name this member.
    Add(Member),
    /// Name it no more.
    Remove(Member),
    /// Give a peer this weight; it is named if it was not.
    Weigh(SignPublicKey, i128),
    /// Ask for so many acceptances.
    Quorum(u64),
    /// Let peers wait for them for so many seconds.
    Wait(u64),
}

/// Why changes make no head that could work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeadEditError {
    /// Two of the changes contradict each other.
    #[error("{member} is to be added and to be removed")]
    Both {
        /// Whom they are about.
        member: Member,
    },
    /// Nobody would be left to accept anything.
    #[error("the head would name no peer, and nothing could be written any more")]
    NoPeer,
    /// There would be fewer peers than must accept.
    #[error("{quorum} peers would have to accept what is written, and the head would name {peers}")]
    Quorum {
        /// How many must accept.
        quorum: u64,
        /// How many there would be.
        peers: u64,
    },
    /// A list would be longer than peers take it.
    #[error("the head would name more than {CHAN_KEYS_MAX} {what}")]
    TooMany {
        /// Whom it lists.
        what: &'static str,
    },
    /// No number is left for another head.
    #[error("version {version} is the last one there can be")]
    LastVersion {
        /// That of the present head.
        version: u64,
    },
}

impl ChanHead {
    /// The head that follows when `edits` are made in their order, and those of them that change something. Its version
    /// is one higher; without a change it is the same head.
    ///
    /// # Errors
    /// Two edits contradict each other, or nothing could be written under the new head.
    pub fn edited(&self, edits: &[HeadEdit]) -> Result<(Self, Vec<HeadEdit>), HeadEditError> {
        let both = edits.iter().find_map(|edit| match edit {
            HeadEdit::Remove(member) if edits.iter().any(|other| other.adds(member)) => Some(*member),
            _ => None,
        });
        if let Some(member) = both {
            return Err(HeadEditError::Both { member });
        }
        let mut head = self.clone();
        let made: Vec<HeadEdit> = edits.iter().copied().filter(|edit| head.edit(*edit)).collect();
        if !made.is_empty() {
            head.version =
                self.version.checked_add(1).ok_or(HeadEditError::LastVersion { version: self.version })?;
            head.check()?;
        }
        Ok((head, made))
    }

    /// Makes one change; whether anything is different.
    fn edit(&mut self, edit: HeadEdit) -> bool {
        match edit {
            HeadEdit::Add(Member::Peer(key)) => match self.peers.entry(key) {
                Entry::Vacant(place) => *place.insert(WEIGHT) == WEIGHT,
                Entry::Occupied(_) => false,
            },
            HeadEdit::Add(Member::Author(key)) => self.authors.insert(key),
            HeadEdit::Add(Member::Reader(key)) => self.readers.insert(key),
            HeadEdit::Add(Member::Notifier(key)) => self.notifiers.insert(key),
            HeadEdit::Remove(Member::Peer(key)) => self.peers.remove(&key).is_some(),
            HeadEdit::Remove(Member::Author(key)) => self.authors.remove(&key),
            HeadEdit::Remove(Member::Reader(key)) => self.readers.remove(&key),
            HeadEdit::Remove(Member::Notifier(key)) => self.notifiers.remove(&key),
            HeadEdit::Weigh(key, weight) => self.peers.insert(key, weight) != Some(weight),
            HeadEdit::Quorum(quorum) => replace(&mut self.quorum, quorum) != quorum,
            HeadEdit::Wait(seconds) => replace(&mut self.wait, seconds) != seconds,
        }
    }

    /// Checks that something can be written under this head, and that peers take it.
    fn check(&self) -> Result<(), HeadEditError> {
        let peers = self.peers.len() as u64;
        if peers == 0 {
            return Err(HeadEditError::NoPeer);
        }
        if self.votes_needed() > peers {
            return Err(HeadEditError::Quorum { quorum: self.votes_needed(), peers });
        }
        let lists = [
            ("peers", self.peers.len()),
            ("authors", self.authors.len()),
            ("readers", self.readers.len()),
            ("notifiers", self.notifiers.len()),
        ];
        match lists.iter().find(|(_, count)| *count > CHAN_KEYS_MAX) {
            Some((what, _)) => Err(HeadEditError::TooMany { what }),
            None => Ok(()),
        }
    }
}

impl HeadEdit {
    fn adds(&self, member: &Member) -> bool {
        match self {
            Self::Add(added) => added == member,
            Self::Weigh(key, _) => *member == Member::Peer(*key),
            _ => false,
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(key) => write!(f, "peer {key}"),
            Self::Author(key) => write!(f, "author {key}"),
            Self::Reader(key) => write!(f, "reader {key}"),
            Self::Notifier(key) => write!(f, "notifier {key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HeadEdit::{Add, Quorum, Remove, Wait, Weigh};
    use super::Member::{Author, Notifier, Peer, Reader};
    use super::*;
    use crate::Hash;

    fn key(byte: u8) -> SignPublicKey {
        SignPublicKey::from_bytes([byte; 32])
    }

    fn reader(byte: u8) -> EncryptPublicKey {
        EncryptPublicKey::from_bytes([byte; 32])
    }

    fn head() -> ChanHead {
        let lines = [
            vec!["version".to_owned(), "3".into()],
            vec!["quorum".into(), "1".into()],
            vec!["wait".into(), "10".into()],
            vec!["peer".into(), key(1).to_string(), "7".into()],
            vec!["author".into(), key(2).to_string()],
            vec!["disclosed".into(), Hash::of(b"credentials").to_string()],
        ];
        ChanHead::from_lines(&lines).unwrap()
    }

    #[test]
    fn edits_change_what_they_name_and_nothing_else() {
        let edits = [
            Add(Peer(key(3))),
            Add(Author(key(3))),
            Add(Reader(reader(4))),
            Add(Notifier(key(5))),
            Remove(Author(key(2))),
            Weigh(key(1), -2),
            Quorum(2),
            Wait(20),
        ];
        let (next, made) = head().edited(&edits).unwrap();
        assert_eq!(made, edits);
        assert_eq!((next.version, next.quorum, next.wait), (4, 2, 20));
        assert_eq!(next.peers, [(key(1), -2), (key(3), 1)].into());
        assert_eq!(next.authors, [key(3)].into());
        assert_eq!((next.readers, next.notifiers), ([reader(4)].into(), [key(5)].into()));
        assert_eq!(next.extension, head().extension, "published credentials stay");
    }

    #[test]
    fn without_a_change_the_head_keeps_its_version() {
        let edits = [
            Add(Peer(key(1))),
            Add(Author(key(2))),
            Remove(Author(key(9))),
            Remove(Reader(reader(9))),
            Weigh(key(1), 7),
            Quorum(1),
            Wait(10),
        ];
        assert_eq!(head().edited(&edits), Ok((head(), vec![])));
        assert_eq!(ChanHead::default().edited(&[]), Ok((ChanHead::default(), vec![])));
        let (next, made) = head().edited(&[Add(Author(key(2))), Add(Author(key(3)))]).unwrap();
        assert_eq!((next.version, made), (4, vec![Add(Author(key(3)))]));
    }

    #[test]
    fn a_head_under_which_nothing_could_be_written_is_refused() {
        let check = |edits: &[HeadEdit], error| assert_eq!(head().edited(edits), Err(error), "{edits:?}");
        check(&[Remove(Peer(key(1)))], HeadEditError::NoPeer);
        check(&[Quorum(2)], HeadEditError::Quorum { quorum: 2, peers: 1 });
        check(&[Add(Author(key(3))), Remove(Author(key(3)))], HeadEditError::Both { member: Author(key(3)) });
        check(&[Weigh(key(1), 2), Remove(Peer(key(1)))], HeadEditError::Both { member: Peer(key(1)) });
        let (swapped, _) = head().edited(&[Remove(Peer(key(1))), Add(Peer(key(2)))]).unwrap();
        assert_eq!(swapped.peers, [(key(2), 1)].into());
        let last = ChanHead { version: u64::MAX, ..head() };
        assert_eq!(last.edited(&[Wait(1)]), Err(HeadEditError::LastVersion { version: u64::MAX }));
        let many: Vec<HeadEdit> = (0..=CHAN_KEYS_MAX)
            .map(|number| {
                let mut bytes = [0; 32];
                bytes[..8].copy_from_slice(&number.to_be_bytes());
                Add(Notifier(SignPublicKey::from_bytes(bytes)))
            })
            .collect();
        check(&many, HeadEditError::TooMany { what: "notifiers" });
    }
}
