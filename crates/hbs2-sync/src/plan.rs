//! What is to be done: from a folder, a channel and what both agreed on last, to actions (docs/decisions/050-sync.md).
//!
//! Nothing here touches a file or a peer; the same three always give the same plan. For each path three things are
//! compared: the file on disk, the entry that counts in the channel, and the *base*, the version that this folder had when
//! it agreed with the channel last. One that differs from the base was changed on its side. Changed on one side: the other
//! follows. Changed on both: the newer keeps the name and the other one becomes a copy beside it. A deletion never beats
//! a change. What was not seen whole is left alone on both sides.

use std::collections::{BTreeMap, BTreeSet};

use hbs2_core::Hash;

use crate::history::{Entry, History, Line};
use crate::path::{Extension, RelPath};

/// A file on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// The hash of its content.
    pub content: Hash,
    /// Whether its owner may execute it.
    pub executable: bool,
    /// When it was changed, in seconds since the epoch.
    pub modified: u64,
}

/// What was seen in a folder, as far as its masks go.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Regular files that were read whole.
    pub files: BTreeMap<RelPath, Local>,
    /// Directories.
    pub dirs: BTreeSet<RelPath>,
    /// What is there and was not seen whole: unreadable, of a kind that is not kept, or changing. Nothing is known of it
    /// and of what is below it.
    pub unseen: BTreeSet<RelPath>,
}

/// What is at a path of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Here<'s> {
    Absent,
    File(&'s Local),
    /// A directory with nothing but directories in it.
    Hollow,
    Dir,
    /// A file stands where a directory above should be.
    Blocked,
    Unseen,
}

impl Snapshot {
    fn here(&self, path: &RelPath) -> Here<'_> {
        if let Some(local) = self.files.get(path) {
            return Here::File(local);
        }
        if self.unseen.contains(path) || path.ancestors().any(|dir| self.unseen.contains(&dir)) {
            return Here::Unseen;
        }
        if self.dirs.contains(path) {
            let (from, to) = path.below();
            let holds = self.files.range(from.clone()..to.clone()).next().is_some()
                || self.unseen.range(from..to).next().is_some();
            return if holds { Here::Dir } else { Here::Hollow };
        }
        if path.ancestors().any(|dir| self.files.contains_key(&dir)) { Here::Blocked } else { Here::Absent }
    }
}

/// The version of a file that folder and channel agreed on last. There is one only for what was here whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base {
    /// The entry.
    pub id: Hash,
    /// The hash of its content.
    pub content: Hash,
    /// Whether its owner may execute it.
    pub executable: bool,
}

impl Base {
    fn is(&self, local: &Local) -> bool {
        self.content == local.content && self.executable == local.executable
    }

    /// Whether the channel still says what it said.
    fn stands(&self, entry: &Entry) -> bool {
        self.id == entry.id
            || (entry.content() == Some(self.content)
                && entry.executable().is_none_or(|x| x == self.executable))
    }
}

/// What a plan is made from.
pub struct World<'w> {
    /// The folder.
    pub snapshot: &'w Snapshot,
    /// The channel.
    pub history: &'w History,
    /// What both agreed on.
    pub bases: &'w BTreeMap<RelPath, Base>,
    /// Whether a path is kept equal at all.
    pub covers: &'w dyn Fn(&RelPath) -> bool,
    /// Whether files here may be written and deleted; not in backup mode.
    pub writes: bool,
}

/// What must be in the place where a file is written, else it is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Over {
    /// Nothing.
    Nothing,
    /// The file that was seen.
    File,
    /// Directories without a file.
    Hollow,
}

/// One thing to do. The order of the variants is the order of work: deletions, names, directories and files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Post a deletion.
    Tomb {
        /// The path.
        path: RelPath,
        /// What it replaces.
        after: Vec<Hash>,
    },
    /// Delete the file here.
    Delete {
        /// The path.
        path: RelPath,
    },
    /// Rename the file here.
    Move {
        /// The path.
        path: RelPath,
        /// The new path, at which nothing is.
        to: RelPath,
    },
    /// Here and in the channel is the same version: remember it.
    Adopt {
        /// The path.
        path: RelPath,
        /// The entry.
        id: Hash,
    },
    /// Neither here nor in the channel: forget the base.
    Forget {
        /// The path.
        path: RelPath,
    },
    /// Post the content of an entry under another path.
    Copy {
        /// The new path.
        to: RelPath,
        /// The path of the entry.
        path: RelPath,
        /// The entry.
        id: Hash,
    },
    /// Write the version of an entry here.
    Write {
        /// The path.
        path: RelPath,
        /// The entry.
        id: Hash,
        /// What is in its place now.
        over: Over,
    },
    /// Post the file that is here.
    Post {
        /// The path.
        path: RelPath,
        /// What it replaces.
        after: Vec<Hash>,
    },
}

/// Why a path is left alone, for the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// It was not seen whole here.
    Unseen,
    /// A directory with files stands where a file should be written.
    Directory,
    /// A file stands where a directory should be.
    File,
    /// No free name was found for a copy.
    NoName,
}

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order of work.
    pub actions: Vec<Action>,
    /// What is left alone although the channel has news of it.
    pub held: Vec<(RelPath, Held)>,
    /// Entries whose content must be hashed before a plan can be made for their paths.
    pub learn: Vec<(RelPath, Hash)>,
}

/// Characters of a hash in the name of a copy, and in longer names when the first is taken.
const TAG_CHARS: [usize; 3] = [8, 16, 44];

/// Characters of a hash in the name of a file that gives way to a directory; then as for copies. The original's.
const TILDE_CHARS: [usize; 4] = [4, 8, 16, 44];

/// The names a copy of `path` with this content may have, the best first: `notes.conflict-3XgC98VY.txt`.
fn copy_names<'p>(path: &'p RelPath, content: &Hash) -> impl Iterator<Item = RelPath> + use<'p> {
    let text = content.to_string();
    TAG_CHARS.into_iter().map(move |chars| {
        let tag = &text[..chars.min(text.len())];
        path.beside(&format!(".conflict-{tag}"), Extension::Last)
    })
}

/// The names that a file with this content may get when a directory needs its own: `notes~3XgC`.
fn tilde_names<'p>(path: &'p RelPath, content: &Hash) -> impl Iterator<Item = RelPath> + use<'p> {
    let text = content.to_string();
    TILDE_CHARS
        .into_iter()
        .map(move |chars| path.beside(&format!("~{}", &text[..chars.min(text.len())]), Extension::Before))
}

/// Makes the plan.
#[must_use]
pub fn plan(world: &World<'_>) -> Plan {
    let mut planner =
        Planner { world, plan: Plan::default(), freed: BTreeSet::new(), taken: BTreeSet::new() };
    let paths: BTreeSet<&RelPath> = world
        .snapshot
        .files
        .keys()
        .chain(world.history.lines().map(|(path, _)| path))
        .chain(world.bases.keys())
        .filter(|path| (world.covers)(path))
        .collect();
    for path in paths {
        planner.decide(path);
    }
    let Planner { mut plan, taken, .. } = planner;
    // Where a file is moved to, nothing else is done in this plan; the next one sees it there.
    plan.actions.retain(|action| match action {
        Action::Write { path, .. } | Action::Tomb { path, .. } | Action::Forget { path } => {
            !taken.contains(path)
        }
        _ => true,
    });
    plan.actions.sort();
    plan.actions.dedup();
    plan
}

struct Planner<'w> {
    world: &'w World<'w>,
    plan: Plan,
    /// Files that will not be at their path any more when files are written.
    freed: BTreeSet<RelPath>,
    /// Paths to which files are moved.
    taken: BTreeSet<RelPath>,
}

impl<'w> Planner<'w> {
    fn decide(&mut self, path: &RelPath) {
        let world = self.world;
        let line = world.history.line(path);
        let here = world.snapshot.here(path);
        let crowded = world.history.files_below(path).any(|below| (world.covers)(below));
        if let Some(line) = line {
            self.keep_losers(path, line);
        }
        match (here, line.map(Line::winner)) {
            (Here::Unseen, Some(entry)) => {
                let base = world.bases.get(path);
                if base.is_none_or(|base| base.id != entry.id) {
                    self.hold(path, Held::Unseen);
                }
            }
            (Here::Unseen, None) => {}
            (Here::File(local), entry) if crowded => self.give_way(path, local, entry),
            (here, Some(entry)) if crowded && entry.is_file() => self.send_away(path, here, entry),
            (Here::File(_), None) => self.post(path),
            (Here::File(local), Some(entry)) if entry.is_file() => self.compare(path, local, entry),
            (Here::File(local), Some(entry)) => self.buried(path, local, entry),
            (here, Some(entry)) if entry.is_file() => self.missing(path, here, entry),
            (_, _) => {
                if world.bases.contains_key(path) {
                    self.act(Action::Forget { path: path.clone() });
                }
            }
        }
    }

    fn act(&mut self, action: Action) {
        self.plan.actions.push(action);
    }

    fn hold(&mut self, path: &RelPath, why: Held) {
        self.plan.held.push((path.clone(), why));
    }

    /// Of several heads one counts; the files of the others are posted as copies, once.
    fn keep_losers(&mut self, path: &RelPath, line: &Line) {
        let winner = line.winner();
        for entry in line.heads().filter(|entry| entry.id != winner.id && entry.is_file()) {
            let is_same = entry.content().is_some() && entry.content() == winner.content();
            if !is_same {
                self.copy(path, entry, &mut copy_names(path, &tag_of(entry)));
            }
        }
    }

    /// Posts an entry under the first of these names. That the channel knows the name already means that it was done.
    fn copy(&mut self, path: &RelPath, entry: &Entry, names: &mut dyn Iterator<Item = RelPath>) {
        let Some(to) = names.next() else { return };
        if self.world.history.line(&to).is_none() {
            self.act(Action::Copy { to, path: path.clone(), id: entry.id });
        }
    }

    fn post(&mut self, path: &RelPath) {
        self.act(Action::Post { path: path.clone(), after: self.world.history.heads(path) });
    }

    /// A file here, a file in the channel.
    fn compare(&mut self, path: &RelPath, local: &Local, entry: &Entry) {
        let base = self.world.bases.get(path);
        if is_same(local, entry) {
            if base.is_none_or(|base| base.id != entry.id || !base.is(local)) {
                self.act(Action::Adopt { path: path.clone(), id: entry.id });
            }
            return;
        }
        match base {
            Some(base) if base.is(local) => match base.stands(entry) {
                true => {}
                false => self.write(path, entry, Over::File),
            },
            Some(base) if base.stands(entry) => self.post(path),
            _ if entry.content().is_none() => self.plan.learn.push((path.clone(), entry.id)),
            None if self.is_old(path, local) => self.write(path, entry, Over::File),
            _ => self.conflict(path, local, entry),
        }
    }

    /// Whether a file without a base is an old version that everybody knows.
    fn is_old(&self, path: &RelPath, local: &Local) -> bool {
        self.world.history.line(path).is_some_and(|line| line.has_content(&local.content))
    }

    /// Changed here and in the channel: the newer keeps the name.
    fn conflict(&mut self, path: &RelPath, local: &Local, entry: &Entry) {
        if local.modified > entry.time {
            self.post(path);
            return self.copy(path, entry, &mut copy_names(path, &tag_of(entry)));
        }
        if !self.world.writes {
            return;
        }
        match self.spare(copy_names(path, &local.content), local) {
            Some(Spare::Free(to)) => {
                self.rename(path, local, to);
                self.write(path, entry, Over::Nothing);
            }
            Some(Spare::Kept) => self.write(path, entry, Over::File),
            None => self.hold(path, Held::NoName),
        }
    }

    /// A file here, a deletion in the channel.
    fn buried(&mut self, path: &RelPath, local: &Local, tomb: &Entry) {
        let is_known = match self.world.bases.get(path) {
            Some(base) => base.is(local),
            None => self.is_old(path, local) && tomb.time >= local.modified,
        };
        if is_known { self.delete(path) } else { self.post(path) }
    }

    /// No file here, a file in the channel.
    fn missing(&mut self, path: &RelPath, here: Here<'_>, entry: &Entry) {
        if self.world.bases.get(path).is_some_and(|base| base.stands(entry)) {
            // It was here whole, nobody has changed it since, and it is gone.
            return self.act(Action::Tomb { path: path.clone(), after: self.world.history.heads(path) });
        }
        match here {
            Here::Hollow => self.write(path, entry, Over::Hollow),
            Here::Dir => self.hold(path, Held::Directory),
            Here::Blocked if !path.ancestors().any(|dir| self.freed.contains(&dir)) => {
                self.hold(path, Held::File);
            }
            _ => self.write(path, entry, Over::Nothing),
        }
    }

    /// A file here where the channel has a directory with files: the file gets another name.
    fn give_way(&mut self, path: &RelPath, local: &Local, entry: Option<&Entry>) {
        let base = self.world.bases.get(path);
        let is_buried =
            entry.is_some_and(|entry| !entry.is_file()) && base.is_some_and(|base| base.is(local));
        if is_buried {
            return self.delete(path);
        }
        if !self.world.writes {
            return self.hold(path, Held::File);
        }
        match self.spare(tilde_names(path, &local.content), local) {
            Some(Spare::Free(to)) => self.rename(path, local, to),
            Some(Spare::Kept) => self.delete(path),
            None => return self.hold(path, Held::NoName),
        }
        if let Some(entry) = entry.filter(|entry| entry.is_file()) {
            if entry.content() != Some(local.content) {
                self.copy(path, entry, &mut tilde_names(path, &tag_of(entry)));
            }
            self.act(Action::Tomb { path: path.clone(), after: self.world.history.heads(path) });
        }
    }

    /// In the channel are a file and a directory of one name, and the file is not here: it gets another name there.
    fn send_away(&mut self, path: &RelPath, here: Here<'_>, entry: &Entry) {
        let is_gone = self.world.bases.get(path).is_some_and(|base| base.stands(entry));
        if !(is_gone && matches!(here, Here::Absent | Here::Dir | Here::Hollow)) {
            self.copy(path, entry, &mut tilde_names(path, &tag_of(entry)));
        }
        self.act(Action::Tomb { path: path.clone(), after: self.world.history.heads(path) });
    }

    fn write(&mut self, path: &RelPath, entry: &Entry, over: Over) {
        if self.world.writes {
            self.act(Action::Write { path: path.clone(), id: entry.id, over });
        }
    }

    fn delete(&mut self, path: &RelPath) {
        if self.world.writes {
            self.act(Action::Delete { path: path.clone() });
            self.freed.insert(path.clone());
        }
    }

    /// Renames the file here, and posts it under its new name unless the channel has it there.
    fn rename(&mut self, path: &RelPath, local: &Local, to: RelPath) {
        self.freed.insert(path.clone());
        self.taken.insert(to.clone());
        self.act(Action::Move { path: path.clone(), to: to.clone() });
        if !self.world.history.file(&to).is_some_and(|entry| is_same(local, entry)) {
            let after = self.world.history.heads(&to);
            self.act(Action::Post { path: to, after });
        }
    }

    /// The first of these names at which nothing is, unless the same content is at one of them.
    fn spare(&self, mut names: impl Iterator<Item = RelPath>, local: &Local) -> Option<Spare> {
        names.find_map(|name| match self.world.snapshot.here(&name) {
            Here::Absent => Some(Spare::Free(name)),
            Here::File(kept) if kept.content == local.content => Some(Spare::Kept),
            _ => None,
        })
    }
}

/// Where a file that gives way may go.
enum Spare {
    /// To a free name.
    Free(RelPath),
    /// Nowhere: a file with its content is there.
    Kept,
}

/// What the name of a copy is made of: the content, else the entry.
fn tag_of(entry: &Entry) -> Hash {
    entry.content().unwrap_or(entry.id)
}

fn is_same(local: &Local, entry: &Entry) -> bool {
    entry.content() == Some(local.content) && entry.executable().is_none_or(|x| x == local.executable)
}

#[cfg(test)]
mod tests;
