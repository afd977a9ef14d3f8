//! How the memory of a node is divided.

/// Memory that a node may use when nothing else is said, in bytes.
pub const MEMORY_BYTES: usize = 256 * 1024 * 1024;

/// Least memory that a node can be told to use, in bytes: with less a share would not hold a few of the longest blocks.
pub const MEMORY_BYTES_MIN: usize = 64 * 1024 * 1024;

/// Shares of the memory. Half of it is divided here; the rest is for what has limits of its own in numbers: tables of
/// links, wants and references, the index of the store, the programs that ask us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Bytes of blocks that are asked for, partly here, or on their way to the store. An eighth: a loopback peer alone
    /// keeps 8 MiB on the line and as much in the store's queue.
    pub fetch_bytes: u64,
    /// Bytes of blocks that are read for peers and not sent yet; beyond it only idle links get a block. An eighth.
    pub serve_bytes: usize,
    /// Bytes of all that waits to be sent; beyond it, who has most of it gets nothing more. A quarter, with what is
    /// served.
    pub send_bytes: usize,
    /// Bytes of blocks of which peers ask a part at a time, kept for the next part. A sixty-fourth: one block of a
    /// dozen readers.
    pub parts_bytes: usize,
    /// Bytes of long frames that are still coming. A sixteenth: sixteen of the longest.
    pub frames_bytes: usize,
}

impl Memory {
    /// The shares of `bytes` bytes.
    #[must_use]
    pub const fn of(bytes: usize) -> Self {
        Self {
            fetch_bytes: bytes as u64 / 8,
            serve_bytes: bytes / 8,
            send_bytes: bytes / 4,
            parts_bytes: bytes / 64,
            frames_bytes: bytes / 16,
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::of(MEMORY_BYTES)
    }
}
