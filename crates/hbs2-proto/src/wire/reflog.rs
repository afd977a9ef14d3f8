//! Protocol 8: values of reflogs (spec: wire 2.11). Protocol 7 is [`ReflogUpdate`](hbs2_core::reflog::ReflogUpdate).

use hbs2_core::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use hbs2_core::{Hash, SignPublicKey};

/// A message of protocol 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReflogRequest {
    /// What is the value of this reflog?
    Request(SignPublicKey),
    /// This.
    Response {
        /// The reflog.
        key: SignPublicKey,
        /// Root of the tree that lists its updates.
        root: Hash,
    },
}

impl Encode for ReflogRequest {
    fn encode(&self, e: &mut Encoder) {
        match self {
            Self::Request(key) => {
                e.variant(0, 1);
                key.encode(e);
            }
            Self::Response { key, root } => {
                e.variant(1, 2);
                key.encode(e);
                e.inner_hash(root);
            }
        }
    }
}

impl Decode for ReflogRequest {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match d.variant()? {
            (0, 1) => SignPublicKey::decode(d).map(Self::Request),
            (1, 2) => Ok(Self::Response { key: SignPublicKey::decode(d)?, root: d.inner_hash()? }),
            _ => Err(d.error("a request or response about a reflog")),
        }
    }
}
