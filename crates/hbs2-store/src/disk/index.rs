//! The index: which payload of which volume is the current one.
//!
//! An embedded sorted map (fjall) from what is stored to where it lies. Everything in it can be found again in
//! the volumes, so it is never synced on its own account: it says how far it has come ([`Progress`]), the
//! records behind that are read again when the store opens, and a damaged index is made anew.
//!
//! Keys are a letter and a name: `b` and the hash of a block, `r` and the key of a reference, `n` and the name of
//! a record, `d` and the number of a volume (four bytes, big-endian) for the count of bytes that are of no use
//! there any more, `p` for the progress.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fjall::config::CompressionPolicy;
use fjall::{
    AbstractTree, CompressionType, Database, Keyspace, KeyspaceCreateOptions, LsmError, OwnedWriteBatch,
    PersistMode,
};
use hbs2_core::Hash;

use super::record::Kind;
use super::volumes::{Location, Position};
use super::{fjall_files, value};

/// Size at which new entries are written into a table, in bytes: some ten thousand blocks.
const WRITE_BUFFER_BYTES: u64 = 2 * 1024 * 1024;

/// Cache of tables, in bytes. The entries of 50,000 blocks fit.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;

/// Tables kept open.
const OPEN_FILES: usize = 32;

/// Space of the engine's journals, in bytes, at which it writes tables to get rid of them. The smallest value it
/// takes.
const JOURNALS_BYTES: u64 = 64 * 1024 * 1024;

/// Threads that write and merge tables. The engine keeps one of them for writing when there are two.
const UPKEEP_THREADS: usize = 2;

/// Length of an encoded location, in bytes.
const LOCATION_BYTES: usize = 13;

/// What is stored, as a key of the index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(Vec<u8>);

/// The current state of something that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A block or a record lies there.
    At(Location),
    /// A reference has this value; the record that says so lies there.
    Reference { value: Hash, at: Location },
}

impl Key {
    /// First letter of the keys of blocks.
    pub(super) const BLOCK: u8 = b'b';
    /// First letter of the keys of references.
    pub(super) const REFERENCE: u8 = b'r';

    pub(super) fn block(hash: &Hash) -> Self {
        Self([&[Self::BLOCK], &hash.as_bytes()[..]].concat())
    }

    pub(super) fn reference(key: &Hash) -> Self {
        Self([&[Self::REFERENCE], &key.as_bytes()[..]].concat())
    }

    pub(super) fn record(name: &str) -> Self {
        Self([b"n", name.as_bytes()].concat())
    }

    fn dead(volume: u32) -> Self {
        Self([b"d", &volume.to_be_bytes()[..]].concat())
    }

    fn progress() -> Self {
        Self(b"p".to_vec())
    }

    /// The letter that says what kind of thing this key stands for.
    pub(super) fn letter(&self) -> u8 {
        self.0[0]
    }

    /// The hash after the letter: of a block, or the key of a reference.
    pub(super) fn hash(&self) -> Option<Hash> {
        self.0[1..].try_into().ok().map(Hash::from_bytes)
    }
}

impl Entry {
    pub(super) fn location(&self) -> Location {
        match self {
            Self::At(at) | Self::Reference { at, .. } => *at,
        }
    }

    fn encode(&self, key: &Key) -> Vec<u8> {
        let at = self.location();
        let mut bytes = vec![at.kind as u8];
        [at.volume, at.offset, at.bytes].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        if let Self::Reference { value, .. } = self {
            bytes.extend(value.as_bytes());
        }
        value::seal(&key.0, &bytes)
    }

    fn decode(key: &Key, bytes: &[u8]) -> Option<Self> {
        let (at, rest) = value::open(&key.0, bytes)?.split_at_checked(LOCATION_BYTES)?;
        let number = |from| u32::from_le_bytes(at[from..from + 4].try_into().expect("these are four bytes"));
        let at = Location {
            kind: Kind::from_byte(at[0])?,
            volume: number(1),
            offset: number(5),
            bytes: number(9),
        };
        match rest.try_into() {
            Ok(value) => Some(Self::Reference { value: Hash::from_bytes(value), at }),
            Err(_) => rest.is_empty().then_some(Self::At(at)),
        }
    }
}

/// How far the index has come, and what it counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Everything before is in the index.
    pub(super) position: Position,
    /// Blocks stored.
    pub(super) blocks: u64,
}

impl Progress {
    fn encode(&self) -> Vec<u8> {
        let numbers = [u64::from(self.position.volume), self.position.offset, self.blocks];
        value::seal(b"p", &numbers.map(u64::to_le_bytes).concat())
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (numbers, rest) = value::open(b"p", bytes)?.as_chunks::<8>();
        let [volume, offset, blocks] = *numbers else { return None };
        let position = Position {
            volume: u32::try_from(u64::from_le_bytes(volume)).ok()?,
            offset: u64::from_le_bytes(offset),
        };
        rest.is_empty().then_some(Self { position, blocks: u64::from_le_bytes(blocks) })
    }
}

/// Entries that change together; `None` removes one.
pub(super) type Changes = BTreeMap<Key, Option<Entry>>;

/// What is wrong with an index.
#[derive(Debug, thiserror::Error)]
pub(super) enum IndexError {
    /// The engine cannot work, for a reason outside of the index.
    #[error("the index cannot be used")]
    Engine(#[source] fjall::Error),
    /// An entry or a file of the index is damaged.
    #[error("the index is damaged: {reason}")]
    Damaged { reason: String },
}

impl From<fjall::Error> for IndexError {
    fn from(error: fjall::Error) -> Self {
        if is_damage(&error) { Self::Damaged { reason: error.to_string() } } else { Self::Engine(error) }
    }
}

impl IndexError {
    /// Whether opening the same files again would not help.
    pub(super) fn is_lasting(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Engine(fjall::Error::Poisoned))
    }
}

/// The open index. Cheap to clone.
#[derive(Clone)]
pub(super) struct Index {
    database: Database,
    entries: Keyspace,
    path: PathBuf,
}

impl Index {
    /// Opens the index in `path`, or makes an empty one.
    pub(super) fn open(path: &Path) -> Result<Self, IndexError> {
        fjall_files::check_manifests(path).map_err(fjall::Error::Io)?;
        let index = guarded(|| Self::open_unguarded(path))?;
        index.progress()?;
        Ok(index)
    }

    fn open_unguarded(path: &Path) -> fjall::Result<Self> {
        let database = Database::builder(path)
            .cache_size(CACHE_BYTES)
            .max_cached_files(Some(OPEN_FILES))
            .max_journaling_size(JOURNALS_BYTES)
            .worker_threads(UPKEEP_THREADS)
            .journal_compression(CompressionType::None)
            .manual_journal_persist(true)
            .open()?;
        let entries = database.keyspace("entries", options)?;
        Ok(Self { database, entries, path: path.to_owned() })
    }

    /// How far the index has come.
    pub(super) fn progress(&self) -> Result<Progress, IndexError> {
        let key = Key::progress();
        let Some(stored) = self.entries.get(&key.0)? else { return Ok(Progress::default()) };
        Progress::decode(&stored).ok_or_else(|| damaged(&key))
    }

    /// The entry of `key`.
    pub(super) fn entry(&self, key: &Key) -> Result<Option<Entry>, IndexError> {
        let Some(stored) = guarded(|| self.entries.get(&key.0))? else { return Ok(None) };
        Entry::decode(key, &stored).map(Some).ok_or_else(|| damaged(key))
    }

    /// Bytes of a volume that are of no use any more.
    pub(super) fn dead_bytes(&self, volume: u32) -> Result<u64, IndexError> {
        let stored = self.entries.get(&Key::dead(volume).0)?;
        Ok(stored.and_then(|bytes| bytes.as_ref().try_into().ok()).map_or(0, u64::from_le_bytes))
    }

    /// Applies changes, says how far the index has come with them, and adds to the dead bytes of volumes.
    pub(super) fn apply(
        &self,
        changes: &Changes,
        progress: &Progress,
        dead: &BTreeMap<u32, u64>,
    ) -> Result<(), IndexError> {
        let mut batch = self.database.batch();
        for (key, entry) in changes {
            match entry {
                Some(entry) => batch.insert(&self.entries, key.0.as_slice(), entry.encode(key)),
                None => batch.remove(&self.entries, key.0.as_slice()),
            }
        }
        for (volume, bytes) in dead {
            let bytes = self.dead_bytes(*volume)? + bytes;
            batch.insert(&self.entries, Key::dead(*volume).0, bytes.to_le_bytes());
        }
        self.commit(batch, progress)
    }

    /// Forgets the count of dead bytes of a volume that is gone.
    pub(super) fn forget_volume(&self, volume: u32, progress: &Progress) -> Result<(), IndexError> {
        let mut batch = self.database.batch();
        batch.remove(&self.entries, Key::dead(volume).0);
        self.commit(batch, progress)
    }

    fn commit(&self, mut batch: OwnedWriteBatch, progress: &Progress) -> Result<(), IndexError> {
        batch.insert(&self.entries, Key::progress().0, progress.encode());
        batch.commit()?;
        // To the buffers of the system: a killed process then has nothing to read again.
        Ok(self.database.persist(PersistMode::Buffer)?)
    }

    /// Brings the index to stable storage, so that the next opening has little to read again.
    pub(super) fn sync(&self) -> Result<(), IndexError> {
        Ok(self.database.persist(PersistMode::SyncData)?)
    }

    /// Calls `each` with every entry of a kind of key until it breaks. Damaged entries are left out.
    pub(super) fn each(
        &self,
        letter: u8,
        each: &mut dyn FnMut(Key, Entry) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, IndexError> {
        for stored in self.entries.prefix([letter]) {
            let (key, bytes) = stored.into_inner()?;
            let key = Key(key.to_vec());
            let Some(entry) = Entry::decode(&key, &bytes) else { continue };
            if each(key, entry).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Space taken on disk, in bytes.
    pub(super) fn disk_bytes(&self) -> u64 {
        // The engine counts the space it has reserved for journals; what they take is less.
        self.entries.disk_space() + fjall_files::journal_bytes(&self.path).unwrap_or_default()
    }

    /// Empties a large journal, so that the next opening need not read it. Nothing may write any more.
    pub(super) fn settle(&self) -> Result<(), IndexError> {
        if fjall_files::journal_bytes(&self.path).map_err(fjall::Error::Io)? < fjall_files::JOURNAL_BYTES {
            return Ok(());
        }
        if self.entries.tree.active_memtable().size() > 0 {
            self.entries.rotate_memtable()?;
        }
        let is_settled = || {
            self.entries.tree.active_memtable().size() == 0
                && self.entries.tree.sealed_memtable_count() == 0
                && self.database.outstanding_flushes() == 0
                && self.database.journal_count() == 1
        };
        if fjall_files::wait(is_settled) {
            fjall_files::empty_journals(&self.path).map_err(fjall::Error::Io)?;
        }
        Ok(())
    }
}

/// Calls the engine, which answers some damage with a panic.
fn guarded<T>(call: impl FnOnce() -> fjall::Result<T>) -> Result<T, IndexError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => Ok(result?),
        Err(_) => Err(IndexError::Damaged { reason: "the engine panicked over its files".to_owned() }),
    }
}

/// Whether `error` says that the files are not what was written, as opposed to the disk refusing to work.
fn is_damage(error: &fjall::Error) -> bool {
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(LsmError::Io(error)) => matches!(
            error.kind(),
            std::io::ErrorKind::UnexpectedEof
                | std::io::ErrorKind::InvalidData
                | std::io::ErrorKind::NotFound
                | std::io::ErrorKind::AlreadyExists
        ),
        fjall::Error::Locked | fjall::Error::Poisoned => false,
        _ => true,
    }
}

fn damaged(key: &Key) -> IndexError {
    IndexError::Damaged { reason: format!("the entry {} is no entry", String::from_utf8_lossy(&key.0[..1])) }
}

fn options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(WRITE_BUFFER_BYTES)
        .manual_journal_persist(true)
        .data_block_compression_policy(CompressionPolicy::disabled())
}
