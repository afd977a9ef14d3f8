//! Which blocks of a tree are absent (spec: wire 2.14).
//!
//! The walk goes depth first and in the order of the tree, on a stack of its own, so that hostile depth costs
//! memory and not the thread's stack. Blobs are only looked up, never read: the store remembers which blocks may
//! name others. A block that names others is read once, however often it is named.

use std::collections::HashSet;

use hbs2_core::{Hash, inspect};

use crate::{Store, StoreError};

/// Blocks with links that one walk remembers, at most. A million trees are a folder of a million files; the set
/// then takes about 70 MB.
const VISITED_HASHES_MAX: usize = 1 << 20;

/// Hashes that wait on the stack of one walk, at most, 32 MiB. An honest tree keeps some thousand per level; only
/// huge nodes nested in huge nodes come near.
const PENDING_HASHES_MAX: usize = 1 << 20;

/// What a walk found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Absent blocks that are named by the roots or by present blocks, each once, in the order of the tree.
    pub hashes: Vec<Hash>,
    /// Whether the walk stopped at a limit: there may be more absent blocks than listed.
    pub truncated: bool,
    /// Present blocks met. A blob that is named twice counts twice.
    pub present: u64,
}

impl Missing {
    /// Whether everything reachable is there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.hashes.is_empty() && !self.truncated
    }
}

/// Walks from `roots` through present blocks and lists the first `max` absent ones.
///
/// # Errors
///
/// Fails only when the store does.
pub fn missing(store: &dyn Store, roots: &[Hash], max: usize) -> Result<Missing, StoreError> {
    let limits = Limits { missing: max, visited: VISITED_HASHES_MAX, pending: PENDING_HASHES_MAX };
    walk(store, roots, &limits)
}

/// Counts of hashes at which a walk stops.
struct Limits {
    missing: usize,
    visited: usize,
    pending: usize,
}

fn walk(store: &dyn Store, roots: &[Hash], limits: &Limits) -> Result<Missing, StoreError> {
    let mut found = Missing::default();
    let mut visited: HashSet<Hash> = HashSet::new();
    let mut pending: Vec<Hash> = roots.iter().rev().copied().collect();
    while let Some(hash) = pending.pop() {
        if visited.contains(&hash) {
            continue;
        }
        let links = match look(store, &hash)? {
            Look::Blob => {
                found.present += 1;
                continue;
            }
            Look::Links(links) => {
                found.present += 1;
                links
            }
            Look::Absent if found.hashes.len() < limits.missing => {
                found.hashes.push(hash);
                Vec::new()
            }
            Look::Absent => {
                found.truncated = true;
                break;
            }
        };
        if visited.len() >= limits.visited || pending.len() + links.len() > limits.pending {
            found.truncated = true;
            break;
        }
        visited.insert(hash);
        pending.extend(links.into_iter().rev());
    }
    Ok(found)
}

enum Look {
    Absent,
    Blob,
    Links(Vec<Hash>),
}

fn look(store: &dyn Store, hash: &Hash) -> Result<Look, StoreError> {
    Ok(match store.stat(hash)? {
        None => Look::Absent,
        Some(stat) if !stat.links => Look::Blob,
        // A block that turns out corrupt is absent, whatever its entry said.
        Some(_) => store.get(hash)?.map_or(Look::Absent, |block| Look::Links(inspect::links(&block))),
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::ops::ControlFlow;

    use bytes::Bytes;
    use hbs2_core::Encode;
    use hbs2_core::pointer::{AnnotatedRef, SequentialRef};
    use hbs2_core::tree::{AnnotatedTree, Crypt, Meta, Shape, Tree, build};

    use super::*;
    use crate::{Durability, MemoryStore, Stat, Totals};

    /// A store that notes how often each block is read.
    #[derive(Default)]
    struct Watched {
        store: MemoryStore,
        reads: std::sync::Mutex<BTreeMap<Hash, usize>>,
    }

    impl Store for Watched {
        fn put(&self, blocks: &[Bytes], durability: Durability) -> Result<Vec<Hash>, StoreError> {
            self.store.put(blocks, durability)
        }
        fn put_expected(
            &self,
            blocks: &[(Hash, Bytes)],
            durability: Durability,
        ) -> Result<Vec<bool>, StoreError> {
            self.store.put_expected(blocks, durability)
        }
        fn get(&self, hash: &Hash) -> Result<Option<Bytes>, StoreError> {
            *self.reads.lock().unwrap().entry(*hash).or_default() += 1;
            self.store.get(hash)
        }
        fn stat(&self, hash: &Hash) -> Result<Option<Stat>, StoreError> {
            self.store.stat(hash)
        }
        fn delete(&self, hash: &Hash) -> Result<bool, StoreError> {
            self.store.delete(hash)
        }
        fn hashes(&self, each: &mut dyn FnMut(Hash, u64) -> ControlFlow<()>) -> Result<(), StoreError> {
            self.store.hashes(each)
        }
        fn reference(&self, key: &Hash) -> Result<Option<Hash>, StoreError> {
            self.store.reference(key)
        }
        fn set_references(&self, changes: &[(Hash, Option<Hash>)]) -> Result<(), StoreError> {
            self.store.set_references(changes)
        }
        fn references(&self, each: &mut dyn FnMut(Hash, Hash) -> ControlFlow<()>) -> Result<(), StoreError> {
            self.store.references(each)
        }
        fn record(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
            self.store.record(name)
        }
        fn set_record(&self, name: &str, value: Option<&[u8]>) -> Result<(), StoreError> {
            self.store.set_record(name, value)
        }
        fn totals(&self) -> Totals {
            self.store.totals()
        }
    }

    impl Watched {
        fn add(&self, block: impl Into<Bytes>) -> Hash {
            self.put(&[block.into()], Durability::Synced).unwrap()[0]
        }

        fn blob(&self, text: &str) -> Hash {
            self.add(text.as_bytes().to_vec())
        }

        fn leaf(&self, hashes: &[Hash]) -> Hash {
            self.add(Tree::Leaf(hashes.to_vec()).to_bytes())
        }

        fn node(&self, children: &[Hash]) -> Hash {
            self.add(Tree::Node { height: 1, children: children.to_vec() }.to_bytes())
        }

        fn absent(&self, roots: &[Hash]) -> Vec<Hash> {
            let found = missing(self, roots, usize::MAX).unwrap();
            assert!(!found.truncated);
            found.hashes
        }
    }

    fn absent_hashes<const N: usize>() -> [Hash; N] {
        std::array::from_fn(|i| Hash::of(format!("absent {i}").as_bytes()))
    }

    #[test]
    fn an_absent_root_is_missing_and_a_present_blob_is_complete() {
        let store = Watched::default();
        let [a] = absent_hashes();
        assert_eq!(store.absent(&[a]), [a]);
        let blob = store.blob("here");
        let found = missing(&store, &[blob], 10).unwrap();
        assert_eq!(found, Missing { hashes: vec![], truncated: false, present: 1 });
        assert!(found.is_complete());
    }

    #[test]
    fn absent_blocks_come_once_each_in_the_order_of_the_tree() {
        let store = Watched::default();
        let [a, b, c, d] = absent_hashes();
        let x = store.blob("x");
        let first = store.leaf(&[x, b, x, a]);
        let second = store.leaf(&[a, c, x]);
        let root = store.node(&[first, d, second]);
        assert_eq!(store.absent(&[root]), [b, a, d, c]);
        assert_eq!(store.absent(&[second, root]), [a, c, b, d]);
    }

    #[test]
    fn every_kind_of_link_is_followed() {
        let store = Watched::default();
        let [meta, key, entry, target, annotation, last] = absent_hashes();
        let annotated = store.add(
            AnnotatedTree {
                meta: Meta::Block(meta),
                crypt: Crypt::Group1 { key, nonce: vec![0; 24] },
                tree: Tree::Leaf(vec![entry]),
            }
            .to_bytes(),
        );
        let pointer = AnnotatedRef { annotation: Some(annotation), target };
        let pointer_block = store.add(pointer.to_bytes());
        let ranked = SequentialRef { rank: 7, target: AnnotatedRef { annotation: None, target: last } };
        let ranked_block = store.add(ranked.to_bytes());
        let root = store.leaf(&[annotated, pointer_block, ranked_block]);
        assert_eq!(store.absent(&[root]), [meta, key, entry, annotation, target, last]);
    }

    #[test]
    fn a_tree_that_is_an_entry_of_a_leaf_is_entered() {
        let store = Watched::default();
        let [a] = absent_hashes();
        let inner = store.leaf(&[store.blob("inside"), a]);
        let root = store.leaf(&[store.leaf(&[inner])]);
        assert_eq!(store.absent(&[root]), [a]);
    }

    #[test]
    fn blobs_are_not_read_and_other_blocks_once() {
        let store = Watched::default();
        let blobs: Vec<Hash> = (0..3000).map(|i| store.blob(&format!("blob {i}"))).collect();
        let trees = RefCell::new(Vec::new());
        let root = build::build(Shape::DATA, &blobs, |hash, block| {
            trees.borrow_mut().push(hash);
            store.add(block);
        });
        let twice = store.node(&[root, root, root]);
        let found = missing(&store, &[twice, root], 10).unwrap();
        assert!(found.is_complete());
        assert_eq!(found.present, (blobs.len() + trees.borrow().len() + 1) as u64);
        let reads = store.reads.lock().unwrap();
        assert!(reads.values().all(|reads| *reads == 1), "no block is read twice");
        assert_eq!(reads.len(), trees.borrow().len() + 1, "no blob is read");
    }

    #[test]
    fn a_hostile_chain_of_a_hundred_thousand_trees_is_walked() {
        let store = Watched::default();
        let [end] = absent_hashes();
        let root = (0..100_000).fold(end, |below, _| store.leaf(&[below]));
        assert_eq!(store.absent(&[root]), [end]);
    }

    #[test]
    fn a_hostile_lattice_of_repeated_nodes_is_read_once_per_node() {
        // Each level names the one below 200 times: 200^50 paths.
        let store = Watched::default();
        let [end] = absent_hashes();
        let root = (0..50).fold(end, |below, _| store.node(&[below; 200]));
        assert_eq!(store.absent(&[root]), [end]);
        assert_eq!(store.reads.lock().unwrap().len(), 50);
    }

    #[test]
    fn the_list_stops_at_its_limit_and_says_so() {
        let store = Watched::default();
        let absent = absent_hashes::<5>();
        let root = store.leaf(&absent);
        for max in 0..5 {
            let found = missing(&store, &[root], max).unwrap();
            assert_eq!(found.hashes, absent[..max]);
            assert!(found.truncated);
            assert!(!found.is_complete());
        }
        for max in [5, 6] {
            let found = missing(&store, &[root], max).unwrap();
            assert_eq!((&found.hashes[..], found.truncated), (&absent[..], false));
        }
    }

    #[test]
    fn a_walk_that_meets_its_memory_limits_says_so() {
        let store = Watched::default();
        let leaves: Vec<Hash> = (0..20).map(|i| store.leaf(&[store.blob(&format!("blob {i}"))])).collect();
        let root = store.node(&leaves);
        let walk = |visited, pending| {
            walk(&store, &[root], &Limits { missing: 10, visited, pending }).unwrap().is_complete()
        };
        assert!(walk(21, 20));
        assert!(!walk(20, 20));
        assert!(!walk(21, 19));
    }
}
