//! Sigils: the public card of a person (docs/spec/sigil.md).
//!
//! A sigil says: whoever signs with this key reads with that one. Groups are made from sigils. The original takes
//! the stated signing key on trust; we demand that it is the one that signed.

use crate::armour;
use crate::base58::Base58Error;
use crate::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use crate::key::{EncryptPublicKey, SignPublicKey, SignSecretKey};
use crate::keyring::Keyring;
use crate::signed::{Signed, SignedError};
use crate::{Hash, KeyringEntry};

/// Comment at the head of a sigil file.
const HEAD: &str = "# sigil file. public data\n";

/// What a sigil says of its owner: CBOR `[0, key, Maybe text, Maybe HashRef]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigilData {
    /// The key for which others seal.
    pub encrypt: EncryptPublicKey,
    /// The owner's words.
    pub info: Option<String>,
    /// A block or tree with more.
    pub ext: Option<Hash>,
}

/// A sigil as it came: nothing has been checked. CBOR `[0, key, signed box]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sigil {
    stated: SignPublicKey,
    data: Signed<SigilData>,
}

/// A sigil whose signature is good and whose signer is the one it states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Whose sigil it is.
    pub sign: SignPublicKey,
    /// What it says.
    pub data: SigilData,
}

/// Why a sigil cannot be read, made or believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigilError {
    /// The text after the comment is not base58.
    #[error("cannot read the text of the sigil")]
    Text {
        /// Where base58 ended.
        source: Base58Error,
    },
    /// The bytes are no sigil.
    #[error("cannot read the sigil")]
    Value {
        /// Where the CBOR went wrong.
        source: DecodeError,
    },
    /// The box inside is not signed well, or holds something else.
    #[error("the sigil of {stated} is not signed by its owner")]
    Signature {
        /// The key that the sigil states.
        stated: SignPublicKey,
        /// What the box said.
        source: SignedError,
    },
    /// The sigil states one key and is signed by another.
    #[error("the sigil states key {stated} but is signed by {signer}")]
    Signer {
        /// The key that the sigil states.
        stated: SignPublicKey,
        /// The key that signed.
        signer: SignPublicKey,
    },
    /// The encryption key is not in the keyring of the signer.
    #[error("the keyring of {keyring} has no encryption key {key}")]
    ForeignKey {
        /// Name of the keyring.
        keyring: SignPublicKey,
        /// The key that was asked for.
        key: EncryptPublicKey,
    },
}

impl Sigil {
    /// The sigil in which the owner of `key` says `data`.
    #[must_use]
    pub fn sign(key: &SignSecretKey, data: &SigilData) -> Self {
        Self { stated: key.public(), data: Signed::sign(key, data) }
    }

    /// The sigil of the owner of a keyring for one of its encryption keys.
    ///
    /// # Errors
    /// The key is not in the keyring.
    pub fn of_keyring(keyring: &Keyring, data: &SigilData) -> Result<Self, SigilError> {
        if keyring.encrypt.iter().map(KeyringEntry::public).any(|key| key == data.encrypt) {
            Ok(Self::sign(&keyring.sign, data))
        } else {
            Err(SigilError::ForeignKey { keyring: keyring.public(), key: data.encrypt })
        }
    }

    /// Checks the signature, and that it is the stated key that signed.
    ///
    /// # Errors
    /// A bad signature, or another signer.
    pub fn verify(&self) -> Result<Card, SigilError> {
        let stated = self.stated;
        let verified = self.data.verify().map_err(|source| SigilError::Signature { stated, source })?;
        if verified.signer != stated {
            return Err(SigilError::Signer { stated, signer: verified.signer });
        }
        Ok(Card { sign: stated, data: verified.value })
    }

    /// Reads a sigil file or block: armoured text, or bare CBOR.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(file: &[u8]) -> Result<Self, SigilError> {
        // The first byte of bare CBOR is no character of a text.
        let Ok(text) = std::str::from_utf8(file) else {
            return Self::from_bytes(file).map_err(|source| SigilError::Value { source });
        };
        let cbor = armour::parse(text).map_err(|source| SigilError::Text { source })?;
        Self::from_bytes(&cbor).map_err(|source| SigilError::Value { source })
    }

    /// The text of a sigil file, without a newline at the end.
    #[must_use]
    pub fn to_text(&self) -> String {
        armour::to_text(HEAD, &self.to_bytes()).to_string()
    }
}

impl Encode for SigilData {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 3);
        self.encrypt.encode(e);
        e.maybe(self.info.as_ref(), |e, info| e.text(info));
        e.maybe(self.ext, |e, ext| ext.encode(e));
    }
}

impl Decode for SigilData {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(3)?;
        Ok(Self {
            encrypt: EncryptPublicKey::decode(d)?,
            info: d.maybe(|d| d.text().map(str::to_owned))?,
            ext: d.maybe(Hash::decode)?,
        })
    }
}

impl Encode for Sigil {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 2);
        self.stated.encode(e);
        self.data.encode(e);
    }
}

impl Decode for Sigil {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(2)?;
        Ok(Self { stated: SignPublicKey::decode(d)?, data: Signed::decode(d)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring() -> Keyring {
        Keyring::new(&[1; 32], &[[2; 32]])
    }

    fn data() -> SigilData {
        SigilData { encrypt: keyring().encrypt[0].public(), info: Some("alice".into()), ext: None }
    }

    #[test]
    fn a_sigil_reads_its_own_text_and_its_bare_form() {
        let sigil = Sigil::of_keyring(&keyring(), &data()).unwrap();
        assert_eq!(sigil.verify(), Ok(Card { sign: keyring().public(), data: data() }));
        assert_eq!(Sigil::parse(sigil.to_text().as_bytes()), Ok(sigil.clone()));
        assert_eq!(Sigil::parse(&sigil.to_bytes()), Ok(sigil));
    }

    #[test]
    fn the_stated_key_must_be_the_signer() {
        let mut sigil = Sigil::sign(&keyring().sign, &data());
        let mallory = SignSecretKey::from_seed(&[9; 32]);
        sigil.stated = mallory.public();
        let expected = SigilError::Signer { stated: mallory.public(), signer: keyring().public() };
        assert_eq!(sigil.verify(), Err(expected));
    }

    #[test]
    fn a_key_outside_the_keyring_is_refused() {
        let foreign = SigilData { encrypt: EncryptPublicKey::from_bytes([7; 32]), ..data() };
        assert!(matches!(Sigil::of_keyring(&keyring(), &foreign), Err(SigilError::ForeignKey { .. })));
    }
}
