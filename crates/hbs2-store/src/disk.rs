//! The store of a node: volumes of bytes, an index of where they lie, hashes checked on both sides.
//!
//! The directory holds `lock`, which the owning process keeps locked, `volumes`, where all that is written goes
//! first and stays, and `index`, which can be made anew from the volumes (`docs/spec/storage.md`). Writes go
//! through the group commit to one thread; reads go straight to the files, from any number of threads.

mod committer;
mod engine;
mod fjall_files;
mod index;
mod record;
mod references;
mod value;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use hbs2_core::Hash;

use crate::{Cause, Durability, Stat, Store, StoreError, Totals};
use committer::{BATCH_BYTES, Change, Committer};
use engine::{Engine, EngineError, Shared};
use index::{Entry, IndexError, Key};
use record::Kind;

/// Corrupt blocks that are remembered, at most, so that lookups call them absent. More are found again by the
/// next read; by then the disk is beyond help anyway.
const CORRUPT_HASHES_MAX: usize = 65_536;

/// Blocks whose hashes are checked together. Eight fill the lanes of a vector register twice and keep the bytes
/// read at once within 2 MiB for ordinary blocks.
const CHECK_BLOCKS: usize = 8;

/// A store in a directory. One process owns it at a time. Dropping it syncs and closes it.
pub struct DiskStore {
    committer: Committer,
    shared: Arc<Shared>,
    path: PathBuf,
    corrupt: Mutex<BTreeSet<Hash>>,
    corrupt_seen: AtomicU64,
    /// Released last, after the index is closed.
    _lock: Lock,
}

impl DiskStore {
    /// Opens the store in the directory `path`, or creates both, readable by the owner only.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] when another process, or another value in this one, owns the directory;
    /// [`StoreError::Open`] when it cannot be made or read.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, volumes::VOLUME_BYTES)
    }

    /// Opens a store whose volumes are complete at `volume_bytes`.
    pub(crate) fn open_with(path: &Path, volume_bytes: u64) -> Result<Self, StoreError> {
        let open_error = |source: Cause| StoreError::Open { path: path.to_owned(), source };
        let io_error = |error: io::Error| open_error(Arc::new(error));
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_error)?;
        let lock = lock(path)?;
        let engine = Engine::open(path, volume_bytes).map_err(|error| open_error(error.into_cause()))?;
        let shared = engine.shared();
        let committer = Committer::start(engine).map_err(io_error)?;
        Ok(Self {
            committer,
            shared,
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

    /// The entry of `key`. What a damaged index cannot tell counts as absent; the index is made anew at the next
    /// start.
    fn entry(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        match self.shared.entry(key) {
            Err(IndexError::Damaged { .. }) => Ok(None),
            entry => entry.map_err(|error| self.read_error(error.into())),
        }
    }

    /// The bytes of a block as they lie on disk. Bytes that are gone are reported and absent.
    fn read(&self, hash: &Hash) -> Result<Option<Vec<u8>>, StoreError> {
        let key = Key::block(hash);
        let Some(entry) = self.entry(&key)? else { return Ok(None) };
        let found = match self.read_payload(&entry)? {
            Ok(payload) => return Ok(Some(payload)),
            // The volume may have been given back since the lookup; then the block lies elsewhere now.
            Err(gone) => match self.entry(&key)? {
                Some(moved) if moved != entry => self.read_payload(&moved)?,
                Some(_) => Err(gone),
                None => return Ok(None),
            },
        };
        Ok(found.map_err(|gone| self.report_corrupt(hash, &gone)).ok())
    }

    /// Reads a payload. The inner error says that the bytes are not there, the outer that the disk fails.
    fn read_payload(&self, entry: &Entry) -> Result<Result<Vec<u8>, io::Error>, StoreError> {
        match self.shared.volumes.read(&entry.location()) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => {
                Ok(Err(error))
            }
            read => read.map(Ok).map_err(|error| self.read_error(error.into())),
        }
    }

    fn report_corrupt(&self, hash: &Hash, reason: &dyn Display) {
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
    fn check(&self, hashes: &[Hash], values: Vec<Option<Vec<u8>>>) -> Vec<Option<Bytes>> {
        let inputs: Vec<&[u8]> = values.iter().flatten().map(Vec::as_slice).collect();
        let mut found = Hash::of_many(&inputs).into_iter();
        let checked = hashes.iter().zip(values).map(|(hash, value)| {
            let value = value?;
            if found.next() != Some(*hash) {
                self.report_corrupt(hash, &"its bytes have another hash");
                return None;
            }
            Some(Bytes::from(value))
        });
        checked.collect()
    }

    fn read_error(&self, error: EngineError) -> StoreError {
        StoreError::Read { path: self.path.clone(), source: error.into_cause() }
    }

    fn corrupt(&self) -> MutexGuard<'_, BTreeSet<Hash>> {
        self.corrupt.lock().expect("no holder of this lock panics")
    }

    /// Calls `each` with the entries of a kind of key that are not in the index yet, then with those that are.
    fn each_entry(
        &self,
        letter: u8,
        each: &mut dyn FnMut(Key, Entry) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let fresh = self.shared.fresh().clone();
        for (key, entry) in fresh.iter().filter(|(key, _)| key.letter() == letter) {
            if let Some(entry) = entry
                && each(key.clone(), entry.clone()).is_break()
            {
                return Ok(());
            }
        }
        let mut indexed = |key, entry| {
            if fresh.contains_key(&key) { ControlFlow::Continue(()) } else { each(key, entry) }
        };
        self.shared.index.each(letter, &mut indexed).map(|_| ()).map_err(|error| {
            self.shared.note_damage(&error);
            self.read_error(error.into())
        })
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
        let Some(entry) = self.entry(&Key::block(hash))? else { return Ok(None) };
        let at = entry.location();
        let known_corrupt = self.corrupt().contains(hash);
        Ok((!known_corrupt).then_some(Stat { bytes: u64::from(at.bytes), links: at.kind == Kind::Linking }))
    }

    fn delete(&self, hash: &Hash) -> Result<bool, StoreError> {
        let there = self.stat(hash)?.is_some();
        if there {
            self.commit(vec![Change::DeleteBlock { hash: *hash }], Durability::Grouped)?;
        }
        Ok(there)
    }

    fn hashes(&self, each: &mut dyn FnMut(Hash, u64) -> ControlFlow<()>) -> Result<(), StoreError> {
        self.each_entry(Key::BLOCK, &mut |key, entry| match key.hash() {
            Some(hash) => each(hash, u64::from(entry.location().bytes)),
            None => ControlFlow::Continue(()),
        })
    }

    fn reference(&self, key: &Hash) -> Result<Option<Hash>, StoreError> {
        Ok(match self.entry(&Key::reference(key))? {
            Some(Entry::Reference { value, .. }) => Some(value),
            _ => None,
        })
    }

    fn set_references(&self, changes: &[(Hash, Option<Hash>)]) -> Result<(), StoreError> {
        crate::check_references(changes)?;
        let changes =
            changes.iter().map(|(key, value)| Change::Reference { key: *key, value: *value }).collect();
        self.commit(changes, Durability::Synced)
    }

    fn references(&self, each: &mut dyn FnMut(Hash, Hash) -> ControlFlow<()>) -> Result<(), StoreError> {
        let mut sorted = BTreeMap::new();
        self.each_entry(Key::REFERENCE, &mut |key, entry| {
            if let (Some(key), Entry::Reference { value, .. }) = (key.hash(), entry) {
                sorted.insert(key, value);
            }
            ControlFlow::Continue(())
        })?;
        let _ = sorted.into_iter().try_for_each(|(key, value)| each(key, value));
        Ok(())
    }

    fn record(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        let key = Key::record(name);
        let mut last = None;
        // Twice, because the volume may be given back between the lookup and the read.
        while let Some(entry) = self.entry(&key)?
            && last.as_ref() != Some(&entry)
        {
            let payload = self.read_payload(&entry)?.ok();
            if let Some(value) = payload.as_deref().and_then(|payload| value::open(name.as_bytes(), payload))
            {
                return Ok(Some(Bytes::copy_from_slice(value)));
            }
            last = Some(entry);
        }
        if last.is_some() {
            tracing::error!(name, path = %self.path.display(), "a stored record is corrupt and counts as missing");
        }
        Ok(None)
    }

    fn set_record(&self, name: &str, value: Option<&[u8]>) -> Result<(), StoreError> {
        crate::check_record(name, value)?;
        let change = Change::Record { name: name.to_owned(), value: value.map(Bytes::copy_from_slice) };
        self.commit(vec![change], Durability::Synced)
    }

    fn totals(&self) -> Totals {
        Totals {
            blocks: self.shared.blocks(),
            disk_bytes: self.shared.volumes.bytes() + self.shared.index.disk_bytes(),
            corrupt: self.corrupt_seen.load(Ordering::Relaxed),
        }
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        self.committer.stop();
        if let Err(error) = self.shared.index.settle() {
            tracing::warn!(path = %self.path.display(), %error, "the journal of the index stays as it is");
        }
    }
}

impl std::fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskStore").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The locked file. It is unlocked explicitly, because a child that was just forked may still share it.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the store could not be unlocked");
        }
    }
}

/// Takes ownership of the directory for this process.
fn lock(path: &Path) -> Result<Lock, StoreError> {
    let open = |source: io::Error| StoreError::Open { path: path.to_owned(), source: Arc::new(source) };
    let file =
        File::options().create(true).truncate(false).write(true).open(path.join("lock")).map_err(open)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(open(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    const VOLUME_BYTES: u64 = 1_000_000;

    fn open(directory: &tempfile::TempDir) -> DiskStore {
        DiskStore::open_with(directory.path(), VOLUME_BYTES).unwrap()
    }

    fn blocks(count: u8) -> Vec<Bytes> {
        (0..count).map(|i| Bytes::from(vec![i; 100_000])).collect()
    }

    /// Waits for what the writing thread does when nobody waits for it.
    fn until(holds: impl Fn() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < Duration::from_secs(20), "it does not come true");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn volume_count(store: &DiskStore) -> usize {
        store.shared.volumes.numbers().unwrap().len()
    }

    #[test]
    fn deleting_gives_space_back_and_keeps_what_is_alive() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory);
        let [key, removed] = [b"a", b"b"].map(|name| Hash::of(name));
        store.set_references(&[(key, Some(key)), (removed, Some(key))]).unwrap();
        store.set_references(&[(removed, None)]).unwrap();
        store.set_record("polls", Some(b"all")).unwrap();
        let hashes: Vec<Hash> = blocks(100)
            .into_iter()
            .map(|block| store.put(&[block], Durability::Synced).unwrap()[0])
            .collect();
        let (full, volumes) = (store.totals().disk_bytes, volume_count(&store));
        assert!(volumes >= 9);
        for (i, hash) in hashes.iter().enumerate() {
            if i % 10 != 0 {
                assert!(store.delete(hash).unwrap());
            }
        }
        store.put(&[Bytes::from_static(b"a sync")], Durability::Synced).unwrap();
        until(|| volume_count(&store) < volumes / 2 && store.totals().disk_bytes < full / 2);
        let check = |store: &DiskStore| {
            for (i, hash) in hashes.iter().enumerate() {
                assert_eq!(store.get(hash).unwrap().is_some(), i % 10 == 0, "block {i}");
            }
            assert_eq!(store.reference(&key).unwrap(), Some(key));
            assert_eq!(store.reference(&removed).unwrap(), None);
            assert_eq!(store.record("polls").unwrap().as_deref(), Some(&b"all"[..]));
            assert_eq!(store.totals().blocks, 11);
            assert_eq!(store.totals().corrupt, 0);
        };
        check(&store);
        drop(store);
        check(&open(&directory));
        // What was copied is found without the index too, and what was removed stays so.
        std::fs::remove_dir_all(directory.path().join("index")).unwrap();
        check(&open(&directory));
    }

    #[test]
    fn volumes_stay_small_when_many_are_rewritten_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory);
        let blocks: Vec<Bytes> = (0..600u32).map(|i| i.to_le_bytes().repeat(5000).into()).collect();
        let put = |block: &Bytes| store.put(std::slice::from_ref(block), Durability::Grouped).unwrap()[0];
        let hashes: Vec<Hash> = blocks.iter().map(put).collect();
        let before = volume_count(&store);
        assert!(before >= 10, "{before} volumes");
        for hash in hashes.iter().step_by(3).chain(hashes.iter().skip(1).step_by(3)) {
            store.delete(hash).unwrap();
        }
        store.put(&[Bytes::from_static(b"a sync")], Durability::Synced).unwrap();
        until(|| volume_count(&store) < before / 2);
        for number in store.shared.volumes.numbers().unwrap() {
            // A volume may outgrow its limit by one batch, or by what was alive in one other.
            let bytes = store.shared.volumes.length(number).unwrap();
            assert!(bytes <= VOLUME_BYTES + BATCH_BYTES as u64 * 2, "volume {number} has {bytes} bytes");
        }
        assert_eq!(store.get_many(&hashes).unwrap().iter().flatten().count(), 200);
    }

    #[test]
    fn blocks_are_readable_while_their_volumes_are_rewritten() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory);
        let hashes = store.put(&blocks(120), Durability::Synced).unwrap();
        let (kept, deleted) = hashes.split_at(30);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                for _ in 0..20 {
                    assert!(store.get_many(kept).unwrap().iter().all(Option::is_some));
                }
            });
            for (i, hash) in deleted.iter().enumerate() {
                store.delete(hash).unwrap();
                store.put(&[Bytes::from(vec![0; 1000 + i])], Durability::Synced).unwrap();
            }
            reader.join().unwrap();
        });
        assert_eq!(store.totals().corrupt, 0);
    }

    #[test]
    fn a_store_of_many_volumes_opens_again() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory);
        let blocks = blocks(45);
        let hashes: Vec<Hash> = blocks
            .iter()
            .map(|block| store.put(std::slice::from_ref(block), Durability::Grouped).unwrap()[0])
            .collect();
        drop(store);
        let store = open(&directory);
        assert!(volume_count(&store) >= 4);
        assert_eq!(store.get_many(&hashes).unwrap(), blocks.into_iter().map(Some).collect::<Vec<_>>());
    }

    #[test]
    fn closing_leaves_a_small_journal_whatever_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory);
        for i in 0..100u32 {
            let blocks: Vec<Bytes> = (0..100).map(|j| Bytes::from(format!("{i} {j}"))).collect();
            store.put(&blocks, Durability::Synced).unwrap();
        }
        let index = directory.path().join("index");
        assert!(fjall_files::journal_bytes(&index).unwrap() > fjall_files::JOURNAL_BYTES);
        drop(store);
        assert!(fjall_files::journal_bytes(&index).unwrap() < fjall_files::JOURNAL_BYTES);
        let store = open(&directory);
        assert_eq!(store.totals().blocks, 10_000);
        assert!(store.get(&Hash::of(b"99 99")).unwrap().is_some());
    }
}
