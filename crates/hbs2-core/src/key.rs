//! Keys and signatures of the one scheme, `HBS2Basic` (docs/spec/key.md).
//!
//! Signing is Ed25519 with the secret in libsodium form (seed ‖ public key, 64 bytes); encryption is X25519.
//! Secret keys are wiped when dropped and show nothing of themselves in `Debug`.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer, SigningKey};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::base58::{self, Base58Error};
use crate::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use crate::kdf;

/// A key that does not do what its place needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The public half of a signing key is not the one its seed gives.
    #[error("the two halves of the signing key do not belong together")]
    Halves,
    /// A signature does not belong to the key and the bytes.
    #[error("the signature does not belong to this key and these bytes")]
    Signature,
}

macro_rules! public_bytes {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// From the raw bytes; whether they are a valid point shows at use.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&base58::encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&base58::encode(&self.0))
            }
        }

        impl FromStr for $name {
            type Err = Base58Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                base58::decode_exact(text).map(Self)
            }
        }

        impl Encode for $name {
            fn encode(&self, e: &mut Encoder) {
                e.variant(0, 1);
                e.bytes(&self.0);
            }
        }

        impl Decode for $name {
            fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                d.record(1)?;
                d.byte_array().map(Self)
            }
        }
    };
}

public_bytes! {
    /// Public half of a signing key: 32 bytes, base58 in text. Names references and peers.
    SignPublicKey, 32
}

public_bytes! {
    /// Public half of an encryption key: 32 bytes, base58 in text.
    EncryptPublicKey, 32
}

public_bytes! {
    /// Detached Ed25519 signature: 64 bytes.
    Signature, 64
}

impl SignPublicKey {
    /// Whether `signature` was made over `message` with the secret half of this key. Weak keys and malleable
    /// signatures are refused, as libsodium does.
    ///
    /// # Errors
    /// [`KeyError::Signature`] when it was not.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), KeyError> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(&self.0).map_err(|_| KeyError::Signature)?;
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        key.verify_strict(message, &signature).map_err(|_| KeyError::Signature)
    }
}

/// Secret half of a signing key, in libsodium form: seed (32 bytes) ‖ public key (32 bytes). Kept ready for signing: to find
/// the public half again costs as much as a signature.
#[derive(Clone, PartialEq, Eq)]
pub struct SignSecretKey(SigningKey);

// What is in it wipes itself.
impl ZeroizeOnDrop for SignSecretKey {}

impl SignSecretKey {
    /// The key that grows from a 32-byte seed; random bytes make a random key.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// From the libsodium form.
    ///
    /// # Errors
    /// [`KeyError::Halves`] when the public half does not belong to the seed.
    pub fn from_bytes(bytes: &[u8; 64]) -> Result<Self, KeyError> {
        SigningKey::from_keypair_bytes(bytes).map(Self).map_err(|_| KeyError::Halves)
    }

    /// The libsodium form: whoever sees it can sign.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<[u8; 64]> {
        Zeroizing::new(self.0.to_keypair_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> SignPublicKey {
        SignPublicKey(self.0.verifying_key().to_bytes())
    }

    /// The detached signature over `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }

    /// The signing key derived from this one and a 64-bit seed (docs/spec/key.md): the reflog key of a git
    /// repository from its lwwref key. Extract and expand with HMAC-BLAKE2b-256; the CBOR of `seed` is salt
    /// and info.
    #[must_use]
    pub fn derive(&self, seed: u64) -> Self {
        let mut salt = Encoder::new();
        salt.uint(seed);
        let salt = salt.into_bytes();
        let prk = kdf::hmac(&salt, &[&*self.expose()]);
        Self::from_seed(&kdf::expand(&*prk, &salt))
    }
}

impl fmt::Debug for SignSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignSecretKey(of {})", self.public())
    }
}

impl Encode for SignSecretKey {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 1);
        e.bytes(&*self.expose());
    }
}

impl Decode for SignSecretKey {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let start = d.at();
        d.record(1)?;
        let mut bytes = d.byte_array()?;
        let key = Self::from_bytes(&bytes).map_err(|error| DecodeError::new(start, error.to_string()));
        bytes.zeroize();
        key
    }
}

/// Secret half of an encryption key: 32 bytes of X25519.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct EncryptSecretKey([u8; 32]);

impl EncryptSecretKey {
    /// From its 32 bytes; random bytes make a random key.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes: whoever sees them can decrypt.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> EncryptPublicKey {
        EncryptPublicKey(curve25519_dalek::MontgomeryPoint::mul_base_clamped(self.0).to_bytes())
    }
}

impl fmt::Debug for EncryptSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptSecretKey(of {})", self.public())
    }
}

impl Encode for EncryptSecretKey {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 1);
        e.bytes(&self.0);
    }
}

impl Decode for EncryptSecretKey {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(1)?;
        d.byte_array().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_keys_are_those_of_the_spec() {
        let key = SignSecretKey::from_seed(&[1; 32]);
        assert_eq!(key.public().to_string(), "AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRSZ9");
        assert_eq!(key.derive(0).public().to_string(), "ABtCvZyKkfGZMt5PuTpJpoU2fDgtXo4eqXjnYSGEH99K");
        assert_eq!(key.derive(1).public().to_string(), "CLVjToZPjVDf7kg45Re36MbYQhWyUsczf3TfkxHpJQpB");
    }

    #[test]
    fn encryption_public_half_is_that_of_the_spec() {
        let key = EncryptSecretKey::from_bytes([2; 32]);
        assert_eq!(key.public().to_string(), "EuHtd9yCn95edmJqLKFeyXeoPw9nPzp1HTwdJEWEw9YL");
    }

    #[test]
    fn a_signature_belongs_to_its_key_and_bytes() {
        let (alice, bob) = (SignSecretKey::from_seed(&[1; 32]), SignSecretKey::from_seed(&[2; 32]));
        let signature = alice.sign(b"hello");
        assert_eq!(alice.public().verify(b"hello", &signature), Ok(()));
        assert_eq!(alice.public().verify(b"hullo", &signature), Err(KeyError::Signature));
        assert_eq!(bob.public().verify(b"hello", &signature), Err(KeyError::Signature));
    }

    #[test]
    fn foreign_halves_are_refused_and_debug_is_silent() {
        let key = SignSecretKey::from_seed(&[1; 32]);
        let mut bytes = *key.expose();
        bytes[40] ^= 1;
        assert_eq!(SignSecretKey::from_bytes(&bytes), Err(KeyError::Halves));
        assert!(!format!("{key:?}").contains("0101"));
    }
}
