//! Reading a channel: its log, and the entries in it.
//!
//! The log is what our own daemon has admitted: it has checked every signature, and whether the head of the time allows
//! the signer. Each update is read once, and what matters of it remembered. Then come heads and metadata of the trees that
//! entries point to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hbs2_core::refchan::{Acceptance, Proposal};
use hbs2_core::{AnnotatedTree, Blob, ChanUpdate, Decode, Hash, Meta, SealedBlock, SignPublicKey};
use hbs2_rpc::Client;

use crate::context::Context;
use crate::entry::{self, EntryError, Facts, Kind};
use crate::error::{Result, SyncError};
use crate::groups::{Access, Groups};
use crate::history::Entry;
use crate::link;
use crate::state::{KnownTree, LogState, Update};

/// Updates that are fetched and read at once.
const PORTION: usize = 4096;

/// How long a wait for blocks lasts before it is looked what has come.
const LOOK: Duration = Duration::from_secs(1);

/// The log of a channel and what is known of the trees in it.
pub(crate) struct Channel {
    key: SignPublicKey,
    /// What was read, ever.
    pub(crate) known: LogState,
    /// The log as it was read last.
    root: Option<Hash>,
    /// The updates in it.
    listed: BTreeSet<Hash>,
    /// Whether there is something to save.
    pub(crate) is_changed: bool,
    /// Trees that are sealed with a key that we do not have, or are no sealed trees; looked at again in the next run.
    closed: BTreeMap<Hash, String>,
    /// Trees that did not come when they were waited for.
    late: BTreeSet<Hash>,
    /// Hostile entries that were met.
    pub(crate) refused: Vec<(Hash, EntryError)>,
}

impl Channel {
    pub(crate) fn new(key: SignPublicKey, known: LogState) -> Self {
        Self {
            key,
            known,
            root: None,
            listed: BTreeSet::new(),
            is_changed: false,
            closed: BTreeMap::new(),
            late: BTreeSet::new(),
            refused: Vec::new(),
        }
    }

    /// Reads what is new in the log. Whether anything is.
    pub(crate) fn read(&mut self, client: &Client) -> Result<bool> {
        let root = link::log(client, self.key)?;
        if root == self.root {
            return Ok(false);
        }
        let leaves = match root {
            Some(root) => link::leaves(client, root)?,
            None => Vec::new(),
        };
        let new: Vec<Hash> =
            leaves.iter().filter(|hash| !self.known.updates.contains_key(hash)).copied().collect();
        let mut whole = true;
        for portion in new.chunks(PORTION) {
            let blocks = link::blocks(client, portion.to_vec())?;
            for (hash, block) in portion.iter().zip(blocks) {
                match block {
                    Some(block) => drop(self.known.updates.insert(*hash, read_update(self.key, &block))),
                    None => whole = false,
                }
            }
            self.is_changed = true;
        }
        self.listed = leaves.into_iter().collect();
        self.closed.clear();
        // A block that is missing makes the log be read again.
        self.root = root.filter(|_| whole);
        Ok(true)
    }

    /// The trees of all entries in the log.
    fn trees(&self) -> BTreeSet<Hash> {
        let tree = |hash| match self.known.updates.get(hash) {
            Some(Update::Entry { tree, .. }) => Some(*tree),
            _ => None,
        };
        self.listed.iter().filter_map(tree).collect()
    }

    /// Trees in the log about which nothing is known.
    fn unread(&self) -> Vec<Hash> {
        let trees = self.trees();
        let is_new = |tree: &Hash| !self.known.trees.contains_key(tree) && !self.closed.contains_key(tree);
        trees.into_iter().filter(is_new).collect()
    }

    /// Reads heads and metadata of the trees in the log, and waits for those that are on their way as long as something
    /// comes. How many are still missing.
    pub(crate) fn read_trees(&mut self, ctx: &Context<'_>, groups: &mut Groups<'_>) -> Result<usize> {
        let mut missing = self.unread();
        let (mut mark, mut since) = (None, Instant::now());
        loop {
            let before = missing.len();
            self.read_heads(ctx.client, groups, &missing)?;
            missing.retain(|tree| !self.known.trees.contains_key(tree) && !self.closed.contains_key(tree));
            if missing.iter().all(|tree| self.late.contains(tree)) {
                break;
            }
            if missing.len() < before {
                since = Instant::now();
                continue;
            }
            if since.elapsed() >= ctx.patience {
                // Nobody waits for them again; they are read when they are here.
                self.late.extend(missing.iter().copied());
                break;
            }
            ctx.voice.status(&format!("waiting for {} entries", missing.len()));
            let status = link::wait_trees(ctx.client, &missing, LOOK, Some(mark.unwrap_or_default()))?;
            if mark != Some(status.mark) {
                since = Instant::now();
            } else if link::peers(ctx.client)? == 0 && !status.complete {
                // Nobody is there who could give them.
                since = Instant::now().checked_sub(ctx.patience).unwrap_or(since);
            }
            mark = Some(status.mark);
        }
        ctx.voice.status("");
        Ok(missing.len())
    }

    fn read_heads(&mut self, client: &Client, groups: &mut Groups<'_>, roots: &[Hash]) -> Result<()> {
        for portion in roots.chunks(PORTION) {
            let heads = link::blocks(client, portion.to_vec())?;
            let mut found = Vec::new();
            for (root, block) in portion.iter().zip(heads) {
                let Some(block) = block else { continue };
                match sealed_meta(&block) {
                    Ok((key, meta)) => found.push((*root, key, meta)),
                    Err(reason) => drop(self.closed.insert(*root, reason)),
                }
            }
            let metas = link::blocks(client, found.iter().map(|(_, _, meta)| *meta).collect())?;
            for ((root, key, _), block) in found.into_iter().zip(metas) {
                let Some(block) = block else { continue };
                let secret = match groups.secret(&key)? {
                    Access::Open(secret) => secret,
                    // It comes with the rest of the tree.
                    Access::Absent => continue,
                    Access::Closed => {
                        self.closed.insert(root, format!("no access to group key {key}"));
                        continue;
                    }
                };
                let text =
                    SealedBlock::from_bytes(&block).ok().and_then(|block| block.open_meta(&secret).ok());
                let facts = match text.map(|text| Facts::read(&text)) {
                    Some(Ok(facts)) => Some(facts),
                    Some(Err(EntryError::NoName)) | None => None,
                    Some(Err(error)) => {
                        self.refused.push((root, error));
                        None
                    }
                };
                self.known.trees.insert(root, KnownTree { key, facts });
                self.is_changed = true;
            }
        }
        Ok(())
    }

    /// Entries that cannot be read, and why.
    pub(crate) fn closed(&self) -> impl Iterator<Item = (&Hash, &String)> {
        self.closed.iter()
    }

    /// The root of the group key of a tree.
    pub(crate) fn key_of(&self, tree: &Hash) -> Option<Hash> {
        self.known.trees.get(tree).map(|tree| tree.key)
    }

    /// Notes the facts of a tree that was made here.
    pub(crate) fn note(&mut self, tree: Hash, key: Hash, facts: Facts) {
        self.known.trees.insert(tree, KnownTree { key, facts: Some(facts) });
        self.is_changed = true;
    }

    /// Notes the hash of the content of a tree.
    pub(crate) fn learn(&mut self, tree: Hash, content: Hash) {
        self.known.contents.insert(tree, content);
        self.is_changed = true;
    }

    /// All entries in the log that can be read.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let mut times: BTreeMap<Hash, u64> = BTreeMap::new();
        for hash in &self.listed {
            if let Some(Update::Acceptance { proposal, seconds }) = self.known.updates.get(hash) {
                let time = times.entry(*proposal).or_default();
                *time = (*time).max(*seconds);
            }
        }
        let entry = |hash: &Hash| {
            let Some(Update::Entry { id, tree }) = self.known.updates.get(hash) else { return None };
            let facts = self.known.trees.get(tree)?.facts.clone()?;
            let time = times.get(hash).copied().unwrap_or_default();
            Some(self.informed(Entry { id: *id, time, tree: *tree, facts }))
        };
        self.listed.iter().filter_map(entry).collect()
    }

    /// An entry with the hash of its content, if it was found by reading it.
    pub(crate) fn informed(&self, mut entry: Entry) -> Entry {
        if let Kind::File { content: content @ None, .. } = &mut entry.facts.kind {
            *content = self.known.contents.get(&entry.tree).copied();
        }
        entry
    }
}

/// The group key and the metadata block of a sealed tree, from its head.
fn sealed_meta(block: &[u8]) -> std::result::Result<(Hash, Hash), String> {
    let tree = AnnotatedTree::from_bytes(block).map_err(|_| "it is no annotated tree".to_owned())?;
    let key = tree.crypt.group_key().map_err(|error| error.to_string())?;
    match tree.meta {
        Meta::Block(meta) => Ok((key, meta)),
        Meta::None | Meta::Short(_) => Err("its metadata are not sealed".to_owned()),
    }
}

/// What a block of the log says.
fn read_update(chan: SignPublicKey, block: &[u8]) -> Update {
    match ChanUpdate::from_bytes(block) {
        Ok(ChanUpdate::Propose { chan: named, signed }) if named == chan => {
            let proposal = Proposal::from_bytes(signed.payload());
            let payload = proposal.and_then(|proposal| Blob::from_bytes(proposal.payload.payload()));
            let entry = payload.ok().and_then(|Blob(payload)| {
                Some(Update::Entry { id: entry::id(&payload), tree: entry::target(&payload)? })
            });
            entry.unwrap_or(Update::Other)
        }
        Ok(ChanUpdate::Accept { chan: named, signed }) if named == chan => {
            Acceptance::from_bytes(signed.payload()).map_or(Update::Other, |acceptance| Update::Acceptance {
                proposal: acceptance.proposal,
                seconds: acceptance.seconds.unwrap_or_default(),
            })
        }
        Ok(_) | Err(_) => Update::Other,
    }
}

/// Waits until the trees of these roots are here, as long as something comes.
///
/// # Errors
/// Nothing comes any more.
pub(crate) fn wait_whole(ctx: &Context<'_>, roots: &[Hash], what: &str, patience: Duration) -> Result<()> {
    let (mut mark, mut since) = (None, Instant::now());
    loop {
        let status = link::wait_trees(ctx.client, roots, LOOK.min(patience), mark)?;
        if status.complete {
            return Ok(());
        }
        if mark != Some(status.mark) {
            since = Instant::now();
        }
        mark = Some(status.mark);
        if since.elapsed() >= patience {
            return Err(SyncError::Stalled { what: what.to_owned(), seconds: patience.as_secs() });
        }
        ctx.voice.status(&format!("waiting for {what}: {} blocks missing", status.missing));
    }
}
