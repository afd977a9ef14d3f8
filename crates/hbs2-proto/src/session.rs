//! Who is linked, and who is trusted.

/// Longest wait for the answer of [`Command::Ping`](crate::Command::Ping), in milliseconds. The original waits one
/// second for a linked peer; two leave time to dial.
pub const PING_ANSWER_MILLIS: u64 = 2000;

/// Wrong blocks after which a peer is not asked for a while. One may be a disk or memory error; three in a few
/// minutes are a habit.
pub const STRIKES_MAX: u32 = 3;
