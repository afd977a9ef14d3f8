//! One link from its first ping to its end (spec: wire 2.4, 3.2).
//!
//! Trust is mutual but each side finds it for itself: a link is trusted when a ping of ours has come back signed. We
//! answer every ping, whoever asks.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hbs2_core::addr::Transport;
use hbs2_core::{SignPublicKey, Signature};

use crate::wire::{NONCE_BYTES, PeerData};

/// Time for a new link to become trusted, in seconds. A probe or a stranger holds a place no longer.
const GREETING_SECONDS: u64 = 15;

/// First wait before a ping on an untrusted link is repeated, in milliseconds; doubles each time. The original
/// answers within a few milliseconds of loopback, and drops pings only when it is overloaded.
const GREETING_REPEAT_MILLIS: u64 = 1000;

/// Silence after an unanswered ping at which a link is dead. Any packet ends the silence, and pings overtake data, so
/// only a line that carries nothing at all is cut.
const SILENCE: Duration = Duration::from_secs(30);

/// The same over datagrams, where a ping or its answer may get lost without anybody's fault.
const SILENCE_DATAGRAMS: Duration = Duration::from_secs(40);

/// Wait before an unanswered ping is repeated over datagrams.
const REPEAT_DATAGRAMS: Duration = Duration::from_secs(5);

/// Pings whose answers are waited for, at most. The latest few; older ones are as good as lost.
const PENDING_PINGS_MAX: usize = 4;

/// The trusted other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) key: SignPublicKey,
    pub(crate) process: Vec<u8>,
    pub(crate) since: Instant,
}

/// State of one link.
#[derive(Debug)]
pub(crate) struct Handshake {
    up: Instant,
    heard: Instant,
    pinged: Option<Instant>,
    /// The first ping after which nothing was heard, or an older one that was answered.
    unanswered: Option<Instant>,
    repeat: Duration,
    carrier: Transport,
    pending: VecDeque<([u8; NONCE_BYTES], Instant)>,
    peer: Option<Peer>,
}

/// What a pong did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ponged {
    /// The peer is trusted from now on.
    Trusted {
        /// Time between ping and pong.
        round_trip: Duration,
    },
    /// The peer was trusted already.
    Renewed {
        /// Time between ping and pong.
        round_trip: Duration,
    },
    /// Somebody else is there now.
    Replaced,
    /// Not asked for, or badly signed: no change.
    Ignored,
}

/// What is to be done at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Send a ping.
    Ping,
    /// The greeting has failed.
    Stranger,
    /// The line is dead.
    Silent,
    /// Nothing until then.
    Wait(Instant),
}

impl Handshake {
    pub(crate) fn new(now: Instant, carrier: Transport) -> Self {
        Self {
            up: now,
            heard: now,
            pinged: None,
            unanswered: None,
            repeat: Duration::from_millis(GREETING_REPEAT_MILLIS),
            carrier,
            pending: VecDeque::new(),
            peer: None,
        }
    }

    pub(crate) fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// Something came.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// When something last came.
    pub(crate) fn heard_at(&self) -> Instant {
        self.heard
    }

    /// Notes that a ping with this nonce is sent.
    pub(crate) fn ping(&mut self, now: Instant, nonce: [u8; NONCE_BYTES]) {
        if self.pending.len() == PENDING_PINGS_MAX {
            self.pending.pop_front();
        }
        self.pending.push_back((nonce, now));
        self.pinged = Some(now);
        if self.unanswered.is_none_or(|asked| asked <= self.heard) {
            self.unanswered = Some(now);
        }
    }

    /// Judges a pong.
    pub(crate) fn pong(
        &mut self,
        now: Instant,
        nonce: &[u8],
        signature: &Signature,
        data: PeerData,
    ) -> Ponged {
        let Some(place) = self.pending.iter().position(|(pending, _)| pending == nonce) else {
            return Ponged::Ignored;
        };
        if data.key.verify(nonce, signature).is_err() {
            return Ponged::Ignored;
        }
        let (_, sent) = self.pending[place];
        self.pending.drain(..=place);
        let round_trip = now.saturating_duration_since(sent);
        match &mut self.peer {
            Some(peer) if peer.key == data.key => {
                peer.process = data.process;
                Ponged::Renewed { round_trip }
            }
            // An address may get another owner.
            Some(_) if self.carrier == Transport::Udp => Ponged::Replaced,
            // A connection has one peer; a second name on it is a lie.
            Some(_) => Ponged::Ignored,
            None => {
                self.peer = Some(Peer { key: data.key, process: data.process, since: now });
                Ponged::Trusted { round_trip }
            }
        }
    }

    /// What is to be done now, with pings every `interval` on a trusted link.
    pub(crate) fn due(&mut self, now: Instant, interval: Duration) -> Due {
        let Some(pinged) = self.pinged else { return Due::Ping };
        if self.peer.is_none() {
            let end = self.up + Duration::from_secs(GREETING_SECONDS);
            if now >= end {
                return Due::Stranger;
            }
            let next = pinged + self.repeat;
            if now >= next {
                self.repeat *= 2;
                return Due::Ping;
            }
            return Due::Wait(next.min(end));
        }
        let unanswered = self.unanswered.filter(|asked| *asked > self.heard);
        let (silence, next) = match self.carrier {
            Transport::Udp if unanswered.is_some() => {
                (SILENCE_DATAGRAMS, pinged + REPEAT_DATAGRAMS.min(interval))
            }
            Transport::Udp => (SILENCE_DATAGRAMS, pinged + interval),
            Transport::Tcp => (SILENCE, pinged + interval),
        };
        let dead = unanswered.map(|asked| asked + silence);
        match dead {
            Some(dead) if now >= dead => Due::Silent,
            _ if now >= next => Due::Ping,
            dead => Due::Wait(dead.map_or(next, |dead| next.min(dead))),
        }
    }
}

#[cfg(test)]
mod tests {
    use hbs2_core::SignSecretKey;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);

    fn data(key: &SignSecretKey) -> PeerData {
        PeerData { key: key.public(), process: vec![7; NONCE_BYTES] }
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_signed_answer_to_our_ping_makes_trust() {
        let (start, bob) = (Instant::now(), SignSecretKey::from_seed(&[2; 32]));
        let mut link = Handshake::new(start, Transport::Tcp);
        assert_eq!(link.due(start, INTERVAL), Due::Ping);
        link.ping(start, [1; NONCE_BYTES]);
        let pong = link.pong(start + seconds(1), &[1; NONCE_BYTES], &bob.sign(&[1; NONCE_BYTES]), data(&bob));
        assert_eq!(pong, Ponged::Trusted { round_trip: seconds(1) });
        assert_eq!(link.peer().map(|peer| peer.key), Some(bob.public()));
    }

    #[test]
    fn foreign_nonces_signatures_and_second_names_change_nothing() {
        let start = Instant::now();
        let (bob, eve) = (SignSecretKey::from_seed(&[2; 32]), SignSecretKey::from_seed(&[3; 32]));
        let mut link = Handshake::new(start, Transport::Tcp);
        link.ping(start, [1; NONCE_BYTES]);
        link.ping(start, [2; NONCE_BYTES]);
        assert_eq!(link.pong(start, &[9; 24], &bob.sign(&[9; 24]), data(&bob)), Ponged::Ignored);
        assert_eq!(link.pong(start, &[1; 24], &eve.sign(&[1; 24]), data(&bob)), Ponged::Ignored);
        assert!(matches!(
            link.pong(start, &[1; 24], &bob.sign(&[1; 24]), data(&bob)),
            Ponged::Trusted { .. }
        ));
        assert_eq!(link.pong(start, &[1; 24], &bob.sign(&[1; 24]), data(&bob)), Ponged::Ignored, "used up");
        assert_eq!(link.pong(start, &[2; 24], &eve.sign(&[2; 24]), data(&eve)), Ponged::Ignored);
        assert_eq!(link.peer().map(|peer| peer.key), Some(bob.public()));
    }

    #[test]
    fn a_stranger_is_pinged_again_and_then_left() {
        let start = Instant::now();
        let mut link = Handshake::new(start, Transport::Tcp);
        link.ping(start, [1; 24]);
        assert_eq!(link.due(start, INTERVAL), Due::Wait(start + seconds(1)));
        assert_eq!(link.due(start + seconds(1), INTERVAL), Due::Ping);
        link.ping(start + seconds(1), [2; 24]);
        assert_eq!(link.due(start + seconds(2), INTERVAL), Due::Wait(start + seconds(3)));
        assert_eq!(link.due(start + seconds(15), INTERVAL), Due::Stranger);
    }

    #[test]
    fn only_a_line_that_carries_nothing_is_silent() {
        let (start, bob) = (Instant::now(), SignSecretKey::from_seed(&[2; 32]));
        let mut link = Handshake::new(start, Transport::Tcp);
        link.ping(start, [1; 24]);
        link.pong(start, &[1; 24], &bob.sign(&[1; 24]), data(&bob));
        assert_eq!(link.due(start, INTERVAL), Due::Wait(start + seconds(30)));
        assert_eq!(link.due(start + seconds(30), INTERVAL), Due::Ping);
        link.ping(start + seconds(30), [2; 24]);
        assert_eq!(link.due(start + seconds(31), INTERVAL), Due::Wait(start + seconds(60)));
        link.ping(start + seconds(59), [3; 24]);
        assert_eq!(link.due(start + seconds(60), INTERVAL), Due::Silent, "the first silent ping counts");
        link.heard(start + seconds(59));
        assert_eq!(link.due(start + seconds(60), INTERVAL), Due::Wait(start + seconds(89)));
    }

    #[test]
    fn over_datagrams_a_lost_pong_is_asked_for_again_before_the_line_is_dead() {
        let (start, bob) = (Instant::now(), SignSecretKey::from_seed(&[2; 32]));
        let mut link = Handshake::new(start, Transport::Udp);
        link.ping(start, [1; 24]);
        link.pong(start, &[1; 24], &bob.sign(&[1; 24]), data(&bob));
        link.ping(start + seconds(30), [2; 24]);
        for at in [35, 40, 45] {
            assert_eq!(link.due(start + seconds(at), INTERVAL), Due::Ping);
            link.ping(start + seconds(at), [3; 24]);
        }
        assert_eq!(link.due(start + seconds(70), INTERVAL), Due::Silent);
    }

    #[test]
    fn over_datagrams_an_address_may_get_another_owner() {
        let start = Instant::now();
        let (bob, carol) = (SignSecretKey::from_seed(&[2; 32]), SignSecretKey::from_seed(&[3; 32]));
        let mut link = Handshake::new(start, Transport::Udp);
        link.ping(start, [1; 24]);
        link.pong(start, &[1; 24], &bob.sign(&[1; 24]), data(&bob));
        link.ping(start, [2; 24]);
        let pong = link.pong(start, &[2; 24], &carol.sign(&[2; 24]), data(&carol));
        assert_eq!(pong, Ponged::Replaced);
    }
}
