//! Reflog updates: the signed transactions of a grow-only log (docs/spec/reflog.md).
//!
//! A reflog is the *set* of its updates; nothing is ever removed. The value of the reference is the root of a
//! tree ([`Shape::LOG`](crate::Shape::LOG)) that lists the update blocks. Peers compare sets, not roots, because
//! the order of the list is the writer's.

use bytes::Bytes;

use crate::Hash;
use crate::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use crate::key::{KeyError, SignPublicKey, SignSecretKey, Signature};

/// One update as it came: the signature has not been checked until [`ReflogUpdate::verify`] says so. CBOR
/// `[0, key, nonce, data, signature]`; the signature is over nonce ‖ data, without any CBOR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReflogUpdate {
    key: SignPublicKey,
    nonce: Bytes,
    data: Bytes,
    signature: Signature,
}

/// Why an update does not belong to the reflog it names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReflogError {
    /// The signature is not that of the reflog.
    #[error("cannot accept an update of reflog {key}")]
    Signature {
        /// The reflog the update names.
        key: SignPublicKey,
        /// What the check said.
        source: KeyError,
    },
    /// The nonce has another length than every writer gives it.
    #[error("cannot accept an update of reflog {key} with a nonce of {bytes} bytes, expected {NONCE_BYTES}")]
    Nonce {
        /// The reflog the update names.
        key: SignPublicKey,
        /// Length of the nonce.
        bytes: usize,
    },
}

/// Length of the nonce of an update, in bytes. The signature does not cover the border between nonce and data:
/// without a fixed length anybody could move it and make new updates out of old ones.
const NONCE_BYTES: usize = 24;

impl ReflogUpdate {
    /// Signs `data` as an update of the reflog of `key`. The nonce makes equal data distinct: take random bytes.
    #[must_use]
    pub fn sign(key: &SignSecretKey, nonce: [u8; NONCE_BYTES], data: Bytes) -> Self {
        let nonce = Bytes::copy_from_slice(&nonce);
        let signature = key.sign(&signed_bytes(&nonce, &data));
        Self { key: key.public(), nonce, data, signature }
    }

    /// Whether the update was signed by the key of its reflog.
    ///
    /// # Errors
    /// The signature does not belong to the key, the nonce and the data; or the nonce is not 24 bytes long.
    pub fn verify(&self) -> Result<(), ReflogError> {
        let key = self.key;
        if self.nonce.len() != NONCE_BYTES {
            return Err(ReflogError::Nonce { key, bytes: self.nonce.len() });
        }
        key.verify(&signed_bytes(&self.nonce, &self.data), &self.signature)
            .map_err(|source| ReflogError::Signature { key, source })
    }

    /// The reflog it claims to belong to.
    #[must_use]
    pub fn key(&self) -> &SignPublicKey {
        &self.key
    }

    /// The payload: any bytes. A pointer block ([`inspect`](crate::inspect)) makes peers fetch its target.
    #[must_use]
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// The name of the update: the hash of its block. An update that came in another CBOR form has the name of
    /// its exact form.
    #[must_use]
    pub fn id(&self) -> Hash {
        Hash::of(&self.to_bytes())
    }
}

fn signed_bytes(nonce: &[u8], data: &[u8]) -> Vec<u8> {
    [nonce, data].concat()
}

impl Encode for ReflogUpdate {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 4);
        self.key.encode(e);
        e.bytes(&self.nonce);
        e.bytes(&self.data);
        self.signature.encode(e);
    }
}

impl Decode for ReflogUpdate {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(4)?;
        Ok(Self {
            key: SignPublicKey::decode(d)?,
            nonce: Bytes::copy_from_slice(d.bytes()?),
            data: Bytes::copy_from_slice(d.bytes()?),
            signature: Signature::decode(d)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_belongs_to_its_reflog_only() {
        let alice = SignSecretKey::from_seed(&[1; 32]);
        let update = ReflogUpdate::sign(&alice, [9; 24], Bytes::from_static(b"data"));
        assert_eq!(update.verify(), Ok(()));
        let read = ReflogUpdate::from_bytes(&update.to_bytes()).unwrap();
        assert_eq!((read.id(), &read), (update.id(), &update));

        let eve = SignSecretKey::from_seed(&[2; 32]);
        let forged = ReflogUpdate { key: alice.public(), ..ReflogUpdate::sign(&eve, [9; 24], Bytes::new()) };
        assert!(matches!(forged.verify(), Err(ReflogError::Signature { key, .. }) if key == alice.public()));
    }

    #[test]
    fn nobody_can_move_the_border_of_nonce_and_data() {
        let alice = SignSecretKey::from_seed(&[1; 32]);
        let update = ReflogUpdate::sign(&alice, [9; 24], Bytes::from_static(b"data"));
        let moved =
            ReflogUpdate { nonce: [&[9u8; 24][..], b"d"].concat().into(), data: "ata".into(), ..update };
        assert_eq!(moved.verify(), Err(ReflogError::Nonce { key: alice.public(), bytes: 25 }));
    }
}
