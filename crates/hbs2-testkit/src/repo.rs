//! Git repositories with the same object ids in every run: fixed names, a clock that steps by one minute a commit.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{Call, Done, Home, KitError};

/// When the history begins, in seconds since 1970: 2024-01-01 00:00 UTC.
const EPOCH_SECONDS: u64 = 1_704_067_200;

/// Between two commits, in seconds.
const STEP_SECONDS: u64 = 60;

/// A work tree (or bare repository) inside a home.
#[derive(Debug)]
pub struct Repo<'home> {
    home: &'home Home,
    path: PathBuf,
    clock_seconds: Cell<u64>,
}

/// A git remote made by [`Repo::publish`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Its name: the petname of the repository's key.
    pub name: String,
    /// Its URL, `hbs23://KEY`.
    pub url: String,
}

impl Remote {
    /// The remote that `git hbs2 init` has added.
    ///
    /// # Errors
    /// It names none.
    pub fn named_in(init: &Done) -> Result<Self, KitError> {
        let said = init.text();
        let named = said.lines().find_map(|line| line.strip_prefix("added git remote ")?.split_once(' '));
        let (name, url) = named
            .ok_or_else(|| KitError::Unexpected { what: "no new remote".into(), place: init.to_string() })?;
        Ok(Self { name: name.to_owned(), url: url.to_owned() })
    }

    /// The key of the repository.
    #[must_use]
    pub fn key(&self) -> &str {
        self.url.trim_start_matches("hbs23://")
    }
}

impl<'home> Repo<'home> {
    /// A new empty repository in directory `name` of the home, with branch `main`.
    ///
    /// # Errors
    /// `git init` fails.
    pub fn init(home: &'home Home, name: &str) -> Result<Self, KitError> {
        home.call("git").args(["init", "--quiet", name]).ok()?;
        Ok(Self::open(home, name))
    }

    /// A clone of `url` into directory `name` of the home.
    ///
    /// # Errors
    /// `git clone` fails.
    pub fn clone(home: &'home Home, url: &str, name: &str) -> Result<Self, KitError> {
        home.call("git").args(["clone", "--quiet", url, name]).ok()?;
        Ok(Self::open(home, name))
    }

    /// The existing repository in directory `name` of the home.
    #[must_use]
    pub fn open(home: &'home Home, name: &str) -> Self {
        Self { home, path: home.join(name), clock_seconds: Cell::new(EPOCH_SECONDS) }
    }

    /// Its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A git command inside the repository, as a line; its commits are dated by the stepping clock.
    #[must_use]
    pub fn git(&self, line: &str) -> Call {
        let date = format!("{} +0000", self.clock_seconds.replace(self.clock_seconds.get() + STEP_SECONDS));
        self.home
            .line(&format!("git {line}"))
            .dir(&self.path)
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_DATE", &date)
    }

    /// Writes a file of the work tree.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, file: &str, content: impl AsRef<[u8]>) -> Result<(), KitError> {
        let path = self.path.join(file);
        let dir = path.parent().expect("a file of a work tree has a directory");
        fs::create_dir_all(dir).map_err(KitError::io("cannot make", dir))?;
        fs::write(&path, content).map_err(KitError::io("cannot write", path))
    }

    /// Reads a file of the work tree.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, file: &str) -> Result<Vec<u8>, KitError> {
        let path = self.path.join(file);
        fs::read(&path).map_err(KitError::io("cannot read", path))
    }

    /// Writes `content` to `file` and commits everything with the message `message`; returns the commit id.
    ///
    /// # Errors
    /// Writing or committing fails.
    pub fn commit(&self, file: &str, content: impl AsRef<[u8]>, message: &str) -> Result<String, KitError> {
        self.write(file, content)?;
        self.git("add --all").ok()?;
        self.git("commit --quiet --message").arg(message).ok()?;
        self.id("HEAD")
    }

    /// The object id that a name stands for.
    ///
    /// # Errors
    /// It stands for nothing.
    pub fn id(&self, name: &str) -> Result<String, KitError> {
        Ok(self.git("rev-parse --verify --quiet").arg(name).ok()?.text())
    }

    /// All references below `prefix` (for example `refs/heads`), by the rest of their names.
    ///
    /// # Errors
    /// `git for-each-ref` fails.
    pub fn refs(&self, prefix: &str) -> Result<BTreeMap<String, String>, KitError> {
        let prefix = format!("{}/", prefix.trim_end_matches('/'));
        let done = self.git("for-each-ref").arg("--format=%(objectname) %(refname)").arg(&prefix).ok()?;
        Ok(pairs(&done, &prefix))
    }

    /// Makes this repository a hbs2 repository with a key of its own.
    ///
    /// # Errors
    /// `git hbs2 init --new` fails or does not name the remote.
    pub fn publish(&self) -> Result<Remote, KitError> {
        Remote::named_in(&self.git("hbs2 init --new").ok()?)
    }

    /// What `git ls-remote` shows of `remote`, without HEAD and the peeled tags.
    ///
    /// # Errors
    /// `git ls-remote` fails.
    pub fn remote_refs(&self, remote: &str) -> Result<BTreeMap<String, String>, KitError> {
        Ok(pairs(&self.git("ls-remote --refs").arg(remote).ok()?, ""))
    }

    /// Checks every object.
    ///
    /// # Errors
    /// `git fsck` finds a fault.
    pub fn fsck(&self) -> Result<(), KitError> {
        self.git("fsck --full --strict --no-dangling --no-progress").ok().map(drop)
    }
}

fn pairs(done: &Done, prefix: &str) -> BTreeMap<String, String> {
    let name = |name: &str| name.strip_prefix(prefix).unwrap_or(name).to_owned();
    done.text()
        .lines()
        .filter_map(|l| l.split_once([' ', '\t']))
        .map(|(id, of)| (name(of), id.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_steps_give_the_same_ids_in_another_home() {
        let made = |name: &str| {
            // Any file will do as the program: none of it is called here.
            let home = Home::new("alice", &std::env::current_exe().unwrap()).unwrap();
            let repo = Repo::init(&home, name).unwrap();
            repo.commit("a/b.txt", "text", "first").unwrap();
            repo.git("tag --annotate --message note v1").ok().unwrap();
            repo.fsck().unwrap();
            (repo.id("HEAD").unwrap(), repo.refs("refs/tags").unwrap())
        };
        assert_eq!(made("one"), made("two"));
    }
}
