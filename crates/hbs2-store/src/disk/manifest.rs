//! A look at the engine's manifests before it opens them.
//!
//! Each keyspace has a file `current` that names its manifest, `v` and a number. The manifest begins with a few
//! bytes that the engine asserts instead of checking, so one flipped bit there would end the process. They are
//! checked here first: format version, crate version as text, kind of tree, number of levels, kind of filter
//! hash. The rest of a manifest the engine checks itself.

use std::io;
use std::path::{Path, PathBuf};

/// What the engine asserts to find.
const FORMAT_VERSION: u8 = 3;
const LEVELS: u8 = 7;
const FILTER_HASH: u8 = 0;
const TREE_KINDS: std::ops::RangeInclusive<u8> = 0..=1;

/// A manifest that the engine would choke on.
#[derive(Debug, thiserror::Error)]
#[error("{} is damaged", file.display())]
pub(super) struct Damaged {
    file: PathBuf,
}

/// Checks the manifests below `database`, where there are any.
pub(super) fn check(database: &Path) -> io::Result<()> {
    let keyspaces = match std::fs::read_dir(database.join("keyspaces")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        keyspaces => keyspaces?,
    };
    for keyspace in keyspaces {
        let keyspace = keyspace?.path();
        let current = keyspace.join("current");
        if !current.try_exists()? {
            // A keyspace that was never finished; the engine removes it.
            continue;
        }
        let number = std::fs::read(&current)?.first_chunk().copied().map(u64::from_le_bytes);
        let manifest = keyspace.join(format!("v{}", number.unwrap_or_default()));
        let damaged = |file| io::Error::new(io::ErrorKind::InvalidData, Damaged { file });
        if number.is_none() || !manifest.try_exists()? {
            return Err(damaged(current));
        }
        if !begins_as_it_must(&std::fs::read(&manifest)?) {
            return Err(damaged(manifest));
        }
    }
    Ok(())
}

fn begins_as_it_must(manifest: &[u8]) -> bool {
    let Some((&FORMAT_VERSION, rest)) = manifest.split_first() else { return false };
    let version_bytes = rest.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    matches!(rest[version_bytes..], [kind, LEVELS, FILTER_HASH, ..] if TREE_KINDS.contains(&kind))
}
