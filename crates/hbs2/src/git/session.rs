//! One call of `hbs2-git3`: what its commands share, made when the first of them needs it.

use std::sync::Mutex;

use hbs2_core::groupkey::{GroupKey, GroupKeyId, GroupSecret};
use hbs2_core::{Hash, SignPublicKey, SignSecretKey};
use hbs2_git::context::system_now;
use hbs2_git::keys::{Keys, KeysError};
use hbs2_git::{Context, Generation, GitConfig, GitDir, Repository, Settings, remotes, v2};

use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::keyman;
use crate::voice::{Progress, Talk, Tone, Voice};

/// What the commands of one call share.
pub struct Session<'v> {
    /// Where they speak.
    pub voice: &'v mut Voice,
    reach: Reach,
    daemon: Option<Daemon>,
    local: Option<Local>,
}

/// The git side: directory, configuration and the settings in force.
struct Local {
    git: Option<GitDir>,
    config: GitConfig,
    settings: Settings,
}

impl<'v> Session<'v> {
    /// A session that talks to the peer that `reach` means.
    #[must_use]
    pub fn new(voice: &'v mut Voice, reach: Reach) -> Self {
        Self { voice, reach, daemon: None, local: None }
    }

    /// The running peer.
    ///
    /// # Errors
    /// Nobody answers.
    pub fn daemon(&mut self) -> Result<Daemon, Failure> {
        if self.daemon.is_none() {
            self.daemon = Some(Daemon::reach(&self.reach)?);
        }
        Ok(self.daemon.clone().expect("it was found above"))
    }

    /// The settings in force; changes hold for the rest of the call.
    ///
    /// # Errors
    /// git cannot tell its configuration.
    pub fn settings(&mut self) -> Result<&mut Settings, Failure> {
        Ok(&mut self.local()?.settings)
    }

    /// The configuration of git here.
    ///
    /// # Errors
    /// git cannot tell it.
    pub fn config(&mut self) -> Result<&GitConfig, Failure> {
        Ok(&self.local()?.config)
    }

    /// The git repository here, if there is one.
    ///
    /// # Errors
    /// git cannot tell.
    pub fn git(&mut self) -> Result<Option<GitDir>, Failure> {
        Ok(self.local()?.git.clone())
    }

    /// The git repository here.
    ///
    /// # Errors
    /// There is none, or it is one with which we cannot work.
    pub fn git_required(&mut self) -> Result<GitDir, Failure> {
        let here = std::env::current_dir().map_err(Failure::NoDirectory)?;
        let git = self.git()?.ok_or(hbs2_git::Error::NoGitDir { path: here })?;
        git.check_supported(self.config()?, "work with")?;
        Ok(git)
    }

    /// The key of the repository that `name` means.
    ///
    /// # Errors
    /// It is no key, no address and no remote.
    pub fn resolve(&mut self, name: &str) -> Result<SignPublicKey, Failure> {
        Ok(remotes::resolve(self.config()?, name)?.key)
    }

    /// Does something with the repository that `name` means.
    ///
    /// # Errors
    /// The name means nothing, no peer answers, or the work failed.
    pub fn with<T>(
        &mut self,
        name: &str,
        work: impl FnOnce(&Repository<'_>) -> Result<T, hbs2_git::Error>,
    ) -> Result<T, Failure> {
        let key = self.resolve(name)?;
        let git = self.git()?;
        self.within(|context| work(&Repository::open(context, key, git)))
    }

    /// Does something with the repository of version 2 that `name` means.
    ///
    /// # Errors
    /// As [`Session::with`].
    pub fn with_second<T>(
        &mut self,
        name: &str,
        work: impl FnOnce(&v2::Repository<'_>) -> Result<T, hbs2_git::Error>,
    ) -> Result<T, Failure> {
        let key = self.resolve(name)?;
        let git = self.git()?;
        self.within(|context| work(&v2::Repository::open(context, key, git)))
    }

    /// Does something with the repository that `name` means, of whatever version it is. Its objects go to `git`.
    ///
    /// # Errors
    /// As [`Session::with`].
    pub fn with_any<T>(
        &mut self,
        name: &str,
        git: Option<GitDir>,
        work: impl FnOnce(&Context<'_>, &Generation<'_>) -> Result<T, hbs2_git::Error>,
    ) -> Result<T, Failure> {
        let key = self.resolve(name)?;
        self.within(|context| work(context, &Generation::open(context, key, git)?))
    }

    /// Does something with everything a repository needs.
    ///
    /// # Errors
    /// No peer answers, or the work failed.
    pub fn within<T>(
        &mut self,
        work: impl FnOnce(&Context<'_>) -> Result<T, hbs2_git::Error>,
    ) -> Result<T, Failure> {
        let settings = self.settings()?.clone();
        let daemon = self.daemon()?;
        let talk = self.voice.talk();
        let (keys, voice) = (LazyIndex(talk.clone()), Teller::new(talk.clone()));
        let context =
            Context { link: daemon.client(), keys: &keys, voice: &voice, settings, now: system_now };
        Ok(work(&context)?)
    }

    /// The git side, for a program that goes on without the session.
    ///
    /// # Errors
    /// git cannot tell.
    pub fn into_local(mut self) -> Result<(Option<GitDir>, GitConfig, Settings), Failure> {
        self.local()?;
        let Local { git, config, settings } = self.local.expect("it was filled above");
        Ok((git, config, settings))
    }

    fn local(&mut self) -> Result<&mut Local, Failure> {
        if self.local.is_none() {
            let here = std::env::current_dir().map_err(Failure::NoDirectory)?;
            let git = GitDir::discover(&here)?;
            let config = GitConfig::read(git.as_ref())?;
            let settings = Settings::default().with_git_config(&config);
            self.local = Some(Local { git, config, settings });
        }
        Ok(self.local.as_mut().expect("it was filled above"))
    }
}

/// The key index, opened when a key is needed: most fetches need none. Tells what the owner of the key files should
/// know about them.
pub struct LazyIndex(pub Talk);

impl Keys for LazyIndex {
    fn find_sign(&self, public: &SignPublicKey) -> Result<Option<SignSecretKey>, KeysError> {
        Keys::find_sign(&keyman::index_with(&self.0)?, public)
    }

    fn add_lwwref(&self, secret: &SignSecretKey) -> Result<(), KeysError> {
        keyman::index_with(&self.0)?.add_lwwref(secret)
    }

    fn open_group(&self, group: &GroupKey) -> Result<Option<GroupSecret>, KeysError> {
        keyman::index_with(&self.0)?.open_group(group)
    }

    fn track_groups(&self, groups: &[(Hash, GroupKey)]) -> Result<(), KeysError> {
        keyman::index_with(&self.0)?.track_groups(groups)
    }

    fn tracked_groups(&self, id: &GroupKeyId) -> Result<Vec<Hash>, KeysError> {
        keyman::index_with(&self.0)?.tracked_groups(id)
    }
}

/// What the git room says, on stderr: lines stay, the state of long work is rewritten in place.
pub struct Teller {
    talk: Talk,
    status: Mutex<Option<Progress>>,
}

impl Teller {
    /// Speaks through `talk`.
    #[must_use]
    pub fn new(talk: Talk) -> Self {
        Self { talk, status: Mutex::new(None) }
    }
}

impl hbs2_git::Voice for Teller {
    fn say(&self, line: &str) {
        self.status("");
        if self.talk.tone() > Tone::Quiet {
            self.talk.raw(format_args!("{line}\n"));
        }
    }

    fn status(&self, text: &str) {
        let Ok(mut status) = self.status.lock() else { return };
        if text.is_empty() || !self.talk.is_watched() {
            *status = None;
        } else {
            status.get_or_insert_with(|| self.talk.status(text)).say(text);
        }
    }
}
