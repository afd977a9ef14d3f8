//! One link for each pair of processes (spec: wire 1.2).
//!
//! A process is known by the cookie it sends when a connection begins. A second connection with a cookie that
//! is in use is closed, whichever side opened it. That rule alone has a hole: when both processes dial at the
//! same moment, each may see the two connections in another order and close the one that the other keeps, so
//! that both are lost. Hence the tie-break: of two connections in opposite directions that begin close
//! together, the one dialled by the process with the larger cookie stays. Both sides come to the same choice
//! without a message. An original knows no tie-break and may still close both; whoever wants the link dials
//! again after a random pause.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::tcp::LinkId;

/// How young a link must be to lose a tie, in seconds. Long enough for two dials of the same moment on a slow
/// line; shorter than the 8 seconds after which an original probes our listening port with a connection of
/// its own, which must not replace the link.
const TIE_SECONDS: u64 = 5;

/// Who opened a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The other side dialled.
    Inbound,
    /// We dialled.
    Outbound,
}

/// What becomes of a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is the link to that process.
    Admitted,
    /// It is the link from now on; the given older one is to be closed.
    Replaces(LinkId),
    /// The given link stays; the new connection is to be closed.
    Duplicate(LinkId),
    /// The other side is this very process.
    Myself,
}

/// The links in use, by the cookie of the other side.
#[derive(Debug)]
pub(crate) struct Registry {
    own: u32,
    links: BTreeMap<u32, Entry>,
}

#[derive(Debug)]
struct Entry {
    link: LinkId,
    direction: Direction,
    since: Instant,
}

impl Registry {
    /// An empty registry of the process with cookie `own`.
    pub(crate) fn new(own: u32) -> Self {
        Self { own, links: BTreeMap::new() }
    }

    /// Decides on a connection whose cookies have just been exchanged.
    pub(crate) fn claim(&mut self, now: Instant, cookie: u32, link: LinkId, direction: Direction) -> Claim {
        if cookie == self.own {
            return Claim::Myself;
        }
        let claim = match self.links.get(&cookie) {
            None => Claim::Admitted,
            Some(old) if self.wins_tie(now, cookie, direction, old) => Claim::Replaces(old.link),
            Some(old) => return Claim::Duplicate(old.link),
        };
        self.links.insert(cookie, Entry { link, direction, since: now });
        claim
    }

    /// Frees the cookie, unless another link has taken it meanwhile.
    pub(crate) fn release(&mut self, cookie: u32, link: LinkId) {
        if self.links.get(&cookie).is_some_and(|entry| entry.link == link) {
            self.links.remove(&cookie);
        }
    }

    fn wins_tie(&self, now: Instant, cookie: u32, direction: Direction, old: &Entry) -> bool {
        let favoured = if self.own > cookie { Direction::Outbound } else { Direction::Inbound };
        let young = now.saturating_duration_since(old.since) < Duration::from_secs(TIE_SECONDS);
        young && old.direction != favoured && direction == favoured
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Inbound, Outbound};

    const FIRST: LinkId = LinkId(1);
    const SECOND: LinkId = LinkId(2);

    #[test]
    fn the_own_cookie_is_this_process_and_a_known_one_is_a_duplicate() {
        let now = Instant::now();
        let mut registry = Registry::new(50);
        assert_eq!(registry.claim(now, 50, FIRST, Outbound), Claim::Myself);
        assert_eq!(registry.claim(now, 60, FIRST, Inbound), Claim::Admitted);
        assert_eq!(registry.claim(now, 60, SECOND, Inbound), Claim::Duplicate(FIRST));
        registry.release(60, SECOND);
        assert_eq!(registry.claim(now, 60, SECOND, Inbound), Claim::Duplicate(FIRST));
        registry.release(60, FIRST);
        assert_eq!(registry.claim(now, 60, SECOND, Inbound), Claim::Admitted);
    }

    #[test]
    fn of_two_simultaneous_dials_both_sides_keep_the_one_of_the_larger_cookie() {
        let now = Instant::now();
        for (alice, bob) in [(50, 60), (60, 50)] {
            // FIRST was dialled by alice, SECOND by bob.
            let kept_first = alice > bob;
            let (one, other) = if kept_first {
                (Claim::Duplicate(FIRST), Claim::Replaces(SECOND))
            } else {
                (Claim::Replaces(FIRST), Claim::Duplicate(SECOND))
            };
            let mut registry = Registry::new(alice);
            assert_eq!(registry.claim(now, bob, FIRST, Outbound), Claim::Admitted);
            assert_eq!(registry.claim(now, bob, SECOND, Inbound), one);
            let mut registry = Registry::new(bob);
            assert_eq!(registry.claim(now, alice, SECOND, Outbound), Claim::Admitted);
            assert_eq!(registry.claim(now, alice, FIRST, Inbound), other);
        }
    }

    #[test]
    fn an_old_link_survives_a_later_connection_of_the_favoured_direction() {
        let now = Instant::now();
        let later = now + Duration::from_secs(TIE_SECONDS);
        let mut registry = Registry::new(50);
        assert_eq!(registry.claim(now, 60, FIRST, Outbound), Claim::Admitted);
        assert_eq!(registry.claim(later, 60, SECOND, Inbound), Claim::Duplicate(FIRST));
    }
}
