//! Messages: written, sealed, signed, opened.

use std::collections::BTreeSet;

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use crate::groupkey::{GroupKey, GroupKeyError, GroupSecret};
use crate::key::{EncryptPublicKey, EncryptSecretKey, SignSecretKey};
use crate::limits::{MESSAGE_PARTS_MAX, MESSAGE_RECIPIENTS_MAX};
use crate::sealed::{SealedBlock, SealedBlockError};
use crate::signed::{Signed, SignedError, Verified};
use crate::{Hash, SignPublicKey};

/// Facts about a message: CBOR `[0, [0, seconds], Maybe [0, ttl], Maybe [0], Maybe HashRef]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags {
    /// When it was written, in seconds since the epoch.
    pub created: u64,
    /// How long it is of interest, in seconds.
    pub ttl: Option<u32>,
    /// Whether its body is compressed with gzip.
    pub gzip: bool,
    /// What kind of message it is; reserved.
    pub schema: Option<Hash>,
}

/// Where the group key of a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageKey {
    /// In a tree: CBOR `[0, HashRef]`. Readers of the original refuse it.
    Tree(Hash),
    /// Here: CBOR `[1, group key]`, of which the group key is three items.
    Inline(GroupKey),
}

/// What a message says, sealed: CBOR `[0, flags, recipients, key, parts, sealed block]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageContent {
    /// Facts about it.
    pub flags: Flags,
    /// Whom it is for: names of mailboxes.
    pub recipients: BTreeSet<SignPublicKey>,
    /// The group key that opens it.
    pub key: MessageKey,
    /// Roots of the attached trees.
    pub parts: BTreeSet<Hash>,
    /// The text.
    pub body: SealedBlock,
}

/// A message as it came: the signature of the sender has not been checked. CBOR `[0, signed box]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message(pub Signed<MessageContent>);

/// Why a message cannot be made or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It is for nobody, or for too many.
    #[error("a message has 1 to {MESSAGE_RECIPIENTS_MAX} recipients, not {count}")]
    Recipients {
        /// How many were named.
        count: usize,
    },
    /// It has too many attachments.
    #[error("a message has at most {MESSAGE_PARTS_MAX} attachments, not {count}")]
    Parts {
        /// How many there are.
        count: usize,
    },
    /// Its signature is bad, or it holds something else.
    #[error("cannot read the message")]
    Signed(#[from] SignedError),
    /// Its group key is elsewhere, which nobody does.
    #[error("the group key of the message is in tree {key} and not within the message")]
    KeyElsewhere {
        /// Root of the tree.
        key: Hash,
    },
    /// Its group key cannot be made or opened.
    #[error("cannot use the group key of the message")]
    Key(#[from] GroupKeyError),
    /// Its body does not open.
    #[error("cannot open the body of the message")]
    Body(#[from] SealedBlockError),
}

/// A message to be written.
#[derive(Debug, Clone)]
pub struct Draft<'a> {
    /// The time, in seconds since the epoch.
    pub seconds: u64,
    /// Whom it is for.
    pub recipients: BTreeSet<SignPublicKey>,
    /// Who can read it: encryption keys of the recipients and of the sender.
    pub readers: BTreeSet<EncryptPublicKey>,
    /// Roots of attached trees.
    pub parts: BTreeSet<Hash>,
    /// The text.
    pub body: &'a [u8],
}

impl Draft<'_> {
    /// Seals the draft with a fresh secret and signs it. `once` gives a fresh random key for each reader; the blocks
    /// of the tree of the group key, which the original stores too, go to `emit`.
    ///
    /// # Errors
    /// Too few or too many recipients, readers or parts.
    pub fn seal(
        &self,
        sender: &SignSecretKey,
        secret: &GroupSecret,
        once: impl FnMut() -> EncryptSecretKey,
        emit: impl FnMut(Hash, Bytes),
    ) -> Result<Message, MessageError> {
        let key = GroupKey::generate(secret, &self.readers, self.seconds, once)?;
        self.seal_under(sender, secret, key, emit)
    }

    /// The same under a group key of `secret` that is there already, because parts are sealed with it.
    ///
    /// # Errors
    /// Too few or too many recipients or parts.
    pub fn seal_under(
        &self,
        sender: &SignSecretKey,
        secret: &GroupSecret,
        key: GroupKey,
        emit: impl FnMut(Hash, Bytes),
    ) -> Result<Message, MessageError> {
        check_counts(self.recipients.len(), self.parts.len())?;
        let body = SealedBlock::seal_bytes(secret, key.build(emit), self.body);
        let content = MessageContent {
            flags: Flags { created: self.seconds, ttl: None, gzip: false, schema: None },
            recipients: self.recipients.clone(),
            key: MessageKey::Inline(key),
            parts: self.parts.clone(),
            body,
        };
        Ok(Message(Signed::sign(sender, &content)))
    }
}

impl Message {
    /// Checks the signature of the sender.
    ///
    /// # Errors
    /// It is bad, or the content is something else.
    pub fn verify(&self) -> Result<Verified<MessageContent>, MessageError> {
        Ok(self.0.verify()?)
    }

    /// The name of the message: the hash of its block.
    #[must_use]
    pub fn id(&self) -> Hash {
        Hash::of(&self.to_bytes())
    }
}

impl MessageContent {
    /// The secret of the message, which also opens its parts.
    ///
    /// # Errors
    /// None of the keys is a reader's, or the group key is not here.
    pub fn secret<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k EncryptSecretKey>,
    ) -> Result<GroupSecret, MessageError> {
        match &self.key {
            MessageKey::Inline(key) => Ok(key.open_with(keys)?),
            MessageKey::Tree(key) => Err(MessageError::KeyElsewhere { key: *key }),
        }
    }

    /// The text.
    ///
    /// # Errors
    /// As [`MessageContent::secret`], or the body does not open.
    pub fn open<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k EncryptSecretKey>,
    ) -> Result<Zeroizing<Vec<u8>>, MessageError> {
        Ok(self.body.open_bytes(&self.secret(keys)?)?)
    }
}

fn check_counts(recipients: usize, parts: usize) -> Result<(), MessageError> {
    if recipients == 0 || recipients > MESSAGE_RECIPIENTS_MAX {
        return Err(MessageError::Recipients { count: recipients });
    }
    if parts > MESSAGE_PARTS_MAX {
        return Err(MessageError::Parts { count: parts });
    }
    Ok(())
}

impl Encode for Flags {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 4);
        e.variant(0, 1);
        e.uint(self.created);
        e.maybe(self.ttl, |e, ttl| {
            e.variant(0, 1);
            e.uint(u64::from(ttl));
        });
        e.maybe(self.gzip.then_some(()), |e, ()| e.variant(0, 0));
        e.maybe(self.schema.as_ref(), |e, hash| hash.encode(e));
    }
}

impl Decode for Flags {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(4)?;
        d.record(1)?;
        let created = d.uint()?;
        let ttl = d.maybe(|d| {
            d.record(1)?;
            d.u32()
        })?;
        let gzip = d.maybe(|d| d.record(0))?.is_some();
        Ok(Self { created, ttl, gzip, schema: d.maybe(Hash::decode)? })
    }
}

impl Encode for MessageContent {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 5);
        self.flags.encode(e);
        e.array(self.recipients.len());
        self.recipients.iter().for_each(|key| key.encode(e));
        match &self.key {
            MessageKey::Tree(hash) => {
                e.variant(0, 1);
                hash.encode(e);
            }
            MessageKey::Inline(key) => {
                e.variant(1, 1);
                key.encode(e);
            }
        }
        e.array(self.parts.len());
        self.parts.iter().for_each(|hash| hash.encode(e));
        self.body.encode(e);
    }
}

impl Decode for MessageContent {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(5)?;
        Ok(Self {
            flags: Flags::decode(d)?,
            recipients: decode_set(d, MESSAGE_RECIPIENTS_MAX)?,
            key: match d.variant()? {
                (0, 1) => MessageKey::Tree(Hash::decode(d)?),
                (1, 1) => MessageKey::Inline(GroupKey::decode(d)?),
                _ => return Err(d.error("the group key of a message")),
            },
            parts: decode_set(d, MESSAGE_PARTS_MAX)?,
            body: SealedBlock::decode(d)?,
        })
    }
}

fn decode_set<T: Decode + Ord>(d: &mut Decoder<'_>, max: usize) -> Result<BTreeSet<T>, DecodeError> {
    let start = d.at();
    let count = d.array()?;
    if count > max as u64 {
        return Err(DecodeError::new(start, format!("a set of at most {max}")));
    }
    (0..count).map(|_| T::decode(d)).collect()
}

impl Encode for Message {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 1);
        self.0.encode(e);
    }
}

impl Decode for Message {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(1)?;
        Signed::decode(d).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_opens_for_its_readers_only_and_names_its_sender() {
        let sender = SignSecretKey::from_seed(&[1; 32]);
        let recipient = SignSecretKey::from_seed(&[2; 32]).public();
        let (reader, stranger) =
            (EncryptSecretKey::from_bytes([3; 32]), EncryptSecretKey::from_bytes([4; 32]));
        let draft = Draft {
            seconds: 7,
            recipients: BTreeSet::from([recipient]),
            readers: BTreeSet::from([reader.public()]),
            parts: BTreeSet::new(),
            body: b"hello",
        };
        let mut ephemeral = 9;
        let once = || {
            ephemeral += 1;
            EncryptSecretKey::from_bytes([ephemeral; 32])
        };
        let message = draft.seal(&sender, &GroupSecret::from_bytes([5; 32]), once, |_, _| {}).unwrap();
        let read = Message::from_bytes(&message.to_bytes()).unwrap().verify().unwrap();
        assert_eq!(read.signer, sender.public());
        assert_eq!(read.value.open([&stranger, &reader]).unwrap().as_slice(), b"hello");
        assert!(matches!(read.value.open([&stranger]), Err(MessageError::Key(_))));
        let nobody = Draft { recipients: BTreeSet::new(), ..draft };
        let refused = nobody.seal(&sender, &GroupSecret::from_bytes([5; 32]), || reader.clone(), |_, _| {});
        assert_eq!(refused, Err(MessageError::Recipients { count: 0 }));
    }
}
