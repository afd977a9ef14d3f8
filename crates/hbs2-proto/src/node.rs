//! The machine: facts in, effects out.

use std::collections::VecDeque;
use std::time::Instant;

use hbs2_core::Hash;
use hbs2_core::addr::PeerAddr;

use crate::io::status::{PeerStatus, WantStatus};
use crate::{Config, Counters, Input, Output, Poll};

/// A node's decisions. See the [crate's text](crate) and [`io`](crate::io).
#[derive(Debug)]
pub struct Node {
    config: Config,
    outputs: VecDeque<Output>,
    counters: Counters,
}

impl Node {
    /// A node that has not been started. `now` is the time from which it counts.
    #[must_use]
    pub fn new(config: Config, _now: Instant) -> Self {
        Self { config, outputs: VecDeque::new(), counters: Counters::default() }
    }

    /// Takes in a fact. Drain [`poll`](Self::poll) afterwards.
    pub fn handle(&mut self, _now: Instant, _input: Input) {}

    /// The next effect to carry out.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Wake`] is due. It may change with each call of [`handle`](Self::handle).
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Instant> {
        None
    }

    /// What the node was told when it was made.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Linked and trusted peers, in the order of their links.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerStatus> {
        Vec::new()
    }

    /// The table of polls, in the order in which the rows were added.
    #[must_use]
    pub fn polls(&self) -> Vec<Poll> {
        Vec::new()
    }

    /// All wants, oldest first.
    #[must_use]
    pub fn wants(&self) -> Vec<WantStatus> {
        Vec::new()
    }

    /// The want of this tree, if it is wanted and not done.
    #[must_use]
    pub fn want(&self, _root: &Hash) -> Option<WantStatus> {
        None
    }

    /// Addresses that others are told of: those that answered a dial.
    #[must_use]
    pub fn exchange_addresses(&self) -> Vec<PeerAddr> {
        Vec::new()
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}
