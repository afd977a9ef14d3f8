//! Small sealed blocks: one value sealed for a group (docs/spec/sealed.md).
//!
//! A block names the group key it was sealed with, so a reader knows what to look for. Metadata of sealed trees and
//! short messages travel so; content of any length goes into a [sealed tree](crate::tree::sealed).
//!
//! A nonce string is the seed of the key and of the nonce of whatever is sealed under it: for one secret and one
//! string there must be one message. [`NonceHasher`] makes strings that keep this rule.

use std::fmt;

use zeroize::Zeroizing;

use crate::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use crate::groupkey::GroupSecret;
use crate::nacl::{BoxError, Nonce};
use crate::tree::Meta;
use crate::{Hash, kdf};

/// What the key of nonce strings is for, in the derivation from the secret. No nonce string looks like it.
const NONCE_KEY: &[u8] = b"hbs2: the key of nonce strings";

/// A nonce string in the making: BLAKE2b-256 of the whole message, under a key that grows from the group's secret.
///
/// Different messages get different strings, equal ones of one group the same, so their blocks are stored once. It
/// is keyed so that a stranger who guesses a message cannot see that he is right. Wiped when dropped.
#[derive(Clone)]
pub struct NonceHasher(blake2b_simd::State);

impl NonceHasher {
    /// A string for a message that is sealed with `secret`.
    #[must_use]
    pub fn begin(secret: &GroupSecret) -> Self {
        let key = kdf::expand(secret.expose(), NONCE_KEY);
        Self(blake2b_simd::Params::new().hash_length(Hash::BYTES).key(&*key).to_state())
    }

    /// Takes the next bytes of the message.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The string for all bytes taken.
    #[must_use]
    pub fn finish(&self) -> Vec<u8> {
        self.0.finalize().as_bytes().to_vec()
    }
}

/// The state begins with the key, and its crate does not wipe it.
impl Drop for NonceHasher {
    fn drop(&mut self) {
        self.0 = blake2b_simd::Params::new().to_state();
        // Else the compiler may see that nobody reads what was written.
        std::hint::black_box(&self.0);
    }
}

impl fmt::Debug for NonceHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceHasher(secret)")
    }
}

/// The nonce string for `message`, when it is sealed with `secret`.
#[must_use]
pub fn nonce_for(secret: &GroupSecret, message: &[u8]) -> Vec<u8> {
    let mut hasher = NonceHasher::begin(secret);
    hasher.update(message);
    hasher.finish()
}

/// A value sealed for a group: CBOR `[0, HashRef of the group key, nonce string, [0, box]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedBlock {
    /// Root of the tree of the group key.
    pub key: Hash,
    nonce: Vec<u8>,
    boxed: Vec<u8>,
}

/// Why a sealed block does not give its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealedBlockError {
    /// The box does not open.
    #[error("cannot open the block sealed with group key {key}")]
    Box {
        /// The group key that the block names.
        key: Hash,
        /// What the box said.
        source: BoxError,
    },
    /// The box opens, but holds something else.
    #[error("the block sealed with group key {key} holds something else")]
    Value {
        /// The group key that the block names.
        key: Hash,
        /// Where the CBOR went wrong.
        source: DecodeError,
    },
}

impl SealedBlock {
    /// Seals `cbor`, the form of a value, under a given nonce string. `key` is the root of the tree of the group key.
    /// One secret and one string must never seal two values.
    #[must_use]
    pub fn seal_under(secret: &GroupSecret, key: Hash, nonce: Vec<u8>, cbor: &[u8]) -> Self {
        let boxed = secret.box_key(&nonce).seal(&Nonce::of_string(&nonce), cbor);
        Self { key, nonce, boxed }
    }

    /// Seals a byte string, as `encrypt-block` does.
    #[must_use]
    pub fn seal_bytes(secret: &GroupSecret, key: Hash, bytes: &[u8]) -> Self {
        let mut e = Encoder::with_capacity(bytes.len() + 9);
        e.bytes(bytes);
        Self::seal(secret, key, &Zeroizing::new(e.into_bytes()))
    }

    /// Seals the metadata text of a sealed tree.
    #[must_use]
    pub fn seal_meta(secret: &GroupSecret, key: Hash, text: &str) -> Self {
        Self::seal(secret, key, &Zeroizing::new(Meta::Short(text.to_owned()).to_bytes()))
    }

    fn seal(secret: &GroupSecret, key: Hash, cbor: &[u8]) -> Self {
        Self::seal_under(secret, key, nonce_for(secret, cbor), cbor)
    }

    /// The form of the value inside. It is wiped when dropped.
    ///
    /// # Errors
    /// Another secret, or a changed block.
    pub fn open(&self, secret: &GroupSecret) -> Result<Zeroizing<Vec<u8>>, SealedBlockError> {
        let opened = secret.box_key(&self.nonce).open(&Nonce::of_string(&self.nonce), &self.boxed);
        opened.map(Zeroizing::new).map_err(|source| SealedBlockError::Box { key: self.key, source })
    }

    /// The byte string inside, strict or lazy.
    ///
    /// # Errors
    /// As [`SealedBlock::open`], or it holds something else.
    pub fn open_bytes(&self, secret: &GroupSecret) -> Result<Zeroizing<Vec<u8>>, SealedBlockError> {
        let cbor = self.open(secret)?;
        let mut d = Decoder::new(&cbor);
        let bytes = match d.peek() {
            Some(0x5f) => d.lazy_bytes().map(std::borrow::Cow::into_owned),
            _ => d.bytes().map(<[u8]>::to_vec),
        };
        bytes.map(Zeroizing::new).map_err(|source| SealedBlockError::Value { key: self.key, source })
    }

    /// The metadata text inside.
    ///
    /// # Errors
    /// As [`SealedBlock::open`], or it holds something else.
    pub fn open_meta(&self, secret: &GroupSecret) -> Result<String, SealedBlockError> {
        let cbor = self.open(secret)?;
        let wrong = |source| SealedBlockError::Value { key: self.key, source };
        match Meta::from_bytes(&cbor).map_err(wrong)? {
            Meta::Short(text) => Ok(text),
            Meta::None | Meta::Block(_) => Err(wrong(DecodeError::new(0, "a metadata text"))),
        }
    }
}

impl Encode for SealedBlock {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 3);
        self.key.encode(e);
        e.bytes(&self.nonce);
        e.variant(0, 1);
        e.bytes(&self.boxed);
    }
}

impl Decode for SealedBlock {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(3)?;
        let (key, nonce) = (Hash::decode(d)?, d.bytes()?.to_vec());
        d.record(1)?;
        Ok(Self { key, nonce, boxed: d.bytes()?.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> GroupSecret {
        GroupSecret::from_bytes([5; 32])
    }

    #[test]
    fn a_block_opens_with_the_secret_it_was_sealed_with() {
        let block = SealedBlock::seal_bytes(&secret(), Hash::of(b"key"), b"hello");
        assert_eq!(block.open_bytes(&secret()).unwrap().as_slice(), b"hello");
        let other = block.open_bytes(&GroupSecret::from_bytes([6; 32]));
        assert!(matches!(other, Err(SealedBlockError::Box { .. })));
        let meta = SealedBlock::seal_meta(&secret(), Hash::of(b"key"), "file-name: \"x\"");
        assert_eq!(meta.open_meta(&secret()), Ok("file-name: \"x\"".into()));
        assert!(matches!(block.open_meta(&secret()), Err(SealedBlockError::Value { .. })));
        assert!(matches!(meta.open_bytes(&secret()), Err(SealedBlockError::Value { .. })));
    }

    #[test]
    fn every_part_of_a_block_is_authenticated() {
        let block = SealedBlock::seal_bytes(&secret(), Hash::of(b"key"), b"hello");
        for at in 0..32 {
            let mut changed = block.clone();
            changed.nonce[at] ^= 1;
            assert!(changed.open(&secret()).is_err(), "byte {at} of the nonce string");
        }
        for at in 0..block.boxed.len() {
            let mut changed = block.clone();
            changed.boxed[at] ^= 1;
            assert!(changed.open(&secret()).is_err(), "byte {at} of the box");
            changed.boxed.truncate(at);
            assert!(changed.open(&secret()).is_err(), "{at} bytes of the box");
        }
    }

    #[test]
    fn nonce_strings_differ_by_message_and_by_secret() {
        let of = |byte, message: &[u8]| nonce_for(&GroupSecret::from_bytes([byte; 32]), message);
        assert_eq!(of(1, b"a"), of(1, b"a"));
        assert_ne!(of(1, b"a"), of(1, b"b"));
        assert_ne!(of(1, b"a"), of(2, b"a"));
        assert_ne!(of(1, b"a"), Hash::of(b"a").as_bytes());
        assert_eq!(format!("{:?}", NonceHasher::begin(&secret())), "NonceHasher(secret)");
    }
}
