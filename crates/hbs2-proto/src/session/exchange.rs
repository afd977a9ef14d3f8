//! Telling and asking for addresses (spec: wire 2.6).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use hbs2_core::addr::{PeerAddr, Transport};

use super::{Dialler, Sessions, Source, is_routable};
use crate::LinkId;
use crate::moment::Moment;
use crate::wire::{Message, NONCE_BYTES, PEX_ADDRESSES_MAX, PeerExchange};

/// Time between rounds of questions.
const ROUND: Duration = Duration::from_secs(180);

/// Peers asked in a round, at most. The original's.
const ROUND_PEERS_MAX: usize = 10;

/// How long an answer is waited for.
const ANSWER: Duration = Duration::from_secs(60);

/// How long a question in the old form waits for its twin in the new form, which is answered in its place.
const TWIN: Duration = Duration::from_secs(1);

/// How long an answer in the new form is waited for before the question is repeated in the old form.
const OLD_FORM: Duration = Duration::from_secs(3);

/// Our latest question on a link.
#[derive(Debug)]
struct Asked {
    nonce: [u8; NONCE_BYTES],
    at: Instant,
    /// Asked in the old form too.
    twice: bool,
}

/// Questions and answers about addresses.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    asked: BTreeMap<LinkId, Asked>,
    /// The latest question in the old form on each link, and when to answer it.
    old: BTreeMap<LinkId, (Vec<u8>, Instant)>,
    round: Option<Instant>,
}

impl Exchange {
    /// Begins the rounds.
    pub(crate) fn start(&mut self, now: Instant) {
        self.round = Some(now + ROUND);
    }

    /// Asks one peer.
    pub(crate) fn ask(&mut self, m: &mut Moment<'_>, link: LinkId) {
        let nonce = m.random.bytes();
        self.asked.insert(link, Asked { nonce, at: m.now, twice: false });
        m.send(link, &Message::PeerExchange(PeerExchange::Get2 { nonce: nonce.to_vec() }));
    }

    /// Takes in a message.
    pub(crate) fn handle(
        &mut self,
        m: &mut Moment<'_>,
        sessions: &Sessions,
        dialler: &mut Dialler,
        link: LinkId,
        message: PeerExchange,
    ) {
        match message {
            PeerExchange::Get { nonce } => {
                self.old.insert(link, (nonce, m.now + TWIN));
            }
            PeerExchange::Get2 { nonce } => {
                if self.old.get(&link).is_some_and(|(old, _)| *old == nonce) {
                    self.old.remove(&link);
                }
                let addresses = told(m, sessions, dialler, link, |_| true);
                m.send(link, &Message::PeerExchange(PeerExchange::Peers2 { nonce, addresses }));
            }
            PeerExchange::Peers { nonce, addresses } => {
                if self.accepts(m.now, link, &nonce) {
                    let addresses = addresses.into_iter().map(PeerAddr::udp).collect();
                    learn(m.now, sessions, dialler, link, addresses);
                }
            }
            PeerExchange::Peers2 { nonce, addresses } => {
                if self.accepts(m.now, link, &nonce) {
                    learn(m.now, sessions, dialler, link, addresses);
                }
            }
        }
    }

    fn accepts(&mut self, now: Instant, link: LinkId, nonce: &[u8]) -> bool {
        let asked =
            self.asked.get(&link).is_some_and(|asked| asked.nonce == nonce && now < asked.at + ANSWER);
        if asked {
            self.asked.remove(&link);
        }
        asked
    }

    /// Forgets a link.
    pub(crate) fn down(&mut self, link: LinkId) {
        self.asked.remove(&link);
        self.old.remove(&link);
    }

    /// Does what is due.
    pub(crate) fn wake(&mut self, m: &mut Moment<'_>, sessions: &Sessions, dialler: &Dialler) {
        let due: Vec<LinkId> =
            self.old.iter().filter(|(_, (_, at))| *at <= m.now).map(|(link, _)| *link).collect();
        for link in due {
            let (nonce, _) = self.old.remove(&link).expect("just seen");
            let addresses = told(m, sessions, dialler, link, |address| address.transport == Transport::Udp);
            let addresses = addresses.into_iter().map(|address| address.socket).collect();
            m.send(link, &Message::PeerExchange(PeerExchange::Peers { nonce, addresses }));
        }
        for (link, asked) in self.asked.iter_mut().filter(|(_, asked)| !asked.twice) {
            if asked.at + OLD_FORM <= m.now {
                asked.twice = true;
                let nonce = asked.nonce.to_vec();
                m.send(*link, &Message::PeerExchange(PeerExchange::Get { nonce }));
            }
        }
        if self.round.is_some_and(|at| at <= m.now) {
            self.round = Some(m.now + ROUND);
            let mut links: Vec<LinkId> = sessions.active().map(|(link, _)| link).collect();
            for _ in 0..ROUND_PEERS_MAX.min(links.len()) {
                let link = links.swap_remove(m.random.below(links.len()));
                self.ask(m, link);
            }
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        let old_forms = self.asked.values().filter(|asked| !asked.twice).map(|asked| asked.at + OLD_FORM);
        self.old.values().map(|(_, at)| *at).chain(self.round).chain(old_forms).min()
    }
}

/// How far an address means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// On its own host.
    Host,
    /// On its own network.
    Network,
    /// Everywhere.
    World,
}

impl Reach {
    fn of(address: &PeerAddr) -> Self {
        match address.socket.ip().to_canonical() {
            IpAddr::V4(ip) if ip.is_loopback() => Self::Host,
            IpAddr::V6(ip) if ip.is_loopback() => Self::Host,
            IpAddr::V4(ip) if ip.is_private() || ip.is_link_local() => Self::Network,
            IpAddr::V6(ip) if ip.is_unique_local() || ip.is_unicast_link_local() => Self::Network,
            _ => Self::World,
        }
    }
}

/// What we tell on `link`: addresses that answer and mean something to the asker, but not its own.
fn told(
    m: &mut Moment<'_>,
    sessions: &Sessions,
    dialler: &Dialler,
    link: LinkId,
    fits: impl Fn(&PeerAddr) -> bool,
) -> Vec<PeerAddr> {
    let Some(asker) = sessions.get(link) else { return Vec::new() };
    let reach = Reach::of(&asker.remote);
    let own = sessions.same_process(link);
    let mut addresses: Vec<PeerAddr> = dialler
        .answering()
        .filter(|(address, of)| !own.contains(of) && Reach::of(address) >= reach && fits(address))
        .map(|(address, _)| address)
        .collect();
    while addresses.len() > PEX_ADDRESSES_MAX {
        addresses.swap_remove(m.random.below(addresses.len()));
    }
    addresses
}

/// Notes addresses told on `link`. A far peer's loopback, or its own network, is not ours.
fn learn(now: Instant, sessions: &Sessions, dialler: &mut Dialler, link: LinkId, addresses: Vec<PeerAddr>) {
    let Some(teller) = sessions.get(link) else { return };
    let reach = Reach::of(&teller.remote);
    addresses
        .into_iter()
        .take(PEX_ADDRESSES_MAX)
        .filter(|address| is_routable(address) && Reach::of(address) >= reach)
        .for_each(|address| dialler.add(now, address, Source::Learned));
}
