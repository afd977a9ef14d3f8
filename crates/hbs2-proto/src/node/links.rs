//! What happens to connections.

use hbs2_core::addr::{PeerAddr, Transport};

use super::{Node, moment};
use crate::session::{Source, Turn, links_wanted, listen_address};
use crate::{CloseReason, DialFailure, Event, LinkId, Origin, Output};

impl Node {
    pub(super) fn link_up(&mut self, link: LinkId, remote: PeerAddr, origin: Origin) {
        self.out.open(link);
        self.conduct.up(link);
        self.out.counters.links_up += 1;
        if let Origin::Dialled(address) = origin {
            self.dialler.linked(address, link);
        }
        self.bypass.up(&*moment!(self), link);
        let turn = self.sessions.up(moment!(self), link, remote, origin);
        self.turn(link, turn);
        // Whoever comes by datagrams may come in another's name, who would get all our answers.
        if remote.transport == Transport::Tcp || origin != Origin::Accepted {
            self.bypass.remind(moment!(self), link);
        }
    }

    /// A link has ended, or is ended by us for `reason`.
    pub(super) fn link_down(&mut self, link: LinkId, reason: Option<CloseReason>) {
        self.out.close(link);
        self.bypass.down(link);
        self.exchange.down(link);
        self.sizes.down(link);
        self.questions.down(link, &mut self.out);
        self.chunks.down(link);
        self.refs.down(link);
        self.conduct.down(link);
        self.announces.remove(&link);
        if reason == Some(CloseReason::Myself) {
            self.dialler.myself(link);
        }
        let ended = self.sessions.down(link);
        let peer = ended.as_ref().and_then(|(ended, _)| ended.peer()).map(|peer| peer.key);
        self.dialler.ended(self.now, link, &mut self.random);
        if let Some(peer) = peer {
            self.out.event(Event::PeerDown { link, peer, reason });
            self.brain.source_down(moment!(self), link);
        }
        if let Some((_, Some(heir))) = ended {
            self.activate(heir);
        }
    }

    pub(super) fn dial_failed(&mut self, address: PeerAddr, failure: DialFailure) {
        self.out.counters.dials_failed += 1;
        let failure = match failure {
            DialFailure::Duplicate(Some(link)) if self.sessions.get(link).is_none() => {
                DialFailure::Duplicate(None)
            }
            failure => failure,
        };
        self.dialler.failed(self.now, address, failure, &mut self.random);
        match failure {
            DialFailure::Duplicate(Some(link)) => {
                if self.pings.dialled(&address, link) {
                    self.sessions.send_ping(moment!(self), link);
                }
            }
            _ => self.pings.dial_failed(&address, &mut self.out),
        }
    }

    pub(super) fn sent(&mut self, link: LinkId, bytes: usize) {
        self.out.sent(link, bytes);
        self.chunks.sent(moment!(self), link);
    }

    pub(super) fn wake_links(&mut self) {
        while let Some(link) = self.sessions.pop_due(self.now) {
            let turn = self.sessions.wake_link(moment!(self), link);
            self.turn(link, turn);
            self.activate(link);
            if self.sessions.is_trusted(link) {
                self.bypass.remind(moment!(self), link);
            }
        }
    }

    /// Does what a turn of a link asks for.
    pub(super) fn turn(&mut self, link: LinkId, turn: Turn) {
        match turn {
            Turn::Same => {}
            Turn::Measured(round_trip) => {
                self.brain.measured(link, round_trip);
                self.pings.answered(link, &mut self.out);
            }
            Turn::Trusted => self.trusted(link),
            Turn::Supersedes { old } => {
                self.brain.source_down(moment!(self), old);
                self.trusted(link);
            }
            Turn::Described { listen_tcp, listen_udp } => self.described(link, listen_tcp, listen_udp),
            Turn::Close(reason) => {
                self.out.push(Output::Close { link, reason });
                self.link_down(link, Some(reason));
            }
        }
    }

    fn trusted(&mut self, link: LinkId) {
        let trusted = self.sessions.get(link).and_then(|link| Some((link.peer()?.key, link.remote)));
        let Some((peer, remote)) = trusted else { return };
        self.conduct.named(self.now, link, peer);
        self.out.counters.links_trusted += 1;
        self.dialler.trusted(self.now, link);
        self.out.event(Event::PeerUp { link, peer, address: remote });
        if let Some(address) = self.dialler.address_of(link) {
            self.pings.dialled(&address, link);
        }
        self.pings.answered(link, &mut self.out);
        self.bypass.remind(moment!(self), link);
        self.activate(link);
    }

    /// Begins to use a link, if it is time.
    pub(super) fn activate(&mut self, link: LinkId) {
        if !self.sessions.activate(self.now, link) {
            return;
        }
        // Sends the first question for the annotation.
        self.sessions.wake_link(moment!(self), link);
        let Some(active) = self.sessions.get(link) else { return };
        let Some(peer) = active.peer() else { return };
        let (key, native, round_trip) = (peer.key, active.native, active.round_trip);
        let carrier = active.remote.transport;
        self.refs.greet(moment!(self), link);
        self.brain.source_up(moment!(self), link, key, native, round_trip, carrier);
        self.exchange.ask(moment!(self), link);
    }

    fn described(&mut self, link: LinkId, listen_tcp: Option<u16>, listen_udp: Option<u16>) {
        let Some(described) = self.sessions.get(link) else { return };
        let remote = described.remote;
        if remote.transport == Transport::Udp && described.origin == Origin::Accepted {
            if listen_udp.is_none_or(|port| port == remote.socket.port()) {
                self.dialler.met(remote, link);
                self.dialler.trusted(self.now, link);
            } else {
                self.dialler.is_private(&remote);
            }
        }
        self.brain.described(link, described.native);
        // A stream is better than datagrams, and an address that we tell others must have answered.
        let dialled = remote.transport == Transport::Tcp && described.origin != Origin::Accepted;
        if let (Some(port), false) = (listen_tcp, dialled) {
            self.dialler.add(self.now, listen_address(&described.remote, port), Source::Told);
        }
    }

    /// Dials whoever is due.
    pub(super) fn dial(&mut self) {
        if !self.started || self.dialler.next().is_none_or(|at| at > self.now) {
            return;
        }
        let links = self.sessions.active().count() + self.sessions.strangers();
        let wanted = links_wanted(self.config.links_max, self.brain.is_waiting());
        for address in self.dialler.due(self.now, links, wanted) {
            self.out.push(Output::Dial { address });
        }
    }
}
