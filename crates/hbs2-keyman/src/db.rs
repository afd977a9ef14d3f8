//! The two databases, and what happens to a broken one.
//!
//! The names of the tables carry the version of their shape, so an older or foreign database needs no
//! migration: the tables it lacks are made. A file that is no database, or a broken one, gives way to an empty one.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, ErrorCode, OpenFlags, params_from_iter};

use crate::KeymanError;

pub(crate) mod files;
pub(crate) mod kept;

/// Longest wait for another process that is writing. A write takes milliseconds.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Pause before the lock of the directory is tried again: it is held for a rename or two.
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// What SQLite puts beside a database. It must not be applied to another one.
const COMPANIONS: [&str; 3] = ["-journal", "-wal", "-shm"];

/// The tables of a database.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) tables: &'static [&'static str],
    /// Makes those that are missing.
    pub(crate) schema: &'static str,
    pub(crate) broken: Broken,
}

/// What becomes of a broken database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It can be made again, so only the last one stays, beside the new one.
    Replace,
    /// It cannot: its owner may want to look into it.
    SetAside,
}

/// Which file is behind a name: device and number; none when there is none.
type Identity = Option<(u64, u64)>;

/// An open database.
#[derive(Debug)]
pub(crate) struct Db {
    connection: Connection,
    file: PathBuf,
    identity: Identity,
    shape: &'static Shape,
    is_new: bool,
    set_aside: Option<PathBuf>,
}

impl Db {
    pub(crate) fn open(file: &Path, shape: &'static Shape) -> Result<Self, KeymanError> {
        let dir = file.parent().unwrap_or(Path::new("/"));
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|source| KeymanError::File {
            doing: "create the directory",
            file: dir.to_owned(),
            source,
        })?;
        // Asked before, so that what another process puts in its place meanwhile is not taken for it.
        let found = identity(file);
        match Self::connect(file, shape) {
            Err(error) if is_broken(&error) => Self::open_anew(file, shape, found),
            Err(error) if is_moved(&error) => Self::connect(file, shape)
                .map_err(|source| KeymanError::Database { file: file.to_owned(), source }),
            other => other.map_err(|source| KeymanError::Database { file: file.to_owned(), source }),
        }
    }

    /// Opens the database in the place of a broken one, which was the file `found`. If that is not in its place
    /// any more, another process has cleared it already.
    fn open_anew(file: &Path, shape: &'static Shape, found: Identity) -> Result<Self, KeymanError> {
        let lock = lock_dir_of(file)?;
        let set_aside = if identity(file) == found { clear(file, shape.broken)? } else { None };
        drop(lock);
        match Self::connect(file, shape) {
            Ok(db) => Ok(Self { set_aside, ..db }),
            Err(source) => Err(KeymanError::Database { file: file.to_owned(), source }),
        }
    }

    fn connect(file: &Path, shape: &'static Shape) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let found = identity(file);
        let connection = Connection::open_with_flags(file, flags)?;
        connection.busy_timeout(BUSY_WAIT)?;
        let places = vec!["?"; shape.tables.len()].join(", ");
        let present: u32 = connection.query_row(
            &format!("SELECT count(*) FROM sqlite_master WHERE name IN ({places})"),
            params_from_iter(shape.tables),
            |row| row.get(0),
        )?;
        let is_new = (present as usize) < shape.tables.len();
        if is_new {
            connection.execute_batch(&format!("BEGIN IMMEDIATE; {} COMMIT;", shape.schema))?;
        }
        // A file that was not there is there now.
        let identity = found.or_else(|| identity(file));
        Ok(Self { connection, file: file.to_owned(), identity, shape, is_new, set_aside: None })
    }

    /// Runs `work`; when the database turns out to be broken, clears its place and runs `work` once more on the
    /// new, empty one.
    pub(crate) fn run<T>(
        &mut self,
        work: impl Fn(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, KeymanError> {
        match work(&mut self.connection) {
            Err(error) if is_broken(&error) => {
                *self = Self::open_anew(&self.file, self.shape, self.identity)?;
                work(&mut self.connection)
            }
            Err(error) if is_moved(&error) => {
                *self = Self::open(&self.file, self.shape)?;
                work(&mut self.connection)
            }
            other => other,
        }
        .map_err(|source| KeymanError::Database { file: self.file.clone(), source })
    }

    /// Whether tables were missing when it was opened.
    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Where a broken database was put since the last question.
    pub(crate) fn take_set_aside(&mut self) -> Option<PathBuf> {
        self.set_aside.take()
    }
}

fn is_broken(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(failure, message) => match failure.code {
            ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => true,
            // Somebody changed the shape of our tables, or took them away.
            ErrorCode::Unknown => message.as_deref().is_some_and(is_other_shape),
            _ => false,
        },
        rusqlite::Error::SqlInputError { msg, .. } => is_other_shape(msg),
        // A value of another type than we ever write.
        rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => true,
        _ => false,
    }
}

/// Whether another process has put another file in the place of the one we have open.
fn is_moved(error: &rusqlite::Error) -> bool {
    // The second is what a writer gets whose journal went with the file.
    const CODES: [i32; 2] =
        [rusqlite::ffi::SQLITE_READONLY_DBMOVED, rusqlite::ffi::SQLITE_IOERR_DELETE_NOENT];
    error.sqlite_error().is_some_and(|failure| CODES.contains(&failure.extended_code))
}

fn is_other_shape(message: &str) -> bool {
    message.starts_with("no such") || message.contains("has no column named")
}

/// Makes room in the place of a broken database. A process that still has it open keeps it and does no harm. Answers
/// where it is now, if it was to be kept.
fn clear(file: &Path, broken: Broken) -> Result<Option<PathBuf>, KeymanError> {
    let failed = |source| KeymanError::File { doing: "replace the broken", file: file.to_owned(), source };
    for companion in COMPANIONS {
        remove(&beside(file, companion)).map_err(failed)?;
    }
    // Renamed in both cases: the number of a file that is gone may be given to the next one, and then another
    // process would take the new database for the broken one.
    let aside = match broken {
        Broken::Replace => beside(file, ".broken"),
        Broken::SetAside => beside(file, &format!(".broken-{}", seconds_now())),
    };
    fs::rename(file, &aside).map_err(failed)?;
    Ok((broken == Broken::SetAside).then_some(aside))
}

/// Keeps other processes from clearing a place in the same directory, until it is dropped.
fn lock_dir_of(file: &Path) -> Result<File, KeymanError> {
    let dir = file.parent().unwrap_or(Path::new("/"));
    let failed = |source| KeymanError::File { doing: "lock the directory", file: dir.to_owned(), source };
    let lock = File::open(dir).map_err(failed)?;
    let deadline = Instant::now() + BUSY_WAIT;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(LOCK_PAUSE),
            Err(error) => return Err(failed(error.into())),
        }
    }
}

fn identity(file: &Path) -> Identity {
    fs::metadata(file).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
