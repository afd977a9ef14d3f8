//! A home directory of its own for each person of a test: no file, key, socket or git setting of the machine is
//! seen, and none is touched.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{Call, KitError};

/// Every name under which the one binary is called. `cargo xtask install` links the same names.
pub const PROGRAMS: [&str; 13] = [
    "hbs2",
    "hbs2-peer",
    "hbs2-keyman",
    "hbs2-cli",
    "hbs2-fixer",
    "hbs2-sync",
    "hbs2-git3",
    "hbs2-git",
    "git-hbs2",
    "git-remote-hbs23",
    "git-remote-hbs2",
    "git-remote-hbs21",
    "hbs2-git-subscribe",
];

/// The home of one person: directories, environment and programs.
#[derive(Debug)]
pub struct Home {
    name: String,
    root: PathBuf,
    _temporary: Option<TempDir>,
}

impl Home {
    /// A home in a new temporary directory, removed when dropped. `binary` is the built `hbs2`.
    ///
    /// # Errors
    /// A directory or link cannot be made.
    pub fn new(name: &str, binary: &Path) -> Result<Self, KitError> {
        let temporary = tempfile::Builder::new()
            .prefix("hbs2-")
            .tempdir()
            .map_err(KitError::io("cannot make a directory in", std::env::temp_dir()))?;
        let root = temporary.path().join(name);
        Self::lay_out(name, root, binary, Some(temporary))
    }

    /// A home at `root`, which stays.
    ///
    /// # Errors
    /// As [`Home::new`].
    pub fn at(name: &str, root: impl Into<PathBuf>, binary: &Path) -> Result<Self, KitError> {
        Self::lay_out(name, root.into(), binary, None)
    }

    fn lay_out(
        name: &str,
        root: PathBuf,
        binary: &Path,
        temporary: Option<TempDir>,
    ) -> Result<Self, KitError> {
        let home = Self { name: name.to_owned(), root, _temporary: temporary };
        for dir in ["bin", ".config", ".local/share", ".cache", "run", "tmp"] {
            let dir = home.root.join(dir);
            fs::create_dir_all(&dir).map_err(KitError::io("cannot make", dir))?;
        }
        let binary = fs::canonicalize(binary).map_err(KitError::io("cannot find the program", binary))?;
        for program in PROGRAMS {
            let link = home.root.join("bin").join(program);
            if !link.exists() {
                symlink(&binary, &link).map_err(KitError::io("cannot link", link))?;
            }
        }
        let settings = home.root.join(".gitconfig");
        let text = format!(
            "[user]\n\tname = {name}\n\temail = {name}@example.org\n[init]\n\tdefaultBranch = main\n\
             [commit]\n\tgpgsign = false\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n\
             [protocol \"file\"]\n\tallow = always\n[advice]\n\tdetachedHead = false\n"
        );
        fs::write(&settings, text).map_err(KitError::io("cannot write", settings))?;
        Ok(home)
    }

    /// Whose home it is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The home directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// A path inside the home.
    #[must_use]
    pub fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.join(path)
    }

    /// A call of `program` in the home directory, with this home's environment and nothing else.
    #[must_use]
    pub fn call(&self, program: impl AsRef<OsStr>) -> Call {
        self.dressed(Call::new(program))
    }

    /// A call of a whole line, split at blanks (single quotes keep blanks together).
    ///
    /// # Panics
    /// The line is empty.
    #[must_use]
    pub fn line(&self, line: &str) -> Call {
        let words = crate::command::words(line);
        let (program, args) = words.split_first().expect("a line names a program");
        self.call(program).args(args)
    }

    /// The environment of this home, as variables.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let text = |path: &str| self.root.join(path).to_string_lossy().into_owned();
        let system = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned());
        vec![
            ("PATH", format!("{}:{system}", text("bin"))),
            ("HOME", self.root.to_string_lossy().into_owned()),
            ("XDG_CONFIG_HOME", text(".config")),
            ("XDG_DATA_HOME", text(".local/share")),
            ("XDG_CACHE_HOME", text(".cache")),
            ("XDG_RUNTIME_DIR", text("run")),
            // The usual place, named, so that no command goes on to a daemon of this machine that is at the original's place.
            ("HBS2_RPC_SOCKET", text("run/hbs2-rpc.socket")),
            ("TMPDIR", text("tmp")),
            ("GIT_CONFIG_GLOBAL", text(".gitconfig")),
            ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
            ("GIT_TERMINAL_PROMPT", "0".to_owned()),
            ("LC_ALL", "C.UTF-8".to_owned()),
            ("TZ", "UTC".to_owned()),
        ]
    }

    fn dressed(&self, call: Call) -> Call {
        let call = call.env_clear().dir(&self.root);
        self.environment().iter().fold(call, |call, (key, value)| call.env(key, value))
    }
}
