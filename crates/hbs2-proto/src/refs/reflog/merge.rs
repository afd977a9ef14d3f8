//! Taking over what is in the reflog of a peer.
//!
//! What we lack of it is examined in portions on the driver's threads. What is a good update of this reflog waits for the
//! next commit like any other; the rest is counted. While much is wanted already, no further portion is examined, since
//! each update may name a tree.

use std::collections::BTreeSet;
use std::time::Duration;

use hbs2_core::{Hash, SignPublicKey};

use super::{Reflogs, Task};
use crate::brain::{Bounds, Brain};
use crate::io::EXAMINE_UPDATES_MAX;
use crate::moment::Moment;
use crate::refs::growing::Added;
use crate::{Examined, Keep, LinkId, LogSource, Offence, Output, Ticket};

/// Trees of peers that are looked at for one reflog at a time: one for each of as many peers as we look for.
const INQUIRIES_MAX: usize = 32;

/// How long a peer's tree is fetched before it is given up. The original's.
const FETCH: Duration = Duration::from_secs(1200);

impl Reflogs {
    /// Whether a peer's value may hold something that we do not have and are not looking at.
    pub(crate) fn is_news(&self, key: &SignPublicKey, root: &Hash) -> bool {
        let log = self.logs.get(key);
        log.is_none_or(|log| log.updates.root() != Some(*root) && log.inquiries.is_news(root))
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
        if !self.log(m, key).inquiries.begin(m, brain, root, from, INQUIRIES_MAX) {
            return;
        }
        let bounds = Bounds::log(Some(from), m.now + FETCH);
        if !self.fetches.begin(m, brain, root, key, bounds) {
            self.tree_lost(&root);
        }
    }

    /// A peer's tree could not be had.
    pub(crate) fn tree_lost(&mut self, root: &Hash) {
        for key in self.fetches.end(root) {
            if let Some(log) = self.logs.get_mut(&key) {
                log.inquiries.give_up(root);
            }
        }
    }

    /// Asks the driver for the list in a peer's tree.
    pub(super) fn read_tree(&mut self, m: &mut Moment<'_>, key: SignPublicKey, root: Hash) {
        let ticket = m.out.ticket();
        self.tasks.insert(ticket, (key, Task::Read(root)));
        m.out.push(Output::ReadLog { ticket, source: LogSource::Tree(root) });
    }

    /// A peer's tree lists these updates: examine those we do not have.
    pub(super) fn inquired(
        &mut self,
        m: &mut Moment<'_>,
        brain: &mut Brain,
        key: SignPublicKey,
        root: Hash,
        leaves: Vec<Hash>,
        complete: bool,
    ) {
        let Some(log) = self.logs.get_mut(&key) else { return };
        let Some(inquiry) = log.inquiries.get_mut(&root) else { return };
        inquiry.listed(leaves.into_iter().filter(|leaf| !log.updates.contains(leaf)), complete);
        self.examine_next(m, brain, key, root);
    }

    /// Gives the driver the next updates of a peer's tree to examine; ends the inquiry after the last.
    fn examine_next(&mut self, m: &mut Moment<'_>, brain: &Brain, key: SignPublicKey, root: Hash) {
        let Some(log) = self.logs.get_mut(&key) else { return };
        let Some(inquiry) = log.inquiries.get_mut(&root) else { return };
        if brain.is_crowded() || log.updates.is_crowded() {
            self.paused.insert((key, root));
            return;
        }
        let hashes = inquiry.portion(EXAMINE_UPDATES_MAX.min(log.updates.room()));
        if hashes.is_empty() {
            log.inquiries.finish(&root);
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
        let (mut all, mut blamed) = (true, BTreeSet::new());
        for (hash, examined) in updates {
            match examined {
                Examined::Valid { links } => match log.updates.add(m, hash, Vec::new(), None, true) {
                    Added::New => {
                        for root in links {
                            brain.want(m, root, Keep::UntilDone, None);
                        }
                    }
                    Added::Known => {}
                    Added::Refused => all = false,
                },
                Examined::Foreign => {
                    m.out.counters.updates_foreign += 1;
                    blamed.insert(Offence::Foreign);
                }
                Examined::Bad => {
                    m.out.counters.updates_bad += 1;
                    blamed.insert(Offence::BadSignature);
                }
                Examined::Absent => all = false,
            }
        }
        if let Some(inquiry) = log.inquiries.get_mut(&root) {
            if !all {
                inquiry.mark_partial();
            }
            blamed.into_iter().for_each(|offence| inquiry.blame(m, offence));
        }
        self.dirty.insert(key);
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
