//! Where secret keys come from.

use hbs2_core::groupkey::{GroupKey, GroupKeyId, GroupSecret};
use hbs2_core::{Hash, Keyring, SignPublicKey, SignSecretKey};
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

    /// Opens the secret of a group key with one of our encryption keys; none when we are no member.
    ///
    /// # Errors
    /// The source cannot be read, or the group key is broken.
    fn open_group(&self, group: &GroupKey) -> Result<Option<GroupSecret>, KeysError>;

    /// Remembers group keys by their roots, for all programs that look for a secret by its id.
    ///
    /// # Errors
    /// The source cannot be written.
    fn track_groups(&self, groups: &[(Hash, GroupKey)]) -> Result<(), KeysError>;

    /// Roots of the remembered group keys whose secret has this id.
    ///
    /// # Errors
    /// The source cannot be read.
    fn tracked_groups(&self, id: &GroupKeyId) -> Result<Vec<Hash>, KeysError>;
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

    fn open_group(&self, group: &GroupKey) -> Result<Option<GroupSecret>, KeysError> {
        Ok(self.open_group_key(group)?.map(|found| found.secret))
    }

    fn track_groups(&self, groups: &[(Hash, GroupKey)]) -> Result<(), KeysError> {
        let mut known = Vec::with_capacity(groups.len());
        for (root, group) in groups {
            // A group key that neither states its id nor opens cannot be found by it.
            known.extend(self.group_key_id(group)?.map(|id| (*root, id)));
        }
        self.track(&known)?;
        Ok(())
    }

    fn tracked_groups(&self, id: &GroupKeyId) -> Result<Vec<Hash>, KeysError> {
        Ok(self.tracked(id)?)
    }
}
