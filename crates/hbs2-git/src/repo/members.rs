//! Who may read: the owner's changes of the group keys (spec: git3 10.5).
//!
//! New segments are sealed with the group key of the manifest. When members change, old segments stay as they are;
//! a member who is new gets every older secret sealed once more, for him, in the journal.

use std::collections::{BTreeMap, BTreeSet};

use hbs2_core::groupkey::{GroupKeyId, GroupSecret};
use hbs2_core::{EncryptPublicKey, Hash};

use super::{Located, Repository};
use crate::error::{Error, Result};
use crate::{groupkey, head};

/// What [`Repository::update_group`] found and added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupUpdate {
    /// The group keys of the journal before, each with the id of its secret if it states one.
    pub known: Vec<(Hash, Option<GroupKeyId>)>,
    /// The group keys that were added: the new one, and those that give older secrets to new members.
    pub added: Vec<Hash>,
}

/// One secret of the repository: a group key that holds it, and everybody for whom it is sealed.
struct OldSecret {
    group: Hash,
    members: BTreeSet<EncryptPublicKey>,
}

impl Repository<'_> {
    /// Adds group keys to the journal; new segments are sealed as before.
    ///
    /// # Errors
    /// The repository is not ours, or one is no group key that is here.
    pub fn add_group_keys(&self, keys: &[Hash]) -> Result<()> {
        let owner = self.owner_secret()?.ok_or(Error::NoSecretKey { repo: self.key })?;
        let located = self.locate()?;
        for group in keys {
            groupkey::find(self.ctx, *group)?.ok_or(Error::NoGroupKey { group: *group })?;
        }
        let old = self.all_keys(&located)?;
        let journal: BTreeSet<Hash> = old.iter().chain(keys).copied().collect();
        if journal != old {
            head::publish(self.ctx, &owner, &located.manifest, &journal)?;
            self.forget_location();
        }
        Ok(())
    }

    /// Seals new segments with another group key, and gives every older secret to those of its members who do not
    /// have it. Members who are not in it read what was written before, and nothing that comes after.
    ///
    /// # Errors
    /// The repository is not ours, `new` is no group key that is here, we are no member of it or have no access to an
    /// older secret that is to be given on. [`Error::SameSecret`].
    pub fn update_group(&self, new: Hash) -> Result<GroupUpdate> {
        let owner = self.owner_secret()?.ok_or(Error::NoSecretKey { repo: self.key })?;
        let located = self.locate()?;
        let key = groupkey::find(self.ctx, new)?.ok_or(Error::NoGroupKey { group: new })?;
        let secret = self.own_secret(&located, new)?;
        let members: BTreeSet<EncryptPublicKey> = key.members().into_iter().collect();
        let old = self.all_keys(&located)?;
        let (known, mut secrets) = self.old_secrets(&located, &old)?;
        if let Some(same) = secrets.remove(&secret.id())
            && let Some(member) = same.members.difference(&members).next()
        {
            return Err(Error::SameSecret { group: new, same: same.group, member: *member });
        }
        let mut added = Vec::new();
        if !old.contains(&new) {
            added.push(new);
        }
        for OldSecret { group, members: have } in secrets.values() {
            let missing: BTreeSet<EncryptPublicKey> = members.difference(have).copied().collect();
            if !missing.is_empty() {
                let secret = self.own_secret(&located, *group)?;
                added.push(groupkey::store(self.ctx, &groupkey::wrap(self.ctx, *group, &secret, &missing)?)?);
            }
        }
        let journal = old.into_iter().chain(added.iter().copied()).collect();
        head::publish(self.ctx, &owner, &located.manifest.with_group(&new), &journal)?;
        self.forget_location();
        Ok(GroupUpdate { known, added })
    }

    /// The group keys of the journal and that of the manifest.
    fn all_keys(&self, located: &Located) -> Result<BTreeSet<Hash>> {
        let journal = self.journal_keys(located, self.ctx.settings.timeout)?;
        Ok(journal.into_iter().chain(located.group).collect())
    }

    /// Sorts group keys by their secrets.
    #[allow(clippy::type_complexity)] // Two views of one walk; nobody else needs a name for the pair.
    fn old_secrets(
        &self,
        located: &Located,
        keys: &BTreeSet<Hash>,
    ) -> Result<(Vec<(Hash, Option<GroupKeyId>)>, BTreeMap<GroupKeyId, OldSecret>)> {
        let (mut known, mut secrets) = (Vec::new(), BTreeMap::new());
        for group in keys {
            let key = groupkey::load(self.ctx, *group, self.ctx.settings.timeout)?;
            known.push((*group, key.id()));
            let id = match key.id() {
                Some(id) => id,
                None => self.own_secret(located, *group)?.id(),
            };
            let secret =
                secrets.entry(id).or_insert_with(|| OldSecret { group: *group, members: BTreeSet::new() });
            secret.members.extend(key.members());
        }
        Ok((known, secrets))
    }

    fn own_secret(&self, located: &Located, group: Hash) -> Result<GroupSecret> {
        self.secret_of(located, group, self.ctx.settings.timeout)?.ok_or(Error::NotMember { group })
    }
}
