//! What a small machine needs besides its own state.

use std::time::Instant;

use hbs2_core::SignPublicKey;

use crate::conduct::Conduct;
use crate::outbox::Outbox;
use crate::random::Random;
use crate::wire::Message;
use crate::{Config, LinkId, Offence};

/// The time on the wall, when it was told once.
pub(crate) fn unix_seconds(now: Instant, clock: Option<(Instant, u64)>) -> Option<u64> {
    let (at, seconds) = clock?;
    Some(seconds + now.saturating_duration_since(at).as_secs())
}

/// One call of the node: the time, the rules, and where numbers come from and effects go to.
pub(crate) struct Moment<'a> {
    pub(crate) now: Instant,
    /// When the clock on the wall was last told, and what it said.
    pub(crate) clock: Option<(Instant, u64)>,
    pub(crate) config: &'a Config,
    pub(crate) random: &'a mut Random,
    pub(crate) out: &'a mut Outbox,
    pub(crate) conduct: &'a mut Conduct,
}

impl Moment<'_> {
    /// Seconds since 1970, zero when nobody has said.
    pub(crate) fn seconds(&self) -> u64 {
        self.unix_seconds().unwrap_or(0)
    }

    /// The time on the wall in seconds since the epoch, if it is known.
    pub(crate) fn unix_seconds(&self) -> Option<u64> {
        unix_seconds(self.now, self.clock.or(self.config.clock))
    }

    pub(crate) fn event(&mut self, event: crate::Event) {
        self.out.event(event);
    }

    pub(crate) fn send(&mut self, link: LinkId, message: &Message) {
        self.out.send(link, message);
    }

    /// Whether a peer may be here: by the configuration, by its owner and by what it did.
    pub(crate) fn admits(&self, key: &SignPublicKey) -> bool {
        self.config.admits(key) && !self.conduct.is_banned(self.now, self.unix_seconds(), key)
    }

    /// Notes what the other end of a link did wrong.
    pub(crate) fn offend(&mut self, link: LinkId, offence: Offence) {
        self.out.counters.offences += 1;
        self.conduct.offend(self.now, link, offence);
    }

    /// Notes that a message of this link was dropped, which is not its fault.
    pub(crate) fn dropped(&mut self, link: LinkId) {
        self.out.counters.messages_limited += 1;
        self.conduct.dropped(self.now, link);
    }

    /// Notes that a message of this link was dropped, because it sends too many of its kind.
    pub(crate) fn limited(&mut self, link: LinkId) {
        self.out.counters.messages_limited += 1;
        self.conduct.limited(self.now, link);
    }
}
