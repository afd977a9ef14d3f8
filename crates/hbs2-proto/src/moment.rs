//! What a small machine needs besides its own state.

use std::time::Instant;

use crate::outbox::Outbox;
use crate::random::Random;
use crate::wire::Message;
use crate::{Config, LinkId};

/// One call of the node: the time, the rules, and where numbers come from and effects go to.
pub(crate) struct Moment<'a> {
    pub(crate) now: Instant,
    /// When the clock on the wall was last told, and what it said.
    pub(crate) clock: Option<(Instant, u64)>,
    pub(crate) config: &'a Config,
    pub(crate) random: &'a mut Random,
    pub(crate) out: &'a mut Outbox,
}

impl Moment<'_> {
    /// Seconds since 1970, zero when nobody has said.
    pub(crate) fn seconds(&self) -> u64 {
        self.unix_seconds().unwrap_or(0)
    }

    /// The time on the wall in seconds since the epoch, if it is known.
    pub(crate) fn unix_seconds(&self) -> Option<u64> {
        let (at, seconds) = self.clock.or(self.config.clock)?;
        Some(seconds + self.now.saturating_duration_since(at).as_secs())
    }

    pub(crate) fn event(&mut self, event: crate::Event) {
        self.out.event(event);
    }

    pub(crate) fn send(&mut self, link: LinkId, message: &Message) {
        self.out.send(link, message);
    }
}
