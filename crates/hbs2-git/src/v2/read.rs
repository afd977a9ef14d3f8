//! Following the reflog, choosing the transaction that counts, importing its packs.

use std::time::Duration;

use hbs2_core::tree::walk::{self, WalkError};
use hbs2_core::{Decode, Hash, ReflogUpdate, SignPublicKey};

use super::SecondError;
use super::container::{self, ContainerError};
use super::head::{HEAD_BYTES_MAX, RepoHead};
use super::repo::{Located, Repository, Snapshot};
use super::snapshot::SnapshotRef;
use super::state::State;
use super::work;
use crate::content::{Secrets, open_segment};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::gitdir::GitDir;
use crate::link::GET_HASHES_MAX;
use crate::odb::Odb;
use crate::repo::Fallback;
use crate::wait;

impl Repository<'_> {
    /// The transaction that counts at the value `root` of the reflog. Imports its packs.
    pub(crate) fn follow(
        &self,
        located: &Located,
        root: Option<Hash>,
        fallback: Fallback,
        state: &mut State,
    ) -> Result<Option<Snapshot>> {
        let Some(root) = root else { return Ok(None) };
        if let Some((at, seen)) = state.seen.filter(|(at, _)| *at == root) {
            let names = seen.and_then(|id| Some((id, (*state.known.get(&id)?)?)));
            match (seen, names) {
                (None, _) => return Ok(None),
                (Some(_), Some((id, names))) => {
                    let snapshot = self.load(id, names, self.ctx.settings.timeout)?;
                    if self.git.is_none() || snapshot.packs.iter().all(|tree| state.packs.contains(tree)) {
                        return Ok(Some(snapshot));
                    }
                }
                (Some(_), None) => self.ctx.voice.status(&format!("reading the log {at} again")),
            }
        }
        let (ranked, all_known) = self.learn(located, root, state)?;
        let mut first_error = None;
        for (id, names) in ranked {
            let patience = if first_error.is_none() { self.ctx.settings.timeout } else { Duration::ZERO };
            match self.apply(id, names, patience, state) {
                Ok(snapshot) => {
                    match &first_error {
                        Some(error) => {
                            let text = format!("warning: {error}; showing transaction {id} instead");
                            self.ctx.voice.say(&text);
                        }
                        // Only what cannot get better before the reflog changes is remembered for its value.
                        None if all_known => {
                            state.seen = Some((root, Some(id)));
                            state.save_seen()?;
                        }
                        None => {}
                    }
                    return Ok(Some(snapshot));
                }
                Err(error) if fallback == Fallback::Older && is_absence(&error) => {
                    first_error.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        first_error.map_or(Ok(None), Err)
    }

    /// Reads the transactions of a reflog that are not known yet. Gives all, the greatest rank first, and whether
    /// none is missing.
    pub(crate) fn learn(
        &self,
        located: &Located,
        root: Hash,
        state: &mut State,
    ) -> Result<(Vec<(Hash, SnapshotRef)>, bool)> {
        let ctx = self.ctx;
        let what = format!("reflog {}", located.value.reflog);
        let listed = self.leaves(&what, root, ctx.settings.timeout)?;
        let unknown: Vec<Hash> = listed.iter().filter(|id| !state.known.contains_key(id)).copied().collect();
        let mut all_known = true;
        for group in unknown.chunks(GET_HASHES_MAX) {
            let blocks = ctx.link("read transactions", ctx.link.get(group))?;
            for (id, block) in group.iter().zip(blocks) {
                let found = match block {
                    Some(block) => Ok(block),
                    None => wait::until_present(ctx, &what, ctx.settings.timeout, || {
                        Ok(self.block(id)?.ok_or(*id))
                    }),
                };
                match found {
                    Ok(block) => {
                        state.known.insert(*id, read_transaction(&block, &located.value.reflog));
                    }
                    Err(Error::MissingBlock { .. }) => all_known = false,
                    Err(error) => return Err(error),
                }
            }
        }
        if !unknown.is_empty() {
            state.save_known()?;
        }
        let known = |id: &Hash| Some((*id, (*state.known.get(id)?)?));
        let mut ranked: Vec<(Hash, SnapshotRef)> = listed.iter().filter_map(known).collect();
        ranked.sort_unstable_by_key(|(id, names)| std::cmp::Reverse((names.rank, *id)));
        Ok((ranked, all_known))
    }

    fn leaves(&self, what: &str, root: Hash, patience: Duration) -> Result<Vec<Hash>> {
        wait::until_present(self.ctx, what, patience, || {
            let leaves = self.ctx.link(&format!("read {what}"), self.ctx.link.leaves(&root))?;
            Ok(leaves.missing.map_or(Ok(leaves.hashes), Err))
        })
    }

    /// The head of a transaction; waits for its blocks.
    pub(crate) fn head_of(&self, id: Hash, tree: Hash, patience: Duration) -> Result<RepoHead> {
        read_head(self.ctx, &format!("transaction {id}"), tree, patience)
    }

    fn load(&self, id: Hash, names: SnapshotRef, patience: Duration) -> Result<Snapshot> {
        let head = self.head_of(id, names.head, patience)?;
        let packs = self.leaves(&format!("transaction {id}"), names.bundles, patience)?;
        Ok(Snapshot { id, names, head, packs })
    }

    /// Waits for everything a transaction names and imports it.
    fn apply(&self, id: Hash, names: SnapshotRef, patience: Duration, state: &mut State) -> Result<Snapshot> {
        let snapshot = self.load(id, names, patience).map_err(|error| self.absence(error, id, &names))?;
        let Some(git) = &self.git else { return Ok(snapshot) };
        let new: Vec<Hash> =
            snapshot.packs.iter().filter(|tree| !state.packs.contains(tree)).copied().collect();
        // Before the rest arrives: who has no access need not wait for what he cannot read.
        let secrets = self.unlock(id, &new, patience).map_err(|error| self.absence(error, id, &names))?;
        wait::for_trees(self.ctx, &format!("transaction {id}"), patience, &new)
            .map_err(|error| self.absence(error, id, &names))?;
        if state.packs.iter().any(|tree| !snapshot.packs.contains(tree)) {
            // The owner packed anew, so the ids of the old packs are not those of the repository any more.
            state.forget_packs()?;
        }
        for tree in &snapshot.packs {
            if !state.packs.contains(tree) {
                self.ctx.voice.status(&format!("importing pack {tree} of transaction {id}"));
                self.bring_in(git, id, *tree, &secrets, state)?;
            }
        }
        self.ctx.voice.status("");
        Ok(snapshot)
    }

    /// Puts the objects of a pack into git, if they are not there already.
    fn bring_in(
        &self,
        git: &GitDir,
        id: Hash,
        tree: Hash,
        secrets: &Secrets,
        state: &mut State,
    ) -> Result<()> {
        let broken =
            |source| -> Error { Box::new(SecondError::Pack { transaction: id, tree, source }).into() };
        let mut content = match open_segment(self.ctx, id, tree, secrets) {
            Err(Error::NoAccess { group, .. }) => {
                // A pack of earlier transactions that was looked at before the state was forgotten.
                let more = self.unlock(id, &[tree], self.ctx.settings.timeout)?;
                let refused = SecondError::CannotApply { transaction: id, group, tree };
                open_segment(self.ctx, id, tree, &more).map_err(|_| Box::new(refused))?
            }
            other => other?,
        };
        let ids = container::read_index(&mut content).map_err(broken)?;
        let odb = Odb::open(git)?;
        if !ids.iter().all(|id| odb.contains(id)) {
            work::take_pack(git, ids.len(), &mut content, broken)?;
            let odb = Odb::open(git)?;
            if let Some(id) = ids.iter().find(|id| !odb.contains(id)) {
                return Err(broken(ContainerError::Lacks { id: *id }));
            }
        }
        state.add_pack(tree, ids)
    }

    /// Says of an absent block which transaction it belongs to, what else is missing and who was asked.
    fn absence(&self, error: Error, id: Hash, names: &SnapshotRef) -> Error {
        let Error::MissingBlock { block, limit, .. } = error else { return error };
        let status = self.ctx.link.wait_trees(&[names.head, names.bundles], Duration::ZERO, None);
        let Ok(status) = status else { return error };
        let sample = if status.sample.is_empty() { vec![block] } else { status.sample };
        let (missing, peers) = (status.missing.max(1), status.peers);
        let connected = self.ctx.link.peers().unwrap_or_default();
        Box::new(SecondError::Incomplete { transaction: id, missing, sample, peers, connected, limit }).into()
    }

    /// Checks that everything of the transaction that counts is here and whole; tells `each` what was checked.
    ///
    /// # Errors
    /// A block does not arrive, a pack is broken or sealed for others.
    pub fn check(&self, mut each: impl FnMut(&str, &Hash)) -> Result<()> {
        let located = self.locate()?;
        let Some(root) = self.reflog_value(&located)? else { return Ok(()) };
        let mut state = self.open_state(&located)?;
        let Some((id, names)) = self.learn(&located, root, &mut state)?.0.into_iter().next() else {
            return Ok(());
        };
        let patience = self.ctx.settings.timeout;
        let absent = |error| self.absence(error, id, &names);
        let snapshot = self.load(id, names, patience).map_err(absent)?;
        each("transaction", &id);
        each("head", &names.head);
        let secrets = self.unlock(id, &snapshot.packs, patience).map_err(absent)?;
        wait::for_trees(self.ctx, &format!("transaction {id}"), patience, &snapshot.packs).map_err(absent)?;
        for tree in &snapshot.packs {
            let broken = |source| -> Error {
                Box::new(SecondError::Pack { transaction: id, tree: *tree, source }).into()
            };
            let mut content = open_segment(self.ctx, id, *tree, &secrets)?;
            container::read_index(&mut content).map_err(broken)?;
            // Sealed blocks prove themselves when they open; those in the clear were checked by the store.
            std::io::copy(&mut content, &mut std::io::sink()).map_err(|source| broken(source.into()))?;
            each("pack", tree);
        }
        Ok(())
    }
}

/// Reads the head in this tree, which belongs to `what`; waits for its blocks.
///
/// # Errors
/// They do not arrive, or hold no head.
pub fn read_head(ctx: &Context<'_>, what: &str, tree: Hash, patience: Duration) -> Result<RepoHead> {
    let broken = |message: String| -> Error { Box::new(SecondError::Head { tree, message }).into() };
    let get = |hash: &Hash| Ok(ctx.link("read a block", ctx.link.get(&[*hash]))?.pop().flatten());
    let content =
        wait::until_present(ctx, what, patience, || match walk::content(tree, HEAD_BYTES_MAX, get) {
            Ok(content) => Ok(Ok(content)),
            Err(WalkError::Missing { hash }) => Ok(Err(hash)),
            Err(WalkError::Source(error)) => Err(error),
            Err(error) => Err(broken(error.to_string())),
        })?;
    RepoHead::from_bytes(&content).map_err(|error| broken(error.to_string()))
}

fn is_absence(error: &Error) -> bool {
    match error {
        Error::MissingBlock { .. } => true,
        Error::Second(error) => matches!(**error, SecondError::Incomplete { .. }),
        _ => false,
    }
}

/// What a transaction's block says; none when it is not of this reflog, badly signed, or of another application.
fn read_transaction(block: &[u8], reflog: &SignPublicKey) -> Option<SnapshotRef> {
    let update = ReflogUpdate::from_bytes(block).ok()?;
    if update.key() != reflog || update.verify().is_err() {
        return None;
    }
    SnapshotRef::read(update.data())
}
