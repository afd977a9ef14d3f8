//! What the key files say: rows of (key, kind, file). It can be made again at any time.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior, params};

use super::{Broken, Shape};
use crate::index::KeyKind;
use crate::scan::Scan;

/// The tables.
pub(crate) const SHAPE: Shape = Shape {
    tables: &["hbs2_key_1"],
    schema: "
        CREATE TABLE IF NOT EXISTS hbs2_key_1 (
            key BLOB NOT NULL, kind INTEGER NOT NULL, file BLOB NOT NULL, place INTEGER NOT NULL,
            PRIMARY KEY (key, kind, file)) WITHOUT ROWID;",
    broken: Broken::Replace,
};

/// A row: one key in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: [u8; 32],
    pub(crate) kind: KeyKind,
    pub(crate) file: PathBuf,
    /// Position in the file.
    pub(crate) place: i64,
}

/// Where a key stands: the bytes of its file's path, and the position in the file. Ordered as keys are listed.
pub(crate) type Place = (Vec<u8>, i64);

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

/// The keys of one kind, by file, then as they stand in the file; a key in several files comes several times.
pub(crate) fn keys_of(connection: &Connection, kind: KeyKind) -> rusqlite::Result<Vec<[u8; 32]>> {
    let mut query =
        connection.prepare_cached("SELECT key FROM hbs2_key_1 WHERE kind = ? ORDER BY file, place")?;
    query.query_map([kind as i64], |row| row.get(0))?.collect()
}

/// Those of `keys` that are present, each with its first file and the place in it.
pub(crate) fn places_of(
    connection: &Connection,
    keys: &[[u8; 32]],
    kind: KeyKind,
) -> rusqlite::Result<Vec<([u8; 32], Place)>> {
    let mut query = connection.prepare_cached(
        "SELECT file, place FROM hbs2_key_1 WHERE key = ? AND kind = ? ORDER BY file LIMIT 1",
    )?;
    let mut places = Vec::new();
    for key in keys {
        let mut found = query.query_map(params![key, kind as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
        places.extend(found.next().transpose()?.map(|place| (*key, place)));
    }
    Ok(places)
}

/// All rows, by file, then as they stand in the file.
pub(crate) fn rows(connection: &Connection) -> rusqlite::Result<Vec<Row>> {
    let mut query =
        connection.prepare("SELECT key, kind, file, place FROM hbs2_key_1 ORDER BY file, place")?;
    let rows = query.query_map([], |row| {
        let kind: i64 = row.get(1)?;
        Ok(Row {
            key: row.get(0)?,
            kind: if kind == KeyKind::Sign as i64 { KeyKind::Sign } else { KeyKind::Encrypt },
            file: path(row.get(2)?),
            place: row.get(3)?,
        })
    })?;
    rows.collect()
}

/// Takes the weights out of a database of the time when they were kept in it.
pub(crate) fn take_old_weights(connection: &mut Connection) -> rusqlite::Result<Vec<([u8; 32], i64)>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let is_there: bool = transaction.query_row(
        "SELECT count(*) FROM sqlite_master WHERE name = 'hbs2_weight_1'",
        [],
        |row| row.get(0),
    )?;
    if !is_there {
        return Ok(Vec::new());
    }
    let weights = {
        let mut query = transaction.prepare("SELECT key, weight FROM hbs2_weight_1")?;
        let weights = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        weights.collect::<rusqlite::Result<_>>()?
    };
    transaction.execute_batch("DROP TABLE hbs2_weight_1")?;
    transaction.commit()?;
    Ok(weights)
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
    let come = come.map(|((file, kind, key), place)| Row { key, kind, file: file.to_owned(), place });
    (come.collect(), go)
}

fn path(bytes: Vec<u8>) -> PathBuf {
    OsString::from_vec(bytes).into()
}
