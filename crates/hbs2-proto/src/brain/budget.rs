//! Memory for blocks on their way.
//!
//! A block is charged in full when its data is asked for and until the driver has stored it, so a slow disk slows the
//! asking down instead of filling the memory.

use crate::io::Memory;

/// What is charged.
#[derive(Debug)]
pub(crate) struct Budget {
    held: u64,
    max: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { held: 0, max: Memory::default().fetch_bytes }
    }
}

impl Budget {
    /// Sets how much may be charged.
    pub(crate) fn limit(&mut self, bytes: u64) {
        self.max = bytes;
    }

    /// Whether `bytes` more may be charged. A single block always fits.
    pub(crate) fn fits(&self, bytes: u64) -> bool {
        self.held == 0 || self.held + bytes <= self.max
    }

    /// Whether less than half is in use, so that a half-finished block may be kept.
    pub(crate) fn is_relaxed(&self) -> bool {
        self.held <= self.max / 2
    }

    pub(crate) fn charge(&mut self, bytes: u64) {
        self.held += bytes;
    }

    pub(crate) fn release(&mut self, bytes: u64) {
        debug_assert!(bytes <= self.held, "released more than charged");
        self.held = self.held.saturating_sub(bytes);
    }

    pub(crate) fn held(&self) -> u64 {
        self.held
    }
}
