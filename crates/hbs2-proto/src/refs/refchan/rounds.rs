//! A proposal from its arrival until a quorum has accepted it.
//!
//! The proposal is stored at once, so that a validator can read it; unless the validator says no, it is passed on, and
//! accepted if we are a peer of the channel. Acceptances are passed on and collected. When those of enough different
//! peers are here, the proposal and all of them go into the log. What came for a head that we do not have waits a
//! while for it.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::cbor::Encode;
use hbs2_core::refchan::{Acceptance, VerifiedUpdate};
use hbs2_core::{Blob, ChanUpdate, Hash, SignPublicKey, Signed};

use super::{Ask, Chan, HELD_BYTES_MAX, HeadState, Refchans, Task};
use crate::refs::examine::payload_links;
use crate::refs::growing::Added;
use crate::refs::scene::Scene;
use crate::wire::{ChanHeadMessage, Message};
use crate::{Answer, CommandId, Commit, Keep, LinkId, Output, Refusal};

/// Proposals of one channel that wait for acceptances, at most.
const ROUNDS_MAX: usize = 4096;

/// Acceptances of one channel that wait for their proposal, at most.
const EARLY_MAX: usize = 4096;

/// Updates of one channel that wait for its head, at most.
const PARKED_MAX: usize = 256;

/// How long an update waits for the head it names.
const PARKED: Duration = Duration::from_secs(60);

/// Longest acceptance, in bytes. An honest one has 232.
const ACCEPTANCE_BYTES_MAX: usize = 1024;

/// Longest wait for acceptances, whatever the head says, in seconds: a day.
const WAIT_SECONDS_MAX: u64 = 24 * 60 * 60;

/// Shortest wait for acceptances, in seconds: a few round trips.
const WAIT_SECONDS_MIN: u64 = 2;

/// Acceptances of one proposal, at most, for each peer of the channel: one, and one after a restart.
const ACCEPTANCES_PER_PEER: usize = 2;

/// A proposal that waits for acceptances.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) until: Instant,
    /// The proposal as it is passed on, until it has been judged.
    message: Option<ChanUpdate>,
    /// Its length, in bytes, while the message is held.
    held_bytes: usize,
    from: Option<LinkId>,
    command: Option<CommandId>,
    /// Trees that the payload names.
    links: Vec<Hash>,
    voters: BTreeSet<SignPublicKey>,
    acceptances: Vec<(Hash, Bytes)>,
    admitted: bool,
}

/// An acceptance whose proposal has not come.
#[derive(Debug)]
pub(super) struct Early {
    pub(super) until: Instant,
    proposal: Hash,
    peer: SignPublicKey,
    hash: Hash,
    block: Bytes,
}

/// An update under a head that we do not have.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) until: Instant,
    update: ChanUpdate,
    verified: VerifiedUpdate,
    bytes: usize,
    from: Option<LinkId>,
}

impl Refchans {
    /// The owner proposes a payload that an author has signed.
    pub(crate) fn propose(
        &mut self,
        w: &mut Scene<'_, '_>,
        key: SignPublicKey,
        payload: Signed<Blob>,
        command: CommandId,
    ) {
        let ask = self.when_head_is_known(w.m, key, Ask::Propose(payload), command);
        let Some(Ask::Propose(payload)) = ask else { return };
        let chan = self.chan(w.m, key);
        let Some(head) = chan.current().map(|current| current.root) else {
            return w.m.out.answer(command, Answer::Refused(Refusal::NoHead));
        };
        let Ok(opened) = payload.verify() else {
            return w.m.out.answer(command, Answer::Refused(Refusal::Signature));
        };
        let peer = w.m.config.key.public();
        let verified = VerifiedUpdate::Propose { peer, author: opened.signer, head, payload: opened.value.0 };
        let update = ChanUpdate::propose(&w.m.config.key, key, head, payload);
        w.seen.note(update.id());
        self.update(w, update, verified, None, Some(command));
    }

    /// An update with good signatures has come. Whether the head allows it.
    pub(crate) fn update(
        &mut self,
        w: &mut Scene<'_, '_>,
        update: ChanUpdate,
        verified: VerifiedUpdate,
        from: Option<LinkId>,
        command: Option<CommandId>,
    ) -> bool {
        let key = *update.chan();
        let named = match &verified {
            VerifiedUpdate::Propose { head, .. } => *head,
            VerifiedUpdate::Accept { acceptance, .. } => acceptance.head,
        };
        let chan = self.chan(w.m, key);
        if chan.current().is_none_or(|current| current.root != named) {
            self.park(w, key, named, Parked::new(w.m.now, update, verified, from));
            return false;
        }
        let allowed = match verified {
            VerifiedUpdate::Propose { peer, author, payload, .. } => {
                let links = payload_links(&payload);
                self.proposed(w, update, (peer, author), links, (from, command))
            }
            VerifiedUpdate::Accept { peer, acceptance } => self.accepted(w, update, peer, &acceptance, from),
        };
        self.plan(key);
        allowed
    }

    /// Keeps an update until the head it names is here, and asks the sender for it.
    fn park(&mut self, w: &mut Scene<'_, '_>, key: SignPublicKey, named: Hash, parked: Parked) {
        let held_bytes = self.held_bytes;
        let chan = self.chan(w.m, key);
        // An older head that we have seen comes no more: the update is for the logs.
        let stale = chan.rules.contains_key(&named);
        let fits = chan.parked.len() < PARKED_MAX && held_bytes + parked.bytes <= HELD_BYTES_MAX;
        if stale || !fits {
            w.m.out.counters.messages_limited += u64::from(!fits);
            if !stale {
                w.seen.forget(&parked.update.id());
            }
            return;
        }
        if let (Some(from), false) = (parked.from, matches!(chan.head, HeadState::Reading)) {
            w.m.send(from, &Message::ChanHead(ChanHeadMessage::Get(key)));
        }
        let bytes = parked.bytes;
        chan.parked.push_back(parked);
        self.held_bytes += bytes;
        self.plan(key);
    }

    /// Tries the parked updates again: there is a new head.
    pub(super) fn unpark(&mut self, w: &mut Scene<'_, '_>, key: SignPublicKey) {
        let Some(chan) = self.chans.get_mut(&key) else { return };
        for parked in std::mem::take(&mut chan.parked) {
            self.held_bytes -= parked.bytes;
            self.update(w, parked.update, parked.verified, parked.from, None);
        }
    }

    /// A proposal under the present head. Whether that allows it.
    fn proposed(
        &mut self,
        w: &mut Scene<'_, '_>,
        update: ChanUpdate,
        (peer, author): (SignPublicKey, SignPublicKey),
        links: Vec<Hash>,
        (from, command): (Option<LinkId>, Option<CommandId>),
    ) -> bool {
        let key = *update.chan();
        let block = Bytes::from(update.to_bytes());
        let (id, held_bytes) = (Hash::of(&block), block.len());
        let full = self.held_bytes + held_bytes > HELD_BYTES_MAX;
        let now = w.m.now;
        let chan = self.chan(w.m, key);
        let allowed = chan.current().is_some_and(|current| current.rules.allows_proposal(&peer, &author));
        let outcome = if !allowed {
            w.m.out.counters.updates_foreign += 1;
            Some(Answer::Refused(Refusal::NotAllowed))
        } else if chan.log.contains(&id) || chan.rounds.contains_key(&id) {
            Some(Answer::Done)
        } else if full || chan.rounds.len() >= ROUNDS_MAX {
            w.m.out.counters.messages_limited += 1;
            Some(Answer::Refused(Refusal::Full { entries: chan.rounds.len() }))
        } else {
            None
        };
        if let Some(answer) = outcome {
            if let Some(command) = command {
                w.m.out.answer(command, answer);
            }
            return allowed;
        }
        let round = Round {
            until: now + chan.patience(),
            message: Some(update),
            held_bytes,
            from,
            command,
            links,
            voters: BTreeSet::new(),
            acceptances: Vec::new(),
            admitted: false,
        };
        chan.rounds.insert(id, round);
        self.held_bytes += held_bytes;
        let commit = Commit { blocks: vec![(id, block)], ..Commit::default() };
        self.commit(w.m, key, Task::StoreProposal(id), commit);
        self.take_early(w, key, id);
        allowed
    }

    /// Counts the acceptances that came before their proposal.
    fn take_early(&mut self, w: &mut Scene<'_, '_>, key: SignPublicKey, id: Hash) {
        let Some(chan) = self.chans.get_mut(&key) else { return };
        let early = std::mem::take(&mut chan.early);
        let (ours, others): (VecDeque<Early>, _) = early.into_iter().partition(|early| early.proposal == id);
        chan.early = others;
        for early in ours {
            self.vote(w, key, id, early.peer, (early.hash, early.block));
        }
    }

    /// The block of a proposal is written.
    pub(super) fn proposal_stored(
        &mut self,
        w: &mut Scene<'_, '_>,
        key: SignPublicKey,
        id: Hash,
        durable: bool,
    ) {
        let Some(round) = self.chans.get_mut(&key).and_then(|chan| chan.rounds.get_mut(&id)) else { return };
        if let Some(command) = round.command.take() {
            let answer = if durable { Answer::Posted { value: id } } else { Answer::Refused(Refusal::Store) };
            w.m.out.answer(command, answer);
        }
        if !durable {
            w.m.out.counters.commits_failed += 1;
            self.drop_round(key, &id);
            w.seen.forget(&id);
            return;
        }
        if w.m.config.validated_chans.contains(&key) {
            let ticket = w.m.out.ticket();
            self.tasks.insert(ticket, (key, Task::Validate(id)));
            w.m.out.push(Output::Validate { ticket, chan: key, proposal: id });
        } else {
            self.judged(w, key, id, true);
        }
    }

    /// A proposal is good, or the validator says that it is not. Others may admit it all the same.
    pub(super) fn judged(&mut self, w: &mut Scene<'_, '_>, key: SignPublicKey, id: Hash, good: bool) {
        let Some(chan) = self.chans.get_mut(&key) else { return };
        let Some(round) = chan.rounds.get_mut(&id) else { return };
        self.held_bytes -= std::mem::take(&mut round.held_bytes);
        let (Some(message), from) = (round.message.take(), round.from) else { return };
        if !good {
            w.m.out.counters.proposals_rejected += 1;
            return;
        }
        let Some(current) = chan.current().cloned() else { return };
        w.pass_on(from, &Message::ChanUpdate(message));
        let ours = w.m.config.key.public();
        if !current.rules.has_peer(&ours) {
            return;
        }
        let acceptance = Acceptance { seconds: w.m.unix_seconds(), head: current.root, proposal: id };
        let update = ChanUpdate::accept(&w.m.config.key, key, &acceptance);
        w.seen.note(update.id());
        self.accepted(w, update, ours, &acceptance, None);
        self.end_admitted(key, &id);
        self.plan(key);
    }

    /// An acceptance under the present head. Whether that allows it.
    fn accepted(
        &mut self,
        w: &mut Scene<'_, '_>,
        update: ChanUpdate,
        peer: SignPublicKey,
        acceptance: &Acceptance,
        from: Option<LinkId>,
    ) -> bool {
        let (key, id) = (*update.chan(), acceptance.proposal);
        let block = Bytes::from(update.to_bytes());
        let hash = Hash::of(&block);
        let now = w.m.now;
        let chan = self.chan(w.m, key);
        if !chan.current().is_some_and(|current| current.rules.has_peer(&peer))
            || block.len() > ACCEPTANCE_BYTES_MAX
        {
            w.m.out.counters.updates_foreign += 1;
            return false;
        }
        w.pass_on(from, &Message::ChanUpdate(update));
        let Some(chan) = self.chans.get_mut(&key) else { return true };
        if chan.rounds.contains_key(&id) || chan.log.contains(&id) {
            self.vote(w, key, id, peer, (hash, block));
        } else if chan.early.len() < EARLY_MAX {
            let until = now + chan.patience();
            chan.early.push_back(Early { until, proposal: id, peer, hash, block });
        } else {
            w.m.out.counters.messages_limited += 1;
        }
        true
    }

    /// Counts an acceptance of a proposal that is here.
    fn vote(
        &mut self,
        w: &mut Scene<'_, '_>,
        key: SignPublicKey,
        id: Hash,
        peer: SignPublicKey,
        (hash, block): (Hash, Bytes),
    ) {
        let Some(chan) = self.chans.get_mut(&key) else { return };
        let Some(current) = chan.current().cloned() else { return };
        let Some(round) = chan.rounds.get_mut(&id).filter(|round| !round.admitted) else {
            // The proposal is in the log, and so may be all that speaks for it.
            if chan.log.contains(&id)
                && chan.log.add(w.m, hash, vec![(hash, block)], None, false) == Added::New
            {
                self.dirty.insert(key);
            }
            return;
        };
        if round.acceptances.len() >= current.rules.peers.len() * ACCEPTANCES_PER_PEER {
            w.m.out.counters.messages_limited += 1;
            return;
        }
        round.voters.insert(peer);
        round.acceptances.push((hash, block));
        if round.voters.len() as u64 >= current.rules.votes_needed() {
            self.admit(w, key, id);
        }
    }

    /// Puts a proposal and its acceptances into the log. Of a round that is over, nothing.
    pub(super) fn admit(&mut self, w: &mut Scene<'_, '_>, key: SignPublicKey, id: Hash) {
        let Some(chan) = self.chans.get_mut(&key) else { return };
        let Some(round) = chan.rounds.get_mut(&id).filter(|round| !round.admitted) else { return };
        round.admitted = true;
        chan.log.add(w.m, id, Vec::new(), None, false);
        for (hash, block) in std::mem::take(&mut round.acceptances) {
            chan.log.add(w.m, hash, vec![(hash, block)], None, false);
        }
        for root in std::mem::take(&mut round.links) {
            w.brain.want(w.m, root, Keep::UntilDone, None);
        }
        w.m.out.counters.proposals_admitted += 1;
        self.dirty.insert(key);
        self.end_admitted(key, &id);
    }

    /// Ends the round of a proposal that is in the log and has been passed on, so that it takes no room from others.
    /// Acceptances that come later go to the log.
    fn end_admitted(&mut self, key: SignPublicKey, id: &Hash) {
        let round = self.chans.get(&key).and_then(|chan| chan.rounds.get(id));
        if round.is_some_and(|round| round.admitted && round.message.is_none() && round.command.is_none()) {
            self.drop_round(key, id);
        }
    }

    /// Forgets what has waited for too long.
    pub(super) fn expire(&mut self, w: &mut Scene<'_, '_>, key: SignPublicKey) {
        let now = w.m.now;
        let Some(chan) = self.chans.get_mut(&key) else { return };
        let over: Vec<Hash> =
            chan.rounds.iter().filter(|(_, round)| round.until <= now).map(|(id, _)| *id).collect();
        while chan.parked.front().is_some_and(|parked| parked.until <= now) {
            if let Some(parked) = chan.parked.pop_front() {
                self.held_bytes -= parked.bytes;
                // Whoever sends it again may be heard again.
                w.seen.forget(&parked.update.id());
            }
        }
        chan.early.retain(|early| early.until > now);
        for id in over {
            self.drop_round(key, &id);
        }
    }

    fn drop_round(&mut self, key: SignPublicKey, id: &Hash) {
        let round = self.chans.get_mut(&key).and_then(|chan| chan.rounds.remove(id));
        self.held_bytes -= round.map_or(0, |round| round.held_bytes);
    }
}

impl Chan {
    /// How long a proposal may wait for acceptances: twice what the head says, as in the original.
    fn patience(&self) -> Duration {
        let wait = self.current().map_or(0, |current| current.rules.wait);
        Duration::from_secs(2 * wait.clamp(WAIT_SECONDS_MIN, WAIT_SECONDS_MAX))
    }
}

impl Parked {
    fn new(now: Instant, update: ChanUpdate, verified: VerifiedUpdate, from: Option<LinkId>) -> Self {
        let bytes = update.to_bytes().len();
        Self { until: now + PARKED, update, verified, bytes, from }
    }
}
