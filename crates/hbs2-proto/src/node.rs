//! The machine: facts in, effects out.
//!
//! Here the small machines are joined and nothing is decided. [`links`] what happens to connections, [`messages`] what
//! happens to packets, [`discovery`] how others are found, [`commands`] what the owner asks; the answers of the driver are in [`Node::handle`].

mod bans;
mod commands;
mod discovery;
mod links;
mod messages;
mod proxy;
mod questions;
mod status;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::Hash;

use crate::blocks::{Chunks, Sizes};
use crate::brain::Brain;
use crate::conduct::{Conduct, OwnerBans};
use crate::io::{BANS_RECORD, MAILBOXES_RECORD, POLLS_RECORD, WANTS_RECORD};
use crate::limiter::Bucket;
use crate::outbox::Outbox;
use crate::random::Random;
use crate::refs::Refs;
use crate::session::{Bypass, Dialler, Discovery, Exchange, Sessions, Source};
use crate::{Answer, CommandId, Commit, Config, Event, Input, Keep, LinkId, Output, Refusal, Ticket};
use commands::Pings;
use proxy::Proxy;
use questions::Questions;

/// How long a changed list of wants may stay unsaved. A reference that makes us want something saves it at once.
const SAVE_DELAY: Duration = Duration::from_secs(1);

/// A node's decisions. See the [crate's text](crate) and [`io`](crate::io).
#[derive(Debug)]
pub struct Node {
    config: Config,
    random: Random,
    out: Outbox,
    sessions: Sessions,
    bypass: Bypass,
    dialler: Dialler,
    exchange: Exchange,
    discovery: Discovery,
    proxy: Proxy,
    sizes: Sizes,
    chunks: Chunks,
    refs: Refs,
    brain: Brain,
    pings: Pings,
    questions: Questions,
    conduct: Conduct,
    /// Commands that wait for the list of bans to be saved.
    bans_saving: BTreeMap<Ticket, CommandId>,
    /// How many announces of each link are followed.
    announces: BTreeMap<LinkId, Bucket>,
    /// Wants of the last run, until the start.
    restored: Vec<Hash>,
    started: bool,
    /// When the list of wants is to be saved.
    save: Option<Instant>,
    /// When the clock on the wall was last told, and what it said.
    clock: Option<(Instant, u64)>,
    now: Instant,
}

/// What a small machine needs for one call.
macro_rules! moment {
    ($node:expr) => {
        &mut $crate::moment::Moment {
            now: $node.now,
            clock: $node.clock,
            config: &$node.config,
            random: &mut $node.random,
            out: &mut $node.out,
            conduct: &mut $node.conduct,
        }
    };
}
use moment;

impl Node {
    /// A node that has not been started. `now` is the time from which it counts.
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        let mut random = Random::new(config.seed);
        let sessions = Sessions::new(random.bytes());
        let bypass = Bypass::new(&mut random);
        let mut node = Self {
            config,
            random,
            out: Outbox::default(),
            sessions,
            bypass,
            dialler: Dialler::default(),
            exchange: Exchange::default(),
            discovery: Discovery::default(),
            proxy: Proxy::default(),
            sizes: Sizes::default(),
            chunks: Chunks::default(),
            refs: Refs::default(),
            brain: Brain::default(),
            pings: Pings::default(),
            questions: Questions::default(),
            conduct: Conduct::new(now),
            bans_saving: BTreeMap::new(),
            announces: BTreeMap::new(),
            restored: Vec::new(),
            started: false,
            save: None,
            clock: None,
            now,
        };
        node.divide_memory();
        node
    }

    /// Tells the parts how much memory each may use.
    fn divide_memory(&mut self) {
        let memory = self.config.memory;
        self.out.limit(memory.send_bytes);
        self.brain.limit(memory.fetch_bytes);
    }

    /// Takes in a fact. Drain [`poll`](Self::poll) afterwards.
    pub fn handle(&mut self, now: Instant, input: Input) {
        self.now = self.now.max(now);
        match input {
            Input::Record { name, value } => self.restore(&name, &value),
            Input::Start => self.start(),
            Input::Wake => self.wake(),
            Input::Clock { unix_seconds } => self.clock = Some((self.now, unix_seconds)),
            Input::Stop => {
                self.refs.stop(moment!(self), &mut self.brain);
                self.save_wants_now();
            }
            Input::Reconfigure(config) => self.reconfigure(*config),
            Input::Heard { from, packet } => self.heard(from, &packet),
            Input::Found { addresses } => self.found(&addresses),
            Input::Command(id, command) => self.command(id, command),
            Input::LinkUp { link, remote, origin } => self.link_up(link, remote, origin),
            Input::LinkDown { link } => self.link_down(link, None),
            Input::DialFailed { address, failure } => self.dial_failed(address, failure),
            Input::Received { link, packet } => self.received(link, &packet),
            Input::Sent { link, bytes } => self.sent(link, bytes),
            Input::BlockStat { ticket, bytes } => {
                self.sizes.known(moment!(self), ticket, bytes, |hash| self.brain.is_coming(hash));
            }
            Input::BlockRead { ticket, block } => self.chunks.read(moment!(self), ticket, block),
            Input::BlocksExamined { ticket, blocks } => {
                self.refs.blocks_examined(moment!(self), &self.sessions, &mut self.brain, ticket, blocks);
            }
            Input::ContentRead { ticket, read } => {
                self.refs.content_read(moment!(self), &self.sessions, &mut self.brain, ticket, read);
            }
            Input::PolicyRead { ticket, policy } => {
                self.refs.policy_read(moment!(self), &self.sessions, &mut self.brain, ticket, policy);
            }
            Input::Validated { ticket, accepted } => {
                self.refs.validated(moment!(self), &self.sessions, &mut self.brain, ticket, accepted);
            }
            Input::Walked { ticket, missing, truncated } => {
                self.brain.walked(moment!(self), ticket, &missing, truncated);
            }
            Input::BlockStored { hash, missing, truncated } => self.block_stored(&hash, &missing, truncated),
            Input::BlockRejected { hash, from } => self.brain.rejected(moment!(self), hash, from),
            Input::BlockFailed { hash } => self.brain.failed(moment!(self), hash),
            Input::LogRead { ticket, root, leaves, complete } => {
                let read = (root, leaves, complete);
                self.refs.log_read(moment!(self), &self.sessions, &mut self.brain, ticket, read);
            }
            Input::UpdatesExamined { ticket, updates } => {
                self.refs.examined(moment!(self), &mut self.brain, ticket, updates);
            }
            Input::ReferenceRead { ticket, block } => {
                self.refs.reference_read(
                    moment!(self),
                    &self.sessions,
                    &mut self.brain,
                    ticket,
                    block.as_ref(),
                );
            }
            Input::Committed { ticket, durable } => self.committed(ticket, durable),
        }
        self.settle();
    }

    /// The next effect to carry out.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.poll()
    }

    /// When [`Input::Wake`] is due. It may change with each call of [`handle`](Self::handle).
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Instant> {
        if !self.started {
            return None;
        }
        let times = [
            self.sessions.next(),
            self.dialler.next(),
            self.exchange.next(),
            self.discovery.next(),
            self.sizes.next(),
            self.refs.next(),
            self.brain.next(),
            self.pings.next(),
            self.questions.next(),
            self.save,
        ];
        times.into_iter().flatten().min()
    }

    fn committed(&mut self, ticket: Ticket, durable: bool) {
        match self.bans_saving.remove(&ticket) {
            Some(command) if durable => self.out.answer(command, Answer::Done),
            Some(command) => self.out.answer(command, Answer::Refused(Refusal::Store)),
            None => self.refs.committed(moment!(self), &self.sessions, &mut self.brain, ticket, durable),
        }
    }

    fn restore(&mut self, name: &str, value: &Bytes) {
        match name {
            POLLS_RECORD => self.refs.restore(moment!(self), value),
            BANS_RECORD => match OwnerBans::from_record(value) {
                Ok(bans) => self.conduct.owner = bans,
                Err(_) => self.out.counters.records_unreadable += 1,
            },
            MAILBOXES_RECORD => self.refs.restore_mailboxes(moment!(self), value),
            WANTS_RECORD => match Brain::from_record(value) {
                Ok(roots) => self.restored = roots,
                Err(_) => self.out.counters.records_unreadable += 1,
            },
            _ => self.out.counters.records_unreadable += 1,
        }
    }

    fn start(&mut self) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        for address in &self.config.known_peers {
            self.dialler.add(self.now, *address, Source::Known);
        }
        self.exchange.start(self.now);
        self.discovery.start(self.now);
        self.refs.start(moment!(self), &self.sessions, &mut self.brain);
        for root in std::mem::take(&mut self.restored) {
            self.brain.want(moment!(self), root, Keep::UntilDone, None);
        }
    }

    fn wake(&mut self) {
        self.wake_links();
        self.exchange.wake(moment!(self), &self.sessions, &self.dialler);
        let alone = self.sessions.active().next().is_none();
        self.discovery.wake(moment!(self), self.sessions.process(), alone);
        self.sizes.wake(moment!(self));
        self.refs.wake(moment!(self), &self.sessions, &mut self.brain);
        self.brain.wake(moment!(self));
        self.pings.wake(self.now, &mut self.out);
        self.questions.wake(self.now, &mut self.out);
    }

    fn block_stored(&mut self, hash: &Hash, missing: &[Hash], truncated: bool) {
        if let Some(bytes) = self.brain.stored(moment!(self), hash, missing, truncated) {
            self.sizes.stored(moment!(self), hash, bytes);
        }
    }

    /// What follows from an input, whatever it was.
    fn settle(&mut self) {
        for root in self.brain.take_done() {
            self.out.event(Event::TreeDone { root });
            self.refs.tree_done(moment!(self), &self.sessions, &mut self.brain, &root);
        }
        for root in self.brain.take_lost() {
            self.refs.tree_lost(moment!(self), &self.sessions, &mut self.brain, &root);
        }
        self.proxy_fetch();
        self.judge();
        self.refs.flush(moment!(self), &self.sessions, &mut self.brain);
        self.dial();
        self.save_wants();
    }

    /// Saves the list of wants when it has been out of date for a while.
    fn save_wants(&mut self) {
        if !self.brain.is_unsaved() {
            self.save = None;
            return;
        }
        let at = *self.save.get_or_insert(self.now + SAVE_DELAY);
        if at <= self.now {
            self.save_wants_now();
        }
    }

    fn save_wants_now(&mut self) {
        self.save = None;
        if let Some(record) = self.brain.take_record() {
            let commit = Commit { records: vec![(WANTS_RECORD, record)], ..Commit::default() };
            let ticket = self.out.ticket();
            self.out.push(Output::Commit { ticket, commit });
        }
    }
}
