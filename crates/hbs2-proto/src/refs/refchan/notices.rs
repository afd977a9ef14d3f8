//! News of authors and notifiers: passed on once, told to local programs, and not kept, unless the owner of this node
//! wants the last of them in a list.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::cbor::Encode;
use hbs2_core::refchan::ChanNotice;
use hbs2_core::refkey::RefKind;
use hbs2_core::tree::{Shape, build};
use hbs2_core::{Blob, Hash, SignPublicKey, Signed};

use super::{Ask, Refchans, Task};
use crate::moment::Moment;
use crate::refs::scene::Scene;
use crate::wire::Message;
use crate::{Answer, CommandId, Commit, Event, LinkId, LogSource, Offence, Output, Refusal};

/// Entries of a list of notices, whatever the configuration says, at most.
pub(crate) const NOTICES_MAX: usize = 100_000;

/// Wait before a list that could not be written is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The list of the last notices of a channel.
#[derive(Debug, Default)]
pub(super) struct NoticeLog {
    /// Oldest first.
    entries: VecDeque<Hash>,
    loaded: bool,
    /// When the list is to be written.
    pub(super) due: Option<Instant>,
    writing: bool,
}

impl Refchans {
    /// The list of a channel whose notices are to be kept.
    pub(super) fn open_notices(&mut self, m: &mut Moment<'_>, key: SignPublicKey) -> Option<NoticeLog> {
        m.config.notice_logs.get(&key)?;
        let ticket = m.out.ticket();
        self.tasks.insert(ticket, (key, Task::LoadNotices));
        m.out.push(Output::ReadLog { ticket, source: LogSource::Reference(RefKind::notices(&key)) });
        Some(NoticeLog::default())
    }

    /// Begins and ends lists of notices as the configuration has it now.
    pub(crate) fn reconfigured(&mut self, m: &mut Moment<'_>) {
        let keys: Vec<SignPublicKey> = self.chans.keys().copied().collect();
        for key in keys {
            let is_kept = self.chans.get(&key).is_some_and(|chan| chan.notices.is_some());
            let change = match (m.config.notice_logs.contains_key(&key), is_kept) {
                (true, false) => self.open_notices(m, key),
                (false, true) => None,
                _ => continue,
            };
            if let Some(chan) = self.chans.get_mut(&key) {
                chan.notices = change;
            }
        }
    }

    pub(super) fn notices_loaded(&mut self, m: &mut Moment<'_>, key: SignPublicKey, leaves: Vec<Hash>) {
        let Some(rule) = m.config.notice_logs.get(&key) else { return };
        let log = self.chans.get_mut(&key).and_then(|chan| chan.notices.as_mut());
        // A list that was given up and begun again meanwhile is read twice.
        let Some(log) = log.filter(|log| !log.loaded) else { return };
        let new = std::mem::take(&mut log.entries);
        log.entries = leaves.into();
        log.entries.extend(new);
        log.loaded = true;
        log.trim(rule.keep);
        if log.due.is_some_and(|due| due <= m.now) {
            self.write_notices(m, key);
        }
    }

    /// A notice has come that has not passed by yet.
    pub(crate) fn notice(
        &mut self,
        w: &mut Scene<'_, '_>,
        key: SignPublicKey,
        signed: Signed<Blob>,
        from: Option<LinkId>,
        command: Option<CommandId>,
    ) {
        let signed = match command {
            None => signed,
            Some(command) => match self.when_head_is_known(w.m, key, Ask::Notify(signed), command) {
                Some(Ask::Notify(signed)) => signed,
                _ => return,
            },
        };
        let answer = match signed.verify() {
            Err(_) => {
                w.m.out.counters.updates_bad += 1;
                if let Some(from) = from {
                    w.m.offend(from, Offence::BadSignature);
                }
                Answer::Refused(Refusal::Signature)
            }
            Ok(opened) => {
                let chan = self.chan(w.m, key);
                match chan.current() {
                    None => Answer::Refused(Refusal::NoHead),
                    Some(current) if current.rules.allows_notice(&opened.signer) => Answer::Done,
                    Some(_) => {
                        w.m.out.counters.updates_foreign += 1;
                        Answer::Refused(Refusal::NotAllowed)
                    }
                }
            }
        };
        if let Some(command) = command {
            w.m.out.answer(command, answer);
        }
        if answer != Answer::Done {
            return;
        }
        let notice = ChanNotice::Notify { chan: key, signed };
        let block = Bytes::from(notice.to_bytes());
        w.pass_on(from, &Message::ChanNotice(notice));
        self.keep_notice(w.m, key, &block);
        w.m.event(Event::ChanNotice { chan: key, notice: block });
    }

    fn keep_notice(&mut self, m: &mut Moment<'_>, key: SignPublicKey, block: &Bytes) {
        let Some(rule) = m.config.notice_logs.get(&key) else { return };
        let Some(log) = self.chans.get_mut(&key).and_then(|chan| chan.notices.as_mut()) else { return };
        let hash = Hash::of(block);
        log.entries.push_back(hash);
        log.trim(rule.keep);
        log.due.get_or_insert(m.now + rule.write);
        let commit = Commit { blocks: vec![(hash, block.clone())], ..Commit::default() };
        self.commit(m, key, Task::StoreNotice, commit);
        self.plan(key);
    }

    /// Writes the list, if it is time.
    pub(super) fn write_notices(&mut self, m: &mut Moment<'_>, key: SignPublicKey) {
        let Some(log) = self.chans.get_mut(&key).and_then(|chan| chan.notices.as_mut()) else { return };
        if log.due.is_none_or(|due| due > m.now) || !log.loaded || log.writing {
            // Whatever it waits for calls again; no timer is needed meanwhile.
            if log.due.is_some_and(|due| due <= m.now) {
                log.due = Some(m.now + RETRY);
            }
            return;
        }
        log.due = None;
        log.writing = true;
        let mut blocks = Vec::new();
        let entries = log.entries.make_contiguous();
        let root = build::build(Shape::NOTICES, entries, |hash, block| blocks.push((hash, block)));
        let commit = Commit { blocks, references: vec![(RefKind::notices(&key), root)], ..Commit::default() };
        self.commit(m, key, Task::WriteNotices, commit);
    }

    pub(super) fn notices_written(&mut self, m: &mut Moment<'_>, key: SignPublicKey, durable: bool) {
        let Some(log) = self.chans.get_mut(&key).and_then(|chan| chan.notices.as_mut()) else { return };
        log.writing = false;
        if !durable {
            m.out.counters.commits_failed += 1;
            log.due.get_or_insert(m.now + RETRY);
            self.plan(key);
        }
    }
}

impl NoticeLog {
    fn trim(&mut self, keep: usize) {
        let keep = keep.min(NOTICES_MAX);
        while self.entries.len() > keep {
            self.entries.pop_front();
        }
    }
}
