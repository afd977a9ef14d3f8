//! Taking over what is in the log of a peer.
//!
//! The tree is fetched, its list read, and what we lack of it examined in portions on the driver's threads. Each update
//! is judged by the head it names, which is fetched if we never had it. A proposal is taken with its acceptances when
//! enough different peers have accepted it; acceptances of proposals that we have are taken as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hbs2_core::refchan::VerifiedUpdate;
use hbs2_core::{ChanHead, Hash, SignPublicKey};

use super::{Fetch, Refchans, Task};
use crate::io::EXAMINE_UPDATES_MAX;
use crate::moment::Moment;
use crate::refs::examine::payload_links;
use crate::refs::scene::Scene;
use crate::{Expected, Found, Keep, LinkId, LogSource, Offence, Output};

/// Logs of peers that are looked at for one channel at a time.
const INQUIRIES_MAX: usize = 8;

/// Updates of one peer's log that are examined before they are judged, at most: some 40 MiB. What is left comes with the
/// peer's next answer.
const EXAMINED_MAX: usize = 131_072;

/// Heads that are fetched for one peer's log, at most.
const HEADS_MAX: usize = 64;

/// What the updates of a peer's log say, until all are examined.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    proposals: BTreeMap<Hash, Proposed>,
    acceptances: Vec<Accepted>,
    /// Heads on their way.
    heads: BTreeSet<Hash>,
}

#[derive(Debug)]
struct Proposed {
    peer: SignPublicKey,
    author: SignPublicKey,
    head: Hash,
    links: Vec<Hash>,
}

#[derive(Debug)]
struct Accepted {
    hash: Hash,
    peer: SignPublicKey,
    head: Hash,
    proposal: Hash,
}

impl Gathered {
    fn named_heads(&self) -> BTreeSet<Hash> {
        let proposals = self.proposals.values().map(|proposed| proposed.head);
        proposals.chain(self.acceptances.iter().map(|accepted| accepted.head)).collect()
    }
}

impl Refchans {
    /// Whether the log of this peer is to be looked at: it is a peer of the channel, and its value is news.
    pub(crate) fn is_news(&self, key: &SignPublicKey, root: &Hash, peer: &SignPublicKey) -> bool {
        self.chans.get(key).is_some_and(|chan| {
            chan.current().is_some_and(|current| current.rules.has_peer(peer))
                && chan.log.root() != Some(*root)
                && chan.inquiries.is_news(root)
        })
    }

    /// A peer has told its value, and it is news: fetch the tree.
    pub(crate) fn response(&mut self, w: &mut Scene<'_, '_>, key: SignPublicKey, root: Hash, from: LinkId) {
        if self.chan(w.m, key).inquiries.begin(w.m, w.brain, root, from, INQUIRIES_MAX) {
            self.fetch(w, key, root, Fetch::Log, Some(from));
        }
    }

    pub(super) fn read_tree(&mut self, m: &mut Moment<'_>, key: SignPublicKey, root: Hash) {
        let ticket = m.out.ticket();
        self.tasks.insert(ticket, (key, Task::ReadTree(root)));
        m.out.push(Output::ReadLog { ticket, source: LogSource::Tree(root) });
    }

    /// A peer's tree lists these updates: examine those we do not have.
    pub(super) fn inquired(
        &mut self,
        w: &mut Scene<'_, '_>,
        key: SignPublicKey,
        root: Hash,
        leaves: Vec<Hash>,
        complete: bool,
    ) {
        let Some(chan) = self.chans.get_mut(&key) else { return };
        let Some(inquiry) = chan.inquiries.get_mut(&root) else { return };
        inquiry.listed(leaves.into_iter().filter(|leaf| !chan.log.contains(leaf)), complete);
        inquiry.cut(EXAMINED_MAX);
        self.examine_next(w, key, root);
    }

    fn examine_next(&mut self, w: &mut Scene<'_, '_>, key: SignPublicKey, root: Hash) {
        let Some(inquiry) = self.chans.get_mut(&key).and_then(|chan| chan.inquiries.get_mut(&root)) else {
            return;
        };
        let hashes = inquiry.portion(EXAMINE_UPDATES_MAX);
        if hashes.is_empty() {
            return self.fetch_rules(w, key, root);
        }
        let ticket = w.m.out.ticket();
        self.tasks.insert(ticket, (key, Task::Examine(root)));
        w.m.out.push(Output::Examine { ticket, expected: Expected::ChanUpdate(key), hashes });
    }

    /// The driver has examined updates of a peer's log.
    pub(super) fn examined(
        &mut self,
        w: &mut Scene<'_, '_>,
        key: SignPublicKey,
        root: Hash,
        blocks: Vec<(Hash, Found)>,
    ) {
        let Some(inquiry) = self.chans.get_mut(&key).and_then(|chan| chan.inquiries.get_mut(&root)) else {
            return;
        };
        for (hash, found) in blocks {
            match found {
                Found::Update(VerifiedUpdate::Propose { peer, author, head, payload }) => {
                    let links = payload_links(&payload);
                    inquiry.work.proposals.insert(hash, Proposed { peer, author, head, links });
                }
                Found::Update(VerifiedUpdate::Accept { peer, acceptance }) => {
                    let (head, proposal) = (acceptance.head, acceptance.proposal);
                    inquiry.work.acceptances.push(Accepted { hash, peer, head, proposal });
                }
                Found::Absent => inquiry.mark_partial(),
                Found::Foreign => {
                    w.m.out.counters.updates_foreign += 1;
                    inquiry.blame(w.m, Offence::Foreign);
                }
                _ => {
                    w.m.out.counters.updates_bad += 1;
                    inquiry.blame(w.m, Offence::BadSignature);
                }
            }
        }
        self.examine_next(w, key, root);
    }

    /// Everything is examined: now the heads that we never had are needed.
    fn fetch_rules(&mut self, w: &mut Scene<'_, '_>, key: SignPublicKey, root: Hash) {
        let Some(chan) = self.chans.get_mut(&key) else { return };
        let Some(inquiry) = chan.inquiries.get_mut(&root) else { return };
        let from = Some(inquiry.source());
        let gathered = &mut inquiry.work;
        let named = gathered.named_heads();
        let absent = named.into_iter().filter(|head| !chan.rules.contains_key(head));
        gathered.heads = absent.take(HEADS_MAX).collect();
        let heads = gathered.heads.clone();
        if heads.is_empty() {
            return self.judge(w, key, root);
        }
        for head in heads {
            self.fetch(w, key, head, Fetch::Rules, from);
        }
    }

    /// A head that updates in a peer's log name is known, or cannot be had.
    pub(super) fn rules_known(
        &mut self,
        w: &mut Scene<'_, '_>,
        key: SignPublicKey,
        head: Hash,
        rules: Option<Arc<ChanHead>>,
    ) {
        let Some(chan) = self.chans.get_mut(&key) else { return };
        if let Some(rules) = rules {
            chan.rules.insert(head, rules);
        }
        let mut ready = Vec::new();
        for (root, inquiry) in chan.inquiries.iter_mut() {
            let heads = &mut inquiry.work.heads;
            if heads.remove(&head) && heads.is_empty() {
                ready.push(*root);
            }
        }
        for root in ready {
            self.judge(w, key, root);
        }
    }

    /// Takes what is good of a peer's log.
    fn judge(&mut self, w: &mut Scene<'_, '_>, key: SignPublicKey, root: Hash) {
        let Some(chan) = self.chans.get_mut(&key) else { return };
        let Some(inquiry) = chan.inquiries.get_mut(&root) else { return };
        let mut gathered = std::mem::take(&mut inquiry.work);
        let rules = &chan.rules;
        let mut whole = gathered.named_heads().iter().all(|head| rules.contains_key(head));
        gathered
            .acceptances
            .retain(|accepted| rules.get(&accepted.head).is_some_and(|rules| rules.has_peer(&accepted.peer)));
        let mut voters: BTreeMap<Hash, (BTreeSet<SignPublicKey>, u64)> = BTreeMap::new();
        for accepted in &gathered.acceptances {
            let needed = rules.get(&accepted.head).map_or(u64::MAX, |rules| rules.votes_needed());
            let entry = voters.entry(accepted.proposal).or_default();
            entry.0.insert(accepted.peer);
            entry.1 = entry.1.max(needed);
        }
        let admitted: BTreeSet<Hash> = gathered
            .proposals
            .iter()
            .filter(|(id, proposed)| {
                let Some(rules) = rules.get(&proposed.head) else { return false };
                let (votes, needed) =
                    voters.get(id).map_or((0, 1), |(votes, needed)| (votes.len() as u64, *needed));
                rules.allows_proposal(&proposed.peer, &proposed.author)
                    && votes >= needed.max(rules.votes_needed())
            })
            .map(|(id, _)| *id)
            .collect();
        w.m.out.counters.updates_foreign += (gathered.proposals.len() - admitted.len()) as u64;
        for id in &admitted {
            whole &= chan.log.room() > 0;
            chan.log.add(w.m, *id, Vec::new(), None, true);
            for link in &gathered.proposals[id].links {
                w.brain.want(w.m, *link, Keep::UntilDone, None);
            }
        }
        for accepted in gathered.acceptances {
            if admitted.contains(&accepted.proposal) || chan.log.contains(&accepted.proposal) {
                whole &= chan.log.room() > 0;
                chan.log.add(w.m, accepted.hash, Vec::new(), None, true);
            }
        }
        if !whole {
            inquiry.mark_partial();
        }
        chan.inquiries.finish(&root);
        self.dirty.insert(key);
        // What waits here for acceptances need not wait any more.
        for id in admitted {
            self.admit(w, key, id);
        }
    }
}
