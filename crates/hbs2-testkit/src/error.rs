//! What can go wrong in a test's world, told so that the failing test can be understood from its output alone.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// An error of the test kit. `Debug` prints readable lines with the cause, because tests unwrap.
#[derive(thiserror::Error)]
pub enum KitError {
    /// A file, directory or process could not be handled by the system.
    #[error("{what} {}", path.display())]
    Io {
        /// What we did, for example `cannot write`.
        what: &'static str,
        /// To what.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A command did not end in time. Its process group was killed.
    #[error("`{line}` did not end within {deadline:?}\n{output}")]
    Deadline {
        /// The command as typed.
        line: String,
        /// How long we waited.
        deadline: Duration,
        /// What it had printed until then.
        output: String,
    },
    /// A command ended otherwise than the test demands.
    #[error("`{line}` {outcome}\n{output}")]
    Outcome {
        /// The command as typed.
        line: String,
        /// How it ended.
        outcome: String,
        /// What it printed.
        output: String,
    },
    /// A daemon did not start, or did not end.
    #[error("daemon of {name}: {what}\n{log}")]
    Daemon {
        /// Name of its home.
        name: String,
        /// What did not happen.
        what: String,
        /// The end of its log.
        log: String,
    },
    /// A vector or an output is not what its reader expects.
    #[error("{what} in {place}")]
    Unexpected {
        /// What is wrong.
        what: String,
        /// Where.
        place: String,
    },
}

impl fmt::Debug for KitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        std::error::Error::source(self).map_or(Ok(()), |source| write!(f, ": {source}"))
    }
}

impl KitError {
    /// Wraps a system error with what we did to which path; made for `map_err`.
    pub fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}
