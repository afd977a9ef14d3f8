//! What a channel says about a folder: for each path its entries, and which of them counts.
//!
//! Entries are ordered by time and then by name, so that everybody who has the same entries comes to the same result. An
//! entry that tells which ones it follows covers those and what they cover; one that does not, as those of the original,
//! covers everything older. What is covered by nothing is a *head*. One head is the rule; several mean that people wrote
//! without seeing each other. Then a file counts more than a deletion, and a newer entry more than an older one.

use std::collections::{BTreeMap, BTreeSet};

use hbs2_core::Hash;

use crate::entry::{Facts, Kind};
use crate::path::RelPath;

/// An accepted entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name: the hash of its payload.
    pub id: Hash,
    /// When it was accepted last, in seconds since the epoch.
    pub time: u64,
    /// The tree of its content and metadata.
    pub tree: Hash,
    /// What it says.
    pub facts: Facts,
}

impl Entry {
    /// Whether it is a file, not a deletion.
    #[must_use]
    pub fn is_file(&self) -> bool {
        matches!(self.facts.kind, Kind::File { .. })
    }

    /// The hash of its content, if it is a file and the hash is known.
    #[must_use]
    pub fn content(&self) -> Option<Hash> {
        match self.facts.kind {
            Kind::File { content, .. } => content,
            Kind::Tomb => None,
        }
    }

    /// Whether its owner may execute the file, if that is known.
    #[must_use]
    pub fn executable(&self) -> Option<bool> {
        match self.facts.kind {
            Kind::File { executable, .. } => executable,
            Kind::Tomb => None,
        }
    }
}

/// All entries of one path.
#[derive(Debug, Clone)]
pub struct Line {
    /// Oldest first.
    entries: Vec<Entry>,
    /// Places of the heads among the entries.
    heads: Vec<usize>,
    /// The head that counts.
    winner: usize,
}

impl Line {
    fn new(mut entries: Vec<Entry>) -> Self {
        let times = effective_times(&entries);
        let order = |entry: &Entry| (times[&entry.id], entry.id);
        entries.sort_by_key(order);
        let mut heads = heads(&entries);
        let last = entries.len() - 1;
        if heads.is_empty() {
            // Clocks that go backwards can make a ring.
            heads.push(last);
        }
        let winner = heads.iter().copied().max_by_key(|at| (entries[*at].is_file(), *at)).unwrap_or(last);
        Self { entries, heads, winner }
    }

    /// All entries, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry that counts.
    #[must_use]
    pub fn winner(&self) -> &Entry {
        &self.entries[self.winner]
    }

    /// The entries that nothing has replaced.
    pub fn heads(&self) -> impl Iterator<Item = &Entry> {
        self.heads.iter().map(|at| &self.entries[*at])
    }

    /// Whether any entry has this content.
    #[must_use]
    pub fn has_content(&self, content: &Hash) -> bool {
        self.entries.iter().any(|entry| entry.content() == Some(*content))
    }
}

/// When each entry counts as written. One that is the same version as another counts as old as that, else making a file
/// readable for a new reader would look like an edit.
fn effective_times(entries: &[Entry]) -> BTreeMap<Hash, u64> {
    let by_id: BTreeMap<Hash, &Entry> = entries.iter().map(|entry| (entry.id, entry)).collect();
    let first = |entry: &Entry| {
        let (mut time, mut same) = (entry.time, entry.facts.same);
        // Names are hashes, so there is no ring; the count is for a chain of any length.
        for _ in 0..entries.len() {
            let Some(before) = same.and_then(|id| by_id.get(&id)) else { break };
            (time, same) = (time.min(before.time), before.facts.same);
        }
        time
    };
    entries.iter().map(|entry| (entry.id, first(entry))).collect()
}

/// Places of the entries that nothing covers; `entries` are in order.
fn heads(entries: &[Entry]) -> Vec<usize> {
    let mut named: BTreeSet<Hash> = entries.iter().filter_map(|entry| entry.facts.same).collect();
    for entry in entries {
        named.extend(entry.facts.after.iter().flatten());
    }
    // Whoever has replaced a version has replaced it under each of its names. Chains of names are followed to their end.
    // Another name of a version does not replace it.
    let replaced = |entry: &Entry| {
        let (after, same) = (entry.facts.after.clone(), entry.facts.same);
        after.into_iter().flatten().filter(move |id| Some(*id) != same)
    };
    let mut old: BTreeSet<Hash> = entries.iter().flat_map(replaced).collect();
    loop {
        let more = entries.iter().filter(|entry| entry.facts.same.is_some_and(|id| old.contains(&id)));
        let more: Vec<Hash> = more.map(|entry| entry.id).filter(|id| !old.contains(id)).collect();
        if more.is_empty() {
            break;
        }
        old.extend(more);
    }
    named.extend(old);
    let silent = entries.iter().rposition(|entry| entry.facts.after.is_none());
    let kept = silent.map(|at| descendants(entries, at)).unwrap_or_default();
    let covered = |at: usize| silent.is_some_and(|silent| at < silent) && !kept.contains(&entries[at].id);
    (0..entries.len()).filter(|at| !named.contains(&entries[*at].id) && !covered(*at)).collect()
}

/// The entries that name this one, or one that names it, and so on.
fn descendants(entries: &[Entry], at: usize) -> BTreeSet<Hash> {
    let mut found = BTreeSet::from([entries[at].id]);
    loop {
        let follows = |entry: &&Entry| {
            let mut named = entry.facts.after.iter().flatten().chain(&entry.facts.same);
            !found.contains(&entry.id) && named.any(|id| found.contains(id))
        };
        let more: Vec<Hash> = entries.iter().filter(follows).map(|entry| entry.id).collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

/// All paths.
#[derive(Debug, Clone, Default)]
pub struct History {
    lines: BTreeMap<RelPath, Line>,
}

impl History {
    /// From accepted entries in any order. Of several with one name the latest counts: the same payload was accepted
    /// more than once.
    #[must_use]
    pub fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut paths: BTreeMap<RelPath, BTreeMap<Hash, Entry>> = BTreeMap::new();
        for entry in entries {
            let line = paths.entry(entry.facts.path.clone()).or_default();
            match line.get_mut(&entry.id) {
                Some(known) => known.time = known.time.max(entry.time),
                None => drop(line.insert(entry.id, entry)),
            }
        }
        let lines = paths.into_iter().map(|(path, line)| (path, Line::new(line.into_values().collect())));
        Self { lines: lines.collect() }
    }

    /// What is known of a path.
    #[must_use]
    pub fn line(&self, path: &RelPath) -> Option<&Line> {
        self.lines.get(path)
    }

    /// All paths with what is known of them, in their order.
    pub fn lines(&self) -> impl Iterator<Item = (&RelPath, &Line)> {
        self.lines.iter()
    }

    /// The file that counts at a path, if there is one.
    #[must_use]
    pub fn file(&self, path: &RelPath) -> Option<&Entry> {
        self.line(path).map(Line::winner).filter(|entry| entry.is_file())
    }

    /// Paths below a directory that have a file.
    pub fn files_below(&self, dir: &RelPath) -> impl Iterator<Item = &RelPath> {
        let (from, to) = dir.below();
        self.lines.range(from..to).filter(|(_, line)| line.winner().is_file()).map(|(path, _)| path)
    }

    /// The names of the heads of a path, for an entry that replaces them all.
    #[must_use]
    pub fn heads(&self, path: &RelPath) -> Vec<Hash> {
        let heads: Vec<Hash> =
            self.line(path).map(|line| line.heads().map(|entry| entry.id).collect()).unwrap_or_default();
        heads[heads.len().saturating_sub(crate::entry::AFTER_MAX)..].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, time: u64, content: &str, after: Option<&[&str]>) -> Entry {
        let kind = match content {
            "" => Kind::Tomb,
            _ => Kind::File { content: Some(Hash::of(content.as_bytes())), executable: None },
        };
        let after = after.map(|names| names.iter().map(|name| Hash::of(name.as_bytes())).collect());
        let facts = Facts { path: RelPath::parse("f").unwrap(), kind, after, same: None };
        Entry { id: Hash::of(name.as_bytes()), time, tree: Hash::of(b"tree"), facts }
    }

    fn same(name: &str, time: u64, of: &Entry) -> Entry {
        let mut entry = entry(name, time, "x", None);
        entry.facts.kind = of.facts.kind.clone();
        (entry.facts.after, entry.facts.same) = (Some(vec![of.id]), Some(of.id));
        entry
    }

    fn check(entries: &[Entry], winner: &str, heads: &[&str]) {
        for turn in 0..entries.len() {
            let mut shuffled = entries.to_vec();
            shuffled.rotate_left(turn);
            let history = History::new(shuffled);
            let line = history.line(&RelPath::parse("f").unwrap()).unwrap();
            let found: BTreeSet<Hash> = line.heads().map(|entry| entry.id).collect();
            assert_eq!(found, heads.iter().map(|name| Hash::of(name.as_bytes())).collect::<BTreeSet<_>>());
            assert_eq!(line.winner().id, Hash::of(winner.as_bytes()));
        }
    }

    #[test]
    fn without_a_word_about_predecessors_the_newest_counts() {
        check(&[entry("a", 1, "x", None), entry("b", 3, "y", None), entry("c", 2, "", None)], "b", &["b"]);
        check(&[entry("a", 1, "x", None), entry("b", 2, "", None)], "b", &["b"]);
    }

    #[test]
    fn who_names_a_predecessor_replaces_it_whatever_the_clocks_say() {
        check(&[entry("a", 9, "x", Some(&[])), entry("b", 1, "y", Some(&["a"]))], "b", &["b"]);
        let late = entry("a", 9, "x", None);
        check(&[late, entry("b", 1, "y", Some(&["a"]))], "b", &["b"]);
    }

    #[test]
    fn of_two_that_did_not_see_each_other_the_newer_counts_and_a_file_beats_a_deletion() {
        let base = entry("o", 1, "o", Some(&[]));
        let [one, two] = [entry("a", 2, "x", Some(&["o"])), entry("b", 3, "y", Some(&["o"]))];
        check(&[base.clone(), one.clone(), two], "b", &["a", "b"]);
        check(&[base, one, entry("t", 9, "", Some(&["o"]))], "a", &["a", "t"]);
    }

    #[test]
    fn one_that_follows_all_heads_ends_the_conflict() {
        let heads = [entry("a", 2, "x", Some(&[])), entry("b", 3, "y", Some(&[]))];
        let end = entry("c", 4, "z", Some(&["a", "b"]));
        check(&[heads[0].clone(), heads[1].clone(), end], "c", &["c"]);
    }

    #[test]
    fn the_same_version_for_new_readers_is_as_old_as_it_was() {
        let base = entry("o", 1, "o", Some(&[]));
        let edit = entry("e", 2, "x", Some(&["o"]));
        let again = same("p", 9, &base);
        // Somebody has replaced it already, under its first name.
        check(&[base.clone(), edit.clone(), again.clone()], "e", &["e"]);
        check(&[base.clone(), again.clone()], "p", &["p"]);
        // Whatever the order of their names: they are of one time.
        for name in ["a", "b", "c", "d", "e", "f"] {
            let named = same(name, 9, &base);
            check(&[base.clone(), named.clone()], name, &[name]);
            let later = format!("{name}2");
            check(&[base.clone(), named.clone(), same(&later, 10, &named)], &later, &[&later]);
        }
        let rival = entry("r", 2, "y", Some(&[]));
        check(&[base, again, rival], "r", &["p", "r"]);
    }

    #[test]
    fn an_old_writer_covers_what_is_older_but_not_what_follows_it() {
        let old = entry("o", 5, "o", None);
        check(&[old.clone(), entry("a", 4, "x", Some(&[]))], "o", &["o"]);
        check(&[old.clone(), entry("a", 4, "x", Some(&["o"]))], "a", &["a"]);
        check(&[old, entry("a", 6, "x", Some(&[]))], "a", &["o", "a"]);
    }

    #[test]
    fn files_below_a_directory_are_found_and_no_others() {
        let named = |path: &str, content: &str| {
            let mut entry = entry(path, 1, content, None);
            entry.facts.path = RelPath::parse(path).unwrap();
            entry
        };
        let all =
            [named("a", "1"), named("a.b", "2"), named("a/x", "3"), named("a/y", ""), named("ab/z", "4")];
        let history = History::new(all);
        let dir = RelPath::parse("a").unwrap();
        assert_eq!(history.files_below(&dir).map(RelPath::as_str).collect::<Vec<_>>(), ["a/x"]);
        assert!(history.file(&RelPath::parse("a/y").unwrap()).is_none());
    }
}
