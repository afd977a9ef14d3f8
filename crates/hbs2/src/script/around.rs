//! The surroundings of a script: its directory and its environment.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use hbs2_script::{Args, Machine, Raised};

use super::{World, WorldError};
use crate::input::STDIN;

/// The directory, the environment, and the files that were imported already.
#[derive(Debug, Clone, Default)]
pub struct Around {
    /// Where relative paths begin.
    pub directory: PathBuf,
    /// What processes of the script are given.
    pub environment: BTreeMap<OsString, OsString>,
    /// Programs that `import` has read.
    pub imported: BTreeSet<PathBuf>,
}

impl Around {
    /// Those of this process.
    ///
    /// # Errors
    /// The directory we are in is gone.
    pub fn of_process() -> io::Result<Self> {
        Ok(Self {
            directory: std::env::current_dir()?,
            environment: std::env::vars_os().collect(),
            imported: BTreeSet::new(),
        })
    }

    /// A path as the script means it. A tilde at its start is the home directory.
    #[must_use]
    pub fn path(&self, text: &str) -> PathBuf {
        let home = || self.environment.get(OsStr::new("HOME")).map(PathBuf::from);
        match text.strip_prefix('~') {
            Some("") => home().unwrap_or_else(|| self.directory.join(text)),
            Some(rest) if rest.starts_with('/') => home()
                .map_or_else(|| self.directory.join(text), |home| home.join(rest.trim_start_matches('/'))),
            _ => self.directory.join(text),
        }
    }
}

/// The path that argument `index` means.
///
/// # Errors
/// It is neither a string nor a symbol.
pub fn path_at<W: World>(m: &mut Machine<W>, a: Args<'_>, index: usize) -> Result<PathBuf, Raised> {
    let text = a.word_at(index)?;
    Ok(m.world().around().path(text))
}

/// `path` without `.` and `..`, as far as that can be said without looking.
#[must_use]
pub fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                tidy.pop();
            }
            other => tidy.push(other),
        }
    }
    tidy
}

/// All of a file, as far as the machine has room for it.
///
/// # Errors
/// The file cannot be read, or is too large.
pub fn read<W: World>(m: &mut Machine<W>, path: &Path) -> Result<Vec<u8>, Raised> {
    let failed = |source| WorldError::File { doing: "read", path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()).into());
    }
    read_all(m, file).map_err(failed)?.ok_or_else(|| too_large(m))
}

/// All of stdin, as far as the machine has room for it. A second reader finds it at its end.
///
/// # Errors
/// Stdin cannot be read, or is too large.
pub fn read_stdin<W: World>(m: &mut Machine<W>) -> Result<Vec<u8>, Raised> {
    let input = m.world().voice().take_input();
    read_all(m, input).map_err(WorldError::Stdin)?.ok_or_else(|| too_large(m))
}

/// Everything from `reader`; none when there is no room for it.
pub(super) fn read_all<W>(m: &Machine<W>, reader: impl Read) -> io::Result<Option<Vec<u8>>> {
    let room = m.room_left();
    let mut bytes = Vec::new();
    reader.take(room as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= room).then_some(bytes))
}

pub(super) fn too_large<W>(m: &Machine<W>) -> Raised {
    m.room(usize::MAX).expect_err("there is never room for everything")
}

/// The text of a file, or of stdin.
///
/// # Errors
/// It cannot be read, is too large, or is no text.
pub fn text_of<W: World>(m: &mut Machine<W>, path: Option<&Path>) -> Result<String, Raised> {
    let bytes = match path {
        Some(path) => read(m, path)?,
        None => read_stdin(m)?,
    };
    String::from_utf8(bytes).map_err(|_| WorldError::NotText { name: name_of(path) }.into())
}

/// What messages call a file, or stdin.
#[must_use]
pub fn name_of(path: Option<&Path>) -> String {
    path.map_or_else(|| STDIN.to_owned(), |path| path.display().to_string())
}
