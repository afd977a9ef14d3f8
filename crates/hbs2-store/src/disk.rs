//! The store of a node: an embedded engine below, hashes checked on both sides.
//!
//! The directory holds `lock`, which the owning process keeps locked, and `db`, the engine's files
//! (`docs/spec/storage.md`). A new database is made in `db.new` and renamed, so a crash while it is made leaves
//! nothing half-made behind. Writes go through the group commit; reads go straight to the engine, from any number
//! of threads.

mod committer;
mod engine;
mod journal;
mod manifest;
mod value;

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use fjall::{Keyspace, Slice};
use hbs2_core::Hash;

use crate::{Cause, Durability, Stat, Store, StoreError, Totals};
use committer::{BATCH_BYTES, Change, Committer};
use engine::Engine;

/// Corrupt blocks that are remembered, at most, so that lookups call them absent. More are found again by the
/// next read; by then the disk is beyond help anyway.
const CORRUPT_HASHES_MAX: usize = 65_536;

/// Blocks whose hashes are checked together. Eight fill the lanes of a vector register twice and keep the bytes
/// read at once within 2 MiB for ordinary blocks.
const CHECK_BLOCKS: usize = 8;

/// A store in a directory. One process owns it at a time. Dropping it syncs and closes it.
pub struct DiskStore {
    committer: Committer,
    engine: Engine,
    path: PathBuf,
    corrupt: Mutex<BTreeSet<Hash>>,
    corrupt_seen: AtomicU64,
    /// Released last, after the engine is closed.
    _lock: File,
}

impl DiskStore {
    /// Opens the store in the directory `path`, or creates both, readable by the owner only.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] when another process, or another value in this one, owns the directory;
    /// [`StoreError::Open`] when it cannot be made or read.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let open_error = |source: Cause| StoreError::Open { path: path.to_owned(), source };
        let io_error = |error: io::Error| open_error(Arc::new(error));
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_error)?;
        let lock = lock(path)?;
        create_database(path).map_err(open_error)?;
        let engine = Engine::open(&database_path(path)).map_err(open_error)?;
        let committer = Committer::start(engine.clone()).map_err(io_error)?;
        Ok(Self {
            committer,
            engine,
            path: path.to_owned(),
            corrupt: Mutex::default(),
            corrupt_seen: AtomicU64::new(0),
            _lock: lock,
        })
    }

    /// Writes the blocks that are not there, in batches, and waits as `durability` says.
    fn write<'a>(
        &self,
        blocks: impl Iterator<Item = (Hash, &'a Bytes)>,
        durability: Durability,
    ) -> Result<(), StoreError> {
        let mut batch = Vec::new();
        let mut batch_bytes = 0;
        for (hash, block) in blocks {
            if self.stat(&hash)?.is_some() {
                continue;
            }
            if batch_bytes + block.len() > BATCH_BYTES && !batch.is_empty() {
                self.commit(std::mem::take(&mut batch), Durability::Grouped)?;
                batch_bytes = 0;
            }
            batch_bytes += block.len();
            batch.push(Change::PutBlock { hash, bytes: block.clone() });
        }
        // Also when nothing is left to write: what was there already must become as durable as asked.
        self.commit(batch, durability)
    }

    fn commit(&self, changes: Vec<Change>, durability: Durability) -> Result<(), StoreError> {
        let written: Vec<Hash> = changes.iter().filter_map(Change::block).collect();
        self.committer
            .commit(changes, durability)
            .map_err(|source| StoreError::Write { path: self.path.clone(), source })?;
        let mut corrupt = self.corrupt();
        if !corrupt.is_empty() {
            written.iter().for_each(|hash| {
                corrupt.remove(hash);
            });
        }
        Ok(())
    }

    /// The value of a block as the engine has it. Damage that the engine itself notices is reported.
    fn read(&self, hash: &Hash) -> Result<Option<Slice>, StoreError> {
        for keyspace in self.engine.blocks() {
            if let Some(value) = self.look(hash, || keyspace.get(hash.as_bytes()))? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// Turns damage found by the engine into absence. The engine answers some damage with a panic.
    fn look<T>(
        &self,
        hash: &Hash,
        find: impl FnOnce() -> fjall::Result<Option<T>>,
    ) -> Result<Option<T>, StoreError> {
        match catch_unwind(AssertUnwindSafe(find)) {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) if engine::is_corruption(&error) => {
                self.report_corrupt(hash, &error);
                Ok(None)
            }
            Ok(Err(error)) => Err(self.read_error(error)),
            Err(_) => {
                self.report_corrupt(hash, &"the engine panicked over its bytes");
                Ok(None)
            }
        }
    }

    fn report_corrupt(&self, hash: &Hash, reason: &dyn std::fmt::Display) {
        let mut corrupt = self.corrupt();
        if corrupt.contains(hash) {
            return;
        }
        if corrupt.len() < CORRUPT_HASHES_MAX {
            corrupt.insert(*hash);
        }
        self.corrupt_seen.fetch_add(1, Ordering::Relaxed);
        tracing::error!(%hash, path = %self.path.display(), %reason, "a stored block is corrupt and counts as missing");
    }

    /// Hands out `values`, each only if it has its hash.
    fn check(&self, hashes: &[Hash], values: Vec<Option<Slice>>) -> Vec<Option<Bytes>> {
        let inputs: Vec<&[u8]> = values.iter().flatten().map(AsRef::as_ref).collect();
        let mut found = Hash::of_many(&inputs).into_iter();
        let checked = hashes.iter().zip(values).map(|(hash, value)| {
            let value = value?;
            if found.next() != Some(*hash) {
                self.report_corrupt(hash, &"its bytes have another hash");
                return None;
            }
            Some(Bytes::from_owner(value))
        });
        checked.collect()
    }

    fn open_reference(&self, key: &Hash, stored: &[u8]) -> Option<Hash> {
        let value = value::open_reference(key.as_bytes(), stored);
        if value.is_none() {
            tracing::error!(%key, path = %self.path.display(), "a stored reference is corrupt and counts as missing");
        }
        value
    }

    fn read_error(&self, error: fjall::Error) -> StoreError {
        StoreError::Read { path: self.path.clone(), source: engine::cause(error) }
    }

    fn corrupt(&self) -> MutexGuard<'_, BTreeSet<Hash>> {
        self.corrupt.lock().expect("no holder of this lock panics")
    }

    fn each_block(
        &self,
        keyspace: &Keyspace,
        each: &mut dyn FnMut(Hash, u64) -> ControlFlow<()>,
    ) -> fjall::Result<ControlFlow<()>> {
        for entry in keyspace.iter() {
            let key = entry.key()?;
            let Some(hash) = hash_of_slice(&key) else { continue };
            let Some(bytes) = keyspace.size_of(&key)? else { continue };
            if each(hash, u64::from(bytes)).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

impl Store for DiskStore {
    fn put(&self, blocks: &[Bytes], durability: Durability) -> Result<Vec<Hash>, StoreError> {
        let hashes = crate::hash_blocks(blocks)?;
        self.write(hashes.iter().copied().zip(blocks), durability)?;
        Ok(hashes)
    }

    fn put_expected(
        &self,
        blocks: &[(Hash, Bytes)],
        durability: Durability,
    ) -> Result<Vec<bool>, StoreError> {
        let fits = crate::check_hashes(blocks)?;
        let fitting = blocks.iter().zip(&fits).filter(|(_, fits)| **fits);
        self.write(fitting.map(|((hash, block), _)| (*hash, block)), durability)?;
        Ok(fits)
    }

    fn get(&self, hash: &Hash) -> Result<Option<Bytes>, StoreError> {
        let value = self.read(hash)?;
        Ok(self.check(std::slice::from_ref(hash), vec![value]).pop().flatten())
    }

    fn get_many(&self, hashes: &[Hash]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let mut blocks = Vec::with_capacity(hashes.len());
        for hashes in hashes.chunks(CHECK_BLOCKS) {
            let values = hashes.iter().map(|hash| self.read(hash)).collect::<Result<_, _>>()?;
            blocks.extend(self.check(hashes, values));
        }
        Ok(blocks)
    }

    fn stat(&self, hash: &Hash) -> Result<Option<Stat>, StoreError> {
        for (keyspace, links) in [(&self.engine.blobs, false), (&self.engine.linking, true)] {
            if let Some(bytes) = self.look(hash, || keyspace.size_of(hash.as_bytes()))? {
                let known_corrupt = self.corrupt().contains(hash);
                return Ok((!known_corrupt).then_some(Stat { bytes: u64::from(bytes), links }));
            }
        }
        Ok(None)
    }

    fn delete(&self, hash: &Hash) -> Result<bool, StoreError> {
        let there = self.stat(hash)?.is_some();
        if there {
            self.commit(vec![Change::DeleteBlock { hash: *hash }], Durability::Grouped)?;
        }
        Ok(there)
    }

    fn hashes(&self, each: &mut dyn FnMut(Hash, u64) -> ControlFlow<()>) -> Result<(), StoreError> {
        for keyspace in self.engine.blocks() {
            let flow = self.each_block(keyspace, each).map_err(|error| self.read_error(error))?;
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn reference(&self, key: &Hash) -> Result<Option<Hash>, StoreError> {
        let value = self.engine.references.get(key.as_bytes()).map_err(|error| self.read_error(error))?;
        Ok(value.and_then(|stored| self.open_reference(key, &stored)))
    }

    fn set_references(&self, changes: &[(Hash, Option<Hash>)]) -> Result<(), StoreError> {
        let changes =
            changes.iter().map(|(key, value)| Change::Reference { key: *key, value: *value }).collect();
        self.commit(changes, Durability::Synced)
    }

    fn references(&self, each: &mut dyn FnMut(Hash, Hash) -> ControlFlow<()>) -> Result<(), StoreError> {
        for entry in self.engine.references.iter() {
            let (key, value) = entry.into_inner().map_err(|error| self.read_error(error))?;
            let Some(key) = hash_of_slice(&key) else { continue };
            let Some(value) = self.open_reference(&key, &value) else { continue };
            if each(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn record(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        let value = self.engine.records.get(name).map_err(|error| self.read_error(error))?;
        Ok(value.and_then(|stored| {
            let value = value::open_record(name, &stored);
            if value.is_none() {
                tracing::error!(name, path = %self.path.display(), "a stored record is corrupt and counts as missing");
            }
            value
        }))
    }

    fn set_record(&self, name: &str, value: Option<&[u8]>) -> Result<(), StoreError> {
        crate::check_record(name, value)?;
        let change = Change::Record { name: name.to_owned(), value: value.map(Bytes::copy_from_slice) };
        self.commit(vec![change], Durability::Synced)
    }

    fn totals(&self) -> Totals {
        let blocks = self.engine.blocks().into_iter().map(|keyspace| keyspace.approximate_len() as u64).sum();
        Totals {
            blocks,
            disk_bytes: self.engine.disk_bytes(),
            corrupt: self.corrupt_seen.load(Ordering::Relaxed),
        }
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        self.committer.stop();
        if let Err(error) = self.engine.settle(&database_path(&self.path)) {
            tracing::warn!(path = %self.path.display(), %error, "the journal stays as it is, the next start reads it");
        }
    }
}

impl std::fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskStore").field("path", &self.path).finish_non_exhaustive()
    }
}

fn database_path(path: &Path) -> PathBuf {
    path.join("db")
}

/// Takes ownership of the directory for this process.
fn lock(path: &Path) -> Result<File, StoreError> {
    let open = |source: io::Error| StoreError::Open { path: path.to_owned(), source: Arc::new(source) };
    let file =
        File::options().create(true).truncate(false).write(true).open(path.join("lock")).map_err(open)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(open(error)),
    }
}

/// Makes the database if there is none. It appears under its name only when it is complete.
fn create_database(path: &Path) -> Result<(), Cause> {
    let (made, making) = (database_path(path), path.join("db.new"));
    if made.try_exists().map_err(engine::io_cause)? {
        return Ok(());
    }
    if making.try_exists().map_err(engine::io_cause)? {
        std::fs::remove_dir_all(&making).map_err(engine::io_cause)?;
    }
    drop(Engine::open(&making)?);
    std::fs::rename(&making, &made).map_err(engine::io_cause)?;
    File::open(path).and_then(|directory| directory.sync_all()).map_err(engine::io_cause)
}

fn hash_of_slice(slice: &Slice) -> Option<Hash> {
    slice.as_ref().try_into().ok().map(Hash::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Space that the journals of the store in `path` take, in bytes.
    fn journal_bytes(path: &Path) -> u64 {
        journal::files(&database_path(path)).unwrap().iter().map(|journal| journal.used_bytes).sum()
    }

    #[test]
    fn closing_empties_a_large_journal_and_loses_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let blocks: Vec<Bytes> = (0..90u8).map(|i| Bytes::from(vec![i; 250_000])).collect();
        let key = Hash::of(b"key");
        let store = DiskStore::open(directory.path()).unwrap();
        let hashes = store.put(&blocks, Durability::Synced).unwrap();
        store.set_references(&[(key, Some(hashes[0]))]).unwrap();
        store.set_record("polls", Some(b"all")).unwrap();
        assert!(journal_bytes(directory.path()) > 20_000_000);
        drop(store);
        assert_eq!(journal_bytes(directory.path()), 0);
        let store = DiskStore::open(directory.path()).unwrap();
        assert_eq!(store.get_many(&hashes).unwrap(), blocks.into_iter().map(Some).collect::<Vec<_>>());
        assert_eq!(store.reference(&key).unwrap(), Some(hashes[0]));
        assert_eq!(store.record("polls").unwrap().as_deref(), Some(&b"all"[..]));
        // Writes after an emptied journal are the newer ones.
        store.set_references(&[(key, Some(hashes[1]))]).unwrap();
        store.delete(&hashes[0]).unwrap();
        drop(store);
        let store = DiskStore::open(directory.path()).unwrap();
        assert_eq!(store.reference(&key).unwrap(), Some(hashes[1]));
        assert_eq!(store.get(&hashes[0]).unwrap(), None);
    }
}
