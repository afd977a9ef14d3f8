//! What can go wrong between a script and the world.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use hbs2_script::Raised;

use crate::error::Failure;

/// A word of the world failed.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// Something with a file.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What we tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Stdin cannot be read.
    #[error("cannot read stdin")]
    Stdin(#[source] io::Error),
    /// A process cannot be run.
    #[error("cannot run {command}")]
    Process {
        /// Its program.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// A process ended without success.
    #[error("{command} failed with {status}")]
    Status {
        /// Its program.
        command: String,
        /// Its exit code or signal, in words.
        status: String,
    },
    /// Bytes where a text is needed.
    #[error("{name} is no text in UTF-8")]
    NotText {
        /// What it is.
        name: String,
    },
    /// A text is not what its format wants.
    #[error("{from} is not valid {what}")]
    Format {
        /// The format.
        what: &'static str,
        /// The file, or what else the text is.
        from: String,
        /// Where it went wrong.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A mask of files is wrong.
    #[error("{mask} is not a mask of files")]
    Mask {
        /// The mask.
        mask: String,
        /// Where it went wrong.
        source: globset::Error,
    },
}

impl From<WorldError> for Raised {
    fn from(error: WorldError) -> Self {
        Self::host(error)
    }
}

impl From<Failure> for Raised {
    fn from(failure: Failure) -> Self {
        Self::host(failure)
    }
}
