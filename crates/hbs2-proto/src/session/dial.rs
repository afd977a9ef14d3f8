//! Whom to dial, and when.
//!
//! Addresses come from the configuration, from peers that tell us where they listen, from the peer exchange, from
//! bootstrap domains and from announcements on the local network.
//! Configured ones are dialled for ever, with growing waits; the others are tried a few times. An address that has
//! answered is *verified*: only those are told to others.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use hbs2_core::addr::PeerAddr;

use crate::random::Random;
use crate::timers::Timers;
use crate::{DialFailure, LinkId};

/// First wait before dialling again, in milliseconds. Two peers that list each other are linked within a second of
/// the second's start.
const BACKOFF_MILLIS_MIN: u64 = 500;

/// Longest wait before dialling again, in seconds.
const BACKOFF_SECONDS_MAX: u64 = 60;

/// A trusted link that lasted so long was wanted by both sides.
const LASTED: Duration = Duration::from_secs(10);

/// Failures in a row after which a learned address is forgotten.
const LEARNED_FAILURES_MAX: u32 = 3;

/// Learned addresses held, at most. An honest network of this size tells them in some twenty answers.
const LEARNED_ADDRESSES_MAX: usize = 1024;

/// Dials under way, at most.
const DIALS_MAX: usize = 16;

/// Wait before the address is dialled that a peer says it listens at, in seconds. It serves other peers only, and in
/// the first 5 seconds the carrier might replace a good link by this connection.
const VERIFY_SECONDS: u64 = 8;

/// Links below which learned addresses are dialled. Enough to find most blocks and to survive losses; more only cost.
const LINKS_WANTED: usize = 32;

/// How many links are sought, of at most `links_max`: some; or, while something is wanted that no linked peer has, all
/// but a quarter, which is left to those that come to us.
pub(crate) fn links_wanted(links_max: usize, seeking: bool) -> usize {
    if seeking { (links_max - links_max / 4).max(LINKS_WANTED) } else { LINKS_WANTED }
}

/// Wait before a superfluous connection is tried again when it is not known which link covers it, in seconds.
const COVERED_SECONDS: u64 = 60;

/// Where an address comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// Somebody told us of somebody.
    Learned,
    /// A linked peer told us that it listens there: worth one look, so that we can tell others.
    Told,
    /// The configuration.
    Known,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Waits for its timer.
    Idle,
    Dialling,
    /// Linked by a dial of ours.
    Linked(LinkId),
    /// The process there is linked otherwise; by this link if known, else to be seen again.
    Covered(LinkId),
    /// We are there ourselves.
    Myself,
}

#[derive(Debug)]
struct Entry {
    source: Source,
    state: State,
    failures: u32,
    verified: bool,
    /// Since when the link to it is trusted.
    trusted: Option<Instant>,
}

impl Entry {
    fn new(source: Source, state: State) -> Self {
        Self { source, state, failures: 0, verified: false, trusted: None }
    }
}

/// The addresses and what is known of each.
#[derive(Debug, Default)]
pub(crate) struct Dialler {
    entries: BTreeMap<PeerAddr, Entry>,
    /// Of the idle entries.
    timers: Timers<PeerAddr>,
    dialling: usize,
}

impl Dialler {
    /// Adds an address to be dialled at once, or after a while if it is only to be verified. Learned ones are dropped
    /// when the table is full.
    pub(crate) fn add(&mut self, now: Instant, address: PeerAddr, source: Source) {
        if !is_routable(&address) {
            return;
        }
        if let Some(entry) = self.entries.get_mut(&address) {
            if source == Source::Known && entry.source < source && entry.state == State::Idle {
                self.timers.set(address, now);
            }
            entry.source = entry.source.max(source);
            return;
        }
        if source < Source::Known && self.entries.len() >= LEARNED_ADDRESSES_MAX {
            return;
        }
        self.entries.insert(address, Entry::new(source, State::Idle));
        let wait = if source == Source::Told { VERIFY_SECONDS } else { 0 };
        self.timers.set(address, now + Duration::from_secs(wait));
    }

    /// The addresses to dial now; they count as being dialled. `links` says how many there are, trusted or not yet:
    /// an address of datagrams is a link at once, whoever is there. Learned addresses are dialled up to `wanted`.
    pub(crate) fn due(&mut self, now: Instant, mut links: usize, wanted: usize) -> Vec<PeerAddr> {
        let mut due = Vec::new();
        while self.dialling < DIALS_MAX
            && let Some(address) = self.timers.pop_due(now)
        {
            let Some(entry) = self.entries.get_mut(&address) else { continue };
            let dial = links < wanted
                || entry.source == Source::Known
                || (entry.source == Source::Told && !entry.verified);
            if dial {
                entry.state = State::Dialling;
                self.dialling += 1;
                links += 1;
                due.push(address);
            } else {
                self.timers.set(address, now + Duration::from_secs(BACKOFF_SECONDS_MAX));
            }
        }
        due
    }

    /// When something may be due.
    pub(crate) fn next(&self) -> Option<Instant> {
        if self.dialling < DIALS_MAX { self.timers.next() } else { None }
    }

    /// Makes an address due at once, and adds it if need be: the owner asks.
    pub(crate) fn hurry(&mut self, now: Instant, address: PeerAddr) {
        self.add(now, address, Source::Learned);
        if self.entries.get(&address).is_some_and(|entry| entry.state == State::Idle) {
            self.timers.set(address, now);
        }
    }

    /// Somebody came by datagrams from the address at which it listens.
    pub(crate) fn met(&mut self, address: PeerAddr, link: LinkId) {
        if !is_routable(&address) {
            return;
        }
        if let Some(entry) = self.entries.get_mut(&address) {
            if entry.state == State::Idle {
                entry.state = State::Linked(link);
                self.timers.clear(&address);
            }
        } else if self.entries.len() < LEARNED_ADDRESSES_MAX {
            self.entries.insert(address, Entry::new(Source::Learned, State::Linked(link)));
        }
    }

    /// A dial has become a link.
    pub(crate) fn linked(&mut self, address: PeerAddr, link: LinkId) {
        if let Some(entry) = self.entries.get_mut(&address) {
            if entry.state == State::Dialling {
                self.dialling -= 1;
            }
            entry.state = State::Linked(link);
            self.timers.clear(&address);
        }
    }

    /// The link of a dial is trusted.
    pub(crate) fn trusted(&mut self, now: Instant, link: LinkId) {
        for entry in self.entries.values_mut().filter(|entry| entry.state == State::Linked(link)) {
            entry.verified = true;
            entry.trusted.get_or_insert(now);
        }
    }

    /// A dial has failed.
    pub(crate) fn failed(
        &mut self,
        now: Instant,
        address: PeerAddr,
        failure: DialFailure,
        random: &mut Random,
    ) {
        let Some(entry) = self.entries.get_mut(&address) else { return };
        if entry.state == State::Dialling {
            self.dialling -= 1;
        }
        match failure {
            DialFailure::Unreachable => {
                entry.failures += 1;
                entry.state = State::Idle;
                if entry.source < Source::Known && entry.failures >= LEARNED_FAILURES_MAX {
                    self.entries.remove(&address);
                } else {
                    self.timers.set(address, now + backoff(entry.failures, random));
                }
            }
            DialFailure::Duplicate(covered_by) => {
                entry.failures = 0;
                entry.verified = true;
                entry.state = match covered_by {
                    Some(link) => State::Covered(link),
                    None => State::Idle,
                };
                if covered_by.is_none() {
                    self.timers.set(address, now + random.jitter(Duration::from_secs(COVERED_SECONDS)));
                }
            }
            DialFailure::Myself => {
                entry.verified = false;
                entry.state = State::Myself;
            }
        }
    }

    /// A link has turned out to be ourselves: what was dialled for it is not dialled again.
    pub(crate) fn myself(&mut self, link: LinkId) {
        for entry in self.entries.values_mut().filter(|entry| entry.state == State::Linked(link)) {
            entry.state = State::Myself;
        }
    }

    /// A link has ended. Waits grow from link to link unless it was trusted for a while: a peer that does not want us
    /// ends links as soon as it knows who we are.
    pub(crate) fn ended(&mut self, now: Instant, link: LinkId, random: &mut Random) {
        let timers = &mut self.timers;
        self.entries.retain(|address, entry| {
            if entry.link() != Some(link) {
                return true;
            }
            let lasted = entry.trusted.take().is_some_and(|since| now.duration_since(since) >= LASTED);
            entry.failures = if lasted { 0 } else { entry.failures + 1 };
            entry.state = State::Idle;
            let kept = entry.source == Source::Known || entry.failures < LEARNED_FAILURES_MAX;
            if kept {
                timers.set(*address, now + backoff(entry.failures.max(1), random));
            }
            kept
        });
    }

    /// The link to the process at this address, if there is one.
    pub(crate) fn link_of(&self, address: &PeerAddr) -> Option<LinkId> {
        match self.entries.get(address)?.state {
            State::Linked(link) | State::Covered(link) => Some(link),
            _ => None,
        }
    }

    /// The verified address of a link.
    pub(crate) fn address_of(&self, link: LinkId) -> Option<PeerAddr> {
        self.verified().find(|(_, entry)| entry.link() == Some(link)).map(|(address, _)| *address)
    }

    /// Addresses of linked processes that have answered a dial, and their links.
    pub(crate) fn answering(&self) -> impl Iterator<Item = (PeerAddr, LinkId)> {
        self.verified().filter_map(|(address, entry)| Some((*address, entry.link()?)))
    }

    /// An address of a peer turned out to be only the place it was seen at: nobody else can reach it there.
    pub(crate) fn is_private(&mut self, address: &PeerAddr) {
        if self.entries.get(address).is_some_and(|entry| entry.source == Source::Learned) {
            self.entries.remove(address);
            self.timers.clear(address);
        }
    }

    /// The configuration does not list an address any more.
    pub(crate) fn release(&mut self, address: &PeerAddr) {
        if let Some(entry) = self.entries.get_mut(address) {
            entry.source = Source::Learned;
        }
    }

    fn verified(&self) -> impl Iterator<Item = (&PeerAddr, &Entry)> {
        self.entries.iter().filter(|(_, entry)| entry.verified)
    }
}

impl Entry {
    fn link(&self) -> Option<LinkId> {
        match self.state {
            State::Linked(link) | State::Covered(link) => Some(link),
            _ => None,
        }
    }
}

fn backoff(failures: u32, random: &mut Random) -> Duration {
    let doubled = BACKOFF_MILLIS_MIN << failures.saturating_sub(1).min(16);
    random.jitter(Duration::from_millis(doubled.min(BACKOFF_SECONDS_MAX * 1000)))
}

/// Whether packets can be sent there at all: no port 0, no unspecified, broadcast or multicast address.
pub(crate) fn is_routable(address: &PeerAddr) -> bool {
    let ip_fits = match address.socket.ip() {
        IpAddr::V4(ip) => {
            !ip.is_unspecified() && !ip.is_broadcast() && !ip.is_multicast() && ip.octets()[0] != 0
        }
        // The wire has no room for the scope that a link-local address needs.
        IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_multicast() && !ip.is_unicast_link_local(),
    };
    ip_fits && address.socket.port() != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> PeerAddr {
        PeerAddr::tcp(([10, 0, 0, 1], port).into())
    }

    fn known(now: Instant) -> Dialler {
        let mut dialler = Dialler::default();
        dialler.add(now, address(1), Source::Known);
        dialler
    }

    #[test]
    fn a_known_peer_is_dialled_for_ever_with_growing_waits() {
        let (start, mut random) = (Instant::now(), Random::new([0; 32]));
        let mut dialler = known(start);
        let mut now = start;
        let mut waits = Vec::new();
        for _ in 0..12 {
            assert_eq!(dialler.due(now, 0, LINKS_WANTED), [address(1)]);
            dialler.failed(now, address(1), DialFailure::Unreachable, &mut random);
            let next = dialler.next().unwrap();
            waits.push((next - now).as_millis());
            now = next;
        }
        assert!((375..=625).contains(&waits[0]), "{waits:?}");
        assert!(waits[11] >= 45_000 && waits.iter().all(|wait| *wait <= 75_000), "{waits:?}");
    }

    #[test]
    fn a_learned_address_is_forgotten_after_a_few_failures() {
        let (start, mut random) = (Instant::now(), Random::new([0; 32]));
        let mut dialler = Dialler::default();
        dialler.add(start, address(1), Source::Learned);
        let mut now = start;
        for _ in 0..LEARNED_FAILURES_MAX {
            assert_eq!(dialler.due(now, 0, LINKS_WANTED), [address(1)]);
            dialler.failed(now, address(1), DialFailure::Unreachable, &mut random);
            now += Duration::from_secs(100);
        }
        assert_eq!((dialler.due(now, 0, LINKS_WANTED), dialler.next()), (vec![], None));
    }

    #[test]
    fn a_covered_address_is_verified_and_dialled_when_its_link_ends() {
        let (start, mut random) = (Instant::now(), Random::new([0; 32]));
        let mut dialler = known(start);
        dialler.due(start, 0, LINKS_WANTED);
        dialler.failed(start, address(1), DialFailure::Duplicate(Some(LinkId(7))), &mut random);
        assert_eq!(dialler.answering().collect::<Vec<_>>(), [(address(1), LinkId(7))]);
        assert_eq!(dialler.next(), None);
        dialler.ended(start, LinkId(7), &mut random);
        assert!(dialler.next().unwrap() < start + Duration::from_secs(1));
        assert_eq!(dialler.answering().count(), 0);
    }

    #[test]
    fn a_peer_that_ends_links_at_once_is_dialled_ever_more_rarely() {
        let (mut now, mut random) = (Instant::now(), Random::new([0; 32]));
        let mut dialler = known(now);
        let mut waits = Vec::new();
        for (number, lasts) in [1; 10].into_iter().chain([60]).enumerate() {
            let link = LinkId(number as u64);
            assert_eq!(dialler.due(now, 0, LINKS_WANTED), [address(1)]);
            dialler.linked(address(1), link);
            dialler.trusted(now, link);
            let ended = now + Duration::from_secs(lasts);
            dialler.ended(ended, link, &mut random);
            now = dialler.next().unwrap();
            waits.push((now - ended).as_millis());
        }
        assert!(waits[0] <= 625 && waits[9] >= 45_000, "{waits:?}");
        assert!(waits[10] <= 625, "the last link was wanted: {waits:?}");
    }

    #[test]
    fn we_do_not_dial_ourselves_twice() {
        let (start, mut random) = (Instant::now(), Random::new([0; 32]));
        let mut dialler = known(start);
        dialler.due(start, 0, LINKS_WANTED);
        dialler.linked(address(1), LinkId(1));
        dialler.myself(LinkId(1));
        dialler.ended(start, LinkId(1), &mut random);
        assert_eq!(dialler.next(), None);
    }

    #[test]
    fn unsendable_addresses_are_not_taken() {
        let check = |text: &str, expected: bool| {
            assert_eq!(is_routable(&text.parse().unwrap()), expected, "{text}");
        };
        check("tcp://10.0.0.1:1", true);
        check("tcp://127.0.0.1:1", true);
        check("tcp://10.0.0.1:0", false);
        check("tcp://0.0.0.0:1", false);
        check("tcp://255.255.255.255:1", false);
        check("tcp://224.0.0.1:1", false);
        check("tcp://[::]:1", false);
        check("tcp://[ff02::1]:1", false);
        check("tcp://[2001:db8::1]:1", true);
    }
}
