//! Telling and asking for addresses (spec: wire 2.6).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hbs2_core::addr::PeerAddr;

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

/// Questions and answers about addresses.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    /// The latest question on each link, and when it was asked.
    asked: BTreeMap<LinkId, ([u8; NONCE_BYTES], Instant)>,
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
        self.asked.insert(link, (nonce, m.now));
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
                let addresses = told(m, sessions, dialler, link);
                m.send(link, &Message::PeerExchange(PeerExchange::Peers2 { nonce, addresses }));
            }
            // Addresses of a transport that is not spoken.
            PeerExchange::Peers { .. } => {}
            PeerExchange::Peers2 { nonce, addresses } => {
                if self.accepts(m.now, link, &nonce) {
                    learn(m.now, sessions, dialler, link, addresses);
                }
            }
        }
    }

    fn accepts(&mut self, now: Instant, link: LinkId, nonce: &[u8]) -> bool {
        let asked = self.asked.get(&link).is_some_and(|(asked, at)| asked == nonce && now < *at + ANSWER);
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
    pub(crate) fn wake(&mut self, m: &mut Moment<'_>, sessions: &Sessions) {
        let due: Vec<LinkId> =
            self.old.iter().filter(|(_, (_, at))| *at <= m.now).map(|(link, _)| *link).collect();
        for link in due {
            let (nonce, _) = self.old.remove(&link).expect("just seen");
            // The old form holds UDP addresses, of which we have none.
            m.send(link, &Message::PeerExchange(PeerExchange::Peers { nonce, addresses: Vec::new() }));
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
        self.old.values().map(|(_, at)| *at).chain(self.round).min()
    }
}

/// What we tell on `link`: addresses that answer, but not the asker's own.
fn told(m: &mut Moment<'_>, sessions: &Sessions, dialler: &Dialler, link: LinkId) -> Vec<PeerAddr> {
    let own = dialler.address_of(link);
    let far = sessions.get(link).is_some_and(|link| !link.remote.socket.ip().is_loopback());
    let mut addresses: Vec<PeerAddr> = dialler
        .answering()
        .filter(|address| Some(*address) != own)
        .filter(|address| !(far && address.socket.ip().is_loopback()))
        .collect();
    while addresses.len() > PEX_ADDRESSES_MAX {
        addresses.swap_remove(m.random.below(addresses.len()));
    }
    addresses
}

/// Notes addresses told on `link`. A far peer's loopback is not ours.
fn learn(now: Instant, sessions: &Sessions, dialler: &mut Dialler, link: LinkId, addresses: Vec<PeerAddr>) {
    let near = sessions.get(link).is_some_and(|link| link.remote.socket.ip().is_loopback());
    addresses
        .into_iter()
        .take(PEX_ADDRESSES_MAX)
        .filter(|address| is_routable(address) && (near || !address.socket.ip().is_loopback()))
        .for_each(|address| dialler.add(now, address, Source::Learned));
}
