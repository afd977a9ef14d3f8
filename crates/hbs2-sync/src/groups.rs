//! Group keys of a channel: which opens what, and which is taken for what is posted (spec: cli 8.2).
//!
//! What is posted is sealed for the readers that the head names. The newest group key of the channel with exactly these
//! members is taken again. When readers have joined, its secret is sealed once more for all of them; when one has left,
//! there is a new secret, because the old one would not keep him out: a secret that a group key of the channel gives to
//! somebody else is never used again, not even under an older group key that does not name him.

use std::collections::{BTreeMap, BTreeSet};

use hbs2_core::groupkey::LoadError;
use hbs2_core::tree::walk::WalkError;
use hbs2_core::{EncryptPublicKey, EncryptSecretKey, GroupKey, GroupKeyId, GroupSecret, Hash};
use hbs2_keyman::{GroupSecretError, KeyIndex};
use hbs2_rpc::Client;
use hbs2_rpc::bulk::Upload;

use crate::context::{Context, now, random};
use crate::error::{Result, SyncError};
use crate::link;

/// Group keys whose members are compared before a new one is made, at most, the newest first.
const COMPARED_MAX: usize = 64;

/// Length of a secret, in bytes.
const SECRET_BYTES: usize = 32;

/// Whether a group key can be opened.
pub(crate) enum Access {
    /// Its secret.
    Open(GroupSecret),
    /// Its blocks are not here.
    Absent,
    /// No key of ours is a member's, or it is no group key that we read.
    Closed,
}

/// What new entries are sealed with.
#[derive(Clone)]
pub(crate) struct Seal {
    /// The root of the tree of the group key.
    pub(crate) key: Hash,
    /// Its secret.
    pub(crate) secret: GroupSecret,
}

/// What everybody can see of a group key.
struct Group {
    members: BTreeSet<EncryptPublicKey>,
    /// The name of its secret, as its maker states it.
    stated: Option<GroupKeyId>,
}

/// The group keys met in one run. Secrets are wiped at its end.
pub(crate) struct Groups<'a> {
    client: &'a Client,
    keys: &'a KeyIndex,
    /// None: closed to us.
    secrets: BTreeMap<Hash, Option<GroupSecret>>,
    groups: BTreeMap<Hash, Group>,
    /// Group keys made here for the readers of now, by the name of their secret.
    wrapped: BTreeMap<GroupKeyId, Hash>,
}

impl<'a> Groups<'a> {
    pub(crate) fn new(ctx: &Context<'a>) -> Self {
        Self {
            client: ctx.client,
            keys: ctx.keys,
            secrets: BTreeMap::new(),
            groups: BTreeMap::new(),
            wrapped: BTreeMap::new(),
        }
    }

    /// Opens a group key.
    pub(crate) fn secret(&mut self, root: &Hash) -> Result<Access> {
        if let Some(known) = self.secrets.get(root) {
            return Ok(known.clone().map_or(Access::Closed, Access::Open));
        }
        let client = self.client;
        let found = match self.keys.find_group_secret(root, |hash| link::block(client, hash)) {
            Ok(found) => {
                // Whoever comes later with another group key of this secret may be opened through this one.
                self.keys.track(&[(*root, found.secret.id())])?;
                Some(found.secret)
            }
            Err(GroupSecretError::Load(LoadError::Tree { source: WalkError::Missing { .. }, .. })) => {
                return Ok(Access::Absent);
            }
            Err(GroupSecretError::Load(LoadError::Tree { source: WalkError::Source(error), .. })) => {
                return Err(error.into());
            }
            Err(GroupSecretError::NoAccess { .. } | GroupSecretError::Load(_)) => None,
            Err(error @ GroupSecretError::Keyman(_)) => return Err(error.into()),
        };
        self.secrets.insert(*root, found.clone());
        Ok(found.map_or(Access::Closed, Access::Open))
    }

    /// The members of a group key; none when it is not here or cannot be read.
    pub(crate) fn members(&mut self, root: &Hash) -> Result<Option<&BTreeSet<EncryptPublicKey>>> {
        Ok(self.group(root)?.map(|group| &group.members))
    }

    /// What can be seen of a group key; none when it is not here or cannot be read.
    fn group(&mut self, root: &Hash) -> Result<Option<&Group>> {
        if !self.groups.contains_key(root) {
            let client = self.client;
            let group = match GroupKey::load(*root, |hash| link::block(client, hash)) {
                Ok(group) => group,
                Err(LoadError::Tree { source: WalkError::Source(error), .. }) => return Err(error.into()),
                Err(_) => return Ok(None),
            };
            let group = Group { members: group.members().into_iter().collect(), stated: group.id() };
            self.groups.insert(*root, group);
        }
        Ok(self.groups.get(root))
    }

    /// What new entries for these readers are sealed with. `used` are the group keys of the channel, the newest first.
    pub(crate) fn current(&mut self, readers: &BTreeSet<EncryptPublicKey>, used: &[Hash]) -> Result<Seal> {
        let spread = self.known_to_others(readers, used)?;
        let mut growing = None;
        for root in used.iter().take(COMPARED_MAX) {
            let Some(members) = self.members(root)? else { continue };
            let (is_equal, is_part) = (members == readers, members.is_subset(readers));
            if !is_part || (growing.is_some() && !is_equal) {
                continue;
            }
            if let Access::Open(secret) = self.secret(root)?
                && !spread.contains(&secret.id())
            {
                if is_equal {
                    return Ok(Seal { key: *root, secret });
                }
                growing = Some(secret);
            }
        }
        let secret = match growing {
            Some(secret) => secret,
            None => GroupSecret::from_bytes(*random::<SECRET_BYTES>()?),
        };
        let key = self.wrap(&secret, readers)?;
        Ok(Seal { key, secret })
    }

    /// The secrets that somebody has who is no reader. A group key of the right members may have one of these: it was sealed
    /// once more for somebody who joined, and who has left since.
    fn known_to_others(
        &mut self,
        readers: &BTreeSet<EncryptPublicKey>,
        used: &[Hash],
    ) -> Result<BTreeSet<GroupKeyId>> {
        let mut spread = BTreeSet::new();
        for root in used {
            let Some(group) = self.group(root)? else { continue };
            if group.members.is_subset(readers) {
                continue;
            }
            // What a group key states of its secret is worth as much as its maker, so it is opened where we can.
            let stated = group.stated;
            spread.extend(match self.secret(root)? {
                Access::Open(secret) => Some(secret.id()),
                Access::Absent | Access::Closed => stated,
            });
        }
        Ok(spread)
    }

    /// A group key with this secret for these readers.
    pub(crate) fn wrap(
        &mut self,
        secret: &GroupSecret,
        readers: &BTreeSet<EncryptPublicKey>,
    ) -> Result<Hash> {
        let id = secret.id();
        if let Some(known) = self.wrapped.get(&id) {
            return Ok(*known);
        }
        let mut once = Vec::with_capacity(readers.len());
        for _ in readers {
            once.push(EncryptSecretKey::from_bytes(*random()?));
        }
        let mut once = once.into_iter();
        let next = || once.next().expect("there is one for each reader");
        let group = GroupKey::generate(secret, readers, now(), next)
            .map_err(|source| SyncError::GroupKey { source })?;
        let mut upload = Upload::new(self.client, link::WRITE_TIMEOUT);
        let mut blocks = Vec::new();
        let root = group.build(|_, block| blocks.push(block));
        for block in blocks {
            upload.put(block)?;
        }
        upload.finish()?;
        self.keys.track(&[(root, id)])?;
        self.secrets.insert(root, Some(secret.clone()));
        self.groups.insert(root, Group { members: readers.clone(), stated: Some(id) });
        self.wrapped.insert(id, root);
        Ok(root)
    }
}
