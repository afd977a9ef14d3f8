//! Blocks of which peers ask a part at a time.
//!
//! Over datagrams a block is asked for in short runs of chunks, each of which would be another reading of the whole
//! block. So a block that was asked for in part is kept for a while, the one used last the longest.

use std::collections::VecDeque;

use bytes::Bytes;
use hbs2_core::Hash;

/// Blocks kept, at most. They are looked through one by one.
const BLOCKS_MAX: usize = 64;

/// The blocks, the one used last at the end.
#[derive(Debug, Default)]
pub(super) struct Parts {
    blocks: VecDeque<(Hash, Bytes)>,
    bytes: usize,
}

impl Parts {
    /// A block that is kept.
    pub(super) fn get(&mut self, hash: &Hash) -> Option<Bytes> {
        let place = self.blocks.iter().position(|(kept, _)| kept == hash)?;
        let (hash, block) = self.blocks.remove(place)?;
        self.blocks.push_back((hash, block.clone()));
        Some(block)
    }

    /// Keeps a block, of at most `bytes_max` bytes in all.
    pub(super) fn keep(&mut self, hash: Hash, block: &Bytes, bytes_max: usize) {
        if block.len() > bytes_max || self.get(&hash).is_some() {
            return;
        }
        self.bytes += block.len();
        self.blocks.push_back((hash, block.clone()));
        while (self.bytes > bytes_max || self.blocks.len() > BLOCKS_MAX)
            && let Some((_, block)) = self.blocks.pop_front()
        {
            self.bytes -= block.len();
        }
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(byte: u8, bytes: usize) -> (Hash, Bytes) {
        (Hash::from_bytes([byte; 32]), Bytes::from(vec![byte; bytes]))
    }

    #[test]
    fn the_block_that_was_used_least_lately_goes_first_and_the_bytes_are_kept_to() {
        let mut parts = Parts::default();
        for byte in 1..=3 {
            let (hash, block) = block(byte, 40);
            parts.keep(hash, &block, 100);
            assert!(parts.get(&Hash::from_bytes([1; 32])).is_some(), "in use");
        }
        assert!(parts.get(&Hash::from_bytes([2; 32])).is_none());
        assert_eq!((parts.bytes, parts.blocks.len()), (80, 2));
        let (hash, long) = block(9, 101);
        parts.keep(hash, &long, 100);
        assert!(parts.get(&hash).is_none());
        parts.clear();
        assert_eq!(parts.bytes, 0);
    }
}
