//! A repository: what the commands ask, and where its transactions are (spec: git3 8.1).
//!
//! `follow` keeps up with the reflog and chooses the state that counts; `state` is what is kept locally; `groups` opens
//! what is sealed, `members` changes who may.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use hbs2_core::tree::walk::{self, WalkError};
use hbs2_core::{Decode, Hash, LwwRef, RefKind, SignPublicKey, SignSecretKey};

use crate::content::Secrets;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::gitdir::GitDir;
use crate::ledger::{self, Ledger, View};
use crate::manifest::{self, MANIFEST_BYTES_MAX, Manifest};
use crate::refs::{PlacedLine, RefTable};
use crate::transaction::Transaction;
use crate::v2::LwwBlock;
use crate::wait;

mod follow;
mod groups;
mod members;
mod state;

pub(crate) use follow::{Fallback, not_imported};
pub use groups::JOURNAL_KEYS_MAX;
pub use members::GroupUpdate;
pub(crate) use state::State;
pub(crate) use state::{lock, make_dir};

/// How often the daemon asks for the lwwref and the reflog, in minutes: what the seed document shows.
const LWWREF_POLL_MINUTES: u32 = 31;
const REFLOG_POLL_MINUTES: u32 = 17;

/// How long `relay_only` waits for the repository, in seconds.
const RELAY_WAIT_SECONDS: u64 = 10;

/// One repository, seen from one place.
pub struct Repository<'a> {
    pub(crate) ctx: &'a Context<'a>,
    pub(crate) key: SignPublicKey,
    pub(crate) git: Option<GitDir>,
    located: RefCell<Option<Located>>,
    /// Secrets of group keys that were opened.
    secrets: RefCell<Secrets>,
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
    /// The group key that seals new segments, in an encrypted repository.
    pub group: Option<Hash>,
    /// The tree that lists all its group keys.
    pub journal: Option<Hash>,
}

impl<'a> Repository<'a> {
    /// The repository with this key. With a git directory, objects are imported into it and what is known is
    /// kept there; without one, only references can be had.
    #[must_use]
    pub fn open(ctx: &'a Context<'a>, key: SignPublicKey, git: Option<GitDir>) -> Self {
        Self { ctx, key, git, located: RefCell::default(), secrets: RefCell::default() }
    }

    /// The repository as it will be when `located` is published; until then nobody else knows of it.
    #[must_use]
    pub(crate) fn open_unpublished(
        ctx: &'a Context<'a>,
        key: SignPublicKey,
        git: GitDir,
        located: Located,
    ) -> Self {
        Self { located: RefCell::new(Some(located)), ..Self::open(ctx, key, Some(git)) }
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
        let (text, journal, is_new) = match cached_head(&cached, &head.value) {
            Some((text, journal)) => (text.to_vec(), journal, false),
            None => {
                let (text, journal) = self.read_head(head.value, patience)?;
                (text, journal, true)
            }
        };
        let wrong = |source| self.manifest_error(head.value, source);
        let manifest = Manifest::parse(&text).map_err(wrong)?;
        let reflog = manifest.reflog().map_err(wrong)?;
        let group = manifest.group().map_err(wrong)?;
        if is_new {
            self.poll(RefKind::Reflog, &reflog, REFLOG_POLL_MINUTES)?;
            if let Some(cache) = cache {
                make_dir(cache.parent().expect("a file in a directory"))?;
                let journal = journal.map_or_else(|| NO_JOURNAL.to_owned(), |journal| journal.to_string());
                ledger::replace(&cache, &[format!("{} {journal}\n", head.value).as_bytes(), &text].concat())?;
            }
        }
        let located = Located { head, manifest, reflog, group, journal };
        *self.located.borrow_mut() = Some(located.clone());
        Ok(located)
    }

    fn poll(&self, kind: RefKind, key: &SignPublicKey, minutes: u32) -> Result<()> {
        self.ctx.link(&format!("subscribe to {key}"), self.ctx.link.poll(kind, key, minutes))
    }

    /// Reads the manifest's text and the root of the journal.
    fn read_head(&self, value: Hash, patience: Duration) -> Result<(Vec<u8>, Option<Hash>)> {
        let what = format!("the manifest of repository {}", self.key);
        wait::until_present(self.ctx, &what, patience, || {
            let Some(block) = self.block(&value)? else { return Ok(Err(value)) };
            let (tree, journal) =
                manifest::read_value(&block).map_err(|_| self.not_a_repository(value, &block))?;
            match walk::content(tree, MANIFEST_BYTES_MAX, |hash| self.block(hash)) {
                Ok(text) => Ok(Ok((text, journal))),
                Err(WalkError::Missing { hash }) => Ok(Err(hash)),
                Err(WalkError::Source(error)) => Err(error),
                Err(_) => Err(Error::NotARepository { repo: self.key, value }),
            }
        })
    }

    /// The next question looks at the lwwref again.
    fn forget_location(&self) {
        self.located.borrow_mut().take();
    }

    fn not_a_repository(&self, value: Hash, block: &[u8]) -> Error {
        match LwwBlock::from_bytes(block).is_ok() {
            true => Error::Version2 { repo: self.key },
            false => Error::NotARepository { repo: self.key, value },
        }
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

    fn repo_dir(&self) -> Option<PathBuf> {
        self.git.as_ref().map(|git| git.state().join(self.key.to_string()))
    }

    fn state_dir(&self, reflog: &SignPublicKey) -> Option<PathBuf> {
        self.repo_dir().map(|dir| dir.join(reflog.to_string()))
    }
}

/// Stands for the journal in the cache file when there is none.
const NO_JOURNAL: &str = "-";

/// The manifest's text and the root of the journal in the cache file, if it belongs to this value.
fn cached_head<'a>(cached: &'a [u8], value: &Hash) -> Option<(&'a [u8], Option<Hash>)> {
    let end = cached.iter().position(|b| *b == b'\n')?;
    let (of, journal) = std::str::from_utf8(&cached[..end]).ok()?.split_once(' ')?;
    let journal = if journal == NO_JOURNAL { None } else { Some(journal.parse().ok()?) };
    (of == value.to_string()).then(|| (&cached[end + 1..], journal))
}
