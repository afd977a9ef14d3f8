//! Datagrams between simulated nodes: lost, doubled, shuffled, and dropped where a line is full.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hbs2_proto::LinkId;

use super::world::NodeId;
use crate::random::Random;

/// What waits before a line, in bytes, beyond which datagrams are dropped: the buffer of a usual router.
const QUEUE_BYTES_MAX: u64 = 128 * 1024;

/// How much later than others a datagram may arrive, as a part of the delay: one in so many.
const SHUFFLE_PART: u32 = 4;

/// One in so many datagrams arrives twice.
const TWICE_ONE_IN: usize = 500;

/// A direction between two nodes.
#[derive(Debug)]
struct Line {
    delay: Duration,
    rate: u64,
    free: Instant,
}

/// All datagrams.
#[derive(Debug, Default)]
pub(super) struct Datagrams {
    pub(super) loss_per_mille: usize,
    pub(super) sent: u64,
    /// Dropped because a line was full.
    pub(super) dropped: u64,
    /// The link under which the first node knows the second.
    links: BTreeMap<(NodeId, NodeId), LinkId>,
    ends: BTreeMap<LinkId, (NodeId, NodeId)>,
    lines: BTreeMap<(NodeId, NodeId), Line>,
}

/// When a datagram arrives; empty when it is lost, two times when it is doubled.
pub(super) type Arrivals = Vec<Instant>;

impl Datagrams {
    /// The link under which `node` knows `other`.
    pub(super) fn link(&self, node: NodeId, other: NodeId) -> Option<LinkId> {
        self.links.get(&(node, other)).copied()
    }

    /// Makes a link.
    pub(super) fn open(&mut self, node: NodeId, other: NodeId, link: LinkId) {
        self.links.insert((node, other), link);
        self.ends.insert(link, (node, other));
    }

    /// Forgets a link.
    pub(super) fn close(&mut self, link: LinkId) {
        if let Some(pair) = self.ends.remove(&link) {
            self.links.remove(&pair);
        }
    }

    /// A node stops: it knows nobody any more, and nobody is told.
    pub(super) fn crash(&mut self, node: NodeId) {
        let gone: Vec<LinkId> = self.at(node).collect();
        gone.into_iter().for_each(|link| self.close(link));
    }

    /// How many links a node has.
    pub(super) fn of(&self, node: NodeId) -> usize {
        self.at(node).count()
    }

    fn at(&self, node: NodeId) -> impl Iterator<Item = LinkId> {
        self.links.range((node, NodeId(0))..=(node, NodeId(usize::MAX))).map(|(_, link)| *link)
    }

    /// Both ends of a link.
    pub(super) fn ends(&self, link: LinkId) -> Option<(NodeId, NodeId)> {
        self.ends.get(&link).copied()
    }

    /// Gives a datagram to the line between two nodes, which is made like others are made now.
    pub(super) fn send(
        &mut self,
        now: Instant,
        pair: (NodeId, NodeId),
        bytes: usize,
        (delay, rate): (Duration, u64),
        random: &mut Random,
    ) -> Arrivals {
        self.sent += 1;
        let line =
            self.lines.entry(pair).or_insert_with(|| Line { delay: random.time(delay), rate, free: now });
        let queued = line.free.saturating_duration_since(now).as_nanos() as u64;
        if u128::from(queued) * u128::from(line.rate) / 1_000_000_000 > u128::from(QUEUE_BYTES_MAX) {
            self.dropped += 1;
            return Vec::new();
        }
        line.free = line.free.max(now) + Duration::from_nanos(bytes as u64 * 1_000_000_000 / line.rate);
        if random.below(1000) < self.loss_per_mille {
            return Vec::new();
        }
        let copies = if random.one_in(TWICE_ONE_IN) { 2 } else { 1 };
        let slack = line.delay / SHUFFLE_PART;
        (0..copies).map(|_| line.free + line.delay + random.time(slack)).collect()
    }
}
