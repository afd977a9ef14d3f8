//! Protocol 12001: last-writer-wins references (spec: wire 2.12).

use hbs2_core::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use hbs2_core::lwwref::LwwRef;
use hbs2_core::{SignPublicKey, Signed};

/// A message of protocol 12001.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LwwMessage {
    /// What is the value of this reference?
    Get(SignPublicKey),
    /// This: as answer, or as news.
    Set {
        /// The reference.
        key: SignPublicKey,
        /// Its value, signed by `key` if it is honest.
        signed: Signed<LwwRef>,
    },
}

impl Encode for LwwMessage {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 1);
        match self {
            Self::Get(key) => {
                e.variant(0, 1);
                encode_key(e, key);
            }
            Self::Set { key, signed } => {
                e.variant(1, 2);
                encode_key(e, key);
                signed.encode(e);
            }
        }
    }
}

impl Decode for LwwMessage {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(1)?;
        match d.variant()? {
            (0, 1) => decode_key(d).map(Self::Get),
            (1, 2) => Ok(Self::Set { key: decode_key(d)?, signed: Signed::decode(d)? }),
            _ => Err(d.error("a Get or Set of a reference")),
        }
    }
}

fn encode_key(e: &mut Encoder, key: &SignPublicKey) {
    e.variant(0, 1);
    key.encode(e);
}

fn decode_key(d: &mut Decoder<'_>) -> Result<SignPublicKey, DecodeError> {
    d.record(1)?;
    SignPublicKey::decode(d)
}
