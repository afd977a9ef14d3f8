//! What the code of `hbs2-fixer` works with.

use std::fmt::Display;
use std::time::Duration;

use hbs2_core::SignPublicKey;

use super::jobs::{Job, Jobs};
use super::log::Log;
use super::rules::{Reference, Wish};
use crate::daemon::Reach;
use crate::error::Failure;
use crate::git::session::Session;
use crate::script::{Around, World};
use crate::voice::Voice;

/// How long the program waits for the block or manifest of a repository, in seconds. Meanwhile nothing else runs.
const REPOSITORY_SECONDS: u64 = 20;

/// The world of a program.
pub struct Fixer<'v> {
    /// Where it speaks.
    pub voice: &'v mut Voice,
    /// Its directory and environment.
    pub around: Around,
    /// Where its commands go.
    pub jobs: Jobs,
    /// What it says, and its commands.
    pub log: Log,
    /// Time between two readings of its file.
    pub reread: Duration,
    /// Whether this is the first load since the peer is there.
    pub starting: bool,
    /// The reference whose change has made this code run.
    pub subject: Option<Reference>,
    /// What this code has registered so far.
    pub wishes: Vec<Wish>,
    /// Whether something that this code needs is not here yet: it is to run again.
    pub again: bool,
    reach: Reach,
}

impl<'v> Fixer<'v> {
    /// A world with nothing registered.
    #[must_use]
    pub fn new(
        voice: &'v mut Voice,
        around: Around,
        jobs: Jobs,
        log: Log,
        reach: Reach,
        reread: Duration,
    ) -> Self {
        Self {
            voice,
            around,
            jobs,
            log,
            reread,
            starting: true,
            subject: None,
            wishes: Vec::new(),
            again: false,
            reach,
        }
    }

    /// Writes a line of the log.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn log(&self, level: &str, text: impl Display) -> Result<(), Failure> {
        self.log.write(level, text).map_err(Failure::Output)
    }

    /// Writes a line of the log that only who looks for a mistake wants to read.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn detail(&self, text: impl Display) -> Result<(), Failure> {
        self.log.detail(text).map_err(Failure::Output)
    }

    /// Writes a line, at once.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn say(&self, text: impl Display) -> Result<(), Failure> {
        self.log.say(text).map_err(Failure::Output)
    }

    /// Adds a command to the queue. When too many wait, it is left out, and the log says so.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn queue(&self, job: Job) -> Result<(), Failure> {
        let command = &job.command;
        if !self.jobs.has_room() {
            let text = format_args!("too many commands wait, this one is left out: {command}");
            return self.log("error", text);
        }
        self.detail(format_args!("queue: {command}"))?;
        self.jobs.add(job);
        Ok(())
    }

    /// The log of the git repository with this key, of either version.
    ///
    /// # Errors
    /// It does not arrive in time, or is no repository.
    pub fn git_reflog(&mut self, repository: &SignPublicKey) -> Result<SignPublicKey, Failure> {
        let mut session = Session::new(self.voice, self.reach.clone());
        session.settings()?.timeout = Duration::from_secs(REPOSITORY_SECONDS);
        session.with_any(&repository.to_string(), None, |_, repository| repository.reflog())
    }
}

impl World for Fixer<'_> {
    fn voice(&mut self) -> &mut Voice {
        self.voice
    }

    fn around(&mut self) -> &mut Around {
        &mut self.around
    }
}
