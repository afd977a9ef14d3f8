//! Finding the first peers: announcements on the local network, and bootstrap domains (spec: wire 1.5, 3.3).

use std::time::{Duration, Instant};

use crate::Output;
use crate::limiter::Bucket;
use crate::moment::Moment;
use crate::wire::{Message, PeerAnnounce};

/// Wait before the first announcement; the original's.
const ANNOUNCE_FIRST: Duration = Duration::from_secs(3);

/// Time between announcements.
const ANNOUNCE: Duration = Duration::from_secs(120);

/// The same while nobody is linked.
const ANNOUNCE_ALONE: Duration = Duration::from_secs(10);

/// Wait before the domains are asked first; the original's.
const LOOKUP_FIRST: Duration = Duration::from_secs(2);

/// Time between questions to the domains.
const LOOKUP: Duration = Duration::from_secs(300);

/// Announcements of others followed at once, at most: a local network where everybody is started at the same moment.
const HEARD_BURST: u32 = 64;

/// Time for one more.
const HEARD_REFILL: Duration = Duration::from_secs(1);

/// When to announce and to ask.
#[derive(Debug, Default)]
pub(crate) struct Discovery {
    announce: Option<Instant>,
    lookup: Option<Instant>,
    heard: Option<Bucket>,
}

impl Discovery {
    pub(crate) fn start(&mut self, now: Instant) {
        self.announce = Some(now + ANNOUNCE_FIRST);
        self.lookup = Some(now + LOOKUP_FIRST);
        self.heard = Some(Bucket::new(now, HEARD_BURST, HEARD_REFILL));
    }

    /// Whether one more announcement may be followed.
    pub(crate) fn may_follow(&mut self, now: Instant) -> bool {
        self.heard.as_mut().is_some_and(|heard| heard.take(now))
    }

    /// The domains have changed: asks them soon.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.lookup = self.lookup.map(|at| at.min(now));
    }

    /// Does what is due; `alone` when nobody is linked.
    pub(crate) fn wake(&mut self, m: &mut Moment<'_>, process: &[u8], alone: bool) {
        if self.announce.is_some_and(|at| at <= m.now) {
            self.announce = Some(m.now + if alone { ANNOUNCE_ALONE } else { ANNOUNCE });
            if m.config.multicast {
                let announce = Message::PeerAnnounce(PeerAnnounce { process: process.to_vec() });
                m.out.push(Output::Multicast { packet: announce.encode() });
            }
        }
        if self.lookup.is_some_and(|at| at <= m.now) {
            self.lookup = Some(m.now + LOOKUP);
            for domain in &m.config.bootstrap {
                m.out.push(Output::Lookup { domain: domain.clone() });
            }
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.announce.into_iter().chain(self.lookup).min()
    }
}
