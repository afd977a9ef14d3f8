//! Protocol 6: addresses of others (spec: wire 2.6).
//!
//! The old form carries UDP addresses only. A peer asks in both forms with one nonce and takes the first answer.

use std::net::SocketAddr;

use hbs2_core::addr::PeerAddr;
use hbs2_core::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};

use super::handshake::{decode_nonce, encode_nonce};

/// Addresses of one answer, at most. The original sends up to 50.
pub const PEX_ADDRESSES_MAX: usize = 50;

/// Addresses of one answer that we read, at most; odd senders have some room.
const READ_ADDRESSES_MAX: usize = 512;

/// A message of protocol 6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerExchange {
    /// Whom do you know by UDP?
    Get {
        /// Fresh random bytes.
        nonce: Vec<u8>,
    },
    /// These.
    Peers {
        /// Of the question.
        nonce: Vec<u8>,
        /// UDP addresses.
        addresses: Vec<SocketAddr>,
    },
    /// Whom do you know?
    Get2 {
        /// Fresh random bytes.
        nonce: Vec<u8>,
    },
    /// These.
    Peers2 {
        /// Of the question.
        nonce: Vec<u8>,
        /// Addresses of any transport.
        addresses: Vec<PeerAddr>,
    },
}

impl Encode for PeerExchange {
    fn encode(&self, e: &mut Encoder) {
        match self {
            Self::Get { nonce } => {
                e.variant(0, 1);
                encode_nonce(e, nonce);
            }
            Self::Peers { nonce, addresses } => {
                e.variant(1, 2);
                encode_nonce(e, nonce);
                e.list(addresses, |e, address| address.encode(e));
            }
            Self::Get2 { nonce } => {
                e.variant(2, 1);
                encode_nonce(e, nonce);
            }
            Self::Peers2 { nonce, addresses } => {
                e.variant(3, 2);
                encode_nonce(e, nonce);
                e.list(addresses, |e, address| address.encode(e));
            }
        }
    }
}

impl Decode for PeerExchange {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match d.variant()? {
            (0, 1) => Ok(Self::Get { nonce: decode_nonce(d)? }),
            (1, 2) => Ok(Self::Peers {
                nonce: decode_nonce(d)?,
                addresses: d.list(READ_ADDRESSES_MAX, SocketAddr::decode)?,
            }),
            (2, 1) => Ok(Self::Get2 { nonce: decode_nonce(d)? }),
            (3, 2) => Ok(Self::Peers2 {
                nonce: decode_nonce(d)?,
                addresses: d.list(READ_ADDRESSES_MAX, PeerAddr::decode)?,
            }),
            _ => Err(d.error("a message of the peer exchange")),
        }
    }
}
