//! Secrets of group keys, found through the keys we hold (spec: git3 10.3).
//!
//! 1. A member's key that is in the index opens the group key.
//! 2. Otherwise another group key that carries the same secret – it has the same id – may be sealed for us.
//!    Which group keys have an id is remembered when programs meet them; this is called tracking.
//! 3. Otherwise we have no access.
//!
//! Blocks come from the caller: the index knows no store.

use bytes::Bytes;
use hbs2_core::groupkey::{GroupKey, GroupKeyId, GroupSecret, LoadError};
use hbs2_core::tree::walk::WalkError;
use hbs2_core::{EncryptPublicKey, Hash};

use crate::db::{files, kept};
use crate::find::Found;
use crate::index::{KeyIndex, KeyKind, Vanished};
use crate::{KeymanError, find};

/// Group keys with one id that are tried, at most, the newest first. Ids are what their makers state, so a
/// stranger can make any number of them; a group that changes once a week fills this in five years.
pub const GROUP_KEYS_TRIED_MAX: u32 = 256;

/// What to tell a user who cannot open a group key.
pub const NO_ACCESS_HINT: &str = "give one of your encryption keys (hbs2-keyman list) to the owner of the group; if you \
                                  are a member, name the file of your key with: hbs2-keyman add-mask FILE";

/// Why the secret of a group key is not to be had. `E` is what the source of blocks says.
#[derive(Debug, thiserror::Error)]
pub enum GroupSecretError<E> {
    /// No key that we hold opens the group key, nor any other that is known to have its secret.
    #[error("no access to group key {root}")]
    NoAccess {
        /// Root of the group key's tree.
        root: Hash,
    },
    /// The group key itself cannot be read.
    #[error(transparent)]
    Load(LoadError<E>),
    /// A key that would open it cannot be used, or the index fails.
    #[error(transparent)]
    Keyman(#[from] KeymanError),
}

/// What came of trying: the secret, or the first trouble that was more than not being a member.
type Tried = (Option<Found<GroupSecret>>, Option<KeymanError>);

impl KeyIndex {
    /// The secret of the group key with this root, whose blocks `get` finds: opened with a key of ours, or taken
    /// from a tracked group key with the same id.
    ///
    /// # Errors
    /// The group key cannot be read, a member's key of ours cannot be used, or we have no access.
    pub fn find_group_secret<E>(
        &self,
        root: &Hash,
        mut get: impl FnMut(&Hash) -> Result<Option<Bytes>, E>,
    ) -> Result<Found<GroupSecret>, GroupSecretError<E>> {
        let (found, _) = self.try_group(root, &mut get)?;
        if let Some(found) = found {
            return Ok(found);
        }
        // Our key may have come, or moved, since the last look at the files.
        self.update(Vanished::Keep)?;
        let (found, trouble) = self.try_group(root, &mut get)?;
        match (found, trouble) {
            (Some(found), _) => Ok(found),
            (None, Some(trouble)) => Err(trouble.into()),
            (None, None) => Err(GroupSecretError::NoAccess { root: *root }),
        }
    }

    /// Opens a group key with the keys we hold, the most preferred first; none when no key of ours is a member.
    /// For a group key that is in no store, such as one in a file.
    ///
    /// # Errors
    /// A key of ours is a member and opens nothing: its file is gone, or the group key is damaged.
    pub fn open_group_key(&self, group: &GroupKey) -> Result<Option<Found<GroupSecret>>, KeymanError> {
        if let (Some(found), _) = self.try_members(group)? {
            return Ok(Some(found));
        }
        self.update(Vanished::Keep)?;
        match self.try_members(group)? {
            (None, Some(trouble)) => Err(trouble),
            (found, _) => Ok(found),
        }
    }

    /// The members of a group whose secret keys are in the index, the most preferred first. The files are not
    /// looked at.
    ///
    /// # Errors
    /// The database refuses.
    pub fn members_held(&self, group: &GroupKey) -> Result<Vec<EncryptPublicKey>, KeymanError> {
        let members: Vec<_> = group.members().iter().map(|member| *member.as_bytes()).collect();
        let mut held = self.files(|connection| files::places_of(connection, &members, KeyKind::Encrypt))?;
        if held.len() > 1 {
            let weights = self.kept(|connection| kept::weights(connection))?;
            held.sort_by(|(a, a_place), (b, b_place)| {
                let weight = |key| weights.get(key).copied().unwrap_or(0);
                weight(b).cmp(&weight(a)).then_with(|| a_place.cmp(b_place))
            });
        }
        Ok(held.into_iter().map(|(key, _)| EncryptPublicKey::from_bytes(key)).collect())
    }

    /// The id by which a group key is tracked: the one it states, else that of its secret, if we can open it.
    ///
    /// # Errors
    /// As [`KeyIndex::open_group_key`].
    pub fn group_key_id(&self, group: &GroupKey) -> Result<Option<GroupKeyId>, KeymanError> {
        match group.id() {
            Some(id) => Ok(Some(id)),
            None => Ok(self.open_group_key(group)?.map(|found| found.secret.id())),
        }
    }

    /// Tracks the group key with this root, whose blocks `get` finds; answers its id.
    ///
    /// # Errors
    /// The group key cannot be read; or it states no id, and we have no access to its secret.
    pub fn track_group_key<E>(
        &self,
        root: &Hash,
        get: impl FnMut(&Hash) -> Result<Option<Bytes>, E>,
    ) -> Result<GroupKeyId, GroupSecretError<E>> {
        let group = GroupKey::load(*root, get).map_err(GroupSecretError::Load)?;
        let id = self.group_key_id(&group)?.ok_or(GroupSecretError::NoAccess { root: *root })?;
        self.track(&[(*root, id)])?;
        Ok(id)
    }

    /// Remembers group keys: the root of each and the id of its secret. Answers how many were new. The group
    /// keys themselves stay in the store.
    ///
    /// # Errors
    /// The database refuses.
    pub fn track(&self, keys: &[(Hash, GroupKeyId)]) -> Result<u64, KeymanError> {
        self.kept(|connection| kept::track(connection, keys))
    }

    /// Roots of the tracked group keys with this id, the newest first, at most [`GROUP_KEYS_TRIED_MAX`].
    ///
    /// # Errors
    /// The database refuses.
    pub fn tracked(&self, id: &GroupKeyId) -> Result<Vec<Hash>, KeymanError> {
        self.kept(|connection| kept::tracked(connection, id, GROUP_KEYS_TRIED_MAX))
    }

    /// The id of the group key with this root, if it is tracked.
    ///
    /// # Errors
    /// The database refuses.
    pub fn tracked_id(&self, root: &Hash) -> Result<Option<GroupKeyId>, KeymanError> {
        self.kept(|connection| kept::tracked_id(connection, root))
    }

    /// Tries the group key itself, then the tracked ones with its id.
    fn try_group<E>(
        &self,
        root: &Hash,
        mut get: impl FnMut(&Hash) -> Result<Option<Bytes>, E>,
    ) -> Result<Tried, GroupSecretError<E>> {
        let loaded = GroupKey::load(*root, &mut get);
        let (found, mut trouble) = match &loaded {
            Ok(group) => self.try_members(group)?,
            Err(_) => (None, None),
        };
        if found.is_some() {
            return Ok((found, None));
        }
        let id = match loaded.as_ref().ok().and_then(GroupKey::id) {
            Some(id) => Some(id),
            None => self.tracked_id(root)?,
        };
        let others = id.map(|id| self.tracked(&id)).transpose()?.unwrap_or_default();
        for other in others.iter().filter(|other| *other != root) {
            let other = match GroupKey::load(*other, &mut get) {
                Ok(other) => other,
                Err(error @ LoadError::Tree { source: WalkError::Source(_), .. }) => {
                    return Err(GroupSecretError::Load(error));
                }
                // Whoever tracked it had it once. Not our group key, so no reason to stop.
                Err(_) => continue,
            };
            let (found, other_trouble) = self.try_members(&other)?;
            if let Some(found) = found.filter(|found| Some(found.secret.id()) == id) {
                return Ok((Some(found), None));
            }
            trouble = trouble.or(other_trouble);
        }
        match loaded {
            Ok(_) => Ok((None, trouble)),
            Err(error) => Err(GroupSecretError::Load(error)),
        }
    }

    /// Tries our keys that are members, as the index knows them now.
    fn try_members(&self, group: &GroupKey) -> Result<Tried, KeymanError> {
        let mut first_trouble = None;
        for member in self.members_held(group)? {
            let (found, gone) = self.try_files(KeyKind::Encrypt, member.as_bytes())?;
            let trouble = match (found, gone) {
                (Some(found), _) => {
                    let found = found.map(|keyring| {
                        let key = find::secret_of(&keyring, &member).expect("the search looked for it");
                        group.open(&key)
                    });
                    match found.transpose() {
                        Ok(found) => return Ok((Some(found), None)),
                        Err((file, source)) => KeymanError::GroupKey { file, source },
                    }
                }
                (None, Some((file, gone))) => KeymanError::Vanished { key: member.to_string(), file, gone },
                (None, None) => continue,
            };
            first_trouble.get_or_insert(trouble);
        }
        Ok((None, first_trouble))
    }
}
