//! Refchans (spec: wire 2.13).
//!
//! A channel has a head, its rules, and a log, what was admitted under them. [`head`] is about which head counts,
//! [`rounds`] about a proposal from its arrival until a quorum has accepted it, [`merge`] about taking over what is in
//! the log of a peer, [`news`] about asking for it, [`notices`] about what is said and not kept. Here are the channels themselves and what the driver
//! answers.

mod head;
mod merge;
mod news;
mod notices;
mod rounds;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::refkey::RefKind;
use hbs2_core::tree::Shape;
use hbs2_core::{Blob, ChanHead, Hash, SignPublicKey, Signed};

use super::fetches::Fetches;
use super::growing::Growing;
use super::inquiry::Inquiries;
use super::scene::Scene;
use crate::brain::Brain;
use crate::io::ChanHeadStatus;
use crate::moment::Moment;
use crate::timers::Timers;
use crate::wire::{ChanRequest, Message};
use crate::{CommandId, Commit, Event, Found, LinkId, Output, PollKind, Ticket};
use head::Current;
use merge::Gathered;
use news::Question;
use notices::NoticeLog;
use rounds::{Early, Parked, Round};

/// How long a peer's head or log is fetched before it is given up. The original's.
const FETCH: Duration = Duration::from_secs(600);

/// Channels in memory that are not polled, at most.
const UNPOLLED_CHANS_MAX: usize = 64;

/// Bytes of updates that wait for a head or a validator, over all channels, at most: sixteen of the largest packets.
const HELD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Whether the head of a channel is known.
#[derive(Debug)]
enum HeadState {
    Reading,
    None,
    Known(Arc<Current>),
}

#[derive(Debug)]
struct Chan {
    head: HeadState,
    /// The rules of all heads that have been looked at, by root.
    rules: BTreeMap<Hash, Arc<ChanHead>>,
    /// Heads of peers on their way.
    offers: BTreeMap<Hash, LinkId>,
    /// Trees that turned out to be no newer head.
    refused: VecDeque<Hash>,
    /// Heads of the owner that wait until the stored one is known.
    posts: Vec<(Arc<Current>, CommandId)>,
    /// Proposals and notices of the owner that wait for the same.
    asks: Vec<(Ask, CommandId)>,
    log: Growing,
    rounds: BTreeMap<Hash, Round>,
    /// Acceptances whose proposal has not come.
    early: VecDeque<Early>,
    /// Updates under a head that we do not have.
    parked: VecDeque<Parked>,
    inquiries: Inquiries<Gathered>,
    /// Peers that asked while it was being read.
    head_askers: BTreeSet<LinkId>,
    log_askers: BTreeSet<LinkId>,
    notices: Option<NoticeLog>,
    /// Of the owner, for news.
    questions: Vec<Question>,
    /// Last use, for forgetting.
    used: Instant,
    /// Answers of peers are taken until then although it is not polled.
    wanted: Option<Instant>,
}

/// What the owner brings to a channel.
#[derive(Debug)]
enum Ask {
    Propose(Signed<Blob>),
    Notify(Signed<Blob>),
}

/// What a tree is fetched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fetch {
    /// A head that a peer offers.
    Offer,
    /// A head that updates in a peer's log name.
    Rules,
    /// A peer's log.
    Log,
}

#[derive(Debug, Clone, Copy)]
enum Task {
    ReadHead,
    ReadOffer(Hash),
    ReadRules(Hash),
    WriteHead(Option<CommandId>),
    LoadLog,
    WriteLog,
    ReadTree(Hash),
    Examine(Hash),
    StoreProposal(Hash),
    Validate(Hash),
    LoadNotices,
    WriteNotices,
    StoreNotice,
}

/// All refchans that are polled or in use.
#[derive(Debug, Default)]
pub(crate) struct Refchans {
    chans: BTreeMap<SignPublicKey, Chan>,
    tasks: BTreeMap<Ticket, (SignPublicKey, Task)>,
    /// Heads of the owner that are being read.
    posting: BTreeMap<Ticket, CommandId>,
    /// Trees of peers on their way.
    fetches: Fetches<(SignPublicKey, Fetch)>,
    /// Channels whose log has something to write.
    dirty: BTreeSet<SignPublicKey>,
    /// Channels about which the owner waits for news.
    asked: BTreeSet<SignPublicKey>,
    /// When something of a channel is due.
    timers: Timers<SignPublicKey>,
    /// Bytes of updates that wait.
    held_bytes: usize,
}

impl Refchans {
    /// Begins to follow a channel, or notes that it is used.
    pub(crate) fn open(&mut self, m: &mut Moment<'_>, key: SignPublicKey) {
        self.chan(m, key);
    }

    /// Answers of peers about this channel are welcome for a while.
    pub(crate) fn welcome(&mut self, m: &mut Moment<'_>, key: SignPublicKey, until: Instant) {
        self.chan(m, key).wanted = Some(until);
    }

    pub(crate) fn is_welcome(&self, now: Instant, key: &SignPublicKey) -> bool {
        self.chans.get(key).and_then(|chan| chan.wanted).is_some_and(|until| now < until)
    }

    /// Forgets channels that are neither polled nor busy, if there are many.
    pub(crate) fn forget_idle(&mut self, polled: impl Fn(&SignPublicKey) -> bool) {
        let idle = self.chans.iter().filter(|(key, chan)| !polled(key) && chan.is_quiet());
        let mut idle: Vec<(Instant, SignPublicKey)> = idle.map(|(key, chan)| (chan.used, *key)).collect();
        if idle.len() > UNPOLLED_CHANS_MAX {
            idle.sort_unstable();
            for (_, key) in &idle[..idle.len() - UNPOLLED_CHANS_MAX] {
                self.chans.remove(key);
                self.timers.clear(key);
            }
        }
    }

    /// Whether an update is in the log of a channel, or waits for acceptances.
    pub(crate) fn contains(&self, key: &SignPublicKey, update: &Hash) -> bool {
        self.chans.get(key).is_some_and(|chan| chan.log.contains(update) || chan.rounds.contains_key(update))
    }

    /// The head of a channel, as far as it is known.
    pub(crate) fn head(&self, key: &SignPublicKey) -> Option<ChanHeadStatus> {
        let current = self.chans.get(key)?.current()?;
        Some(ChanHeadStatus { root: current.root, version: current.rules.version })
    }

    /// A peer asks for the log.
    pub(crate) fn request(&mut self, m: &mut Moment<'_>, key: SignPublicKey, link: LinkId) {
        let chan = self.chan(m, key);
        if chan.log.is_read() {
            chan.respond(m, key, link);
        } else {
            chan.log_askers.insert(link);
        }
    }

    /// A wanted tree is here.
    pub(crate) fn tree_done(&mut self, m: &mut Moment<'_>, root: &Hash) {
        for (key, fetch) in self.fetches.end(root) {
            match fetch {
                Fetch::Offer => self.read_content(m, key, *root, Task::ReadOffer(*root)),
                Fetch::Rules => self.read_content(m, key, *root, Task::ReadRules(*root)),
                Fetch::Log => self.read_tree(m, key, *root),
            }
        }
        let mended = self.chans.iter().filter(|(_, chan)| chan.log.is_mended_by(root));
        for key in mended.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.load_log(m, key);
        }
    }

    /// A wanted tree is not to be had: the next answer may try again.
    pub(crate) fn tree_lost(&mut self, w: &mut Scene<'_, '_>, root: &Hash) {
        for (key, fetch) in self.fetches.end(root) {
            let Some(chan) = self.chans.get_mut(&key) else { continue };
            match fetch {
                Fetch::Offer => drop(chan.offers.remove(root)),
                Fetch::Log => chan.inquiries.give_up(root),
                Fetch::Rules => self.rules_known(w, key, *root, None),
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
            Task::LoadLog => self.log_loaded(w, key, root, leaves, complete),
            Task::ReadTree(root) => self.inquired(w, key, root, leaves, complete),
            Task::LoadNotices => self.notices_loaded(w.m, key, leaves),
            _ => {}
        }
        true
    }

    fn log_loaded(
        &mut self,
        w: &mut Scene<'_, '_>,
        key: SignPublicKey,
        root: Option<Hash>,
        leaves: Vec<Hash>,
        complete: bool,
    ) {
        let Some(chan) = self.chans.get_mut(&key) else { return };
        chan.log.loaded(w.m, w.brain, root, leaves, complete);
        for link in std::mem::take(&mut chan.log_askers) {
            chan.respond(w.m, key, link);
        }
        self.dirty.insert(key);
    }

    /// The driver has read the content of a tree. Whether it was asked for here.
    pub(crate) fn content_read(
        &mut self,
        w: &mut Scene<'_, '_>,
        ticket: Ticket,
        read: Option<(Hash, u64, Bytes)>,
    ) -> bool {
        if let Some(command) = self.posting.remove(&ticket) {
            self.post_read(w, command, read);
            return true;
        }
        let Some((key, task)) = self.tasks.remove(&ticket) else { return false };
        let read = read.and_then(|(root, bytes, content)| Current::check(&key, root, bytes, &content));
        match task {
            Task::ReadHead => self.head_loaded(w, key, read),
            Task::ReadOffer(root) => self.offer_read(w, key, root, read),
            Task::ReadRules(root) => {
                self.rules_known(w, key, root, read.map(|current| Arc::clone(&current.rules)));
            }
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
        if let Task::Examine(root) = task {
            self.examined(w, key, root, std::mem::take(blocks));
        }
        true
    }

    /// The driver has a verdict about a proposal.
    pub(crate) fn validated(&mut self, w: &mut Scene<'_, '_>, ticket: Ticket, accepted: bool) {
        if let Some((key, Task::Validate(id))) = self.tasks.remove(&ticket) {
            self.judged(w, key, id, accepted);
        }
    }

    /// Writes what waits. To be called after each input.
    pub(crate) fn flush(&mut self, w: &mut Scene<'_, '_>) {
        for key in std::mem::take(&mut self.dirty) {
            let Some(chan) = self.chans.get_mut(&key) else { continue };
            if let Some(ticket) = chan.log.flush(w.m, w.brain) {
                self.tasks.insert(ticket, (key, Task::WriteLog));
            }
            self.plan(key);
        }
        self.answer_questions(w.m);
    }

    /// Writes what waits: the process ends.
    pub(crate) fn stop(&mut self, m: &mut Moment<'_>, brain: &mut Brain) {
        self.chans.values_mut().for_each(|chan| chan.log.stop(m, brain));
    }

    /// A commit is done. Whether it was ours.
    pub(crate) fn committed(&mut self, w: &mut Scene<'_, '_>, ticket: Ticket, durable: bool) -> bool {
        let Some((key, task)) = self.tasks.remove(&ticket) else { return false };
        match task {
            Task::WriteLog => self.log_written(w, key, durable),
            Task::WriteHead(command) => self.head_written(w.m, key, command, durable),
            Task::StoreProposal(id) => self.proposal_stored(w, key, id, durable),
            Task::WriteNotices => self.notices_written(w.m, key, durable),
            _ => {}
        }
        true
    }

    fn log_written(&mut self, w: &mut Scene<'_, '_>, key: SignPublicKey, durable: bool) {
        self.dirty.insert(key);
        let Some(chan) = self.chans.get_mut(&key) else { return };
        let written = chan.log.written(w.m, durable);
        if !durable {
            return self.load_log(w.m, key);
        }
        let Some(written) = written else { return };
        let ours = w.m.config.key.public();
        let is_peer = chan.current().is_some_and(|current| current.rules.has_peer(&ours));
        w.m.event(Event::RefChanged { key, kind: PollKind::Refchan, value: written.root });
        if written.told && is_peer {
            // What came from one peer's log is news to the others; they ask for what they miss.
            let root = written.root;
            w.pass_on(None, &Message::ChanRequest(ChanRequest::Response { chan: key, root }));
        }
    }

    /// Does what is due, but for writes: they follow when this input is [flushed](Self::flush), and then the timers are set
    /// again.
    pub(crate) fn wake(&mut self, w: &mut Scene<'_, '_>) {
        let due: Vec<SignPublicKey> = std::iter::from_fn(|| self.timers.pop_due(w.m.now)).collect();
        for key in due {
            let Some(chan) = self.chans.get_mut(&key) else { continue };
            if chan.log.must_reload(w.m.now) {
                self.load_log(w.m, key);
            }
            self.dirty.insert(key);
            self.expire(w, key);
            self.write_notices(w.m, key);
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Sets the timer of a channel for what is due first.
    fn plan(&mut self, key: SignPublicKey) {
        let Some(chan) = self.chans.get(&key) else { return };
        let times = chan.rounds.values().map(|round| round.until);
        let times = times.chain(chan.early.front().map(|early| early.until));
        let times = times.chain(chan.parked.front().map(|parked| parked.until));
        let times = times.chain(chan.log.due());
        let times = times.chain(chan.questions.iter().map(|question| question.until));
        let times = times.chain(chan.notices.as_ref().and_then(|notices| notices.due));
        match times.min() {
            Some(at) => self.timers.set(key, at),
            None => self.timers.clear(&key),
        }
    }

    fn chan(&mut self, m: &mut Moment<'_>, key: SignPublicKey) -> &mut Chan {
        if !self.chans.contains_key(&key) {
            let mut log = Growing::new(RefKind::ChanLog.key(&key), Shape::LOG);
            let ticket = log.read(m);
            self.tasks.insert(ticket, (key, Task::LoadLog));
            self.read_head(m, key);
            let notices = self.open_notices(m, key);
            self.chans.insert(key, Chan::new(m.now, log, notices));
        }
        let chan = self.chans.get_mut(&key).expect("inserted when absent");
        chan.used = m.now;
        chan
    }

    fn load_log(&mut self, m: &mut Moment<'_>, key: SignPublicKey) {
        let Some(chan) = self.chans.get_mut(&key) else { return };
        let ticket = chan.log.read(m);
        self.tasks.insert(ticket, (key, Task::LoadLog));
    }

    /// Commits something of a channel.
    fn commit(&mut self, m: &mut Moment<'_>, key: SignPublicKey, task: Task, commit: Commit) {
        let ticket = m.out.ticket();
        self.tasks.insert(ticket, (key, task));
        m.out.push(Output::Commit { ticket, commit });
    }
}

impl Chan {
    fn new(now: Instant, log: Growing, notices: Option<NoticeLog>) -> Self {
        Self {
            head: HeadState::Reading,
            rules: BTreeMap::new(),
            offers: BTreeMap::new(),
            refused: VecDeque::new(),
            posts: Vec::new(),
            asks: Vec::new(),
            log,
            rounds: BTreeMap::new(),
            early: VecDeque::new(),
            parked: VecDeque::new(),
            inquiries: Inquiries::default(),
            head_askers: BTreeSet::new(),
            log_askers: BTreeSet::new(),
            notices,
            questions: Vec::new(),
            used: now,
            wanted: None,
        }
    }

    fn current(&self) -> Option<&Arc<Current>> {
        match &self.head {
            HeadState::Known(current) => Some(current),
            HeadState::Reading | HeadState::None => None,
        }
    }

    fn is_quiet(&self) -> bool {
        !matches!(self.head, HeadState::Reading)
            && self.log.is_quiet()
            && self.rounds.is_empty()
            && self.inquiries.is_empty()
            && self.offers.is_empty()
            && self.parked.is_empty()
            && self.notices.is_none()
            && self.questions.is_empty()
    }

    fn respond(&self, m: &mut Moment<'_>, key: SignPublicKey, link: LinkId) {
        if let Some(root) = self.log.root() {
            m.send(link, &Message::ChanRequest(ChanRequest::Response { chan: key, root }));
        }
    }
}
