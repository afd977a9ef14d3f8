//! What a small machine needs besides its own state.

use std::time::Instant;

use crate::outbox::Outbox;
use crate::random::Random;
use crate::wire::Message;
use crate::{Config, LinkId};

/// One call of the node: the time, the rules, and where numbers come from and effects go to.
pub(crate) struct Moment<'a> {
    pub(crate) now: Instant,
    pub(crate) config: &'a Config,
    pub(crate) random: &'a mut Random,
    pub(crate) out: &'a mut Outbox,
}

impl Moment<'_> {
    /// Seconds since 1970.
    pub(crate) fn seconds(&self) -> u64 {
        let seconds = |(start, seconds)| seconds + self.now.saturating_duration_since(start).as_secs();
        self.config.clock.map_or(0, seconds)
    }

    pub(crate) fn send(&mut self, link: LinkId, message: &Message) {
        self.out.send(link, message);
    }
}
