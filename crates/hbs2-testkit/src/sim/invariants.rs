//! What must hold in a world after each step.
//!
//! Memory keeps its limits; a reference takes only values that its rule allows; a command is answered once, and what
//! was asked of a node that still runs is answered in the end.

use std::collections::BTreeSet;

use hbs2_core::cbor::Decode;
use hbs2_core::lwwref::LwwRef;
use hbs2_core::mailbox::MailboxEntry;
use hbs2_core::refkey::RefKind;
use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::{ChanHead, ChanUpdate, Hash, SignPublicKey, Signed};
use hbs2_proto::{CommandId, Commit, Event};

use super::disk::Disk;
use super::world::{NodeId, Sim};

/// Memory for blocks that a node may hold, in bytes: its budget and one block more.
const HELD_BYTES_MAX: u64 = 48 * 1024 * 1024;

/// Unsent bytes that a node may have on one link.
const UNSENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How often a node may be woken at one moment. Whoever always has something to do at once never sleeps.
const WAKES_MAX: u32 = 1000;

/// The kinds of reference whose values have a rule.
const RULED: [RefKind; 5] =
    [RefKind::Reflog, RefKind::Lww, RefKind::ChanHead, RefKind::ChanLog, RefKind::Mailbox];

impl Sim {
    /// Checks from now on every value that an honest node's store gets for the references of this key.
    pub fn watch(&mut self, key: SignPublicKey) {
        self.watched.extend(RULED.map(|kind| (kind.key(&key), (kind, key))));
    }

    /// The commands that running nodes have not answered.
    #[must_use]
    pub fn unanswered(&self) -> Vec<(NodeId, CommandId)> {
        self.asked.iter().map(|(command, node)| (*node, *command)).collect()
    }

    /// The invariants of a node.
    pub(super) fn check(&self, id: NodeId) {
        let place = &self.places[id.0];
        let Some(node) = &place.node else { return };
        let (held, unsent) = (node.held_bytes(), node.unsent_bytes());
        assert!(held <= HELD_BYTES_MAX, "{} holds {held} bytes of blocks; {self}", place.name);
        let links = (self.lines.count(id) + self.datagrams.of(id)).max(1);
        assert!(unsent <= links * UNSENT_BYTES_MAX, "{} has {unsent} unsent bytes; {self}", place.name);
    }

    /// A node is woken: it does not go on asking for that at the same moment.
    pub(super) fn check_sleep(&mut self, id: NodeId) {
        let (at, times) = self.places[id.0].woken;
        let times = if at == self.now { times + 1 } else { 0 };
        self.places[id.0].woken = (self.now, times);
        assert!(times < WAKES_MAX, "{} does not sleep; {self}", self.name(id));
    }

    /// Keeps what a node tells.
    pub(super) fn told(&mut self, id: NodeId, event: Event) {
        if let Event::Answer { command, .. } = &event {
            let asked = self.asked.remove(command);
            assert!(asked == Some(id), "{} answers {command:?} that is not open; {self}", self.name(id));
        }
        self.places[id.0].events.push(event);
    }

    /// Writes a commit, and checks the references that it changes.
    pub(super) fn write(&mut self, id: NodeId, commit: Commit) {
        let honest = self.places[id.0].faults.is_empty();
        let changed = commit.references.iter().filter(|_| honest);
        let changed: Vec<Change> = changed
            .filter_map(|(reference, after)| {
                let (kind, key) = *self.watched.get(reference)?;
                let before = self.places[id.0].disk.reference(reference);
                Some(Change { kind, key, before, after: *after })
            })
            .collect();
        self.places[id.0].disk.commit(commit);
        for change in changed {
            if let Err(what) = self.judge(id, &change) {
                panic!("{what} at {}; {self}", self.name(id));
            }
        }
    }

    fn judge(&self, id: NodeId, change: &Change) -> Result<(), &'static str> {
        let disk = &self.places[id.0].disk;
        match change.kind {
            RefKind::Reflog => grown(disk, change, |block| {
                let update = ReflogUpdate::from_bytes(block).ok();
                update.is_some_and(|update| *update.key() == change.key && update.verify().is_ok())
            }),
            RefKind::ChanLog => grown(disk, change, |block| {
                let update = ChanUpdate::from_bytes(block).ok();
                update.is_some_and(|update| *update.chan() == change.key && update.verify().is_ok())
            }),
            RefKind::Mailbox => grown(disk, change, |block| MailboxEntry::from_bytes(block).is_ok()),
            RefKind::Lww => {
                let value = |root: &Hash| opened::<LwwRef>(disk.get(root)?, &change.key);
                let new = value(&change.after).ok_or("a value without a good signature was stored")?;
                let old = change.before.and_then(|root| value(&root));
                if old.is_some_and(|old| !new.beats(&old)) { Err("a value went back") } else { Ok(()) }
            }
            RefKind::ChanHead => {
                let head = |root: Hash| opened::<ChanHead>(&self.content(id, root, usize::MAX)?, &change.key);
                let new = head(change.after).ok_or("a head without a good signature was stored")?;
                let old = change.before.and_then(head);
                if old.is_some_and(|old| new.version <= old.version) {
                    Err("a head went back")
                } else {
                    Ok(())
                }
            }
            RefKind::Any => Ok(()),
        }
    }

    pub(super) fn name(&self, id: NodeId) -> &str {
        &self.places[id.0].name
    }
}

/// A reference that gets another value.
struct Change {
    kind: RefKind,
    key: SignPublicKey,
    before: Option<Hash>,
    after: Hash,
}

/// A set only grows, is stored in full, and what is new in it is good.
fn grown(disk: &Disk, change: &Change, good: impl Fn(&[u8]) -> bool) -> Result<(), &'static str> {
    let before: BTreeSet<Hash> =
        change.before.map(|root| disk.leaves(root).0).unwrap_or_default().into_iter().collect();
    let (after, complete) = disk.leaves(change.after);
    let after: BTreeSet<Hash> = after.into_iter().collect();
    if !complete {
        return Err("a set was stored in part");
    }
    if !before.is_subset(&after) {
        return Err("a set has lost what was in it");
    }
    let all_good = after.difference(&before).all(|hash| disk.get(hash).is_some_and(|block| good(block)));
    if all_good { Ok(()) } else { Err("something foreign entered a set") }
}

/// What is in a box with a good signature by this key.
fn opened<T: Decode>(block: &[u8], key: &SignPublicKey) -> Option<T> {
    let opened = Signed::<T>::from_bytes(block).ok()?.verify().ok()?;
    (opened.signer == *key).then_some(opened.value)
}
