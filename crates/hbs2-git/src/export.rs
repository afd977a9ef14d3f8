//! Export: pushed references become transactions (spec: git3 12).
//!
//! New objects are written into segments. A push of usual size makes one segment, which also holds the
//! reference record; a large one makes several, and the record comes in the last. Only then, with the reflog as
//! it is in that moment, is decided which references may move; the segment is posted on the condition that the
//! reflog is still the same, and the checkpoint after it. So of two pushes at the same time one sees the other.

use std::collections::HashSet;
use std::time::Duration;

use hbs2_core::{Hash, ReflogUpdate, SignSecretKey};

use crate::error::{Error, Result};
use crate::gitdir::{GitDir, Revision};
use crate::graph::commit_links;
use crate::groupkey::Seal;
use crate::link::{Guard, Posted};
use crate::object::{ObjectId, ObjectKind, RefName};
use crate::odb::Odb;
use crate::refs::{self, RefLine, RefTable};
use crate::repo::{Fallback, Located, Repository, State, not_imported};
use crate::segment::{RecordKind, write_record};
use crate::transaction::{Payload, Transaction};
use crate::upload;

mod objects;

use objects::Written;

/// How often an export begins its last step again because the reflog moved. Each round costs milliseconds;
/// only a storm of pushes gets so far.
pub(crate) const ROUNDS_MAX: usize = 100;

/// One reference to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// The reference.
    pub name: RefName,
    /// Where it shall point; none deletes it.
    pub to: Option<Revision>,
    /// Move it even where this loses commits.
    pub force: bool,
    /// Move it only from here (`--force-with-lease`): some object, or none for a reference that must be new.
    pub lease: Option<Option<ObjectId>>,
}

/// What to export.
#[derive(Debug, Clone, Default)]
pub struct ExportRequest {
    /// The references.
    pub updates: Vec<RefUpdate>,
    /// The references as the user saw them; none means as they are now.
    pub seen: Option<RefTable>,
    /// Move all or none.
    pub atomic: bool,
}

/// Why a reference was not moved. The text is what git understands in a remote helper's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It moved meanwhile, and the new place is no descendant of where it is.
    #[error("fetch first")]
    FetchFirst,
    /// It is not where the lease says.
    #[error("stale info")]
    StaleInfo,
    /// Another reference of an atomic push was refused.
    #[error("atomic push failed")]
    Atomic,
}

/// What became of an export.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exported {
    /// The references in the order of the request, each moved or refused.
    pub results: Vec<(RefName, Option<Refusal>)>,
    /// The checkpoint, if anything was posted.
    pub checkpoint: Option<Transaction>,
    /// Objects that were written.
    pub objects: u64,
}

impl Repository<'_> {
    /// Publishes references with the objects they need: one checkpoint for all.
    ///
    /// # Errors
    /// The repository is not ours, an object cannot be read, or the daemon fails. A reference that may not move
    /// is no error: see [`Exported::results`].
    pub fn export(&self, request: &ExportRequest) -> Result<Exported> {
        let git = self.git.as_ref().ok_or_else(|| Error::NoGitDir { path: ".".into() })?;
        let located = self.locate()?;
        let secret = self.reflog_secret(&located)?;
        let seal = match located.group {
            Some(group) => Some(self.seal(&located, group)?),
            None => None,
        };
        let state = self.refreshed_state(Fallback::Never)?;
        let mut exporter = Exporter { repo: self, git, located, secret, seal, state };
        let exported = exporter.run(request);
        self.ctx.voice.status("");
        exported
    }

    fn seal(&self, located: &Located, group: Hash) -> Result<Seal> {
        let secret = self.secret_of(located, group, self.ctx.settings.timeout)?;
        secret.map(|secret| Seal { group, secret }).ok_or(Error::Sealed { repo: self.key, group })
    }
}

/// One export, which holds the lock of the local state.
struct Exporter<'e> {
    repo: &'e Repository<'e>,
    git: &'e GitDir,
    located: Located,
    secret: SignSecretKey,
    /// Seals segments, in an encrypted repository.
    seal: Option<Seal>,
    state: State,
}

impl Exporter<'_> {
    fn run(&mut self, request: &ExportRequest) -> Result<Exported> {
        let root = self.repo.reflog_value(&self.located)?;
        let now = self.effective_refs(root)?;
        let seen = request.seen.as_ref().unwrap_or(&now);
        let written = self.write_objects(request)?;
        for _ in 0..ROUNDS_MAX {
            if let Some(exported) = self.commit(request, seen, &written)? {
                return Ok(exported);
            }
        }
        let what = format!("a moment in which nobody else pushes to {}", self.repo.key);
        Err(Error::Timeout { what, limit: self.repo.ctx.settings.timeout })
    }

    /// The references that all transactions of the reflog make, also those no checkpoint lists yet: the next
    /// checkpoint will list them.
    fn effective_refs(&mut self, root: Option<Hash>) -> Result<RefTable> {
        let ctx = self.repo.ctx;
        let Some(root) = root else { return Ok(RefTable::default()) };
        let (listed, _) = self.repo.learn(&self.located, root, &mut self.state.ledger)?;
        for source in not_imported(&listed, &self.state.ledger) {
            let status = ctx.link.wait_trees(&[source.tree], Duration::ZERO, None);
            if !ctx.link("look for a segment", status)?.complete {
                continue;
            }
            let what = format!("segment {}", source.tree);
            match self.repo.bring_in(&self.located, &what, &[source], ctx.settings.timeout, &mut self.state) {
                // No checkpoint speaks for it, so it must not keep us from pushing.
                Err(error @ (Error::Segment { .. } | Error::NoAccess { .. })) => {
                    ctx.voice.say(&format!("warning: {error}"));
                }
                other => other?,
            }
        }
        Ok(self.state.ledger.refs(&listed))
    }

    /// The last step: decides with the reflog as it is now, and posts on the condition that it stays so. None
    /// when it did not.
    fn commit(
        &mut self,
        request: &ExportRequest,
        seen: &RefTable,
        written: &Written,
    ) -> Result<Option<Exported>> {
        let ctx = self.repo.ctx;
        let root = ctx.link("read the reflog", ctx.link.reflog(&self.located.reflog))?;
        let now = self.effective_refs(root)?;
        let results = decide(self.git, request, seen, &now)?;
        let lines = lines(request, &results, &now, (ctx.now)());
        let mut exported = Exported { results, checkpoint: None, objects: written.objects };
        if lines.is_empty() {
            // What stood in the way must become visible, or nobody could ever build on it.
            if let Some(root) = root.filter(|_| now != self.state.view.refs) {
                exported.checkpoint = Some(self.post_checkpoint(root)?);
            }
            return Ok(Some(exported));
        }
        let value = refs::write(&lines);
        let mut records = written.records.clone();
        write_record(&mut records, ObjectId::of(ObjectKind::Blob, &value), RecordKind::Refs, &value);
        let payload = Payload::Segment { tree: upload::store_small(ctx, self.seal.as_ref(), &records)? };
        ctx.link("store a segment", ctx.link.sync())?;
        let update = sign(&self.secret, payload)?;
        let posted = ctx.link.post(std::slice::from_ref(&update), Guard::Is(root));
        let Posted::Done(root) = ctx.link("post a segment", posted)? else { return Ok(None) };
        self.record_own(update.id(), payload, written.ids.clone(), lines)?;
        exported.checkpoint = Some(self.post_checkpoint(root)?);
        Ok(Some(exported))
    }

    /// Posts a checkpoint of the reflog's value `root`, of a greater rank than any other.
    fn post_checkpoint(&mut self, root: Hash) -> Result<Transaction> {
        let (ctx, state) = (self.repo.ctx, &mut self.state);
        let ranks = state.ledger.entries().filter_map(|(_, entry)| match entry.payload {
            Some(Payload::Checkpoint { rank, .. }) => Some(rank),
            _ => None,
        });
        let rank = i128::from((ctx.now)()).max(ranks.max().map_or(0, |rank| rank.saturating_add(1)));
        let payload = Payload::Checkpoint { tree: root, rank };
        let update = sign(&self.secret, payload)?;
        let post = |guard| ctx.link("post a checkpoint", ctx.link.post(std::slice::from_ref(&update), guard));
        // If something arrived in between, the checkpoint does not speak for it, and still holds.
        let after = match post(Guard::Is(Some(root)))? {
            Posted::Done(after) => Some(after),
            Posted::Moved(_) => {
                post(Guard::Any)?;
                None
            }
        };
        let checkpoint = Transaction { id: update.id(), payload };
        state.ledger.add(checkpoint.id, Some(payload));
        state.ledger.save()?;
        let what = format!("reflog {}", self.located.reflog);
        let listed = self.repo.leaves(&what, root, ctx.settings.timeout)?;
        state.view.root = after;
        state.view.checkpoint = Some(checkpoint);
        state.view.refs = state.ledger.refs(&listed);
        if let Some(dir) = &state.dir {
            state.view.save(dir)?;
        }
        Ok(checkpoint)
    }

    /// Takes a segment of ours into the local state: its objects are here, nothing need be imported.
    fn record_own(
        &mut self,
        id: Hash,
        payload: Payload,
        ids: Vec<ObjectId>,
        lines: Vec<RefLine>,
    ) -> Result<()> {
        if let Some(set) = &mut self.state.ids {
            set.add(ids)?;
        }
        self.state.ledger.add(id, Some(payload));
        self.state.ledger.set_imported(id, lines);
        self.state.ledger.save()
    }
}

fn sign(secret: &SignSecretKey, payload: Payload) -> Result<ReflogUpdate> {
    let mut nonce = [0; 24];
    getrandom::fill(&mut nonce).map_err(|error| Error::Random { message: error.to_string() })?;
    Ok(ReflogUpdate::sign(secret, nonce, payload.to_data()))
}

/// The lines to write: each later than anything known of its reference.
fn lines(
    request: &ExportRequest,
    results: &[(RefName, Option<Refusal>)],
    present: &RefTable,
    now: u64,
) -> Vec<RefLine> {
    let line = |update: &RefUpdate| RefLine {
        time: now.max(present.time(&update.name).saturating_add(1)),
        id: update.to.map_or(ObjectId::NULL, |revision| revision.id),
        name: update.name.clone(),
    };
    let moved = request.updates.iter().zip(results).filter(|(_, (_, refusal))| refusal.is_none());
    moved.map(|(update, _)| line(update)).collect()
}

/// Decides for each reference whether it may move from where it is now.
pub(crate) fn decide(
    git: &GitDir,
    request: &ExportRequest,
    seen: &RefTable,
    effective: &RefTable,
) -> Result<Vec<(RefName, Option<Refusal>)>> {
    let decide_one = |update: &RefUpdate| {
        let (then, now) = (seen.id(&update.name), effective.id(&update.name));
        let refusal = match update.lease {
            Some(lease) if lease != now => Some(Refusal::StaleInfo),
            Some(_) => None,
            None if then == now || update.force || now == update.to.map(|to| to.id) => None,
            None if is_fast_forward(git, now, update.to)? => None,
            None => Some(Refusal::FetchFirst),
        };
        Ok((update.name.clone(), refusal))
    };
    let mut results: Vec<_> = request.updates.iter().map(decide_one).collect::<Result<_>>()?;
    if request.atomic && results.iter().any(|(_, refusal)| refusal.is_some()) {
        for (_, refusal) in &mut results {
            refusal.get_or_insert(Refusal::Atomic);
        }
    }
    Ok(results)
}

/// Whether `to` is a commit that has `from` among its ancestors.
pub(crate) fn is_fast_forward(git: &GitDir, from: Option<ObjectId>, to: Option<Revision>) -> Result<bool> {
    let (Some(from), Some(Revision { id, kind: ObjectKind::Commit })) = (from, to) else { return Ok(false) };
    // Opened anew: the other side's objects have just been imported.
    let odb = Odb::open(git)?;
    let (mut waiting, mut seen) = (vec![id], HashSet::new());
    while let Some(next) = waiting.pop() {
        if next == from {
            return Ok(true);
        }
        if seen.insert(next) {
            let links = odb.with(&next, ObjectKind::Commit, commit_links)?;
            waiting.extend(links.into_iter().flat_map(|links| links.parents));
        }
    }
    Ok(false)
}
