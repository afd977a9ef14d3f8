//! A store in memory: the model of the disk engine, for tests and simulators.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use hbs2_core::{Hash, inspect};

use crate::{Durability, Stat, Store, StoreError, Totals};

/// A store that forgets everything when it is dropped. "On stable storage" means nothing here; everything else
/// follows the contract of [`Store`].
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    blocks: BTreeMap<Hash, Bytes>,
    references: BTreeMap<Hash, Hash>,
    records: BTreeMap<String, Bytes>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock runs foreign code that panics")
    }
}

impl Store for MemoryStore {
    fn put(&self, blocks: &[Bytes], _durability: Durability) -> Result<Vec<Hash>, StoreError> {
        let hashes = crate::hash_blocks(blocks)?;
        self.state().blocks.extend(hashes.iter().copied().zip(blocks.iter().cloned()));
        Ok(hashes)
    }

    fn put_expected(
        &self,
        blocks: &[(Hash, Bytes)],
        _durability: Durability,
    ) -> Result<Vec<bool>, StoreError> {
        let fits = crate::check_hashes(blocks)?;
        let fitting = blocks.iter().zip(&fits).filter(|(_, fits)| **fits).map(|(block, _)| block.clone());
        self.state().blocks.extend(fitting);
        Ok(fits)
    }

    fn get(&self, hash: &Hash) -> Result<Option<Bytes>, StoreError> {
        Ok(self.state().blocks.get(hash).cloned())
    }

    fn stat(&self, hash: &Hash) -> Result<Option<Stat>, StoreError> {
        let state = self.state();
        Ok(state
            .blocks
            .get(hash)
            .map(|block| Stat { bytes: block.len() as u64, links: inspect::may_link(block) }))
    }

    fn delete(&self, hash: &Hash) -> Result<bool, StoreError> {
        Ok(self.state().blocks.remove(hash).is_some())
    }

    fn hashes(&self, each: &mut dyn FnMut(Hash, u64) -> ControlFlow<()>) -> Result<(), StoreError> {
        let seen: Vec<_> =
            self.state().blocks.iter().map(|(hash, block)| (*hash, block.len() as u64)).collect();
        let _ = seen.into_iter().try_for_each(|(hash, bytes)| each(hash, bytes));
        Ok(())
    }

    fn reference(&self, key: &Hash) -> Result<Option<Hash>, StoreError> {
        Ok(self.state().references.get(key).copied())
    }

    fn set_references(&self, changes: &[(Hash, Option<Hash>)]) -> Result<(), StoreError> {
        crate::check_references(changes)?;
        let mut state = self.state();
        for (key, value) in changes {
            match value {
                Some(value) => state.references.insert(*key, *value),
                None => state.references.remove(key),
            };
        }
        Ok(())
    }

    fn references(&self, each: &mut dyn FnMut(Hash, Hash) -> ControlFlow<()>) -> Result<(), StoreError> {
        let seen = self.state().references.clone();
        let _ = seen.into_iter().try_for_each(|(key, value)| each(key, value));
        Ok(())
    }

    fn record(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        Ok(self.state().records.get(name).cloned())
    }

    fn set_record(&self, name: &str, value: Option<&[u8]>) -> Result<(), StoreError> {
        crate::check_record(name, value)?;
        let mut state = self.state();
        match value {
            Some(value) => state.records.insert(name.to_owned(), Bytes::copy_from_slice(value)),
            None => state.records.remove(name),
        };
        Ok(())
    }

    fn totals(&self) -> Totals {
        let state = self.state();
        Totals { blocks: state.blocks.len() as u64, ..Totals::default() }
    }
}
