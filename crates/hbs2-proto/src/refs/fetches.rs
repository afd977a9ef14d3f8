//! Trees that references want, and what for.
//!
//! A tree that a peer names is fetched within bounds, for one or several purposes; when it is here or is lost, each of
//! them is told.

use std::collections::{BTreeMap, BTreeSet};

use hbs2_core::Hash;

use crate::Keep;
use crate::brain::{Bounds, Brain, Wanted};
use crate::moment::Moment;

/// The trees that are fetched for one kind of reference.
#[derive(Debug)]
pub(crate) struct Fetches<P> {
    purposes: BTreeMap<Hash, BTreeSet<P>>,
}

impl<P> Default for Fetches<P> {
    fn default() -> Self {
        Self { purposes: BTreeMap::new() }
    }
}

impl<P: Ord> Fetches<P> {
    /// Wants what a peer has named. Whether there was a place; without one the tree is lost.
    #[must_use]
    pub(crate) fn begin(
        &mut self,
        m: &mut Moment<'_>,
        brain: &mut Brain,
        root: Hash,
        purpose: P,
        bounds: Bounds,
    ) -> bool {
        self.expect(root, purpose);
        brain.want(m, root, Keep::ThisRun, Some(bounds)) != Wanted::Full
    }

    /// Notes a purpose of a tree that is wanted anyway.
    pub(crate) fn expect(&mut self, root: Hash, purpose: P) {
        self.purposes.entry(root).or_default().insert(purpose);
    }

    /// Forgets a purpose.
    pub(crate) fn forget(&mut self, root: &Hash, purpose: &P) {
        if let Some(purposes) = self.purposes.get_mut(root) {
            purposes.remove(purpose);
        }
    }

    /// A tree is here or lost: its purposes.
    pub(crate) fn end(&mut self, root: &Hash) -> BTreeSet<P> {
        self.purposes.remove(root).unwrap_or_default()
    }
}
