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
    let mut found = Missing::default();
    let mut visited: HashSet<Hash> = HashSet::new();
    let mut pending: Vec<Hash> = roots.iter().rev().copied().collect();
    while let Some(hash) = pending.pop() {
        if visited.contains(&hash) {
            continue;
        }
        if visited.len() >= VISITED_HASHES_MAX || pending.len() > PENDING_HASHES_MAX {
            found.truncated = true;
            break;
        }
        match look(store, &hash)? {
            Look::Blob => found.present += 1,
            Look::Links(links) => {
                found.present += 1;
                visited.insert(hash);
                pending.extend(links.into_iter().rev());
            }
            Look::Absent if found.hashes.len() == max => {
                found.truncated = true;
                break;
            }
            Look::Absent => {
                visited.insert(hash);
                found.hashes.push(hash);
            }
        }
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
