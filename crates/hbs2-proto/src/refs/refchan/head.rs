//! Which head of a channel counts: the owner's with the highest version.

use std::sync::Arc;

use bytes::Bytes;
use hbs2_core::cbor::Decode;
use hbs2_core::limits::CHAN_HEAD_BYTES_MAX;
use hbs2_core::refkey::RefKind;
use hbs2_core::{ChanHead, Hash, SignPublicKey, Signed};

use super::{Ask, FETCH, Fetch, HeadState, Refchans, Task};
use crate::brain::Bounds;
use crate::moment::Moment;
use crate::refs::scene::Scene;
use crate::wire::{AnnounceMeta, BlockAnnounce, ChanHeadMessage, ChanRequest, Message};
use crate::{Answer, CommandId, Commit, Event, LinkId, LogSource, Offence, Output, Refusal};

/// Heads of peers that are fetched for one channel at a time.
const OFFERS_MAX: usize = 8;

/// Proposals and notices of the owner that wait until the stored head is known, for one channel.
const ASKS_MAX: usize = 256;

/// Trees remembered as no newer head, for one channel.
const REFUSED_MAX: usize = 32;

/// Rules of heads that are kept for one channel: one for each change of its owner that is still of use.
const RULES_MAX: usize = 256;

/// A head that its owner has signed.
#[derive(Debug)]
pub(super) struct Current {
    /// Root of its tree.
    pub(super) root: Hash,
    /// Length of the root block, in bytes.
    pub(super) root_bytes: u64,
    /// What it says.
    pub(super) rules: Arc<ChanHead>,
}

impl Current {
    /// The head in the content of a tree, if the channel has signed it.
    pub(super) fn check(
        chan: &SignPublicKey,
        root: Hash,
        root_bytes: u64,
        content: &[u8],
    ) -> Option<Arc<Self>> {
        let opened = Signed::<ChanHead>::from_bytes(content).ok()?.verify().ok()?;
        (opened.signer == *chan).then(|| Arc::new(Self { root, root_bytes, rules: Arc::new(opened.value) }))
    }
}

impl Refchans {
    /// A peer asks for the head.
    pub(crate) fn head_request(
        &mut self,
        m: &mut Moment<'_>,
        process: &[u8],
        key: SignPublicKey,
        link: LinkId,
    ) {
        let chan = self.chan(m, key);
        match &chan.head {
            HeadState::Reading => drop(chan.head_askers.insert(link)),
            HeadState::None => {}
            HeadState::Known(current) => tell(m, process, key, current, link),
        }
    }

    /// Whether a peer's head may be one that we do not have and are not looking at.
    pub(crate) fn is_head_news(&self, key: &SignPublicKey, root: &Hash) -> bool {
        self.chans.get(key).is_none_or(|chan| {
            !chan.rules.contains_key(root) && !chan.refused.contains(root) && !chan.offers.contains_key(root)
        })
    }

    /// A peer has told its head, and it is news: fetch the tree.
    pub(crate) fn head_offered(
        &mut self,
        w: &mut Scene<'_, '_>,
        key: SignPublicKey,
        root: Hash,
        from: LinkId,
    ) {
        let chan = self.chan(w.m, key);
        let older = chan.offers.iter().find(|(_, link)| **link == from).map(|(root, _)| *root);
        if let Some(older) = older {
            chan.offers.remove(&older);
            self.fetches.forget(&older, &(key, Fetch::Offer));
            w.brain.release(w.m, &older);
        }
        let chan = self.chan(w.m, key);
        if chan.offers.len() >= OFFERS_MAX {
            w.m.out.counters.messages_limited += 1;
            return;
        }
        chan.offers.insert(root, from);
        self.fetch(w, key, root, Fetch::Offer, Some(from));
    }

    /// Wants a tree for a channel, which `from` has named.
    pub(super) fn fetch(
        &mut self,
        w: &mut Scene<'_, '_>,
        key: SignPublicKey,
        root: Hash,
        fetch: Fetch,
        from: Option<LinkId>,
    ) {
        let until = w.m.now + FETCH;
        let bounds = match fetch {
            Fetch::Offer | Fetch::Rules => Bounds::text(from, until),
            Fetch::Log => Bounds::log(from, until),
        };
        if !self.fetches.begin(w.m, w.brain, root, (key, fetch), bounds) {
            self.tree_lost(w, &root);
        }
    }

    pub(super) fn read_head(&mut self, m: &mut Moment<'_>, key: SignPublicKey) {
        let source = LogSource::Reference(RefKind::ChanHead.key(&key));
        self.read_from(m, key, source, Task::ReadHead);
    }

    pub(super) fn read_content(&mut self, m: &mut Moment<'_>, key: SignPublicKey, root: Hash, task: Task) {
        self.read_from(m, key, LogSource::Tree(root), task);
    }

    fn read_from(&mut self, m: &mut Moment<'_>, key: SignPublicKey, source: LogSource, task: Task) {
        let ticket = m.out.ticket();
        self.tasks.insert(ticket, (key, task));
        m.out.push(Output::ReadContent { ticket, source, bytes_max: CHAN_HEAD_BYTES_MAX });
    }

    /// The stored head is known.
    pub(super) fn head_loaded(
        &mut self,
        w: &mut Scene<'_, '_>,
        key: SignPublicKey,
        read: Option<Arc<Current>>,
    ) {
        let Some(chan) = self.chans.get_mut(&key) else { return };
        if let Some(current) = &read {
            chan.rules.insert(current.root, Arc::clone(&current.rules));
        }
        let askers = std::mem::take(&mut chan.head_askers);
        let posts = std::mem::take(&mut chan.posts);
        let process = *w.sessions.process();
        if let Some(current) = &read {
            askers.into_iter().for_each(|link| tell(w.m, &process, key, current, link));
        }
        chan.head = read.map_or(HeadState::None, HeadState::Known);
        let asks = std::mem::take(&mut chan.asks);
        for (head, command) in posts {
            self.install(w, key, &head, Some(command), None);
        }
        self.unpark(w, key);
        for (ask, command) in asks {
            match ask {
                Ask::Propose(payload) => self.propose(w, key, payload, command),
                Ask::Notify(signed) => self.notice(w, key, signed, None, Some(command)),
            }
        }
    }

    /// Keeps what the owner brings until the stored head is known; gives it back when it is.
    pub(super) fn when_head_is_known(
        &mut self,
        m: &mut Moment<'_>,
        key: SignPublicKey,
        ask: Ask,
        command: CommandId,
    ) -> Option<Ask> {
        let chan = self.chan(m, key);
        if !matches!(chan.head, HeadState::Reading) {
            return Some(ask);
        }
        if chan.asks.len() < ASKS_MAX {
            chan.asks.push((ask, command));
        } else {
            m.out.answer(command, Answer::Refused(Refusal::Full { entries: ASKS_MAX }));
        }
        None
    }

    /// The tree of a peer's head is here and has been read.
    pub(super) fn offer_read(
        &mut self,
        w: &mut Scene<'_, '_>,
        key: SignPublicKey,
        root: Hash,
        read: Option<Arc<Current>>,
    ) {
        let Some(chan) = self.chans.get_mut(&key) else { return };
        let Some(from) = chan.offers.remove(&root) else { return };
        match read {
            Some(head) => self.install(w, key, &head, None, Some(from)),
            None => {
                w.m.out.counters.values_bad += 1;
                w.m.offend(from, Offence::Bait);
                chan.refused.push_back(root);
                if chan.refused.len() > REFUSED_MAX {
                    chan.refused.pop_front();
                }
            }
        }
    }

    /// The owner publishes the head that he has stored as a tree.
    pub(crate) fn post_head(&mut self, m: &mut Moment<'_>, command: CommandId, root: Hash) {
        let ticket = m.out.ticket();
        self.posting.insert(ticket, command);
        let source = LogSource::Tree(root);
        m.out.push(Output::ReadContent { ticket, source, bytes_max: CHAN_HEAD_BYTES_MAX });
    }

    pub(super) fn post_read(
        &mut self,
        w: &mut Scene<'_, '_>,
        command: CommandId,
        read: Option<(Hash, u64, Bytes)>,
    ) {
        let head = read.and_then(|(root, bytes, content)| {
            let key = Signed::<ChanHead>::from_bytes(&content).ok()?.claimed_signer();
            Some((key, Current::check(&key, root, bytes, &content)))
        });
        let (key, head) = match head {
            None => return w.m.out.answer(command, Answer::Refused(Refusal::Malformed)),
            Some((_, None)) => return w.m.out.answer(command, Answer::Refused(Refusal::Signature)),
            Some((key, Some(head))) => (key, head),
        };
        let chan = self.chan(w.m, key);
        if matches!(chan.head, HeadState::Reading) {
            chan.posts.push((head, command));
        } else {
            self.install(w, key, &head, Some(command), None);
        }
    }

    /// Takes a head if it is newer.
    fn install(
        &mut self,
        w: &mut Scene<'_, '_>,
        key: SignPublicKey,
        head: &Arc<Current>,
        command: Option<CommandId>,
        from: Option<LinkId>,
    ) {
        let Some(chan) = self.chans.get_mut(&key) else { return };
        let known = chan.current().map_or(0, |current| current.rules.version);
        chan.rules.insert(head.root, Arc::clone(&head.rules));
        if chan.rules.len() > RULES_MAX {
            let oldest = chan.rules.iter().min_by_key(|(_, rules)| rules.version).map(|(root, _)| *root);
            oldest.and_then(|root| chan.rules.remove(&root));
        }
        if head.rules.version <= known {
            w.m.out.counters.values_stale += 1;
            if let Some(command) = command {
                w.m.out.answer(command, Answer::Refused(Refusal::Stale { known }));
            }
            return;
        }
        chan.head = HeadState::Known(Arc::clone(head));
        let commit =
            Commit { references: vec![(RefKind::ChanHead.key(&key), head.root)], ..Commit::default() };
        self.commit(w.m, key, Task::WriteHead(command), commit);
        w.pass_on(from, &Message::ChanHead(ChanHeadMessage::Head { chan: key, root: head.root }));
        if from.is_some() {
            // Logs that were told before the head could not be judged, and its peers may be others now.
            w.pass_on(None, &Message::ChanRequest(ChanRequest::Request(key)));
        }
        self.unpark(w, key);
    }

    pub(super) fn head_written(
        &mut self,
        m: &mut Moment<'_>,
        key: SignPublicKey,
        command: Option<CommandId>,
        durable: bool,
    ) {
        let root = self.chans.get(&key).and_then(|chan| chan.current()).map(|current| current.root);
        let answer = match root.filter(|_| durable) {
            Some(root) => {
                m.event(Event::ChanHeadChanged { chan: key, root });
                Answer::Posted { value: root }
            }
            None => {
                m.out.counters.commits_failed += 1;
                if let Some(chan) = self.chans.get_mut(&key) {
                    chan.head = HeadState::Reading;
                    self.read_head(m, key);
                }
                Answer::Refused(Refusal::Store)
            }
        };
        if let Some(command) = command {
            m.out.answer(command, answer);
        }
    }
}

/// Tells a peer the head: that there is a tree, and what it is.
fn tell(m: &mut Moment<'_>, process: &[u8], key: SignPublicKey, current: &Current, link: LinkId) {
    m.send(
        link,
        &Message::BlockAnnounce(BlockAnnounce {
            process: process.to_vec(),
            number: 0,
            meta: AnnounceMeta::None,
            bytes: current.root_bytes,
            hash: current.root,
        }),
    );
    m.send(link, &Message::ChanHead(ChanHeadMessage::Head { chan: key, root: current.root }));
}
