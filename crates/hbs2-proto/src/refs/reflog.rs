//! Reflogs: grow-only sets of signed updates (spec: wire 2.11).
//!
//! Updates come one by one as gossip, in numbers as the tree behind a peer's answer, or from the owner. Each is checked:
//! good signature, and of *this* reflog. What is new waits for the next commit: while one is being written the next
//! collects, so many updates at once cost few writes. When a commit is durable its updates count: the value changes,
//! owners get their answers, and news that came from a peer's tree is told to the others.
//!
//! [`inquiry`] is what happens to a peer's tree.

mod inquiry;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::cbor::Encode;
use hbs2_core::refkey::RefKind;
use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::{Hash, SignPublicKey};

use super::examine::payload_links;
use super::logtree::LogTree;
use super::seen::Merged;
use crate::brain::Brain;
use crate::io::{REFLOG_UPDATES_MAX, WANTS_RECORD};
use crate::moment::Moment;
use crate::wire::{Message, ReflogRequest};
use crate::{Answer, CommandId, Commit, Event, Keep, LinkId, LogSource, Output, PollKind, Refusal, Ticket};
use inquiry::Inquiry;

/// Updates that wait for a commit, at most, for one reflog.
const WAITING_UPDATES_MAX: usize = 65_536;

/// Wait before a stored reflog that could not be read in full is read again.
const RELOAD: Duration = Duration::from_secs(30);

/// Reflogs in memory that are not polled, at most: posted to, or asked for once.
const UNPOLLED_LOGS_MAX: usize = 64;

/// Whether the stored reflog is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    Reading,
    Ready,
    /// Part of it is absent; its tree is wanted, and it is read again at this time.
    Broken(Instant),
}

/// An update that is not in the reflog yet.
#[derive(Debug)]
struct Waiting {
    hash: Hash,
    /// The block, unless it is in the store already.
    block: Option<Bytes>,
    /// Who asked for it.
    command: Option<CommandId>,
    /// Whether it came from a peer's tree, so that others may not know it.
    inquired: bool,
}

/// What is being written.
#[derive(Debug)]
struct Writing {
    ticket: Ticket,
    root: Hash,
    commands: Vec<CommandId>,
    updates: u64,
    inquired: bool,
}

#[derive(Debug)]
struct Log {
    load: Load,
    tree: LogTree,
    /// The value in the store.
    root: Option<Hash>,
    waiting: Vec<Waiting>,
    waiting_set: BTreeSet<Hash>,
    writing: Option<Writing>,
    inquiries: BTreeMap<Hash, Inquiry>,
    merged: Merged,
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
    fetching: BTreeMap<Hash, BTreeSet<SignPublicKey>>,
    /// Reflogs with updates to write.
    dirty: BTreeSet<SignPublicKey>,
    /// Reflogs that could not be read in full.
    broken: BTreeSet<SignPublicKey>,
    /// Inquiries that go on when there is a place for the trees that their updates name.
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
        let mut idle: Vec<(Instant, SignPublicKey)> = self
            .logs
            .iter()
            .filter(|(key, log)| !polled(key) && log.load != Load::Reading && log.is_quiet())
            .map(|(key, log)| (log.used, *key))
            .collect();
        if idle.len() > UNPOLLED_LOGS_MAX {
            idle.sort_unstable();
            for (_, key) in &idle[..idle.len() - UNPOLLED_LOGS_MAX] {
                self.logs.remove(key);
                self.broken.remove(key);
            }
        }
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
        if log.load == Load::Ready && log.tree.contains(&hash) {
            return log.answer_known(m, command);
        }
        if let (Load::Broken(_), Some(command)) = (log.load, command) {
            return m.out.answer(command, Answer::Refused(Refusal::Unreadable));
        }
        if log.waiting.len() >= WAITING_UPDATES_MAX || log.tree.len() >= REFLOG_UPDATES_MAX {
            m.out.counters.messages_limited += 1;
            if let Some(command) = command {
                m.out.answer(command, Answer::Refused(Refusal::Full { entries: log.tree.len() }));
            }
            return;
        }
        if log.waiting_set.insert(hash) {
            log.waiting.push(Waiting { hash, block: Some(block), command, inquired: false });
            for root in payload_links(update.data()) {
                brain.want(m, root, Keep::UntilDone, None);
            }
        } else if let Some(waiting) = log.waiting.iter_mut().find(|waiting| waiting.hash == hash) {
            match (waiting.command, command) {
                (None, _) => waiting.command = command,
                // A second owner of one update waits in a row of its own; the tree takes the update once.
                (Some(_), Some(_)) => {
                    log.waiting.push(Waiting { hash, block: None, command, inquired: false });
                }
                (Some(_), None) => {}
            }
        }
        self.dirty.insert(key);
    }

    /// A peer asks for the value.
    pub(crate) fn request(&mut self, m: &mut Moment<'_>, key: SignPublicKey, link: LinkId) {
        let log = self.log(m, key);
        match log.load {
            Load::Reading => {
                log.askers.insert(link);
            }
            Load::Ready | Load::Broken(_) => log.respond(m, key, link),
        }
    }

    /// A tree is here in full.
    pub(crate) fn tree_done(&mut self, m: &mut Moment<'_>, root: &Hash) {
        self.inquiry_fetched(m, root);
        let mended =
            self.broken.iter().filter(|key| self.logs.get(key).is_some_and(|log| log.root == Some(*root)));
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
        log.root = root;
        log.tree = LogTree::new(leaves);
        self.broken.remove(&key);
        if complete || root.is_none() {
            log.load = Load::Ready;
            if !log.waiting.is_empty() {
                self.dirty.insert(key);
            }
        } else {
            log.load = Load::Broken(m.now + RELOAD);
            self.broken.insert(key);
            if let Some(root) = root {
                brain.want(m, root, Keep::ThisRun, None);
            }
            for waiting in log.waiting.extract_if(.., |waiting| waiting.command.is_some()) {
                log.waiting_set.remove(&waiting.hash);
                if let Some(command) = waiting.command {
                    m.out.answer(command, Answer::Refused(Refusal::Unreadable));
                }
            }
        }
        for link in std::mem::take(&mut log.askers) {
            log.respond(m, key, link);
        }
    }

    /// Writes what waits, for reflogs that are not being written.
    pub(crate) fn flush(&mut self, m: &mut Moment<'_>, brain: &mut Brain) {
        self.resume_inquiries(m, brain);
        for key in std::mem::take(&mut self.dirty) {
            let Some(log) = self.logs.get_mut(&key) else { continue };
            if log.load != Load::Ready || log.writing.is_some() || log.waiting.is_empty() {
                continue;
            }
            let waiting = std::mem::take(&mut log.waiting);
            log.waiting_set.clear();
            let before = log.tree.len();
            let grown = log.tree.grow(waiting.iter().map(|update| update.hash).collect());
            let mut writing = Writing {
                ticket: m.out.ticket(),
                root: grown.root,
                commands: Vec::new(),
                updates: (log.tree.len() - before) as u64,
                inquired: waiting.iter().any(|update| update.inquired),
            };
            let mut blocks = Vec::with_capacity(waiting.len() + grown.blocks.len());
            for update in waiting {
                writing.commands.extend(update.command);
                blocks.extend(update.block.map(|block| (update.hash, block)));
            }
            blocks.extend(grown.blocks);
            let records = brain.take_record().map(|record| (WANTS_RECORD, record));
            let commit = Commit {
                blocks,
                records: records.into_iter().collect(),
                references: vec![(RefKind::Reflog.key(&key), grown.root)],
            };
            self.tasks.insert(writing.ticket, (key, Task::Write));
            m.out.push(Output::Commit { ticket: writing.ticket, commit });
            log.writing = Some(writing);
        }
    }

    /// A commit is done. Returns reflogs whose new value is to be told to peers.
    pub(crate) fn committed(
        &mut self,
        m: &mut Moment<'_>,
        ticket: Ticket,
        durable: bool,
    ) -> Option<(SignPublicKey, Hash)> {
        let (key, _) = self.tasks.remove(&ticket)?;
        let log = self.logs.get_mut(&key)?;
        let writing = log.writing.take()?;
        let answer =
            if durable { Answer::Posted { value: writing.root } } else { Answer::Refused(Refusal::Store) };
        for command in writing.commands {
            m.out.answer(command, answer);
        }
        if !log.waiting.is_empty() {
            self.dirty.insert(key);
        }
        if !durable {
            // What the store holds now is for the store to say.
            m.out.counters.commits_failed += 1;
            self.load(m, key);
            return None;
        }
        if log.root == Some(writing.root) {
            return None;
        }
        log.root = Some(writing.root);
        m.out.counters.updates_merged += writing.updates;
        m.out.event(Event::RefChanged { key, kind: PollKind::Reflog, value: writing.root });
        writing.inquired.then_some((key, writing.root))
    }

    /// Reads again what could not be read in full.
    pub(crate) fn wake(&mut self, m: &mut Moment<'_>) {
        let due = self.broken.iter().filter(|key| {
            self.logs.get(key).is_some_and(|log| matches!(log.load, Load::Broken(at) if at <= m.now))
        });
        for key in due.copied().collect::<Vec<_>>() {
            self.load(m, key);
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        let times = self.broken.iter().filter_map(|key| match self.logs.get(key)?.load {
            Load::Broken(at) => Some(at),
            _ => None,
        });
        times.min()
    }

    fn log(&mut self, m: &mut Moment<'_>, key: SignPublicKey) -> &mut Log {
        let tasks = &mut self.tasks;
        let log = self.logs.entry(key).or_insert_with(|| {
            read(m, tasks, key);
            Log::new(m.now)
        });
        log.used = m.now;
        log
    }

    /// Reads a reflog from the store again.
    fn load(&mut self, m: &mut Moment<'_>, key: SignPublicKey) {
        let Some(log) = self.logs.get_mut(&key) else { return };
        log.load = Load::Reading;
        self.broken.remove(&key);
        read(m, &mut self.tasks, key);
    }
}

/// Asks the driver for the stored list of a reflog.
fn read(m: &mut Moment<'_>, tasks: &mut BTreeMap<Ticket, (SignPublicKey, Task)>, key: SignPublicKey) {
    let ticket = m.out.ticket();
    tasks.insert(ticket, (key, Task::Load));
    m.out.push(Output::ReadLog { ticket, source: LogSource::Reference(RefKind::Reflog.key(&key)) });
}

impl Log {
    fn new(now: Instant) -> Self {
        Self {
            load: Load::Reading,
            tree: LogTree::default(),
            root: None,
            waiting: Vec::new(),
            waiting_set: BTreeSet::new(),
            writing: None,
            inquiries: BTreeMap::new(),
            merged: Merged::default(),
            askers: BTreeSet::new(),
            used: now,
            wanted: None,
        }
    }

    fn is_quiet(&self) -> bool {
        self.waiting.is_empty() && self.writing.is_none() && self.inquiries.is_empty()
    }

    fn respond(&self, m: &mut Moment<'_>, key: SignPublicKey, link: LinkId) {
        if let Some(root) = self.root {
            m.send(link, &Message::ReflogRequest(ReflogRequest::Response { key, root }));
        }
    }

    /// Answers the owner of an update that is in the tree: at once, or when it is durable.
    fn answer_known(&mut self, m: &mut Moment<'_>, command: Option<CommandId>) {
        let Some(command) = command else { return };
        match (&mut self.writing, self.root) {
            (Some(writing), _) => writing.commands.push(command),
            (None, Some(value)) => m.out.answer(command, Answer::Posted { value }),
            (None, None) => m.out.answer(command, Answer::Refused(Refusal::Store)),
        }
    }
}
