//! What peers do wrong, and how much it weighs.

use std::fmt;
use std::time::Duration;

/// Something a peer should not do. The weight of each is argued in [`Offence::points`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Offence {
    /// It delivered bytes that are not the block it was asked for.
    WrongBlock,
    /// It delivered parts that cannot be of the block, or told an impossible length.
    WrongSize,
    /// It brought something that is badly signed.
    BadSignature,
    /// It brought something that belongs elsewhere.
    Foreign,
    /// It named a tree that is too large for what it is to be, or has nothing of it.
    Bait,
    /// It sent what is no message.
    Garbage,
    /// It sent more than it may.
    Flood,
    /// It sent the same gossip again.
    Replay,
    /// It brought values older than those it should know.
    Stale,
}

impl Offence {
    /// All, the gravest first.
    pub const ALL: [Self; 9] = [
        Self::WrongBlock,
        Self::WrongSize,
        Self::BadSignature,
        Self::Foreign,
        Self::Bait,
        Self::Garbage,
        Self::Flood,
        Self::Replay,
        Self::Stale,
    ];

    /// Weight in points; at a hundred a peer is banned, and ten a minute are forgotten.
    pub(crate) const fn points(self) -> u32 {
        match self {
            // One may be a disk or memory error; three in a few minutes are a habit.
            Self::WrongBlock => 34,
            // No honest program does any of these; ten, since a fault of ours would look the same.
            Self::WrongSize | Self::BadSignature | Self::Bait | Self::Flood => 10,
            // An honest peer may carry what others slipped into its log.
            Self::Foreign => 5,
            // Packets sealed with an old key look like this until both sides have greeted.
            Self::Garbage => 5,
            Self::Replay => 2,
            // The original repeats stale values as long as others do.
            Self::Stale => 1,
        }
    }

    /// Time in which repetitions add no weight: what comes in streams weighs by its duration, not by its number.
    pub(crate) const fn pause(self) -> Duration {
        match self {
            Self::Garbage | Self::Flood | Self::Replay => Duration::from_secs(1),
            Self::Stale => Duration::from_secs(10),
            _ => Duration::ZERO,
        }
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongBlock => "wrong blocks",
            Self::WrongSize => "wrong sizes",
            Self::BadSignature => "bad signatures",
            Self::Foreign => "foreign entries",
            Self::Bait => "useless trees",
            Self::Garbage => "garbage",
            Self::Flood => "floods",
            Self::Replay => "replays",
            Self::Stale => "stale values",
        })
    }
}
