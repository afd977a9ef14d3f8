//! One folder and its channel: what is known of both, and the lock of who works on them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hbs2_core::{ChanHead, Hash, RefKind, SignPublicKey, SignSecretKey};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::channel::Channel;
use crate::config::FolderConfig;
use crate::context::{Context, now};
use crate::error::{Result, SyncError};
use crate::groups::Groups;
use crate::history::{Entry, History};
use crate::link;
use crate::path::OWN;
use crate::plan::{Plan, World, plan};
use crate::root::Root;
use crate::scan::{Looking, Scan, scan};
use crate::state::{self, FolderState, LogState};

/// How long a head is waited for when the channel is new here, in seconds.
const HEAD_SECONDS: u64 = 15;

/// How long news of the channel are waited for when not all peers answer, in milliseconds: some round trips and the work
/// of a daemon on a few entries.
const NEWS_MILLIS: u64 = 1500;

/// How long they are waited for while something is being fetched, in seconds.
const NEWS_SECONDS_MAX: u64 = 120;

/// How long the log of a channel that was made elsewhere is waited for at the first run, in seconds.
const FIRST_NEWS_SECONDS: u64 = 10;

/// A folder that is kept equal with a channel.
pub struct Folder {
    pub(crate) root: Root,
    pub(crate) config: FolderConfig,
    pub(crate) chan: SignPublicKey,
    pub(crate) state: FolderState,
    pub(crate) channel: Channel,
    /// What the user has been told, so that he is told once.
    pub(crate) told: BTreeSet<String>,
    lock: Option<File>,
}

/// What would be done, and what was seen on both sides for it.
pub struct Prospect {
    /// What is in the folder.
    pub scan: Scan,
    /// What is in the channel.
    pub history: History,
    /// What would be done.
    pub plan: Plan,
}

/// Who writes to the channel.
pub(crate) struct Writer {
    pub(crate) secret: SignSecretKey,
}

impl Folder {
    /// Opens a folder that has a config.
    ///
    /// # Errors
    /// It is not there, or its config is missing or wrong.
    pub fn open(dir: &Path) -> Result<Self> {
        let failed = |source| SyncError::File { doing: "open", path: dir.to_owned(), source };
        let root = Root::open(&fs::canonicalize(dir).map_err(failed)?).map_err(failed)?;
        let config = FolderConfig::read(dir)?;
        let chan = config.refchan.ok_or_else(|| SyncError::NoChannel { dir: dir.to_owned() })?;
        let (state, log) = (FolderState::load(root.path(), &chan), LogState::load(root.path(), &chan));
        let channel = Channel::new(chan, log);
        Ok(Self { root, config, chan, state, channel, told: BTreeSet::new(), lock: None })
    }

    /// Where it is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.root.path()
    }

    /// What its config says.
    #[must_use]
    pub fn config(&self) -> &FolderConfig {
        &self.config
    }

    /// Its channel.
    #[must_use]
    pub fn chan(&self) -> SignPublicKey {
        self.chan
    }

    /// Makes sure that nobody else works in the folder while this value lives, and makes what the work needs.
    ///
    /// # Errors
    /// Somebody does; the directory of ours cannot be written.
    pub(crate) fn lock(&mut self) -> Result<()> {
        if self.lock.is_some() {
            return Ok(());
        }
        let place = state::place(self.dir());
        let failed = |doing, path: PathBuf| move |source| SyncError::File { doing, path, source };
        fs::create_dir_all(&place).map_err(failed("make", place.clone()))?;
        let path = place.join("lock");
        let file = File::create(&path).map_err(failed("write", path.clone()))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(SyncError::Busy { dir: self.dir().to_owned() }),
            Err(error) => return Err(failed("lock", path)(error.into())),
        }
        self.root.prepare().map_err(failed("prepare", self.root.own()))?;
        self.lock = Some(file);
        // Somebody else may have worked since the state was read.
        self.state = FolderState::load(self.dir(), &self.chan);
        self.channel = Channel::new(self.chan, LogState::load(self.dir(), &self.chan));
        Ok(())
    }

    /// Saves the state, after everything it speaks of is on stable storage: a base must never outlive its file.
    pub(crate) fn save(&mut self) -> Result<()> {
        let failed = |source| SyncError::File { doing: "write to", path: self.dir().to_owned(), source };
        self.root.sync().map_err(failed)?;
        self.state.save(self.dir(), &self.chan)?;
        if self.channel.is_changed {
            self.channel.known.save(self.dir(), &self.chan)?;
            self.channel.is_changed = false;
        }
        Ok(())
    }

    /// Tells the user something, once.
    pub(crate) fn note(&mut self, ctx: &Context<'_>, text: String) {
        if !self.told.contains(&text) {
            ctx.voice.note(&text);
            self.told.insert(text);
        }
    }

    /// The head of the channel. The daemon is subscribed; a head that is not known yet is waited for.
    ///
    /// # Errors
    /// None is known, or it has no readers.
    pub(crate) fn head(&self, ctx: &Context<'_>) -> Result<ChanHead> {
        let head = await_head(ctx, self.chan)?;
        let head = head.ok_or_else(|| SyncError::NoHead { dir: self.dir().to_owned() })?;
        if head.readers.is_empty() {
            return Err(SyncError::NoReaders { dir: self.dir().to_owned() });
        }
        Ok(head)
    }

    /// Who writes.
    ///
    /// # Errors
    /// The head does not allow it from here, or the secret of the author that the config names is not found.
    pub(crate) fn writer(&self, ctx: &Context<'_>, head: &ChanHead) -> Result<Writer> {
        let chan = self.chan;
        let author = match self.config.sign {
            Some(author) => author,
            None => own_author(ctx, head)?.ok_or(SyncError::NoAuthor { chan })?,
        };
        if !head.authors.contains(&author) {
            return Err(SyncError::NotAuthor { chan, author });
        }
        if let Some(peer) = link::own_key(ctx.client)?.filter(|peer| !head.has_peer(peer)) {
            return Err(SyncError::NotPeer { chan, peer });
        }
        let found = ctx.keys.find_sign(&author)?;
        let found = found.ok_or_else(|| SyncError::NoSign { dir: self.dir().to_owned() })?;
        Ok(Writer { secret: found.secret })
    }

    /// Who writes; none, with a note, when the head does not allow it from here: then the folder only reads.
    ///
    /// # Errors
    /// As [`Folder::writer`].
    pub(crate) fn writer_if_allowed(&mut self, ctx: &Context<'_>, head: &ChanHead) -> Result<Option<Writer>> {
        match self.writer(ctx, head) {
            Ok(writer) => Ok(Some(writer)),
            Err(
                wrong
                @ (SyncError::NoAuthor { .. } | SyncError::NotAuthor { .. } | SyncError::NotPeer { .. }),
            ) => {
                self.note(ctx, format!("{wrong}: changes made here are not posted"));
                self.note(ctx, format!("hint: {}", wrong.hint().unwrap_or_default()));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Asks other peers for news of the channel, and waits until all have told theirs, or while there are some.
    pub(crate) fn ask_for_news(&self, ctx: &Context<'_>) -> Result<()> {
        let (began, asked) = (Instant::now(), now());
        let mut seen = link::log(ctx.client, self.chan)?;
        let is_first = seen.is_none() && !state::exists(self.dir());
        if link::peers(ctx.client)? == 0 {
            return link::fetch(ctx.client, self.chan);
        }
        ctx.voice.status("asking for news");
        while began.elapsed() < Duration::from_secs(NEWS_SECONDS_MAX) {
            let until = Instant::now() + Duration::from_millis(NEWS_MILLIS);
            let left = || until.saturating_duration_since(Instant::now());
            if link::ask_news(ctx.client, self.chan, left())? {
                break;
            }
            let value = link::wait_ref(ctx.client, RefKind::ChanLog, self.chan, seen, left())?;
            let is_early =
                is_first && value.is_none() && began.elapsed() < Duration::from_secs(FIRST_NEWS_SECONDS);
            if value == seen && !is_early && !link::downloads_since(ctx.client, asked)? {
                break;
            }
            seen = value;
        }
        ctx.voice.status("");
        Ok(())
    }

    /// Reads the channel, waits for entries that are on their way, and tells what cannot be read. How many entries are
    /// still missing.
    pub(crate) fn read_channel(&mut self, ctx: &Context<'_>, groups: &mut Groups<'_>) -> Result<usize> {
        self.channel.read(ctx.client)?;
        let missing = self.channel.read_trees(ctx, groups)?;
        if missing > 0 {
            self.note(ctx, format!("{missing} entries of the channel have not arrived"));
        }
        let closed: Vec<String> =
            self.channel.closed().map(|(tree, why)| format!("cannot read entry {tree} {why}")).collect();
        let refused = std::mem::take(&mut self.channel.refused);
        let refused = refused.into_iter().map(|(tree, why)| format!("refused entry {tree} {why}"));
        for text in refused.chain(closed).collect::<Vec<_>>() {
            self.note(ctx, text);
        }
        Ok(missing)
    }

    /// What the channel says, with the entries on their way into it.
    pub(crate) fn history_here(&mut self) -> History {
        let entries = self.channel.entries();
        let listed: BTreeSet<Hash> = entries.iter().map(|entry| entry.id).collect();
        self.state.pending.retain(|pending| !listed.contains(&crate::entry::id(&pending.payload)));
        let pending = self.state.pending.iter().map(|pending| Entry {
            id: crate::entry::id(&pending.payload),
            time: pending.posted,
            tree: pending.tree,
            facts: pending.facts.clone(),
        });
        History::new(entries.into_iter().chain(pending.collect::<Vec<_>>()))
    }

    /// What the channel says, for those who only look.
    ///
    /// # Errors
    /// The daemon fails.
    pub fn history(&mut self, ctx: &Context<'_>) -> Result<History> {
        let mut groups = Groups::new(ctx);
        self.read_channel(ctx, &mut groups)?;
        Ok(self.history_here())
    }

    /// All entries of the channel, oldest first.
    ///
    /// # Errors
    /// The daemon fails.
    pub fn entries(&mut self, ctx: &Context<'_>) -> Result<Vec<Entry>> {
        let mut groups = Groups::new(ctx);
        self.read_channel(ctx, &mut groups)?;
        let mut entries = self.channel.entries();
        entries.sort_by_key(|entry| (entry.time, entry.id));
        Ok(entries)
    }

    /// What is in the folder.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn look(&self) -> Result<Scan> {
        let looking = Looking {
            masks: &self.config.masks,
            follow_links: self.config.follow_links,
            known: &self.state.reads,
        };
        scan(&self.root, looking).map_err(|source| SyncError::File {
            doing: "read",
            path: self.dir().to_owned(),
            source,
        })
    }

    /// What would be done now.
    ///
    /// # Errors
    /// The folder or the channel cannot be read.
    pub fn prospect(&mut self, ctx: &Context<'_>) -> Result<Prospect> {
        let history = self.history(ctx)?;
        let scan = self.look()?;
        let plan = self.plan_of(&scan, &history);
        Ok(Prospect { scan, history, plan })
    }

    pub(crate) fn plan_of(&self, scan: &Scan, history: &History) -> Plan {
        plan(&World {
            snapshot: &scan.snapshot,
            history,
            bases: &self.state.bases,
            covers: &|path| self.config.masks.covers(path),
            writes: !self.config.backup_mode,
        })
    }

    /// Removes directories in which there is nothing, the innermost first; gives their names.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn prune(&self) -> Result<Vec<String>> {
        let scan = self.look()?;
        let mut removed = Vec::new();
        for dir in scan.snapshot.dirs.iter().rev() {
            match self.root.remove_empty_dir(dir) {
                Ok(()) => removed.push(dir.to_string()),
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
                Err(source) => {
                    let path = self.dir().join(dir.as_str());
                    return Err(SyncError::File { doing: "remove", path, source });
                }
            }
        }
        Ok(removed)
    }
}

/// The head of a channel, awaited for a while if the channel is new here. The daemon is subscribed.
pub(crate) fn await_head(ctx: &Context<'_>, chan: SignPublicKey) -> Result<Option<ChanHead>> {
    link::subscribe(ctx.client, chan)?;
    let mut head = link::head(ctx.client, chan)?;
    if head.is_none() {
        link::fetch(ctx.client, chan)?;
        let wait = Duration::from_secs(HEAD_SECONDS);
        ctx.voice.status("waiting for the head of the channel");
        link::wait_ref(ctx.client, RefKind::ChanHead, chan, None, wait)?;
        ctx.voice.status("");
        head = link::head(ctx.client, chan)?;
    }
    Ok(head.map(|(_, head)| head))
}

/// The first author of a head whose key we have.
pub(crate) fn own_author(ctx: &Context<'_>, head: &ChanHead) -> Result<Option<SignPublicKey>> {
    for author in &head.authors {
        if ctx.keys.find_sign(author)?.is_some() {
            return Ok(Some(*author));
        }
    }
    Ok(None)
}

/// Whether a directory is a folder of ours.
#[must_use]
pub fn is_folder(dir: &Path) -> bool {
    dir.join(OWN).join("config").is_file()
}
