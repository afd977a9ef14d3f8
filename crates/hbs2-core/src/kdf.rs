//! Deriving keys and numbers: HMAC and HKDF over BLAKE2b-256, and SipHash-2-4 (docs/spec/sealed.md).
//!
//! The original takes HKDF in two ways: whole for derived signing keys, and without the first step, the secret
//! itself being the key that is expanded, for everything that a group seals.

use blake2::Blake2b256;
use hmac::{KeyInit, Mac, SimpleHmac};
use siphasher::sip::SipHasher24;
use zeroize::Zeroizing;

/// HMAC-BLAKE2b-256 of the concatenation of `parts`.
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut mac = SimpleHmac::<Blake2b256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// The first 32 bytes of HKDF-Expand: a key that grows from `key` for the purpose `info`.
#[must_use]
pub fn expand(key: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    hmac(key, &[info, &[1]])
}

/// SipHash-2-4 of `bytes` with two key words.
#[must_use]
pub fn siphash(words: (u64, u64), bytes: &[u8]) -> u64 {
    SipHasher24::new_with_keys(words.0, words.1).hash(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Hash;

    #[test]
    fn expansion_is_that_of_the_original() {
        // Its way from a text and key material to a secret: the info is the hash of the text, padded to 24 bytes.
        let mut padded = [0; 24];
        padded[..3].copy_from_slice(b"abc");
        let okm = expand(b"ikm", Hash::of(&padded).as_bytes());
        assert_eq!(hex::encode(*okm), "248f0bda7bbd7fdf159aa60e4bf9a701ed5d69db7c79e07d83d73a2609a985d4");
    }

    #[test]
    fn siphash_is_that_of_its_authors() {
        let words = (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        let bytes: [u8; 15] = std::array::from_fn(|i| i as u8);
        assert_eq!(siphash(words, &bytes), 0xa129_ca61_49be_45e5);
    }
}
