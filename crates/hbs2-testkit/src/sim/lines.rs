//! Connections between simulated nodes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hbs2_proto::LinkId;

use super::world::NodeId;

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct End {
    pub(super) node: NodeId,
    pub(super) link: LinkId,
}

/// A direction of a connection.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) to: End,
    pub(super) delay: Duration,
    /// Bytes per second.
    pub(super) rate: u64,
    /// When the line has sent all it was given.
    pub(super) free: Instant,
}

/// All connections, by their ends.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: BTreeMap<End, Line>,
}

impl Lines {
    /// Connects two ends.
    pub(super) fn join(&mut self, now: Instant, a: End, b: End, delay: Duration, rate: u64) {
        self.lines.insert(a, Line { to: b, delay, rate, free: now });
        self.lines.insert(b, Line { to: a, delay, rate, free: now });
    }

    /// Gives `bytes` to the line at this end: when they have left, and when and where they arrive.
    pub(super) fn send(&mut self, now: Instant, from: End, bytes: usize) -> Option<(Instant, Instant, End)> {
        let line = self.lines.get_mut(&from)?;
        line.free = line.free.max(now) + Duration::from_nanos(bytes as u64 * 1_000_000_000 / line.rate);
        Some((line.free, line.free + line.delay, line.to))
    }

    /// Cuts the connection at this end; the other end.
    pub(super) fn cut(&mut self, end: End) -> Option<End> {
        let line = self.lines.remove(&end)?;
        self.lines.remove(&line.to);
        Some(line.to)
    }

    /// Ends of connections of a node.
    pub(super) fn of(&self, node: NodeId) -> Vec<End> {
        self.at(node).map(|(end, _)| *end).collect()
    }

    /// How many connections a node has.
    pub(super) fn count(&self, node: NodeId) -> usize {
        self.at(node).count()
    }

    /// The connection between two nodes, by the end of the first.
    pub(super) fn between(&self, a: NodeId, b: NodeId) -> Option<End> {
        self.at(a).find(|(_, line)| line.to.node == b).map(|(end, _)| *end)
    }

    fn at(&self, node: NodeId) -> impl Iterator<Item = (&End, &Line)> {
        let (first, last) = (End { node, link: LinkId(0) }, End { node, link: LinkId(u64::MAX) });
        self.lines.range(first..=last)
    }
}
