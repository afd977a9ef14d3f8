//! Where secret keys come from.

use hbs2_core::{SignPublicKey, SignSecretKey};

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
