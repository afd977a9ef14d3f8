//! Protocols 4 and 5: who are you (spec: wire 2.4, 2.5).
//!
//! A ping carries a nonce, the pong the signature over it. The process nonce names a running process: equal for all
//! its addresses, new at each start. It is not signed.

use hbs2_core::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use hbs2_core::{SignPublicKey, Signature};

/// Length of the nonces we make, in bytes. The original's.
pub const NONCE_BYTES: usize = 24;

/// Longest nonce we take, in bytes. The original takes any length; it sends 24. A kilobyte is generous and keeps a
/// pong, which repeats it, small.
pub const NONCE_BYTES_MAX: usize = 1024;

/// A message of protocol 4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handshake {
    /// Sign this.
    Ping {
        /// Fresh random bytes.
        nonce: Vec<u8>,
    },
    /// Here you are.
    Pong {
        /// Of the ping.
        nonce: Vec<u8>,
        /// Over the nonce, by the key in `data`.
        signature: Signature,
        /// Who answers.
        data: PeerData,
    },
}

/// Who a peer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerData {
    /// Its key.
    pub key: SignPublicKey,
    /// Its process nonce.
    pub process: Vec<u8>,
}

/// A message of protocol 5: a process is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAnnounce {
    /// Its process nonce.
    pub process: Vec<u8>,
}

impl Encode for Handshake {
    fn encode(&self, e: &mut Encoder) {
        match self {
            Self::Ping { nonce } => {
                e.variant(0, 1);
                encode_nonce(e, nonce);
            }
            Self::Pong { nonce, signature, data } => {
                e.variant(1, 3);
                encode_nonce(e, nonce);
                signature.encode(e);
                data.encode(e);
            }
        }
    }
}

impl Decode for Handshake {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match d.variant()? {
            (0, 1) => Ok(Self::Ping { nonce: decode_nonce(d)? }),
            (1, 3) => Ok(Self::Pong {
                nonce: decode_nonce(d)?,
                signature: Signature::decode(d)?,
                data: PeerData::decode(d)?,
            }),
            _ => Err(d.error("a ping or a pong")),
        }
    }
}

impl Encode for PeerData {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 2);
        self.key.encode(e);
        encode_nonce(e, &self.process);
    }
}

impl Decode for PeerData {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(2)?;
        Ok(Self { key: SignPublicKey::decode(d)?, process: decode_nonce(d)? })
    }
}

impl Encode for PeerAnnounce {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 1);
        encode_nonce(e, &self.process);
    }
}

impl Decode for PeerAnnounce {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(1)?;
        Ok(Self { process: decode_nonce(d)? })
    }
}

pub(super) fn encode_nonce(e: &mut Encoder, nonce: &[u8]) {
    e.bytes(nonce);
}

pub(super) fn decode_nonce(d: &mut Decoder<'_>) -> Result<Vec<u8>, DecodeError> {
    let start = d.at();
    match d.bytes()? {
        nonce if nonce.len() <= NONCE_BYTES_MAX => Ok(nonce.to_vec()),
        _ => Err(DecodeError::new(start, format!("a nonce of at most {NONCE_BYTES_MAX} bytes"))),
    }
}
