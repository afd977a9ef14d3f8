//! How much may come.

use std::time::{Duration, Instant};

use crate::limiter::Bucket;

/// Questions for lengths and data that one peer may ask at once, and the answers to ours. Between two of our kind on a
/// loopback there are thirty thousand a second.
const QUESTIONS_BURST: u32 = 128 * 1024;

/// Time for one more: a hundred thousand a second are a tenth of a core.
const QUESTION_REFILL: Duration = Duration::from_micros(10);

/// Other messages of one peer at once: a peer that has just linked may ask for all references that we may poll.
const MESSAGES_BURST: u32 = 32 * 1024;

/// Time for one more: a thousand a second.
const MESSAGE_REFILL: Duration = Duration::from_millis(1);

/// Updates of logs that one peer may pass on at once. A folder of ten thousand files that somebody posts makes thirty
/// thousand, and all his neighbours hear them.
const UPDATES_BURST: u32 = 64 * 1024;

/// Time for one more: twenty thousand a second are several times what a program posts. As long as nobody here follows the
/// log each costs a look at its name.
const UPDATE_REFILL: Duration = Duration::from_micros(50);

/// Bytes of one peer at once beside blocks that we asked for: thirty-two of the longest packets.
const BYTES_BURST: u32 = 32 * 1024 * 1024;

/// Time for one more: a mebibyte a second.
const BYTE_REFILL: Duration = Duration::from_nanos(953);

/// Time for one more byte of updates: eight mebibytes a second, the length of that many.
const UPDATE_BYTE_REFILL: Duration = Duration::from_nanos(119);

/// How many times the limits of one peer hold for all together.
const TOTAL_PEERS: u32 = 4;

/// What a message costs us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A question for the length or data of a block, or an answer about lengths: cheap and frequent.
    Question,
    /// Bytes of blocks that nobody asked for.
    Unasked,
    /// An update of somebody's log, which is passed on as fast as he writes it.
    Update,
    /// Everything else.
    Other,
}

/// What may come of one peer or of all.
#[derive(Debug)]
pub(crate) struct Inbound {
    questions: Bucket,
    messages: Bucket,
    bytes: Bucket,
    updates: Bucket,
    update_bytes: Bucket,
}

impl Inbound {
    pub(crate) fn of_peer(now: Instant) -> Self {
        Self::of(now, 1)
    }

    pub(crate) fn total(now: Instant) -> Self {
        Self::of(now, TOTAL_PEERS)
    }

    fn of(now: Instant, peers: u32) -> Self {
        Self {
            questions: Bucket::new(now, QUESTIONS_BURST * peers, QUESTION_REFILL / peers),
            messages: Bucket::new(now, MESSAGES_BURST * peers, MESSAGE_REFILL / peers),
            bytes: Bucket::new(now, BYTES_BURST * peers, BYTE_REFILL / peers),
            updates: Bucket::new(now, UPDATES_BURST * peers, UPDATE_REFILL / peers),
            update_bytes: Bucket::new(now, BYTES_BURST * peers, UPDATE_BYTE_REFILL / peers),
        }
    }

    /// Whether a message may be taken.
    pub(crate) fn take(&mut self, now: Instant, kind: Kind, bytes: usize) -> bool {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        match kind {
            Kind::Question => self.questions.take(now),
            Kind::Unasked => self.bytes.take_many(now, bytes),
            Kind::Update => self.updates.take(now) && self.update_bytes.take_many(now, bytes),
            Kind::Other => self.messages.take(now) && self.bytes.take_many(now, bytes),
        }
    }
}
