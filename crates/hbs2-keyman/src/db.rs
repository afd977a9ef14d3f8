//! The database: rows of (key, kind, file), and weights.
//!
//! The names of the tables carry the version of their shape, so an older or foreign database needs no
//! migration: the tables it lacks are made. A file that is no database, or a broken one, is replaced.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, params};

use crate::KeymanError;
use crate::index::KeyKind;
use crate::scan::Scan;

/// Longest wait for another process that is writing. A write takes milliseconds.
const BUSY_WAIT: Duration = Duration::from_secs(5);

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS hbs2_key_1 (
        key BLOB NOT NULL, kind INTEGER NOT NULL, file BLOB NOT NULL, place INTEGER NOT NULL,
        PRIMARY KEY (key, kind, file)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS hbs2_weight_1 (key BLOB PRIMARY KEY NOT NULL, weight INTEGER NOT NULL);
";

/// A row: one key in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: [u8; 32],
    pub(crate) kind: KeyKind,
    pub(crate) file: PathBuf,
    /// Position in the file.
    pub(crate) place: i64,
    pub(crate) weight: Option<i64>,
}

/// An open database.
#[derive(Debug)]
pub(crate) struct Db {
    connection: Connection,
    file: PathBuf,
}

impl Db {
    pub(crate) fn open(file: &Path) -> Result<Self, KeymanError> {
        let dir = file.parent().unwrap_or(Path::new("/"));
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|source| KeymanError::File {
            doing: "create the directory",
            file: dir.to_owned(),
            source,
        })?;
        match Self::connect(file) {
            Err(error) if is_broken(&error) => {
                replace(file)?;
                Self::connect(file)
            }
            other => other,
        }
        .map_err(|source| KeymanError::Database { file: file.to_owned(), source })
    }

    fn connect(file: &Path) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags)?;
        connection.busy_timeout(BUSY_WAIT)?;
        let tables: i64 = connection.query_row(
            "SELECT count(*) FROM sqlite_master WHERE name IN ('hbs2_key_1', 'hbs2_weight_1')",
            [],
            |row| row.get(0),
        )?;
        if tables < 2 {
            connection.execute_batch(&format!("BEGIN IMMEDIATE; {SCHEMA} COMMIT;"))?;
        }
        Ok(Self { connection, file: file.to_owned() })
    }

    /// Runs `work`; when the database turns out to be broken, replaces it and runs `work` once more on the new,
    /// empty one.
    pub(crate) fn run<T>(
        &mut self,
        work: impl Fn(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, KeymanError> {
        match work(&mut self.connection) {
            Err(error) if is_broken(&error) => {
                replace(&self.file)?;
                *self = Self::open(&self.file)?;
                work(&mut self.connection)
            }
            other => other,
        }
        .map_err(|source| KeymanError::Database { file: self.file.clone(), source })
    }
}

/// The files that hold a key, in the order of their names.
pub(crate) fn files_of(
    connection: &Connection,
    key: &[u8; 32],
    kind: KeyKind,
) -> rusqlite::Result<Vec<PathBuf>> {
    let mut query =
        connection.prepare_cached("SELECT file FROM hbs2_key_1 WHERE key = ? AND kind = ? ORDER BY file")?;
    query.query_map(params![key, kind as i64], |row| Ok(path(row.get(0)?)))?.collect()
}

/// All rows: lightest first, then by file, then as they stand in the file.
pub(crate) fn rows(connection: &Connection) -> rusqlite::Result<Vec<Row>> {
    let mut query = connection.prepare(
        "SELECT key, kind, file, place, weight FROM hbs2_key_1 LEFT JOIN hbs2_weight_1 USING (key)
         ORDER BY weight ASC NULLS FIRST, file, place",
    )?;
    let rows = query.query_map([], |row| {
        let kind: i64 = row.get(1)?;
        Ok(Row {
            key: row.get(0)?,
            kind: if kind == KeyKind::Sign as i64 { KeyKind::Sign } else { KeyKind::Encrypt },
            file: path(row.get(2)?),
            place: row.get(3)?,
            weight: row.get(4)?,
        })
    })?;
    rows.collect()
}

pub(crate) fn set_weight(connection: &Connection, key: &[u8; 32], weight: i64) -> rusqlite::Result<()> {
    connection.execute("INSERT OR REPLACE INTO hbs2_weight_1 VALUES (?, ?)", params![key, weight]).map(drop)
}

/// Makes the rows of the scanned files those of the scan, and forgets the files in `gone`. Answers how many
/// rows came and went; writes nothing when that is none.
pub(crate) fn replace_files(
    connection: &mut Connection,
    scan: &Scan,
    gone: &[PathBuf],
) -> rusqlite::Result<(u64, u64)> {
    let (come, go) = changes(&rows(connection)?, scan, gone);
    if come.is_empty() && go.is_empty() {
        return Ok((0, 0));
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut delete =
            transaction.prepare("DELETE FROM hbs2_key_1 WHERE key = ? AND kind = ? AND file = ?")?;
        for row in &go {
            delete.execute(params![row.key, row.kind as i64, row.file.as_os_str().as_bytes()])?;
        }
        let mut insert = transaction.prepare("INSERT OR REPLACE INTO hbs2_key_1 VALUES (?, ?, ?, ?)")?;
        for row in &come {
            insert.execute(params![row.key, row.kind as i64, row.file.as_os_str().as_bytes(), row.place])?;
        }
    }
    transaction.commit()?;
    Ok((come.len() as u64, go.len() as u64))
}

fn changes(present: &[Row], scan: &Scan, gone: &[PathBuf]) -> (Vec<Row>, Vec<Row>) {
    let mut wanted: BTreeMap<(&Path, KeyKind, [u8; 32]), i64> = BTreeMap::new();
    for (file, keys) in &scan.files {
        for (place, (kind, key)) in (0..).zip(keys) {
            wanted.entry((file, *kind, *key)).or_insert(place);
        }
    }
    let mut go = Vec::new();
    for row in present {
        let same = wanted.get(&(row.file.as_path(), row.kind, row.key)) == Some(&row.place);
        if same {
            wanted.remove(&(row.file.as_path(), row.kind, row.key));
        } else if scan.files.contains_key(&row.file) || gone.contains(&row.file) {
            go.push(row.clone());
        }
    }
    let come = wanted.into_iter();
    let come =
        come.map(|((file, kind, key), place)| Row { key, kind, file: file.to_owned(), place, weight: None });
    (come.collect(), go)
}

fn path(bytes: Vec<u8>) -> PathBuf {
    OsString::from_vec(bytes).into()
}

fn is_broken(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(failure, message) => match failure.code {
            ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => true,
            // Somebody changed the shape of our tables, or took them away.
            ErrorCode::Unknown => message.as_deref().is_some_and(|text| text.starts_with("no such")),
            _ => false,
        },
        rusqlite::Error::SqlInputError { msg, .. } => msg.starts_with("no such"),
        // A value of another type than we ever write.
        rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => true,
        _ => false,
    }
}

/// Puts an empty database in the place of a broken one, in one step: a process that still has the old file
/// open keeps it and does no harm. The journal of the old one must not be applied to the new one.
fn replace(file: &Path) -> Result<(), KeymanError> {
    let failed =
        |source| KeymanError::File { doing: "replace the broken key index", file: file.to_owned(), source };
    for journal in ["-journal", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(journal);
        remove(Path::new(&name)).map_err(failed)?;
    }
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    fs::write(&name, []).and_then(|()| fs::rename(&name, file)).map_err(failed)
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
