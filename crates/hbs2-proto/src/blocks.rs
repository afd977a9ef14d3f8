//! Serving blocks to others. What we fetch ourselves is in `brain`.

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
}
