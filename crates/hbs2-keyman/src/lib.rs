//! The index of key files: which file holds the secret of this public key (spec: cli 5).
//!
//! Secrets stay where their owner put them. The index remembers public keys and file names, nothing else; a
//! secret is read from its file at the moment of use and wiped afterwards. The index can be deleted at any
//! time: it is rebuilt from the files that the configuration names.
//!
//! * [`config`] – where keys are looked for, and where new ones go;
//! * [`scan`] – the files that masks name, and the keys in them;
//! * [`index`](KeyIndex) – what programs ask: list, update, add, find a key;
//! * `group` – the secret of a group key: [`KeyIndex::find_group_secret`].
//!
//! Opening the index costs well under a millisecond and reads neither the configuration nor any key file, so
//! that a git helper can afford it.

use std::io;
use std::path::PathBuf;

use hbs2_core::groupkey::GroupKeyError;
use hbs2_core::keyring::KeyringError;
use hbs2_script::ConfigError;

mod add;
pub mod config;
mod db;
mod find;
mod group;
mod index;
pub mod scan;

pub use config::{Paths, Settings};
pub use find::{Found, Gone};
pub use group::{GROUP_KEYS_TRIED_MAX, GroupSecretError, NO_ACCESS_HINT};
pub use index::{KeyIndex, KeyKind, Listed, Updated, Vanished};
pub use scan::Warning;

/// What to tell a user whose key is in no file we know.
pub const NOT_FOUND_HINT: &str = "name its file with: hbs2-keyman add-mask FILE, then: hbs2-keyman update";

/// Why the key index cannot do something. [`KeymanError::hint`] says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum KeymanError {
    /// The environment does not say where the user's files are.
    #[error("HOME is not set")]
    NoHome,
    /// The configuration is wrong.
    #[error("cannot use the configuration of hbs2-keyman")]
    Config {
        /// What and where.
        #[from]
        source: ConfigError,
    },
    /// A file cannot be read or written.
    #[error("cannot {doing} {}", file.display())]
    File {
        /// What we tried.
        doing: &'static str,
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database refuses, and building it anew does not help.
    #[error("cannot use the key index {}", file.display())]
    Database {
        /// The database.
        file: PathBuf,
        /// What it said.
        source: rusqlite::Error,
    },
    /// The index names files for a key, and none of them holds it now.
    #[error("cannot read the secret of {key} from {}: {gone}", file.display())]
    Vanished {
        /// The public key.
        key: String,
        /// The file that held it.
        file: PathBuf,
        /// What is there now.
        gone: Gone,
    },
    /// A key of ours is a member of a group, and does not open the group key.
    #[error("cannot open a group key with the key file {}", file.display())]
    GroupKey {
        /// The key file.
        file: PathBuf,
        /// What is wrong.
        source: GroupKeyError,
    },
    /// A text that should be kept as a key file is none.
    #[error("cannot add the text: it is no keyring")]
    NotKeyring {
        /// What is wrong with it.
        source: KeyringError,
    },
    /// A key file would take the place of another one.
    #[error("cannot write the key file {}: another file is there", file.display())]
    Occupied {
        /// The file.
        file: PathBuf,
    },
}

impl KeymanError {
    /// What the user can do, in one sentence.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoHome => "set HOME to your home directory",
            Self::Config { .. } => "mend that line, then: hbs2-keyman update",
            Self::File { .. } => "check the path and its permissions",
            Self::Database { .. } => "delete it: it is rebuilt at the next use",
            Self::Vanished { .. } => {
                "put the file back, or name its new place with: hbs2-keyman add-mask FILE"
            }
            Self::GroupKey { .. } => {
                "the group key is damaged or was made wrongly: ask its owner for a new one"
            }
            Self::NotKeyring { .. } => "make a keyring with: hbs2 keyring-new",
            Self::Occupied { .. } => "move that file away",
        }
    }
}
