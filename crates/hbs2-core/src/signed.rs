//! Signed boxes: a payload, its signer and the signature (docs/spec/signed.md).

use std::marker::PhantomData;

use bytes::Bytes;

use crate::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use crate::key::{KeyError, SignPublicKey, SignSecretKey, Signature};

/// A box as it came: the signature has not been checked. CBOR `[0, key, payload bytes, signature]`; the
/// signature is over exactly the payload bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed<T> {
    key: SignPublicKey,
    payload: Bytes,
    signature: Signature,
    value: PhantomData<fn() -> T>,
}

/// Any bytes as the payload of a box: a CBOR byte string within the payload bytes, so wrapped twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob(pub Bytes);

impl Encode for Blob {
    fn encode(&self, e: &mut Encoder) {
        e.bytes(&self.0);
    }
}

impl Decode for Blob {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self(Bytes::copy_from_slice(d.bytes()?)))
    }
}

/// What a box held, after its signature was found good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T> {
    /// Who signed.
    pub signer: SignPublicKey,
    /// What was signed.
    pub value: T,
}

/// Why a box cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignedError {
    /// The signature does not belong to the key and the payload.
    #[error("cannot open the signed box of {key}")]
    Signature {
        /// The key the box names.
        key: SignPublicKey,
        /// What the check said.
        source: KeyError,
    },
    /// The payload is signed well but is not the expected value.
    #[error("cannot read the payload of the signed box of {key}")]
    Payload {
        /// The key the box names.
        key: SignPublicKey,
        /// Where it went wrong.
        source: DecodeError,
    },
}

impl<T> Signed<T> {
    /// The key that the box names as its signer; unverified.
    #[must_use]
    pub fn claimed_signer(&self) -> SignPublicKey {
        self.key
    }

    /// The payload bytes; unverified.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }
}

impl<T: Encode> Signed<T> {
    /// Signs `value` with `key`.
    #[must_use]
    pub fn sign(key: &SignSecretKey, value: &T) -> Self {
        let payload = value.to_bytes();
        let signature = key.sign(&payload);
        Self { key: key.public(), payload: payload.into(), signature, value: PhantomData }
    }
}

impl<T: Decode> Signed<T> {
    /// Checks the signature, then reads the payload.
    ///
    /// # Errors
    /// A bad signature, or a payload that is not a `T`.
    pub fn verify(&self) -> Result<Verified<T>, SignedError> {
        let key = self.key;
        key.verify(&self.payload, &self.signature)
            .map_err(|source| SignedError::Signature { key, source })?;
        let value = T::from_bytes(&self.payload).map_err(|source| SignedError::Payload { key, source })?;
        Ok(Verified { signer: key, value })
    }
}

impl<T> Encode for Signed<T> {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 3);
        self.key.encode(e);
        e.bytes(&self.payload);
        self.signature.encode(e);
    }
}

impl<T> Decode for Signed<T> {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(3)?;
        let key = SignPublicKey::decode(d)?;
        let payload = Bytes::copy_from_slice(d.bytes()?);
        let signature = Signature::decode(d)?;
        Ok(Self { key, payload, signature, value: PhantomData })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Hash;

    #[test]
    fn a_box_opens_for_its_signer_only() {
        let alice = SignSecretKey::from_seed(&[1; 32]);
        let signed = Signed::sign(&alice, &Hash::of(b"x"));
        let read = Signed::<Hash>::from_bytes(&signed.to_bytes()).unwrap();
        assert_eq!(read.verify(), Ok(Verified { signer: alice.public(), value: Hash::of(b"x") }));
        let mut bytes = signed.to_bytes();
        *bytes.last_mut().unwrap() ^= 1;
        let read = Signed::<Hash>::from_bytes(&bytes).unwrap();
        assert!(matches!(read.verify(), Err(SignedError::Signature { .. })));
    }
}
