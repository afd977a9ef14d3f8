//! What is remembered of a repository: its transactions, and which packs are in git already.
//!
//! All of it can be read again from the daemon, so a file that is broken is as good as none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::PathBuf;

use hbs2_core::{Hash, SignPublicKey};

use super::snapshot::SnapshotRef;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::ids::IdSet;
use crate::ledger;
use crate::object::ObjectId;
use crate::repo::{lock, make_dir};

/// The local state, for the one process that may change it.
pub(crate) struct State {
    dir: Option<PathBuf>,
    /// What each transaction says; none when it is of another application or not of this reflog.
    pub(crate) known: BTreeMap<Hash, Option<SnapshotRef>>,
    /// The value of the reflog and the transaction that counts then.
    pub(crate) seen: Option<(Hash, Option<Hash>)>,
    /// Packs whose objects are in git.
    pub(crate) packs: BTreeSet<Hash>,
    /// Ids of the objects of all packs.
    ids: Option<IdSet>,
    _lock: Option<File>,
}

impl State {
    /// Opens the state in `dir`; waits until no other process has it open.
    pub(crate) fn open(ctx: &Context<'_>, key: &SignPublicKey, dir: Option<PathBuf>) -> Result<Self> {
        let mut state = Self {
            dir: None,
            known: BTreeMap::new(),
            seen: None,
            packs: BTreeSet::new(),
            ids: None,
            _lock: None,
        };
        let Some(dir) = dir else { return Ok(state) };
        make_dir(&dir)?;
        state._lock = Some(lock(ctx, key, &dir)?);
        state.ids = Some(IdSet::open(&dir.join("ids"))?);
        let text = |name: &str| {
            Ok::<_, Error>(String::from_utf8_lossy(&ledger::read_or_empty(&dir.join(name))?).into_owned())
        };
        state.known = text("transactions")?.lines().filter_map(read_known).collect();
        state.packs = text("packs")?.lines().filter_map(|line| line.parse().ok()).collect();
        state.seen = read_seen(&text("seen")?);
        state.dir = Some(dir);
        Ok(state)
    }

    /// Whether an object is in some pack.
    pub(crate) fn has(&self, id: &ObjectId) -> Result<bool> {
        self.ids.as_ref().map_or(Ok(false), |ids| ids.contains(id))
    }

    /// Remembers a pack whose objects are in git now.
    pub(crate) fn add_pack(&mut self, tree: Hash, objects: Vec<ObjectId>) -> Result<()> {
        if let Some(ids) = &mut self.ids {
            ids.add(objects)?;
        }
        self.packs.insert(tree);
        self.write("packs", self.packs.iter().map(|tree| format!("{tree}\n")).collect())
    }

    /// Forgets all packs, so that they are looked at again.
    pub(crate) fn forget_packs(&mut self) -> Result<()> {
        self.packs.clear();
        self.seen = None;
        let Some(dir) = self.dir.clone() else { return Ok(()) };
        self.ids = None;
        let path = dir.join("ids");
        match fs::remove_dir_all(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::File { doing: "remove", path, source });
            }
            _ => self.ids = Some(IdSet::open(&path)?),
        }
        self.save_seen()?;
        self.write("packs", String::new())
    }

    /// Remembers what was learnt about transactions.
    pub(crate) fn save_known(&self) -> Result<()> {
        let line = |(id, snapshot): (&Hash, &Option<SnapshotRef>)| match snapshot {
            Some(SnapshotRef { rank, head, bundles }) => format!("{id} {rank} {head} {bundles}\n"),
            None => format!("{id}\n"),
        };
        self.write("transactions", self.known.iter().map(line).collect())
    }

    /// Remembers which transaction counts.
    pub(crate) fn save_seen(&self) -> Result<()> {
        let text = match &self.seen {
            Some((root, Some(id))) => format!("{root} {id}\n"),
            Some((root, None)) => format!("{root}\n"),
            None => String::new(),
        };
        self.write("seen", text)
    }

    /// The group key with which the next export shall seal.
    pub(crate) fn pending_group(&self) -> Result<Option<Hash>> {
        let Some(dir) = &self.dir else { return Ok(None) };
        let text = ledger::read_or_empty(&dir.join("group"))?;
        Ok(std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok()))
    }

    /// Sets or clears the group key of the next export.
    pub(crate) fn set_pending_group(&self, group: Option<Hash>) -> Result<()> {
        self.write("group", group.map(|group| format!("{group}\n")).unwrap_or_default())
    }

    fn write(&self, name: &str, text: String) -> Result<()> {
        self.dir.as_ref().map_or(Ok(()), |dir| ledger::replace(&dir.join(name), text.as_bytes()))
    }
}

fn read_known(line: &str) -> Option<(Hash, Option<SnapshotRef>)> {
    match line.split(' ').collect::<Vec<_>>().as_slice() {
        [id] => Some((id.parse().ok()?, None)),
        [id, rank, head, bundles] => {
            let (rank, head, bundles) = (rank.parse().ok()?, head.parse().ok()?, bundles.parse().ok()?);
            Some((id.parse().ok()?, Some(SnapshotRef { rank, head, bundles })))
        }
        _ => None,
    }
}

fn read_seen(text: &str) -> Option<(Hash, Option<Hash>)> {
    match text.trim_end().split_once(' ') {
        Some((root, id)) => Some((root.parse().ok()?, Some(id.parse().ok()?))),
        None => Some((text.trim_end().parse().ok()?, None)),
    }
}
