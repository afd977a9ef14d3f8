//! What a failed command tells the user: message, causes, hint and exit code.
//!
//! Libraries return typed errors that say what they did to what. [`Failure`] gathers them with the few errors
//! of the door itself; [`Failure::hint`] is the one place that knows what to advise. Exit codes: 0 done,
//! 1 failed or wrongly used.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use hbs2_core::Hash;

use crate::voice::Voice;

/// Exit code of a command that did its work.
pub const DONE: u8 = 0;

/// Exit code of a command that failed or was used wrongly (spec: cli 1.3).
pub const FAILED: u8 = 1;

/// Why a command ends without having done its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Stdout cannot be written.
    #[error("cannot write to stdout")]
    Output(#[source] io::Error),
    /// Stdin cannot be read.
    #[error("cannot read stdin")]
    Input(#[source] io::Error),
    /// A file the user named cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The input is longer than the command takes.
    #[error("{what} is longer than {bytes_max} bytes")]
    TooLong {
        /// The file, or stdin.
        what: String,
        /// The limit.
        bytes_max: usize,
    },
    /// A file the user named is no keyring.
    #[error("{} is not a keyring", path.display())]
    Keyring {
        /// The file.
        path: PathBuf,
        /// Where it went wrong.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The system has no random bytes to give.
    #[error("cannot get random bytes for a new key")]
    Random(#[source] getrandom::Error),
    /// A block is not here.
    #[error("missed block: {hash}")]
    MissedBlock {
        /// Its name.
        hash: Hash,
    },
    /// The answer is "no", and the exit code says so without a word.
    #[error("no")]
    No,
}

impl Failure {
    /// What the user can do about it.
    fn hint(&self) -> Option<String> {
        match self {
            Self::MissedBlock { hash } => Some(format!("ask other peers for it with: hbs2-peer fetch -p {hash}")),
            Self::Keyring { .. } => Some("make a new one with: hbs2 keyring-new > FILE".to_owned()),
            _ => None,
        }
    }

    /// Whether the reader of our output has gone away, which is how pipelines end.
    fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl From<io::Error> for Failure {
    /// The only bare I/O of a command is writing its data.
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Ends a command: writes out its data, tells what failed, returns the exit code.
pub fn finish(outcome: Result<(), Failure>, voice: &mut Voice) -> u8 {
    let flushed = voice.flush().map_err(Failure::Output);
    let Err(failure) = outcome.and(flushed) else { return DONE };
    if failure.is_broken_pipe() {
        return DONE;
    }
    if !matches!(failure, Failure::No) {
        tell(&failure, voice);
    }
    FAILED
}

fn tell(failure: &Failure, voice: &mut Voice) {
    voice.error(failure);
    let mut said = failure.to_string();
    let mut cause = failure.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !said.contains(&text) {
            voice.cause(&text);
        }
        said = text;
        cause = error.source();
    }
    if let Some(hint) = failure.hint() {
        voice.hint(hint);
    }
}
