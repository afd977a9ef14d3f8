//! One synchronisation: read both sides, make a plan, do what it says, remember.
//!
//! The order of work is that of the plan: deletions are posted and obeyed, files renamed, new ones posted, then those of
//! others written. After a pass that did something there is another one, until nothing is left to do.

use std::time::Duration;

use hbs2_core::{ChanHead, Hash};

use crate::channel::{Channel, wait_whole};
use crate::context::Context;
use crate::entry::{Facts, Kind};
use crate::error::{Result, SyncError};
use crate::folder::{Folder, Writer};
use crate::groups::{Access, Groups, Seal};
use crate::history::{Entry, History};
use crate::link;
use crate::path::RelPath;
use crate::plan::{Action, Base, Held};
use crate::post::{Letter, Taken, What};
use crate::root::PlaceError;
use crate::scan::{Reading, Scan, is_settled};
use crate::seal::open_tree;

/// Passes of one run, at most. The second finds what the first has renamed; more are needed when others write meanwhile.
const PASSES_MAX: usize = 8;

/// Plans that are made again because the content of an entry had to be looked into, at most.
const LEARNT_MAX: usize = 3;

/// Whether other peers are asked before the work begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// Ask, and wait for their answers.
    Ask,
    /// What the daemon has is enough.
    Known,
}

/// What a run has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Entries posted.
    pub posted: usize,
    /// Files written here.
    pub written: usize,
    /// Files deleted here.
    pub deleted: usize,
    /// Files renamed here.
    pub moved: usize,
    /// Paths that were left alone and need another run.
    pub left: usize,
}

impl Report {
    fn total(&self) -> usize {
        self.posted + self.written + self.deleted + self.moved
    }
}

impl Folder {
    /// Makes folder and channel equal.
    ///
    /// # Errors
    /// The folder, the channel or the daemon fails. What was done before is done, and remembered.
    pub fn sync(&mut self, ctx: &Context<'_>, news: News) -> Result<Report> {
        self.lock()?;
        let head = self.head(ctx)?;
        let writer = self.writer_if_allowed(ctx, &head)?;
        if news == News::Ask {
            self.ask_for_news(ctx)?;
        }
        let mut groups = Groups::new(ctx);
        let mut report = Report::default();
        if let Some(writer) = &writer {
            self.read_channel(ctx, &mut groups)?;
            self.history_here();
            self.propose_again(ctx, &head, writer)?;
        }
        for _ in 0..PASSES_MAX {
            let before = report.total();
            report.left = 0;
            let done = self.pass(ctx, &head, writer.as_ref(), &mut groups, &mut report);
            self.save()?;
            done?;
            if report.total() == before {
                break;
            }
        }
        self.await_accepted(ctx)?;
        self.save()?;
        Ok(report)
    }

    fn pass(
        &mut self,
        ctx: &Context<'_>,
        head: &ChanHead,
        writer: Option<&Writer>,
        groups: &mut Groups<'_>,
        report: &mut Report,
    ) -> Result<()> {
        self.read_channel(ctx, groups)?;
        let scan = self.look()?;
        self.state.reads.clone_from(&scan.reads);
        for (name, why) in &scan.skipped {
            self.note(ctx, format!("not kept: {name} {why}"));
        }
        let mut history = self.history_here();
        let mut plan = self.plan_of(&scan, &history);
        for _ in 0..LEARNT_MAX {
            if plan.learn.is_empty() {
                break;
            }
            for (path, id) in std::mem::take(&mut plan.learn) {
                self.learn(ctx, groups, &history, &path, &id)?;
            }
            history = self.history_here();
            plan = self.plan_of(&scan, &history);
        }
        for (path, why) in &plan.held {
            let why = match why {
                Held::Unseen => "it was not seen whole here",
                Held::Directory => "a directory with files has its name",
                Held::File => "a file has the name of its directory",
                Held::NoName => "no name is free for a copy",
            };
            self.note(ctx, format!("left alone: {path} {why}"));
            report.left += 1;
        }
        let mut work = Work { ctx, scan: &scan, history: &history, report, patience: ctx.patience };
        let mut letters = Vec::new();
        let mut writes = Vec::new();
        for action in plan.actions {
            match action {
                Action::Write { path, id, over } => writes.push((path, id, over)),
                Action::Tomb { path, after } => {
                    let facts = Facts { path, kind: Kind::Tomb, after: Some(after), same: None };
                    letters.push(Letter { facts, what: What::Tomb });
                }
                Action::Post { path, after } => work.file_letter(path, after, &mut letters),
                Action::Copy { to, path, id } => {
                    letters.extend(self.copy_letter(&work, groups, to, &path, &id)?);
                }
                Action::Delete { path } => self.delete_here(&mut work, &path),
                Action::Move { path, to } => self.move_here(&mut work, &path, &to),
                Action::Adopt { path, id } => self.adopt(&work, path, id),
                Action::Forget { path } => drop(self.state.bases.remove(&path)),
            }
        }
        if let Some(writer) = writer {
            letters.extend(self.for_new_readers(&work, groups, head)?);
            if !letters.is_empty() {
                let seal = self.seal_for(groups, head)?;
                self.post_all(&mut work, (writer, &seal), letters)?;
            }
        }
        self.write_all(&mut work, groups, writes)
    }

    /// What new entries are sealed with.
    pub(crate) fn seal_for(&self, groups: &mut Groups<'_>, head: &ChanHead) -> Result<Seal> {
        let mut entries = self.channel.entries();
        entries.sort_by_key(|entry| std::cmp::Reverse((entry.time, entry.id)));
        let pending = self.state.pending.iter().rev().map(|pending| pending.tree);
        let mut used = Vec::new();
        for tree in pending.chain(entries.into_iter().map(|entry| entry.tree)) {
            if let Some(key) = self.channel.key_of(&tree)
                && !used.contains(&key)
            {
                used.push(key);
            }
        }
        groups.current(&head.readers, &used)
    }

    fn post_all(
        &mut self,
        work: &mut Work<'_, '_>,
        by: (&Writer, &Seal),
        letters: Vec<Letter>,
    ) -> Result<()> {
        let ctx = work.ctx;
        let report = &mut *work.report;
        self.post(ctx, by, letters, &mut |folder, taken| {
            report.posted += 1;
            folder.posted(ctx, taken);
        })
    }

    /// The daemon has taken an entry: that is what folder and channel agree on now.
    pub(crate) fn posted(&mut self, ctx: &Context<'_>, taken: Taken) {
        let Taken { id, tree, facts, file } = taken;
        let path = facts.path;
        match (facts.kind, file, facts.same) {
            (Kind::Tomb, ..) => {
                self.state.bases.remove(&path);
                ctx.voice.did(&format!("deleted {path}"));
            }
            (Kind::File { .. }, Some((content, print)), _) => {
                let base = Base { id, content, executable: print.is_executable() };
                self.state.bases.insert(path.clone(), base);
                let reading = Reading { print, content, settled: is_settled(&print) };
                self.state.reads.insert(path.clone(), reading);
                ctx.voice.did(&format!("post tree tx {path} {tree}"));
            }
            (Kind::File { .. }, None, Some(same)) => {
                if let Some(base) = self.state.bases.get_mut(&path).filter(|base| base.id == same) {
                    base.id = id;
                }
                ctx.voice.did(&format!("update group key {path}"));
            }
            (Kind::File { .. }, None, None) => ctx.voice.did(&format!("post tree tx {path} {tree}")),
        }
    }

    /// A copy of an entry under another name.
    pub(crate) fn copy_letter(
        &mut self,
        work: &Work<'_, '_>,
        groups: &mut Groups<'_>,
        to: RelPath,
        path: &RelPath,
        id: &Hash,
    ) -> Result<Option<Letter>> {
        let line = work.history.line(path);
        let Some(entry) = line.and_then(|line| line.entries().iter().find(|entry| entry.id == *id)) else {
            return Ok(None);
        };
        let facts = Facts {
            after: Some(work.history.heads(&to)),
            path: to,
            kind: entry.facts.kind.clone(),
            same: None,
        };
        self.tree_letter(work.ctx, groups, entry, facts)
    }

    /// An entry with the content of another; none when that cannot be read now.
    pub(crate) fn tree_letter(
        &mut self,
        ctx: &Context<'_>,
        groups: &mut Groups<'_>,
        entry: &Entry,
        facts: Facts,
    ) -> Result<Option<Letter>> {
        let Some(key) = self.channel.key_of(&entry.tree) else { return Ok(None) };
        let Access::Open(secret) = groups.secret(&key)? else { return Ok(None) };
        let head = link::block(ctx.client, &entry.tree)?;
        Ok(head.map(|head| Letter { facts, what: What::Tree(head, Seal { key, secret }) }))
    }

    /// The files that some reader of the head cannot read yet, sealed for him too. The content stays as it is.
    fn for_new_readers(
        &mut self,
        work: &Work<'_, '_>,
        groups: &mut Groups<'_>,
        head: &ChanHead,
    ) -> Result<Vec<Letter>> {
        let mut letters = Vec::new();
        for (_, line) in work.history.lines() {
            let entry = line.winner();
            let Some(key) = self.channel.key_of(&entry.tree).filter(|_| entry.is_file()) else { continue };
            if groups.members(&key)?.is_none_or(|members| members.is_superset(&head.readers)) {
                continue;
            }
            let facts = Facts { after: Some(vec![entry.id]), same: Some(entry.id), ..entry.facts.clone() };
            let Some(mut letter) = self.tree_letter(work.ctx, groups, entry, facts)? else { continue };
            if let What::Tree(_, seal) = &mut letter.what {
                seal.key = groups.wrap(&seal.secret, &head.readers)?;
            }
            letters.push(letter);
        }
        Ok(letters)
    }

    fn adopt(&mut self, work: &Work<'_, '_>, path: RelPath, id: Hash) {
        if let Some(local) = work.scan.snapshot.files.get(&path) {
            let base = Base { id, content: local.content, executable: local.executable };
            self.state.bases.insert(path, base);
        }
    }

    fn delete_here(&mut self, work: &mut Work<'_, '_>, path: &RelPath) {
        let Some(seen) = work.scan.reads.get(path) else { return };
        match self.root.delete(path, &seen.print) {
            Ok(()) => {
                self.state.bases.remove(path);
                self.state.reads.remove(path);
                work.report.deleted += 1;
                work.ctx.voice.did(&format!("deleted locally {path}"));
            }
            Err(error) => work.leave(self, "delete", path, &error),
        }
    }

    fn move_here(&mut self, work: &mut Work<'_, '_>, path: &RelPath, to: &RelPath) {
        let Some(seen) = work.scan.reads.get(path) else { return };
        match self.root.rename(path, to, &seen.print) {
            Ok(()) => {
                self.state.bases.remove(path);
                self.state.reads.remove(path);
                work.report.moved += 1;
                work.ctx.voice.did(&format!("move {path} {to}"));
            }
            Err(error) => work.leave(self, "move", path, &error),
        }
    }

    /// Finds the hash of the content of an entry whose writer did not tell it.
    fn learn(
        &mut self,
        ctx: &Context<'_>,
        groups: &mut Groups<'_>,
        history: &History,
        path: &RelPath,
        id: &Hash,
    ) -> Result<()> {
        let line = history.line(path);
        let Some(entry) = line.and_then(|line| line.entries().iter().find(|entry| entry.id == *id)) else {
            return Ok(());
        };
        let mut hasher = Hash::begin();
        let read = self.content(ctx, groups, entry, &mut |chunk| {
            hasher.update(chunk);
            Ok(())
        });
        match read {
            Ok(()) => self.channel.learn(entry.tree, hasher.finish()),
            Err(error @ (SyncError::Peer(_) | SyncError::Keys(_))) => return Err(error),
            Err(error) => self.note(ctx, format!("left alone: {path} {error}")),
        }
        Ok(())
    }

    /// Waits for the content of an entry and gives it to `each`, chunk by chunk.
    ///
    /// # Errors
    /// It does not come, or we have no access.
    pub(crate) fn content(
        &self,
        ctx: &Context<'_>,
        groups: &mut Groups<'_>,
        entry: &Entry,
        each: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        read_content(ctx, &self.channel, groups, entry, each)
    }
}

/// The same with the channel alone.
pub(crate) fn read_content(
    ctx: &Context<'_>,
    channel: &Channel,
    groups: &mut Groups<'_>,
    entry: &Entry,
    each: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let root = entry.tree;
    let wrong = |reason: &str| SyncError::Tree { root, reason: reason.to_owned() };
    wait_whole(ctx, &[root], entry.facts.path.as_str(), ctx.patience)?;
    ctx.voice.status("");
    let head = link::block(ctx.client, &root)?.ok_or_else(|| wrong("its head is missing"))?;
    let key = channel.key_of(&root).ok_or_else(|| wrong("it was not read"))?;
    let Access::Open(secret) = groups.secret(&key)? else { return Err(wrong("no access")) };
    open_tree(ctx.client, (root, &head), &secret, |_| None, each)
}

/// What the steps of one pass share.
pub(crate) struct Work<'w, 'c> {
    pub(crate) ctx: &'w Context<'c>,
    pub(crate) scan: &'w Scan,
    pub(crate) history: &'w History,
    pub(crate) report: &'w mut Report,
    /// How long nothing may come of what is awaited.
    pub(crate) patience: Duration,
}

impl Work<'_, '_> {
    fn file_letter(&self, path: RelPath, after: Vec<Hash>, letters: &mut Vec<Letter>) {
        // What was moved in this pass was seen under its old name.
        let print = self.scan.reads.get(&path).map(|read| read.print);
        let kind = Kind::File { content: None, executable: None };
        let facts = Facts { path, kind, after: Some(after), same: None };
        letters.push(Letter { facts, what: What::File(print.unwrap_or_else(unknown_print)) });
    }

    /// Something was not done now.
    pub(crate) fn leave(&mut self, folder: &mut Folder, doing: &str, path: &RelPath, error: &PlaceError) {
        folder.note(self.ctx, format!("cannot {doing} {path} {error}"));
        self.report.left += 1;
    }
}

/// For a file that was moved since it was seen: its length decides only how it is read.
fn unknown_print() -> crate::root::Print {
    crate::root::Print { inode: 0, bytes: u64::MAX, modified: (0, 0), changed: (0, 0), mode: 0 }
}
