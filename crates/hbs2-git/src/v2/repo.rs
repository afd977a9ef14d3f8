//! A repository of version 2: where it is, and what the commands ask.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use hbs2_core::groupkey::GroupSecret;
use hbs2_core::{Decode, Hash, LwwRef, RefKind, SignPublicKey, SignSecretKey};

use super::SecondError;
use super::files::Files;
use super::head::RepoHead;
use super::lww::LwwBlock;
use super::snapshot::SnapshotRef;
use super::state::State;
use crate::content::Secrets;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::gitdir::GitDir;
use crate::groupkey;
use crate::refs::{RefLine, RefTable};
use crate::repo::Fallback;
use crate::wait;

/// How often the daemon asks for the lwwref and the reflog, in minutes: what the original sets.
pub const LWWREF_POLL_MINUTES: u32 = 17;
/// See [`LWWREF_POLL_MINUTES`].
pub const REFLOG_POLL_MINUTES: u32 = 13;

/// One repository of version 2, seen from one place.
pub struct Repository<'a> {
    pub(crate) ctx: &'a Context<'a>,
    pub(crate) key: SignPublicKey,
    pub(crate) git: Option<GitDir>,
    located: RefCell<Option<Located>>,
    secrets: RefCell<Secrets>,
}

/// Where a repository's transactions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Located {
    /// The value of the lwwref.
    pub head: LwwRef,
    /// The block it names.
    pub value: LwwBlock,
}

/// A transaction with what it says, its packs not yet read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Hash of the update's block.
    pub id: Hash,
    /// What it names.
    pub names: SnapshotRef,
    /// The head.
    pub head: RepoHead,
    /// Trees of the packs, in order.
    pub packs: Vec<Hash>,
}

impl Snapshot {
    /// Its references.
    #[must_use]
    pub fn table(&self) -> RefTable {
        let mut table = RefTable::default();
        for (name, id) in self.head.existing() {
            table.offer(self.id, &RefLine { time: self.head.time, id, name });
        }
        table
    }
}

impl<'a> Repository<'a> {
    /// The repository with this key. With a git directory, objects are imported into it.
    #[must_use]
    pub fn open(ctx: &'a Context<'a>, key: SignPublicKey, git: Option<GitDir>) -> Self {
        Self { ctx, key, git, located: RefCell::default(), secrets: RefCell::default() }
    }

    /// The key of the repository.
    #[must_use]
    pub fn key(&self) -> SignPublicKey {
        self.key
    }

    /// Finds the reflog; waits for the lwwref. Subscribes to both on first contact.
    ///
    /// # Errors
    /// The repository does not arrive in time, or is none of version 2.
    pub fn locate(&self) -> Result<Located> {
        if let Some(located) = *self.located.borrow() {
            return Ok(located);
        }
        let (head, block) = find_value(self.ctx, &self.key, self.ctx.settings.timeout)?;
        let value =
            LwwBlock::from_bytes(&block).map_err(|_| Box::new(SecondError::Version3 { repo: self.key }))?;
        let located = Located { head, value };
        if self.state_dir(&located).is_none_or(|dir| !dir.exists()) {
            self.subscribe(&located)?;
        }
        *self.located.borrow_mut() = Some(located);
        Ok(located)
    }

    /// Makes the daemon ask others for the repository from time to time.
    ///
    /// # Errors
    /// The daemon refuses.
    pub fn subscribe(&self, located: &Located) -> Result<()> {
        let poll = |kind, key, minutes| {
            self.ctx.link(&format!("subscribe to {key}"), self.ctx.link.poll(kind, key, minutes))
        };
        poll(RefKind::Lww, &self.key, LWWREF_POLL_MINUTES)?;
        poll(RefKind::Reflog, &located.value.reflog, REFLOG_POLL_MINUTES)
    }

    pub(crate) fn set_located(&self, located: Located) {
        *self.located.borrow_mut() = Some(located);
    }

    /// The present references. With a git directory the objects are imported as well.
    ///
    /// # Errors
    /// Something does not arrive in time, is malformed, or is sealed for others.
    pub fn refs(&self) -> Result<RefTable> {
        Ok(self.refresh(Fallback::Older)?.map(|snapshot| snapshot.table()).unwrap_or_default())
    }

    /// The transaction that counts, after importing it when there is a git directory; none when nothing was ever
    /// exported.
    ///
    /// # Errors
    /// As [`Repository::refs`].
    pub fn import(&self) -> Result<Option<Snapshot>> {
        self.refresh(Fallback::Older)
    }

    pub(crate) fn refresh(&self, fallback: Fallback) -> Result<Option<Snapshot>> {
        let located = self.locate()?;
        let root = self.reflog_value(&located)?;
        let mut state = self.open_state(&located)?;
        self.follow(&located, root, fallback, &mut state)
    }

    /// The heads of all transactions that are here, the newest first, each with the root of its tree.
    ///
    /// # Errors
    /// The repository does not arrive in time.
    pub fn heads(&self) -> Result<Vec<(Hash, RepoHead)>> {
        let located = self.locate()?;
        let Some(root) = self.reflog_value(&located)? else { return Ok(Vec::new()) };
        let mut state = self.open_state(&located)?;
        let mut heads = Vec::new();
        for (id, names) in self.learn(&located, root, &mut state)?.0 {
            match self.head_of(id, names.head, Duration::ZERO) {
                Ok(head) => heads.push((names.head, head)),
                Err(Error::MissingBlock { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(heads)
    }

    /// The head of the newest transaction, without its packs; none when nothing was ever exported.
    ///
    /// # Errors
    /// It does not arrive in time.
    pub fn newest_head(&self) -> Result<Option<RepoHead>> {
        let located = self.locate()?;
        let Some(root) = self.reflog_value(&located)? else { return Ok(None) };
        let mut state = self.open_state(&located)?;
        let Some((id, names)) = self.learn(&located, root, &mut state)?.0.into_iter().next() else {
            return Ok(None);
        };
        self.head_of(id, names.head, self.ctx.settings.timeout).map(Some)
    }

    /// Checks that we can write: the secret key is known, and the reflog's key grows from it.
    ///
    /// # Errors
    /// [`Error::NoSecretKey`] or [`Error::ReflogMismatch`].
    pub fn credentials(&self) -> Result<SignPublicKey> {
        self.reflog_secret(&self.locate()?).map(|secret| secret.public())
    }

    /// Forgets what was imported, so that the next import looks at all packs again.
    pub(crate) fn forget(&self) -> Result<()> {
        self.open_state(&self.locate()?)?.forget_packs()
    }

    /// Makes a group key that is in the store the one with which the next export seals.
    ///
    /// # Errors
    /// There is no git repository, or the daemon fails.
    pub fn plan_group(&self, group: Hash) -> Result<()> {
        if self.git.is_none() {
            return Err(Error::NoGitDir { path: ".".into() });
        }
        self.open_state(&self.locate()?)?.set_pending_group(Some(group))
    }

    pub(crate) fn owner_secret(&self) -> Result<Option<SignSecretKey>> {
        let found = self.ctx.keys.find_sign(&self.key);
        found.map_err(|source| Error::Keys { doing: format!("look for the key of {}", self.key), source })
    }

    pub(crate) fn reflog_secret(&self, located: &Located) -> Result<SignSecretKey> {
        let secret = self.owner_secret()?.ok_or(Error::NoSecretKey { repo: self.key })?;
        let (derived, named) = (secret.derive(located.value.seed), located.value.reflog);
        match derived.public() == named {
            true => Ok(derived),
            false => Err(Error::ReflogMismatch { repo: self.key, derived: derived.public(), named }),
        }
    }

    /// The reflog's value. None for a repository of ours that nothing was exported to yet; for others we wait.
    pub(crate) fn reflog_value(&self, located: &Located) -> Result<Option<Hash>> {
        let (ctx, reflog) = (self.ctx, &located.value.reflog);
        let present = ctx.link("read the reflog", ctx.link.reflog(reflog))?;
        ctx.link("ask for the reflog", ctx.link.fetch_ref(RefKind::Reflog, reflog))?;
        if present.is_some() {
            return Ok(present);
        }
        self.subscribe(located)?;
        if self.reflog_secret(located).is_ok() {
            return Ok(None);
        }
        let limit = ctx.settings.timeout;
        let found = wait::for_reference(ctx, RefKind::Reflog, reflog, limit)?;
        found.map(Some).ok_or_else(|| Error::Timeout { what: format!("reflog {reflog}"), limit })
    }

    pub(crate) fn open_state(&self, located: &Located) -> Result<State> {
        if let Some(git) = &self.git {
            Files::of(git).make()?;
        }
        State::open(self.ctx, &self.key, self.state_dir(located))
    }

    fn state_dir(&self, located: &Located) -> Option<PathBuf> {
        self.git.as_ref().map(|git| Files::of(git).state(&located.value.reflog))
    }

    pub(crate) fn block(&self, hash: &Hash) -> Result<Option<Bytes>> {
        Ok(self.ctx.link("read a block", self.ctx.link.get(&[*hash]))?.pop().flatten())
    }

    /// The secret of a group key: with a key of ours, or through another group key of the same secret that the key
    /// index remembers. None when we have no access.
    pub(crate) fn secret_of(&self, group: Hash, patience: Duration) -> Result<Option<GroupSecret>> {
        if let Some(secret) = self.secrets.borrow().get(&group) {
            return Ok(Some(secret.clone()));
        }
        let key = groupkey::load(self.ctx, group, patience)?;
        let mut found = groupkey::open(self.ctx, group, &key)?;
        if let (None, Some(id)) = (&found, key.id()) {
            let tracked = self.ctx.keys.tracked_groups(&id);
            let tracked =
                tracked.map_err(|source| Error::Keys { doing: format!("look for secret {id}"), source })?;
            for root in tracked {
                if let Some(other) = groupkey::find(self.ctx, root)?.filter(|other| other.id() == Some(id)) {
                    found = groupkey::open(self.ctx, root, &other)?;
                }
                if found.is_some() {
                    break;
                }
            }
        }
        if let Some(secret) = &found {
            self.secrets.borrow_mut().insert(group, secret.clone());
        }
        Ok(found)
    }

    /// The secrets that open these packs.
    pub(crate) fn unlock(&self, id: Hash, packs: &[Hash], patience: Duration) -> Result<Secrets> {
        let mut secrets = BTreeMap::new();
        let what = format!("transaction {id}");
        for tree in packs {
            let root = wait::until_present(self.ctx, &what, patience, || Ok(self.block(tree)?.ok_or(*tree)))?;
            let Some(group) = crate::content::group_of(&root).filter(|group| !secrets.contains_key(group))
            else {
                continue;
            };
            let refused = SecondError::CannotApply { transaction: id, group, tree: *tree };
            let secret = self.secret_of(group, patience)?.ok_or_else(|| Box::new(refused))?;
            secrets.insert(group, secret);
        }
        Ok(secrets)
    }
}

/// The value of an lwwref and its block; waits for both.
///
/// # Errors
/// They do not arrive in time.
pub(crate) fn find_value(
    ctx: &Context<'_>,
    key: &SignPublicKey,
    patience: Duration,
) -> Result<(LwwRef, Bytes)> {
    let read = || ctx.link("read the lwwref", ctx.link.lwwref(key));
    let present = read()?;
    ctx.link("ask for the lwwref", ctx.link.fetch_ref(RefKind::Lww, key))?;
    let head = match present {
        Some(head) => head,
        None => {
            let polled = ctx.link.poll(RefKind::Lww, key, LWWREF_POLL_MINUTES);
            ctx.link(&format!("subscribe to {key}"), polled)?;
            wait::for_reference(ctx, RefKind::Lww, key, patience)?;
            read()?.ok_or(Error::NoRepository { repo: *key, limit: patience })?
        }
    };
    let what = format!("the value of repository {key}");
    let block = wait::until_present(ctx, &what, patience, || {
        let block = ctx.link("read a block", ctx.link.get(&[head.value]))?.pop().flatten();
        Ok(block.ok_or(head.value))
    })?;
    Ok((head, block))
}
