//! Blocks that a peer has, waiting for their data to be asked for.

use std::collections::{BTreeMap, VecDeque};

use hbs2_core::Hash;

use super::wants::WantId;

/// Queues of one peer, one for each want, that take turns: a small tree does not wait for a large one.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    queues: BTreeMap<WantId, VecDeque<Hash>>,
    /// Wants with a queue, the next first.
    turns: VecDeque<WantId>,
    len: usize,
}

impl Ready {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a block.
    pub(crate) fn push(&mut self, want: WantId, hash: Hash) {
        let queue = self.queues.entry(want).or_default();
        if queue.is_empty() {
            self.turns.push_back(want);
        }
        queue.push_back(hash);
        self.len += 1;
    }

    /// The next block.
    pub(crate) fn front(&self) -> Option<Hash> {
        self.queues.get(self.turns.front()?)?.front().copied()
    }

    /// Takes the next block; the turn goes on.
    pub(crate) fn pop(&mut self) -> Option<Hash> {
        let want = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&want)?;
        let hash = queue.pop_front()?;
        if queue.is_empty() {
            self.queues.remove(&want);
        } else {
            self.turns.push_back(want);
        }
        self.len -= 1;
        Some(hash)
    }

    /// Takes the block that would come last.
    pub(crate) fn pop_last(&mut self) -> Option<Hash> {
        let (want, queue) = self.queues.iter_mut().max_by_key(|(_, queue)| queue.len())?;
        let want = *want;
        let hash = queue.pop_back()?;
        if queue.is_empty() {
            self.queues.remove(&want);
            self.turns.retain(|turn| *turn != want);
        }
        self.len -= 1;
        Some(hash)
    }

    /// Takes all blocks.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Hash> + use<> {
        let queues = std::mem::take(self).queues;
        queues.into_values().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(byte: u8) -> Hash {
        Hash::from_bytes([byte; 32])
    }

    #[test]
    fn wants_take_turns() {
        let mut ready = Ready::default();
        for byte in 1..5 {
            ready.push(1, hash(byte));
        }
        ready.push(2, hash(9));
        assert_eq!(ready.front(), Some(hash(1)));
        assert_eq!(ready.pop_last(), Some(hash(4)));
        let order: Vec<Hash> = std::iter::from_fn(|| ready.pop()).collect();
        assert_eq!(order, [hash(1), hash(9), hash(2), hash(3)]);
        assert_eq!((ready.len(), ready.pop_last()), (0, None));
    }
}
