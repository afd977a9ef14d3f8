//! How peers behave: what each may send, what it does wrong, and who is banned for it (decision 015).
//!
//! An offence has a weight in *points*. Points fade with time; who has too many at once is banned: its links end and it
//! is not let in until the ban is over. Each further ban is twice as long, up to a day. A ban of the owner stands beside
//! these, lasts as long as the owner says, and outlives a restart.
//!
//! Only what certainly comes from a peer is held against it. A datagram in clear may come in another's name, so it is
//! counted and weighs nothing. Who is not trusted yet has no name: its link is closed.

mod bans;
mod inbound;
mod offence;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hbs2_core::SignPublicKey;

use crate::LinkId;
use crate::io::status::{BanSource, BanStatus, ConductStatus};

pub(crate) use bans::{OWNER_BANS_MAX, OwnerBans};
use inbound::Inbound;
pub(crate) use inbound::Kind;
pub use offence::Offence;

/// Points at which a peer is banned. Weights are told as shares of a hundred.
const BAN_POINTS: u32 = 100;

/// Time in which one point is forgotten: ten a minute, so that a bad hour is not held against anybody the next day.
const POINT_FADES: Duration = Duration::from_secs(6);

/// The first ban of a peer. Long enough that what it costs us is little, short enough for a fault that was mended.
const BAN_FIRST: Duration = Duration::from_secs(600);

/// The longest ban, reached with the ninth.
const BAN_LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Good conduct after which one ban is forgotten, so that the next is half as long.
const BAN_FADES: Duration = Duration::from_secs(24 * 3600);

/// Peers remembered, at most, linked or not. Each takes some 300 bytes; the most harmless one that is not linked goes first.
const PEERS_MAX: usize = 1024;

/// Offences of a link that has no name yet at which it is closed. An honest peer greets at once, and what cannot be read
/// before that are a few packets sealed with an old key.
const STRANGER_OFFENCES_MAX: u32 = 64;

/// Messages remembered of one peer, to tell a replay: more than an honest peer repeats within a minute.
const PASSED_MAX: usize = 64;

/// What is known of a peer.
#[derive(Debug)]
struct Record {
    /// Points at `at`; they fade since.
    points: u32,
    at: Instant,
    /// Last change, for forgetting.
    used: Instant,
    /// How often it was banned, and since when it was not again.
    bans: u32,
    banned: Option<(Instant, Offence)>,
    /// Of each offence: how often, and when it last weighed.
    offences: BTreeMap<Offence, (u64, Instant)>,
    /// Messages of it that were dropped.
    dropped: u64,
    inbound: Inbound,
    /// Links that it has.
    links: u32,
}

#[derive(Debug, Default)]
struct Line {
    key: Option<SignPublicKey>,
    offences: u32,
    /// Gossip that has come on it lately.
    passed: std::collections::VecDeque<hbs2_core::Hash>,
}

/// The conduct of all peers.
#[derive(Debug)]
pub(crate) struct Conduct {
    peers: BTreeMap<SignPublicKey, Record>,
    lines: BTreeMap<LinkId, Line>,
    /// What all peers together may send.
    total: Inbound,
    pub(crate) owner: OwnerBans,
    /// Whether what is being handled certainly comes from the peer of its link.
    authentic: bool,
    /// Peers that are to be cut off.
    sentenced: Vec<(SignPublicKey, Offence, Duration)>,
    /// Nameless links that are to be closed.
    expelled: Vec<(LinkId, Offence)>,
}

impl Conduct {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            peers: BTreeMap::new(),
            lines: BTreeMap::new(),
            total: Inbound::total(now),
            owner: OwnerBans::default(),
            authentic: true,
            sentenced: Vec::new(),
            expelled: Vec::new(),
        }
    }

    pub(crate) fn up(&mut self, link: LinkId) {
        self.lines.insert(link, Line::default());
    }

    pub(crate) fn down(&mut self, link: LinkId) {
        let key = self.lines.remove(&link).and_then(|line| line.key);
        if let Some(record) = key.and_then(|key| self.peers.get_mut(&key)) {
            record.links = record.links.saturating_sub(1);
        }
    }

    /// A link is trusted from now on.
    pub(crate) fn named(&mut self, now: Instant, link: LinkId, key: SignPublicKey) {
        let Some(line) = self.lines.get_mut(&link) else { return };
        if line.key.replace(key).is_none() {
            self.record(now, key).links += 1;
        }
    }

    /// What follows is, or is not, certainly from the peer of its link.
    pub(crate) fn hears(&mut self, authentic: bool) {
        self.authentic = authentic;
    }

    /// Whether a message of this kind and length may be handled; it is dropped otherwise.
    pub(crate) fn admits(&mut self, now: Instant, link: LinkId, kind: Kind, bytes: usize) -> bool {
        let Some(key) = self.lines.get(&link).and_then(|line| line.key) else { return true };
        let record = self.record(now, key);
        if !record.inbound.take(now, kind, bytes) {
            self.limited(now, link);
            return false;
        }
        if !self.total.take(now, kind, bytes) {
            self.record(now, key).dropped += 1;
            return false;
        }
        true
    }

    /// A message was dropped, which is not its peer's fault.
    pub(crate) fn dropped(&mut self, now: Instant, link: LinkId) {
        if let Some(key) = self.lines.get(&link).and_then(|line| line.key) {
            self.record(now, key).dropped += 1;
        }
    }

    /// A message was dropped because its peer sends too many of its kind.
    pub(crate) fn limited(&mut self, now: Instant, link: LinkId) {
        self.dropped(now, link);
        self.offend(now, link, Offence::Flood);
    }

    /// Gossip has come; notes a replay when this link brought it before.
    pub(crate) fn passes(&mut self, now: Instant, link: LinkId, id: hbs2_core::Hash) {
        let Some(line) = self.lines.get_mut(&link) else { return };
        if line.passed.contains(&id) {
            return self.offend(now, link, Offence::Replay);
        }
        if line.passed.len() == PASSED_MAX {
            line.passed.pop_front();
        }
        line.passed.push_back(id);
    }

    /// Notes an offence of whoever is at the other end of a link.
    pub(crate) fn offend(&mut self, now: Instant, link: LinkId, offence: Offence) {
        let Some(line) = self.lines.get_mut(&link) else { return };
        match line.key {
            Some(key) => self.offend_peer(now, key, offence),
            None => {
                line.offences += 1;
                if line.offences == STRANGER_OFFENCES_MAX {
                    self.expelled.push((link, offence));
                }
            }
        }
    }

    fn offend_peer(&mut self, now: Instant, key: SignPublicKey, offence: Offence) {
        let authentic = self.authentic;
        let record = self.record(now, key);
        let banned = record.is_banned(now);
        let (count, weighed) = record.offences.entry(offence).or_insert((0, now));
        *count += 1;
        let again = *count > 1 && now < *weighed + offence.pause();
        if again || !authentic || banned {
            return;
        }
        *weighed = now;
        record.points = record.points_at(now) + offence.points();
        record.at = now;
        if record.points >= BAN_POINTS {
            let span = record.ban(now, offence);
            self.sentenced.push((key, offence, span));
        }
    }

    /// Peers that have just been banned, with what was too much and for how long.
    pub(crate) fn take_sentenced(&mut self) -> Vec<(SignPublicKey, Offence, Duration)> {
        std::mem::take(&mut self.sentenced)
    }

    /// Nameless links that are to be closed.
    pub(crate) fn take_expelled(&mut self) -> Vec<(LinkId, Offence)> {
        std::mem::take(&mut self.expelled)
    }

    /// Whether a peer is banned; `unix_seconds` is the clock on the wall, for the bans of the owner.
    pub(crate) fn is_banned(&self, now: Instant, unix_seconds: Option<u64>, key: &SignPublicKey) -> bool {
        self.owner.has(unix_seconds, key) || self.peers.get(key).is_some_and(|record| record.is_banned(now))
    }

    /// Forgets what a peer did. Whether it was banned for it.
    pub(crate) fn pardon(&mut self, now: Instant, key: &SignPublicKey) -> bool {
        let Some(record) = self.peers.get_mut(key) else { return false };
        (record.points, record.bans) = (0, 0);
        record.banned.take().is_some_and(|(until, _)| now < until)
    }

    /// All bans but those of the configuration, in the order of the keys.
    pub(crate) fn bans(&self, now: Instant, unix_seconds: Option<u64>) -> Vec<BanStatus> {
        let conduct = self.peers.iter().filter_map(|(key, record)| {
            let (until, offence) = record.banned.filter(|(until, _)| now < *until)?;
            let left = Some(until - now);
            Some(BanStatus { key: *key, source: BanSource::Conduct(offence), left })
        });
        let mut bans: Vec<BanStatus> = self.owner.statuses(unix_seconds).chain(conduct).collect();
        bans.sort_by_key(|ban| ban.key);
        bans
    }

    /// What is remembered of a peer.
    pub(crate) fn status(&self, now: Instant, key: &SignPublicKey) -> ConductStatus {
        self.peers.get(key).map_or_else(|| ConductStatus::clean(*key), |record| record.status(now, *key))
    }

    /// What is remembered of all peers, in the order of their keys.
    pub(crate) fn statuses(&self, now: Instant) -> Vec<ConductStatus> {
        self.peers.iter().map(|(key, record)| record.status(now, *key)).collect()
    }

    fn record(&mut self, now: Instant, key: SignPublicKey) -> &mut Record {
        if !self.peers.contains_key(&key) {
            if self.peers.len() >= PEERS_MAX {
                self.forget_one(now);
            }
            self.peers.insert(key, Record::new(now));
        }
        let record = self.peers.get_mut(&key).expect("inserted when absent");
        record.used = now;
        record
    }

    fn forget_one(&mut self, now: Instant) {
        let idle = self.peers.iter().filter(|(_, record)| record.links == 0);
        let harm = |record: &Record| (record.is_banned(now), record.bans, record.points_at(now), record.used);
        let least = idle.min_by_key(|(_, record)| harm(record)).map(|(key, _)| *key);
        least.and_then(|key| self.peers.remove(&key));
    }
}

impl Record {
    fn new(now: Instant) -> Self {
        Self {
            points: 0,
            at: now,
            used: now,
            bans: 0,
            banned: None,
            offences: BTreeMap::new(),
            dropped: 0,
            inbound: Inbound::of_peer(now),
            links: 0,
        }
    }

    fn points_at(&self, now: Instant) -> u32 {
        let faded = now.saturating_duration_since(self.at).as_secs() / POINT_FADES.as_secs();
        self.points.saturating_sub(u32::try_from(faded).unwrap_or(u32::MAX))
    }

    fn is_banned(&self, now: Instant) -> bool {
        self.banned.is_some_and(|(until, _)| now < until)
    }

    /// Bans the peer; for how long.
    fn ban(&mut self, now: Instant, offence: Offence) -> Duration {
        let good = self.banned.map_or(Duration::ZERO, |(until, _)| now.saturating_duration_since(until));
        let forgotten = u32::try_from(good.as_secs() / BAN_FADES.as_secs()).unwrap_or(u32::MAX);
        self.bans = self.bans.saturating_sub(forgotten);
        let span = (BAN_FIRST * (1 << self.bans.min(16))).min(BAN_LONGEST);
        self.bans += 1;
        self.points = 0;
        self.banned = Some((now + span, offence));
        span
    }

    fn status(&self, now: Instant, key: SignPublicKey) -> ConductStatus {
        ConductStatus {
            key,
            points: self.points_at(now),
            dropped: self.dropped,
            bans: self.bans,
            offences: self.offences.iter().map(|(offence, (count, _))| (*offence, *count)).collect(),
            banned: self.banned.and_then(|(until, _)| until.checked_duration_since(now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: LinkId = LinkId(1);

    fn eve() -> SignPublicKey {
        SignPublicKey::from_bytes([3; 32])
    }

    fn conduct(now: Instant) -> Conduct {
        let mut conduct = Conduct::new(now);
        conduct.up(LINK);
        conduct.named(now, LINK, eve());
        conduct
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Offends until there is a ban; how long it is.
    fn offend_until_banned(conduct: &mut Conduct, now: Instant) -> Duration {
        for _ in 0..3 {
            conduct.offend(now, LINK, Offence::WrongBlock);
        }
        let sentenced = conduct.take_sentenced();
        assert_eq!(sentenced.len(), 1);
        assert!(conduct.is_banned(now, None, &eve()));
        sentenced[0].2
    }

    #[test]
    fn the_third_wrong_block_bans_and_two_are_forgotten() {
        let start = Instant::now();
        let mut conduct = conduct(start);
        conduct.offend(start, LINK, Offence::WrongBlock);
        conduct.offend(start, LINK, Offence::WrongBlock);
        assert_eq!(conduct.take_sentenced(), []);
        conduct.offend(start + seconds(600), LINK, Offence::WrongBlock);
        assert_eq!(conduct.take_sentenced(), []);
        assert_eq!(offend_until_banned(&mut conduct, start + seconds(900)), BAN_FIRST);
    }

    #[test]
    fn each_ban_is_twice_as_long_up_to_a_day_and_good_days_halve_it() {
        let mut now = Instant::now();
        let mut conduct = conduct(now);
        let mut spans = Vec::new();
        for _ in 0..10 {
            let span = offend_until_banned(&mut conduct, now);
            spans.push(span.as_secs() / 60);
            now += span;
            assert!(!conduct.is_banned(now, None, &eve()));
        }
        assert_eq!(spans, [10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]);
        let later = now + 9 * BAN_FADES;
        assert_eq!(offend_until_banned(&mut conduct, later), 2 * BAN_FIRST);
    }

    #[test]
    fn what_may_be_forged_is_counted_and_weighs_nothing() {
        let start = Instant::now();
        let mut conduct = conduct(start);
        conduct.hears(false);
        (0..1000).for_each(|_| conduct.offend(start, LINK, Offence::BadSignature));
        let status = conduct.status(start, &eve());
        assert_eq!((status.points, conduct.take_sentenced().len()), (0, 0));
        assert_eq!(status.offences, [(Offence::BadSignature, 1000)]);
    }

    #[test]
    fn a_storm_of_stale_values_alone_never_bans_and_a_flood_does() {
        let start = Instant::now();
        let check = |offence: Offence| {
            let mut conduct = conduct(start);
            for second in 0..3600 {
                conduct.offend(start + seconds(second), LINK, offence);
                if !conduct.take_sentenced().is_empty() {
                    return Some(second);
                }
            }
            None
        };
        assert_eq!(check(Offence::Stale), None);
        assert_eq!(check(Offence::Flood), Some(9));
        assert!(check(Offence::Garbage).is_some_and(|second| second < 30));
        assert!(check(Offence::Replay).is_some_and(|second| second < 70));
    }

    #[test]
    fn a_nameless_link_is_closed_after_some_offences() {
        let start = Instant::now();
        let mut conduct = Conduct::new(start);
        conduct.up(LINK);
        (0..STRANGER_OFFENCES_MAX - 1).for_each(|_| conduct.offend(start, LINK, Offence::Garbage));
        assert_eq!(conduct.take_expelled(), []);
        conduct.offend(start, LINK, Offence::Garbage);
        assert_eq!(conduct.take_expelled(), [(LINK, Offence::Garbage)]);
    }

    #[test]
    fn the_same_gossip_twice_from_one_peer_is_a_replay_and_from_two_is_not() {
        let start = Instant::now();
        let mut conduct = conduct(start);
        let rumour = hbs2_core::Hash::of(b"rumour");
        conduct.up(LinkId(2));
        conduct.named(start, LinkId(2), SignPublicKey::from_bytes([4; 32]));
        conduct.passes(start, LINK, rumour);
        conduct.passes(start, LinkId(2), rumour);
        assert_eq!(conduct.status(start, &eve()).offences, []);
        conduct.passes(start, LINK, rumour);
        assert_eq!(conduct.status(start, &eve()).offences, [(Offence::Replay, 1)]);
    }

    #[test]
    fn a_full_memory_forgets_the_most_harmless_and_never_who_is_linked() {
        let start = Instant::now();
        let mut conduct = conduct(start);
        let key = |n: u32| {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&n.to_be_bytes());
            bytes[31] = 1;
            SignPublicKey::from_bytes(bytes)
        };
        conduct.up(LinkId(2));
        for n in 0..3 {
            conduct.offend_peer(start, key(n), Offence::WrongBlock);
        }
        for n in 3..PEERS_MAX as u32 + 10 {
            conduct.offend_peer(start, key(n), Offence::Stale);
        }
        assert_eq!(conduct.peers.len(), PEERS_MAX);
        assert!(conduct.peers.contains_key(&eve()));
        assert!((0..3).all(|n| conduct.peers.contains_key(&key(n))));
    }

    #[test]
    fn what_is_over_the_limit_of_a_peer_is_dropped_counted_and_a_flood() {
        let start = Instant::now();
        let mut conduct = conduct(start);
        let taken = (0..100_000).filter(|_| conduct.admits(start, LINK, Kind::Other, 100)).count();
        let status = conduct.status(start, &eve());
        assert_eq!(taken + status.dropped as usize, 100_000);
        assert!(status.dropped > 0 && status.offences == [(Offence::Flood, status.dropped)]);
        assert_eq!(status.points, Offence::Flood.points(), "once a second");
    }
}
