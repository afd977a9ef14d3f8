//! References: what is polled, stored, merged, answered and passed on.
//!
//! To poll a reference is to be subscribed to it: only polled references are answered and stored. Updates of reflogs
//! are passed on whether polled or not, each once; values of last-writer-wins references only when polled and newer
//! than what is known.

mod examine;
mod fetches;
mod growing;
mod inquiry;
mod logtree;
mod lwwref;
mod mailbox;
mod refchan;
mod reflog;
mod scene;
mod seen;
mod spread;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::cbor::Decode;
use hbs2_core::lwwref::LwwRef;
use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::{Hash, SignPublicKey, Signed};

use crate::brain::{Added, Brain, POLLS_MAX, Polls};
use crate::io::POLLS_RECORD;
use crate::limiter::Bucket;
use crate::moment::Moment;
use crate::session::Sessions;
use crate::wire::{ChanHeadMessage, ChanRequest, LwwMessage, Message, ReflogRequest};
use crate::{Answer, CommandId, Commit, Examined, LinkId, Offence, Output, Poll, PollKind, Refusal, Ticket};

pub use examine::{examine, examine_update};
use lwwref::{Lwwrefs, News, Value};
use mailbox::Mailboxes;
use refchan::Refchans;
use reflog::Reflogs;
use scene::Scene;
pub(crate) use seen::Seen;

/// How long answers about a reference that is not polled are taken after the owner asked for it.
const WELCOME: Duration = Duration::from_secs(60);

/// Signatures checked for one peer at once, at most, of what turns out to be of no use here: a tenth of a second of work.
const CHECKS_BURST: u32 = 2000;

/// Time for one more check: 500 a second are a fortieth of one core.
const CHECK_REFILL: Duration = Duration::from_millis(2);

/// Trees of one peer looked at at once, at most: a third of the table of polls, all of them news.
const TREES_BURST: u32 = 4096;

/// Time for one more.
const TREE_REFILL: Duration = Duration::from_millis(100);

/// References of all kinds.
#[derive(Debug, Default)]
pub(crate) struct Refs {
    polls: Polls,
    reflogs: Reflogs,
    lwwrefs: Lwwrefs,
    refchans: Refchans,
    mailboxes: Mailboxes,
    /// Updates that have passed by.
    seen: Seen,
    /// How many signatures each link may make us check.
    checks: BTreeMap<LinkId, Bucket>,
    /// How many trees each link may make us look at.
    trees: BTreeMap<LinkId, Bucket>,
    /// Commands that wait for the table of polls to be saved.
    saves: BTreeMap<Ticket, CommandId>,
}

impl Refs {
    pub(crate) fn polls(&self) -> impl Iterator<Item = Poll> {
        self.polls.iter()
    }

    /// Fills the table from its record, before the start.
    pub(crate) fn restore(&mut self, m: &mut Moment<'_>, record: &[u8]) {
        match Polls::from_record(record) {
            Ok(polls) => {
                for poll in polls {
                    // A record holds no more rows than the table.
                    self.polls.add(m.now, poll);
                }
            }
            Err(_) => m.out.counters.records_unreadable += 1,
        }
    }

    /// Reads what is polled.
    pub(crate) fn start(&mut self, m: &mut Moment<'_>, sessions: &Sessions, brain: &mut Brain) {
        self.mailboxes.start(&mut Scene { m, sessions, brain, seen: &mut self.seen });
        for poll in self.polls.iter().collect::<Vec<_>>() {
            self.open(m, &poll);
        }
    }

    /// Asks a peer that has just become trusted for everything polled.
    pub(crate) fn greet(&mut self, m: &mut Moment<'_>, link: LinkId) {
        for poll in self.polls.iter() {
            ask(m, link, &poll);
        }
        self.mailboxes.greet(m, link);
    }

    /// Forgets a link.
    pub(crate) fn down(&mut self, link: LinkId) {
        self.checks.remove(&link);
        self.trees.remove(&link);
        self.refchans.down(link);
    }

    /// The configuration has changed.
    pub(crate) fn reconfigured(&mut self, m: &mut Moment<'_>) {
        self.refchans.reconfigured(m);
    }

    pub(crate) fn poll_add(
        &mut self,
        m: &mut Moment<'_>,
        sessions: &Sessions,
        command: CommandId,
        poll: Poll,
    ) {
        match self.polls.add(m.now, poll) {
            Added::Full => {
                let full = Refusal::Full { entries: POLLS_MAX };
                return m.out.answer(command, Answer::Refused(full));
            }
            Added::New | Added::Changed => self.save(m, command),
            Added::Same => m.out.answer(command, Answer::Done),
        }
        self.open(m, &poll);
        ask_all(m, sessions, &poll);
    }

    pub(crate) fn poll_del(
        &mut self,
        m: &mut Moment<'_>,
        command: CommandId,
        key: &SignPublicKey,
        kind: Option<PollKind>,
    ) {
        if self.polls.remove(key, kind).is_empty() {
            return m.out.answer(command, Answer::Done);
        }
        self.save(m, command);
    }

    /// Asks all peers for a reference, and takes their answers for a while whether it is polled or not.
    pub(crate) fn fetch(
        &mut self,
        m: &mut Moment<'_>,
        sessions: &Sessions,
        key: SignPublicKey,
        kind: PollKind,
    ) {
        self.forget_idle();
        let until = m.now + WELCOME;
        match kind {
            PollKind::Reflog => self.reflogs.welcome(m, key, until),
            PollKind::Lwwref => self.lwwrefs.welcome(m, key, until),
            PollKind::Refchan => self.refchans.welcome(m, key, until),
        }
        ask_all(m, sessions, &Poll { key, kind, minutes: 1 });
    }

    /// The owner publishes an update.
    pub(crate) fn post_reflog(
        &mut self,
        m: &mut Moment<'_>,
        sessions: &Sessions,
        brain: &mut Brain,
        command: CommandId,
        update: &Bytes,
    ) {
        let Ok(update) = ReflogUpdate::from_bytes(update) else {
            return m.out.answer(command, Answer::Refused(Refusal::Malformed));
        };
        if update.verify().is_err() {
            return m.out.answer(command, Answer::Refused(Refusal::Signature));
        }
        self.forget_idle();
        self.seen.note(update.id());
        self.reflogs.add(m, brain, &update, Some(command));
        pass_on(m, sessions, None, &Message::ReflogUpdate(update));
    }

    /// The owner publishes a value.
    pub(crate) fn post_lwwref(
        &mut self,
        m: &mut Moment<'_>,
        sessions: &Sessions,
        brain: &mut Brain,
        command: CommandId,
        signed: &Bytes,
    ) {
        let Ok(signed) = Signed::<LwwRef>::from_bytes(signed) else {
            return m.out.answer(command, Answer::Refused(Refusal::Malformed));
        };
        let key = signed.claimed_signer();
        let Some(value) = Value::check(&key, signed) else {
            return m.out.answer(command, Answer::Refused(Refusal::Signature));
        };
        self.forget_idle();
        let news = self.lwwrefs.add(m, brain, key, value, Some(command), None);
        pass_news(m, sessions, news);
    }

    /// An update has come as gossip.
    pub(crate) fn reflog_update(
        &mut self,
        m: &mut Moment<'_>,
        sessions: &Sessions,
        brain: &mut Brain,
        link: LinkId,
        update: ReflogUpdate,
    ) {
        let id = update.id();
        m.conduct.passes(m.now, link, id);
        let known = self.seen.contains(&id) || self.reflogs.contains(update.key(), &id);
        if known || !self.may_check(m, link) {
            return;
        }
        self.seen.note(id);
        if update.verify().is_err() {
            m.out.counters.updates_bad += 1;
            return m.offend(link, Offence::BadSignature);
        }
        let sender = sessions.get(link).and_then(|link| link.peer());
        let polled = self.polls.contains(update.key(), PollKind::Reflog);
        if polled {
            self.was_useful(link);
        }
        if polled || sender.is_some_and(|peer| m.config.accept_announces.allows(&peer.key)) {
            self.reflogs.add(m, brain, &update, None);
        }
        if !polled {
            self.forget_idle();
        }
        pass_on(m, sessions, Some(link), &Message::ReflogUpdate(update));
    }

    /// A question or answer about a reflog has come.
    pub(crate) fn reflog_request(
        &mut self,
        m: &mut Moment<'_>,
        brain: &mut Brain,
        link: LinkId,
        message: ReflogRequest,
    ) {
        match message {
            ReflogRequest::Request(key) if self.polls.contains(&key, PollKind::Reflog) => {
                self.reflogs.request(m, key, link);
            }
            ReflogRequest::Response { key, root } => self.reflog_response(m, brain, link, key, root),
            ReflogRequest::Request(_) => {}
        }
    }

    fn reflog_response(
        &mut self,
        m: &mut Moment<'_>,
        brain: &mut Brain,
        link: LinkId,
        key: SignPublicKey,
        root: Hash,
    ) {
        let welcome = self.polls.contains(&key, PollKind::Reflog) || self.reflogs.is_welcome(m.now, &key);
        if welcome && self.reflogs.is_news(&key, &root) && self.may_inquire(m, link) {
            self.reflogs.response(m, brain, key, root, link);
        }
    }

    /// A question for or a value of a last-writer-wins reference has come.
    pub(crate) fn lww(
        &mut self,
        m: &mut Moment<'_>,
        sessions: &Sessions,
        brain: &mut Brain,
        link: LinkId,
        message: LwwMessage,
    ) {
        match message {
            LwwMessage::Get(key) if self.polls.contains(&key, PollKind::Lwwref) => {
                self.lwwrefs.request(m, key, link);
            }
            LwwMessage::Set { key, signed }
                if self.polls.contains(&key, PollKind::Lwwref) || self.lwwrefs.is_welcome(m.now, &key) =>
            {
                if self.lwwrefs.is_current(&key, &signed) || !self.may_check(m, link) {
                    return;
                }
                let Some(value) = Value::check(&key, signed) else {
                    m.out.counters.values_bad += 1;
                    return m.offend(link, Offence::BadSignature);
                };
                let news = self.lwwrefs.add(m, brain, key, value, None, Some(link));
                pass_news(m, sessions, news);
            }
            _ => {}
        }
    }

    /// A wanted tree is here.
    pub(crate) fn tree_done(
        &mut self,
        m: &mut Moment<'_>,
        sessions: &Sessions,
        brain: &mut Brain,
        root: &Hash,
    ) {
        self.reflogs.tree_done(m, root);
        self.refchans.tree_done(m, root);
        self.mailboxes.tree_done(&mut Scene { m, sessions, brain, seen: &mut self.seen }, root);
    }

    /// A wanted tree is not to be had.
    pub(crate) fn tree_lost(
        &mut self,
        m: &mut Moment<'_>,
        sessions: &Sessions,
        brain: &mut Brain,
        root: &Hash,
    ) {
        self.reflogs.tree_lost(root);
        let w = &mut Scene { m, sessions, brain, seen: &mut self.seen };
        self.refchans.tree_lost(w, root);
        self.mailboxes.tree_lost(w, root);
    }

    /// The driver has read a list of updates.
    pub(crate) fn log_read(
        &mut self,
        m: &mut Moment<'_>,
        sessions: &Sessions,
        brain: &mut Brain,
        ticket: Ticket,
        (root, mut leaves, complete): (Option<Hash>, Vec<Hash>, bool),
    ) {
        let w = &mut Scene { m, sessions, brain, seen: &mut self.seen };
        if !self.refchans.log_read(w, ticket, root, &mut leaves, complete)
            && !self.mailboxes.log_read(w, ticket, root, &mut leaves, complete)
        {
            self.reflogs.log_read(w.m, w.brain, ticket, root, leaves, complete);
        }
    }

    /// The driver has examined updates.
    pub(crate) fn examined(
        &mut self,
        m: &mut Moment<'_>,
        brain: &mut Brain,
        ticket: Ticket,
        updates: Vec<(Hash, Examined)>,
    ) {
        self.reflogs.examined(m, brain, ticket, updates);
    }

    /// The driver has read the block of a reference.
    pub(crate) fn reference_read(
        &mut self,
        m: &mut Moment<'_>,
        sessions: &Sessions,
        brain: &mut Brain,
        ticket: Ticket,
        block: Option<&Bytes>,
    ) {
        for news in self.lwwrefs.loaded(m, brain, ticket, block) {
            pass_news(m, sessions, Some(news));
        }
    }

    /// The driver has done a commit.
    pub(crate) fn committed(
        &mut self,
        m: &mut Moment<'_>,
        sessions: &Sessions,
        brain: &mut Brain,
        ticket: Ticket,
        durable: bool,
    ) {
        if let Some(command) = self.saves.remove(&ticket) {
            let answer = if durable { Answer::Done } else { Answer::Refused(Refusal::Store) };
            return m.out.answer(command, answer);
        }
        let w = &mut Scene { m, sessions, brain, seen: &mut self.seen };
        if self.refchans.committed(w, ticket, durable) || self.mailboxes.committed(w, ticket, durable) {
            return;
        }
        self.lwwrefs.committed(m, ticket, durable);
        if let Some((key, root)) = self.reflogs.committed(m, ticket, durable)
            && self.polls.contains(&key, PollKind::Reflog)
        {
            // What came from one peer's tree is news to the others; they ask for what they miss.
            pass_on(m, sessions, None, &Message::ReflogRequest(ReflogRequest::Response { key, root }));
        }
    }

    /// Does what is due.
    pub(crate) fn wake(&mut self, m: &mut Moment<'_>, sessions: &Sessions, brain: &mut Brain) {
        for poll in self.polls.due(m.now) {
            ask_all(m, sessions, &poll);
        }
        self.reflogs.wake(m);
        let w = &mut Scene { m, sessions, brain, seen: &mut self.seen };
        self.refchans.wake(w);
        self.mailboxes.wake(w);
    }

    /// Writes what waits. To be called after each input.
    pub(crate) fn flush(&mut self, m: &mut Moment<'_>, sessions: &Sessions, brain: &mut Brain) {
        self.reflogs.flush(m, brain);
        let w = &mut Scene { m, sessions, brain, seen: &mut self.seen };
        self.refchans.flush(w);
        self.mailboxes.flush(w);
    }

    /// Writes all that waits: the process ends.
    pub(crate) fn stop(&mut self, m: &mut Moment<'_>, brain: &mut Brain) {
        self.reflogs.stop(m, brain);
        self.refchans.stop(m, brain);
        self.mailboxes.stop(m, brain);
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        let times = [self.polls.next(), self.reflogs.next(), self.refchans.next(), self.mailboxes.next()];
        times.into_iter().flatten().min()
    }

    fn open(&mut self, m: &mut Moment<'_>, poll: &Poll) {
        match poll.kind {
            PollKind::Reflog => self.reflogs.open(m, poll.key),
            PollKind::Lwwref => self.lwwrefs.open(m, poll.key),
            PollKind::Refchan => self.refchans.open(m, poll.key),
        }
    }

    /// Makes room for references that are used but not polled.
    fn forget_idle(&mut self) {
        self.reflogs.forget_idle(|key| self.polls.contains(key, PollKind::Reflog));
        self.lwwrefs.forget_idle(|key| self.polls.contains(key, PollKind::Lwwref));
        self.refchans.forget_idle(|key| self.polls.contains(key, PollKind::Refchan));
    }

    fn save(&mut self, m: &mut Moment<'_>, command: CommandId) {
        let ticket = m.out.ticket();
        self.saves.insert(ticket, command);
        let commit = Commit { records: vec![(POLLS_RECORD, self.polls.to_record())], ..Commit::default() };
        m.out.push(Output::Commit { ticket, commit });
    }

    fn may_inquire(&mut self, m: &mut Moment<'_>, link: LinkId) -> bool {
        let bucket = self.trees.entry(link).or_insert_with(|| Bucket::new(m.now, TREES_BURST, TREE_REFILL));
        let may = bucket.take(m.now);
        if !may {
            m.limited(link);
        }
        may
    }

    /// Whether a signature may be checked for a link. A peer that passes on what others say is not to blame for how much
    /// they say: what is not checked is dropped, and comes with the log.
    fn may_check(&mut self, m: &mut Moment<'_>, link: LinkId) -> bool {
        let bucket =
            self.checks.entry(link).or_insert_with(|| Bucket::new(m.now, CHECKS_BURST, CHECK_REFILL));
        let may = bucket.take(m.now);
        if !may {
            m.dropped(link);
        }
        may
    }

    /// What was checked for a link is something that the owner follows. It may bring as much of that as there is.
    fn was_useful(&mut self, link: LinkId) {
        if let Some(bucket) = self.checks.get_mut(&link) {
            bucket.give_back();
        }
    }
}

/// Asks a peer for a polled reference.
fn ask(m: &mut Moment<'_>, link: LinkId, poll: &Poll) {
    match poll.kind {
        PollKind::Reflog => m.send(link, &Message::ReflogRequest(ReflogRequest::Request(poll.key))),
        PollKind::Lwwref => m.send(link, &Message::Lww(LwwMessage::Get(poll.key))),
        // Who tells the head of a channel has told its log before, if it has one.
        PollKind::Refchan => {
            m.send(link, &Message::ChanRequest(ChanRequest::Request(poll.key)));
            m.send(link, &Message::ChanHead(ChanHeadMessage::Get(poll.key)));
        }
    }
}

fn ask_all(m: &mut Moment<'_>, sessions: &Sessions, poll: &Poll) {
    for (link, _) in sessions.active() {
        ask(m, link, poll);
    }
}

/// Sends a message to all peers but the one it came from.
fn pass_on(m: &mut Moment<'_>, sessions: &Sessions, from: Option<LinkId>, message: &Message) {
    for (link, _) in sessions.active().filter(|(link, _)| Some(*link) != from) {
        m.send(link, message);
    }
}

fn pass_news(m: &mut Moment<'_>, sessions: &Sessions, news: Option<News>) {
    if let Some(news) = news {
        pass_on(m, sessions, news.from, &news.message);
    }
}
