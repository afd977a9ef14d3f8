//! Effects on their way to the driver, and how much waits on each link.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::io::Memory;
use crate::session::Flow;
use crate::wire::{Message, Packet};
use crate::{Answer, CommandId, Counters, Event, LinkId, Output, Ticket};

/// Unsent bytes of a link up to which blocks are read for it. The kernel's buffers cover the delay of the line;
/// this covers the time until the driver reports, and 2 MiB in a few milliseconds is gigabytes a second. It is also
/// what a pong waits behind on a slow line.
pub(crate) const SEND_CREDIT_BYTES: usize = 2 * 1024 * 1024;

/// Unsent bytes of a link at which further packets are dropped: the other side does not read.
const SEND_QUEUE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Unsent bytes of a link that it may have whatever the others have: one of the longest chunks, and beside it more than
/// a round of questions and answers.
const SEND_SHARE_BYTES: usize = 128 * 1024;

/// Effects in order, with the counts and tickets that belong to them.
#[derive(Debug)]
pub(crate) struct Outbox {
    outputs: VecDeque<Output>,
    /// Bytes handed to the driver and not yet reported as sent, by link.
    unsent: BTreeMap<LinkId, usize>,
    unsent_total: usize,
    unsent_max: usize,
    /// With what packets of a link are sealed.
    seals: BTreeMap<LinkId, Arc<Flow>>,
    /// Length of the longest sealed packet.
    sealed_longest: usize,
    ticket: u64,
    pub(crate) counters: Counters,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            outputs: VecDeque::new(),
            unsent: BTreeMap::new(),
            unsent_total: 0,
            unsent_max: Memory::default().send_bytes,
            seals: BTreeMap::new(),
            sealed_longest: 0,
            ticket: 0,
            counters: Counters::default(),
        }
    }
}

impl Outbox {
    /// Sets how much may wait on all links.
    pub(crate) fn limit(&mut self, bytes: usize) {
        self.unsent_max = bytes;
    }

    pub(crate) fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(crate) fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.push(Output::Event(event));
    }

    pub(crate) fn answer(&mut self, command: CommandId, answer: Answer) {
        self.event(Event::Answer { command, answer });
    }

    pub(crate) fn ticket(&mut self) -> Ticket {
        self.ticket += 1;
        Ticket(self.ticket)
    }

    pub(crate) fn open(&mut self, link: LinkId) {
        self.unsent.insert(link, 0);
    }

    pub(crate) fn close(&mut self, link: LinkId) {
        self.unsent_total -= self.unsent.remove(&link).unwrap_or(0);
        self.seals.remove(&link);
    }

    /// Seals what is sent on a link from now on, or not any more.
    pub(crate) fn seal(&mut self, link: LinkId, flow: Option<Arc<Flow>>) {
        match flow {
            Some(flow) => drop(self.seals.insert(link, flow)),
            None => drop(self.seals.remove(&link)),
        }
    }

    /// Sends a message unless the link is gone or does not drain.
    pub(crate) fn send(&mut self, link: LinkId, message: &Message) {
        if self.unsent.contains_key(&link) {
            let flow = self.seals.get(&link).cloned();
            let is_sealed = flow.is_some();
            let packet = message.encode().sealed(flow);
            if is_sealed {
                self.counters.packets_sealed += 1;
                self.sealed_longest = self.sealed_longest.max(packet.len());
            }
            self.send_raw(link, packet);
        }
    }

    /// Notes a sealed packet that came.
    pub(crate) fn came_sealed(&mut self, bytes: usize) {
        self.counters.packets_opened += 1;
        self.sealed_longest = self.sealed_longest.max(bytes);
    }

    /// Length of the longest packet that was sent sealed or came sealed.
    pub(crate) fn sealed_longest(&self) -> usize {
        self.sealed_longest
    }

    /// Sends a packet as it is.
    pub(crate) fn send_raw(&mut self, link: LinkId, packet: Packet) {
        let Some(unsent) = self.unsent.get_mut(&link) else { return };
        let crowded = self.unsent_total + packet.len() > self.unsent_max && *unsent > SEND_SHARE_BYTES;
        if crowded || *unsent + packet.len() > SEND_QUEUE_BYTES_MAX {
            self.counters.packets_dropped += 1;
            return;
        }
        *unsent += packet.len();
        self.unsent_total += packet.len();
        self.counters.packets_sent += 1;
        self.counters.bytes_sent += packet.len() as u64;
        self.push(Output::Send { link, packet });
    }

    /// Notes that the driver has got rid of `bytes` of a link.
    pub(crate) fn sent(&mut self, link: LinkId, bytes: usize) {
        if let Some(unsent) = self.unsent.get_mut(&link) {
            let bytes = bytes.min(*unsent);
            *unsent -= bytes;
            self.unsent_total -= bytes;
        }
    }

    /// Whether a chunk for this link had better wait until what is on its way there has left: so little may be sent
    /// that more might be dropped.
    pub(crate) fn is_crowded(&self, link: LinkId) -> bool {
        self.unsent(link) > 0 && self.unsent_total + SEND_SHARE_BYTES > self.unsent_max
    }

    /// Bytes that wait on a link.
    pub(crate) fn unsent(&self, link: LinkId) -> usize {
        self.unsent.get(&link).copied().unwrap_or(0)
    }

    /// Bytes that wait on all links.
    pub(crate) fn unsent_total(&self) -> usize {
        self.unsent_total
    }
}
