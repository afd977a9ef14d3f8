//! The names of all blocks, a page at a time and in their order.

use std::collections::BinaryHeap;
use std::ops::ControlFlow;

use hbs2_core::Hash;

use crate::{Store, StoreError};

/// The first `max` hashes of blocks that come after `after`, in the order of hashes. Reads the whole list of the store
/// once and holds no more than it returns.
///
/// # Errors
/// The store fails.
pub fn after(store: &dyn Store, after: Option<Hash>, max: usize) -> Result<Vec<Hash>, StoreError> {
    let mut first = BinaryHeap::new();
    store.hashes(&mut |hash, _| {
        let is_later = after.is_none_or(|after| hash > after);
        if is_later && (first.len() < max || first.peek().is_some_and(|greatest| hash < *greatest)) {
            first.push(hash);
            if first.len() > max {
                first.pop();
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(first.into_sorted_vec())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{Durability, MemoryStore};

    #[test]
    fn pages_of_any_size_have_every_block_once_in_order() {
        let store = MemoryStore::default();
        let blocks: Vec<Bytes> = (0..100u8).map(|i| Bytes::from(vec![i])).collect();
        let mut all = store.put(&blocks, Durability::Synced).unwrap();
        all.sort_unstable();
        for max in [1, 7, 100, 101] {
            let (mut listed, mut last) = (Vec::new(), None);
            loop {
                let page = after(&store, last, max).unwrap();
                assert!(page.len() <= max);
                let Some(hash) = page.last() else { break };
                last = Some(*hash);
                listed.extend(page);
            }
            assert_eq!(listed, all, "pages of {max}");
        }
        assert_eq!(after(&store, None, 0).unwrap(), []);
    }
}
