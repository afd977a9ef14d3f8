//! Taking over what a peer has in the same mailbox.
//!
//! The list of its entries is fetched and read; what we lack of it is looked at in portions: first the entries, then
//! the messages and deletions that they name, which are fetched. A message is taken if it is for this mailbox, its
//! signature is good and the policy allows the sender; a deletion if the owner has signed it for this message.

use std::collections::{BTreeMap, BTreeSet};

use hbs2_core::mailbox::{MailboxEntry, MailboxStatus};
use hbs2_core::{Hash, SignPublicKey, Signed};

use super::{FETCH, Fetch, Mailboxes, STATUS_SECONDS_MAX, Task, check_setting};
use crate::brain::Bounds;
use crate::moment::Moment;
use crate::refs::growing::Added;
use crate::refs::inquiry::Inquiry;
use crate::refs::scene::Scene;
use crate::{Expected, Found, Keep, LinkId, LogSource, Offence, Output, Ticket};

/// Trees of peers that are looked at for one mailbox at a time.
const INQUIRIES_MAX: usize = 4;

/// Entries looked at together: their blocks are fetched at the same time.
const PORTION_ENTRIES: usize = 128;

/// The portion of a peer's tree that is being looked at.
#[derive(Debug, Default)]
pub(super) struct Portion {
    /// Its entries by the block that each names.
    named: BTreeMap<Hash, Vec<(Hash, MailboxEntry)>>,
    /// Blocks on their way.
    coming: BTreeSet<Hash>,
    /// Examinations under way.
    examining: usize,
}

impl Mailboxes {
    /// A peer tells how a mailbox is.
    pub(crate) fn status(&mut self, w: &mut Scene<'_, '_>, signed: &Signed<MailboxStatus>, from: LinkId) {
        let Some(peer) = w.peer(from) else { return };
        let Some(opened) = signed.verify().ok().filter(|opened| opened.signer == peer) else {
            w.m.out.counters.letters_bad += 1;
            return w.m.offend(from, Offence::BadSignature);
        };
        let status = opened.value;
        let fresh = w.m.unix_seconds().is_some_and(|now| now.abs_diff(status.seconds) <= STATUS_SECONDS_MAX);
        let key = status.mailbox;
        let Some(mailbox) = self.boxes.get_mut(&key).filter(|_| fresh) else { return };
        let offered = status.policy.and_then(|signed| check_setting(&key, signed));
        let known = mailbox.offered.as_ref().map(|(_, setting)| setting.version).max(mailbox.version());
        if let Some((signed, setting)) =
            offered.filter(|(_, setting)| known.is_none_or(|known| setting.version > known))
        {
            mailbox.offered = Some((signed, setting));
            self.fetch_tree(w, key, setting.policy, Fetch::Offer, Some(from));
        }
        if let Some(root) = status.tree {
            self.look_at(w, key, root, from, &peer);
        }
    }

    /// Begins to look at a peer's tree, if it is news and the policy allows the peer.
    fn look_at(
        &mut self,
        w: &mut Scene<'_, '_>,
        key: SignPublicKey,
        root: Hash,
        from: LinkId,
        peer: &SignPublicKey,
    ) {
        let Some(mailbox) = self.boxes.get_mut(&key) else { return };
        let allowed = mailbox.rules.known().is_some_and(|policy| policy.allows_peer(peer));
        let news = mailbox.log.root() != Some(root) && mailbox.inquiries.is_news(&root);
        if allowed && news && mailbox.inquiries.begin(w.m, w.brain, root, from, INQUIRIES_MAX) {
            self.fetch_tree(w, key, root, Fetch::Entries, Some(from));
        }
    }

    /// Fetches a tree or block for a mailbox, which `from` has named.
    pub(super) fn fetch_tree(
        &mut self,
        w: &mut Scene<'_, '_>,
        key: SignPublicKey,
        root: Hash,
        fetch: Fetch,
        from: Option<LinkId>,
    ) {
        let until = w.m.now + FETCH;
        let bounds = match fetch {
            Fetch::Entries => Bounds::log(from, until),
            Fetch::Policy | Fetch::Offer | Fetch::Block(_) => Bounds::text(from, until),
        };
        if !self.fetches.begin(w.m, w.brain, root, (key, fetch), bounds) {
            self.tree_lost(w, &root);
        }
    }

    pub(super) fn read_tree(&mut self, m: &mut Moment<'_>, key: SignPublicKey, root: Hash) {
        let ticket = m.out.ticket();
        self.tasks.insert(ticket, (key, Task::ReadTree(root)));
        m.out.push(Output::ReadLog { ticket, source: LogSource::Tree(root) });
    }

    /// A peer's tree lists these entries: look at those we do not have.
    pub(super) fn inquired(
        &mut self,
        w: &mut Scene<'_, '_>,
        key: SignPublicKey,
        root: Hash,
        leaves: Vec<Hash>,
        complete: bool,
    ) {
        let Some(mailbox) = self.boxes.get_mut(&key) else { return };
        let Some(inquiry) = mailbox.inquiries.get_mut(&root) else { return };
        inquiry.listed(leaves.into_iter().filter(|leaf| !mailbox.log.contains(leaf)), complete);
        self.next_portion(w, key, root);
    }

    /// Looks at the next entries; ends the inquiry after the last.
    fn next_portion(&mut self, w: &mut Scene<'_, '_>, key: SignPublicKey, root: Hash) {
        let Some(mailbox) = self.boxes.get_mut(&key) else { return };
        let Some(inquiry) = mailbox.inquiries.get_mut(&root) else { return };
        let hashes = inquiry.portion(PORTION_ENTRIES.min(mailbox.log.room()));
        if !hashes.is_empty() {
            inquiry.work.examining += 1;
            let ticket = w.m.out.ticket();
            self.tasks.insert(ticket, (key, Task::ExamineEntries(root)));
            return w.m.out.push(Output::Examine { ticket, expected: Expected::Entry, hashes });
        }
        mailbox.inquiries.finish(&root);
    }

    /// Entries have been read: now the blocks that they name are needed.
    pub(super) fn entries_found(
        &mut self,
        w: &mut Scene<'_, '_>,
        key: SignPublicKey,
        root: Hash,
        blocks: Vec<(Hash, Found)>,
    ) {
        let Some(inquiry) = self.inquiry(&key, &root) else { return };
        inquiry.work.examining -= 1;
        for (hash, found) in blocks {
            match found {
                Found::Entry(entry) => match named(&entry) {
                    Some(block) => inquiry.work.named.entry(block).or_default().push((hash, entry)),
                    None => w.m.out.counters.letters_bad += 1,
                },
                Found::Absent => inquiry.mark_partial(),
                _ => w.m.out.counters.letters_bad += 1,
            }
        }
        let portion = &mut inquiry.work;
        portion.coming = portion.named.keys().copied().collect();
        let wanted: Vec<Hash> = portion.coming.iter().copied().collect();
        if wanted.is_empty() {
            return self.next_portion(w, key, root);
        }
        let from = Some(inquiry.source());
        for block in wanted {
            self.fetch_tree(w, key, block, Fetch::Block(root), from);
        }
    }

    /// A block that entries name is here, or cannot be had.
    pub(super) fn block_fetched(
        &mut self,
        w: &mut Scene<'_, '_>,
        key: SignPublicKey,
        root: Hash,
        block: Hash,
        here: bool,
    ) {
        let Some(inquiry) = self.inquiry(&key, &root) else { return };
        if !inquiry.work.coming.remove(&block) {
            return;
        }
        if !here {
            inquiry.mark_partial();
            inquiry.work.named.remove(&block);
        }
        let portion = &mut inquiry.work;
        if !portion.coming.is_empty() {
            return;
        }
        let (deletions, messages): (Vec<Hash>, Vec<Hash>) = portion.named.keys().partition(|block| {
            portion.named[*block].iter().any(|(_, entry)| matches!(entry, MailboxEntry::Deleted { .. }))
        });
        let jobs = [(Expected::Message(key), messages), (Expected::Deletion(key), deletions)];
        let jobs: Vec<_> = jobs.into_iter().filter(|(_, hashes)| !hashes.is_empty()).collect();
        portion.examining += jobs.len();
        if jobs.is_empty() {
            return self.next_portion(w, key, root);
        }
        for (expected, hashes) in jobs {
            let ticket: Ticket = w.m.out.ticket();
            self.tasks.insert(ticket, (key, Task::ExamineBlocks(root)));
            w.m.out.push(Output::Examine { ticket, expected, hashes });
        }
    }

    /// Messages and deletions have been examined: take the entries that they prove.
    pub(super) fn blocks_found(
        &mut self,
        w: &mut Scene<'_, '_>,
        key: SignPublicKey,
        root: Hash,
        blocks: Vec<(Hash, Found)>,
    ) {
        let Some(mailbox) = self.boxes.get_mut(&key) else { return };
        let Some(inquiry) = mailbox.inquiries.get_mut(&root) else { return };
        inquiry.work.examining -= 1;
        let policy = mailbox.rules.known();
        let mut parts = Vec::new();
        for (block, found) in blocks {
            let entries = inquiry.work.named.remove(&block).unwrap_or_default();
            for (name, entry) in entries {
                let good = match (&found, &entry) {
                    (Found::Message { sender, parts: attached }, MailboxEntry::Exists { .. }) => {
                        let allowed = policy.is_some_and(|policy| policy.allows_sender(sender));
                        if allowed {
                            parts.extend(attached);
                        }
                        w.m.out.counters.letters_refused += u64::from(!allowed);
                        allowed
                    }
                    (Found::Deletion { message }, MailboxEntry::Deleted { message: named, .. }) => {
                        message == named
                    }
                    (Found::Absent, _) => {
                        inquiry.mark_partial();
                        false
                    }
                    _ => {
                        w.m.out.counters.letters_bad += 1;
                        false
                    }
                };
                if good && mailbox.log.add(w.m, name, Vec::new(), None, true) == Added::New {
                    w.m.out.counters.letters_kept += 1;
                }
            }
        }
        let done = inquiry.work.examining == 0;
        for part in parts {
            w.brain.want(w.m, part, Keep::UntilDone, None);
        }
        self.dirty.insert(key);
        if done {
            self.next_portion(w, key, root);
        }
    }

    fn inquiry(&mut self, key: &SignPublicKey, root: &Hash) -> Option<&mut Inquiry<Portion>> {
        self.boxes.get_mut(key)?.inquiries.get_mut(root)
    }
}

/// The block that an entry needs: the message, or the proof of its deletion.
fn named(entry: &MailboxEntry) -> Option<Hash> {
    match entry {
        MailboxEntry::Exists { message, .. } => Some(*message),
        MailboxEntry::Deleted { proof, .. } => *proof,
    }
}
