//! Protocol 9: what a peer tells about itself (spec: wire 2.7).
//!
//! The answer is an annotation whose short text is base58 of a list of names and values. Unknown names are ignored
//! by everybody, so our own kind announces itself by one: [`KEY_NATIVE`].

use hbs2_core::Hash;
use hbs2_core::base58;
use hbs2_core::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};

/// Port on which the peer accepts TCP connections, decimal.
pub const KEY_LISTEN_TCP: &str = "listen-tcp";

/// Port on which the peer takes datagrams, decimal. Ours; the original does not send it.
pub const KEY_LISTEN_UDP: &str = "listen-udp";

/// Port of the peer's HTTP server, decimal.
pub const KEY_HTTP_PORT: &str = "http-port";

/// The peer is of our kind: it answers size queries for blocks that it is itself fetching late instead of with "no",
/// matches answers by hash in any order, and likes chunks of up to 65535 bytes. The value is a version, decimal.
pub const KEY_NATIVE: &str = "hbs2-native";

/// Entries of one annotation, at most. The original sends two.
const META_ENTRIES_MAX: usize = 64;

/// A message of protocol 9.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerMeta {
    /// Tell me about you.
    Get,
    /// Nothing to tell.
    TheNone,
    /// A short text; see [`MetaEntries`].
    TheText(String),
    /// A text in a block. Nobody sends it.
    TheBlock(Hash),
}

impl Encode for PeerMeta {
    fn encode(&self, e: &mut Encoder) {
        match self {
            Self::Get => e.variant(0, 0),
            Self::TheNone => {
                e.variant(1, 1);
                e.variant(0, 0);
            }
            Self::TheText(text) => {
                e.variant(1, 1);
                e.variant(1, 1);
                e.text(text);
            }
            Self::TheBlock(hash) => {
                e.variant(1, 1);
                e.variant(2, 1);
                e.inner_hash(hash);
            }
        }
    }
}

impl Decode for PeerMeta {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match d.variant()? {
            (0, 0) => return Ok(Self::Get),
            (1, 1) => {}
            _ => return Err(d.error("a question for or an answer with an annotation")),
        }
        match d.variant()? {
            (0, 0) => Ok(Self::TheNone),
            (1, 1) => Ok(Self::TheText(d.text()?.to_owned())),
            (2, 1) => d.inner_hash().map(Self::TheBlock),
            _ => Err(d.error("an annotation")),
        }
    }
}

/// Names and values that a peer tells about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetaEntries(pub Vec<(String, Vec<u8>)>);

impl MetaEntries {
    /// Reads the short text of an annotation.
    ///
    /// # Errors
    /// The text is not base58, or what it holds is no list of names and values.
    pub fn from_text(text: &str) -> Result<Self, DecodeError> {
        let bytes = base58::decode(text).map_err(|error| DecodeError::new(0, error.to_string()))?;
        Self::from_bytes(&bytes)
    }

    /// The short text of an annotation.
    #[must_use]
    pub fn to_text(&self) -> String {
        base58::encode(&self.to_bytes())
    }

    /// The value of a name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_slice())
    }

    /// The value of a name, as a port number other than 0.
    #[must_use]
    pub fn port(&self, name: &str) -> Option<u16> {
        std::str::from_utf8(self.value(name)?).ok()?.parse().ok().filter(|port| *port != 0)
    }
}

impl Encode for MetaEntries {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 1);
        e.list(&self.0, |e, (name, value)| {
            e.array(2);
            e.text(name);
            e.bytes(value);
        });
    }
}

impl Decode for MetaEntries {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(1)?;
        d.list(META_ENTRIES_MAX, |d| {
            d.tuple(2)?;
            Ok((d.text()?.to_owned(), d.bytes()?.to_vec()))
        })
        .map(Self)
    }
}
