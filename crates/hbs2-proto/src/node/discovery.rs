//! How others are found, and what a changed configuration does to those that are.

use std::net::SocketAddr;

use bytes::Bytes;
use hbs2_core::addr::PeerAddr;

use super::{Node, moment};
use crate::session::{Source, Turn};
use crate::wire::Message;
use crate::{CloseReason, Config, LinkId};

impl Node {
    /// Something was heard on the local network.
    pub(super) fn heard(&mut self, from: SocketAddr, packet: &Bytes) {
        if !self.config.multicast || !self.discovery.may_follow(self.now) {
            return;
        }
        let address = PeerAddr::udp(from);
        match Message::decode(packet) {
            Ok(Message::PeerAnnounce(announce)) if announce.process != self.sessions.process() => {
                self.dialler.hurry(self.now, address);
            }
            Ok(Message::BlockAnnounce(announce)) => {
                let link = self.sessions.iter().find(|(_, link)| link.remote == address).map(|(id, _)| id);
                if let Some(link) = link.filter(|id| self.sessions.is_trusted(*id)) {
                    self.block_announce(link, &announce);
                }
            }
            _ => {}
        }
    }

    /// A bootstrap domain has answered.
    pub(super) fn found(&mut self, addresses: &[PeerAddr]) {
        for address in addresses {
            self.dialler.add(self.now, *address, Source::Learned);
        }
    }

    /// Works by another configuration from now on.
    pub(super) fn reconfigure(&mut self, new: Config) {
        let old = self.config.clone();
        self.config.change(new);
        self.divide_memory();
        for address in old.known_peers.iter().filter(|address| !self.config.known_peers.contains(address)) {
            self.dialler.release(address);
        }
        for address in &self.config.known_peers {
            self.dialler.add(self.now, *address, Source::Known);
        }
        if self.config.bootstrap != old.bootstrap {
            self.discovery.hurry(self.now);
        }
        self.refs.reconfigured(moment!(self));
        let links: Vec<LinkId> = self.sessions.iter().map(|(id, _)| id).collect();
        for link in links {
            let peer = self.sessions.get(link).and_then(|link| link.peer()).map(|peer| peer.key);
            let banned = |peer| !self.config.admits(&peer) || self.is_banned(&peer);
            if peer.is_some_and(banned) {
                self.turn(link, Turn::Close(CloseReason::Banned));
            } else if !self.config.bypass {
                self.bypass.unseal(moment!(self), link);
            } else {
                self.bypass.remind(moment!(self), link);
            }
        }
    }
}
