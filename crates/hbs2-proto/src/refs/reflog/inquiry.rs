//! Looking at the tree behind a peer's answer.
//!
//! The tree is fetched, its list read, and what we lack of it examined in portions on the driver's threads. What is a
//! good update of this reflog waits for the next commit like any other; the rest is counted. While much is wanted
//! already, no further portion is examined, since each update may name a tree.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use hbs2_core::{Hash, SignPublicKey};

use super::{Reflogs, Task, Waiting};
use crate::brain::{Brain, Wanted};
use crate::io::{EXAMINE_UPDATES_MAX, REFLOG_UPDATES_MAX};
use crate::moment::Moment;
use crate::{Examined, Keep, LinkId, LogSource, Output, Ticket};

/// Trees of peers that are looked at for one reflog at a time: one for each of as many peers as we look for.
const INQUIRIES_MAX: usize = 32;

/// How long a peer's tree is fetched before it is given up. The original's.
const INQUIRY: Duration = Duration::from_secs(1200);

/// A peer's tree that is looked at.
#[derive(Debug)]
pub(super) struct Inquiry {
    /// Whose. A later value of the same peer replaces it while it is being fetched.
    from: LinkId,
    /// Whether it is here.
    fetched: bool,
    /// Whether all of it could be read so far.
    whole: bool,
    /// Its updates that are still to be examined, once it is here.
    left: VecDeque<Hash>,
}

impl Inquiry {
    fn new(from: LinkId) -> Self {
        Self { from, fetched: false, whole: true, left: VecDeque::new() }
    }
}

impl Reflogs {
    /// Whether a peer's value may hold something that we do not have and are not looking at.
    pub(crate) fn is_news(&self, key: &SignPublicKey, root: &Hash) -> bool {
        self.logs.get(key).is_none_or(|log| {
            log.root != Some(*root) && !log.merged.contains(root) && !log.inquiries.contains_key(root)
        })
    }

    /// A peer has told its value, and it is news: fetch the tree.
    pub(crate) fn response(
        &mut self,
        m: &mut Moment<'_>,
        brain: &mut Brain,
        key: SignPublicKey,
        root: Hash,
        from: LinkId,
    ) {
        let log = self.log(m, key);
        let older = log.inquiries.iter().find(|(_, inquiry)| inquiry.from == from && !inquiry.fetched);
        if let Some(older) = older.map(|(older, _)| *older) {
            log.inquiries.remove(&older);
            brain.release(m, &older);
        }
        if log.inquiries.len() >= INQUIRIES_MAX {
            m.out.counters.messages_limited += 1;
            return;
        }
        log.inquiries.insert(root, Inquiry::new(from));
        self.fetching.entry(root).or_default().insert(key);
        if brain.want(m, root, Keep::ThisRun, Some(m.now + INQUIRY)) == Wanted::Full {
            self.tree_lost(&root);
        }
    }

    /// A tree is here in full: reads it for the reflogs that are curious about it.
    pub(super) fn inquiry_fetched(&mut self, m: &mut Moment<'_>, root: &Hash) {
        for key in self.fetching.remove(root).unwrap_or_default() {
            let ticket = m.out.ticket();
            self.tasks.insert(ticket, (key, Task::Read(*root)));
            m.out.push(Output::ReadLog { ticket, source: LogSource::Tree(*root) });
        }
    }

    /// A peer's tree could not be had: the next answer may try again.
    pub(crate) fn tree_lost(&mut self, root: &Hash) {
        for key in self.fetching.remove(root).unwrap_or_default() {
            if let Some(log) = self.logs.get_mut(&key) {
                log.inquiries.remove(root);
            }
        }
    }

    /// A peer's tree lists these updates: examine those we do not have.
    pub(super) fn inquired(
        &mut self,
        m: &mut Moment<'_>,
        brain: &Brain,
        key: SignPublicKey,
        root: Hash,
        leaves: Vec<Hash>,
        complete: bool,
    ) {
        let Some(log) = self.logs.get_mut(&key) else { return };
        let Some(inquiry) = log.inquiries.get_mut(&root) else { return };
        inquiry.fetched = true;
        inquiry.whole = complete;
        let new =
            leaves.into_iter().filter(|leaf| !log.tree.contains(leaf) && !log.waiting_set.contains(leaf));
        inquiry.left = new.collect::<BTreeSet<Hash>>().into_iter().collect();
        self.examine_next(m, brain, key, root);
    }

    /// Gives the driver the next updates of a peer's tree to examine; ends the inquiry after the last.
    fn examine_next(&mut self, m: &mut Moment<'_>, brain: &Brain, key: SignPublicKey, root: Hash) {
        let Some(log) = self.logs.get_mut(&key) else { return };
        let Some(inquiry) = log.inquiries.get_mut(&root) else { return };
        if brain.is_crowded() {
            self.paused.insert((key, root));
            return;
        }
        let room = REFLOG_UPDATES_MAX.saturating_sub(log.tree.len() + log.waiting.len());
        let count = EXAMINE_UPDATES_MAX.min(inquiry.left.len()).min(room);
        let hashes: Vec<Hash> = inquiry.left.drain(..count).collect();
        if hashes.is_empty() {
            let whole = log.inquiries.remove(&root).is_some_and(|inquiry| inquiry.whole);
            if whole {
                log.merged.note(root);
            }
            return;
        }
        let ticket = m.out.ticket();
        self.tasks.insert(ticket, (key, Task::Examine(root)));
        m.out.push(Output::ExamineUpdates { ticket, key, hashes });
    }

    /// The driver has examined updates of a peer's tree.
    pub(crate) fn examined(
        &mut self,
        m: &mut Moment<'_>,
        brain: &mut Brain,
        ticket: Ticket,
        updates: Vec<(Hash, Examined)>,
    ) {
        let Some((key, Task::Examine(root))) = self.tasks.remove(&ticket) else { return };
        let Some(log) = self.logs.get_mut(&key) else { return };
        for (hash, examined) in updates {
            match examined {
                Examined::Valid { links } => {
                    if !log.tree.contains(&hash) && log.waiting_set.insert(hash) {
                        log.waiting.push(Waiting { hash, block: None, command: None, inquired: true });
                        self.dirty.insert(key);
                        for root in links {
                            brain.want(m, root, Keep::UntilDone, None);
                        }
                    }
                }
                Examined::Foreign => m.out.counters.updates_foreign += 1,
                Examined::Bad => m.out.counters.updates_bad += 1,
                Examined::Absent => {
                    if let Some(inquiry) = log.inquiries.get_mut(&root) {
                        inquiry.whole = false;
                    }
                }
            }
        }
        self.examine_next(m, brain, key, root);
    }

    /// Goes on with inquiries that had to wait.
    pub(super) fn resume_inquiries(&mut self, m: &mut Moment<'_>, brain: &Brain) {
        if !self.paused.is_empty() && !brain.is_crowded() {
            for (key, root) in std::mem::take(&mut self.paused) {
                self.examine_next(m, brain, key, root);
            }
        }
    }
}
