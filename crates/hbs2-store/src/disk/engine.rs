//! The embedded engine: how fjall is opened, fed and held within the memory budget.
//!
//! Four keyspaces: blocks that may name others, all other blocks, references, and records. Values of a kibibyte
//! and more lie apart from the sorted keys, so lookups and the upkeep of the index never touch block bytes. A
//! change goes to the journal first and from there, some mebibytes later, to its final place.
//!
//! The budget. A daemon may take 30 MiB when idle and `hbs2 store` 40 MiB when it writes as fast as it can.
//! Everything here that holds memory is therefore small and counted: the write buffers (at most
//! [`WRITE_BUFFER_BYTES`] growing and as much twice over on its way to disk), the cache, the open files.

use std::path::Path;
use std::time::{Duration, Instant};

use fjall::config::CompressionPolicy;
use fjall::{
    AbstractTree, CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, LsmError,
    PersistMode,
};
use hbs2_core::inspect;

use super::committer::{BATCH_BYTES, Change, Sink};
use super::{journal, manifest, value};
use crate::Cause;

/// Size at which the write buffer of a keyspace of blocks is sent to disk, in bytes. Measured with 256 KiB
/// blocks: 4 MiB writes as fast as 16 MiB, 1 MiB costs a tenth.
const WRITE_BUFFER_BYTES: u64 = 4 * 1024 * 1024;

/// The same for references and records, in bytes: ten thousand references.
const SMALL_WRITE_BUFFER_BYTES: u64 = 1024 * 1024;

/// Write buffers on their way to disk at which writing waits, per keyspace. The engine itself waits at four, in
/// steps of 100 ms and without end; two keep the disk busy.
const SEALED_BUFFERS_MAX: usize = 2;

/// Runs of unsorted tables at which writing waits for the upkeep. The engine itself stops at 30.
const LEVEL_0_RUNS_MAX: usize = 16;

/// How long writing waits for the upkeep, in seconds, before it fails. Flushing takes milliseconds.
const UPKEEP_SECONDS: u64 = 30;

/// Journals smaller than this are left for the next opening to read, in bytes: that takes some 20 ms. Larger ones
/// are emptied on closing. Not all, because each emptying leaves a small file of values behind.
const SETTLE_BYTES: u64 = 16 * 1024 * 1024;

/// How long closing may take for that, in milliseconds. It is a convenience, and a node must end within 2 s.
const SETTLE_MS: u64 = 1000;

/// How often writing looks whether the upkeep is done, in microseconds.
const UPKEEP_POLL_MICROS: u64 = 500;

/// Cache of index and filter blocks, in bytes. Block bytes are cached by the system. The index of 50,000 blocks
/// fits.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;

/// Files kept open. A process may often have 1024, and the sockets of the node are among them.
const OPEN_FILES: usize = 128;

/// Space of journals that hold nothing but flushed data and a few old references, in bytes, before those
/// references are flushed and the journals removed. The smallest value the engine takes.
const JOURNALS_BYTES: u64 = 64 * 1024 * 1024;

/// Threads that flush and compact. The engine keeps one of them for flushing when there are two.
const UPKEEP_THREADS: usize = 2;

/// Length from which a value lies apart from the keys, in bytes. Below, a lookup that brings the value along
/// saves a read and costs little when tables are merged.
const SEPARATE_BYTES: u32 = 1024;

/// Size of one file of separated values, in bytes: space is given back file by file.
const VALUES_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// The open database. Cheap to clone.
#[derive(Clone)]
pub(super) struct Engine {
    database: Database,
    /// Blocks that name no others.
    pub(super) blobs: Keyspace,
    /// Blocks that may name others.
    pub(super) linking: Keyspace,
    pub(super) references: Keyspace,
    pub(super) records: Keyspace,
}

#[derive(Debug, thiserror::Error)]
#[error("the engine has stopped after an earlier failure to write or to tidy its files")]
struct Stopped;

#[derive(Debug, thiserror::Error)]
#[error("the engine did not write out its buffers in time")]
struct Stalled;

impl Engine {
    /// Opens the database in `path`, or creates it there. Journals that a power cut has damaged are mended.
    pub(super) fn open(path: &Path) -> Result<Self, Cause> {
        manifest::check(path).map_err(io_cause)?;
        match Self::open_as_is(path) {
            Err(fjall::Error::JournalRecovery(error)) => {
                tracing::error!(path = %path.display(), %error, "the journal is damaged and will be mended");
                Self::open_mended(path)
            }
            opened => opened.map_err(cause),
        }
    }

    fn open_mended(path: &Path) -> Result<Self, Cause> {
        let mended = journal::mend(path).map_err(io_cause)?;
        let mut engine = Self::open_as_is(path).map_err(cause)?;
        let (mut changes, mut batch_bytes, mut rescued) = (Vec::new(), 0, 0);
        for block in mended.blocks() {
            let (hash, bytes) = block.map_err(io_cause)?;
            rescued += 1;
            batch_bytes += bytes.len();
            changes.push(Change::PutBlock { hash, bytes });
            if batch_bytes >= BATCH_BYTES {
                engine.apply(std::mem::take(&mut changes))?;
                batch_bytes = 0;
            }
        }
        engine.apply(changes)?;
        engine.sync()?;
        let dropped = mended.batches_dropped;
        tracing::error!(path = %path.display(), dropped, rescued, "damaged batches were dropped, their whole blocks kept");
        Ok(engine)
    }

    fn open_as_is(path: &Path) -> fjall::Result<Self> {
        let database = Database::builder(path)
            .cache_size(CACHE_BYTES)
            .max_cached_files(Some(OPEN_FILES))
            .max_journaling_size(JOURNALS_BYTES)
            .worker_threads(UPKEEP_THREADS)
            .journal_compression(CompressionType::None)
            .manual_journal_persist(true)
            .open()?;
        Ok(Self {
            blobs: database.keyspace("blobs", block_options)?,
            linking: database.keyspace("linking", block_options)?,
            references: database.keyspace("references", small_options)?,
            records: database.keyspace("records", small_options)?,
            database,
        })
    }

    /// Both keyspaces of blocks, the likelier one first.
    pub(super) fn blocks(&self) -> [&Keyspace; 2] {
        [&self.blobs, &self.linking]
    }

    /// Space taken on disk, in bytes.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.database.disk_space().unwrap_or_default()
    }

    /// Empties the journals if they are large, so that the next opening need not read them. Nothing may write to
    /// the engine any more. `path` is its directory.
    pub(super) fn settle(&self, path: &Path) -> Result<(), Cause> {
        let journals = journal::files(path).map_err(io_cause)?;
        if journals.iter().map(|journal| journal.used_bytes).sum::<u64>() < SETTLE_BYTES {
            return Ok(());
        }
        for keyspace in self.keyspaces() {
            if keyspace.tree.active_memtable().size() > 0 {
                keyspace.rotate_memtable().map_err(cause)?;
            }
        }
        let start = Instant::now();
        while !self.is_settled() {
            if start.elapsed() > Duration::from_millis(SETTLE_MS) {
                return Err(std::sync::Arc::new(Stalled));
            }
            self.database.persist(PersistMode::Buffer).map_err(cause)?;
            std::thread::sleep(Duration::from_micros(UPKEEP_POLL_MICROS));
        }
        // All that the journals hold lies in tables now, and those are synced.
        journal::files(path)
            .and_then(|journals| journals.iter().try_for_each(journal::Journal::empty))
            .map_err(io_cause)
    }

    /// Whether no keyspace holds anything that is only in the journals.
    fn is_settled(&self) -> bool {
        let flushed = |keyspace: &Keyspace| {
            keyspace.tree.active_memtable().size() == 0 && keyspace.tree.sealed_memtable_count() == 0
        };
        self.keyspaces().into_iter().all(flushed)
            && self.database.outstanding_flushes() == 0
            && self.database.journal_count() == 1
    }

    fn keyspaces(&self) -> [&Keyspace; 4] {
        [&self.blobs, &self.linking, &self.references, &self.records]
    }

    /// Waits until the upkeep has caught up, so that write buffers stay within the budget.
    fn wait_for_upkeep(&self) -> Result<(), Cause> {
        let start = Instant::now();
        while self.blocks().into_iter().any(is_behind) {
            // Persisting to the buffer of the system is cheap and tells whether the upkeep has died.
            self.database.persist(PersistMode::Buffer).map_err(cause)?;
            if start.elapsed() > Duration::from_secs(UPKEEP_SECONDS) {
                return Err(std::sync::Arc::new(Stalled));
            }
            std::thread::sleep(Duration::from_micros(UPKEEP_POLL_MICROS));
        }
        Ok(())
    }

    /// Sends full write buffers on their way. The engine does so itself, but later and not always.
    fn flush_full_buffers(&self) -> Result<(), Cause> {
        for keyspace in self.blocks() {
            if keyspace.tree.active_memtable().size() >= WRITE_BUFFER_BYTES {
                keyspace.rotate_memtable().map_err(cause)?;
            }
        }
        Ok(())
    }
}

impl Sink for Engine {
    fn apply(&mut self, changes: Vec<Change>) -> Result<(), Cause> {
        self.wait_for_upkeep()?;
        let mut batch = self.database.batch();
        for change in changes {
            match change {
                Change::PutBlock { hash, bytes } => {
                    let keyspace = if inspect::may_link(&bytes) { &self.linking } else { &self.blobs };
                    batch.insert(keyspace, hash.as_bytes(), bytes.as_ref());
                }
                Change::DeleteBlock { hash } => {
                    batch.remove(&self.blobs, hash.as_bytes());
                    batch.remove(&self.linking, hash.as_bytes());
                }
                Change::Reference { key, value: Some(value) } => {
                    let stored = value::seal(key.as_bytes(), value.as_bytes());
                    batch.insert(&self.references, key.as_bytes(), stored);
                }
                Change::Reference { key, value: None } => batch.remove(&self.references, key.as_bytes()),
                Change::Record { name, value: Some(value) } => {
                    let stored = value::seal(name.as_bytes(), &value);
                    batch.insert(&self.records, name.as_str(), stored);
                }
                Change::Record { name, value: None } => batch.remove(&self.records, name.as_str()),
            }
        }
        batch.commit().map_err(cause)?;
        self.flush_full_buffers()
    }

    fn sync(&mut self) -> Result<(), Cause> {
        self.database.persist(PersistMode::SyncData).map_err(cause)
    }
}

pub(super) fn io_cause(error: std::io::Error) -> Cause {
    std::sync::Arc::new(error)
}

/// Whether `error` says that the bytes on disk are not what was written, as opposed to the disk refusing to work.
pub(super) fn is_corruption(error: &fjall::Error) -> bool {
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(LsmError::Io(error)) => matches!(
            error.kind(),
            std::io::ErrorKind::UnexpectedEof
                | std::io::ErrorKind::InvalidData
                | std::io::ErrorKind::NotFound
        ),
        fjall::Error::Storage(_)
        | fjall::Error::Decompress(_)
        | fjall::Error::InvalidTrailer
        | fjall::Error::InvalidTag(_) => true,
        _ => false,
    }
}

/// The plain cause of an engine failure: the system's error where there is one.
pub(super) fn cause(error: fjall::Error) -> Cause {
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(LsmError::Io(error)) => std::sync::Arc::new(error),
        fjall::Error::Poisoned => std::sync::Arc::new(Stopped),
        other => std::sync::Arc::new(other),
    }
}

fn is_behind(keyspace: &Keyspace) -> bool {
    keyspace.tree.sealed_memtable_count() >= SEALED_BUFFERS_MAX
        || keyspace.tree.l0_run_count() >= LEVEL_0_RUNS_MAX
}

/// Blocks are compressed or encrypted by those who make them, so nothing is compressed here.
fn block_options() -> KeyspaceCreateOptions {
    let separation = KvSeparationOptions::default()
        .compression(CompressionType::None)
        .separation_threshold(SEPARATE_BYTES)
        .file_target_size(VALUES_FILE_BYTES);
    small_options().max_memtable_size(WRITE_BUFFER_BYTES).with_kv_separation(Some(separation))
}

fn small_options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(SMALL_WRITE_BUFFER_BYTES)
        .manual_journal_persist(true)
        .data_block_compression_policy(CompressionPolicy::disabled())
}
