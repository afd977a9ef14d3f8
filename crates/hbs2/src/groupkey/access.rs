//! Opening group keys: with the keyring file that the user named, then with what hbs2-keyman knows.

use std::path::Path;

use bytes::Bytes;
use hbs2_core::groupkey::GroupKeyError;
use hbs2_core::tree::sealed::BlockCipher;
use hbs2_core::{AnnotatedTree, Crypt, EncryptPublicKey, GroupKey, GroupSecret, Hash};
use hbs2_keyman::GroupSecretError;

use crate::error::Failure;
use crate::store::blocks::Blocks;
use crate::voice::Voice;
use crate::{keyman, keys};

/// With which keys group keys are opened.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    keyring: Option<&'a Path>,
    only: Option<EncryptPublicKey>,
}

impl<'a> Opening<'a> {
    /// With the encryption keys of the keyring file, if there is one, then with those that hbs2-keyman knows.
    #[must_use]
    pub fn new(keyring: Option<&'a Path>) -> Self {
        Self { keyring, only: None }
    }

    /// With one of those keys alone.
    #[must_use]
    pub fn only(mut self, key: Option<EncryptPublicKey>) -> Self {
        self.only = key;
        self
    }

    /// The secret of a group key that is in no storage.
    ///
    /// # Errors
    /// None of the keys is a member's, or the box of the member is broken; the keyring cannot be read.
    pub fn secret(&self, group: &GroupKey, voice: &mut Voice) -> Result<GroupSecret, Failure> {
        if let Some(secret) = self.with_keyring(group, voice)? {
            return Ok(secret);
        }
        let index = keyman::index_with(voice.talk())?;
        let found = match self.only {
            None => index.open_group_key(group)?.map(|found| found.secret),
            Some(member) if !group.has_member(&member) => None,
            Some(member) => {
                let key = index.find_encrypt(&member)?;
                key.map(|key| group.open(&key.secret)).transpose()?
            }
        };
        let named = || group.id().map_or_else(|| "without id".to_owned(), |id| id.to_string());
        found.ok_or_else(|| Failure::NoAccess { key: named() })
    }

    /// The secret of the group key whose tree has the root `root`, and which may be one that we can open only through
    /// another with the same secret.
    ///
    /// # Errors
    /// The tree is not all here, or holds no group key; as [`Opening::secret`].
    pub fn secret_of(&self, root: Hash, blocks: &Blocks, voice: &mut Voice) -> Result<GroupSecret, Failure> {
        if self.keyring.is_some() {
            let group = GroupKey::load(root, |hash| blocks.get(hash)).map_err(GroupSecretError::Load)?;
            if let Some(secret) = self.with_keyring(&group, voice)? {
                return Ok(secret);
            }
        }
        let index = keyman::index_with(voice.talk())?;
        let found = index.find_group_secret(&root, |hash| blocks.get(hash))?;
        // Whoever comes later with another group key of this secret may be opened through this one.
        index.track(&[(root, found.secret.id())])?;
        Ok(found.secret)
    }

    /// The secret, opened with the keyring that the user named; none when no key of it is a member's.
    fn with_keyring(&self, group: &GroupKey, voice: &mut Voice) -> Result<Option<GroupSecret>, Failure> {
        let Some(path) = self.keyring else { return Ok(None) };
        let keyring = keys::read(Some(path), voice)?;
        let keys = keyring.encrypt.iter().map(|entry| &entry.secret);
        let keys = keys.filter(|key| self.only.is_none_or(|only| only == key.public()));
        match group.open_with(keys) {
            Ok(secret) => Ok(Some(secret)),
            Err(GroupKeyError::NotMember) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What opens the blocks of an annotated tree; nothing when they are not sealed.
    ///
    /// # Errors
    /// As [`Opening::secret_of`], or they are sealed in a way that nobody reads any more.
    pub fn cipher(
        &self,
        hash: Hash,
        tree: &AnnotatedTree,
        blocks: &Blocks,
        voice: &mut Voice,
    ) -> Result<Option<BlockCipher>, Failure> {
        if tree.crypt == Crypt::None {
            return Ok(None);
        }
        let unreadable = |source| Failure::Unreadable { hash, source };
        let secret = self.secret_of(tree.crypt.group_key().map_err(unreadable)?, blocks, voice)?;
        BlockCipher::new(&secret, &tree.crypt).map(Some).map_err(unreadable)
    }
}

/// Stores the tree of a group key; returns its root.
///
/// # Errors
/// The storage failed.
pub fn put(group: &GroupKey, blocks: &Blocks) -> Result<Hash, Failure> {
    let mut all: Vec<Bytes> = Vec::new();
    let root = group.build(|_, block| all.push(block));
    for batch in all.chunks(crate::store::blocks::BATCH_BLOCKS) {
        blocks.put(batch.to_vec())?;
    }
    Ok(root)
}
