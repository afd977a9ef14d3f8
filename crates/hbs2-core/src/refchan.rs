//! Refchans: channels that many write and some admit to (docs/spec/refchan.md).
//!
//! The key that names a channel signs its [`ChanHead`]: who may write, whose peers admit what was written, and how
//! many of them it takes. A [`ChanUpdate`] proposes a payload or accepts a proposal; both are blocks, and the log of
//! the channel is the set of those that were admitted. A [`ChanNotice`] is spread and not kept.

use bytes::Bytes;

use crate::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use crate::key::SignSecretKey;
use crate::signed::{Blob, Signed, SignedError};
use crate::{Hash, SignPublicKey};

mod edit;
mod head;
mod text;

pub use edit::{HeadEdit, HeadEditError, Member};
pub use head::ChanHead;
pub use text::HeadTextError;

/// What an author wants in a channel: CBOR `[0, HashRef head, signed box of bytes]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Root of the tree of the head that the author saw.
    pub head: Hash,
    /// The payload, signed by the author.
    pub payload: Signed<Blob>,
}

/// A peer's word for a proposal: CBOR `[0, HashRef head, HashRef proposal]` without a time, and
/// `[1, Maybe [0, seconds], HashRef head, HashRef proposal]` with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acceptance {
    /// When, in seconds since the epoch.
    pub seconds: Option<u64>,
    /// Root of the tree of the head under which it accepts.
    pub head: Hash,
    /// The update that proposed.
    pub proposal: Hash,
}

/// A transaction of a channel as it came; no signature has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChanUpdate {
    /// CBOR `[0, key, signed box]`.
    Propose {
        /// The channel.
        chan: SignPublicKey,
        /// The proposal, signed by the peer that brings it.
        signed: Signed<Proposal>,
    },
    /// CBOR `[1, key, signed box]`.
    Accept {
        /// The channel.
        chan: SignPublicKey,
        /// The acceptance, signed by the peer that accepts.
        signed: Signed<Acceptance>,
    },
}

/// A transaction whose signatures are good. Whether its signers may is for a head to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerifiedUpdate {
    /// A proposal.
    Propose {
        /// The peer that brings it.
        peer: SignPublicKey,
        /// Who wrote it.
        author: SignPublicKey,
        /// The head it names.
        head: Hash,
        /// What was written.
        payload: Bytes,
    },
    /// An acceptance.
    Accept {
        /// The peer that accepts.
        peer: SignPublicKey,
        /// What it says.
        acceptance: Acceptance,
    },
}

/// What is said in a channel without being kept, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChanNotice {
    /// CBOR `[0, key, signed box of bytes]`: news of an author or notifier.
    Notify {
        /// The channel.
        chan: SignPublicKey,
        /// The news.
        signed: Signed<Blob>,
    },
    /// CBOR `[1, key, action]`: a local program asks its peer for something. Without meaning between peers.
    Action {
        /// The channel.
        chan: SignPublicKey,
        /// What to do.
        action: ChanAction,
    },
}

/// What a local program may ask of its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChanAction {
    /// CBOR `[0, HashRef]`: tell other peers of this block.
    Announce(Hash),
    /// CBOR `[1, HashRef]`: fetch this tree.
    Fetch(Hash),
}

impl ChanUpdate {
    /// Proposes `payload`, which its author has signed, as the peer that brings it.
    #[must_use]
    pub fn propose(peer: &SignSecretKey, chan: SignPublicKey, head: Hash, payload: Signed<Blob>) -> Self {
        Self::Propose { chan, signed: Signed::sign(peer, &Proposal { head, payload }) }
    }

    /// Accepts a proposal as a peer of the channel.
    #[must_use]
    pub fn accept(peer: &SignSecretKey, chan: SignPublicKey, acceptance: &Acceptance) -> Self {
        Self::Accept { chan, signed: Signed::sign(peer, acceptance) }
    }

    /// The channel it claims to belong to.
    #[must_use]
    pub fn chan(&self) -> &SignPublicKey {
        match self {
            Self::Propose { chan, .. } | Self::Accept { chan, .. } => chan,
        }
    }

    /// The name of the transaction: the hash of its block.
    #[must_use]
    pub fn id(&self) -> Hash {
        Hash::of(&self.to_bytes())
    }

    /// Checks every signature in it.
    ///
    /// # Errors
    /// One of the boxes does not open.
    pub fn verify(&self) -> Result<VerifiedUpdate, SignedError> {
        match self {
            Self::Propose { signed, .. } => {
                let outer = signed.verify()?;
                let inner = outer.value.payload.verify()?;
                Ok(VerifiedUpdate::Propose {
                    peer: outer.signer,
                    author: inner.signer,
                    head: outer.value.head,
                    payload: inner.value.0,
                })
            }
            Self::Accept { signed, .. } => {
                let opened = signed.verify()?;
                Ok(VerifiedUpdate::Accept { peer: opened.signer, acceptance: opened.value })
            }
        }
    }
}

impl ChanNotice {
    /// The channel it claims to belong to.
    #[must_use]
    pub fn chan(&self) -> &SignPublicKey {
        match self {
            Self::Notify { chan, .. } | Self::Action { chan, .. } => chan,
        }
    }
}

impl Encode for Proposal {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 2);
        self.head.encode(e);
        self.payload.encode(e);
    }
}

impl Decode for Proposal {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(2)?;
        Ok(Self { head: Hash::decode(d)?, payload: Signed::decode(d)? })
    }
}

impl Encode for Acceptance {
    fn encode(&self, e: &mut Encoder) {
        match self.seconds {
            None => e.variant(0, 2),
            Some(seconds) => {
                e.variant(1, 3);
                e.array(1);
                e.variant(0, 1);
                e.uint(seconds);
            }
        }
        self.head.encode(e);
        self.proposal.encode(e);
    }
}

impl Decode for Acceptance {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let seconds = match d.variant()? {
            (0, 2) => None,
            (1, 3) => d.maybe(|d| {
                d.record(1)?;
                d.uint()
            })?,
            _ => return Err(d.error("an acceptance with or without a time")),
        };
        Ok(Self { seconds, head: Hash::decode(d)?, proposal: Hash::decode(d)? })
    }
}

impl Encode for ChanUpdate {
    fn encode(&self, e: &mut Encoder) {
        match self {
            Self::Propose { chan, signed } => {
                e.variant(0, 2);
                chan.encode(e);
                signed.encode(e);
            }
            Self::Accept { chan, signed } => {
                e.variant(1, 2);
                chan.encode(e);
                signed.encode(e);
            }
        }
    }
}

impl Decode for ChanUpdate {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match d.variant()? {
            (0, 2) => Ok(Self::Propose { chan: SignPublicKey::decode(d)?, signed: Signed::decode(d)? }),
            (1, 2) => Ok(Self::Accept { chan: SignPublicKey::decode(d)?, signed: Signed::decode(d)? }),
            _ => Err(d.error("a proposal or an acceptance")),
        }
    }
}

impl Encode for ChanNotice {
    fn encode(&self, e: &mut Encoder) {
        match self {
            Self::Notify { chan, signed } => {
                e.variant(0, 2);
                chan.encode(e);
                signed.encode(e);
            }
            Self::Action { chan, action } => {
                e.variant(1, 2);
                chan.encode(e);
                action.encode(e);
            }
        }
    }
}

impl Decode for ChanNotice {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match d.variant()? {
            (0, 2) => Ok(Self::Notify { chan: SignPublicKey::decode(d)?, signed: Signed::decode(d)? }),
            (1, 2) => Ok(Self::Action { chan: SignPublicKey::decode(d)?, action: ChanAction::decode(d)? }),
            _ => Err(d.error("a notice or a request for an action")),
        }
    }
}

impl Encode for ChanAction {
    fn encode(&self, e: &mut Encoder) {
        let (tag, hash) = match self {
            Self::Announce(hash) => (0, hash),
            Self::Fetch(hash) => (1, hash),
        };
        e.variant(tag, 1);
        hash.encode(e);
    }
}

impl Decode for ChanAction {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match d.variant()? {
            (0, 1) => Hash::decode(d).map(Self::Announce),
            (1, 1) => Hash::decode(d).map(Self::Fetch),
            _ => Err(d.error("the action announce or fetch")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_believed_only_if_every_box_in_it_opens() {
        let (peer, author) = (SignSecretKey::from_seed(&[1; 32]), SignSecretKey::from_seed(&[2; 32]));
        let chan = SignSecretKey::from_seed(&[3; 32]).public();
        let payload = Signed::sign(&author, &Blob(Bytes::from_static(b"hello")));
        let head = Hash::of(b"head");
        let good = ChanUpdate::propose(&peer, chan, head, payload.clone());
        let expected = VerifiedUpdate::Propose {
            peer: peer.public(),
            author: author.public(),
            head,
            payload: Bytes::from_static(b"hello"),
        };
        assert_eq!(good.verify(), Ok(expected));
        let mut bytes = payload.to_bytes();
        *bytes.last_mut().unwrap() ^= 1;
        let forged = Signed::from_bytes(&bytes).unwrap();
        assert!(ChanUpdate::propose(&peer, chan, head, forged).verify().is_err());
    }
}
