//! Mailboxes (spec: wire 2.15).
//!
//! A message or deletion with a good signature that has not passed by is passed on, whoever it is for. What is for a
//! mailbox of ours is kept if its policy allows the peer that brought it and the sender. Peers that keep the same
//! mailbox tell each other their trees; [`merge`] takes over what we lack. A relay keeps messages as a hub does, so that
//! a hub that was away finds them.

mod letters;
mod merge;
mod policy;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use hbs2_core::mailbox::{MailboxKind, MailboxStatus, PolicySetting};
use hbs2_core::refkey::RefKind;
use hbs2_core::tree::Shape;
use hbs2_core::{Hash, SignPublicKey, Signed};

use super::fetches::Fetches;
use super::growing::Growing;
use super::inquiry::Inquiries;
use super::scene::Scene;
use crate::brain::Brain;
use crate::io::{MAILBOXES_RECORD, MailboxInfo};
use crate::moment::Moment;
use crate::timers::Timers;
use crate::wire::{MailboxMessage, Message};
use crate::{Answer, CommandId, Commit, Event, Found, LinkId, Output, Refusal, Ticket};
use letters::Held;
use merge::Portion;
use policy::{Rules, check_setting};

/// Mailboxes that a node keeps, at most. Each is asked for of all peers every ten minutes.
pub(crate) const MAILBOXES_MAX: usize = 1024;

/// Time between questions for our mailboxes. The original's.
const CHECK: Duration = Duration::from_secs(600);

/// How far the time in a status may be from ours, in seconds. The original takes three and nothing from the future; a
/// status that is repeated later does no harm, so clocks may differ more with us.
const STATUS_SECONDS_MAX: u64 = 60;

/// What is taken from the time in our statuses, in seconds: the original refuses what is from the future, if only by a
/// moment.
const STATUS_SECONDS_BACK: u64 = 1;

/// How long a tree of a peer or a policy is fetched before it is given up.
const FETCH: Duration = Duration::from_secs(1200);

#[derive(Debug)]
struct Mailbox {
    kind: MailboxKind,
    /// The owner's choice of a policy, whose signature is good.
    setting: Option<(Signed<PolicySetting>, PolicySetting)>,
    /// A newer choice whose policy is on its way.
    offered: Option<(Signed<PolicySetting>, PolicySetting)>,
    rules: Rules,
    log: Growing,
    held: VecDeque<Held>,
    inquiries: Inquiries<Portion>,
    /// Peers that asked while it was being read.
    askers: BTreeSet<LinkId>,
}

/// What a tree or block is fetched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fetch {
    /// The policy in use.
    Policy,
    /// The policy of a newer choice.
    Offer,
    /// A peer's list of entries.
    Entries,
    /// A message or deletion that a peer's list (of this root) names.
    Block(Hash),
}

#[derive(Debug, Clone, Copy)]
enum Task {
    Load,
    Write,
    ReadPolicy(Hash),
    ReadTree(Hash),
    ExamineEntries(Hash),
    ExamineBlocks(Hash),
}

/// All mailboxes of the node.
#[derive(Debug, Default)]
pub(crate) struct Mailboxes {
    boxes: BTreeMap<SignPublicKey, Mailbox>,
    tasks: BTreeMap<Ticket, (SignPublicKey, Task)>,
    /// Trees and blocks on their way.
    fetches: Fetches<(SignPublicKey, Fetch)>,
    /// Mailboxes with something to write.
    dirty: BTreeSet<SignPublicKey>,
    /// Commands that wait for the list of mailboxes to be saved.
    saves: BTreeMap<Ticket, (CommandId, Answer)>,
    /// When a list is to be written or read again.
    timers: Timers<SignPublicKey>,
    check: Option<Instant>,
    held_bytes: usize,
    /// The record of the last run, until the start.
    restored: Vec<(SignPublicKey, MailboxKind, Option<Signed<PolicySetting>>)>,
}

impl Mailboxes {
    /// Fills the list from its record, before the start.
    pub(crate) fn restore(&mut self, m: &mut Moment<'_>, record: &[u8]) {
        match from_record(record) {
            Ok(rows) => self.restored = rows,
            Err(_) => m.out.counters.records_unreadable += 1,
        }
    }

    pub(crate) fn start(&mut self, w: &mut Scene<'_, '_>) {
        for (key, kind, signed) in std::mem::take(&mut self.restored) {
            self.insert(w.m, key, kind);
            if let Some(setting) = signed.and_then(|signed| check_setting(&key, signed)) {
                self.set_policy(w, key, setting);
            }
        }
        self.check = Some(w.m.now + CHECK);
    }

    /// The mailboxes that are kept here.
    pub(crate) fn list(&self) -> Vec<MailboxInfo> {
        let info = |(key, mailbox): (&SignPublicKey, &Mailbox)| MailboxInfo {
            key: *key,
            kind: mailbox.kind,
            tree: mailbox.log.root(),
            policy: mailbox.setting.as_ref().map(|(signed, _)| signed.clone()),
            policy_ready: mailbox.rules.known().is_some(),
        };
        self.boxes.iter().map(info).collect()
    }

    /// Asks a peer that has just become trusted for every mailbox.
    pub(crate) fn greet(&mut self, m: &mut Moment<'_>, link: LinkId) {
        for key in self.boxes.keys() {
            ask(m, link, *key);
        }
    }

    /// The owner wants a mailbox, or another kind of it.
    pub(crate) fn create(
        &mut self,
        w: &mut Scene<'_, '_>,
        command: CommandId,
        key: SignPublicKey,
        kind: MailboxKind,
    ) {
        if self.boxes.len() >= MAILBOXES_MAX && !self.boxes.contains_key(&key) {
            let full = Refusal::Full { entries: MAILBOXES_MAX };
            return w.m.out.answer(command, Answer::Refused(full));
        }
        match self.boxes.get_mut(&key) {
            Some(mailbox) if mailbox.kind == kind => return w.m.out.answer(command, Answer::Done),
            Some(mailbox) => mailbox.kind = kind,
            None => self.insert(w.m, key, kind),
        }
        self.save(w.m, Some((command, Answer::Done)));
        self.ask_all(w, key);
    }

    /// The owner wants a mailbox no more.
    pub(crate) fn delete(&mut self, m: &mut Moment<'_>, command: CommandId, key: &SignPublicKey) {
        let Some(mailbox) = self.boxes.remove(key) else {
            return m.out.answer(command, Answer::Refused(Refusal::Unknown));
        };
        self.held_bytes -= mailbox.held.iter().map(|held| held.letter.block.len()).sum::<usize>();
        for held in mailbox.held {
            if let Some(command) = held.command {
                m.out.answer(command, Answer::Refused(Refusal::Unknown));
            }
        }
        self.timers.clear(key);
        self.save(m, Some((command, Answer::Done)));
    }

    /// Asks all peers for a mailbox now.
    pub(crate) fn fetch(&mut self, w: &mut Scene<'_, '_>, command: CommandId, key: SignPublicKey) {
        if !self.boxes.contains_key(&key) {
            return w.m.out.answer(command, Answer::Refused(Refusal::Unknown));
        }
        self.ask_all(w, key);
        w.m.out.answer(command, Answer::Done);
    }

    /// A question or answer about mailboxes has come.
    pub(crate) fn checked(&mut self, m: &mut Moment<'_>, link: LinkId, key: SignPublicKey) {
        let Some(mailbox) = self.boxes.get_mut(&key) else { return };
        if mailbox.log.is_read() {
            mailbox.respond(m, key, link);
        } else {
            mailbox.askers.insert(link);
        }
    }

    /// A wanted tree or block is here.
    pub(crate) fn tree_done(&mut self, w: &mut Scene<'_, '_>, root: &Hash) {
        for (key, fetch) in self.fetches.end(root) {
            match fetch {
                Fetch::Policy | Fetch::Offer => self.read_policy(w.m, key, *root),
                Fetch::Entries => self.read_tree(w.m, key, *root),
                Fetch::Block(tree) => self.block_fetched(w, key, tree, *root, true),
            }
        }
        let mended = self.boxes.iter().filter(|(_, mailbox)| mailbox.log.is_mended_by(root));
        for key in mended.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.load(w.m, key);
        }
    }

    /// A wanted tree or block is not to be had.
    pub(crate) fn tree_lost(&mut self, w: &mut Scene<'_, '_>, root: &Hash) {
        for (key, fetch) in self.fetches.end(root) {
            let Some(mailbox) = self.boxes.get_mut(&key) else { continue };
            match fetch {
                Fetch::Policy => self.policy_known(w, key, *root, None),
                Fetch::Offer => mailbox.offered = None,
                Fetch::Entries => mailbox.inquiries.give_up(root),
                Fetch::Block(tree) => self.block_fetched(w, key, tree, *root, false),
            }
        }
    }

    /// The driver has read a list. Whether it was asked for here.
    pub(crate) fn log_read(
        &mut self,
        w: &mut Scene<'_, '_>,
        ticket: Ticket,
        root: Option<Hash>,
        leaves: &mut Vec<Hash>,
        complete: bool,
    ) -> bool {
        let Some((key, task)) = self.tasks.remove(&ticket) else { return false };
        let leaves = std::mem::take(leaves);
        match task {
            Task::Load => {
                let Some(mailbox) = self.boxes.get_mut(&key) else { return true };
                mailbox.log.loaded(w.m, w.brain, root, leaves, complete);
                for link in std::mem::take(&mut mailbox.askers) {
                    mailbox.respond(w.m, key, link);
                }
                self.dirty.insert(key);
            }
            Task::ReadTree(root) => self.inquired(w, key, root, leaves, complete),
            _ => {}
        }
        true
    }

    /// The driver has examined blocks. Whether it was asked for here.
    pub(crate) fn found(
        &mut self,
        w: &mut Scene<'_, '_>,
        ticket: Ticket,
        blocks: &mut Vec<(Hash, Found)>,
    ) -> bool {
        let Some((key, task)) = self.tasks.remove(&ticket) else { return false };
        let blocks = std::mem::take(blocks);
        match task {
            Task::ExamineEntries(root) => self.entries_found(w, key, root, blocks),
            Task::ExamineBlocks(root) => self.blocks_found(w, key, root, blocks),
            _ => {}
        }
        true
    }

    /// Writes what waits. To be called after each input.
    pub(crate) fn flush(&mut self, w: &mut Scene<'_, '_>) {
        for key in std::mem::take(&mut self.dirty) {
            let Some(mailbox) = self.boxes.get_mut(&key) else { continue };
            if let Some(ticket) = mailbox.log.flush(w.m, w.brain) {
                self.tasks.insert(ticket, (key, Task::Write));
            } else if let Some(at) = mailbox.log.due() {
                self.timers.set(key, at);
            }
        }
    }

    /// Writes what waits: the process ends.
    pub(crate) fn stop(&mut self, m: &mut Moment<'_>, brain: &mut Brain) {
        self.boxes.values_mut().for_each(|mailbox| mailbox.log.stop(m, brain));
    }

    /// A commit is done. Whether it was ours.
    pub(crate) fn committed(&mut self, w: &mut Scene<'_, '_>, ticket: Ticket, durable: bool) -> bool {
        if let Some((command, answer)) = self.saves.remove(&ticket) {
            let answer = if durable { answer } else { Answer::Refused(Refusal::Store) };
            w.m.out.answer(command, answer);
            return true;
        }
        let Some((key, _)) = self.tasks.remove(&ticket) else { return false };
        self.dirty.insert(key);
        let Some(mailbox) = self.boxes.get_mut(&key) else { return true };
        if let Some(written) = mailbox.log.written(w.m, durable) {
            w.m.event(Event::MailboxChanged { mailbox: key, root: written.root });
        } else if !durable {
            self.load(w.m, key);
        }
        true
    }

    /// Does what is due.
    pub(crate) fn wake(&mut self, w: &mut Scene<'_, '_>) {
        while let Some(key) = self.timers.pop_due(w.m.now) {
            if self.boxes.get(&key).is_some_and(|mailbox| mailbox.log.must_reload(w.m.now)) {
                self.load(w.m, key);
            }
            self.dirty.insert(key);
        }
        if self.check.is_some_and(|at| at <= w.m.now) {
            self.check = Some(w.m.now + CHECK);
            for key in self.boxes.keys().copied().collect::<Vec<_>>() {
                self.ask_all(w, key);
            }
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        let check = self.check.filter(|_| !self.boxes.is_empty());
        self.timers.next().into_iter().chain(check).min()
    }

    fn insert(&mut self, m: &mut Moment<'_>, key: SignPublicKey, kind: MailboxKind) {
        let mut log = Growing::new(RefKind::Mailbox.key(&key), Shape::MAILBOX);
        let ticket = log.read(m);
        self.tasks.insert(ticket, (key, Task::Load));
        self.boxes.insert(key, Mailbox::new(kind, log));
    }

    fn load(&mut self, m: &mut Moment<'_>, key: SignPublicKey) {
        let Some(mailbox) = self.boxes.get_mut(&key) else { return };
        let ticket = mailbox.log.read(m);
        self.tasks.insert(ticket, (key, Task::Load));
    }

    fn ask_all(&self, w: &mut Scene<'_, '_>, key: SignPublicKey) {
        let links: Vec<LinkId> = w.sessions.active().map(|(link, _)| link).collect();
        links.into_iter().for_each(|link| ask(w.m, link, key));
    }

    /// Saves the list of mailboxes.
    fn save(&mut self, m: &mut Moment<'_>, then: Option<(CommandId, Answer)>) {
        let ticket = m.out.ticket();
        if let Some(then) = then {
            self.saves.insert(ticket, then);
        }
        let commit = Commit { records: vec![(MAILBOXES_RECORD, self.to_record())], ..Commit::default() };
        m.out.push(Output::Commit { ticket, commit });
    }

    /// The list as a record: `[0, [[key, kind, Maybe signed box]…]]`.
    fn to_record(&self) -> Bytes {
        let mut e = Encoder::new();
        e.variant(0, 1);
        e.list(&self.boxes, |e, (key, mailbox)| {
            e.array(3);
            key.encode(e);
            mailbox.kind.encode(e);
            e.maybe(mailbox.setting.as_ref(), |e, (signed, _)| signed.encode(e));
        });
        e.into_bytes().into()
    }
}

type Row = (SignPublicKey, MailboxKind, Option<Signed<PolicySetting>>);

fn from_record(record: &[u8]) -> Result<Vec<Row>, DecodeError> {
    let d = &mut Decoder::new(record);
    d.record(1)?;
    d.list(MAILBOXES_MAX, |d| {
        d.tuple(3)?;
        Ok((SignPublicKey::decode(d)?, MailboxKind::decode(d)?, d.maybe(Signed::decode)?))
    })
}

fn ask(m: &mut Moment<'_>, link: LinkId, mailbox: SignPublicKey) {
    let seconds = m.unix_seconds();
    m.send(link, &Message::Mailbox(MailboxMessage::Check { seconds, mailbox }));
}

fn refuse(m: &mut Moment<'_>, command: Option<CommandId>, refusal: Refusal) {
    if let Some(command) = command {
        m.out.answer(command, Answer::Refused(refusal));
    }
}

impl Mailbox {
    fn new(kind: MailboxKind, log: Growing) -> Self {
        Self {
            kind,
            setting: None,
            offered: None,
            rules: Rules::Nobody,
            log,
            held: VecDeque::new(),
            inquiries: Inquiries::default(),
            askers: BTreeSet::new(),
        }
    }

    fn version(&self) -> Option<u32> {
        self.setting.as_ref().map(|(_, setting)| setting.version)
    }

    /// Tells a peer how the mailbox is.
    fn respond(&self, m: &mut Moment<'_>, key: SignPublicKey, link: LinkId) {
        let Some(now) = m.unix_seconds() else { return };
        let status = MailboxStatus {
            seconds: now.saturating_sub(STATUS_SECONDS_BACK),
            mailbox: key,
            kind: self.kind,
            tree: self.log.root(),
            policy: self.setting.as_ref().map(|(signed, _)| signed.clone()),
        };
        let signed = Signed::sign(&m.config.key, &status);
        m.send(link, &Message::Mailbox(MailboxMessage::Status(signed)));
    }
}
