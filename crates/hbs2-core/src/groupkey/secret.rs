//! The secret of a group and its public name.

use std::fmt;
use std::str::FromStr;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::base58::Base58Error;
use crate::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use crate::nacl::{BoxKey, Nonce};
use crate::{Hash, kdf};

/// The public name of a group's secret: group keys with the same id carry the same secret, perhaps for other
/// members. Shown and parsed as base58. CBOR `[0, bytes]`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKeyId(Hash);

impl GroupKeyId {
    /// From its 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Hash::from_bytes(bytes))
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl fmt::Display for GroupKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for GroupKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for GroupKeyId {
    type Err = Base58Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl Encode for GroupKeyId {
    fn encode(&self, e: &mut Encoder) {
        e.inner_hash(&self.0);
    }
}

impl Decode for GroupKeyId {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.inner_hash().map(Self)
    }
}

/// What the members of a group share: 32 bytes from which every key of their sealed data grows. Wiped when
/// dropped; `Debug` shows the id. CBOR `[0, bytes]`.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct GroupSecret([u8; 32]);

impl GroupSecret {
    /// From its 32 bytes; random bytes make a new secret.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes: whoever sees them reads everything of the group.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The public name: the hash of a box of 32 zero bytes under this secret and a nonce of zeros.
    #[must_use]
    pub fn id(&self) -> GroupKeyId {
        let boxed = BoxKey::from_bytes(&self.0).seal(&Nonce::from_bytes([0; Nonce::BYTES]), &[0; 32]);
        GroupKeyId(Hash::of(&boxed))
    }

    /// The key of everything that is sealed under the nonce string `nonce`.
    #[must_use]
    pub fn box_key(&self, nonce: &[u8]) -> BoxKey {
        BoxKey::from_bytes(&kdf::expand(&self.0, nonce))
    }
}

impl fmt::Debug for GroupSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupSecret(of {})", self.id())
    }
}

impl Encode for GroupSecret {
    fn encode(&self, e: &mut Encoder) {
        // Room for all of it at once: a buffer that grows would leave copies behind.
        e.reserve(4 + self.0.len());
        e.variant(0, 1);
        e.bytes(&self.0);
    }
}

impl Decode for GroupSecret {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(1)?;
        d.byte_array().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_that_of_the_spec_and_debug_shows_nothing_else() {
        let secret = GroupSecret::from_bytes([5; 32]);
        assert_eq!(secret.id().to_string(), "Fddsy1uu7dMBuYa22ZDYdbN2237xBX1oKd8NZLTnRdZX");
        let shown = format!("{secret:?}");
        assert_eq!(shown, "GroupSecret(of Fddsy1uu7dMBuYa22ZDYdbN2237xBX1oKd8NZLTnRdZX)");
    }
}
