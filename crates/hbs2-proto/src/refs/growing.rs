//! A stored list that only grows: read once, added to, written in groups.
//!
//! Reflogs, refchans and mailboxes keep theirs in one of these. While one write is under way, what comes meanwhile waits for the
//! next. A long list is sorted by hash, so nearly all of its tree is written again for a few new entries: after a write
//! such a list rests, unless the owner waits for an answer. A list of which a part cannot be read is not added to, so
//! that nothing in it is lost: its tree is wanted from peers, and it is read again from time to time.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::Hash;
use hbs2_core::tree::Shape;

use super::logtree::LogTree;
use crate::brain::Brain;
use crate::io::{REFLOG_UPDATES_MAX, WANTS_RECORD};
use crate::moment::Moment;
use crate::{Answer, CommandId, Commit, Keep, LogSource, Output, Refusal, Ticket};

/// Entries that wait for a write, at most.
const WAITING_ENTRIES_MAX: usize = 65_536;

/// Bytes of entries of peers that wait for a write, at most, for one list: eight of the longest packets.
const WAITING_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Wait before a list that could not be read in full is read again.
const RELOAD: Duration = Duration::from_secs(30);

/// Rest after a write, for each leaf of the tree beyond the first: a log of twenty thousand entries, which are 80 leaves,
/// is written three times a second at most.
const REST_PER_LEAF: Duration = Duration::from_millis(4);

/// Longest rest. Whoever waits for an entry to show waits no longer.
const REST_MAX: Duration = Duration::from_secs(1);

/// Whether the stored list is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    Reading,
    Ready,
    /// Part of it is absent; read again at this time.
    Broken(Instant),
}

#[derive(Debug)]
struct Waiting {
    entry: Hash,
    blocks: Vec<(Hash, Bytes)>,
    command: Option<CommandId>,
    /// Whether it came from a peer's tree, so that others may not know it.
    told: bool,
}

#[derive(Debug)]
struct Writing {
    root: Hash,
    commands: Vec<CommandId>,
    entries: u64,
    told: bool,
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    /// It waits for the next write; a command is answered then.
    New,
    /// It is in the list or waits already; a command has been answered or will be.
    Known,
    /// It is not taken; a command has been refused.
    Refused,
}

/// A write that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    /// The new value of the reference.
    pub(crate) root: Hash,
    /// Entries that are new in it.
    pub(crate) entries: u64,
    /// Whether something of it came from a peer's tree.
    pub(crate) told: bool,
}

/// A list under one reference.
#[derive(Debug)]
pub(crate) struct Growing {
    /// Storage key of the reference.
    reference: Hash,
    shape: Shape,
    load: Load,
    tree: LogTree,
    root: Option<Hash>,
    waiting: Vec<Waiting>,
    waiting_set: BTreeSet<Hash>,
    /// Bytes of the blocks that wait.
    waiting_bytes: usize,
    writing: Option<Writing>,
    /// Until then nothing is written that nobody waits for.
    rests_until: Option<Instant>,
}

impl Growing {
    /// The list under `reference`, which has not been read. The caller [reads](Self::read) it next.
    pub(crate) fn new(reference: Hash, shape: Shape) -> Self {
        Self {
            reference,
            shape,
            load: Load::Reading,
            tree: LogTree::new(shape, Vec::new()),
            root: None,
            waiting: Vec::new(),
            waiting_set: BTreeSet::new(),
            waiting_bytes: 0,
            writing: None,
            rests_until: None,
        }
    }

    /// Asks the driver for the stored list.
    pub(crate) fn read(&mut self, m: &mut Moment<'_>) -> Ticket {
        self.load = Load::Reading;
        let ticket = m.out.ticket();
        m.out.push(Output::ReadLog { ticket, source: LogSource::Reference(self.reference) });
        ticket
    }

    /// The driver has read the list.
    pub(crate) fn loaded(
        &mut self,
        m: &mut Moment<'_>,
        brain: &mut Brain,
        root: Option<Hash>,
        leaves: Vec<Hash>,
        complete: bool,
    ) {
        self.root = root;
        self.tree = LogTree::new(self.shape, leaves);
        let Some(root) = root.filter(|_| !complete) else {
            self.load = Load::Ready;
            return;
        };
        self.load = Load::Broken(m.now + RELOAD);
        brain.want(m, root, Keep::ThisRun, None);
        for waiting in self.waiting.extract_if(.., |waiting| waiting.command.is_some()) {
            self.waiting_set.remove(&waiting.entry);
            if let Some(command) = waiting.command {
                m.out.answer(command, Answer::Refused(Refusal::Unreadable));
            }
        }
    }

    /// When there is something to do: the list is to be [read again](Self::must_reload), or [written](Self::flush).
    pub(crate) fn due(&self) -> Option<Instant> {
        match self.load {
            Load::Broken(at) => Some(at),
            Load::Ready if self.writing.is_none() && !self.waiting.is_empty() => self.rests_until,
            Load::Reading | Load::Ready => None,
        }
    }

    /// Whether it is time to read the list again.
    pub(crate) fn must_reload(&self, now: Instant) -> bool {
        matches!(self.load, Load::Broken(at) if at <= now)
    }

    /// Whether reading this tree again may mend the list.
    pub(crate) fn is_mended_by(&self, root: &Hash) -> bool {
        matches!(self.load, Load::Broken(_)) && self.root == Some(*root)
    }

    /// Whether the stored list has been read, in full or as far as it goes.
    pub(crate) fn is_read(&self) -> bool {
        self.load != Load::Reading
    }

    /// The value in the store.
    pub(crate) fn root(&self) -> Option<Hash> {
        self.root
    }

    /// Whether nothing is under way.
    pub(crate) fn is_quiet(&self) -> bool {
        self.is_read() && self.waiting.is_empty() && self.writing.is_none()
    }

    pub(crate) fn contains(&self, entry: &Hash) -> bool {
        self.tree.contains(entry) || self.waiting_set.contains(entry)
    }

    /// Whether so much waits for a write that more should come later.
    pub(crate) fn is_crowded(&self) -> bool {
        self.waiting.len() > WAITING_ENTRIES_MAX / 2
    }

    /// Whether a write would come too soon after the last one.
    fn rests(&self, now: Instant) -> bool {
        let urgent = self.is_crowded()
            || self.waiting_bytes > WAITING_BYTES_MAX / 2
            || self.waiting.iter().any(|waiting| waiting.command.is_some());
        !urgent && self.rests_until.is_some_and(|until| now < until)
    }

    /// Entries that may still be added.
    pub(crate) fn room(&self) -> usize {
        REFLOG_UPDATES_MAX
            .saturating_sub(self.tree.len() + self.waiting.len())
            .min(WAITING_ENTRIES_MAX.saturating_sub(self.waiting.len()))
    }

    /// Adds an entry, with the blocks that are not in the store yet.
    pub(crate) fn add(
        &mut self,
        m: &mut Moment<'_>,
        entry: Hash,
        blocks: Vec<(Hash, Bytes)>,
        command: Option<CommandId>,
        told: bool,
    ) -> Added {
        if self.load == Load::Ready && self.tree.contains(&entry) {
            self.answer_known(m, command);
            return Added::Known;
        }
        let refusal = match self.load {
            Load::Broken(_) if command.is_some() => Some(Refusal::Unreadable),
            _ if self.room() == 0 => Some(Refusal::Full { entries: self.tree.len() }),
            _ if command.is_none() && self.waiting_bytes > WAITING_BYTES_MAX => {
                Some(Refusal::Full { entries: self.waiting.len() })
            }
            _ => None,
        };
        if let Some(refusal) = refusal {
            m.out.counters.messages_limited += 1;
            if let Some(command) = command {
                m.out.answer(command, Answer::Refused(refusal));
            }
            return Added::Refused;
        }
        let new = self.waiting_set.insert(entry);
        if new || command.is_some() {
            let blocks = if new { blocks } else { Vec::new() };
            self.waiting_bytes += blocks.iter().map(|(_, block)| block.len()).sum::<usize>();
            self.waiting.push(Waiting { entry, blocks, command, told });
        }
        if new { Added::New } else { Added::Known }
    }

    /// Answers the owner of an entry that is in the list: at once, or when it is durable.
    fn answer_known(&mut self, m: &mut Moment<'_>, command: Option<CommandId>) {
        let Some(command) = command else { return };
        match (&mut self.writing, self.root) {
            (Some(writing), _) => writing.commands.push(command),
            (None, Some(value)) => m.out.answer(command, Answer::Posted { value }),
            (None, None) => m.out.answer(command, Answer::Refused(Refusal::Store)),
        }
    }

    /// Writes what waits, unless a write is under way or the list rests; then the caller comes again when it is
    /// [due](Self::due).
    pub(crate) fn flush(&mut self, m: &mut Moment<'_>, brain: &mut Brain) -> Option<Ticket> {
        let idle = self.load != Load::Ready || self.writing.is_some() || self.waiting.is_empty();
        (!idle && !self.rests(m.now)).then(|| self.write(m, brain))
    }

    /// Writes what waits, whatever is under way: the process ends, and the commits before this one come first.
    pub(crate) fn stop(&mut self, m: &mut Moment<'_>, brain: &mut Brain) {
        if self.load == Load::Ready && !self.waiting.is_empty() {
            self.write(m, brain);
        }
    }

    fn write(&mut self, m: &mut Moment<'_>, brain: &mut Brain) -> Ticket {
        self.waiting_set.clear();
        self.waiting_bytes = 0;
        let waiting = std::mem::take(&mut self.waiting);
        let before = self.tree.len();
        let grown = self.tree.grow(waiting.iter().map(|waiting| waiting.entry).collect());
        let mut writing = Writing {
            root: grown.root,
            commands: Vec::new(),
            entries: (self.tree.len() - before) as u64,
            told: waiting.iter().any(|one| one.told),
        };
        let mut blocks = Vec::with_capacity(waiting.len() + grown.blocks.len());
        for waiting in waiting {
            writing.commands.extend(waiting.command);
            blocks.extend(waiting.blocks);
        }
        blocks.extend(grown.blocks);
        let ticket = m.out.ticket();
        let commit = Commit {
            blocks,
            records: brain.take_record().map(|record| (WANTS_RECORD, record)).into_iter().collect(),
            references: vec![(self.reference, grown.root)],
        };
        m.out.push(Output::Commit { ticket, commit });
        self.writing = Some(writing);
        ticket
    }

    /// A write is done; none when it changed nothing. After a failure the caller reads the list again: what the store
    /// holds now is for the store to say.
    pub(crate) fn written(&mut self, m: &mut Moment<'_>, durable: bool) -> Option<Written> {
        let writing = self.writing.take()?;
        let rest = REST_PER_LEAF.saturating_mul(self.tree.leaves().saturating_sub(1) as u32).min(REST_MAX);
        self.rests_until = Some(m.now + rest);
        let value = writing.root;
        let answer = if durable { Answer::Posted { value } } else { Answer::Refused(Refusal::Store) };
        for command in writing.commands {
            m.out.answer(command, answer);
        }
        if !durable {
            m.out.counters.commits_failed += 1;
            return None;
        }
        let changed = self.root != Some(value);
        self.root = Some(value);
        changed.then_some(Written { root: value, entries: writing.entries, told: writing.told })
    }
}
