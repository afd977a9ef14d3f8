//! NaCl boxes: sealing bytes with a shared key, or for a public key (docs/spec/sealed.md).
//!
//! Everything that is encrypted goes through here, so that one module knows which crate does the work. The crate
//! is fast and its vector code is young: [`check`] opens known answers, programs call it when they start, and a
//! property test compares it with two other implementations.
//!
//! * a *box* is XSalsa20-Poly1305: 16 bytes of authentication, then the ciphertext ([`BoxKey::seal`]);
//! * a *sealed box* is for a public key, from nobody: the public half of a key that is used once, then a box with
//!   the key of the two ([`seal_to`]).
//!
//! Nothing here is random: nonces and one-time keys are arguments. The same key and nonce must never seal two
//! different messages.

use std::fmt;

use dryoc::classic::crypto_box::crypto_box_beforenm;
use dryoc::classic::crypto_secretbox::{crypto_secretbox_detached, crypto_secretbox_open_detached};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::Hash;
use crate::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use crate::key::{EncryptPublicKey, EncryptSecretKey};

/// Bytes of authentication at the head of a box.
pub const MAC_BYTES: usize = 16;

/// Bytes that a sealed box is longer than its message: the one-time public key and the authentication.
pub const SEAL_BYTES: usize = 32 + MAC_BYTES;

/// Why a box cannot be made or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BoxError {
    /// The box is shorter than its authentication.
    #[error("a box of {bytes} bytes is too short")]
    Short {
        /// Length of the box.
        bytes: usize,
    },
    /// Another key or nonce made the box, or somebody changed it.
    #[error("the box was not made with this key and nonce")]
    Authentication,
    /// The public key is one of the few with which every secret gives the same shared key.
    #[error("the public key is too weak to seal for")]
    WeakKey,
}

/// The nonce of a box: 24 bytes. CBOR `[0, bytes]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nonce([u8; Self::BYTES]);

impl Nonce {
    /// Length of a nonce, in bytes.
    pub const BYTES: usize = 24;

    /// From its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The nonce that a longer or shorter string of bytes stands for: its first 24 bytes, zeros after its end.
    #[must_use]
    pub fn of_string(string: &[u8]) -> Self {
        let mut bytes = [0; Self::BYTES];
        let taken = string.len().min(Self::BYTES);
        bytes[..taken].copy_from_slice(&string[..taken]);
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// This nonce with `count` mixed into its last eight bytes.
    #[must_use]
    pub fn counted(mut self, count: u64) -> Self {
        for (byte, mask) in self.0[16..].iter_mut().zip(count.to_be_bytes()) {
            *byte ^= mask;
        }
        self
    }

    /// The count that makes `other` of this nonce, if one does.
    #[must_use]
    pub fn count_to(&self, other: &Self) -> Option<u64> {
        let last = |nonce: &Self| {
            u64::from_be_bytes(*nonce.0.last_chunk().expect("a nonce has more than eight bytes"))
        };
        (self.0[..16] == other.0[..16]).then(|| last(self) ^ last(other))
    }
}

impl Encode for Nonce {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 1);
        e.bytes(&self.0);
    }
}

impl Decode for Nonce {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(1)?;
        d.byte_array().map(Self)
    }
}

/// The key of a box: 32 bytes that both sides know. Wiped when dropped, silent in `Debug`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct BoxKey([u8; 32]);

impl BoxKey {
    /// From its bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(*bytes)
    }

    /// The key that the owner of `secret` shares with the owner of `public` (`crypto_box_beforenm`).
    ///
    /// # Errors
    /// [`BoxError::WeakKey`].
    pub fn between(public: &EncryptPublicKey, secret: &EncryptSecretKey) -> Result<Self, BoxError> {
        crypto_box_beforenm(public.as_bytes(), secret.expose()).map(Self).map_err(|_| BoxError::WeakKey)
    }

    /// The box of `message`.
    #[must_use]
    pub fn seal(&self, nonce: &Nonce, message: &[u8]) -> Vec<u8> {
        let mut boxed = Vec::with_capacity(MAC_BYTES + message.len());
        self.seal_onto(nonce, message, &mut boxed);
        boxed
    }

    /// Appends the box of `message` to `out`.
    pub fn seal_onto(&self, nonce: &Nonce, message: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + MAC_BYTES + message.len(), 0);
        let (mac, body) = out[start..].split_first_chunk_mut().expect("the room was made in the line before");
        crypto_secretbox_detached(body, mac, message, nonce.as_bytes(), &self.0)
            .expect("the room is as long as the message, and no message fills memory");
    }

    /// The message in a box.
    ///
    /// # Errors
    /// [`BoxError::Short`], [`BoxError::Authentication`]; nothing of the message is given then.
    pub fn open(&self, nonce: &Nonce, boxed: &[u8]) -> Result<Vec<u8>, BoxError> {
        let room = boxed.len().checked_sub(MAC_BYTES).ok_or(BoxError::Short { bytes: boxed.len() })?;
        let mut message = vec![0; room];
        self.open_into(nonce, boxed, &mut message)?;
        Ok(message)
    }

    /// As [`BoxKey::open`], into `message`, which must be [`MAC_BYTES`] shorter than the box. It is not written to
    /// when the box does not open.
    ///
    /// # Errors
    /// As [`BoxKey::open`].
    pub fn open_into(&self, nonce: &Nonce, boxed: &[u8], message: &mut [u8]) -> Result<(), BoxError> {
        let (mac, body) = boxed.split_first_chunk().ok_or(BoxError::Short { bytes: boxed.len() })?;
        assert_eq!(message.len(), body.len(), "the room is as long as the message");
        crypto_secretbox_open_detached(message, body, mac, nonce.as_bytes(), &self.0)
            .map_err(|_| BoxError::Authentication)
    }
}

impl fmt::Debug for BoxKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxKey(secret)")
    }
}

/// Seals `message` so that only the owner of `recipient` reads it (`crypto_box_seal`). `once` is a fresh random
/// key, used for this one message and then forgotten.
///
/// # Errors
/// [`BoxError::WeakKey`].
pub fn seal_to(
    recipient: &EncryptPublicKey,
    once: &EncryptSecretKey,
    message: &[u8],
) -> Result<Vec<u8>, BoxError> {
    let key = BoxKey::between(recipient, once)?;
    let public = once.public();
    let mut sealed = Vec::with_capacity(SEAL_BYTES + message.len());
    sealed.extend_from_slice(public.as_bytes());
    key.seal_onto(&seal_nonce(&public, recipient), message, &mut sealed);
    Ok(sealed)
}

/// The message in a box that was sealed for the owner of `secret`. It is wiped when dropped, because most of what
/// is sealed so is a key.
///
/// # Errors
/// The box is too short, for somebody else, or changed.
pub fn open_sealed(secret: &EncryptSecretKey, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, BoxError> {
    let (once, boxed) = sealed.split_first_chunk().ok_or(BoxError::Short { bytes: sealed.len() })?;
    let once = EncryptPublicKey::from_bytes(*once);
    let nonce = seal_nonce(&once, &secret.public());
    BoxKey::between(&once, secret)?.open(&nonce, boxed).map(Zeroizing::new)
}

/// BLAKE2b-192 of the two public keys.
fn seal_nonce(once: &EncryptPublicKey, recipient: &EncryptPublicKey) -> Nonce {
    let digest = blake2b_simd::Params::new()
        .hash_length(Nonce::BYTES)
        .to_state()
        .update(once.as_bytes())
        .update(recipient.as_bytes())
        .finalize();
    Nonce(digest.as_bytes().try_into().expect("the digest length is set to 24 bytes"))
}

/// A known answer came out wrong: this build or this machine must not encrypt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the encryption of this program gives wrong answers on this machine: {what}")]
pub struct CheckError {
    /// Which answer.
    pub what: &'static str,
}

/// Known answers, all computed by other implementations: the shared key and the start of the box of the NaCl
/// documents, and the hash of a box long enough for every vector path.
const ALICE: [u8; 32] = [
    0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1, 0x72, 0x51, 0xb2, 0x66, 0x45, 0xdf,
    0x4c, 0x2f, 0x87, 0xeb, 0xc0, 0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a,
];
const BOB_PUBLIC: [u8; 32] = [
    0xde, 0x9e, 0xdb, 0x7d, 0x7b, 0x7d, 0xc1, 0xb4, 0xd3, 0x5b, 0x61, 0xc2, 0xec, 0xe4, 0x35, 0x37, 0x3f,
    0x83, 0x43, 0xc8, 0x5b, 0x78, 0x67, 0x4d, 0xad, 0xfc, 0x7e, 0x14, 0x6f, 0x88, 0x2b, 0x4f,
];
const SHARED: [u8; 32] = [
    0x1b, 0x27, 0x55, 0x64, 0x73, 0xe9, 0x85, 0xd4, 0x62, 0xcd, 0x51, 0x19, 0x7a, 0x9a, 0x46, 0xc7, 0x60,
    0x09, 0x54, 0x9e, 0xac, 0x64, 0x74, 0xf2, 0x06, 0xc4, 0xee, 0x08, 0x44, 0xf6, 0x83, 0x89,
];
const NONCE: Nonce = Nonce([
    0x69, 0x69, 0x6e, 0xe9, 0x55, 0xb6, 0x2b, 0x73, 0xcd, 0x62, 0xbd, 0xa8, 0x75, 0xfc, 0x73, 0xd6, 0x82,
    0x19, 0xe0, 0x03, 0x6b, 0x7a, 0x0b, 0x37,
]);
/// Length of the long message in bytes: many times the widest stride of a vector kernel, and an odd tail.
const LONG_BYTES: usize = 5_003;
const LONG_BOX_HASH: &str = "3FqB5jcPgsdaMCBcoP3M6skcH86q7Rb58j5guMr1r2DD";

/// Seals and opens known answers; takes microseconds. Programs that encrypt call this first.
///
/// # Errors
/// An answer is wrong. Nothing must be encrypted or opened then.
pub fn check() -> Result<(), CheckError> {
    let wrong = |what| Err(CheckError { what });
    let alice = EncryptSecretKey::from_bytes(ALICE);
    let Ok(key) = BoxKey::between(&EncryptPublicKey::from_bytes(BOB_PUBLIC), &alice) else {
        return wrong("the shared key of a weak key");
    };
    if key.0 != SHARED {
        return wrong("the shared key");
    }
    let message = long_message();
    let boxed = key.seal(&NONCE, &message);
    if Hash::of(&boxed).to_string() != LONG_BOX_HASH {
        return wrong("a box");
    }
    if key.open(&NONCE, &boxed).as_ref() != Ok(&message) {
        return wrong("an opened box");
    }
    let mut changed = boxed;
    changed[LONG_BYTES / 2] ^= 1;
    if key.open(&NONCE, &changed).is_ok() {
        return wrong("a changed box that opens");
    }
    let sealed = seal_to(&alice.public(), &EncryptSecretKey::from_bytes(SHARED), &message);
    match sealed.and_then(|sealed| open_sealed(&alice, &sealed)) {
        Ok(opened) if *opened == message => Ok(()),
        _ => wrong("a sealed box"),
    }
}

fn long_message() -> Vec<u8> {
    (0..LONG_BYTES).map(|i| (i % 251) as u8).collect()
}

#[cfg(test)]
mod tests {
    use crypto_secretbox::aead::{Aead, KeyInit};

    use super::*;

    #[test]
    fn known_answers_are_right() {
        let oracle = crypto_secretbox::XSalsa20Poly1305::new(&SHARED.into());
        let boxed = oracle.encrypt(&NONCE.0.into(), long_message().as_slice()).unwrap();
        assert_eq!(Hash::of(&boxed).to_string(), LONG_BOX_HASH);
        assert_eq!(check(), Ok(()));
    }

    #[test]
    fn a_box_opens_with_its_key_and_nonce_only() {
        let (key, other) = (BoxKey::from_bytes(&[1; 32]), BoxKey::from_bytes(&[2; 32]));
        let boxed = key.seal(&NONCE, b"hello");
        assert_eq!(key.open(&NONCE, &boxed), Ok(b"hello".to_vec()));
        assert_eq!(other.open(&NONCE, &boxed), Err(BoxError::Authentication));
        assert_eq!(key.open(&NONCE.counted(1), &boxed), Err(BoxError::Authentication));
        assert_eq!(key.open(&NONCE, &boxed[..15]), Err(BoxError::Short { bytes: 15 }));
        assert_eq!(key.open(&NONCE, &key.seal(&NONCE, b"")), Ok(vec![]));
    }

    #[test]
    fn a_sealed_box_opens_for_its_recipient_only() {
        let [alice, bob, once] = [1, 2, 3].map(|byte| EncryptSecretKey::from_bytes([byte; 32]));
        let sealed = seal_to(&alice.public(), &once, b"hello").unwrap();
        assert_eq!(sealed.len(), SEAL_BYTES + 5);
        assert_eq!(open_sealed(&alice, &sealed).unwrap().as_slice(), b"hello");
        assert_eq!(open_sealed(&bob, &sealed), Err(BoxError::Authentication));
        assert_eq!(open_sealed(&alice, &sealed[..31]), Err(BoxError::Short { bytes: 31 }));
    }

    #[test]
    fn weak_public_keys_are_refused() {
        let secret = EncryptSecretKey::from_bytes([1; 32]);
        for weak in [[0; 32], std::array::from_fn(|i| u8::from(i == 0))] {
            let weak = EncryptPublicKey::from_bytes(weak);
            assert_eq!(BoxKey::between(&weak, &secret).err(), Some(BoxError::WeakKey));
            assert_eq!(seal_to(&weak, &secret, b""), Err(BoxError::WeakKey));
        }
    }

    #[test]
    fn a_count_is_mixed_into_the_end_of_a_nonce() {
        let nonce = Nonce::of_string(&[7; 30]);
        assert_eq!(nonce.as_bytes(), &[7; 24]);
        assert_eq!(nonce.counted(1).as_bytes()[22..], [7, 6]);
        assert_eq!(nonce.count_to(&nonce.counted(0x1234)), Some(0x1234));
        assert_eq!(nonce.count_to(&Nonce::of_string(&[6; 24])), None);
        assert_eq!(Nonce::of_string(b"ab").as_bytes()[..3], *b"ab\0");
    }

    #[test]
    fn debug_of_a_key_is_silent() {
        assert_eq!(format!("{:?}", BoxKey::from_bytes(&[1; 32])), "BoxKey(secret)");
    }
}
