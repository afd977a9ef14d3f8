//! The local git repository: where its directories are, and the questions we put to the `git` program.
//!
//! Reading objects is in-process ([`odb`](crate::odb)); configuration, revisions and remotes are porcelain and
//! left to `git`, at one child process a question, because only git knows all its includes, worktrees and
//! reference formats.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Error, Result};
use crate::object::{ObjectId, ObjectKind};

/// The directories of a git repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitDir {
    dir: PathBuf,
    common: PathBuf,
    objects: PathBuf,
}

/// A revision of the local repository: an object and its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision {
    /// The object.
    pub id: ObjectId,
    /// Its kind, not peeled.
    pub kind: ObjectKind,
}

impl GitDir {
    /// The repository that `GIT_DIR` names, or the one that holds `start`; none when there is none. Honours
    /// `GIT_COMMON_DIR` and `GIT_OBJECT_DIRECTORY`.
    ///
    /// # Errors
    /// A file that says where the directory is cannot be read.
    pub fn discover(start: &Path) -> Result<Option<Self>> {
        let dir = match std::env::var_os("GIT_DIR") {
            Some(dir) => Some(start.join(dir)),
            None => find_upwards(start)?,
        };
        let Some(dir) = dir.filter(|dir| dir.join("HEAD").symlink_metadata().is_ok()) else {
            return Ok(None);
        };
        let mut found = Self::open(&dir)?;
        if let Some(common) = std::env::var_os("GIT_COMMON_DIR") {
            found.common = start.join(common);
            found.objects = found.common.join("objects");
        }
        if let Some(objects) = std::env::var_os("GIT_OBJECT_DIRECTORY") {
            found.objects = start.join(objects);
        }
        Ok(Some(found))
    }

    /// The repository whose git directory is `dir`; of a worktree, its directory below `worktrees`.
    ///
    /// # Errors
    /// The file `commondir` cannot be read.
    pub fn open(dir: &Path) -> Result<Self> {
        let file = dir.join("commondir");
        let common = match std::fs::read_to_string(&file) {
            Ok(text) => dir.join(text.trim_end()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => dir.to_owned(),
            Err(source) => return Err(Error::File { doing: "read", path: file, source }),
        };
        Ok(Self { dir: dir.to_owned(), objects: common.join("objects"), common })
    }

    /// The git directory: `HEAD` and the index of one worktree.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where objects are kept.
    #[must_use]
    pub fn objects(&self) -> &Path {
        &self.objects
    }

    /// The directory that all worktrees share.
    #[must_use]
    pub fn common(&self) -> &Path {
        &self.common
    }

    /// Our own directory, shared by all worktrees. May be deleted at any time.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.common.join("hbs2")
    }

    /// Whether history was cut off when it was cloned.
    #[must_use]
    pub fn is_shallow(&self) -> bool {
        std::fs::metadata(self.common.join("shallow")).is_ok_and(|file| file.len() > 0)
    }

    /// Refuses repositories the format has no place for. `doing` is `push from` or `fetch into`.
    ///
    /// # Errors
    /// The repository is shallow or has SHA-256 ids.
    pub fn check_supported(&self, config: &GitConfig, doing: &'static str) -> Result<()> {
        let refuse = |what| Err(Error::Unsupported { doing, what, path: self.dir.clone() });
        match config.last("extensions.objectformat") {
            Some(format) if !format.eq_ignore_ascii_case("sha1") => refuse("sha256"),
            _ if self.is_shallow() => refuse("shallow"),
            _ => Ok(()),
        }
    }

    /// The objects that revisions such as `refs/heads/x`, `HEAD~1` or ids name, in order; none for one that
    /// does not exist. One child process.
    ///
    /// # Errors
    /// git fails.
    pub fn revisions(&self, names: &[&str]) -> Result<Vec<Option<Revision>>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let mut git = self.git();
        git.args(["cat-file", "--batch-check=%(objectname) %(objecttype)"]);
        let input: String = names.iter().map(|name| format!("{name}\n")).collect();
        let output = run(&mut git, Some(input.as_bytes()))?;
        let lines: Vec<_> = output.split(|b| *b == b'\n').map(String::from_utf8_lossy).collect();
        Ok(names.iter().enumerate().map(|(i, _)| parse_revision(lines.get(i)?)).collect())
    }

    /// Adds a remote to the configuration.
    ///
    /// # Errors
    /// git refuses the name or fails.
    pub fn add_remote(&self, name: &str, url: &str) -> Result<()> {
        run(self.git().args(["remote", "add", name, url]), None).map(drop)
    }

    /// The `git` program for this repository.
    pub(crate) fn git(&self) -> Command {
        let mut command = Command::new("git");
        command.arg("--git-dir").arg(&self.dir).env_remove("GIT_DIR");
        command
    }
}

/// The line of `cat-file --batch-check`: `<id> <kind>`, or `<name> missing` and the like.
fn parse_revision(line: &str) -> Option<Revision> {
    let (id, kind) = line.rsplit_once(' ')?;
    let kinds = [ObjectKind::Commit, ObjectKind::Tree, ObjectKind::Blob, ObjectKind::Tag];
    Some(Revision { id: id.parse().ok()?, kind: kinds.into_iter().find(|known| known.name() == kind)? })
}

/// `start` or the nearest directory above with a `.git` in it, or that is a bare repository itself.
fn find_upwards(start: &Path) -> Result<Option<PathBuf>> {
    for dir in start.ancestors() {
        let git = dir.join(".git");
        match std::fs::metadata(&git) {
            Ok(found) if found.is_dir() => return Ok(Some(git)),
            Ok(_) => return read_gitfile(dir, &git).map(Some),
            Err(_)
                if dir.join("HEAD").is_file()
                    && dir.join("objects").is_dir()
                    && dir.join("refs").is_dir() =>
            {
                return Ok(Some(dir.to_owned()));
            }
            Err(_) => {}
        }
    }
    Ok(None)
}

/// Follows a `.git` file, which says `gitdir: PATH`.
fn read_gitfile(dir: &Path, file: &Path) -> Result<PathBuf> {
    let text = std::fs::read_to_string(file).map_err(|source| Error::File {
        doing: "read",
        path: file.to_owned(),
        source,
    })?;
    let path =
        text.trim_end().strip_prefix("gitdir: ").ok_or_else(|| Error::NoGitDir { path: dir.to_owned() })?;
    Ok(dir.join(path))
}

/// The configuration as `git config` sees it: system, user, repository, includes, worktree, environment.
#[derive(Debug, Clone, Default)]
pub struct GitConfig {
    entries: Vec<(String, String)>,
}

impl GitConfig {
    /// Reads everything, with one child process; of the user alone when there is no repository.
    ///
    /// # Errors
    /// git is not there, or finds the configuration broken.
    pub fn read(git: Option<&GitDir>) -> Result<Self> {
        let mut command = git.map_or_else(|| Command::new("git"), GitDir::git);
        let output = run(command.args(["config", "--list", "-z"]), None)?;
        let entry = |item: &[u8]| {
            let text = String::from_utf8_lossy(item).into_owned();
            // A key without a value stands for true.
            let (key, value) = text.split_once('\n').unwrap_or((&text, "true"));
            (key.to_owned(), value.to_owned())
        };
        Ok(Self { entries: output.split(|b| *b == 0).filter(|item| !item.is_empty()).map(entry).collect() })
    }

    /// The last value of a key; the key in lower case.
    #[must_use]
    pub fn last(&self, key: &str) -> Option<&str> {
        self.entries.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Names and URLs of all remotes, in the order of the configuration.
    pub fn remotes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().filter_map(|(key, value)| {
            let name = key.strip_prefix("remote.")?.strip_suffix(".url")?;
            Some((name, value.as_str()))
        })
    }
}

/// The git repository that holds `dir`; a new one in `dir` when there is none.
///
/// # Errors
/// git fails.
pub fn init(dir: &Path) -> Result<GitDir> {
    if let Some(git) = GitDir::discover(dir)? {
        return Ok(git);
    }
    run(Command::new("git").args([OsStr::new("init"), OsStr::new("--quiet"), dir.as_os_str()]), None)?;
    GitDir::discover(dir)?.ok_or_else(|| Error::NoGitDir { path: dir.to_owned() })
}

/// Runs a git command and gives its stdout.
pub(crate) fn run(command: &mut Command, input: Option<&[u8]>) -> Result<Vec<u8>> {
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    let spawned = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let failed = |message: String| Error::Git { command: command_text(command), message };
    let mut child = spawned.map_err(|error| failed(error.to_string()))?;
    let feeder = input.map(|input| {
        let (mut pipe, input) = (child.stdin.take().expect("stdin is a pipe"), input.to_vec());
        std::thread::spawn(move || pipe.write_all(&input))
    });
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if let Some(feeder) = feeder {
        // A closed pipe shows as a failed command below.
        let _ = feeder.join();
    }
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let message = said.trim().lines().last().map_or_else(|| output.status.to_string(), str::to_owned);
    Err(failed(message))
}

/// The arguments of a git command after the place of the repository.
pub(crate) fn command_text(command: &Command) -> String {
    let args: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy()).collect();
    let from = if args.first().is_some_and(|arg| arg == "--git-dir") { 2 } else { 0 };
    args[from..].join(" ")
}
