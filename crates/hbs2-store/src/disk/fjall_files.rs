//! What the index needs from the files of its engine: a look before opening, and a small journal after closing.
//!
//! The engine writes every change to a journal first and reads its journals when it opens; 60 MB of them cost
//! some 70 ms of processor time. So they are emptied on closing, when all they say has gone into tables.
//!
//! Each keyspace of the engine has a file `current` that names its manifest, `v` and a number. A manifest begins
//! with a few bytes that the engine asserts instead of checking, so that one flipped bit there would end the
//! process. They are checked here: format version, crate version as text, kind of tree, number of levels, kind of
//! filter hash. The rest of a manifest the engine checks itself.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Journals smaller than this are left for the next opening to read, in bytes: some five thousand
/// blocks, which take some milliseconds.
pub(super) const JOURNAL_BYTES: u64 = 512 * 1024;

/// How long closing may wait for the tables, in milliseconds. It is a convenience, and a node must end within 2 s.
const WAIT_MS: u64 = 1000;

/// How often it looks whether they are written, in microseconds.
const POLL_MICROS: u64 = 500;

/// What the system counts the space of files in, in bytes.
const SECTOR_BYTES: u64 = 512;

/// What the engine asserts to find in a manifest.
const FORMAT_VERSION: u8 = 3;
const LEVELS: u8 = 7;
const FILTER_HASH: u8 = 0;
const TREE_KINDS: std::ops::RangeInclusive<u8> = 0..=1;

/// A manifest that the engine would choke on.
#[derive(Debug, thiserror::Error)]
#[error("{} is damaged", file.display())]
struct Damaged {
    file: PathBuf,
}

/// Space that the journals in `database` take, in bytes. They are longer: the engine reserves space without
/// taking it.
pub(super) fn journal_bytes(database: &Path) -> io::Result<u64> {
    journals(database)?.iter().map(|journal| Ok(journal.metadata()?.blocks() * SECTOR_BYTES)).sum()
}

/// Makes the journals in `database` forget everything.
pub(super) fn empty_journals(database: &Path) -> io::Result<()> {
    for journal in journals(database)? {
        let file = File::options().write(true).open(journal)?;
        file.set_len(0)?;
        file.sync_all()?;
    }
    Ok(())
}

/// Waits for `settled`, though not for long. The answer is whether it came true.
pub(super) fn wait(settled: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !settled() {
        if start.elapsed() > Duration::from_millis(WAIT_MS) {
            return false;
        }
        std::thread::sleep(Duration::from_micros(POLL_MICROS));
    }
    true
}

/// Checks the manifests below `database`, where there are any.
pub(super) fn check_manifests(database: &Path) -> io::Result<()> {
    let keyspaces = match std::fs::read_dir(database.join("keyspaces")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        keyspaces => keyspaces?,
    };
    for keyspace in keyspaces {
        let keyspace = keyspace?.path();
        let current = keyspace.join("current");
        // A keyspace that was never finished has none; the engine removes it.
        if current.try_exists()? {
            check_manifest(&keyspace, &current)?;
        }
    }
    Ok(())
}

fn check_manifest(keyspace: &Path, current: &Path) -> io::Result<()> {
    let damaged =
        |file: &Path| Err(io::Error::new(io::ErrorKind::InvalidData, Damaged { file: file.to_owned() }));
    let Some(number) = std::fs::read(current)?.first_chunk().copied().map(u64::from_le_bytes) else {
        return damaged(current);
    };
    let manifest = keyspace.join(format!("v{number}"));
    if !manifest.try_exists()? {
        return damaged(current);
    }
    if begins_as_it_must(&std::fs::read(&manifest)?) { Ok(()) } else { damaged(&manifest) }
}

fn begins_as_it_must(manifest: &[u8]) -> bool {
    let Some((&FORMAT_VERSION, rest)) = manifest.split_first() else { return false };
    let version_bytes = rest.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    matches!(rest[version_bytes..], [kind, LEVELS, FILTER_HASH, ..] if TREE_KINDS.contains(&kind))
}

fn journals(database: &Path) -> io::Result<Vec<PathBuf>> {
    let mut journals = Vec::new();
    for entry in std::fs::read_dir(database)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "jnl") {
            journals.push(path);
        }
    }
    Ok(journals)
}
