//! The local state of a repository: its directory, its files, its lock.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hbs2_core::SignPublicKey;

use super::{Located, Repository};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::ids::IdSet;
use crate::ledger::{Ledger, View};

/// How often a process looks whether another one has left the lock, in milliseconds. The system has no lock
/// with a deadline.
const LOCK_LOOK_MS: u64 = 20;

/// The local state, for the one process that may change it.
pub(crate) struct State {
    pub(crate) dir: Option<PathBuf>,
    pub(crate) ledger: Ledger,
    pub(crate) ids: Option<IdSet>,
    pub(crate) view: View,
    _lock: Option<File>,
}

impl Repository<'_> {
    pub(super) fn open_state(&self, located: &Located) -> Result<State> {
        let dir = self.state_dir(&located.reflog);
        let Some(path) = &dir else {
            return Ok(State {
                dir,
                ledger: Ledger::default(),
                ids: None,
                view: View::default(),
                _lock: None,
            });
        };
        make_dir(path)?;
        let lock = self.lock(path)?;
        let (ledger, ids, view) =
            (Ledger::open(Some(path))?, IdSet::open(&path.join("ids"))?, View::load(path)?);
        Ok(State { dir, ledger, ids: Some(ids), view, _lock: Some(lock) })
    }

    fn lock(&self, dir: &Path) -> Result<File> {
        lock(self.ctx, &self.key, dir)
    }

    /// Forgets what was imported, so that the next refresh imports everything that is absent again.
    pub(crate) fn forget(&self) -> Result<()> {
        let located = self.locate()?;
        let Some(dir) = self.state_dir(&located.reflog) else { return Ok(()) };
        let _lock = self.lock(&dir)?;
        for name in ["view", "transactions"] {
            let path = dir.join(name);
            match fs::remove_file(&path) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::File { doing: "remove", path, source });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Waits until no other process changes the state of repository `key` in `dir`; keeps them out while the file lives.
pub(crate) fn lock(ctx: &Context<'_>, key: &SignPublicKey, dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    let fail = |source| Error::File { doing: "lock", path: path.clone(), source };
    let file = File::options().write(true).create(true).truncate(false).open(&path).map_err(fail)?;
    let (start, limit) = (Instant::now(), ctx.settings.timeout);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => return Err(fail(source)),
            Err(TryLockError::WouldBlock) if start.elapsed() >= limit => {
                let what = format!("another git process that works with repository {}", key);
                return Err(Error::Timeout { what, limit });
            }
            Err(TryLockError::WouldBlock) => {
                ctx.voice.status("waiting for another git process that works with this repository");
                std::thread::sleep(Duration::from_millis(LOCK_LOOK_MS));
            }
        }
    }
}

pub(crate) fn make_dir(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(|source| Error::File { doing: "create", path: dir.to_owned(), source })
}
