//! Export: the present references and what they need become a transaction.
//!
//! A transaction is a whole snapshot, so what was exported before and is not pushed now stays in it. Besides the
//! pushed references it takes the local ones that the config names, as far as that loses nothing: a branch that is
//! behind the published one keeps the published value.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use hbs2_core::groupkey::{GroupKeyId, GroupSecret};
use hbs2_core::{
    AnnotatedTree, Decode, Encode, EncryptPublicKey, Hash, LwwRef, RefKind, ReflogUpdate, SignSecretKey,
    Signed,
};

use super::SecondError;
use super::files::Files;
use super::head::{HeadRef, RepoHead, title};
use super::lww::LwwBlock;
use super::packing::{self, Seal};
use super::repo::{Located, Repository, Snapshot};
use super::snapshot::SnapshotRef;
use super::state::State;
use super::work;
use crate::content::open_segment;
use crate::error::{Error, Result};
use crate::export::{ExportRequest, Exported, ROUNDS_MAX, decide, is_fast_forward};
use crate::gitdir::GitDir;
use crate::groupkey;
use crate::init::random;
use crate::link::{Guard, Posted};
use crate::object::{ObjectId, RefName};
use crate::odb::Odb;
use crate::refs::RefTable;
use crate::repo::Fallback;

/// Who shall be able to read what is exported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Privacy {
    /// Whoever could before.
    #[default]
    Keep,
    /// Everybody.
    Public,
    /// The members of the group key with this root, which is in the store.
    Group(Hash),
}

/// What to export.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// The references that are pushed.
    pub request: ExportRequest,
    /// Make the repository if it is not there.
    pub create: bool,
    /// Who shall read it.
    pub privacy: Privacy,
    /// The manifest; none for that of the file, or else the last one.
    pub manifest: Option<String>,
}

impl Repository<'_> {
    /// Publishes the references of the wish, and those that the config names, in one transaction. When nothing is
    /// new, nothing is posted.
    ///
    /// # Errors
    /// The repository is not ours or not there, an object cannot be read, or the daemon fails. A reference that may
    /// not move is no error: see [`Exported::results`].
    pub fn export(&self, wish: &Wish) -> Result<Exported> {
        let git = self.git.clone().ok_or_else(|| Error::NoGitDir { path: ".".into() })?;
        let files = Files::of(&git);
        files.prepare()?;
        let secret = self.owner_secret()?.ok_or(Error::NoSecretKey { repo: self.key })?;
        let present = self.ctx.link("read the lwwref", self.ctx.link.lwwref(&self.key))?;
        let located = match present {
            None if wish.create => self.create(&secret)?,
            _ => self.locate().map_err(|error| self.not_found(error))?,
        };
        let secret = self.reflog_secret(&located)?;
        let state = self.open_state(&located)?;
        let exported = Exporter { repo: self, git, files, located, secret, state }.run(wish);
        self.ctx.voice.status("");
        exported
    }

    /// Publishes the value of a new repository.
    fn create(&self, secret: &SignSecretKey) -> Result<Located> {
        let ctx = self.ctx;
        let seed = u64::from_le_bytes(random()?);
        let value = LwwBlock { seed, reflog: secret.derive(seed).public() };
        let block = Bytes::from(value.to_bytes());
        let head = LwwRef { seq: 1, value: Hash::of(&block), proof: None };
        let located = Located { head, value };
        self.subscribe(&located)?;
        ctx.link("store the value of the repository", ctx.link.put(&[block]))?;
        ctx.link("store the value of the repository", ctx.link.sync())?;
        ctx.link("publish the lwwref", ctx.link.set_lwwref(&Signed::sign(secret, &head)))?;
        self.set_located(located);
        Ok(located)
    }

    fn not_found(&self, error: Error) -> Error {
        match error {
            Error::NoRepository { repo, limit } => Box::new(SecondError::NoReference { repo, limit }).into(),
            other => other,
        }
    }
}

/// One export, which holds the lock of the local state.
struct Exporter<'e> {
    repo: &'e Repository<'e>,
    git: GitDir,
    files: Files,
    located: Located,
    secret: SignSecretKey,
    state: State,
}

impl Exporter<'_> {
    fn run(&mut self, wish: &Wish) -> Result<Exported> {
        let (ctx, reflog) = (self.repo.ctx, self.located.value.reflog);
        ctx.link("ask for the reflog", ctx.link.fetch_ref(RefKind::Reflog, &reflog))?;
        for _ in 0..ROUNDS_MAX {
            let root = ctx.link("read the reflog", ctx.link.reflog(&reflog))?;
            let last = self.repo.follow(&self.located, root, Fallback::Never, &mut self.state)?;
            if let Some(exported) = self.attempt(wish, root, last.as_ref())? {
                return Ok(exported);
            }
        }
        let what = format!("a moment in which nobody else pushes to {}", self.repo.key);
        Err(Error::Timeout { what, limit: ctx.settings.timeout })
    }

    /// Makes the transaction that follows `last`, and posts it on the condition that the reflog is still `root`. None
    /// when it was not.
    fn attempt(
        &mut self,
        wish: &Wish,
        root: Option<Hash>,
        last: Option<&Snapshot>,
    ) -> Result<Option<Exported>> {
        let ctx = self.repo.ctx;
        let present = last.map(Snapshot::table).unwrap_or_default();
        let seen = wish.request.seen.as_ref().unwrap_or(&present);
        let results = decide(&self.git, &wish.request, seen, &present)?;
        let mut exported = Exported { results, ..Exported::default() };
        let refused = |(_, refusal): &(RefName, Option<_>)| refusal.is_some();
        if !exported.results.is_empty() && exported.results.iter().all(refused) {
            return Ok(Some(exported));
        }
        let group = self.group(wish, last)?;
        let refs = self.references(&wish.request, &exported, &present)?;
        let ids = self.new_objects(&refs, &present)?;
        let old = last.map(|last| &last.head);
        let manifest = match &wish.manifest {
            Some(manifest) => Some(manifest.clone()),
            None => self.files.manifest()?.or_else(|| old?.manifest.clone()),
        };
        let (name, brief) = title(manifest.as_deref(), &self.files.project());
        let listed = refs.iter().map(|(name, id)| HeadRef { name: name.as_bytes().to_vec(), id: *id });
        let ranks = self.state.known.values().flatten().map(|names| names.rank);
        let rank = i128::from((ctx.now)()).max(ranks.max().map_or(0, |rank| rank.saturating_add(1)));
        let time = u64::try_from(rank).unwrap_or_else(|_| (ctx.now)());
        let head = RepoHead { time, group, name, brief, manifest, refs: listed.collect() };
        let is_same = |old: &RepoHead| {
            (&old.refs, &old.manifest, old.group) == (&head.refs, &head.manifest, head.group)
        };
        if ids.is_empty() && old.is_some_and(is_same) {
            return Ok(Some(exported));
        }
        let head_bytes = head.to_bytes();
        let seal = group.map(|group| self.seal(group)).transpose()?;
        let mut packs = last.map(|last| last.packs.clone()).unwrap_or_default();
        if let (Some(last), Some(seal)) = (last, &seal)
            && last.head.group != group
        {
            packs = self.seal_again(last, seal, &head_bytes)?;
        }
        exported.objects = ids.len() as u64;
        if !ids.is_empty() {
            ctx.voice.status(&format!("exporting {} objects", ids.len()));
            packs.push(packing::store_pack(ctx, &self.git, &ids, seal.as_ref(), &head_bytes)?);
        }
        let (head, bundles) = packing::store_head(ctx, head_bytes, &packs)?;
        let names = SnapshotRef { rank, head, bundles };
        let update = ReflogUpdate::sign(&self.secret, random()?, names.to_data());
        let posted = ctx.link.post(std::slice::from_ref(&update), Guard::Is(root));
        let Posted::Done(root) = ctx.link("post a transaction", posted)? else { return Ok(None) };
        self.remember(root, update.id(), names, &packs, ids)?;
        Ok(Some(exported))
    }

    /// The group key of the next transaction.
    fn group(&self, wish: &Wish, last: Option<&Snapshot>) -> Result<Option<Hash>> {
        let present = last.and_then(|last| last.head.group);
        match wish.privacy {
            Privacy::Group(group) => Ok(Some(group)),
            Privacy::Public if present.is_some() => {
                Err(Box::new(SecondError::Exposed { repo: self.repo.key }).into())
            }
            Privacy::Public => Ok(None),
            Privacy::Keep => Ok(self.state.pending_group()?.or(present)),
        }
    }

    fn seal(&self, group: Hash) -> Result<Seal> {
        let secret = self.repo.secret_of(group, self.repo.ctx.settings.timeout)?;
        Ok(Seal { group, secret: secret.ok_or(Error::NotMember { group })? })
    }

    /// All references of the next transaction.
    fn references(
        &self,
        request: &ExportRequest,
        exported: &Exported,
        present: &RefTable,
    ) -> Result<BTreeMap<RefName, ObjectId>> {
        let head = RefName::head();
        let mut refs: BTreeMap<RefName, ObjectId> =
            present.existing().map(|(name, id)| (name.clone(), id)).collect();
        let published = refs.remove(&head);
        let rules = self.files.rules()?;
        let current = work::current_branch(&self.git);
        let pushed = |name: &RefName| request.updates.iter().any(|update| update.name == *name);
        for (name, local) in work::local_refs(&self.git)? {
            let taken = rules.take(&name) || current.as_ref() == Some(&name);
            if !taken || pushed(&name) || refs.get(&name) == Some(&local.id) {
                continue;
            }
            let old = refs.get(&name).copied();
            if old.is_none() || is_fast_forward(&self.git, old, Some(local))? {
                refs.insert(name, local.id);
            } else {
                let text = format!("{name} is not exported: it would lose commits; push it with --force");
                self.repo.ctx.voice.say(&text);
            }
        }
        for (update, (_, refusal)) in request.updates.iter().zip(&exported.results) {
            match (refusal, update.to) {
                (Some(_), _) => {}
                (None, Some(to)) => drop(refs.insert(update.name.clone(), to.id)),
                (None, None) => drop(refs.remove(&update.name)),
            }
        }
        let of_branch = |branch: RefName| refs.get(&branch).copied();
        let detached = || Some(self.git.revisions(&["HEAD"]).ok()?.pop()??.id);
        let id = match current {
            Some(branch) => of_branch(branch).or(published),
            None => detached().or(published),
        };
        if let Some(id) = id {
            refs.insert(head, id);
        }
        Ok(refs)
    }

    /// The objects that the references need and no pack has, sorted.
    fn new_objects(&self, refs: &BTreeMap<RefName, ObjectId>, present: &RefTable) -> Result<Vec<ObjectId>> {
        let odb = Odb::open(&self.git)?;
        let known: Vec<ObjectId> =
            present.existing().map(|(_, id)| id).filter(|id| odb.contains(id)).collect();
        let wanted: Vec<ObjectId> = refs.values().filter(|id| !known.contains(id)).copied().collect();
        let mut ids = Vec::new();
        for id in work::reachable(&self.git, &wanted, &known)? {
            if !self.state.has(&id)? {
                ids.push(id);
            }
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// Gives the packs of a transaction to another group: the secret of each is wrapped for the new members, and what
    /// was in the clear is sealed. Who was in the old group alone cannot read the new packs, for a group key whose
    /// secret he knows is refused.
    fn seal_again(&self, last: &Snapshot, seal: &Seal, head: &[u8]) -> Result<Vec<Hash>> {
        let ctx = self.repo.ctx;
        let members: BTreeSet<EncryptPublicKey> =
            groupkey::load(ctx, seal.group, ctx.settings.timeout)?.members().into_iter().collect();
        if let Some(group) = last.head.group
            && let Some(secret) = self.repo.secret_of(group, ctx.settings.timeout)?
        {
            self.keeps_out(group, &secret, seal, &members)?;
        }
        let mut wrapped: BTreeMap<GroupKeyId, Hash> = BTreeMap::from([(seal.secret.id(), seal.group)]);
        let mut packs = Vec::with_capacity(last.packs.len());
        for tree in &last.packs {
            let absent = || Error::MissingBlock {
                block: *tree,
                what: format!("transaction {}", last.id),
                limit: ctx.settings.timeout,
            };
            let root = self.repo.block(tree)?.ok_or_else(absent)?;
            let sealed = AnnotatedTree::from_bytes(&root).ok();
            let Some((mut sealed, group)) =
                sealed.and_then(|sealed| Some((sealed.clone(), sealed.crypt.group_key().ok()?)))
            else {
                let secrets = crate::content::Secrets::new();
                let mut content = open_segment(ctx, last.id, *tree, &secrets)?;
                packs.push(packing::store_sealed(ctx, &mut content, seal, head)?);
                continue;
            };
            let secret = self.repo.secret_of(group, ctx.settings.timeout)?;
            let refused = SecondError::CannotApply { transaction: last.id, group, tree: *tree };
            let secret = secret.ok_or_else(|| Box::new(refused))?;
            self.keeps_out(group, &secret, seal, &members)?;
            let to = match wrapped.get(&secret.id()) {
                Some(known) => *known,
                None => {
                    let to = groupkey::store(ctx, &groupkey::wrap(ctx, seal.group, &secret, &members)?)?;
                    wrapped.insert(secret.id(), to);
                    to
                }
            };
            sealed.crypt.rekey(to).expect("it names a group key");
            let block = Bytes::from(sealed.to_bytes());
            packs.push(Hash::of(&block));
            ctx.link("store a pack", ctx.link.put(&[block]))?;
        }
        ctx.link("store a pack", ctx.link.sync())?;
        Ok(packs)
    }

    /// Checks that whoever can open the old group key is among the new members, if both have the same secret.
    fn keeps_out(
        &self,
        old: Hash,
        secret: &GroupSecret,
        seal: &Seal,
        members: &BTreeSet<EncryptPublicKey>,
    ) -> Result<()> {
        if secret.id() != seal.secret.id() || old == seal.group {
            return Ok(());
        }
        let ctx = self.repo.ctx;
        let have = groupkey::load(ctx, old, ctx.settings.timeout)?.members();
        match have.into_iter().find(|member| !members.contains(member)) {
            Some(member) => Err(Error::SameSecret { group: seal.group, same: old, member }),
            None => Ok(()),
        }
    }

    fn remember(
        &mut self,
        root: Hash,
        id: Hash,
        names: SnapshotRef,
        packs: &[Hash],
        ids: Vec<ObjectId>,
    ) -> Result<()> {
        self.state.known.insert(id, Some(names));
        self.state.save_known()?;
        self.state.set_pending_group(None)?;
        let mut ids = Some(ids);
        let fresh: Vec<Hash> =
            packs.iter().filter(|tree| !self.state.packs.contains(tree)).copied().collect();
        self.state.packs.retain(|tree| packs.contains(tree));
        for tree in fresh {
            self.state.add_pack(tree, ids.take().unwrap_or_default())?;
        }
        self.state.seen = Some((root, Some(id)));
        self.state.save_seen()
    }
}
