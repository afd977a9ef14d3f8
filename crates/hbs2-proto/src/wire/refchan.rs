//! Protocols 11001 and 11003: heads and logs of refchans; and what is said to a validator (spec: wire 2.13, 3.10).
//! Updates (11002) and notices (11004) travel as they are stored.

use hbs2_core::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use hbs2_core::{Hash, SignPublicKey};

/// A message of protocol 11001.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChanHeadMessage {
    /// The head of the channel is the tree under this root.
    Head {
        /// The channel.
        chan: SignPublicKey,
        /// Root of the tree.
        root: Hash,
    },
    /// What is the head?
    Get(SignPublicKey),
}

/// A message of protocol 11003.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChanRequest {
    /// What is the log?
    Request(SignPublicKey),
    /// The tree under this root.
    Response {
        /// The channel.
        chan: SignPublicKey,
        /// Root of the tree.
        root: Hash,
    },
}

/// What a node and the validator of a channel say to each other on a unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChanValidate {
    /// Joins question and answer; eight random bytes.
    pub nonce: Vec<u8>,
    /// The channel.
    pub chan: SignPublicKey,
    /// What is said.
    pub verdict: Verdict,
}

/// A question about a proposal, or its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Is this proposal good?
    Validate(Hash),
    /// It is.
    Accepted(Hash),
    /// It is not.
    Rejected(Hash),
    /// Are you there?
    Poke,
}

impl Encode for ChanHeadMessage {
    fn encode(&self, e: &mut Encoder) {
        match self {
            Self::Head { chan, root } => {
                e.variant(0, 2);
                chan.encode(e);
                // The hash is wrapped once more than elsewhere.
                e.variant(0, 1);
                root.encode(e);
            }
            Self::Get(chan) => {
                e.variant(1, 1);
                chan.encode(e);
            }
        }
    }
}

impl Decode for ChanHeadMessage {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match d.variant()? {
            (0, 2) => {
                let chan = SignPublicKey::decode(d)?;
                d.record(1)?;
                Ok(Self::Head { chan, root: Hash::decode(d)? })
            }
            (1, 1) => SignPublicKey::decode(d).map(Self::Get),
            _ => Err(d.error("a head of a channel or a question for it")),
        }
    }
}

impl Encode for ChanRequest {
    fn encode(&self, e: &mut Encoder) {
        match self {
            Self::Request(chan) => {
                e.variant(0, 1);
                chan.encode(e);
            }
            Self::Response { chan, root } => {
                e.variant(1, 2);
                chan.encode(e);
                root.encode(e);
            }
        }
    }
}

impl Decode for ChanRequest {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match d.variant()? {
            (0, 1) => SignPublicKey::decode(d).map(Self::Request),
            (1, 2) => Ok(Self::Response { chan: SignPublicKey::decode(d)?, root: Hash::decode(d)? }),
            _ => Err(d.error("a log of a channel or a question for it")),
        }
    }
}

impl Encode for ChanValidate {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 3);
        e.bytes(&self.nonce);
        self.chan.encode(e);
        match &self.verdict {
            Verdict::Validate(hash) => verdict(e, 0, hash),
            Verdict::Accepted(hash) => verdict(e, 1, hash),
            Verdict::Rejected(hash) => verdict(e, 2, hash),
            Verdict::Poke => e.variant(3, 0),
        }
    }
}

fn verdict(e: &mut Encoder, tag: u64, hash: &Hash) {
    e.variant(tag, 1);
    hash.encode(e);
}

impl Decode for ChanValidate {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(3)?;
        let (nonce, chan) = (d.bytes()?.to_vec(), SignPublicKey::decode(d)?);
        let verdict = match d.variant()? {
            (0, 1) => Verdict::Validate(Hash::decode(d)?),
            (1, 1) => Verdict::Accepted(Hash::decode(d)?),
            (2, 1) => Verdict::Rejected(Hash::decode(d)?),
            (3, 0) => Verdict::Poke,
            _ => return Err(d.error("a question or verdict about a proposal")),
        };
        Ok(Self { nonce, chan, verdict })
    }
}
