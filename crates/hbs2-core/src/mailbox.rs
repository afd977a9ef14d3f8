//! Mailboxes: sealed messages kept for a key until its owner reads them (docs/spec/mailbox.md).
//!
//! A [`Message`] is signed by its sender and sealed for its recipients. A mailbox is a grow-only set of
//! [`MailboxEntry`] blocks: this message exists, this message was deleted by the owner. The owner of a mailbox signs
//! its [`PolicySetting`]; peers that keep it tell each other about it in a [`MailboxStatus`].

use std::fmt;
use std::str::FromStr;

use crate::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use crate::limits::DELETION_LEVELS_MAX;
use crate::signed::Signed;
use crate::{Hash, SignPublicKey};

mod message;
mod policy;

pub use message::{Draft, Flags, Message, MessageContent, MessageError, MessageKey};
pub use policy::{Policy, PolicyTextError};

/// What a mailbox is for. CBOR `[0]` or `[1]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MailboxKind {
    /// Keeps messages for its owner.
    Hub,
    /// Passes messages on.
    Relay,
}

impl MailboxKind {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Relay => "relay",
        }
    }
}

impl fmt::Display for MailboxKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no [`MailboxKind`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is no kind of mailbox: hub or relay")]
pub struct MailboxKindError {
    /// The word.
    pub word: String,
}

impl FromStr for MailboxKind {
    type Err = MailboxKindError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [Self::Hub, Self::Relay]
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or_else(|| MailboxKindError { word: word.to_owned() })
    }
}

/// The owner's choice of a policy: CBOR `[0, key, version, HashRef tree]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicySetting {
    /// The mailbox.
    pub mailbox: SignPublicKey,
    /// A higher number replaces a lower one.
    pub version: u32,
    /// Root of the tree of the text of the [`Policy`].
    pub policy: Hash,
}

/// What a peer tells about a mailbox it keeps: CBOR
/// `[0, seconds, key, kind, Maybe HashRef tree, Maybe signed box of the policy setting]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxStatus {
    /// When, in seconds since the epoch.
    pub seconds: u64,
    /// The mailbox.
    pub mailbox: SignPublicKey,
    /// Its kind at that peer.
    pub kind: MailboxKind,
    /// Root of the tree of its entries.
    pub tree: Option<Hash>,
    /// Its policy, signed by the owner.
    pub policy: Option<Signed<PolicySetting>>,
}

/// Which messages the owner deletes. An expression of the original's of which everybody honours one form, the name of
/// one message: CBOR `[0, [0, expression]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion(pub Predicate);

/// An expression about messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Predicate {
    /// CBOR `[0, p, p]`.
    And(Box<Predicate>, Box<Predicate>),
    /// CBOR `[1, p, p]`.
    Or(Box<Predicate>, Box<Predicate>),
    /// CBOR `[2, [0]]`.
    Nop,
    /// CBOR `[2, [1, HashRef]]`: the message of this name.
    Message(Hash),
    /// CBOR `[3]`.
    End,
}

/// An entry of a mailbox, stored as a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailboxEntry {
    /// CBOR `[0, [0, Maybe HashRef], HashRef]`: the message is here.
    Exists {
        /// The policy by which it was taken, if the writer says so.
        policy: Option<Hash>,
        /// Its name.
        message: Hash,
    },
    /// CBOR `[1, [0, Maybe HashRef], HashRef]`: the owner has deleted it.
    Deleted {
        /// The block with the owner's signed [`Deletion`].
        proof: Option<Hash>,
        /// The name of the message.
        message: Hash,
    },
}

impl Deletion {
    /// Deletes one message.
    #[must_use]
    pub const fn of(message: Hash) -> Self {
        Self(Predicate::Message(message))
    }

    /// The message it deletes, if it has the form that everybody honours.
    #[must_use]
    pub fn message(&self) -> Option<Hash> {
        match self.0 {
            Predicate::Message(hash) => Some(hash),
            _ => None,
        }
    }
}

impl MailboxEntry {
    /// The message it is about.
    #[must_use]
    pub const fn message(&self) -> Hash {
        match self {
            Self::Exists { message, .. } | Self::Deleted { message, .. } => *message,
        }
    }
}

impl Encode for MailboxKind {
    fn encode(&self, e: &mut Encoder) {
        e.variant(u64::from(*self == Self::Relay), 0);
    }
}

impl Decode for MailboxKind {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match d.variant()? {
            (0, 0) => Ok(Self::Hub),
            (1, 0) => Ok(Self::Relay),
            _ => Err(d.error("a kind of mailbox")),
        }
    }
}

impl Encode for PolicySetting {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 3);
        self.mailbox.encode(e);
        e.uint(u64::from(self.version));
        self.policy.encode(e);
    }
}

impl Decode for PolicySetting {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(3)?;
        Ok(Self { mailbox: SignPublicKey::decode(d)?, version: d.u32()?, policy: Hash::decode(d)? })
    }
}

impl Encode for MailboxStatus {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 5);
        e.uint(self.seconds);
        self.mailbox.encode(e);
        self.kind.encode(e);
        e.maybe(self.tree.as_ref(), |e, hash| hash.encode(e));
        e.maybe(self.policy.as_ref(), |e, signed| signed.encode(e));
    }
}

impl Decode for MailboxStatus {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(5)?;
        Ok(Self {
            seconds: d.uint()?,
            mailbox: SignPublicKey::decode(d)?,
            kind: MailboxKind::decode(d)?,
            tree: d.maybe(Hash::decode)?,
            policy: d.maybe(Signed::decode)?,
        })
    }
}

impl Encode for Deletion {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 1);
        e.variant(0, 1);
        self.0.encode(e);
    }
}

impl Decode for Deletion {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(1)?;
        d.record(1)?;
        decode_predicate(d, DELETION_LEVELS_MAX).map(Self)
    }
}

impl Encode for Predicate {
    fn encode(&self, e: &mut Encoder) {
        match self {
            Self::And(a, b) => {
                e.variant(0, 2);
                a.encode(e);
                b.encode(e);
            }
            Self::Or(a, b) => {
                e.variant(1, 2);
                a.encode(e);
                b.encode(e);
            }
            Self::Nop => {
                e.variant(2, 1);
                e.variant(0, 0);
            }
            Self::Message(hash) => {
                e.variant(2, 1);
                e.variant(1, 1);
                hash.encode(e);
            }
            Self::End => e.variant(3, 0),
        }
    }
}

fn decode_predicate(d: &mut Decoder<'_>, levels: usize) -> Result<Predicate, DecodeError> {
    let Some(levels) = levels.checked_sub(1) else {
        return Err(d.error(format!("at most {DELETION_LEVELS_MAX} levels of an expression")));
    };
    let next = |d: &mut Decoder<'_>| decode_predicate(d, levels).map(Box::new);
    match d.variant()? {
        (0, 2) => Ok(Predicate::And(next(d)?, next(d)?)),
        (1, 2) => Ok(Predicate::Or(next(d)?, next(d)?)),
        (2, 1) => match d.variant()? {
            (0, 0) => Ok(Predicate::Nop),
            (1, 1) => Hash::decode(d).map(Predicate::Message),
            _ => Err(d.error("a test of a message")),
        },
        (3, 0) => Ok(Predicate::End),
        _ => Err(d.error("an expression about messages")),
    }
}

impl Encode for MailboxEntry {
    fn encode(&self, e: &mut Encoder) {
        let (tag, proof, message) = match self {
            Self::Exists { policy, message } => (0, policy, message),
            Self::Deleted { proof, message } => (1, proof, message),
        };
        e.variant(tag, 2);
        e.variant(0, 1);
        e.maybe(proof.as_ref(), |e, hash| hash.encode(e));
        message.encode(e);
    }
}

impl Decode for MailboxEntry {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let start = d.at();
        let (tag, fields) = d.variant()?;
        if fields != 2 {
            return Err(DecodeError::new(start, "an entry of a mailbox"));
        }
        d.record(1)?;
        let proof = d.maybe(Hash::decode)?;
        let message = Hash::decode(d)?;
        match tag {
            0 => Ok(Self::Exists { policy: proof, message }),
            1 => Ok(Self::Deleted { proof, message }),
            _ => Err(DecodeError::new(start, "an entry of a mailbox")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_nested_too_deep_is_refused() {
        let nest = |levels: usize| {
            let inner =
                (1..levels).fold(Predicate::End, |p, _| Predicate::Or(Box::new(p), Box::new(Predicate::Nop)));
            Deletion(inner)
        };
        let deep = nest(DELETION_LEVELS_MAX);
        assert_eq!(Deletion::from_bytes(&deep.to_bytes()), Ok(deep));
        assert!(Deletion::from_bytes(&nest(DELETION_LEVELS_MAX + 1).to_bytes()).is_err());
    }

    #[test]
    fn only_the_name_of_a_message_deletes() {
        let hash = Hash::of(b"m");
        assert_eq!(Deletion::of(hash).message(), Some(hash));
        let both = Predicate::And(Box::new(Predicate::Message(hash)), Box::new(Predicate::End));
        assert_eq!(Deletion(both).message(), None);
    }
}
