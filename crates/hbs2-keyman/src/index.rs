//! What programs ask the index.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use hbs2_core::base58;
use hbs2_core::{EncryptPublicKey, SignPublicKey};
use rusqlite::Connection;

use crate::KeymanError;
use crate::config::{self, Paths, Settings};
use crate::db::files::{self, Row};
use crate::db::{Db, kept};
use crate::scan::{self, Warning};

/// The index of key files.
pub struct KeyIndex {
    paths: Paths,
    files: Mutex<Db>,
    /// Opened when it is first needed, which is not for finding a key.
    kept: Mutex<Option<Db>>,
    warned: Mutex<BTreeSet<PathBuf>>,
    listener: Option<Box<Listener>>,
}

/// Whom to tell what the owner of key files should know.
type Listener = dyn Fn(&Warning) + Send + Sync;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// Signing.
    Sign,
    /// Encryption.
    Encrypt,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sign => "sign",
            Self::Encrypt => "encrypt",
        })
    }
}

/// One key in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The public key, in base58.
    pub key: String,
    /// What it is for.
    pub kind: KeyKind,
    /// The file that holds its secret.
    pub file: PathBuf,
    /// How much it is preferred, when somebody has said so; otherwise 0.
    pub weight: Option<i64>,
}

/// What [`KeyIndex::update`] does with keys whose file is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vanished {
    /// Keeps them: the file may be on a medium that comes back.
    Keep,
    /// Forgets them.
    Forget,
}

/// What [`KeyIndex::update`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Updated {
    /// Files that were looked at.
    pub files: u64,
    /// Keys that are new in the index, counted once for each file.
    pub added: u64,
    /// Keys that are no longer in it.
    pub forgotten: u64,
    /// What the owner of the files should know.
    pub warnings: Vec<Warning>,
}

impl KeyIndex {
    /// Opens the index, or makes an empty one. The key files are looked at when the first key is asked for.
    ///
    /// # Errors
    /// The database cannot be made. A broken one is replaced.
    pub fn open(paths: Paths) -> Result<Self, KeymanError> {
        let files = Mutex::new(Db::open(&paths.state, &files::SHAPE)?);
        Ok(Self { paths, files, kept: Mutex::default(), warned: Mutex::default(), listener: None })
    }

    /// Has warnings about the files that are used told to `listener`, each file once. What [`KeyIndex::update`]
    /// finds is in its answer.
    #[must_use]
    pub fn with_listener(mut self, listener: impl Fn(&Warning) + Send + Sync + 'static) -> Self {
        self.listener = Some(Box::new(listener));
        self
    }

    /// What the configuration says.
    ///
    /// # Errors
    /// It cannot be read, or something in it is wrong.
    pub fn settings(&self) -> Result<Settings, KeymanError> {
        Settings::read(&self.paths)
    }

    /// Looks at all files that the configuration names.
    ///
    /// # Errors
    /// The configuration is wrong or the database refuses. A file that cannot be read is a warning.
    pub fn update(&self, vanished: Vanished) -> Result<Updated, KeymanError> {
        let scan = scan::scan(&self.settings()?);
        let gone = match vanished {
            Vanished::Keep => Vec::new(),
            Vanished::Forget => self.gone()?,
        };
        let (added, forgotten) = self.files(|connection| files::replace_files(connection, &scan, &gone))?;
        Ok(Updated { files: scan.files.len() as u64, added, forgotten, warnings: scan.warnings })
    }

    /// All keys: lightest first, then by file, then as they stand in the file. An index
    /// without keys looks at the files first.
    ///
    /// # Errors
    /// As [`KeyIndex::update`].
    pub fn list(&self) -> Result<Vec<Listed>, KeymanError> {
        let weights = self.kept(|connection| kept::weights(connection))?;
        let listed = self.rows()?.into_iter().map(|row| Listed {
            key: base58::encode(&row.key),
            kind: row.kind,
            weight: weights.get(&row.key).copied(),
            file: row.file,
        });
        let mut listed: Vec<_> = listed.collect();
        listed.sort_by_key(|listed| listed.weight);
        Ok(listed)
    }

    /// The signing keys we have, most preferred first, each once.
    ///
    /// # Errors
    /// As [`KeyIndex::list`].
    pub fn signing_keys(&self) -> Result<Vec<SignPublicKey>, KeymanError> {
        self.preferred(KeyKind::Sign).map(|keys| keys.into_iter().map(SignPublicKey::from_bytes).collect())
    }

    /// The encryption keys we have, most preferred first, each once.
    ///
    /// # Errors
    /// As [`KeyIndex::list`].
    pub fn encryption_keys(&self) -> Result<Vec<EncryptPublicKey>, KeymanError> {
        self.preferred(KeyKind::Encrypt)
            .map(|keys| keys.into_iter().map(EncryptPublicKey::from_bytes).collect())
    }

    /// Sets how much a key is preferred over others that would do as well. The key need not be known yet.
    ///
    /// # Errors
    /// The database refuses.
    pub fn set_weight(&self, key: &[u8; 32], weight: i64) -> Result<(), KeymanError> {
        self.kept(|connection| kept::set_weight(connection, key, weight))
    }

    /// Appends a mask to the configuration, unless it is there. A relative one is taken from `base`, the
    /// directory in which the user typed it. The files are looked at by the next [`KeyIndex::update`].
    ///
    /// # Errors
    /// The configuration is wrong already, the mask cannot be understood, or the file cannot be written.
    pub fn add_mask(&self, mask: &str, base: &Path) -> Result<(), KeymanError> {
        config::add_mask(&self.paths, mask, base)
    }

    /// Asks the database of key files.
    pub(crate) fn files<T>(
        &self,
        work: impl Fn(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, KeymanError> {
        lock(&self.files).run(work)
    }

    /// Asks the database of weights and group keys.
    pub(crate) fn kept<T>(
        &self,
        work: impl Fn(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, KeymanError> {
        let mut place = lock(&self.kept);
        let db = match &mut *place {
            Some(db) => db,
            empty => empty.insert(self.open_kept()?),
        };
        let answer = db.run(work);
        let set_aside = db.take_set_aside();
        drop(place);
        if let Some(file) = set_aside {
            self.warn(Some(Warning::SetAside { file }));
        }
        answer
    }

    fn open_kept(&self) -> Result<Db, KeymanError> {
        let mut db = Db::open(&self.paths.kept(), &kept::SHAPE)?;
        if db.is_new() {
            let weights = self.files(files::take_old_weights)?;
            db.run(|connection| kept::adopt_weights(connection, &weights))?;
        }
        Ok(db)
    }

    /// Tells the listener, unless it has been told of this file.
    pub(crate) fn warn(&self, warning: Option<Warning>) {
        let (Some(warning), Some(listener)) = (warning, &self.listener) else { return };
        if lock(&self.warned).insert(warning.place().to_owned()) {
            listener(&warning);
        }
    }

    /// Files of the index that are not there any more.
    fn gone(&self) -> Result<Vec<PathBuf>, KeymanError> {
        let mut files: Vec<_> =
            self.files(|connection| files::rows(connection))?.into_iter().map(|row| row.file).collect();
        files.sort();
        files.dedup();
        files.retain(|file| fs::metadata(file).is_err_and(|error| error.kind() == io::ErrorKind::NotFound));
        Ok(files)
    }

    /// The rows. An empty index is new, or had to be replaced just now: it looks at the files first.
    fn rows(&self) -> Result<Vec<Row>, KeymanError> {
        let rows = self.files(|connection| files::rows(connection))?;
        if !rows.is_empty() {
            return Ok(rows);
        }
        self.update(Vanished::Keep)?;
        self.files(|connection| files::rows(connection))
    }

    fn preferred(&self, kind: KeyKind) -> Result<Vec<[u8; 32]>, KeymanError> {
        let present = || self.files(|connection| files::keys_of(connection, kind));
        let mut keys = present()?;
        if keys.is_empty() {
            self.update(Vanished::Keep)?;
            keys = present()?;
        }
        let mut met = BTreeSet::new();
        keys.retain(|key| met.insert(*key));
        let weights = self.kept(|connection| kept::weights(connection))?;
        keys.sort_by_key(|key| Reverse(weights.get(key).copied().unwrap_or(0)));
        Ok(keys)
    }
}

impl fmt::Debug for KeyIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyIndex").field("paths", &self.paths).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no thread panics while it uses the index")
}
