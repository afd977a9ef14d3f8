//! Last-writer-wins references (spec: wire 2.12).
//!
//! The value with the highest sequence wins, the larger value among equals. A value that has been seen is never left
//! for a lower one, whatever the store says later. Old values are not passed on: they could go round for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use bytes::Bytes;
use hbs2_core::cbor::{Decode, Encode};
use hbs2_core::lwwref::LwwRef;
use hbs2_core::refkey::RefKind;
use hbs2_core::{Hash, SignPublicKey, Signed};

use crate::brain::Brain;
use crate::moment::Moment;
use crate::wire::{LwwMessage, Message};
use crate::{Answer, CommandId, Commit, Event, Keep, LinkId, Offence, Output, PollKind, Refusal, Ticket};

/// Values that wait until the stored one is known, at most, for one reference.
const WAITING_VALUES_MAX: usize = 16;

/// References in memory that are not polled, at most.
const UNPOLLED_REFS_MAX: usize = 1024;

/// A value whose signature is good.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    signed: Signed<LwwRef>,
    lww: LwwRef,
    block: Bytes,
    hash: Hash,
}

impl Value {
    /// Checks a box: signed well, by the key of the reference.
    pub(crate) fn check(key: &SignPublicKey, signed: Signed<LwwRef>) -> Option<Self> {
        let verified = signed.verify().ok().filter(|verified| verified.signer == *key)?;
        let block = Bytes::from(signed.to_bytes());
        let hash = Hash::of(&block);
        Some(Self { signed, lww: verified.value, block, hash })
    }
}

#[derive(Debug)]
struct Entry {
    /// Whether the stored value is known.
    loaded: bool,
    current: Option<Value>,
    /// Values that came before the stored one was known.
    waiting: Vec<(Value, Option<CommandId>, Option<LinkId>)>,
    askers: BTreeSet<LinkId>,
    used: Instant,
    wanted: Option<Instant>,
}

#[derive(Debug)]
enum Task {
    Load(SignPublicKey),
    Write { key: SignPublicKey, value: Hash, command: Option<CommandId> },
}

/// All references that are polled or in use.
#[derive(Debug, Default)]
pub(crate) struct Lwwrefs {
    entries: BTreeMap<SignPublicKey, Entry>,
    tasks: BTreeMap<Ticket, Task>,
}

/// News to be passed on to all peers but the one it came from.
#[derive(Debug)]
pub(crate) struct News {
    pub(crate) message: Message,
    pub(crate) from: Option<LinkId>,
}

impl Lwwrefs {
    /// Begins to follow a reference, or notes that it is used.
    pub(crate) fn open(&mut self, m: &mut Moment<'_>, key: SignPublicKey) {
        self.entry(m, key);
    }

    /// Values of peers for this reference are welcome for a while.
    pub(crate) fn welcome(&mut self, m: &mut Moment<'_>, key: SignPublicKey, until: Instant) {
        self.entry(m, key).wanted = Some(until);
    }

    pub(crate) fn is_welcome(&self, now: Instant, key: &SignPublicKey) -> bool {
        self.entries.get(key).and_then(|entry| entry.wanted).is_some_and(|until| now < until)
    }

    /// Forgets references that are neither polled nor busy, if there are many.
    pub(crate) fn forget_idle(&mut self, polled: impl Fn(&SignPublicKey) -> bool) {
        let idle = self.entries.iter().filter(|(key, entry)| entry.loaded && !polled(key));
        let mut idle: Vec<(Instant, SignPublicKey)> = idle.map(|(key, entry)| (entry.used, *key)).collect();
        if idle.len() > UNPOLLED_REFS_MAX {
            idle.sort_unstable();
            for (_, key) in &idle[..idle.len() - UNPOLLED_REFS_MAX] {
                self.entries.remove(key);
            }
        }
    }

    /// Whether this box is the current value.
    pub(crate) fn is_current(&self, key: &SignPublicKey, signed: &Signed<LwwRef>) -> bool {
        let current = self.entries.get(key).and_then(|entry| entry.current.as_ref());
        current.is_some_and(|current| current.signed == *signed)
    }

    /// A peer asks for the value.
    pub(crate) fn request(&mut self, m: &mut Moment<'_>, key: SignPublicKey, link: LinkId) {
        let entry = self.entry(m, key);
        if entry.loaded {
            entry.respond(m, key, link);
        } else {
            entry.askers.insert(link);
        }
    }

    /// A checked value has come from a peer or the owner. News to pass on, if it is news.
    pub(crate) fn add(
        &mut self,
        m: &mut Moment<'_>,
        brain: &mut Brain,
        key: SignPublicKey,
        value: Value,
        command: Option<CommandId>,
        from: Option<LinkId>,
    ) -> Option<News> {
        let entry = self.entry(m, key);
        if !entry.loaded {
            if entry.waiting.len() < WAITING_VALUES_MAX {
                entry.waiting.push((value, command, from));
            } else {
                m.out.counters.messages_limited += 1;
                if let Some(command) = command {
                    m.out.answer(command, Answer::Refused(Refusal::Full { entries: WAITING_VALUES_MAX }));
                }
            }
            return None;
        }
        if let Some(current) = entry.current.as_ref().filter(|current| !value.lww.beats(&current.lww)) {
            if current.hash != value.hash {
                m.out.counters.values_stale += 1;
                if let Some(from) = from {
                    m.offend(from, Offence::Stale);
                }
            }
            if let Some(command) = command {
                m.out.answer(command, Answer::Refused(Refusal::Stale { known: current.lww.seq }));
            }
            return None;
        }
        brain.want(m, value.lww.value, Keep::UntilDone, None);
        let ticket = m.out.ticket();
        let records = brain.take_record().map(|record| (crate::io::WANTS_RECORD, record));
        let commit = Commit {
            blocks: vec![(value.hash, value.block.clone())],
            records: records.into_iter().collect(),
            references: vec![(RefKind::Lww.key(&key), value.hash)],
        };
        m.out.push(Output::Commit { ticket, commit });
        let message = Message::Lww(LwwMessage::Set { key, signed: value.signed.clone() });
        let written = value.hash;
        entry.current = Some(value);
        self.tasks.insert(ticket, Task::Write { key, value: written, command });
        Some(News { message, from })
    }

    /// The stored value is known. News that waited for it are passed on.
    pub(crate) fn loaded(
        &mut self,
        m: &mut Moment<'_>,
        brain: &mut Brain,
        ticket: Ticket,
        block: Option<&Bytes>,
    ) -> Vec<News> {
        let Some(Task::Load(key)) = self.tasks.remove(&ticket) else { return Vec::new() };
        let Some(entry) = self.entries.get_mut(&key) else { return Vec::new() };
        entry.loaded = true;
        entry.current = block
            .and_then(|block| Signed::<LwwRef>::from_bytes(block).ok())
            .and_then(|signed| Value::check(&key, signed));
        let waiting = std::mem::take(&mut entry.waiting);
        let askers = std::mem::take(&mut entry.askers);
        let news = waiting
            .into_iter()
            .filter_map(|(value, command, from)| self.add(m, brain, key, value, command, from))
            .collect();
        let entry = self.entry(m, key);
        for link in askers {
            entry.respond(m, key, link);
        }
        news
    }

    /// A commit is done.
    pub(crate) fn committed(&mut self, m: &mut Moment<'_>, ticket: Ticket, durable: bool) {
        let Some(Task::Write { key, value, command }) = self.tasks.remove(&ticket) else { return };
        let answer = if durable {
            m.out.event(Event::RefChanged { key, kind: PollKind::Lwwref, value });
            Answer::Posted { value }
        } else {
            // What the store holds now is for the store to say.
            m.out.counters.commits_failed += 1;
            self.entries.remove(&key);
            self.entry(m, key);
            Answer::Refused(Refusal::Store)
        };
        if let Some(command) = command {
            m.out.answer(command, answer);
        }
    }

    fn entry(&mut self, m: &mut Moment<'_>, key: SignPublicKey) -> &mut Entry {
        let tasks = &mut self.tasks;
        let entry = self.entries.entry(key).or_insert_with(|| {
            let ticket = m.out.ticket();
            tasks.insert(ticket, Task::Load(key));
            m.out.push(Output::ReadReference { ticket, key: RefKind::Lww.key(&key) });
            Entry {
                loaded: false,
                current: None,
                waiting: Vec::new(),
                askers: BTreeSet::new(),
                used: m.now,
                wanted: None,
            }
        });
        entry.used = m.now;
        entry
    }
}

impl Entry {
    fn respond(&self, m: &mut Moment<'_>, key: SignPublicKey, link: LinkId) {
        if let Some(current) = &self.current {
            m.send(link, &Message::Lww(LwwMessage::Set { key, signed: current.signed.clone() }));
        }
    }
}
