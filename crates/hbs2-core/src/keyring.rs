//! Keyrings: one signing key and any number of encryption keys (docs/spec/keyring.md).
//!
//! A keyring is what a person or a peer *is*: its public signing key is the name, the file is the proof. Secrets
//! are wiped when dropped and do not appear in `Debug`.

use zeroize::Zeroizing;

use crate::armour;
use crate::base58::Base58Error;
use crate::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use crate::key::{EncryptPublicKey, EncryptSecretKey, SignPublicKey, SignSecretKey};
use crate::limits::KEYRING_ENTRIES_MAX;

/// Comments at the head of a keyring file.
const HEAD: &str = "# hbs2 credentials file\n# keep it private\n\n";

/// A signing key with its encryption keys: CBOR `[0, secret, public, [entry]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyring {
    /// The signing key.
    pub sign: SignSecretKey,
    /// The encryption keys, oldest first.
    pub encrypt: Vec<KeyringEntry>,
}

/// An encryption key in a keyring: CBOR `[0, public, secret, Maybe text]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyringEntry {
    /// The key.
    pub secret: EncryptSecretKey,
    /// What it is for, in the owner's words; no known program writes it.
    pub description: Option<String>,
}

/// Why bytes are no keyring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// The text after the comments is not base58, and the file is no bare CBOR either.
    #[error("cannot read the text of the keyring")]
    Text {
        /// Where base58 ended.
        source: Base58Error,
    },
    /// The file is neither text nor bare CBOR of a keyring.
    #[error("cannot read the keyring")]
    Value {
        /// Where the CBOR went wrong.
        source: DecodeError,
    },
}

impl KeyringEntry {
    /// An entry without description.
    #[must_use]
    pub const fn new(secret: EncryptSecretKey) -> Self {
        Self { secret, description: None }
    }

    /// The public half of the key.
    #[must_use]
    pub fn public(&self) -> EncryptPublicKey {
        self.secret.public()
    }
}

impl Keyring {
    /// The keyring that grows from the seed of a signing key and encryption secrets, all of them random bytes.
    #[must_use]
    pub fn new(seed: &[u8; 32], encrypt: &[[u8; 32]]) -> Self {
        let encrypt =
            encrypt.iter().map(|bytes| KeyringEntry::new(EncryptSecretKey::from_bytes(*bytes))).collect();
        Self { sign: SignSecretKey::from_seed(seed), encrypt }
    }

    /// The public signing key: the name of the keyring.
    #[must_use]
    pub fn public(&self) -> SignPublicKey {
        self.sign.public()
    }

    /// Adds an encryption key at the end; a key that is there already is not added again.
    pub fn add(&mut self, entry: KeyringEntry) {
        if !self.encrypt.contains(&entry) {
            self.encrypt.push(entry);
        }
    }

    /// Removes every entry with this public key; says whether there was one.
    pub fn remove(&mut self, public: &EncryptPublicKey) -> bool {
        let before = self.encrypt.len();
        self.encrypt.retain(|entry| entry.public() != *public);
        self.encrypt.len() < before
    }

    /// Reads a keyring file: armoured text, or bare CBOR.
    ///
    /// # Errors
    /// The file is neither.
    pub fn parse(file: &[u8]) -> Result<Self, KeyringError> {
        let text = match std::str::from_utf8(file) {
            Ok(text) => armour::parse(text).map_err(|source| KeyringError::Text { source }),
            Err(_) => Ok(Zeroizing::new(Vec::new())),
        };
        let value =
            text.and_then(|cbor| Self::from_bytes(&cbor).map_err(|source| KeyringError::Value { source }));
        value.or_else(|error| Self::from_bytes(file).map_err(|_| error))
    }

    /// The text of a keyring file, without a newline at the end. It is wiped when dropped.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        armour::to_text(HEAD, &Zeroizing::new(self.to_bytes()))
    }

    /// What a listing shows: the public keys, one a line. A keyring without encryption keys has an empty line in
    /// their place, as the original prints it.
    #[must_use]
    pub fn listing(&self) -> String {
        let keys: Vec<String> =
            self.encrypt.iter().map(|entry| format!("pub-key:   {}", entry.public())).collect();
        format!("sign-key:  {}\n{}\n", self.public(), keys.join("\n"))
    }
}

/// Bytes of a keyring without entries, and of one entry without description.
const KEYRING_BYTES: usize = 2 + 68 + 36 + 2;
const ENTRY_BYTES: usize = 2 + 36 + 36 + 1;

impl Encode for Keyring {
    fn encode(&self, e: &mut Encoder) {
        let entries: usize = self.encrypt.iter().map(KeyringEntry::room).sum();
        // Room for all of it at once: a buffer that grows would leave copies of secrets behind.
        e.reserve(KEYRING_BYTES + entries);
        e.variant(0, 3);
        self.sign.encode(e);
        self.sign.public().encode(e);
        e.list(&self.encrypt, |e, entry| entry.encode(e));
    }
}

impl Decode for Keyring {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(3)?;
        let sign = SignSecretKey::decode(d)?;
        let start = d.at();
        if SignPublicKey::decode(d)? != sign.public() {
            return Err(DecodeError::new(start, "the public half of the signing key"));
        }
        // Room for all entries at once, for the same reason as when writing.
        let room = (d.rest().len() / ENTRY_BYTES).min(KEYRING_ENTRIES_MAX);
        let encrypt = d.list_into(Vec::with_capacity(room), KEYRING_ENTRIES_MAX, KeyringEntry::decode)?;
        Ok(Self { sign, encrypt })
    }
}

impl KeyringEntry {
    fn room(&self) -> usize {
        /// Longest head of a text, in bytes.
        const HEAD_BYTES: usize = 10;
        ENTRY_BYTES + self.description.as_ref().map_or(0, |text| HEAD_BYTES + text.len())
    }
}

impl Encode for KeyringEntry {
    fn encode(&self, e: &mut Encoder) {
        e.variant(0, 3);
        self.public().encode(e);
        self.secret.encode(e);
        e.maybe(self.description.as_ref(), |e, text| e.text(text));
    }
}

impl Decode for KeyringEntry {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.record(3)?;
        let start = d.at();
        let public = EncryptPublicKey::decode(d)?;
        let entry = Self {
            secret: EncryptSecretKey::decode(d)?,
            description: d.maybe(|d| d.text().map(str::to_owned))?,
        };
        if entry.public() != public {
            return Err(DecodeError::new(start, "the public half of the encryption key"));
        }
        Ok(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyring_reads_its_own_text_and_its_bare_form() {
        let keyring = Keyring::new(&[1; 32], &[[2; 32], [3; 32]]);
        assert_eq!(Keyring::parse(keyring.to_text().as_bytes()), Ok(keyring.clone()));
        assert_eq!(Keyring::parse(&keyring.to_bytes()), Ok(keyring));
    }

    #[test]
    fn debug_shows_public_halves_only() {
        let shown = format!("{:?}", Keyring::new(&[1; 32], &[[2; 32]]));
        assert!(shown.contains("AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRSZ9"), "{shown}");
        assert!(!shown.contains("[1, 1") && !shown.contains("0101"), "{shown}");
    }

    #[test]
    fn a_public_half_of_another_key_is_refused() {
        let mut bytes = Keyring::new(&[1; 32], &[[2; 32]]).to_bytes();
        *bytes.last_chunk_mut::<10>().unwrap() = [0; 10];
        assert!(Keyring::from_bytes(&bytes).is_err());
    }

    #[test]
    fn a_key_is_added_once_and_removed_by_its_public_half() {
        let mut keyring = Keyring::new(&[1; 32], &[[2; 32]]);
        let entry = KeyringEntry::new(EncryptSecretKey::from_bytes([3; 32]));
        keyring.add(entry.clone());
        keyring.add(entry.clone());
        assert_eq!(keyring.encrypt.len(), 2);
        assert!(keyring.remove(&entry.public()));
        assert!(!keyring.remove(&entry.public()));
        assert_eq!(keyring.encrypt.len(), 1);
    }
}
