//! What is told about wants and sources.

use hbs2_core::Hash;

use super::Brain;
use super::rank::Source;
use super::wants::Want;
use crate::LinkId;
use crate::io::status::{MISSING_SHOWN_MAX, WantState, WantStatus};

impl Brain {
    /// All wants, oldest first.
    pub(crate) fn statuses(&self) -> Vec<WantStatus> {
        self.wants.iter().map(|(_, want)| self.status_of(want)).collect()
    }

    /// One want.
    pub(crate) fn status(&self, root: &Hash) -> Option<WantStatus> {
        let id = self.wants.find(root)?;
        self.wants.get(id).map(|want| self.status_of(want))
    }

    /// What is known of a peer.
    pub(crate) fn source(&self, link: LinkId) -> Option<&Source> {
        self.sources.get(&link)
    }

    /// Bytes of blocks asked for, partly here or with the driver.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.budget.held()
    }

    fn status_of(&self, want: &Want) -> WantStatus {
        let state = if want.walking.is_some() && want.active.is_empty() {
            WantState::Walking
        } else if self.sources.is_empty() {
            WantState::Alone
        } else if want.parked > 0 && want.parked == want.active.len() {
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
            missing: want.active.len() + want.frontier.len(),
            missing_some: missing.take(MISSING_SHOWN_MAX).copied().collect(),
            asked: want.asked.iter().copied().collect(),
        }
    }
}
