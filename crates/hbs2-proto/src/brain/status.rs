//! What is told about wants and sources.

use std::collections::BTreeSet;
use std::time::Instant;

use hbs2_core::{Hash, SignPublicKey};

use super::Brain;
use super::block::Stage;
use super::rank::Source;
use super::wants::Want;
use crate::LinkId;
use crate::io::status::{MISSING_SHOWN_MAX, WantState, WantStatus};

impl Brain {
    /// All wants, oldest first.
    pub(crate) fn statuses(&self, now: Instant) -> impl Iterator<Item = WantStatus> {
        self.wants.iter().map(move |(_, want)| self.status_of(now, want))
    }

    /// How many trees are wanted, and how many of their blocks are known to be missing.
    pub(crate) fn wanted(&self) -> (usize, usize) {
        let missing = self.wants.iter().map(|(_, want)| want.active.len() + want.frontier.len());
        (self.wants.len(), missing.sum())
    }

    /// One want.
    pub(crate) fn status(&self, now: Instant, root: &Hash) -> Option<WantStatus> {
        let id = self.wants.find(root)?;
        self.wants.get(id).map(|want| self.status_of(now, want))
    }

    /// What is known of a peer.
    pub(crate) fn source(&self, link: LinkId) -> Option<&Source> {
        self.sources.get(&link)
    }

    /// Bytes of blocks asked for, partly here or with the driver.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.budget.held()
    }

    /// Whether the owner wants something that nobody has whom we could ask now.
    pub(crate) fn is_waiting(&self) -> bool {
        self.wants.iter().any(|(_, want)| want.bounds.is_none() && want.waits())
    }

    /// The peers whose turn it is, for the blocks of a want.
    fn busy_with(&self, want: &Want) -> Vec<SignPublicKey> {
        let mut links = BTreeSet::new();
        for block in want.active.iter().filter_map(|hash| self.blocks.get(hash)) {
            match block.stage {
                Stage::Ready(link) | Stage::Fetching(link, _) => drop(links.insert(link)),
                _ => links.extend(block.asked.iter().copied()),
            }
        }
        let keys: BTreeSet<SignPublicKey> =
            links.iter().filter_map(|link| self.sources.get(link)).map(|source| source.key).collect();
        keys.into_iter().collect()
    }

    /// When the first block of a want that waits is asked for again.
    fn retry_of(&self, want: &Want) -> Option<Instant> {
        let blocks = want.active.iter().filter_map(|hash| self.blocks.get(hash));
        blocks.filter_map(|block| block.retry()).min()
    }

    fn status_of(&self, now: Instant, want: &Want) -> WantStatus {
        let state = if want.walking.is_some() && want.active.is_empty() {
            WantState::Walking
        } else if self.sources.is_empty() {
            WantState::Alone
        } else if want.waits() {
            WantState::Waiting
        } else {
            WantState::Fetching
        };
        let missing = want.active.iter().chain(want.frontier.iter().rev());
        WantStatus {
            root: want.root,
            keep: want.keep,
            state,
            since: want.since,
            progress: want.progress,
            blocks: want.blocks,
            block_bytes: want.block_bytes,
            rate: want.rate(now),
            missing: want.active.len() + want.frontier.len(),
            missing_some: missing.take(MISSING_SHOWN_MAX).copied().collect(),
            asked: want.asked.iter().copied().collect(),
            busy: self.busy_with(want),
            retry: if state == WantState::Waiting { self.retry_of(want) } else { None },
        }
    }
}
