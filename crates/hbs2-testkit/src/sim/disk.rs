//! The store of a simulated node.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use hbs2_core::tree::walk::Leaves;
use hbs2_core::{Hash, inspect};
use hbs2_proto::Commit;

/// Blocks, references and records. Blocks that were fetched are *loose* until some time has passed: a crash loses
/// them.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    blocks: BTreeMap<Hash, Bytes>,
    loose: BTreeSet<Hash>,
    references: BTreeMap<Hash, Hash>,
    records: BTreeMap<String, Bytes>,
}

impl Disk {
    /// Stores a block.
    ///
    /// # Panics
    /// If the bytes do not have the hash: no node may ever store such a block.
    pub fn put(&mut self, hash: Hash, block: Bytes) {
        assert_eq!(Hash::of(&block), hash, "a wrong block was stored");
        self.loose.remove(&hash);
        self.blocks.insert(hash, block);
    }

    /// Stores a block that a crash may lose, if its bytes have the hash; whether they had.
    pub fn put_loose(&mut self, hash: Hash, block: Bytes) -> bool {
        if Hash::of(&block) != hash {
            return false;
        }
        if !self.blocks.contains_key(&hash) {
            self.loose.insert(hash);
        }
        self.blocks.insert(hash, block);
        true
    }

    /// Time has passed: what was loose is safe.
    pub fn sync(&mut self) {
        self.loose.clear();
    }

    /// A crash: what is loose is lost.
    pub fn crash(&mut self) {
        for hash in std::mem::take(&mut self.loose) {
            self.blocks.remove(&hash);
        }
    }

    /// Removes a block.
    pub fn delete(&mut self, hash: &Hash) {
        self.blocks.remove(hash);
    }

    /// The bytes of a block.
    #[must_use]
    pub fn get(&self, hash: &Hash) -> Option<&Bytes> {
        self.blocks.get(hash)
    }

    /// How many blocks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The value of a reference.
    #[must_use]
    pub fn reference(&self, key: &Hash) -> Option<Hash> {
        self.references.get(key).copied()
    }

    /// The saved records.
    pub fn records(&self) -> impl Iterator<Item = (&String, &Bytes)> {
        self.records.iter()
    }

    /// Writes a commit: blocks, records, references.
    pub fn commit(&mut self, commit: Commit) {
        for (hash, block) in commit.blocks {
            self.put(hash, block);
        }
        for (name, value) in commit.records {
            self.records.insert(name.to_owned(), value);
        }
        self.references.extend(commit.references);
        self.sync();
    }

    /// Absent blocks reachable from `root` through present ones, at most `max`, and whether there may be more.
    #[must_use]
    pub fn missing(&self, root: &Hash, max: usize) -> (Vec<Hash>, bool) {
        let mut missing = Vec::new();
        let mut seen = BTreeSet::new();
        let mut stack = vec![*root];
        while let Some(hash) = stack.pop() {
            if !seen.insert(hash) {
                continue;
            }
            match self.blocks.get(&hash) {
                Some(block) => stack.extend(inspect::links(block).into_iter().rev()),
                None if missing.len() == max => return (missing, true),
                None => missing.push(hash),
            }
        }
        (missing, false)
    }

    /// The leaf entries of a tree, and whether these are all.
    #[must_use]
    pub fn leaves(&self, root: Hash) -> (Vec<Hash>, bool) {
        let get = |hash: &Hash| Ok::<_, std::convert::Infallible>(self.blocks.get(hash).cloned());
        let mut leaves = Vec::new();
        for leaf in Leaves::new(root, get) {
            match leaf {
                Ok(hashes) => leaves.extend(hashes),
                Err(_) => return (leaves, false),
            }
        }
        (leaves, true)
    }
}
