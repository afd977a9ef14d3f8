//! Export: pushed references become transactions (spec: git3 12).
//!
//! New objects are written into segments. A push of usual size makes one segment, which also holds the
//! reference record; a large one makes several, and the record comes in the last. Only then, with the reflog as
//! it is in that moment, is decided which references may move; the segment is posted on the condition that the
//! reflog is still the same, and the checkpoint after it. So of two pushes at the same time one sees the other.

use std::collections::HashSet;
use std::io::Write;
use std::thread;

use hbs2_core::{Hash, ReflogUpdate, SignSecretKey};

use crate::choose::{Chooser, Chosen};
use crate::error::{Error, Result};
use crate::gitdir::{GitDir, Revision};
use crate::graph::commit_links;
use crate::link::{Guard, Posted};
use crate::object::{ObjectId, ObjectKind, RefName};
use crate::odb::Odb;
use crate::refs::{self, RefLine, RefTable};
use crate::repo::{Fallback, Located, Repository, State, not_imported};
use crate::segment::{RecordKind, VALUE_BYTES_MAX, record_head, write_record};
use crate::transaction::{Payload, Transaction};
use crate::upload::{self, SegmentWriter};

/// Records up to this many bytes stay in memory and share a segment with the reference record. Beyond, they
/// stream into segments of their own.
const SMALL_BYTES: usize = 8 * 1024 * 1024;

/// How often an export begins its last step again because the reflog moved. Each round costs milliseconds;
/// only a storm of pushes gets so far.
const ROUNDS_MAX: usize = 100;

/// Objects between two words to the user.
const STATUS_OBJECTS: u64 = 1000;

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

/// A transaction of ours, what it says, and the objects in it.
type OwnSegment = (Hash, Payload, Vec<ObjectId>);

/// Objects written so far, and the transactions that hold them.
struct Written {
    /// Records still in memory.
    records: Vec<u8>,
    /// Ids of their objects.
    ids: Vec<ObjectId>,
    objects: u64,
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
        if let Some(group) = located.manifest.group().ok().flatten() {
            return Err(Error::Sealed { repo: self.key, group });
        }
        let mut state = self.refreshed_state(Fallback::Never)?;
        let root = self.reflog_value(&located)?;
        let effective = self.effective_refs(&located, root, &mut state)?;
        let seen = request.seen.as_ref().unwrap_or(&effective);
        let odb = Odb::open(git)?;
        let written = self.write_objects(&odb, request, &secret, &mut state)?;
        self.commit(git, &located, &secret, request, seen, written, &mut state)
    }

    /// The references that all transactions of the reflog make, also those no checkpoint lists yet: the next
    /// checkpoint will list them.
    fn effective_refs(&self, located: &Located, root: Option<Hash>, state: &mut State) -> Result<RefTable> {
        let Some(root) = root else { return Ok(RefTable::default()) };
        let (listed, _) = self.learn(located, root, &mut state.ledger)?;
        let pending = not_imported(&listed, &state.ledger);
        for source in pending {
            let status = self.ctx.link.wait_trees(&[source.tree], std::time::Duration::ZERO, None);
            if self.ctx.link("look for a segment", status)?.complete {
                let what = format!("segment {}", source.tree);
                match self.bring_in(&what, &[source], self.ctx.settings.timeout, state) {
                    // No checkpoint speaks for it, so it must not keep us from pushing.
                    Err(error @ (Error::Segment { .. } | Error::NoAccess { .. })) => {
                        self.ctx.voice.say(&format!("warning: {error}"));
                    }
                    other => other?,
                }
            }
        }
        Ok(state.ledger.refs(&listed))
    }

    /// Writes the new objects; full segments are posted on the way.
    fn write_objects(
        &self,
        odb: &Odb,
        request: &ExportRequest,
        secret: &SignSecretKey,
        state: &mut State,
    ) -> Result<Written> {
        let tips: Vec<Revision> = request.updates.iter().filter_map(|update| update.to).collect();
        let mut written = Written { records: Vec::new(), ids: Vec::new(), objects: 0 };
        let known = state.ids.take().ok_or_else(|| Error::NoGitDir { path: ".".into() })?;
        let mut posted = Vec::new();
        let outcome = thread::scope(|scope| {
            let mut large: Option<SegmentWriter<'_>> = None;
            let mut chooser = Chooser::new(odb, &known, &tips)?;
            let mut content = Vec::new();
            while let Some(group) = chooser.next_group()? {
                for chosen in group {
                    read_chosen(odb, &chosen, &mut content)?;
                    let kind = RecordKind::Object(chosen.kind);
                    written.ids.push(chosen.id);
                    written.objects += 1;
                    if written.objects.is_multiple_of(STATUS_OBJECTS) {
                        self.ctx.voice.status(&format!("exporting: {} objects", written.objects));
                    }
                    if large.is_none() && written.records.len() + content.len() > SMALL_BYTES {
                        let mut begun = SegmentWriter::begin(self.ctx, scope).map_err(upload::compressor)?;
                        begun.write_all(&written.records).map_err(upload::compressor)?;
                        written.records.clear();
                        large = Some(begun);
                    }
                    let Some(writer) = &mut large else {
                        write_record(&mut written.records, chosen.id, kind, &content);
                        continue;
                    };
                    let head = record_head(chosen.id, kind, content.len());
                    let wrote = writer.write_all(&head).and_then(|()| writer.write_all(&content));
                    let full = wrote.is_ok() && writer.bytes() >= self.ctx.settings.segment_bytes;
                    if wrote.is_err() || full {
                        let writer = large.take().expect("it was just written to");
                        let tree = writer.finish(self.ctx)?;
                        wrote.map_err(upload::compressor)?;
                        posted.push(self.post_objects(tree, std::mem::take(&mut written.ids), secret)?);
                    }
                }
            }
            if let Some(writer) = large {
                let tree = writer.finish(self.ctx)?;
                posted.push(self.post_objects(tree, std::mem::take(&mut written.ids), secret)?);
            }
            Ok(())
        });
        state.ids = Some(known);
        // Also after a failure: what is posted need not be written again by the next push.
        for (update, payload, ids) in posted {
            record_own(update, payload, ids, Vec::new(), state)?;
        }
        outcome.map(|()| written)
    }

    /// Posts a segment without references. It harms nobody when the rest of the export fails.
    fn post_objects(&self, tree: Hash, ids: Vec<ObjectId>, secret: &SignSecretKey) -> Result<OwnSegment> {
        self.ctx.link("store a segment", self.ctx.link.sync())?;
        let payload = Payload::Segment { tree };
        let update = sign(secret, payload)?;
        self.ctx.link("post a segment", self.ctx.link.post(std::slice::from_ref(&update), Guard::Any))?;
        Ok((update.id(), payload, ids))
    }

    /// The last step: decides with the reflog as it is now, and posts on the condition that it stays so.
    #[allow(clippy::too_many_arguments)]
    fn commit(
        &self,
        git: &GitDir,
        located: &Located,
        secret: &SignSecretKey,
        request: &ExportRequest,
        seen: &RefTable,
        written: Written,
        state: &mut State,
    ) -> Result<Exported> {
        let link = self.ctx.link;
        for _ in 0..ROUNDS_MAX {
            let root = self.ctx.link("read the reflog", link.reflog(&located.reflog))?;
            let effective = self.effective_refs(located, root, state)?;
            let results = decide(git, request, seen, &effective)?;
            let mut exported = Exported { results, checkpoint: None, objects: written.objects };
            let lines = self.lines(request, &exported.results, &effective);
            if lines.is_empty() {
                return Ok(exported);
            }
            let value = refs::write(&lines);
            let mut records = written.records.clone();
            write_record(&mut records, ObjectId::of(ObjectKind::Blob, &value), RecordKind::Refs, &value);
            let payload = Payload::Segment { tree: upload::store_small(self.ctx, &records)? };
            self.ctx.link("store a segment", link.sync())?;
            let update = sign(secret, payload)?;
            let posted = link.post(std::slice::from_ref(&update), Guard::Is(root));
            let Posted::Done(root) = self.ctx.link("post a segment", posted)? else { continue };
            record_own(update.id(), payload, written.ids.clone(), lines, state)?;
            exported.checkpoint = Some(self.post_checkpoint(located, secret, root, state)?);
            self.ctx.voice.status("");
            return Ok(exported);
        }
        Err(Error::Timeout {
            what: format!("a moment in which nobody else pushes to {}", self.key),
            limit: self.ctx.settings.timeout,
        })
    }

    /// The lines to write: each later than anything known of its reference.
    fn lines(
        &self,
        request: &ExportRequest,
        results: &[(RefName, Option<Refusal>)],
        effective: &RefTable,
    ) -> Vec<RefLine> {
        let now = (self.ctx.now)();
        let moved = request.updates.iter().zip(results).filter(|(_, (_, refusal))| refusal.is_none());
        let line = |update: &RefUpdate| RefLine {
            time: now.max(effective.time(&update.name).saturating_add(1)),
            id: update.to.map_or(ObjectId::NULL, |revision| revision.id),
            name: update.name.clone(),
        };
        moved.map(|(update, _)| line(update)).collect()
    }

    /// Posts a checkpoint of the reflog's value `root`, of a greater rank than any other.
    fn post_checkpoint(
        &self,
        located: &Located,
        secret: &SignSecretKey,
        root: Hash,
        state: &mut State,
    ) -> Result<Transaction> {
        let ranks = state.ledger.entries().filter_map(|(_, entry)| match entry.payload {
            Some(Payload::Checkpoint { rank, .. }) => Some(rank),
            _ => None,
        });
        let rank = i128::from((self.ctx.now)()).max(ranks.max().map_or(0, |rank| rank.saturating_add(1)));
        let payload = Payload::Checkpoint { tree: root, rank };
        let update = sign(secret, payload)?;
        let post = |guard| {
            self.ctx.link("post a checkpoint", self.ctx.link.post(std::slice::from_ref(&update), guard))
        };
        // If something arrived in between, the checkpoint does not speak for it, and still holds.
        let after = match post(Guard::Is(Some(root)))? {
            Posted::Done(after) => Some(after),
            Posted::Moved(_) => {
                post(Guard::Any)?;
                None
            }
        };
        let id = update.id();
        state.ledger.add(id, Some(payload));
        state.ledger.save()?;
        let listed = self.leaves(&format!("reflog {}", located.reflog), root, self.ctx.settings.timeout)?;
        state.view.root = after;
        state.view.checkpoint = Some(Transaction { id, payload });
        state.view.refs = state.ledger.refs(&listed);
        if let Some(dir) = &state.dir {
            state.view.save(dir)?;
        }
        Ok(Transaction { id, payload })
    }
}

/// Takes our own transaction into the local state: its objects are here, nothing need be imported.
fn record_own(
    id: Hash,
    payload: Payload,
    ids: Vec<ObjectId>,
    lines: Vec<RefLine>,
    state: &mut State,
) -> Result<()> {
    if let Some(set) = &mut state.ids {
        set.add(ids)?;
    }
    state.ledger.add(id, Some(payload));
    state.ledger.set_imported(id, lines);
    state.ledger.save()
}

fn sign(secret: &SignSecretKey, payload: Payload) -> Result<ReflogUpdate> {
    let mut nonce = [0; 24];
    getrandom::fill(&mut nonce).map_err(|error| Error::Random { message: error.to_string() })?;
    Ok(ReflogUpdate::sign(secret, nonce, payload.to_data()))
}

fn read_chosen(odb: &Odb, chosen: &Chosen, content: &mut Vec<u8>) -> Result<()> {
    let absent = || Error::Object { id: chosen.id, message: "it is not there".into() };
    odb.read(&chosen.id, content)?.ok_or_else(absent)?;
    if content.len() as u64 > VALUE_BYTES_MAX {
        let message = format!("it is longer than {VALUE_BYTES_MAX} bytes");
        return Err(Error::Object { id: chosen.id, message });
    }
    Ok(())
}

/// Decides for each reference whether it may move from where it is now.
fn decide(
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
fn is_fast_forward(git: &GitDir, from: Option<ObjectId>, to: Option<Revision>) -> Result<bool> {
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
