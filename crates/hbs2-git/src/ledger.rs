//! Local state of one repository: what we know of its transactions (spec: git3 7).
//!
//! Everything lies in `hbs2/<repository>/<reflog>` of the git directory, may be deleted, and is then rebuilt
//! from the reflog:
//!
//! * `transactions`: one line for each known transaction, appended as they come;
//! * `view`: the chosen checkpoint and its references, replaced as a whole, so that a fetch with nothing new
//!   reads this one small file;
//! * `ids/`: the object index ([`ids`](crate::ids));
//! * `lock`: held by the one process that changes the rest.
//!
//! ```text
//! S <transaction> <tree>                      a segment
//! C <transaction> <tree> <rank>               a checkpoint
//! X <transaction>                             not ours, or badly signed: never looked at again
//! R <transaction> <time> <id> <name>          a reference line of a segment
//! I <transaction>                             a segment whose objects are here and in the index
//! ```
//! A last line without its end was cut off by a crash and is dropped.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use hbs2_core::Hash;

use crate::error::{Error, Result};
use crate::object::RefName;
use crate::refs::{PlacedLine, RefLine, RefTable};
use crate::transaction::{Payload, Transaction};

/// What is known of one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// What it says; none when it is not ours.
    pub payload: Option<Payload>,
    /// Of a segment: its objects are here and in the index, and `lines` is complete.
    pub imported: bool,
    /// Reference lines of an imported segment.
    pub lines: Vec<RefLine>,
}

/// All known transactions.
#[derive(Debug, Default)]
pub struct Ledger {
    path: Option<PathBuf>,
    entries: BTreeMap<Hash, Entry>,
    /// Lines not yet written.
    pending: Vec<u8>,
}

/// The state that was chosen last, for one value of the reflog.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// The reflog's value when it was chosen; none before there was one.
    pub root: Option<Hash>,
    /// The checkpoint, if there is one.
    pub checkpoint: Option<Transaction>,
    /// The references in its segments.
    pub refs: RefTable,
}

impl Ledger {
    /// Reads the ledger in the directory `dir`; without a directory it lives in memory only.
    ///
    /// # Errors
    /// The file is there but cannot be read.
    pub fn open(dir: Option<&Path>) -> Result<Self> {
        let mut ledger = Self { path: dir.map(|dir| dir.join("transactions")), ..Self::default() };
        let Some(path) = &ledger.path else { return Ok(ledger) };
        let text = read_or_empty(path)?;
        let complete = text.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
        for line in text[..complete].split(|b| *b == b'\n') {
            // A line we cannot read is forgotten: the transaction is looked at again.
            if let Some((id, fact)) = parse_fact(line) {
                ledger.entries.entry(id).or_default().learn(fact);
            }
        }
        Ok(ledger)
    }

    /// What is known of a transaction.
    #[must_use]
    pub fn get(&self, id: &Hash) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// All known transactions.
    pub fn entries(&self) -> impl Iterator<Item = (&Hash, &Entry)> {
        self.entries.iter()
    }

    /// Learns what a transaction says, or that it is not ours.
    pub fn add(&mut self, id: Hash, payload: Option<Payload>) {
        let line = match payload {
            Some(Payload::Segment { tree }) => format!("S {id} {tree}\n"),
            Some(Payload::Checkpoint { tree, rank }) => format!("C {id} {tree} {rank}\n"),
            None => format!("X {id}\n"),
        };
        self.pending.extend_from_slice(line.as_bytes());
        self.entries.entry(id).or_default().learn(Fact::Payload(payload));
    }

    /// Learns that a segment was imported and which references it sets.
    pub fn set_imported(&mut self, id: Hash, lines: Vec<RefLine>) {
        for line in lines {
            self.pending.extend_from_slice(format!("R {id} {} {} ", line.time, line.id).as_bytes());
            self.pending.extend_from_slice(line.name.as_bytes());
            self.pending.push(b'\n');
            self.entries.entry(id).or_default().learn(Fact::Line(line));
        }
        self.pending.extend_from_slice(format!("I {id}\n").as_bytes());
        self.entries.entry(id).or_default().learn(Fact::Imported);
    }

    /// Brings what was learnt to stable storage.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&mut self) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        let Some(path) = self.path.as_ref().filter(|_| !pending.is_empty()) else { return Ok(()) };
        append(path, &pending).map_err(|source| Error::File { doing: "write", path: path.clone(), source })
    }

    /// The references that a set of transactions makes. Segments not imported count nothing.
    #[must_use]
    pub fn refs<'a>(&self, transactions: impl IntoIterator<Item = &'a Hash>) -> RefTable {
        let mut table = RefTable::default();
        for id in transactions {
            let lines = self.entries.get(id).map_or(&[][..], |entry| &entry.lines);
            lines.iter().for_each(|line| table.offer(*id, line));
        }
        table
    }
}

/// One line of the file.
enum Fact {
    Payload(Option<Payload>),
    Imported,
    Line(RefLine),
}

impl Entry {
    fn learn(&mut self, fact: Fact) {
        match fact {
            Fact::Payload(payload) => self.payload = payload,
            Fact::Imported => self.imported = true,
            // After a crash a segment is imported again, and its lines come a second time.
            Fact::Line(line) if self.lines.contains(&line) => {}
            Fact::Line(line) => self.lines.push(line),
        }
    }
}

fn parse_fact(line: &[u8]) -> Option<(Hash, Fact)> {
    let mut parts = line.splitn(5, |b| *b == b' ');
    let mut text = || std::str::from_utf8(parts.next()?).ok();
    let (letter, id) = (text()?, text()?.parse().ok()?);
    let fact = match letter {
        "S" => Fact::Payload(Some(Payload::Segment { tree: text()?.parse().ok()? })),
        "C" => {
            let tree = text()?.parse().ok()?;
            Fact::Payload(Some(Payload::Checkpoint { tree, rank: text()?.parse().ok()? }))
        }
        "X" => Fact::Payload(None),
        "I" => Fact::Imported,
        "R" => {
            let (time, object) = (text()?.parse().ok()?, text()?.parse().ok()?);
            Fact::Line(RefLine { time, id: object, name: RefName::new(parts.next()?).ok()? })
        }
        _ => return None,
    };
    Some((id, fact))
}

impl View {
    /// Reads the view in `dir`; an absent or unreadable one is empty, and everything is looked at again.
    ///
    /// # Errors
    /// The file is there but cannot be read.
    pub fn load(dir: &Path) -> Result<Self> {
        let text = read_or_empty(&dir.join("view"))?;
        Ok(Self::parse(&text).unwrap_or_default())
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let mut view = Self::default();
        let body = text.strip_suffix(b"end\n")?;
        for line in body.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            match line.strip_prefix(b"root ") {
                Some(root) => view.root = Some(std::str::from_utf8(root).ok()?.parse().ok()?),
                None => match parse_fact(line)? {
                    (id, Fact::Payload(Some(payload))) => view.checkpoint = Some(Transaction { id, payload }),
                    (id, Fact::Line(line)) => view.refs.offer(id, &line),
                    _ => return None,
                },
            }
        }
        Some(view)
    }

    /// Replaces the view in `dir`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let mut text = Vec::new();
        if let Some(root) = self.root {
            text.extend_from_slice(format!("root {root}\n").as_bytes());
        }
        if let Some(Transaction { id, payload: Payload::Checkpoint { tree, rank } }) = self.checkpoint {
            text.extend_from_slice(format!("C {id} {tree} {rank}\n").as_bytes());
        }
        for PlacedLine { transaction, line } in self.refs.lines() {
            text.extend_from_slice(format!("R {transaction} {} {} ", line.time, line.id).as_bytes());
            text.extend_from_slice(line.name.as_bytes());
            text.push(b'\n');
        }
        text.extend_from_slice(b"end\n");
        replace(&dir.join("view"), &text)
    }
}

/// Replaces a small file as a whole. It is a cache: not forced to the disk, but never half written.
///
/// # Errors
/// The file cannot be written.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let temp = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = fs::write(&temp, bytes).and_then(|()| fs::rename(&temp, path));
    written.map_err(|source| Error::File { doing: "write", path: path.to_owned(), source })
}

/// The bytes of a file, none when it is not there.
///
/// # Errors
/// The file is there but cannot be read.
pub fn read_or_empty(path: &Path) -> Result<Vec<u8>> {
    match fs::read(path) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(Error::File { doing: "read", path: path.to_owned(), source }),
    }
}

/// Appends whole lines, behind the last whole line that is there.
fn append(path: &Path, lines: &[u8]) -> io::Result<()> {
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
    let length = file.seek(SeekFrom::End(0))?;
    let mut last = [b'\n'];
    if length > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    if last != [b'\n'] {
        // The rest of a crash: its line is not readable, so end it.
        file.write_all(b"\n")?;
    }
    file.write_all(lines)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::ObjectId;

    fn hash(byte: u8) -> Hash {
        Hash::from_bytes([byte; 32])
    }

    fn line(time: u64, name: &str) -> RefLine {
        RefLine { time, id: ObjectId::from_bytes([time as u8; 20]), name: RefName::new(name).unwrap() }
    }

    #[test]
    fn what_was_learnt_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(Some(dir.path())).unwrap();
        ledger.add(hash(1), Some(Payload::Segment { tree: hash(11) }));
        ledger.add(hash(2), Some(Payload::Checkpoint { tree: hash(12), rank: 77 }));
        ledger.add(hash(3), None);
        ledger.save().unwrap();
        ledger.set_imported(hash(1), vec![line(1, "refs/heads/a"), line(2, "refs/heads/a;b\"ü")]);
        ledger.save().unwrap();
        let again = Ledger::open(Some(dir.path())).unwrap();
        assert_eq!(again.entries, ledger.entries);
        assert!(again.get(&hash(1)).unwrap().imported);
        assert_eq!(again.refs(&[hash(1)]).existing().count(), 2);
        assert_eq!(again.refs(&[hash(2)]).existing().count(), 0);
    }

    #[test]
    fn a_cut_off_line_is_dropped_and_does_not_spoil_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("transactions");
        fs::write(&path, format!("X {}\nS {}", hash(1), hash(2))).unwrap();
        let mut ledger = Ledger::open(Some(dir.path())).unwrap();
        assert!(ledger.get(&hash(2)).is_none());
        ledger.add(hash(3), None);
        ledger.save().unwrap();
        let again = Ledger::open(Some(dir.path())).unwrap();
        assert!(again.get(&hash(1)).is_some() && again.get(&hash(3)).is_some());
        assert!(again.get(&hash(2)).is_none());
    }

    #[test]
    fn a_view_is_read_again_and_a_broken_one_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(View::load(dir.path()).unwrap(), View::default());
        let mut view = View { root: Some(hash(1)), ..View::default() };
        let payload = Payload::Checkpoint { tree: hash(3), rank: 5 };
        view.checkpoint = Some(Transaction { id: hash(2), payload });
        view.refs.offer(hash(4), &line(9, "refs/tags/ü"));
        view.save(dir.path()).unwrap();
        assert_eq!(View::load(dir.path()).unwrap(), view);
        let text = fs::read(dir.path().join("view")).unwrap();
        fs::write(dir.path().join("view"), &text[..text.len() - 5]).unwrap();
        assert_eq!(View::load(dir.path()).unwrap(), View::default());
    }
}
