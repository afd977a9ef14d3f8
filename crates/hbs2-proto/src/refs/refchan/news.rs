//! Asking the peers of a channel for what they have, and knowing when all have told it.
//!
//! Only what peers that the head names have in their logs is ever taken over, so only they are waited for. A peer without
//! a log cannot say so: where we have none ourselves, its head counts as an answer, if it can only have come after that
//! of the log.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use hbs2_core::SignPublicKey;

use super::Refchans;
use crate::moment::Moment;
use crate::refs::scene::Scene;
use crate::{Answer, CommandId, LinkId, Refusal};

/// Questions of local programs for the news of one channel at a time, at most.
const QUESTIONS_MAX: usize = 64;

/// Longest wait for answers and for what is new in them; who wants to wait longer asks again.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A question of the owner that waits for answers of peers.
#[derive(Debug)]
pub(super) struct Question {
    command: CommandId,
    /// Who has not answered.
    waiting: BTreeSet<LinkId>,
    pub(super) until: Instant,
}

impl Refchans {
    /// The owner wants to know when the peers of a channel have told what they have. They have just been asked.
    pub(crate) fn await_news(
        &mut self,
        w: &mut Scene<'_, '_>,
        key: SignPublicKey,
        wait: Duration,
        command: CommandId,
    ) {
        let chan = self.chan(w.m, key);
        let is_peer =
            |peer: &SignPublicKey| chan.current().is_some_and(|current| current.rules.has_peer(peer));
        let peers = w.sessions.active().filter(|(_, peer)| is_peer(&peer.key));
        let waiting: BTreeSet<LinkId> = peers.map(|(link, _)| link).collect();
        let count = chan.questions.len();
        if waiting.is_empty() {
            return w.m.out.answer(command, Answer::Told { all: false });
        }
        if count >= QUESTIONS_MAX {
            return w.m.out.answer(command, Answer::Refused(Refusal::Full { entries: count }));
        }
        let until = w.m.now + wait.min(WAIT_MAX);
        chan.questions.push(Question { command, waiting, until });
        self.asked.insert(key);
        self.plan(key);
    }

    /// A peer has told its log.
    pub(crate) fn log_told(&mut self, key: &SignPublicKey, link: LinkId) {
        if let Some(chan) = self.chans.get_mut(key) {
            for question in &mut chan.questions {
                question.waiting.remove(&link);
            }
        }
    }

    /// A peer has told its head. `in_order`: its answers come in the order of our questions.
    pub(crate) fn head_told(&mut self, key: &SignPublicKey, link: LinkId, in_order: bool) {
        let is_new = |chan: &super::Chan| chan.log.is_read() && chan.log.root().is_none();
        if in_order && self.chans.get(key).is_some_and(is_new) {
            self.log_told(key, link);
        }
    }

    /// A link is no more.
    pub(crate) fn down(&mut self, link: LinkId) {
        for key in self.asked.clone() {
            self.log_told(&key, link);
        }
    }

    /// Answers the questions that have waited long enough.
    pub(super) fn answer_questions(&mut self, m: &mut Moment<'_>) {
        let chans = &mut self.chans;
        self.asked.retain(|key| {
            let Some(chan) = chans.get_mut(key) else { return false };
            let is_settled = chan.log.is_quiet() && chan.inquiries.is_empty() && chan.offers.is_empty();
            chan.questions.retain(|question| {
                let all = is_settled && question.waiting.is_empty();
                let is_over = all || question.until <= m.now;
                if is_over {
                    m.out.answer(question.command, Answer::Told { all });
                }
                !is_over
            });
            !chan.questions.is_empty()
        });
    }
}
