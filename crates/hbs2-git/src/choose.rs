//! Choosing what travels: the objects that the pushed tips need and no segment has yet (spec: git3 12).
//!
//! A known commit is taken to have all its ancestors and trees known, so the walk over commits stops there.
//! The tree of a new commit is compared with the trees of its parents, and only what differs from all of them
//! is looked at: a small push opens few trees, whatever the size of the repository. Parents come before their
//! children, so that whatever a tree shares with a parent was chosen before: a tree that was seen once is
//! complete, and need not be opened again where it comes back.
//!
//! The order is made for compression: commits first, then trees and then files, each path with its versions
//! side by side, the newest first.

use std::collections::{BinaryHeap, HashMap, HashSet};
use std::rc::Rc;

use crate::error::{Error, Result};
use crate::gitdir::Revision;
use crate::graph::{CommitLinks, EntryKind, commit_links, tag_target, tree_entries};
use crate::ids::IdSet;
use crate::object::{ObjectId, ObjectKind};
use crate::odb::Odb;

/// Objects that are ordered together, at most. Bounds memory at about 100 MB; the order across this border
/// hardly matters, the window of the compressor is long passed by then.
const GROUP_OBJECTS_MAX: usize = 500_000;

/// Bytes of trees that are kept while commits are compared.
const TREE_CACHE_BYTES: usize = 64 * 1024 * 1024;

/// Directories within each other, at most: git's own `core.maxTreeDepth`.
const DEPTH_MAX: usize = 2048;

/// Chooses objects, in groups.
pub struct Chooser<'a> {
    odb: &'a Odb,
    known: &'a IdSet,
    /// Everything chosen so far.
    seen: HashSet<ObjectId>,
    paths: Paths,
    trees: TreeCache,
    /// Directories within each other, at present.
    depth: usize,
    /// Commits whose trees are still to compare; the next one stands last.
    commits: Vec<(ObjectId, CommitLinks)>,
    group: Vec<Candidate>,
}

/// An object to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen {
    /// Its id.
    pub id: ObjectId,
    /// Its kind.
    pub kind: ObjectKind,
}

struct Candidate {
    chosen: Chosen,
    path: u32,
}

impl<'a> Chooser<'a> {
    /// Starts at the tips. Reads the new commits, no trees yet.
    ///
    /// # Errors
    /// An object cannot be read.
    pub fn new(odb: &'a Odb, known: &'a IdSet, tips: &[Revision]) -> Result<Self> {
        let (seen, group) = (HashSet::new(), Vec::new());
        let (paths, trees) = (Paths::default(), TreeCache::default());
        let mut chooser = Self { odb, known, seen, paths, trees, depth: 0, commits: Vec::new(), group };
        let mut commit_tips = Vec::new();
        for tip in tips {
            match chooser.follow_tags(*tip)? {
                Some(Revision { id, kind: ObjectKind::Commit }) => commit_tips.push(id),
                Some(Revision { id, kind }) => chooser.lone(id, kind)?,
                None => {}
            }
        }
        chooser.walk_commits(&commit_tips)?;
        Ok(chooser)
    }

    /// The next group of objects, in the order in which to write them; none when all were given.
    ///
    /// # Errors
    /// An object cannot be read.
    pub fn next_group(&mut self) -> Result<Option<Vec<Chosen>>> {
        while self.group.len() < GROUP_OBJECTS_MAX {
            let Some((id, links)) = self.commits.pop() else { break };
            let path = self.paths.commits();
            self.group.push(Candidate { chosen: Chosen { id, kind: ObjectKind::Commit }, path });
            self.compare_commit(&links)?;
        }
        if self.group.is_empty() {
            return Ok(None);
        }
        let mut group = std::mem::take(&mut self.group);
        group.reverse();
        let ranks = self.paths.ranks();
        let order =
            |candidate: &Candidate| (kind_rank(candidate.chosen.kind), ranks[candidate.path as usize]);
        // Stable: versions of one path stay in the order of the commits, the newest first.
        group.sort_by_key(order);
        Ok(Some(group.into_iter().map(|candidate| candidate.chosen).collect()))
    }

    /// Chooses the object if it is new.
    fn is_new(&mut self, id: ObjectId) -> Result<bool> {
        if self.seen.contains(&id) || self.known.contains(&id)? {
            return Ok(false);
        }
        Ok(self.seen.insert(id))
    }

    /// Chooses annotated tags down to what they tag; none when the end is known already.
    fn follow_tags(&mut self, tip: Revision) -> Result<Option<Revision>> {
        let Revision { mut id, mut kind } = tip;
        while kind == ObjectKind::Tag {
            if !self.is_new(id)? {
                return Ok(None);
            }
            self.group.push(Candidate { chosen: Chosen { id, kind }, path: self.paths.commits() });
            let target = self.odb.with(&id, kind, tag_target)?;
            (id, kind) = target.ok_or_else(|| malformed(id, kind))?;
        }
        Ok(Some(Revision { id, kind }))
    }

    /// Chooses a tree or blob that a reference points at directly.
    fn lone(&mut self, id: ObjectId, kind: ObjectKind) -> Result<()> {
        let path = self.paths.root();
        if kind == ObjectKind::Tree {
            self.compare_tree(id, &[], path)
        } else if self.is_new(id)? {
            self.group.push(Candidate { chosen: Chosen { id, kind }, path });
            Ok(())
        } else {
            Ok(())
        }
    }

    /// Collects the new commits in such an order that none stands before a descendant of it; among those that
    /// could be next, the newest.
    fn walk_commits(&mut self, tips: &[ObjectId]) -> Result<()> {
        let found = self.find_commits(tips)?;
        let mut children: HashMap<ObjectId, u32> = HashMap::new();
        for parent in found.values().flat_map(|commit| &commit.links.parents) {
            *children.entry(*parent).or_default() += 1;
        }
        let is_free = |id: &&ObjectId| !children.contains_key(*id);
        let mut free: BinaryHeap<(i64, ObjectId)> =
            found.keys().filter(is_free).map(|id| (found[id].time, *id)).collect();
        let mut found = found;
        while let Some((_, id)) = free.pop() {
            let Some(commit) = found.remove(&id) else { continue };
            for parent in &commit.links.parents {
                let left = children.get_mut(parent).expect("counted above");
                *left -= 1;
                if *left == 0
                    && let Some(parent_commit) = found.get(parent)
                {
                    free.push((parent_commit.time, *parent));
                }
            }
            self.commits.push((id, commit.links));
        }
        Ok(())
    }

    /// The new commits that the tips reach.
    fn find_commits(&mut self, tips: &[ObjectId]) -> Result<HashMap<ObjectId, NewCommit>> {
        let mut found = HashMap::new();
        let mut waiting = tips.to_vec();
        while let Some(id) = waiting.pop() {
            if self.is_new(id)? {
                let read = |content: &[u8]| Some((commit_links(content)?, commit_time(content)));
                let read = self.odb.with(&id, ObjectKind::Commit, read)?;
                let (links, time) = read.ok_or_else(|| malformed(id, ObjectKind::Commit))?;
                waiting.extend_from_slice(&links.parents);
                found.insert(id, NewCommit { time, links });
            }
        }
        Ok(found)
    }

    fn compare_commit(&mut self, links: &CommitLinks) -> Result<()> {
        let mut parents = Vec::with_capacity(links.parents.len());
        for parent in &links.parents {
            let found = self.odb.with(parent, ObjectKind::Commit, commit_links)?;
            parents.push(found.ok_or_else(|| malformed(*parent, ObjectKind::Commit))?.tree);
        }
        if parents.contains(&links.tree) {
            return Ok(());
        }
        let root = self.paths.root();
        self.compare_tree(links.tree, &parents, root)
    }

    /// Chooses what is in `tree` and in none of the `others`, which stand at the same path.
    fn compare_tree(&mut self, tree: ObjectId, others: &[ObjectId], path: u32) -> Result<()> {
        if !self.is_new(tree)? {
            return Ok(());
        }
        self.group.push(Candidate { chosen: Chosen { id: tree, kind: ObjectKind::Tree }, path });
        let content = self.trees.read(self.odb, tree)?;
        let others: Vec<Rc<[u8]>> =
            others.iter().map(|other| self.trees.read(self.odb, *other)).collect::<Result<_>>()?;
        let mut cursors: Vec<Cursor<'_>> = others.iter().map(|other| Cursor::new(other)).collect();
        for entry in tree_entries(&content) {
            let entry = entry.ok_or_else(|| malformed(tree, ObjectKind::Tree))?;
            let mut below = Vec::new();
            let mut unchanged = false;
            for cursor in &mut cursors {
                match cursor.find(entry.name) {
                    Some((_, id)) if id == entry.id => unchanged = true,
                    Some((EntryKind::Tree, id)) => below.push(id),
                    _ => {}
                }
            }
            match entry.kind {
                _ if unchanged => {}
                EntryKind::Gitlink => {}
                EntryKind::Tree => {
                    let path = self.paths.below(path, entry.name);
                    self.depth += 1;
                    if self.depth > DEPTH_MAX {
                        let message = format!("its directories are nested deeper than {DEPTH_MAX}");
                        return Err(Error::Object { id: entry.id, message });
                    }
                    self.compare_tree(entry.id, &below, path)?;
                    self.depth -= 1;
                }
                EntryKind::Blob => {
                    if self.is_new(entry.id)? {
                        let path = self.paths.below(path, entry.name);
                        let chosen = Chosen { id: entry.id, kind: ObjectKind::Blob };
                        self.group.push(Candidate { chosen, path });
                    }
                }
            }
        }
        Ok(())
    }
}

fn malformed(id: ObjectId, kind: ObjectKind) -> Error {
    Error::Object { id, message: format!("it is a malformed {}", kind.name()) }
}

const fn kind_rank(kind: ObjectKind) -> u8 {
    match kind {
        ObjectKind::Tag | ObjectKind::Commit => 0,
        ObjectKind::Tree => 1,
        ObjectKind::Blob => 2,
    }
}

/// The committer's time in seconds; 0 when it cannot be read. Only the order depends on it.
fn commit_time(content: &[u8]) -> i64 {
    let line = content.split(|b| *b == b'\n').find(|line| line.starts_with(b"committer "));
    let field = line.and_then(|line| line.rsplit(|b| *b == b' ').nth(1));
    field.and_then(|field| std::str::from_utf8(field).ok()?.parse().ok()).unwrap_or(0)
}

/// A commit that no segment has yet.
struct NewCommit {
    time: i64,
    links: CommitLinks,
}

/// Finds names in a tree, faster when they are asked for in nearly the order of the tree.
struct Cursor<'a> {
    entries: Vec<(EntryKind, &'a [u8], ObjectId)>,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn new(content: &'a [u8]) -> Self {
        let entries =
            tree_entries(content).flatten().map(|entry| (entry.kind, entry.name, entry.id)).collect();
        Self { entries, at: 0 }
    }

    fn find(&mut self, name: &[u8]) -> Option<(EntryKind, ObjectId)> {
        let (before, after) = self.entries.split_at(self.at);
        let ahead = after.iter().position(|(_, other, _)| *other == name).map(|at| at + before.len());
        let found = ahead.or_else(|| before.iter().position(|(_, other, _)| *other == name))?;
        self.at = found + 1;
        let (kind, _, id) = self.entries[found];
        Some((kind, id))
    }
}

/// Trees read lately, in two generations as the cache of delta bases.
#[derive(Default)]
struct TreeCache {
    young: HashMap<ObjectId, Rc<[u8]>>,
    young_bytes: usize,
    old: HashMap<ObjectId, Rc<[u8]>>,
}

impl TreeCache {
    fn read(&mut self, odb: &Odb, id: ObjectId) -> Result<Rc<[u8]>> {
        if let Some(content) = self.young.get(&id) {
            return Ok(Rc::clone(content));
        }
        let content = match self.old.remove(&id) {
            Some(content) => content,
            None => odb.with(&id, ObjectKind::Tree, |content| Rc::from(content))?,
        };
        if self.young_bytes + content.len() > TREE_CACHE_BYTES / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += content.len();
        self.young.insert(id, Rc::clone(&content));
        Ok(content)
    }
}

/// Numbers of paths. Number 0 is for commits and tags, 1 for the root.
struct Paths {
    numbers: HashMap<(u32, Box<[u8]>), u32>,
    /// For each number its parent directory and name.
    names: Vec<(u32, Box<[u8]>)>,
}

impl Default for Paths {
    fn default() -> Self {
        Self { numbers: HashMap::new(), names: vec![(0, Box::default()), (0, Box::default())] }
    }
}

impl Paths {
    fn commits(&self) -> u32 {
        0
    }

    fn root(&self) -> u32 {
        1
    }

    fn below(&mut self, dir: u32, name: &[u8]) -> u32 {
        let key = (dir, Box::from(name));
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).expect("fewer paths than tree entries fit into memory");
        self.names.push(key.clone());
        self.numbers.insert(key, number);
        number
    }

    /// The place of each number when paths are sorted: by the ending of the name, so that like stands with like,
    /// then by the whole path.
    fn ranks(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.names.len() as u32).collect();
        let keys: Vec<(Vec<u8>, Vec<u8>)> = order.iter().map(|number| self.sort_key(*number)).collect();
        order.sort_unstable_by(|a, b| keys[*a as usize].cmp(&keys[*b as usize]));
        let mut ranks = vec![0; order.len()];
        for (rank, number) in order.into_iter().enumerate() {
            ranks[number as usize] = rank as u32;
        }
        ranks
    }

    fn sort_key(&self, number: u32) -> (Vec<u8>, Vec<u8>) {
        let (dir, name) = &self.names[number as usize];
        let mut dir = *dir;
        let ending = name.iter().rposition(|b| *b == b'.').map_or(&[][..], |dot| &name[dot..]);
        let mut parts = vec![&name[..]];
        while dir > 1 {
            let (above, part) = &self.names[dir as usize];
            parts.push(part);
            dir = *above;
        }
        parts.reverse();
        (ending.to_vec(), parts.join(&b'/'))
    }
}
