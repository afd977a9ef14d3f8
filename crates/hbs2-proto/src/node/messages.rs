//! What happens to packets.

use std::time::Duration;

use bytes::Bytes;

use super::{Node, moment};
use crate::blocks::Ask;
use crate::conduct::Kind;
use crate::limiter::Bucket;
use crate::session::{Opened, own_meta};
use crate::wire::{
    BlockAnnounce, BlockChunks, BlockInfo, ChunksBody, Handshake, Hey, Message, PeerMeta, WireError,
};
use crate::{Keep, LinkId, Offence};

/// Announces of one peer followed at once, at most.
const ANNOUNCES_BURST: u32 = 256;

/// Time for one more: five a second are more than any honest publisher makes.
const ANNOUNCE_REFILL: Duration = Duration::from_millis(200);

impl Node {
    pub(super) fn received(&mut self, link: LinkId, packet: &Bytes) {
        if self.sessions.get(link).is_none() {
            return;
        }
        let counters = &mut self.out.counters;
        counters.packets_received += 1;
        counters.bytes_received += packet.len() as u64;
        self.sessions.heard(self.now, link);
        match self.bypass.open(moment!(self), link, packet) {
            Opened::Sealed(clear) => self.opened(link, &clear),
            Opened::Clear => {
                // A datagram in clear may come in another's name.
                self.conduct.hears(self.sessions.is_stream(link));
                let pings =
                    || matches!(Message::decode(packet), Ok(Message::Handshake(Handshake::Ping { .. })));
                if self.bypass.is_sealed(link) && pings() {
                    self.bypass.clear_ping(moment!(self), link);
                }
                self.opened(link, packet);
                self.conduct.hears(true);
                if self.sessions.is_trusted(link) {
                    self.bypass.remind(moment!(self), link);
                }
            }
        }
    }

    /// A packet as it was before it was sealed, if it was.
    fn opened(&mut self, link: LinkId, packet: &Bytes) {
        match Message::decode(packet) {
            Ok(Message::Handshake(message)) => self.handshake(link, message),
            Ok(message) if self.sessions.is_trusted(link) => {
                if self.is_within(link, &message, packet.len()) {
                    self.message(link, message);
                }
            }
            Ok(_) => self.out.counters.messages_untrusted += 1,
            Err(WireError::Hey { hey }) => self.hey(link, &hey),
            Err(WireError::Protocol { .. }) => self.out.counters.packets_unknown += 1,
            Err(WireError::Envelope { .. }) => {
                moment!(self).offend(link, Offence::Garbage);
                self.bypass.unreadable(moment!(self), link);
            }
            Err(_) => {
                self.out.counters.packets_malformed += 1;
                moment!(self).offend(link, Offence::Garbage);
            }
        }
    }

    /// Whether a message is within what its peer may send. Chunks are judged when it is known whether they were asked
    /// for.
    fn is_within(&mut self, link: LinkId, message: &Message, bytes: usize) -> bool {
        let kind = match message {
            Message::BlockChunks(BlockChunks { body: ChunksBody::Chunk { .. }, .. }) => return true,
            Message::BlockInfo(_) | Message::BlockChunks(_) => Kind::Question,
            Message::ReflogUpdate(_) | Message::ChanUpdate(_) => Kind::Update,
            _ => Kind::Other,
        };
        let within = self.conduct.admits(self.now, link, kind, bytes);
        self.out.counters.messages_limited += u64::from(!within);
        within
    }

    /// A greeting: what proves that the other side has our key is an answer to a sealed ping.
    fn hey(&mut self, link: LinkId, hey: &Hey) {
        self.out.counters.packets_hey += 1;
        let peer = self.sessions.get(link).and_then(|link| link.peer()).map(|peer| peer.key);
        if let Some(flow) = self.bypass.hey(moment!(self), link, peer, hey) {
            self.out.seal(link, Some(flow));
            self.sessions.send_ping(moment!(self), link);
            self.out.seal(link, None);
        }
    }

    fn handshake(&mut self, link: LinkId, message: Handshake) {
        match message {
            Handshake::Ping { nonce } => {
                self.sessions.ping(moment!(self), link, nonce);
                self.activate(link);
            }
            Handshake::Pong { nonce, signature, data } => {
                let turn = self.sessions.pong(moment!(self), link, &nonce, &signature, data);
                self.turn(link, turn);
            }
        }
    }

    /// A message of a trusted peer.
    fn message(&mut self, link: LinkId, message: Message) {
        let m = moment!(self);
        match message {
            Message::Handshake(message) => self.handshake(link, message),
            Message::BlockInfo(message) => self.block_info(link, message),
            Message::BlockChunks(message) => self.block_chunks(link, message),
            Message::BlockAnnounce(announce) => self.block_announce(link, &announce),
            // Heard on the multicast group only.
            Message::PeerAnnounce(_) => {}
            Message::PeerExchange(message) => {
                self.exchange.handle(m, &self.sessions, &mut self.dialler, link, message);
            }
            Message::ReflogUpdate(update) => {
                self.refs.reflog_update(m, &self.sessions, &mut self.brain, link, update);
            }
            Message::ReflogRequest(message) => self.refs.reflog_request(m, &mut self.brain, link, message),
            Message::PeerMeta(PeerMeta::Get) => {
                let meta = PeerMeta::TheText(own_meta(m.config).to_text());
                m.send(link, &Message::PeerMeta(meta));
            }
            Message::PeerMeta(meta) => {
                let turn = self.sessions.described(m, link, &meta);
                self.turn(link, turn);
            }
            Message::Lww(message) => self.refs.lww(m, &self.sessions, &mut self.brain, link, message),
            Message::ChanHead(message) => {
                self.refs.chan_head_message(m, &self.sessions, &mut self.brain, link, message);
            }
            Message::ChanUpdate(update) => {
                self.refs.chan_update(m, &self.sessions, &mut self.brain, link, update);
            }
            Message::ChanRequest(message) => {
                self.refs.chan_request(m, &self.sessions, &mut self.brain, link, message);
            }
            Message::ChanNotice(notice) => {
                self.refs.chan_notice(m, &self.sessions, &mut self.brain, link, notice);
            }
            Message::Mailbox(message) => {
                self.refs.mailbox(m, &self.sessions, &mut self.brain, link, message);
            }
        }
    }

    fn block_info(&mut self, link: LinkId, message: BlockInfo) {
        let m = moment!(self);
        match message {
            BlockInfo::GetBlockSize(hash) => {
                let in_order = self.sessions.get(link).is_none_or(|link| !link.native);
                self.sizes.ask(m, link, hash, in_order);
            }
            BlockInfo::NoBlock(hash) => {
                self.brain.size(m, link, hash, None);
                self.questions.answered(link, hash, None, &mut self.out);
            }
            BlockInfo::BlockSize { hash, bytes } => {
                self.brain.size(m, link, hash, Some(bytes));
                self.questions.answered(link, hash, Some(bytes), &mut self.out);
            }
        }
    }

    fn block_chunks(&mut self, link: LinkId, BlockChunks { cookie, body }: BlockChunks) {
        let m = moment!(self);
        match body {
            ChunksBody::GetAllChunks { hash, chunk_bytes } => {
                self.chunks.ask(
                    m,
                    link,
                    Ask { cookie, hash, chunk_bytes, first: 0, count: u32::MAX, bytes: 0 },
                );
            }
            ChunksBody::GetChunks { hash, chunk_bytes, first, count } => {
                self.chunks.ask(m, link, Ask { cookie, hash, chunk_bytes, first, count, bytes: 0 });
            }
            ChunksBody::Chunk { number, data } => self.brain.chunk(m, link, cookie, number, data),
            ChunksBody::NoChunks | ChunksBody::Lost => {}
        }
    }

    pub(super) fn block_announce(&mut self, link: LinkId, announce: &BlockAnnounce) {
        let peer = self.sessions.get(link).and_then(|link| link.peer());
        let allowed = peer.is_some_and(|peer| self.config.accept_announces.allows(&peer.key))
            && announce.process != self.sessions.process()
            && self
                .announces
                .entry(link)
                .or_insert_with(|| Bucket::new(self.now, ANNOUNCES_BURST, ANNOUNCE_REFILL))
                .take(self.now);
        if !allowed {
            self.out.counters.announces_ignored += 1;
            return;
        }
        self.out.counters.announces_followed += 1;
        self.brain.announced(moment!(self), link);
        self.brain.want(moment!(self), announce.hash, Keep::UntilDone, None);
    }
}
