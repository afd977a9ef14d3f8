//! What the words of `hbs2-sync` share: the peer, the keys, and the folder that was chosen.

use std::cell::RefCell;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use hbs2_keyman::KeyIndex;
use hbs2_script::{Args, Raised};
use hbs2_sync::context::PATIENCE_SECONDS;
use hbs2_sync::folder::is_folder;
use hbs2_sync::{Context, Folder, RelPath, SyncError};

use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::keyman;
use crate::script::Around;
use crate::voice::{Progress, Talk, Voice};

/// The world of a program.
pub struct Sync<'v> {
    voice: &'v mut Voice,
    reach: Reach,
    around: Around,
    /// The folder that was chosen, as it was named.
    dir: Option<PathBuf>,
    daemon: Option<Daemon>,
    patience: Duration,
}

impl<'v> Sync<'v> {
    /// The world of this process. The folder we are in is chosen, if it is one. `patience` is how long nothing may come of
    /// what is awaited.
    ///
    /// # Errors
    /// The directory we are in is gone.
    pub fn new(reach: Reach, patience: Option<Duration>, voice: &'v mut Voice) -> Result<Self, Failure> {
        let around = Around::of_process().map_err(Failure::NoDirectory)?;
        let dir = is_folder(&around.directory).then(|| around.directory.clone());
        let patience = patience.unwrap_or(Duration::from_secs(PATIENCE_SECONDS));
        Ok(Self { voice, reach, around, dir, daemon: None, patience })
    }

    /// Where it speaks.
    pub fn voice(&mut self) -> &mut Voice {
        self.voice
    }

    /// A path as the user means it.
    #[must_use]
    pub fn path(&self, text: &str) -> PathBuf {
        self.around.path(text)
    }

    /// Chooses a folder.
    pub fn choose(&mut self, dir: PathBuf) {
        self.dir = Some(dir);
    }

    /// The directory that was chosen, else the one we are in.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(|| self.around.directory.clone())
    }

    /// The folder that was chosen.
    ///
    /// # Errors
    /// It has no config, or a wrong one.
    pub fn folder(&self) -> Result<Folder, Failure> {
        Ok(Folder::open(&self.dir())?)
    }

    /// Forgets the connection, for one that is lost.
    pub fn disconnect(&mut self) {
        self.daemon = None;
    }

    /// Works with the peer and the keys.
    ///
    /// # Errors
    /// Nobody answers, there is no home, stdout cannot be written; those of the work.
    pub fn with<T>(&mut self, work: impl FnOnce(&Context<'_>) -> Result<T, SyncError>) -> Result<T, Failure> {
        self.within(|context, _| work(context))
    }

    /// Works with the peer and the keys, and prints what the work gives.
    ///
    /// # Errors
    /// As [`Sync::with`].
    pub fn print(
        &mut self,
        work: impl FnOnce(&Context<'_>, &mut dyn FnMut(&[u8]) -> Result<(), SyncError>) -> Result<(), SyncError>,
    ) -> Result<(), Failure> {
        self.within(|context, teller| {
            work(context, &mut |bytes| {
                teller.voice.borrow_mut().out().write_all(bytes).map_err(SyncError::Output)
            })
        })
    }

    fn within<T>(
        &mut self,
        work: impl FnOnce(&Context<'_>, &Teller<'_>) -> Result<T, SyncError>,
    ) -> Result<T, Failure> {
        let daemon = match self.daemon.take() {
            Some(daemon) => daemon,
            None => Daemon::reach(&self.reach)?,
        };
        self.daemon = Some(daemon.clone());
        let keys: KeyIndex = keyman::index_with(self.voice.talk())?;
        let patience = self.patience;
        let teller = Teller::new(self.voice);
        let context = Context { client: daemon.client(), keys: &keys, voice: &teller, patience };
        let done = work(&context, &teller);
        teller.finish()?;
        Ok(done?)
    }
}

/// The argument at `index` as a path of a folder.
///
/// # Errors
/// It is none.
pub fn rel_path(args: Args<'_>, index: usize) -> Result<RelPath, Raised> {
    let text = args.word_at(index)?;
    let text = text.strip_prefix("./").unwrap_or(text);
    let wrong = |source| Raised::host(Failure::from(SyncError::Path { path: text.to_owned(), source }));
    RelPath::parse(text).map_err(wrong)
}

/// Lets the library speak: what was done to stdout, everything else to stderr.
struct Teller<'t> {
    voice: RefCell<&'t mut Voice>,
    talk: Talk,
    status: RefCell<Option<Progress>>,
    failed: RefCell<Option<io::Error>>,
}

impl<'t> Teller<'t> {
    fn new(voice: &'t mut Voice) -> Self {
        let talk = voice.talk().clone();
        Self { voice: RefCell::new(voice), talk, status: RefCell::new(None), failed: RefCell::new(None) }
    }

    fn finish(self) -> Result<(), Failure> {
        self.failed.into_inner().map_or(Ok(()), |error| Err(Failure::Output(error)))
    }
}

impl hbs2_sync::Voice for Teller<'_> {
    fn did(&self, line: &str) {
        let mut voice = self.voice.borrow_mut();
        // A watch lasts: what it has done shall be seen now.
        if let Err(error) = voice.line(line).and_then(|()| voice.flush()) {
            self.failed.borrow_mut().get_or_insert(error);
        }
    }

    fn note(&self, text: &str) {
        self.status("");
        self.talk.note(text);
    }

    fn status(&self, text: &str) {
        let mut status = self.status.borrow_mut();
        if text.is_empty() || !self.talk.is_watched() {
            *status = None;
        } else {
            status.get_or_insert_with(|| self.talk.status(text)).say(text);
        }
    }
}
