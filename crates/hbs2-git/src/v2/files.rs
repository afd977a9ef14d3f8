//! The directory `.hbs2-git`: what the owner says about exports, and what we remember (docs/guide/git2.md).
//!
//! It stands beside `.git`; of a bare repository it is in the git directory. `config` says which references are
//! exported, `manifest` describes the project, `state` may be deleted at any time.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use hbs2_core::SignPublicKey;

use super::SecondError;
use super::head::MANIFEST_BYTES_MAX;
use super::rules::{self, Rules};
use crate::error::{Error, Result};
use crate::gitdir::GitDir;
use crate::ledger;
use crate::repo::make_dir;

/// Name of the directory.
const NAME: &str = ".hbs2-git";

/// Keeps git from adding the directory to the repository.
const IGNORE: &str = "*\n";

/// Longest project name that is taken from a directory, in characters.
const PROJECT_CHARS_MAX: usize = 255;

/// The directory of one repository.
#[derive(Debug, Clone)]
pub struct Files {
    dir: PathBuf,
    inside: bool,
}

impl Files {
    /// The directory of this repository; it need not exist.
    #[must_use]
    pub fn of(git: &GitDir) -> Self {
        // The way to it from a worktree has `..` in it, which would hide its name.
        let common = fs::canonicalize(git.common()).unwrap_or_else(|_| git.common().to_owned());
        match common.parent() {
            Some(parent) if common.ends_with(".git") => Self { dir: parent.join(NAME), inside: false },
            _ => Self { dir: common.join(NAME), inside: true },
        }
    }

    /// Makes the directory, if it is not there.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn make(&self) -> Result<()> {
        make_dir(&self.dir)?;
        if self.inside { Ok(()) } else { write_new(&self.dir.join(".gitignore"), IGNORE) }
    }

    /// Makes the directory with the usual config, if they are not there.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn prepare(&self) -> Result<()> {
        self.make()?;
        write_new(&self.dir.join("config"), rules::USUAL)
    }

    /// Which references are exported.
    ///
    /// # Errors
    /// The config is wrong.
    pub fn rules(&self) -> Result<Rules> {
        let path = self.dir.join("config");
        let text = String::from_utf8_lossy(&ledger::read_or_empty(&path)?).into_owned();
        Ok(Rules::parse(&path.display().to_string(), text).map_err(Box::new)?)
    }

    /// What the file `manifest` says; none when there is no such file.
    ///
    /// # Errors
    /// It cannot be read, is too long, or no text.
    pub fn manifest(&self) -> Result<Option<String>> {
        let path = self.dir.join("manifest");
        match fs::metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Ok(file) if file.len() > MANIFEST_BYTES_MAX as u64 => {
                return Err(Box::new(SecondError::Manifest { path }).into());
            }
            _ => {}
        }
        let text = String::from_utf8(ledger::read_or_empty(&path)?);
        text.map(Some).map_err(|_| Box::new(SecondError::Manifest { path }).into())
    }

    /// Writes a new manifest into the file, if there is one: what it says would win over the new one otherwise.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep_manifest(&self, text: &str) -> Result<()> {
        let path = self.dir.join("manifest");
        if path.exists() { ledger::replace(&path, text.as_bytes()) } else { Ok(()) }
    }

    /// What we remember about the repository with this reflog.
    #[must_use]
    pub fn state(&self, reflog: &SignPublicKey) -> PathBuf {
        self.dir.join("state").join(reflog.to_string())
    }

    /// What the project is called if its manifest does not say: the name of its directory.
    #[must_use]
    pub fn project(&self) -> String {
        let dir = self.dir.parent().unwrap_or(&self.dir);
        let dir = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
        let name = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = name.strip_suffix(".git").unwrap_or(&name);
        name.chars().take(PROJECT_CHARS_MAX).collect()
    }
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    let written = match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => fs::write(path, text),
        other => other.map(drop),
    };
    written.map_err(|source| Error::File { doing: "write", path: path.to_owned(), source })
}
