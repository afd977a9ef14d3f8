//! Serving blocks to others. What we fetch ourselves is in `brain`.

mod parts;
mod serve;
mod sizes;

pub(crate) use serve::Chunks;
pub(crate) use sizes::Sizes;

use hbs2_core::Hash;

/// One request for a run of chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) cookie: u32,
    pub(crate) hash: Hash,
    pub(crate) chunk_bytes: u16,
    pub(crate) first: u32,
    /// How many; `u32::MAX` for all.
    pub(crate) count: u32,
    /// Length of the block in bytes, 0 when it is not known.
    pub(crate) bytes: usize,
}

impl Ask {
    /// Whether more of a block of `bytes` bytes is likely to be asked for.
    fn is_part_of(&self, bytes: usize) -> bool {
        let end = (u64::from(self.first) + u64::from(self.count)).saturating_mul(u64::from(self.chunk_bytes));
        self.first > 0 || end < bytes as u64
    }
}
