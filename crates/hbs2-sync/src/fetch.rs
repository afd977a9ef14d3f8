//! Writing what others have posted: fetch, open, write aside, make durable, put into place.
//!
//! Files are written in groups, so that a folder of small files costs one wait for the disk for many of them. The blocks of
//! a group are fetched in portions, which bounds what is in memory.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use hbs2_core::Hash;

use crate::channel::wait_whole;
use crate::error::{Result, SyncError};
use crate::folder::Folder;
use crate::groups::{Access, Groups};
use crate::history::Entry;
use crate::link;
use crate::path::RelPath;
use crate::plan::{Base, Over};
use crate::root::{Expected, PlaceError, Print, Root, Unfinished};
use crate::run::Work;
use crate::scan::{Reading, is_settled};
use crate::seal::{few_blocks, open_tree};

/// Files that are put into place together, at most. Each has an open descriptor meanwhile, and a process may have 1024.
const BATCH: usize = 768;

/// Files whose blocks are fetched together, at most: 16 MiB.
const PORTION: usize = 64;

/// Blocks of one file that are fetched together with those of its group, at most: small files have one.
const NEAR_BLOCKS: usize = 1;

/// A file to write: where, which entry, and what is there.
pub(crate) type ToWrite = (RelPath, Hash, Over);

/// A file that is written and not in its place.
struct Ready<'e, 'r> {
    path: RelPath,
    entry: &'e Entry,
    content: Hash,
    file: Unfinished<'r>,
    expected: Expected,
}

impl Folder {
    /// Writes files. One that does not come or cannot be opened is left for another time, with a note.
    pub(crate) fn write_all(
        &mut self,
        work: &mut Work<'_, '_>,
        groups: &mut Groups<'_>,
        writes: Vec<ToWrite>,
    ) -> Result<()> {
        let total = writes.len();
        for (at, group) in writes.chunks(BATCH).enumerate() {
            work.ctx.voice.status(&format!("writing {} of {total}", at * BATCH));
            self.write_group(work, groups, group)?;
        }
        work.ctx.voice.status("");
        Ok(())
    }

    fn write_group(
        &mut self,
        work: &mut Work<'_, '_>,
        groups: &mut Groups<'_>,
        group: &[ToWrite],
    ) -> Result<()> {
        let (ctx, history) = (work.ctx, work.history);
        let mut entries = Vec::new();
        for (path, id, over) in group {
            let line = history.line(path);
            let entry = line.and_then(|line| line.entries().iter().find(|entry| entry.id == *id));
            entries.extend(entry.map(|entry| (path, entry, *over)));
        }
        let roots: Vec<Hash> = entries.iter().map(|(_, entry, _)| entry.tree).collect();
        match wait_whole(ctx, &roots, &format!("{} files", roots.len()), work.patience) {
            Ok(()) => {}
            // Those that are here are written all the same, and nothing is waited for as long again.
            Err(error @ SyncError::Stalled { .. }) => {
                self.note(ctx, error.to_string());
                work.patience = Duration::ZERO;
            }
            Err(error) => return Err(error),
        }
        let (mut ready, mut troubles) = (Vec::new(), Vec::new());
        for (portion, roots) in entries.chunks(PORTION).zip(roots.chunks(PORTION)) {
            let heads = link::blocks(ctx.client, roots.to_vec())?;
            let near: Vec<Hash> =
                heads.iter().flatten().filter_map(|head| few_blocks(head, NEAR_BLOCKS)).flatten().collect();
            let near: BTreeMap<Hash, Bytes> =
                near.iter().copied().zip(link::blocks(ctx.client, near.clone())?).filter_map(some).collect();
            for (&(path, entry, over), head) in portion.iter().zip(heads) {
                let expected = match over {
                    Over::Nothing => Expected::Nothing,
                    Over::Hollow => Expected::Hollow,
                    Over::File => match work.scan.reads.get(path) {
                        Some(seen) => Expected::File(seen.print),
                        None => continue,
                    },
                };
                match self.open_aside(work, groups, entry, head, &near) {
                    Ok((content, file)) => {
                        ready.push(Ready { path: path.clone(), entry, content, file, expected });
                    }
                    Err(error @ (SyncError::Peer(_) | SyncError::Keys(_))) => return Err(error),
                    Err(error) => troubles.push((path.clone(), error.to_string())),
                }
            }
        }
        let placed = place_all(&self.root, ready)?;
        for (path, error) in troubles {
            self.note(ctx, format!("not written: {path} {error}"));
            work.report.left += 1;
        }
        for (path, entry, content, outcome) in placed {
            match outcome {
                Ok(print) => {
                    let base = Base { id: entry.id, content, executable: print.is_executable() };
                    self.state.bases.insert(path.clone(), base);
                    let reading = Reading { print, content, settled: is_settled(&print) };
                    self.state.reads.insert(path.clone(), reading);
                    if entry.content().is_none() {
                        self.channel.learn(entry.tree, content);
                    }
                    work.report.written += 1;
                    ctx.voice.did(&format!("write {} {path}", entry.tree));
                }
                Err(error) => work.leave(self, "write", &path, &error),
            }
        }
        Ok(())
    }

    /// Opens the content of an entry into a file that has no place yet.
    fn open_aside(
        &self,
        work: &Work<'_, '_>,
        groups: &mut Groups<'_>,
        entry: &Entry,
        head: Option<Bytes>,
        near: &BTreeMap<Hash, Bytes>,
    ) -> Result<(Hash, Unfinished<'_>)> {
        let root = entry.tree;
        let wrong = |reason: &str| SyncError::Tree { root, reason: reason.to_owned() };
        let head = head.ok_or_else(|| wrong("it has not arrived"))?;
        let key = self.channel.key_of(&root).ok_or_else(|| wrong("it was not read"))?;
        let Access::Open(secret) = groups.secret(&key)? else { return Err(wrong("no access")) };
        let failed = |source| SyncError::File { doing: "write", path: self.root.own(), source };
        let mut file = self.root.begin().map_err(failed)?;
        let mut hasher = Hash::begin();
        let near = |hash: &Hash| near.get(hash).cloned();
        open_tree(work.ctx.client, (root, &head), &secret, near, &mut |chunk| {
            hasher.update(chunk);
            file.file().write_all(chunk).map_err(failed)
        })?;
        let content = hasher.finish();
        if entry.content().is_some_and(|stated| stated != content) {
            return Err(wrong("its content is not the one that its author states"));
        }
        Ok((content, file))
    }
}

/// A file, and whether it is in its place.
type Placed<'e> = (RelPath, &'e Entry, Hash, std::result::Result<Print, PlaceError>);

/// Makes files durable, then puts each into its place.
fn place_all<'e>(root: &Root, ready: Vec<Ready<'e, '_>>) -> Result<Vec<Placed<'e>>> {
    if ready.is_empty() {
        return Ok(Vec::new());
    }
    root.sync().map_err(|source| SyncError::File { doing: "write to", path: root.own(), source })?;
    let place = |ready: Ready<'e, '_>| {
        let Ready { path, entry, content, file, expected } = ready;
        let outcome = file.place(&path, entry.time, entry.executable(), &expected);
        (path, entry, content, outcome)
    };
    Ok(ready.into_iter().map(place).collect())
}

fn some((hash, block): (Hash, Option<Bytes>)) -> Option<(Hash, Bytes)> {
    Some((hash, block?))
}
