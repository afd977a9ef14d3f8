//! Memory for blocks on their way.
//!
//! A block is charged in full when its data is asked for and until the driver has stored it, so a slow disk slows the
//! asking down instead of filling the memory.

/// Bytes of blocks asked for, partly here, or with the driver, at most. Four full windows; a loopback peer alone keeps
/// 8 MiB on the line and as much in the store's queue.
const HELD_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// What is charged.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    held: u64,
}

impl Budget {
    /// Whether `bytes` more may be charged. A single block always fits.
    pub(crate) fn fits(&self, bytes: u64) -> bool {
        self.held == 0 || self.held + bytes <= HELD_BYTES_MAX
    }

    /// Whether less than half is in use, so that a half-finished block may be kept.
    pub(crate) fn is_relaxed(&self) -> bool {
        self.held <= HELD_BYTES_MAX / 2
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
