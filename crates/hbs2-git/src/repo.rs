//! A repository: finding it, following its reflog, choosing the state that counts (spec: git3 8).

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::tree::walk::{self, WalkError};
use hbs2_core::{Decode, Hash, LwwRef, RefKind, ReflogUpdate, SignPublicKey, SignSecretKey};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::gitdir::GitDir;
use crate::ids::IdSet;
use crate::import::{self, Contents, Source};
use crate::ledger::{self, Ledger, View};
use crate::link::GET_HASHES_MAX;
use crate::manifest::{self, MANIFEST_BYTES_MAX, Manifest};
use crate::refs::{PlacedLine, RefTable};
use crate::transaction::{Payload, Transaction};
use crate::wait;

/// How often the daemon asks for the lwwref and the reflog, in minutes: what the seed document shows.
const LWWREF_POLL_MINUTES: u32 = 31;
const REFLOG_POLL_MINUTES: u32 = 17;

/// How long `relay_only` waits for the repository, in seconds.
const RELAY_WAIT_SECONDS: u64 = 10;

/// How often a process looks whether another one has left the lock, in milliseconds. The system has no lock
/// with a deadline.
const LOCK_LOOK_MS: u64 = 20;

/// One repository, seen from one place.
pub struct Repository<'a> {
    pub(crate) ctx: &'a Context<'a>,
    pub(crate) key: SignPublicKey,
    pub(crate) git: Option<GitDir>,
    located: RefCell<Option<Located>>,
}

/// Where a repository's transactions are.
#[derive(Debug, Clone)]
pub struct Located {
    /// The value of the lwwref.
    pub head: LwwRef,
    /// What it says about itself.
    pub manifest: Manifest,
    /// The reflog.
    pub reflog: SignPublicKey,
}

/// The local state, for the one process that may change it.
pub(crate) struct State {
    pub(crate) dir: Option<PathBuf>,
    pub(crate) ledger: Ledger,
    pub(crate) ids: Option<IdSet>,
    pub(crate) view: View,
    _lock: Option<File>,
}

/// What to do when the newest checkpoint is not here completely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fallback {
    /// Take the newest one that is: good enough for reading.
    Older,
    /// Fail: whoever writes must know the present state.
    Never,
}

impl<'a> Repository<'a> {
    /// The repository with this key. With a git directory, objects are imported into it and what is known is
    /// kept there; without one, only references can be had.
    #[must_use]
    pub fn open(ctx: &'a Context<'a>, key: SignPublicKey, git: Option<GitDir>) -> Self {
        Self { ctx, key, git, located: RefCell::new(None) }
    }

    /// The value of the lwwref, as far as the daemon has one now.
    ///
    /// # Errors
    /// The daemon is gone.
    pub fn head(&self) -> Result<Option<LwwRef>> {
        self.ctx.link("read the lwwref", self.ctx.link.lwwref(&self.key))
    }

    /// The manifest; waits for the lwwref, not for the reflog.
    ///
    /// # Errors
    /// The repository does not arrive in time, or is none.
    pub fn manifest(&self) -> Result<Manifest> {
        self.locate().map(|located| located.manifest)
    }

    /// The key of the reflog.
    ///
    /// # Errors
    /// As [`Repository::manifest`].
    pub fn reflog(&self) -> Result<SignPublicKey> {
        self.locate().map(|located| located.reflog)
    }

    /// Waits until the repository is here completely.
    ///
    /// # Errors
    /// Something does not arrive in time; the error names it.
    pub fn wait(&self) -> Result<Manifest> {
        let located = self.locate()?;
        if let Some(root) = self.reflog_value(&located)? {
            let what = format!("reflog {}", located.reflog);
            wait::for_trees(self.ctx, &what, self.ctx.settings.timeout, &[root])?;
        }
        Ok(located.manifest)
    }

    /// All transactions that are here, in the order of the reflog's tree.
    ///
    /// # Errors
    /// The repository does not arrive in time.
    pub fn transactions(&self) -> Result<Vec<Transaction>> {
        let located = self.locate()?;
        let Some(root) = self.reflog_value(&located)? else { return Ok(Vec::new()) };
        let mut ledger = Ledger::default();
        let listed = self.learn(&located, root, &mut ledger)?.0;
        let payload = |id: Hash| Some(Transaction { id, payload: ledger.get(&id)?.payload? });
        Ok(listed.into_iter().filter_map(payload).collect())
    }

    /// The present references. With a git directory the objects are imported as well.
    ///
    /// # Errors
    /// Something does not arrive in time, is malformed, or is sealed for others.
    pub fn refs(&self) -> Result<RefTable> {
        self.refresh(Fallback::Older).map(|view| view.refs)
    }

    /// All reference lines of imported segments, sorted by transaction.
    ///
    /// # Errors
    /// As [`Repository::refs`].
    pub fn refs_raw(&self) -> Result<Vec<PlacedLine>> {
        let state = self.refreshed_state(Fallback::Older)?;
        let placed = |(id, entry): (&Hash, &ledger::Entry)| {
            let transaction = *id;
            entry
                .lines
                .iter()
                .map(move |line| PlacedLine { transaction, line: line.clone() })
                .collect::<Vec<_>>()
        };
        Ok(state.ledger.entries().flat_map(placed).collect())
    }

    /// Imports what is new; gives the checkpoint that counts now.
    ///
    /// # Errors
    /// As [`Repository::refs`].
    pub fn import(&self) -> Result<Option<Transaction>> {
        self.refresh(Fallback::Older).map(|view| view.checkpoint)
    }

    /// The checkpoint that was imported last; asks nobody.
    ///
    /// # Errors
    /// The local state cannot be read.
    pub fn imported(&self) -> Result<Option<Transaction>> {
        let Some(dir) = self.repo_dir() else { return Ok(None) };
        let cached = ledger::read_or_empty(&dir.join("manifest"))?;
        let text = cached.iter().position(|b| *b == b'\n').map(|end| &cached[end + 1..]);
        let reflog = text.and_then(|text| Manifest::parse(text).ok()?.reflog().ok());
        reflog.map_or(Ok(None), |reflog| Ok(View::load(&dir.join(reflog.to_string()))?.checkpoint))
    }

    /// Makes the daemon keep and pass on the repository, without any git data.
    ///
    /// # Errors
    /// The daemon refuses, or the repository does not arrive within ten seconds; the subscription stays.
    pub fn relay_only(&self) -> Result<()> {
        let patience = self.ctx.settings.timeout.min(Duration::from_secs(RELAY_WAIT_SECONDS));
        let located = self.locate_within(patience)?;
        self.poll(RefKind::Lww, &self.key, LWWREF_POLL_MINUTES)?;
        self.poll(RefKind::Reflog, &located.reflog, REFLOG_POLL_MINUTES)?;
        wait::for_reference(self.ctx, RefKind::Reflog, &located.reflog, patience).map(drop)
    }

    /// Checks that we can write: the secret key is known, and the reflog's key grows from it. Gives the key of
    /// the reflog.
    ///
    /// # Errors
    /// [`Error::NoSecretKey`] or [`Error::ReflogMismatch`].
    pub fn credentials(&self) -> Result<SignPublicKey> {
        self.reflog_secret(&self.locate()?).map(|secret| secret.public())
    }

    pub(crate) fn reflog_secret(&self, located: &Located) -> Result<SignSecretKey> {
        let secret = self.owner_secret()?.ok_or(Error::NoSecretKey { repo: self.key })?;
        let seed =
            located.manifest.seed().map_err(|source| self.manifest_error(located.head.value, source))?;
        let derived = secret.derive(seed);
        if derived.public() == located.reflog {
            return Ok(derived);
        }
        Err(Error::ReflogMismatch { repo: self.key, derived: derived.public(), named: located.reflog })
    }

    fn owner_secret(&self) -> Result<Option<SignSecretKey>> {
        let found = self.ctx.keys.find_sign(&self.key);
        found.map_err(|source| Error::Keys { doing: format!("look for the key of {}", self.key), source })
    }

    fn manifest_error(&self, tree: Hash, source: manifest::ManifestError) -> Error {
        Error::Manifest { repo: self.key, tree, source: Box::new(source) }
    }

    /// Finds the manifest and the reflog; waits for the lwwref. Subscribes on first contact.
    ///
    /// # Errors
    /// The repository does not arrive in time, or is none.
    pub(crate) fn locate(&self) -> Result<Located> {
        self.locate_within(self.ctx.settings.timeout)
    }

    fn locate_within(&self, patience: Duration) -> Result<Located> {
        if let Some(located) = self.located.borrow().as_ref() {
            return Ok(located.clone());
        }
        let cache = self.repo_dir().map(|dir| dir.join("manifest"));
        let cached = cache.as_deref().map(ledger::read_or_empty).transpose()?.unwrap_or_default();
        let present = self.head()?;
        if present.is_none() || cached.is_empty() {
            self.poll(RefKind::Lww, &self.key, LWWREF_POLL_MINUTES)?;
        }
        self.ctx.link("ask for the lwwref", self.ctx.link.fetch_ref(RefKind::Lww, &self.key))?;
        let head = match present {
            Some(head) => head,
            None => {
                wait::for_reference(self.ctx, RefKind::Lww, &self.key, patience)?;
                self.head()?.ok_or(Error::NoRepository { repo: self.key, limit: patience })?
            }
        };
        let (manifest, text) = match cached_manifest(&cached, &head.value) {
            Some(text) => (Manifest::parse(text), None),
            None => {
                let text = self.read_manifest(head.value, patience)?;
                (Manifest::parse(&text), Some(text))
            }
        };
        let manifest = manifest.map_err(|source| self.manifest_error(head.value, source))?;
        let reflog = manifest.reflog().map_err(|source| self.manifest_error(head.value, source))?;
        if let Some(text) = text {
            self.poll(RefKind::Reflog, &reflog, REFLOG_POLL_MINUTES)?;
            if let Some(cache) = cache {
                make_dir(cache.parent().expect("a file in a directory"))?;
                ledger::replace(&cache, &[format!("{}\n", head.value).as_bytes(), &text].concat())?;
            }
        }
        let located = Located { head, manifest, reflog };
        *self.located.borrow_mut() = Some(located.clone());
        Ok(located)
    }

    fn poll(&self, kind: RefKind, key: &SignPublicKey, minutes: u32) -> Result<()> {
        self.ctx.link(&format!("subscribe to {key}"), self.ctx.link.poll(kind, key, minutes))
    }

    fn read_manifest(&self, value: Hash, patience: Duration) -> Result<Vec<u8>> {
        let what = format!("the manifest of repository {}", self.key);
        wait::until_present(self.ctx, &what, patience, || {
            let Some(block) = self.block(&value)? else { return Ok(Err(value)) };
            let Ok((tree, _journal)) = manifest::read_value(&block) else {
                return Err(Error::NotARepository { repo: self.key, value });
            };
            match walk::content(tree, MANIFEST_BYTES_MAX, |hash| self.block(hash)) {
                Ok(text) => Ok(Ok(text)),
                Err(WalkError::Missing { hash }) => Ok(Err(hash)),
                Err(WalkError::Source(error)) => Err(error),
                Err(_) => Err(Error::NotARepository { repo: self.key, value }),
            }
        })
    }

    fn block(&self, hash: &Hash) -> Result<Option<Bytes>> {
        Ok(self.ctx.link("read a block", self.ctx.link.get(&[*hash]))?.pop().flatten())
    }

    /// The reflog's value. None for a repository of ours that nobody has pushed to yet; for others we wait.
    pub(crate) fn reflog_value(&self, located: &Located) -> Result<Option<Hash>> {
        let ctx = self.ctx;
        let present = ctx.link("read the reflog", ctx.link.reflog(&located.reflog))?;
        ctx.link("ask for the reflog", ctx.link.fetch_ref(RefKind::Reflog, &located.reflog))?;
        if present.is_some() {
            return Ok(present);
        }
        self.poll(RefKind::Reflog, &located.reflog, REFLOG_POLL_MINUTES)?;
        if self.owner_secret()?.is_some() {
            return Ok(None);
        }
        let limit = ctx.settings.timeout;
        let found = wait::for_reference(ctx, RefKind::Reflog, &located.reflog, limit)?;
        found.map(Some).ok_or_else(|| Error::Timeout { what: format!("reflog {}", located.reflog), limit })
    }

    /// Follows the reflog and gives the state that counts. With nothing new this reads one small file.
    pub(crate) fn refresh(&self, fallback: Fallback) -> Result<View> {
        let located = self.locate()?;
        let root = self.reflog_value(&located)?;
        if let Some(dir) = self.state_dir(&located.reflog) {
            let view = View::load(&dir)?;
            if root.is_some() && view.root == root {
                return Ok(view);
            }
        }
        let mut state = self.open_state(&located)?;
        self.follow(&located, root, fallback, &mut state)?;
        Ok(state.view)
    }

    /// As [`Repository::refresh`], and keeps the lock.
    pub(crate) fn refreshed_state(&self, fallback: Fallback) -> Result<State> {
        let located = self.locate()?;
        let root = self.reflog_value(&located)?;
        let mut state = self.open_state(&located)?;
        self.follow(&located, root, fallback, &mut state)?;
        Ok(state)
    }

    /// Forgets what was imported, so that the next refresh imports everything that is absent again.
    pub(crate) fn forget(&self) -> Result<()> {
        let located = self.locate()?;
        let Some(dir) = self.state_dir(&located.reflog) else { return Ok(()) };
        let _lock = self.lock(&dir)?;
        for name in ["view", "transactions"] {
            let path = dir.join(name);
            match fs::remove_file(&path) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::File { doing: "remove", path, source });
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn repo_dir(&self) -> Option<PathBuf> {
        self.git.as_ref().map(|git| git.state().join(self.key.to_string()))
    }

    fn state_dir(&self, reflog: &SignPublicKey) -> Option<PathBuf> {
        self.repo_dir().map(|dir| dir.join(reflog.to_string()))
    }

    fn open_state(&self, located: &Located) -> Result<State> {
        let dir = self.state_dir(&located.reflog);
        let Some(path) = &dir else {
            return Ok(State {
                dir,
                ledger: Ledger::default(),
                ids: None,
                view: View::default(),
                _lock: None,
            });
        };
        make_dir(path)?;
        let lock = self.lock(path)?;
        let (ledger, ids, view) =
            (Ledger::open(Some(path))?, IdSet::open(&path.join("ids"))?, View::load(path)?);
        Ok(State { dir, ledger, ids: Some(ids), view, _lock: Some(lock) })
    }

    /// Waits until no other process changes the state.
    fn lock(&self, dir: &Path) -> Result<File> {
        let path = dir.join("lock");
        let fail = |source| Error::File { doing: "lock", path: path.clone(), source };
        let file = File::options().write(true).create(true).truncate(false).open(&path).map_err(fail)?;
        let (start, limit) = (Instant::now(), self.ctx.settings.timeout);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(fs::TryLockError::Error(source)) => return Err(fail(source)),
                Err(fs::TryLockError::WouldBlock) if start.elapsed() >= limit => {
                    let what = format!("another git process that works with repository {}", self.key);
                    return Err(Error::Timeout { what, limit });
                }
                Err(fs::TryLockError::WouldBlock) => {
                    self.ctx.voice.status("waiting for another git process that works with this repository");
                    std::thread::sleep(Duration::from_millis(LOCK_LOOK_MS));
                }
            }
        }
    }

    /// Brings the state up to the value `root` of the reflog.
    pub(crate) fn follow(
        &self,
        located: &Located,
        root: Option<Hash>,
        fallback: Fallback,
        state: &mut State,
    ) -> Result<()> {
        let Some(root) = root.filter(|root| state.view.root != Some(*root)) else { return Ok(()) };
        let (listed, all_known) = self.learn(located, root, &mut state.ledger)?;
        let chosen = self.choose(located, &listed, fallback, state)?;
        let (checkpoint, transactions, newest) = match chosen {
            Some((checkpoint, transactions, newest)) => (Some(checkpoint), transactions, newest),
            None => (None, Vec::new(), true),
        };
        state.ledger.save()?;
        state.view = View {
            // Only a state that cannot get better before the reflog changes is remembered for its root.
            root: Some(root).filter(|_| newest && all_known),
            checkpoint,
            refs: state.ledger.refs(&transactions),
        };
        state.dir.as_ref().map_or(Ok(()), |dir| state.view.save(dir))
    }

    /// Reads the transactions of a reflog that are not in the ledger yet. Gives its list, and whether all are
    /// known now.
    pub(crate) fn learn(
        &self,
        located: &Located,
        root: Hash,
        ledger: &mut Ledger,
    ) -> Result<(Vec<Hash>, bool)> {
        let what = format!("reflog {}", located.reflog);
        let listed = self.leaves(&what, root, self.ctx.settings.timeout)?;
        let unknown: Vec<Hash> = listed.iter().filter(|id| ledger.get(id).is_none()).copied().collect();
        let mut all_known = true;
        for group in unknown.chunks(GET_HASHES_MAX) {
            let blocks = self.ctx.link("read transactions", self.ctx.link.get(group))?;
            for (id, block) in group.iter().zip(blocks) {
                match block {
                    Some(block) => ledger.add(*id, read_transaction(&block, &located.reflog)),
                    None => all_known = false,
                }
            }
        }
        Ok((listed, all_known))
    }

    /// The entries of a tree; waits for its blocks.
    pub(crate) fn leaves(&self, what: &str, root: Hash, patience: Duration) -> Result<Vec<Hash>> {
        wait::until_present(self.ctx, what, patience, || {
            let leaves = self.ctx.link(&format!("read {what}"), self.ctx.link.leaves(&root))?;
            Ok(leaves.missing.map_or(Ok(leaves.hashes), Err))
        })
    }

    /// The checkpoint of the greatest rank that is here completely, its transactions, and whether it is the
    /// newest of all (spec: git3 8.2). Imports its segments.
    fn choose(
        &self,
        located: &Located,
        listed: &[Hash],
        fallback: Fallback,
        state: &mut State,
    ) -> Result<Option<(Transaction, Vec<Hash>, bool)>> {
        let mut first_error = None;
        for checkpoint in checkpoints(listed, &state.ledger) {
            let Payload::Checkpoint { tree, .. } = checkpoint.payload else { continue };
            let patience = if first_error.is_none() { self.ctx.settings.timeout } else { Duration::ZERO };
            match self.gather(located, checkpoint.id, tree, patience, state) {
                Ok(transactions) => {
                    if let Some(error) = &first_error {
                        self.ctx
                            .voice
                            .say(&format!("warning: {error}; showing checkpoint {} instead", checkpoint.id));
                    }
                    return Ok(Some((checkpoint, transactions, first_error.is_none())));
                }
                Err(error @ Error::MissingBlock { .. }) if fallback == Fallback::Older => {
                    first_error.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        first_error.map_or(Ok(None), Err)
    }

    /// Waits for everything a checkpoint lists and imports it; gives its transactions.
    fn gather(
        &self,
        located: &Located,
        checkpoint: Hash,
        tree: Hash,
        patience: Duration,
        state: &mut State,
    ) -> Result<Vec<Hash>> {
        let what = format!("checkpoint {checkpoint}");
        let transactions = self.leaves(&what, tree, patience)?;
        for id in &transactions {
            if state.ledger.get(id).is_none() {
                let found =
                    wait::until_present(self.ctx, &what, patience, || Ok(self.block(id)?.ok_or(*id)))?;
                state.ledger.add(*id, read_transaction(&found, &located.reflog));
            }
        }
        let sources = not_imported(&transactions, &state.ledger);
        self.bring_in(&what, &sources, patience, state)?;
        Ok(transactions)
    }

    /// Waits for segments and imports them.
    pub(crate) fn bring_in(
        &self,
        what: &str,
        sources: &[Source],
        patience: Duration,
        state: &mut State,
    ) -> Result<()> {
        if sources.is_empty() {
            return Ok(());
        }
        let trees: Vec<Hash> = sources.iter().map(|source| source.tree).collect();
        wait::for_trees(self.ctx, what, patience, &trees)?;
        let contents = match &self.git {
            Some(git) => import::import(self.ctx, git, sources)?,
            None => import::scan(self.ctx, sources)?,
        };
        // Ids before the ledger: after a crash in between the segments are read again, and nothing is lost.
        let mut ids = Vec::new();
        for Contents { transaction, ids: more, lines } in contents {
            ids.extend(more);
            state.ledger.set_imported(transaction, lines);
        }
        if let Some(set) = &mut state.ids {
            set.add(ids)?;
        }
        state.ledger.save()
    }
}

/// The manifest's text in the cache file, if it belongs to this value.
fn cached_manifest<'a>(cached: &'a [u8], value: &Hash) -> Option<&'a [u8]> {
    let end = cached.iter().position(|b| *b == b'\n')?;
    (cached[..end] == *value.to_string().as_bytes()).then(|| &cached[end + 1..])
}

/// What a transaction's block says; none when it is not of this reflog, badly signed, or of another kind.
fn read_transaction(block: &[u8], reflog: &SignPublicKey) -> Option<Payload> {
    let update = ReflogUpdate::from_bytes(block).ok()?;
    if update.key() != reflog || update.verify().is_err() {
        return None;
    }
    Payload::read(update.data())
}

/// The checkpoints among transactions, the greatest rank first; at equal ranks the greater hash.
fn checkpoints(listed: &[Hash], ledger: &Ledger) -> Vec<Transaction> {
    let mut ranked: Vec<(i128, Transaction)> = listed
        .iter()
        .filter_map(|id| match ledger.get(id)?.payload? {
            payload @ Payload::Checkpoint { rank, .. } => Some((rank, Transaction { id: *id, payload })),
            Payload::Segment { .. } => None,
        })
        .collect();
    ranked.sort_unstable_by_key(|(rank, checkpoint)| std::cmp::Reverse((*rank, checkpoint.id)));
    ranked.into_iter().map(|(_, checkpoint)| checkpoint).collect()
}

/// The segments among transactions that were not imported yet.
pub(crate) fn not_imported(transactions: &[Hash], ledger: &Ledger) -> Vec<Source> {
    let distinct: BTreeSet<&Hash> = transactions.iter().collect();
    let source = |id: &&Hash| match ledger.get(id)? {
        ledger::Entry { payload: Some(Payload::Segment { tree }), imported: false, .. } => {
            Some(Source { transaction: **id, tree: *tree })
        }
        _ => None,
    };
    distinct.iter().filter_map(source).collect()
}

fn make_dir(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(|source| Error::File { doing: "create", path: dir.to_owned(), source })
}
