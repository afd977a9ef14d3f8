//! Volumes and index together: the state of a store, and the one thread that changes it.
//!
//! A change is appended to the last volume and noted among the *fresh* entries, where readers look first. A sync
//! brings the volume to stable storage, then moves the fresh entries into the index. So the index never names
//! what could be lost, one sync of one file makes any number of blocks durable, and their bytes are written once.
//!
//! Opening reads the records behind the index's progress again. Only the last volume can hold bytes that were
//! never synced, so its payloads are checked on the way; of the others headers are enough. A damaged index is
//! thrown away and made from all volumes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hbs2_core::{Hash, inspect};

use super::committer::{Change, Failure, Sink};
use super::index::{Changes, Entry, Index, IndexError, Key, Progress};
use super::record::{Header, Kind};
use super::volumes::{Payloads, Position, Scanned, Volumes, Writer};
use super::{references, value};
use crate::Cause;

/// Entries that opening and rewriting collect before they go into the index: some megabytes of memory.
const FRESH_ENTRIES: usize = 10_000;

/// State that readers share with the writing thread.
pub(super) struct Shared {
    pub(super) volumes: Arc<Volumes>,
    pub(super) index: Index,
    /// What is written and not yet in the index. Changed by the writing thread only.
    fresh: RwLock<Changes>,
    blocks: AtomicU64,
    damage_mark: PathBuf,
}

/// The writing side. One thread owns it.
pub(super) struct Engine {
    shared: Arc<Shared>,
    writer: Writer,
    /// Bytes that fell out of use since the last sync, by volume.
    dead: BTreeMap<u32, u64>,
    /// Volumes that may have become worth rewriting.
    touched: BTreeSet<u32>,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum EngineError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Index(#[from] IndexError),
}

impl Shared {
    /// The current state of `key`.
    pub(super) fn entry(&self, key: &Key) -> Result<Option<Entry>, IndexError> {
        if let Some(fresh) = self.fresh().get(key) {
            return Ok(fresh.clone());
        }
        self.index.entry(key).inspect_err(|error| self.note_damage(error))
    }

    /// Entries that are not in the index yet.
    pub(super) fn fresh(&self) -> RwLockReadGuard<'_, Changes> {
        self.fresh.read().expect("no holder panics")
    }

    /// Blocks stored.
    pub(super) fn blocks(&self) -> u64 {
        self.blocks.load(Ordering::Relaxed)
    }

    /// Sees to it that an index which is damaged, or whose engine has stopped, is made anew when the store is next
    /// opened.
    pub(super) fn note_damage(&self, error: &IndexError) {
        if error.is_lasting() {
            tracing::error!(%error, "the index will be made anew at the next start");
            if let Err(error) = std::fs::write(&self.damage_mark, error.to_string()) {
                tracing::error!(%error, "this could not be noted");
            }
        }
    }

    fn fresh_mut(&self) -> RwLockWriteGuard<'_, Changes> {
        self.fresh.write().expect("no holder panics")
    }
}

impl Engine {
    /// Opens the store in `path`, which is locked. Volumes are complete at `volume_bytes`.
    pub(super) fn open(path: &Path, volume_bytes: u64) -> Result<Self, EngineError> {
        let volumes = Arc::new(Volumes::open(&path.join("volumes"), volume_bytes)?);
        let damage_mark = path.join("index.damaged");
        let index = open_index(&path.join("index"), &damage_mark)?;
        let progress = index.progress()?;
        let shared = Shared {
            volumes: Arc::clone(&volumes),
            index,
            fresh: RwLock::default(),
            blocks: AtomicU64::new(progress.blocks),
            damage_mark,
        };
        let numbers = volumes.numbers()?;
        let clean = replay(&shared, &numbers, progress.position)?;
        let writer = match numbers.last() {
            None => volumes.create(1)?,
            Some(last) if clean => volumes.append(*last)?,
            // What the crash left would run into new records.
            Some(last) => volumes.create(last + 1)?,
        };
        Ok(Self { shared: Arc::new(shared), writer, dead: BTreeMap::new(), touched: BTreeSet::new() })
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    fn write(&mut self, changes: Vec<Change>) -> Result<(), EngineError> {
        if self.writer.is_full() {
            self.start_volume()?;
        }
        let mut written = Changes::new();
        let mut together = Vec::new();
        for change in changes {
            match change {
                Change::PutBlock { hash, bytes } => {
                    let kind = if inspect::may_link(&bytes) { Kind::Linking } else { Kind::Blob };
                    let at = self.writer.write(kind, hash.as_bytes(), &bytes)?;
                    written.insert(Key::block(&hash), Some(Entry::At(at)));
                }
                Change::DeleteBlock { hash } => {
                    self.writer.write(Kind::BlockRemoved, hash.as_bytes(), &[])?;
                    written.insert(Key::block(&hash), None);
                }
                Change::Reference { key, value } => together.push((key, value)),
                Change::Record { name, value: Some(value) } => {
                    let payload = value::seal(name.as_bytes(), &value);
                    let at = self.writer.write(Kind::Record, name.as_bytes(), &payload)?;
                    written.insert(Key::record(&name), Some(Entry::At(at)));
                }
                Change::Record { name, value: None } => {
                    self.writer.write(Kind::RecordRemoved, name.as_bytes(), &[])?;
                    written.insert(Key::record(&name), None);
                }
            }
        }
        self.write_references(&together, &mut written)?;
        self.writer.flush()?;
        self.publish(written)
    }

    /// Writes references as one record, so that a crash keeps all or none.
    fn write_references(
        &mut self,
        changes: &[(Hash, Option<Hash>)],
        written: &mut Changes,
    ) -> Result<(), EngineError> {
        if !changes.is_empty() {
            let at = self.writer.write(Kind::References, &[], &references::encode(changes))?;
            for (key, value) in changes {
                let entry = value.map(|value| Entry::Reference { value, at });
                written.insert(Key::reference(key), entry);
            }
        }
        Ok(())
    }

    /// Makes what was written visible to readers.
    fn publish(&mut self, written: Changes) -> Result<(), EngineError> {
        for (key, entry) in &written {
            count(&self.shared, key, entry.as_ref(), &mut self.dead)?;
        }
        self.shared.fresh_mut().extend(written);
        Ok(())
    }

    /// Brings everything written to stable storage and into the index.
    fn settle(&mut self) -> Result<(), EngineError> {
        self.writer.sync()?;
        let fresh = self.shared.fresh();
        self.shared.index.apply(&fresh, &self.progress(), &self.dead)?;
        drop(fresh);
        self.shared.fresh_mut().clear();
        self.touched.extend(std::mem::take(&mut self.dead).into_keys());
        Ok(())
    }

    fn progress(&self) -> Progress {
        Progress { position: self.writer.position(), blocks: self.shared.blocks() }
    }

    /// Completes the last volume. Completed volumes are on stable storage, and so is the index up to them.
    fn start_volume(&mut self) -> Result<(), EngineError> {
        self.settle()?;
        self.shared.index.sync()?;
        self.writer = self.shared.volumes.create(self.writer.position().volume + 1)?;
        Ok(())
    }

    /// Gives back the space of one volume that is more dead than alive. Whether there was one.
    fn reclaim(&mut self) -> Result<bool, EngineError> {
        // The last volume is looked at when it is complete.
        let last = self.writer.position().volume;
        while let Some(volume) = self.touched.iter().copied().find(|volume| *volume != last) {
            self.touched.remove(&volume);
            if self.shared.index.dead_bytes(volume)? * 2 > self.shared.volumes.length(volume)? {
                self.rewrite(volume)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes what is current in `volume` again and removes it.
    fn rewrite(&mut self, volume: u32) -> Result<(), EngineError> {
        if self.writer.is_full() {
            self.start_volume()?;
        }
        let volumes = Arc::clone(&self.shared.volumes);
        let mut written = Changes::new();
        volumes.scan(volume, 0, Payloads::All, |scanned| {
            self.write_if_current(&scanned, &mut written)?;
            if written.len() >= FRESH_ENTRIES { self.settle_moved(&mut written) } else { Ok(()) }
        })?;
        self.settle_moved(&mut written)?;
        self.shared.index.forget_volume(volume, &self.progress())?;
        self.touched.remove(&volume);
        volumes.remove(volume)?;
        tracing::info!(volume, "gave back the space of a volume");
        Ok(())
    }

    /// Makes the new places of what was copied durable and known.
    fn settle_moved(&mut self, written: &mut Changes) -> Result<(), EngineError> {
        self.writer.flush()?;
        self.shared.fresh_mut().append(written);
        self.settle()
    }

    /// Copies a record to the end if it says something that still holds. A removal is kept while it holds, for an
    /// older volume may have what was removed, and the index may have to be made from the volumes.
    fn write_if_current(&mut self, scanned: &Scanned, written: &mut Changes) -> Result<(), EngineError> {
        let payload = scanned.payload.as_deref().unwrap_or_default();
        let holds = |current: Option<Entry>, removal: bool| match current {
            Some(entry) => !removal && entry.location() == scanned.location,
            None => removal,
        };
        if scanned.header.kind == Kind::References {
            let mut current = Vec::new();
            for (key, value) in references::decode(payload).unwrap_or_default() {
                if holds(self.shared.entry(&Key::reference(&key))?, value.is_none()) {
                    current.push((key, value));
                }
            }
            return self.write_references(&current, written);
        }
        let Some(key) = key_of(&scanned.header) else { return Ok(()) };
        if holds(self.shared.entry(&key)?, is_removal(scanned.header.kind)) {
            let at = self.writer.write(scanned.header.kind, &scanned.header.name, payload)?;
            written.insert(key, (!is_removal(scanned.header.kind)).then_some(Entry::At(at)));
        }
        Ok(())
    }

    fn cause(&self, error: EngineError) -> Cause {
        if let EngineError::Index(error) = &error {
            self.shared.note_damage(error);
        }
        error.into_cause()
    }
}

impl Sink for Engine {
    fn apply(&mut self, changes: Vec<Change>) -> Result<(), Failure> {
        let before = self.writer.position();
        self.write(changes).map_err(|error| {
            if is_no_room(&error) && self.writer.go_back(before).is_ok() {
                Failure::NoRoom(self.cause(error))
            } else {
                Failure::Broken(self.cause(error))
            }
        })
    }

    fn sync(&mut self) -> Result<(), Cause> {
        self.settle().map_err(|error| self.cause(error))
    }

    fn upkeep(&mut self) -> Result<bool, Cause> {
        self.reclaim().map_err(|error| self.cause(error))
    }
}

impl EngineError {
    /// The plain cause: the system's error where there is one.
    pub(super) fn into_cause(self) -> Cause {
        match self {
            Self::Io(error) => Arc::new(error),
            Self::Index(error) => Arc::new(error),
        }
    }
}

/// Whether a write failed because there was no room for it.
fn is_no_room(error: &EngineError) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error, EngineError::Io(error) if matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge))
}

/// Opens the index, or makes an empty one if there is none or a damaged one.
///
/// Some damage makes the engine panic or ask for more memory than there is, which ends the process. So the mark
/// of damage is set while the index is opened: whoever dies over it finds the mark at the next start.
fn open_index(path: &Path, damage_mark: &Path) -> Result<Index, EngineError> {
    let opened = if damage_mark.try_exists()? {
        Err(IndexError::Damaged { reason: "it could not be used the last time".to_owned() })
    } else {
        std::fs::write(damage_mark, "opening")?;
        Index::open(path)
    };
    let index = match opened {
        Err(IndexError::Damaged { reason }) => {
            tracing::error!(path = %path.display(), %reason, "the index is damaged and is made anew");
            if path.try_exists()? {
                std::fs::remove_dir_all(path)?;
            }
            Index::open(path)?
        }
        opened => opened?,
    };
    std::fs::remove_file(damage_mark)?;
    Ok(index)
}

/// Brings the records behind `position` into the index. The answer is whether the last volume can be appended to.
fn replay(shared: &Shared, numbers: &[u32], position: Position) -> Result<bool, EngineError> {
    let mut clean = true;
    for number in numbers.iter().copied().filter(|number| *number >= position.volume) {
        let offset = if number == position.volume { position.offset } else { 0 };
        let last = numbers.last() == Some(&number);
        let payloads = if last { Payloads::All } else { Payloads::References };
        let mut replay = Replay { shared, dead: BTreeMap::new(), whole: true };
        let only_records = shared.volumes.scan(number, offset, payloads, |scanned| replay.take(&scanned))?;
        let length = shared.volumes.length(number)?;
        replay.hand_over(Position { volume: number, offset: length })?;
        clean = only_records && replay.whole && length >= offset;
        if !clean {
            tracing::warn!(
                volume = number,
                "a volume holds bytes that are no records, as a crash leaves them"
            );
        }
    }
    Ok(clean)
}

struct Replay<'a> {
    shared: &'a Shared,
    dead: BTreeMap<u32, u64>,
    /// Whether all payloads so far were what was written.
    whole: bool,
}

impl Replay<'_> {
    /// Notes what a record says.
    fn take(&mut self, scanned: &Scanned) -> Result<(), EngineError> {
        if !scanned.payload.as_deref().is_none_or(|payload| is_whole(&scanned.header, payload)) {
            self.whole = false;
            return Ok(());
        }
        if scanned.header.kind == Kind::References {
            for (key, value) in scanned.payload.as_deref().and_then(references::decode).unwrap_or_default() {
                let entry = value.map(|value| Entry::Reference { value, at: scanned.location });
                self.note(Key::reference(&key), entry)?;
            }
        } else if let Some(key) = key_of(&scanned.header) {
            let entry = (!is_removal(scanned.header.kind)).then_some(Entry::At(scanned.location));
            self.note(key, entry)?;
        }
        let many = self.shared.fresh().len() >= FRESH_ENTRIES;
        if many { self.hand_over(scanned.end) } else { Ok(()) }
    }

    fn note(&mut self, key: Key, entry: Option<Entry>) -> Result<(), EngineError> {
        count(self.shared, &key, entry.as_ref(), &mut self.dead)?;
        self.shared.fresh_mut().insert(key, entry);
        Ok(())
    }

    fn hand_over(&mut self, position: Position) -> Result<(), EngineError> {
        let progress = Progress { position, blocks: self.shared.blocks() };
        self.shared.index.apply(&self.shared.fresh(), &progress, &self.dead)?;
        self.shared.fresh_mut().clear();
        self.dead.clear();
        Ok(())
    }
}

/// Counts what changes when `key` becomes `new`.
fn count(
    shared: &Shared,
    key: &Key,
    new: Option<&Entry>,
    dead: &mut BTreeMap<u32, u64>,
) -> Result<(), EngineError> {
    let old = shared.entry(key)?;
    if key.letter() == Key::BLOCK {
        match (old.is_some(), new.is_some()) {
            (false, true) => shared.blocks.fetch_add(1, Ordering::Relaxed),
            (true, false) => shared.blocks.fetch_sub(1, Ordering::Relaxed),
            _ => 0,
        };
    }
    if let Some(old) = old {
        let bytes = match old {
            Entry::At(at) => u64::from(at.bytes),
            // Many references may lie in one record.
            Entry::Reference { .. } => references::ENTRY_BYTES as u64,
        };
        *dead.entry(old.location().volume).or_default() += bytes;
    }
    Ok(())
}

/// What a record is about, unless it is about several references.
fn key_of(header: &Header) -> Option<Key> {
    match header.kind {
        Kind::Blob | Kind::Linking | Kind::BlockRemoved => header.hash().map(|hash| Key::block(&hash)),
        Kind::Record | Kind::RecordRemoved => str::from_utf8(&header.name).ok().map(Key::record),
        Kind::References => None,
    }
}

fn is_removal(kind: Kind) -> bool {
    matches!(kind, Kind::BlockRemoved | Kind::RecordRemoved)
}

/// Whether a payload is what was written.
fn is_whole(header: &Header, payload: &[u8]) -> bool {
    match header.kind {
        Kind::Blob | Kind::Linking => header.hash() == Some(Hash::of(payload)),
        Kind::References => references::decode(payload).is_some(),
        Kind::Record => value::open(&header.name, payload).is_some(),
        Kind::BlockRemoved | Kind::RecordRemoved => payload.is_empty(),
    }
}
