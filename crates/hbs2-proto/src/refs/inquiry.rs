//! Trees of peers that are looked at, for one reference.
//!
//! A peer names the tree of its log. The tree is fetched, its list read, and what we lack of it is looked at in
//! portions. What a portion needs is for the kind of reference to say: it is kept as the inquiry's work. A tree of which
//! all was taken is remembered, so that it is not looked at again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hbs2_core::Hash;

use super::seen::Merged;
use crate::brain::Brain;
use crate::moment::Moment;
use crate::{LinkId, Offence};

/// A peer's tree that is looked at.
#[derive(Debug)]
pub(crate) struct Inquiry<W> {
    /// Whose. A later value of the same peer replaces it while it is being fetched.
    from: LinkId,
    /// Whether it is here.
    fetched: bool,
    /// Whether all of it could be judged so far.
    whole: bool,
    /// What was found wrong with it.
    blamed: BTreeSet<Offence>,
    /// What is still to be looked at, once it is here.
    left: VecDeque<Hash>,
    /// What this kind of reference keeps with it.
    pub(crate) work: W,
}

impl<W> Inquiry<W> {
    /// The list has been read, as far as it is here; these of it are new.
    pub(crate) fn listed(&mut self, new: impl IntoIterator<Item = Hash>, complete: bool) {
        self.fetched = true;
        self.whole = complete;
        self.left = new.into_iter().collect::<BTreeSet<Hash>>().into_iter().collect();
    }

    /// Leaves out what is more than `max`: it comes with the peer's next answer.
    pub(crate) fn cut(&mut self, max: usize) {
        self.whole &= self.left.len() <= max;
        self.left.truncate(max);
    }

    /// Part of it could not be judged: it may be looked at again.
    pub(crate) fn mark_partial(&mut self) {
        self.whole = false;
    }

    /// Who named the tree.
    pub(crate) fn source(&self) -> LinkId {
        self.from
    }

    /// Something is wrong with it. Counts once for the whole tree: others may have slipped it into the peer's log.
    pub(crate) fn blame(&mut self, m: &mut Moment<'_>, offence: Offence) {
        if self.blamed.insert(offence) {
            m.offend(self.from, offence);
        }
    }

    /// The next portion; empty when there is no more, or no room.
    pub(crate) fn portion(&mut self, max: usize) -> Vec<Hash> {
        self.left.drain(..max.min(self.left.len())).collect()
    }
}

/// The trees that are looked at, and those that were.
#[derive(Debug)]
pub(crate) struct Inquiries<W> {
    /// Under way, by root.
    open: BTreeMap<Hash, Inquiry<W>>,
    merged: Merged,
}

impl<W> Default for Inquiries<W> {
    fn default() -> Self {
        Self { open: BTreeMap::new(), merged: Merged::default() }
    }
}

impl<W: Default> Inquiries<W> {
    /// Whether a tree may hold something that was not taken and is not being looked at.
    pub(crate) fn is_news(&self, root: &Hash) -> bool {
        !self.merged.contains(root) && !self.open.contains_key(root)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Begins to look at a peer's tree, in place of an earlier one of the same peer that has not come yet. Whether there
    /// is a place for it, of `max`; the caller then fetches the tree.
    pub(crate) fn begin(
        &mut self,
        m: &mut Moment<'_>,
        brain: &mut Brain,
        root: Hash,
        from: LinkId,
        max: usize,
    ) -> bool {
        let older = self.open.iter().find(|(_, inquiry)| inquiry.from == from && !inquiry.fetched);
        if let Some(older) = older.map(|(older, _)| *older) {
            self.open.remove(&older);
            brain.release(m, &older);
        }
        if self.open.len() >= max {
            m.out.counters.messages_limited += 1;
            return false;
        }
        let inquiry = Inquiry {
            from,
            fetched: false,
            whole: true,
            blamed: BTreeSet::new(),
            left: VecDeque::new(),
            work: W::default(),
        };
        self.open.insert(root, inquiry);
        true
    }

    pub(crate) fn get_mut(&mut self, root: &Hash) -> Option<&mut Inquiry<W>> {
        self.open.get_mut(root)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&Hash, &mut Inquiry<W>)> {
        self.open.iter_mut()
    }

    /// Gives a tree up: the next answer may try again.
    pub(crate) fn give_up(&mut self, root: &Hash) {
        self.open.remove(root);
    }

    /// Other rules hold now: trees that were looked at may be looked at again.
    pub(crate) fn forget_merged(&mut self) {
        self.merged = Merged::default();
    }

    /// All that can be taken of a tree now is taken. Returns what was kept with it.
    pub(crate) fn finish(&mut self, root: &Hash) -> Option<W> {
        let inquiry = self.open.remove(root)?;
        if inquiry.whole && inquiry.left.is_empty() {
            self.merged.note(*root);
        }
        Some(inquiry.work)
    }
}
