//! Reflogs: grow-only sets of signed updates (spec: wire 2.11).
//!
//! Updates come one by one as gossip, in numbers as the tree behind a peer's answer, or from the owner. Each is checked:
//! good signature, and of *this* reflog. What is new waits for the next commit: while one is being written the next
//! collects, so many updates at once cost few writes. When a commit is durable its updates count: the value changes,
//! owners get their answers, and news that came from a peer's tree is told to the others.
//!
//! [`merge`] is what happens to a peer's tree.

mod merge;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use bytes::Bytes;
use hbs2_core::cbor::Encode;
use hbs2_core::refkey::RefKind;
use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::tree::Shape;
use hbs2_core::{Hash, SignPublicKey};

use super::examine::payload_links;
use super::fetches::Fetches;
use super::growing::{Added, Growing};
use super::inquiry::Inquiries;
use crate::brain::Brain;
use crate::moment::Moment;
use crate::timers::Timers;
use crate::wire::{Message, ReflogRequest};
use crate::{CommandId, Event, Keep, LinkId, PollKind, Ticket};

/// Reflogs in memory that are not polled, at most: posted to, or asked for once.
const UNPOLLED_LOGS_MAX: usize = 64;

#[derive(Debug)]
struct Log {
    updates: Growing,
    inquiries: Inquiries<()>,
    /// Peers that asked while it was being read.
    askers: BTreeSet<LinkId>,
    /// Last use, for forgetting.
    used: Instant,
    /// Answers of peers are taken until then although it is not polled.
    wanted: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
enum Task {
    Load,
    Read(Hash),
    Examine(Hash),
    Write,
}

/// All reflogs that are polled or in use.
#[derive(Debug, Default)]
pub(crate) struct Reflogs {
    logs: BTreeMap<SignPublicKey, Log>,
    tasks: BTreeMap<Ticket, (SignPublicKey, Task)>,
    /// Trees of peers on their way, by root.
    fetches: Fetches<SignPublicKey>,
    /// Reflogs with updates to write.
    dirty: BTreeSet<SignPublicKey>,
    /// When a reflog is to be written or read again.
    timers: Timers<SignPublicKey>,
    /// Inquiries that go on when there is a place for what they bring.
    paused: BTreeSet<(SignPublicKey, Hash)>,
}

impl Reflogs {
    /// Begins to follow a reflog, or notes that it is used.
    pub(crate) fn open(&mut self, m: &mut Moment<'_>, key: SignPublicKey) {
        self.log(m, key);
    }

    /// Answers of peers about this reflog are welcome for a while.
    pub(crate) fn welcome(&mut self, m: &mut Moment<'_>, key: SignPublicKey, until: Instant) {
        self.log(m, key).wanted = Some(until);
    }

    pub(crate) fn is_welcome(&self, now: Instant, key: &SignPublicKey) -> bool {
        self.logs.get(key).and_then(|log| log.wanted).is_some_and(|until| now < until)
    }

    /// Forgets reflogs that are neither polled nor busy, if there are many.
    pub(crate) fn forget_idle(&mut self, polled: impl Fn(&SignPublicKey) -> bool) {
        let idle = self.logs.iter().filter(|(key, log)| !polled(key) && log.is_quiet());
        let mut idle: Vec<(Instant, SignPublicKey)> = idle.map(|(key, log)| (log.used, *key)).collect();
        if idle.len() > UNPOLLED_LOGS_MAX {
            idle.sort_unstable();
            for (_, key) in &idle[..idle.len() - UNPOLLED_LOGS_MAX] {
                self.logs.remove(key);
                self.timers.clear(key);
            }
        }
    }

    /// Whether an update is in a reflog that is followed.
    pub(crate) fn contains(&self, key: &SignPublicKey, update: &Hash) -> bool {
        self.logs.get(key).is_some_and(|log| log.updates.contains(update))
    }

    /// A checked update has come as gossip or from the owner.
    pub(crate) fn add(
        &mut self,
        m: &mut Moment<'_>,
        brain: &mut Brain,
        update: &ReflogUpdate,
        command: Option<CommandId>,
    ) {
        let block = Bytes::from(update.to_bytes());
        let hash = Hash::of(&block);
        let key = *update.key();
        let log = self.log(m, key);
        if log.updates.add(m, hash, vec![(hash, block)], command, false) == Added::New {
            for root in payload_links(update.data()) {
                brain.want(m, root, Keep::UntilDone, None);
            }
        }
        self.dirty.insert(key);
    }

    /// A peer asks for the value.
    pub(crate) fn request(&mut self, m: &mut Moment<'_>, key: SignPublicKey, link: LinkId) {
        let log = self.log(m, key);
        if log.updates.is_read() {
            log.respond(m, key, link);
        } else {
            log.askers.insert(link);
        }
    }

    /// A tree is here in full.
    pub(crate) fn tree_done(&mut self, m: &mut Moment<'_>, root: &Hash) {
        for key in self.fetches.end(root) {
            self.read_tree(m, key, *root);
        }
        let logs = &self.logs;
        let mended =
            self.timers.keys().filter(|key| logs.get(key).is_some_and(|log| log.updates.is_mended_by(root)));
        for key in mended.copied().collect::<Vec<_>>() {
            self.load(m, key);
        }
    }

    /// The driver has read a list of updates.
    pub(crate) fn log_read(
        &mut self,
        m: &mut Moment<'_>,
        brain: &mut Brain,
        ticket: Ticket,
        root: Option<Hash>,
        leaves: Vec<Hash>,
        complete: bool,
    ) {
        let Some((key, task)) = self.tasks.remove(&ticket) else { return };
        match task {
            Task::Load => self.loaded(m, brain, key, root, leaves, complete),
            Task::Read(root) => self.inquired(m, brain, key, root, leaves, complete),
            Task::Examine(_) | Task::Write => {}
        }
    }

    fn loaded(
        &mut self,
        m: &mut Moment<'_>,
        brain: &mut Brain,
        key: SignPublicKey,
        root: Option<Hash>,
        leaves: Vec<Hash>,
        complete: bool,
    ) {
        let Some(log) = self.logs.get_mut(&key) else { return };
        log.updates.loaded(m, brain, root, leaves, complete);
        for link in std::mem::take(&mut log.askers) {
            log.respond(m, key, link);
        }
        self.dirty.insert(key);
    }

    /// Writes what waits, for reflogs that are not being written.
    pub(crate) fn flush(&mut self, m: &mut Moment<'_>, brain: &mut Brain) {
        self.resume_inquiries(m, brain);
        for key in std::mem::take(&mut self.dirty) {
            let Some(log) = self.logs.get_mut(&key) else { continue };
            if let Some(ticket) = log.updates.flush(m, brain) {
                self.tasks.insert(ticket, (key, Task::Write));
            } else if let Some(at) = log.updates.due() {
                self.timers.set(key, at);
            }
        }
    }

    /// Writes what waits: the process ends.
    pub(crate) fn stop(&mut self, m: &mut Moment<'_>, brain: &mut Brain) {
        self.logs.values_mut().for_each(|log| log.updates.stop(m, brain));
    }

    /// A commit is done. Returns the reflog whose new value is to be told to peers.
    pub(crate) fn committed(
        &mut self,
        m: &mut Moment<'_>,
        ticket: Ticket,
        durable: bool,
    ) -> Option<(SignPublicKey, Hash)> {
        let (key, _) = self.tasks.remove(&ticket)?;
        self.dirty.insert(key);
        let written = self.logs.get_mut(&key)?.updates.written(m, durable);
        if !durable {
            self.load(m, key);
        }
        let written = written?;
        m.out.counters.updates_merged += written.entries;
        m.out.event(Event::RefChanged { key, kind: PollKind::Reflog, value: written.root });
        written.told.then_some((key, written.root))
    }

    /// Reads again what could not be read in full, and has written what has rested.
    pub(crate) fn wake(&mut self, m: &mut Moment<'_>) {
        while let Some(key) = self.timers.pop_due(m.now) {
            if self.logs.get(&key).is_some_and(|log| log.updates.must_reload(m.now)) {
                self.load(m, key);
            }
            self.dirty.insert(key);
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.timers.next()
    }

    fn log(&mut self, m: &mut Moment<'_>, key: SignPublicKey) -> &mut Log {
        let tasks = &mut self.tasks;
        let log = self.logs.entry(key).or_insert_with(|| {
            let mut updates = Growing::new(RefKind::Reflog.key(&key), Shape::LOG);
            tasks.insert(updates.read(m), (key, Task::Load));
            Log::new(m.now, updates)
        });
        log.used = m.now;
        log
    }

    /// Reads a reflog from the store again.
    fn load(&mut self, m: &mut Moment<'_>, key: SignPublicKey) {
        self.timers.clear(&key);
        if let Some(log) = self.logs.get_mut(&key) {
            self.tasks.insert(log.updates.read(m), (key, Task::Load));
        }
    }
}

impl Log {
    fn new(now: Instant, updates: Growing) -> Self {
        Self { updates, inquiries: Inquiries::default(), askers: BTreeSet::new(), used: now, wanted: None }
    }

    fn is_quiet(&self) -> bool {
        self.updates.is_quiet() && self.inquiries.is_empty()
    }

    fn respond(&self, m: &mut Moment<'_>, key: SignPublicKey, link: LinkId) {
        if let Some(root) = self.updates.root() {
            m.send(link, &Message::ReflogRequest(ReflogRequest::Response { key, root }));
        }
    }
}
