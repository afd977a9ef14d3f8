//! Answering "how long is this block" (spec: wire 2.8).
//!
//! Every question gets one answer. The original takes any answer for the one it waits for, so answers to it leave in
//! the order of its questions; our own kind matches by hash. A block that we are just fetching is worth a short wait
//! before "no": the original never asks again after a "no".

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use hbs2_core::Hash;

use crate::moment::Moment;
use crate::wire::{BlockInfo, Message};
use crate::{LinkId, Output, Ticket};

/// Longest delay of a "no" for a block that is being fetched. The original gives up on an answer after 5 s.
const HOLD: Duration = Duration::from_secs(3);

/// Unanswered questions of one link, at most. Our own kind keeps a quarter of it under way; the original one.
const QUESTIONS_MAX: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The store has been asked.
    Asked,
    /// Being fetched: the answer may be "yes" soon.
    Held { until: Instant },
    /// Known, but earlier questions come first.
    Known { bytes: Option<u64> },
}

#[derive(Debug)]
struct Question {
    hash: Hash,
    state: State,
}

impl Question {
    fn is_known(&self) -> bool {
        matches!(self.state, State::Known { .. })
    }
}

/// The questions of one link by their tickets, which is the order in which they came.
#[derive(Debug, Default)]
struct Questions {
    open: BTreeMap<Ticket, Question>,
    in_order: bool,
}

/// The questions of all links.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    links: BTreeMap<LinkId, Questions>,
    tickets: BTreeMap<Ticket, LinkId>,
    /// Held questions by block.
    held: BTreeMap<Hash, Vec<Ticket>>,
    /// Blocks that were refused since somebody looked.
    refused: Vec<(LinkId, Hash)>,
    /// Held questions by the time of their end, which is the order in which they were held.
    ends: VecDeque<(Instant, Ticket)>,
}

impl Sizes {
    /// A question has come from a trusted peer; `in_order` when the peer may be an original.
    pub(crate) fn ask(&mut self, m: &mut Moment<'_>, link: LinkId, hash: Hash, in_order: bool) {
        let questions = self.links.entry(link).or_default();
        if std::mem::replace(&mut questions.in_order, in_order) && !in_order {
            // What waited for earlier answers need not wait any more.
            let known = questions.open.iter().filter(|(_, question)| question.is_known());
            for ticket in known.map(|(ticket, _)| *ticket).collect::<Vec<_>>() {
                self.flush(m, link, ticket);
            }
        }
        let questions = self.links.entry(link).or_default();
        if questions.open.len() >= QUESTIONS_MAX {
            return m.limited(link);
        }
        let ticket = m.out.ticket();
        questions.open.insert(ticket, Question { hash, state: State::Asked });
        self.tickets.insert(ticket, link);
        m.out.push(Output::StatBlock { ticket, hash });
    }

    /// The store has answered. `coming` tells whether a block is being fetched.
    pub(crate) fn known(
        &mut self,
        m: &mut Moment<'_>,
        ticket: Ticket,
        bytes: Option<u64>,
        coming: impl FnOnce(&Hash) -> bool,
    ) {
        let Some(link) = self.tickets.get(&ticket).copied() else { return };
        let Some(question) = self.links.get_mut(&link).and_then(|q| q.open.get_mut(&ticket)) else { return };
        if bytes.is_none() && coming(&question.hash) {
            let until = m.now + HOLD;
            question.state = State::Held { until };
            self.held.entry(question.hash).or_default().push(ticket);
            self.ends.push_back((until, ticket));
        } else {
            question.state = State::Known { bytes };
            self.flush(m, link, ticket);
        }
    }

    /// A block has been stored: held questions about it have their answer.
    pub(crate) fn stored(&mut self, m: &mut Moment<'_>, hash: &Hash, bytes: u64) {
        for ticket in self.held.remove(hash).unwrap_or_default() {
            self.settle(m, ticket, Some(bytes));
        }
    }

    /// Ends the waits that are due.
    pub(crate) fn wake(&mut self, m: &mut Moment<'_>) {
        while self.ends.front().is_some_and(|(until, _)| *until <= m.now) {
            let (until, ticket) = self.ends.pop_front().expect("just seen");
            let Some(question) = self.question(ticket) else { continue };
            if question.state == (State::Held { until }) {
                let hash = question.hash;
                if let Some(tickets) = self.held.get_mut(&hash) {
                    tickets.retain(|held| *held != ticket);
                    if tickets.is_empty() {
                        self.held.remove(&hash);
                    }
                }
                self.settle(m, ticket, None);
            }
        }
    }

    /// The blocks that were refused since the last call.
    pub(crate) fn take_refused(&mut self) -> Vec<(LinkId, Hash)> {
        std::mem::take(&mut self.refused)
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.ends.front().map(|(until, _)| *until)
    }

    /// Forgets a link.
    pub(crate) fn down(&mut self, link: LinkId) {
        for (ticket, question) in self.links.remove(&link).unwrap_or_default().open {
            self.tickets.remove(&ticket);
            if let Some(tickets) = self.held.get_mut(&question.hash) {
                tickets.retain(|held| *held != ticket);
                if tickets.is_empty() {
                    self.held.remove(&question.hash);
                }
            }
        }
    }

    fn question(&self, ticket: Ticket) -> Option<&Question> {
        self.links.get(self.tickets.get(&ticket)?)?.open.get(&ticket)
    }

    fn settle(&mut self, m: &mut Moment<'_>, ticket: Ticket, bytes: Option<u64>) {
        let Some(link) = self.tickets.get(&ticket).copied() else { return };
        if let Some(question) = self.links.get_mut(&link).and_then(|q| q.open.get_mut(&ticket)) {
            question.state = State::Known { bytes };
            self.flush(m, link, ticket);
        }
    }

    /// Sends what may leave after `ticket` became known.
    fn flush(&mut self, m: &mut Moment<'_>, link: LinkId, ticket: Ticket) {
        let Some(questions) = self.links.get_mut(&link) else { return };
        if !questions.in_order {
            if let Some(question) = questions.open.remove(&ticket) {
                self.tickets.remove(&ticket);
                self.refused.extend(answer(m, link, &question));
            }
            return;
        }
        while let Some(first) = questions.open.first_entry() {
            if !first.get().is_known() {
                return;
            }
            let (ticket, question) = first.remove_entry();
            self.tickets.remove(&ticket);
            self.refused.extend(answer(m, link, &question));
        }
    }
}

/// Answers a question; the block if it was refused.
fn answer(m: &mut Moment<'_>, link: LinkId, question: &Question) -> Option<(LinkId, Hash)> {
    let hash = question.hash;
    let refused = !matches!(question.state, State::Known { bytes: Some(_) });
    let message = match question.state {
        State::Known { bytes: Some(bytes) } => BlockInfo::BlockSize { hash, bytes },
        _ => BlockInfo::NoBlock(hash),
    };
    m.out.counters.sizes_served += 1;
    m.send(link, &Message::BlockInfo(message));
    refused.then_some((link, hash))
}
