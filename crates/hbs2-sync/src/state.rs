//! What a folder remembers between two runs, in `.hbs2-sync/state`.
//!
//! Two files, each CBOR behind a line that names it, replaced as a whole: `folder` has the versions that folder and channel
//! agreed on, what was read of each file, and entries that are on their way into the channel; `log` has what was read of the
//! channel. Both may be deleted; without `folder` nobody knows that a file was here before it was gone. A file that cannot
//! be read counts as deleted.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hbs2_core::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use hbs2_core::{Hash, SignPublicKey};

use crate::entry::Facts;
use crate::error::{Result, SyncError};
use crate::path::{OWN, RelPath};
use crate::plan::Base;
use crate::root::Print;
use crate::scan::Reading;

/// First line of each file; the number grows with its form.
const FOLDER_HEAD: &[u8] = b"hbs2-sync folder 1\n";
const LOG_HEAD: &[u8] = b"hbs2-sync log 1\n";

/// Longest state file that is read, in bytes: some million files.
const STATE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Items of one list in a state file, at most.
const ITEMS_MAX: usize = 16 * 1024 * 1024;

/// An entry that was posted and has not been seen in the log of the channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The payload, which an author signs.
    pub payload: Vec<u8>,
    /// The tree it points to.
    pub tree: Hash,
    /// What it says.
    pub facts: Facts,
    /// When it was posted, in seconds since the epoch.
    pub posted: u64,
}

/// What is known of a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FolderState {
    /// The versions that folder and channel agreed on.
    pub bases: BTreeMap<RelPath, Base>,
    /// What was read of each file.
    pub reads: BTreeMap<RelPath, Reading>,
    /// Entries on their way.
    pub pending: Vec<Pending>,
}

/// An update of the channel, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// A proposal whose payload points to a tree.
    Entry {
        /// The hash of the payload.
        id: Hash,
        /// The tree.
        tree: Hash,
    },
    /// An acceptance of a proposal.
    Acceptance {
        /// The update that proposed.
        proposal: Hash,
        /// When, in seconds since the epoch.
        seconds: u64,
    },
    /// Something else.
    Other,
}

/// A tree of the channel whose head and metadata were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownTree {
    /// The root of the tree of its group key.
    pub key: Hash,
    /// What it says; none when it is no entry.
    pub facts: Option<Facts>,
}

/// What was read of a channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogState {
    /// Updates by their names.
    pub updates: BTreeMap<Hash, Update>,
    /// Trees by their roots.
    pub trees: BTreeMap<Hash, KnownTree>,
    /// Hashes of contents that were found by reading them, by tree.
    pub contents: BTreeMap<Hash, Hash>,
}

/// Where the state of a folder is.
#[must_use]
pub fn place(dir: &Path) -> PathBuf {
    dir.join(OWN).join("state")
}

/// Whether a folder has a state: a run has ended here, or its channel was made here.
#[must_use]
pub fn exists(dir: &Path) -> bool {
    place(dir).join("folder").is_file()
}

impl FolderState {
    /// Reads the state; what cannot be read is empty, and so is the state of another channel.
    #[must_use]
    pub fn load(dir: &Path, chan: &SignPublicKey) -> Self {
        load(&place(dir).join("folder"), FOLDER_HEAD, chan).unwrap_or_default()
    }

    /// Writes the state; it is on stable storage when this returns.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save(&self, dir: &Path, chan: &SignPublicKey) -> Result<()> {
        save(&place(dir).join("folder"), FOLDER_HEAD, chan, self)
    }
}

impl LogState {
    /// Reads what is known of the channel.
    #[must_use]
    pub fn load(dir: &Path, chan: &SignPublicKey) -> Self {
        load(&place(dir).join("log"), LOG_HEAD, chan).unwrap_or_default()
    }

    /// Writes it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save(&self, dir: &Path, chan: &SignPublicKey) -> Result<()> {
        save(&place(dir).join("log"), LOG_HEAD, chan, self)
    }
}

fn load<T: Decode>(path: &Path, head: &[u8], chan: &SignPublicKey) -> Option<T> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).ok()?;
    io::Read::read_to_end(&mut io::Read::take(file, STATE_BYTES_MAX), &mut bytes).ok()?;
    let mut d = Decoder::new(bytes.strip_prefix(head)?);
    let owner = SignPublicKey::decode(&mut d).ok()?;
    let state = T::decode(&mut d).ok()?;
    (owner == *chan && d.is_at_end()).then_some(state)
}

fn save(path: &Path, head: &[u8], chan: &SignPublicKey, state: &impl Encode) -> Result<()> {
    let mut e = Encoder::new();
    chan.encode(&mut e);
    state.encode(&mut e);
    let cbor = e.into_bytes();
    let fresh = path.with_extension("new");
    let write = || {
        let mut file = fs::File::create(&fresh)?;
        file.write_all(head)?;
        file.write_all(&cbor)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().map_err(|source| SyncError::File { doing: "write", path: path.to_owned(), source })
}

fn path_of(d: &mut Decoder<'_>) -> std::result::Result<RelPath, DecodeError> {
    let text = d.text()?;
    RelPath::parse(text).map_err(|_| d.error("a path of a folder"))
}

fn facts_of(d: &mut Decoder<'_>) -> std::result::Result<Facts, DecodeError> {
    let text = d.text()?;
    Facts::read(text).map_err(|_| d.error("the text of an entry"))
}

impl Encode for FolderState {
    fn encode(&self, e: &mut Encoder) {
        e.array(3);
        e.list(&self.bases, |e, (path, base)| {
            e.array(4);
            e.text(path.as_str());
            base.id.encode(e);
            base.content.encode(e);
            e.bool(base.executable);
        });
        e.list(&self.reads, |e, (path, read)| {
            e.array(10);
            e.text(path.as_str());
            let print = &read.print;
            e.uint(print.inode);
            e.uint(print.bytes);
            e.integer(print.modified.0.into());
            e.uint(print.modified.1.into());
            e.integer(print.changed.0.into());
            e.uint(print.changed.1.into());
            e.uint(print.mode.into());
            read.content.encode(e);
            e.bool(read.settled);
        });
        e.list(&self.pending, |e, pending| {
            e.array(4);
            e.bytes(&pending.payload);
            pending.tree.encode(e);
            e.text(&pending.facts.text());
            e.uint(pending.posted);
        });
    }
}

impl Decode for FolderState {
    fn decode(d: &mut Decoder<'_>) -> std::result::Result<Self, DecodeError> {
        d.tuple(3)?;
        let bases = d.list(ITEMS_MAX, |d| {
            d.tuple(4)?;
            let path = path_of(d)?;
            let (id, content) = (Hash::decode(d)?, Hash::decode(d)?);
            Ok((path, Base { id, content, executable: d.bool()? }))
        })?;
        let reads = d.list(ITEMS_MAX, |d| {
            d.tuple(10)?;
            let path = path_of(d)?;
            let (inode, bytes) = (d.uint()?, d.uint()?);
            let modified = (seconds_of(d)?, d.u32()?);
            let changed = (seconds_of(d)?, d.u32()?);
            let print = Print { inode, bytes, modified, changed, mode: d.u32()? };
            Ok((path, Reading { print, content: Hash::decode(d)?, settled: d.bool()? }))
        })?;
        let pending = d.list(ITEMS_MAX, |d| {
            d.tuple(4)?;
            let payload = d.bytes()?.to_vec();
            Ok(Pending { payload, tree: Hash::decode(d)?, facts: facts_of(d)?, posted: d.uint()? })
        })?;
        Ok(Self { bases: bases.into_iter().collect(), reads: reads.into_iter().collect(), pending })
    }
}

fn seconds_of(d: &mut Decoder<'_>) -> std::result::Result<i64, DecodeError> {
    let number = d.integer()?;
    i64::try_from(number).map_err(|_| d.error("a time in seconds"))
}

impl Encode for LogState {
    fn encode(&self, e: &mut Encoder) {
        e.array(3);
        e.list(&self.updates, |e, (hash, update)| match update {
            Update::Entry { id, tree } => {
                e.variant(0, 3);
                hash.encode(e);
                id.encode(e);
                tree.encode(e);
            }
            Update::Acceptance { proposal, seconds } => {
                e.variant(1, 3);
                hash.encode(e);
                proposal.encode(e);
                e.uint(*seconds);
            }
            Update::Other => {
                e.variant(2, 1);
                hash.encode(e);
            }
        });
        e.list(&self.trees, |e, (root, tree)| {
            e.array(3);
            root.encode(e);
            tree.key.encode(e);
            e.maybe(tree.facts.as_ref(), |e, facts| e.text(&facts.text()));
        });
        e.list(&self.contents, |e, (root, content)| {
            e.array(2);
            root.encode(e);
            content.encode(e);
        });
    }
}

impl Decode for LogState {
    fn decode(d: &mut Decoder<'_>) -> std::result::Result<Self, DecodeError> {
        d.tuple(3)?;
        let updates = d.list(ITEMS_MAX, |d| match d.variant()? {
            (0, 3) => Ok((Hash::decode(d)?, Update::Entry { id: Hash::decode(d)?, tree: Hash::decode(d)? })),
            (1, 3) => {
                let hash = Hash::decode(d)?;
                Ok((hash, Update::Acceptance { proposal: Hash::decode(d)?, seconds: d.uint()? }))
            }
            (2, 1) => Ok((Hash::decode(d)?, Update::Other)),
            _ => Err(d.error("an update")),
        })?;
        let trees = d.list(ITEMS_MAX, |d| {
            d.tuple(3)?;
            let root = Hash::decode(d)?;
            Ok((root, KnownTree { key: Hash::decode(d)?, facts: d.maybe(facts_of)? }))
        })?;
        let contents = d.list(ITEMS_MAX, |d| {
            d.tuple(2)?;
            Ok((Hash::decode(d)?, Hash::decode(d)?))
        })?;
        Ok(Self {
            updates: updates.into_iter().collect(),
            trees: trees.into_iter().collect(),
            contents: contents.into_iter().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Kind;

    #[test]
    fn what_is_saved_is_loaded_and_belongs_to_its_channel() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(place(dir.path())).unwrap();
        let [chan, other] = [1, 2].map(|byte| SignPublicKey::from_bytes([byte; 32]));
        let (path, hash) = (RelPath::parse("a/b").unwrap(), Hash::of(b"x"));
        let print = Print { inode: 7, bytes: 3, modified: (-1, 5), changed: (9, 0), mode: 0o644 };
        let kind = Kind::File { content: Some(hash), executable: Some(true) };
        let facts = Facts { path: path.clone(), kind, after: Some(vec![hash]), same: None };
        let folder = FolderState {
            bases: BTreeMap::from([(path.clone(), Base { id: hash, content: hash, executable: true })]),
            reads: BTreeMap::from([(path, Reading { print, content: hash, settled: true })]),
            pending: vec![Pending { payload: vec![1], tree: hash, facts: facts.clone(), posted: 5 }],
        };
        folder.save(dir.path(), &chan).unwrap();
        assert_eq!(FolderState::load(dir.path(), &chan), folder);
        assert_eq!(FolderState::load(dir.path(), &other), FolderState::default());
        let log = LogState {
            updates: BTreeMap::from([
                (Hash::of(b"1"), Update::Entry { id: hash, tree: hash }),
                (Hash::of(b"2"), Update::Acceptance { proposal: hash, seconds: 8 }),
                (Hash::of(b"3"), Update::Other),
            ]),
            trees: BTreeMap::from([
                (Hash::of(b"4"), KnownTree { key: hash, facts: Some(facts) }),
                (Hash::of(b"5"), KnownTree { key: hash, facts: None }),
            ]),
            contents: BTreeMap::from([(hash, hash)]),
        };
        log.save(dir.path(), &chan).unwrap();
        assert_eq!(LogState::load(dir.path(), &chan), log);
        fs::write(place(dir.path()).join("log"), "garbage").unwrap();
        assert_eq!(LogState::load(dir.path(), &chan), LogState::default());
    }
}
