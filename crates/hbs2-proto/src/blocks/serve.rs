//! Sending chunks of blocks (spec: wire 2.9).
//!
//! Requests of a link are served in their order. A block is read only when the link has room for it, so however much
//! a peer asks for, little of it is in memory; the rest are small notes in a bounded queue.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use hbs2_core::limits::{BLOCK_BYTES_MAX, CHUNK_BYTES};

use super::Ask;
use super::parts::Parts;
use crate::moment::Moment;
use crate::outbox::SEND_CREDIT_BYTES;
use crate::wire::{BlockChunks, ChunksBody, Message};
use crate::{LinkId, Output, Ticket};

/// Requests of one link that wait to be read, at most. Our own kind asks for some thousand small blocks at a time.
const REQUESTS_MAX: usize = 8192;

/// Reads under way for one link, at most. Small blocks cost the driver a trip each; this many hide it.
const READS_MAX: usize = 64;

/// A request whose block has been asked of the store.
#[derive(Debug)]
struct Read {
    ticket: Ticket,
    ask: Ask,
    /// Bytes set aside for it.
    reserved: usize,
    /// The block when it has come; `Some(None)` when it is absent.
    block: Option<Option<Bytes>>,
}

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Ask>,
    reads: VecDeque<Read>,
    reserved: usize,
}

/// Requests for chunks of all links.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    lines: BTreeMap<LinkId, Line>,
    tickets: BTreeMap<Ticket, LinkId>,
    /// Links that could not read because of the memory for what is served.
    starved: BTreeSet<LinkId>,
    reserved: usize,
    /// Blocks of which only a part was asked for.
    parts: Parts,
}

impl Chunks {
    /// A request has come from a trusted peer.
    pub(crate) fn ask(&mut self, m: &mut Moment<'_>, link: LinkId, ask: Ask) {
        let line = self.lines.entry(link).or_default();
        if ask.chunk_bytes == 0 || ask.count == 0 || line.waiting.len() >= REQUESTS_MAX {
            m.out.counters.chunks_refused += 1;
            return m.limited(link);
        }
        line.waiting.push_back(ask);
        self.pump(m, link);
    }

    /// The store has answered.
    pub(crate) fn read(&mut self, m: &mut Moment<'_>, ticket: Ticket, block: Option<Bytes>) {
        let Some(link) = self.tickets.remove(&ticket) else { return };
        let Some(line) = self.lines.get_mut(&link) else { return };
        let Ok(place) = line.reads.binary_search_by_key(&ticket, |read| read.ticket) else { return };
        let read = &mut line.reads[place];
        let needed = block.as_ref().map_or(0, Bytes::len);
        if let Some(block) = block.as_ref().filter(|block| read.ask.is_part_of(block.len())) {
            self.parts.keep(read.ask.hash, block, m.config.memory.parts_bytes);
        }
        let over = self.reserved - read.reserved + needed > m.config.memory.serve_bytes;
        if place > 0 && over && needed > read.reserved {
            // Longer than it seemed, and not the next to be sent: read again when there is room.
            read.ask.bytes = needed;
            return self.unread(link, place);
        }
        line.reserved = line.reserved - read.reserved + needed;
        self.reserved = self.reserved - read.reserved + needed;
        read.reserved = needed;
        read.block = Some(block);
        if place == 0 {
            self.pump(m, link);
        }
    }

    /// Puts the reads of a link from this place on back to be read later.
    fn unread(&mut self, link: LinkId, place: usize) {
        let Some(line) = self.lines.get_mut(&link) else { return };
        for read in line.reads.drain(place..).rev() {
            line.reserved -= read.reserved;
            self.reserved -= read.reserved;
            self.tickets.remove(&read.ticket);
            line.waiting.push_front(read.ask);
        }
    }

    /// The link has room again.
    pub(crate) fn sent(&mut self, m: &mut Moment<'_>, link: LinkId) {
        self.pump(m, link);
        if self.has_room(m) {
            // Each once: who finds too little room is among the starved again.
            for link in std::mem::take(&mut self.starved) {
                self.pump(m, link);
            }
        }
    }

    /// Forgets a link.
    pub(crate) fn down(&mut self, link: LinkId) {
        self.starved.remove(&link);
        let Some(line) = self.lines.remove(&link) else { return };
        if self.lines.is_empty() {
            self.parts.clear();
        }
        self.reserved -= line.reserved;
        for read in line.reads {
            self.tickets.remove(&read.ticket);
        }
    }

    fn has_room(&self, m: &Moment<'_>) -> bool {
        self.reserved + m.out.unsent_total() < m.config.memory.serve_bytes
    }

    /// Sends what is read and reads what may be sent.
    fn pump(&mut self, m: &mut Moment<'_>, link: LinkId) {
        let Some(line) = self.lines.get_mut(&link) else { return };
        while let Some(Read { block: Some(block), ask, .. }) = line.reads.front_mut() {
            if let Some(block) = block
                && !stream(m, link, ask, block)
            {
                break;
            }
            let read = line.reads.pop_front().expect("just seen");
            line.reserved -= read.reserved;
            self.reserved -= read.reserved;
        }
        let mut kept = Vec::new();
        while let Some(ask) = line.waiting.front() {
            let needed = likely_bytes(ask);
            let unsent = m.out.unsent(link);
            let busy = !line.reads.is_empty() || unsent > 0;
            if line.reads.len() >= READS_MAX || busy && line.reserved + unsent + needed > SEND_CREDIT_BYTES {
                break;
            }
            if busy && self.reserved + m.out.unsent_total() + needed > m.config.memory.serve_bytes {
                self.starved.insert(link);
                break;
            }
            let ask = line.waiting.pop_front().expect("just seen");
            let ticket = m.out.ticket();
            let (hash, block) = (ask.hash, self.parts.get(&ask.hash));
            line.reserved += needed;
            self.reserved += needed;
            self.tickets.insert(ticket, link);
            line.reads.push_back(Read { ticket, ask, reserved: needed, block: None });
            match block {
                Some(block) => kept.push((ticket, block)),
                None => m.out.push(Output::ReadBlock { ticket, hash }),
            }
        }
        for (ticket, block) in kept {
            m.out.counters.blocks_kept_served += 1;
            self.read(m, ticket, Some(block));
        }
    }
}

/// Bytes that a request is likely to hold in memory, before the block's length is known.
fn likely_bytes(ask: &Ask) -> usize {
    if ask.bytes > 0 {
        return ask.bytes;
    }
    if ask.count == u32::MAX {
        return CHUNK_BYTES;
    }
    let end = u64::from(ask.first) + u64::from(ask.count);
    end.saturating_mul(u64::from(ask.chunk_bytes)).min(BLOCK_BYTES_MAX as u64) as usize
}

/// Sends chunks of `block` from `ask.first` on while the link has room; whether all are sent.
fn stream(m: &mut Moment<'_>, link: LinkId, ask: &mut Ask, block: &Bytes) -> bool {
    let size = usize::from(ask.chunk_bytes);
    while ask.count > 0 {
        // Numbers of chunks have 16 bits; what lies beyond cannot be named.
        let Ok(number) = u16::try_from(ask.first) else { break };
        let start = usize::from(number) * size;
        if start >= block.len() {
            break;
        }
        if m.out.unsent(link) >= SEND_CREDIT_BYTES || m.out.is_crowded(link) {
            return false;
        }
        let data = block.slice(start..block.len().min(start + size));
        m.out.counters.block_bytes_served += data.len() as u64;
        let body = ChunksBody::Chunk { number, data };
        m.send(link, &Message::BlockChunks(BlockChunks { cookie: ask.cookie, body }));
        ask.first += 1;
        ask.count -= 1;
    }
    m.out.counters.blocks_served += 1;
    true
}
