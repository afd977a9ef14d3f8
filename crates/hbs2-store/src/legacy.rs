//! The storage folder of the original: a file for each block and each reference (docs/spec/storage.md).
//!
//! ```text
//! PREFIX/blocks/c/rest    a block; c and rest are the base58 of its hash, cut after the first character
//! PREFIX/refs/c/rest      a reference: the base58 of its value; rest.metadata beside it if it expires
//! ```
//! We only read it, to take over what is in it. The original does not check hashes when it reads, and never makes sure
//! that what it writes is on stable storage, so nothing here is believed: a block is taken when it has its hash.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use hbs2_core::Hash;
use hbs2_core::limits::BLOCK_BYTES_MAX;

/// Longest file of a reference that is read, in bytes: 44 characters, and to spare.
const REFERENCE_BYTES_MAX: u64 = 128;

/// Ending of the file beside a reference that expires.
const METADATA: &str = ".metadata";

/// Start of the name of a file that the original was writing when it stopped.
const UNFINISHED: &str = "atomic";

/// A storage folder of the original.
#[derive(Debug, Clone)]
pub struct Legacy {
    root: PathBuf,
}

/// Why a folder cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LegacyError {
    /// It has no blocks.
    #[error("{} is no storage folder: it has no folder blocks", root.display())]
    NotAStorage {
        /// The folder.
        root: PathBuf,
    },
    /// A folder in it cannot be listed.
    #[error("cannot list {}", path.display())]
    List {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The file of a block or of a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What its name says.
    pub hash: Hash,
    /// Its length in bytes.
    pub bytes: u64,
    /// Where it is.
    pub path: PathBuf,
}

/// A file that is not what its name says.
#[derive(Debug, thiserror::Error)]
pub enum Corrupt {
    /// Its bytes have another hash.
    #[error("its bytes do not have the hash of its name")]
    OtherBytes,
    /// It is longer than any block.
    #[error("it has {bytes} bytes, more than {BLOCK_BYTES_MAX}")]
    TooLong {
        /// How long it is.
        bytes: u64,
    },
    /// Its name is not one of the storage.
    #[error("its name is no hash")]
    Name,
    /// It holds no hash.
    #[error("it holds no hash")]
    Value,
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}

/// One of the folders of a storage: its name is the first character of the hashes in it, so there are at most 58, and
/// the files of one are few enough to be listed at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    first: String,
    path: PathBuf,
}

/// What is in one of the folders: files with a name of the storage, and the others.
#[derive(Debug, Default)]
pub struct Listing {
    /// Files whose name is a hash, by hash.
    pub entries: Vec<Entry>,
    /// Files whose name is none.
    pub strangers: Vec<PathBuf>,
}

impl Legacy {
    /// The storage folder `root`.
    ///
    /// # Errors
    /// There is none.
    pub fn open(root: &Path) -> Result<Self, LegacyError> {
        match root.join("blocks").is_dir() {
            true => Ok(Self { root: root.to_owned() }),
            false => Err(LegacyError::NotAStorage { root: root.to_owned() }),
        }
    }

    /// The folders of blocks, in the same order each time.
    ///
    /// # Errors
    /// The storage cannot be listed.
    pub fn blocks(&self) -> Result<Vec<Folder>, LegacyError> {
        folders(&self.root.join("blocks"))
    }

    /// The files of references; those that expire are left out, for they were made to go away.
    ///
    /// # Errors
    /// A folder cannot be listed.
    pub fn references(&self) -> Result<Listing, LegacyError> {
        let folder = self.root.join("refs");
        if !folder.is_dir() {
            return Ok(Listing::default());
        }
        let mut listing = Listing::default();
        for folder in folders(&folder)? {
            let Listing { entries, strangers } = folder.list()?;
            listing.entries.extend(entries);
            listing.strangers.extend(strangers);
        }
        let metadata = |path: &Path| path.as_os_str().to_string_lossy().ends_with(METADATA);
        listing.strangers.retain(|path| !metadata(path));
        listing.entries.retain(|entry| {
            let mut beside = entry.path.clone().into_os_string();
            beside.push(METADATA);
            !Path::new(&beside).exists()
        });
        Ok(listing)
    }
}

impl Folder {
    /// The files in it, in the order of their hashes.
    ///
    /// # Errors
    /// It cannot be listed.
    pub fn list(&self) -> Result<Listing, LegacyError> {
        let mut listing = Listing::default();
        for (rest, path) in names(&self.path)? {
            let bytes = match fs::metadata(&path) {
                // It went away while we looked: a running peer does that.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                other => other.map_or(0, |file| file.len()),
            };
            match format!("{}{rest}", self.first).parse() {
                Ok(hash) => listing.entries.push(Entry { hash, bytes, path }),
                Err(_) if rest.starts_with(UNFINISHED) => {}
                Err(_) => listing.strangers.push(path),
            }
        }
        listing.entries.sort_unstable_by_key(|entry| entry.hash);
        listing.strangers.sort_unstable();
        Ok(listing)
    }
}

impl Entry {
    /// The block in this file. Its hash is not checked here, because that is faster for several at once.
    ///
    /// # Errors
    /// It is too long or cannot be read.
    pub fn read(&self) -> Result<Bytes, Corrupt> {
        let mut bytes = Vec::new();
        File::open(&self.path)?.take(BLOCK_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
        match bytes.len() {
            0..=BLOCK_BYTES_MAX => Ok(bytes.into()),
            _ => Err(Corrupt::TooLong { bytes: self.bytes }),
        }
    }

    /// The value of the reference in this file.
    ///
    /// # Errors
    /// It holds no hash, or cannot be read.
    pub fn value(&self) -> Result<Hash, Corrupt> {
        let mut text = Vec::new();
        File::open(&self.path)?.take(REFERENCE_BYTES_MAX).read_to_end(&mut text)?;
        let text = std::str::from_utf8(&text).map_err(|_| Corrupt::Value)?;
        text.trim().parse().map_err(|_| Corrupt::Value)
    }
}

fn folders(path: &Path) -> Result<Vec<Folder>, LegacyError> {
    let mut folders: Vec<Folder> =
        names(path)?.into_iter().map(|(first, path)| Folder { first, path }).collect();
    folders.retain(|folder| folder.path.is_dir());
    folders.sort_unstable_by(|a, b| a.first.cmp(&b.first));
    Ok(folders)
}

/// The names in a folder; one that is no text is given as it can be shown.
fn names(folder: &Path) -> Result<Vec<(String, PathBuf)>, LegacyError> {
    let failed = |source| LegacyError::List { path: folder.to_owned(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        names.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, kind: &str, name: &str, bytes: &[u8]) -> PathBuf {
        let dir = root.join(kind).join(&name[..1]);
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join(&name[1..]);
        fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn blocks_and_references_are_found_and_leftovers_are_not() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Legacy::open(dir.path()), Err(LegacyError::NotAStorage { .. })));
        let (a, b) = (Hash::of(b"a"), Hash::of(b"b"));
        write(dir.path(), "blocks", &a.to_string(), b"a");
        write(dir.path(), "blocks", &b.to_string(), b"broken");
        write(dir.path(), "blocks", "xatomic123-0.write", b"half");
        let stranger = write(dir.path(), "blocks", "notes.txt", b"mine");
        write(dir.path(), "refs", &a.to_string(), b.to_string().as_bytes());
        write(dir.path(), "refs", &b.to_string(), a.to_string().as_bytes());
        write(dir.path(), "refs", &format!("{b}.metadata"), b"\xa0");

        let legacy = Legacy::open(dir.path()).unwrap();
        let (mut found, mut strangers) = (Vec::new(), Vec::new());
        for folder in legacy.blocks().unwrap() {
            let listing = folder.list().unwrap();
            found.extend(listing.entries.iter().map(|entry| entry.hash));
            strangers.extend(listing.strangers);
        }
        found.sort_unstable();
        let mut expected = vec![a, b];
        expected.sort_unstable();
        assert_eq!(found, expected);
        assert_eq!(strangers, [stranger]);
        let references = legacy.references().unwrap();
        assert!(references.strangers.is_empty());
        let [only] = references.entries.as_slice() else { panic!("{references:?}") };
        assert_eq!((only.hash, only.value().unwrap()), (a, b));
    }

    #[test]
    fn a_value_that_is_no_hash_and_a_file_that_is_too_long_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let hash = Hash::of(b"a");
        write(dir.path(), "refs", &hash.to_string(), b"nothing");
        let path = write(dir.path(), "blocks", &hash.to_string(), b"");
        File::options().write(true).open(path).unwrap().set_len(BLOCK_BYTES_MAX as u64 + 1).unwrap();
        let legacy = Legacy::open(dir.path()).unwrap();
        assert!(matches!(legacy.references().unwrap().entries[0].value(), Err(Corrupt::Value)));
        assert!(matches!(
            legacy.blocks().unwrap()[0].list().unwrap().entries[0].read(),
            Err(Corrupt::TooLong { .. })
        ));
    }
}
