//! What the code of `hbs2-fixer` works with.

use std::fmt::Display;
use std::time::Duration;

use hbs2_core::SignPublicKey;

use super::jobs::{Job, Jobs};
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
    /// Whether it says what it does.
    pub debug: bool,
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
    pub fn new(voice: &'v mut Voice, around: Around, jobs: Jobs, reach: Reach, reread: Duration) -> Self {
        Self {
            voice,
            around,
            jobs,
            debug: true,
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
    pub fn log(&mut self, level: &str, text: impl Display) -> Result<(), Failure> {
        self.say(format_args!("[{level}] {text}"))
    }

    /// Writes a line of the log that only who looks for a mistake wants to read.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn detail(&mut self, text: impl Display) -> Result<(), Failure> {
        if self.debug { self.log("debug", text) } else { Ok(()) }
    }

    /// Writes a line, at once: a log is read while it grows.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn say(&mut self, text: impl Display) -> Result<(), Failure> {
        self.voice.line(text).and_then(|()| self.voice.flush()).map_err(Failure::Output)
    }

    /// Adds a command to the queue.
    ///
    /// # Errors
    /// Too many wait.
    pub fn queue(&mut self, job: Job) -> Result<(), Failure> {
        let command = job.command.clone();
        match self.jobs.add(job) {
            true => self.detail(format_args!("queue: {command}")),
            false => {
                self.log("error", format_args!("too many commands wait, this one is left out: {command}"))
            }
        }
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
