//! Where secret keys come from.

use hbs2_core::{Keyring, SignPublicKey, SignSecretKey};
use hbs2_keyman::KeyIndex;

/// What a source of keys says when it fails.
pub type KeysError = Box<dyn std::error::Error + Send + Sync>;

/// Finds and keeps secret keys. The programs give the key index of `hbs2-keyman`; tests give a list.
pub trait Keys: Send + Sync {
    /// The secret half of a signing key, if we have it.
    ///
    /// # Errors
    /// The source cannot be read.
    fn find_sign(&self, public: &SignPublicKey) -> Result<Option<SignSecretKey>, KeysError>;

    /// Keeps a new signing key as the key of an lwwref.
    ///
    /// # Errors
    /// The key cannot be written.
    fn add_lwwref(&self, secret: &SignSecretKey) -> Result<(), KeysError>;
}

/// Suffix of the file of an lwwref's key, as in the original: `KEY-lwwref.key`.
const LWWREF_SUFFIX: &str = "lwwref";

impl Keys for KeyIndex {
    fn find_sign(&self, public: &SignPublicKey) -> Result<Option<SignSecretKey>, KeysError> {
        Ok(Self::find_sign(self, public)?.map(|found| found.secret))
    }

    fn add_lwwref(&self, secret: &SignSecretKey) -> Result<(), KeysError> {
        let keyring = Keyring { sign: secret.clone(), encrypt: Vec::new() };
        self.add_keyring(&keyring, LWWREF_SUFFIX)?;
        Ok(())
    }
}
