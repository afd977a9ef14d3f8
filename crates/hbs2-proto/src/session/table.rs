//! The links there are.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hbs2_core::SignPublicKey;
use hbs2_core::addr::{PeerAddr, Transport};

use super::{Due, Handshake, Peer, Ponged};
use crate::limiter::Bucket;
use crate::moment::Moment;
use crate::timers::Timers;
use crate::wire::{self, Message, MetaEntries, NONCE_BYTES, PeerData, PeerMeta};
use crate::{CloseReason, Config, LinkId, Origin};

/// Wait before a peer is asked again what it is, in seconds.
const META_REPEAT_SECONDS: u64 = 10;

/// How often a peer is asked what it is.
const META_TRIES_MAX: u32 = 3;

/// Wait for a ping of the other side before a link is used all the same. The original pings right after its pong.
const ACTIVATION: Duration = Duration::from_secs(1);

/// Pings of one link answered at once, at most; each costs a signature of some 20 µs.
const PINGS_BURST: u32 = 100;

/// Time for one more. The original sends two a second at most.
const PING_REFILL: Duration = Duration::from_millis(50);

/// Addresses that knock by datagrams and are not trusted yet, at most. A greeting takes a round trip.
const STRANGERS_MAX: usize = 64;

/// Value of the entry by which our own kind announces itself.
const NATIVE_VERSION: &[u8] = b"1";

/// One connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) remote: PeerAddr,
    pub(crate) origin: Origin,
    pub(crate) spare: bool,
    pub(crate) native: bool,
    pub(crate) round_trip: Option<Duration>,
    handshake: Handshake,
    /// Whether the peer may be here; false until it is known.
    admitted: bool,
    /// Whether we have answered a ping of it, so that it trusts us.
    answered: bool,
    /// Whether the link is used for more than answers.
    active: bool,
    /// Pings that are answered.
    pings: Bucket,
    /// How often we asked for the annotation, and when to ask again; none when it has come.
    meta: Option<(u32, Instant)>,
}

impl Link {
    /// When something last came.
    pub(crate) fn heard_at(&self) -> Instant {
        self.handshake.heard_at()
    }

    /// The other side, once it is trusted and let in.
    pub(crate) fn peer(&self) -> Option<&Peer> {
        self.handshake.peer().filter(|_| self.admitted)
    }
}

/// What became of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing new.
    Same,
    /// A new round-trip time.
    Measured(Duration),
    /// The peer is trusted from now on.
    Trusted,
    /// The peer is trusted from now on, and this link is used in place of the old one.
    Supersedes {
        /// A link of the same process.
        old: LinkId,
    },
    /// The peer told where it listens and whether it is of our kind.
    Described {
        /// Where it accepts connections, if it does.
        listen_tcp: Option<u16>,
        /// Where it takes datagrams, if it says so.
        listen_udp: Option<u16>,
    },
    /// The link is to be closed.
    Close(CloseReason),
}

/// All links, trusted or not.
#[derive(Debug)]
pub(crate) struct Sessions {
    /// Our process nonce.
    process: [u8; NONCE_BYTES],
    links: BTreeMap<LinkId, Link>,
    timers: Timers<LinkId>,
}

impl Sessions {
    pub(crate) fn new(process: [u8; NONCE_BYTES]) -> Self {
        Self { process, links: BTreeMap::new(), timers: Timers::default() }
    }

    pub(crate) fn process(&self) -> &[u8; NONCE_BYTES] {
        &self.process
    }

    pub(crate) fn get(&self, link: LinkId) -> Option<&Link> {
        self.links.get(&link)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        self.links.iter().map(|(id, link)| (*id, link))
    }

    /// Links in use: trusted on both sides, and no spares.
    pub(crate) fn active(&self) -> impl Iterator<Item = (LinkId, &Peer)> {
        self.iter().filter(|(_, link)| link.active).filter_map(|(id, link)| Some((id, link.peer()?)))
    }

    /// Links that are not trusted, or not yet.
    pub(crate) fn strangers(&self) -> usize {
        self.links.values().filter(|link| link.peer().is_none()).count()
    }

    /// Takes a trusted link into use, unless it is a spare, in use already, or the other side is not likely to trust
    /// us yet: it would drop what we ask. Whether it was taken.
    pub(crate) fn activate(&mut self, now: Instant, id: LinkId) -> bool {
        let Some(link) = self.links.get_mut(&id) else { return false };
        let since = link.peer().map(|peer| peer.since);
        let ready = since.is_some_and(|since| link.answered || now >= since + ACTIVATION);
        let fresh = ready && !link.spare && !link.active;
        if fresh {
            link.active = true;
            link.meta = Some((0, now));
        }
        fresh
    }

    /// Whether what comes on a link comes from one peer: nobody else can speak on a stream of ours.
    pub(crate) fn is_stream(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|link| link.remote.transport == Transport::Tcp)
    }

    /// Whether a link is trusted, spare or not.
    pub(crate) fn is_trusted(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|link| link.peer().is_some())
    }

    /// Takes in a new connection and greets.
    pub(crate) fn up(&mut self, m: &mut Moment<'_>, id: LinkId, remote: PeerAddr, origin: Origin) -> Turn {
        if self.links.len() >= m.config.links_max
            || (origin == Origin::Accepted && (self.is_full(m) || self.is_besieged(&remote)))
        {
            return Turn::Close(CloseReason::Crowded);
        }
        let link = Link {
            remote,
            origin,
            spare: false,
            native: false,
            round_trip: None,
            handshake: Handshake::new(m.now, remote.transport),
            admitted: false,
            answered: false,
            active: false,
            pings: Bucket::new(m.now, PINGS_BURST, PING_REFILL),
            meta: None,
        };
        self.links.insert(id, link);
        self.wake_link(m, id)
    }

    /// Whether those who came have all places but the quarter that is kept for those whom we choose.
    fn is_full(&self, m: &Moment<'_>) -> bool {
        let accepted = self.links.values().filter(|link| link.origin == Origin::Accepted).count();
        accepted >= m.config.links_max.div_ceil(4) * 3
    }

    /// Whether so many unknown addresses knock by datagrams, which may be forged, that another one is not heard.
    fn is_besieged(&self, remote: &PeerAddr) -> bool {
        let strange = |link: &&Link| link.remote.transport == Transport::Udp && link.peer().is_none();
        remote.transport == Transport::Udp && self.links.values().filter(strange).count() >= STRANGERS_MAX
    }

    /// Forgets a connection. If it was in use and a spare of the same process lives, that one takes over: the second
    /// value.
    pub(crate) fn down(&mut self, id: LinkId) -> Option<(Link, Option<LinkId>)> {
        self.timers.clear(&id);
        let link = self.links.remove(&id)?;
        let heir = match link.peer() {
            Some(peer) if !link.spare => {
                let spares = self.links.iter_mut();
                spares
                    .filter(|(_, other)| other.spare && same_process(other.peer(), peer))
                    .max_by_key(|(_, other)| other.remote.transport)
            }
            _ => None,
        };
        let heir = heir.map(|(id, heir)| {
            heir.spare = false;
            *id
        });
        Some((link, heir))
    }

    /// All links of the process at the other end of this one.
    pub(crate) fn same_process(&self, id: LinkId) -> Vec<LinkId> {
        let Some(peer) = self.links.get(&id).and_then(Link::peer) else { return vec![id] };
        let same = self.iter().filter(|(_, link)| same_process(link.peer(), peer));
        same.map(|(id, _)| id).collect()
    }

    /// Something came on a link.
    pub(crate) fn heard(&mut self, now: Instant, id: LinkId) {
        if let Some(link) = self.links.get_mut(&id) {
            link.handshake.heard(now);
        }
    }

    /// Answers a ping.
    pub(crate) fn ping(&mut self, m: &mut Moment<'_>, id: LinkId, nonce: Vec<u8>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if !link.pings.take(m.now) {
            return m.limited(id);
        }
        link.answered = true;
        let signature = m.config.key.sign(&nonce);
        let data = PeerData { key: m.config.key.public(), process: self.process.to_vec() };
        m.send(id, &Message::Handshake(wire::Handshake::Pong { nonce, signature, data }));
    }

    /// Sends a ping now.
    pub(crate) fn send_ping(&mut self, m: &mut Moment<'_>, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let nonce = m.random.bytes();
        link.handshake.ping(m.now, nonce);
        m.send(id, &Message::Handshake(wire::Handshake::Ping { nonce: nonce.to_vec() }));
    }

    /// Judges a pong.
    pub(crate) fn pong(
        &mut self,
        m: &mut Moment<'_>,
        id: LinkId,
        nonce: &[u8],
        signature: &hbs2_core::Signature,
        data: PeerData,
    ) -> Turn {
        let Some(link) = self.links.get_mut(&id) else { return Turn::Same };
        let key = data.key;
        let (round_trip, fresh) = match link.handshake.pong(m.now, nonce, signature, data) {
            Ponged::Ignored => return Turn::Same,
            Ponged::Replaced => return Turn::Close(CloseReason::Handshake),
            Ponged::Renewed { round_trip } => (round_trip, false),
            Ponged::Trusted { round_trip } => (round_trip, true),
        };
        // The shortest of old and new, but drifting up, so that a changed route is learned in a few pings.
        let known = link.round_trip.map_or(round_trip, |old| old + old / 8);
        link.round_trip = Some(known.min(round_trip));
        if !fresh {
            return Turn::Measured(round_trip);
        }
        if link.handshake.peer().is_some_and(|peer| peer.process == self.process) {
            return Turn::Close(CloseReason::Myself);
        }
        if !m.admits(&key) {
            return Turn::Close(CloseReason::Banned);
        }
        self.trust(m, id)
    }

    /// Lets a peer in. Of several links of one process one is used, the others are spares; streams before datagrams.
    fn trust(&mut self, m: &mut Moment<'_>, id: LinkId) -> Turn {
        let new = self.links.get(&id).expect("the caller has just seen it");
        let carrier = new.remote.transport;
        let rival = new.handshake.peer().and_then(|peer| {
            let used = |(other, link): &(LinkId, &Link)| {
                *other != id && !link.spare && same_process(link.peer(), peer)
            };
            self.iter().find(used).map(|(other, link)| (other, link.remote.transport))
        });
        let old = rival.filter(|(_, rival)| carrier > *rival).map(|(old, _)| old);
        if let Some(old) = old.and_then(|old| self.links.get_mut(&old)) {
            (old.spare, old.active) = (true, false);
        }
        let link = self.links.get_mut(&id).expect("the caller has just seen it");
        link.spare = rival.is_some() && old.is_none();
        link.admitted = true;
        self.wake_link(m, id);
        old.map_or(Turn::Trusted, |old| Turn::Supersedes { old })
    }

    /// Reads what a peer tells about itself, if it was asked: each answer may make us dial. It is asked again later.
    pub(crate) fn described(&mut self, m: &Moment<'_>, id: LinkId, meta: &PeerMeta) -> Turn {
        let Some(link) = self.links.get_mut(&id) else { return Turn::Same };
        if link.meta.is_none_or(|(tries, _)| tries == 0) {
            return Turn::Same;
        }
        link.meta = Some((0, m.now + m.config.probe_wait));
        let entries = match meta {
            PeerMeta::TheText(text) => MetaEntries::from_text(text).unwrap_or_default(),
            _ => MetaEntries::default(),
        };
        link.native = entries.value(wire::KEY_NATIVE).is_some();
        Turn::Described {
            listen_tcp: entries.port(wire::KEY_LISTEN_TCP),
            listen_udp: entries.port(wire::KEY_LISTEN_UDP),
        }
    }

    /// Does what is due on one link.
    pub(crate) fn wake_link(&mut self, m: &mut Moment<'_>, id: LinkId) -> Turn {
        loop {
            let Some(link) = self.links.get_mut(&id) else { return Turn::Same };
            match link.handshake.due(m.now, m.config.ping_interval) {
                Due::Stranger => return Turn::Close(CloseReason::Handshake),
                Due::Silent => return Turn::Close(CloseReason::Silent),
                Due::Ping => self.send_ping(m, id),
                Due::Wait(until) => {
                    let activation = link.peer().map(|peer| peer.since + ACTIVATION).filter(|_| !link.active);
                    let meta = ask_meta(m, id, link);
                    let times = [Some(until), meta, activation.filter(|at| *at > m.now)];
                    self.timers.set(id, times.into_iter().flatten().min().unwrap_or(until));
                    return Turn::Same;
                }
            }
        }
    }

    /// The next link on which something is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<LinkId> {
        self.timers.pop_due(now)
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The links of a peer.
    pub(crate) fn of_peer(&self, key: &SignPublicKey) -> Vec<LinkId> {
        self.iter()
            .filter(|(_, link)| link.peer().is_some_and(|peer| peer.key == *key))
            .map(|(id, _)| id)
            .collect()
    }
}

/// Asks for the annotation of a trusted peer if that is due; when to ask again.
fn ask_meta(m: &mut Moment<'_>, id: LinkId, link: &mut Link) -> Option<Instant> {
    let (tries, at) = link.meta?;
    if m.now < at {
        return Some(at);
    }
    if tries == META_TRIES_MAX {
        link.meta = None;
        return None;
    }
    m.send(id, &Message::PeerMeta(PeerMeta::Get));
    let again = m.now + Duration::from_secs(META_REPEAT_SECONDS);
    link.meta = Some((tries + 1, again));
    Some(again)
}

/// What we tell about ourselves: our kind, and the ports where we listen.
pub(crate) fn own_meta(config: &Config) -> MetaEntries {
    let ports = [
        (wire::KEY_LISTEN_TCP, config.listen_tcp),
        (wire::KEY_LISTEN_UDP, config.listen_udp),
        (wire::KEY_HTTP_PORT, config.http_port),
    ];
    let ports = ports.into_iter().filter_map(|(name, port)| Some((name, port?.to_string().into_bytes())));
    let entries = std::iter::once((wire::KEY_NATIVE, NATIVE_VERSION.to_vec())).chain(ports);
    MetaEntries(entries.map(|(name, value)| (name.to_owned(), value)).collect())
}

/// The address at which a peer that we see at `remote` says to listen.
pub(crate) fn listen_address(remote: &PeerAddr, port: u16) -> PeerAddr {
    let mut socket = remote.socket;
    socket.set_port(port);
    PeerAddr { transport: Transport::Tcp, socket }
}

/// The same key and process: the process nonce alone is not signed.
fn same_process(link: Option<&Peer>, peer: &Peer) -> bool {
    link.is_some_and(|link| link.key == peer.key && link.process == peer.process)
}
