//! The files that masks name, and the keys in them.
//!
//! In a mask `*` and `?` stand for characters of one name and `**` for any directories. A mask without them is
//! a file, or a directory whose files with the default mask are meant.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use hbs2_core::keyring::Keyring;
use walkdir::WalkDir;
use zeroize::Zeroizing;

use crate::config::Settings;
use crate::index::KeyKind;

/// Largest file that is looked at, in bytes. A keyring takes 140 bytes and 110 more for each encryption key;
/// the text form of keyrings is limited to 64 KiB of base58 anyway.
pub const KEYRING_BYTES_MAX: u64 = 80 * 1024;

/// Room that nearly every keyring fits, in bytes: text that grows leaves copies of itself behind, unwiped.
const KEYRING_BYTES_USUAL: usize = 8 * 1024;

/// Directory entries looked at for one mask, at most: a mask such as `~/**` should end with a warning, not
/// with a walk over a whole disk.
pub const ENTRIES_MAX: usize = 200_000;

/// Directories within each other below a mask, at most.
const DEPTH_MAX: usize = 40;

/// Something about key files that their owner should know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// Others than its owner may read or change a key file.
    #[error("others may read the key file {} (mode {mode:03o}); use: chmod 600", file.display())]
    LooseMode {
        /// The file.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file or directory below a mask cannot be read.
    #[error("cannot read {}: {reason}", file.display())]
    Unreadable {
        /// The file or directory.
        file: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A mask names more files than we look at.
    #[error("the mask {mask} names more than {ENTRIES_MAX} files and directories; the rest was left out")]
    TooMany {
        /// The mask.
        mask: String,
    },
    /// The database of weights and group keys was broken.
    #[error("the weights of keys and the known group keys could not be read and begin anew; the old file is {}", file.display())]
    SetAside {
        /// Where the broken one is now.
        file: PathBuf,
    },
}

impl Warning {
    /// What it is about.
    pub(crate) fn place(&self) -> &Path {
        match self {
            Self::LooseMode { file, .. } | Self::Unreadable { file, .. } | Self::SetAside { file } => file,
            Self::TooMany { mask } => Path::new(mask),
        }
    }
}

/// What a scan found.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Every file that was looked at, with its public keys; none for a file that is not a keyring.
    pub(crate) files: BTreeMap<PathBuf, Vec<(KeyKind, [u8; 32])>>,
    pub(crate) warnings: Vec<Warning>,
}

/// Looks at all files that the settings name.
pub(crate) fn scan(settings: &Settings) -> Scan {
    let mut scan = Scan::default();
    for mask in &settings.masks {
        if let Err(warning) = scan.look_for(mask, &settings.default_key_mask) {
            scan.warnings.push(warning);
        }
    }
    scan.warnings.sort_by_key(ToString::to_string);
    scan.warnings.dedup();
    scan
}

/// The keyring in `file`; none when the file holds something else.
pub(crate) fn read_keyring(file: &Path) -> io::Result<Option<Keyring>> {
    // A pipe would keep us waiting for its other end.
    if !fs::metadata(file)?.is_file() {
        return Err(io::Error::other("this is not a regular file"));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEYRING_BYTES_USUAL));
    File::open(file)?.take(KEYRING_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(if bytes.len() as u64 > KEYRING_BYTES_MAX { None } else { Keyring::parse(&bytes).ok() })
}

/// The public keys of a keyring: the signing key, then the encryption keys in their order.
pub(crate) fn public_keys(keyring: &Keyring) -> Vec<(KeyKind, [u8; 32])> {
    let encrypt = keyring.encrypt.iter().map(|entry| (KeyKind::Encrypt, *entry.public().as_bytes()));
    std::iter::once((KeyKind::Sign, *keyring.public().as_bytes())).chain(encrypt).collect()
}

/// The warning that a key file deserves for its mode.
pub(crate) fn check_mode(file: &Path, metadata: &fs::Metadata) -> Option<Warning> {
    const OTHERS: u32 = 0o077;
    let mode = metadata.mode() & 0o777;
    (mode & OTHERS != 0).then(|| Warning::LooseMode { file: file.to_owned(), mode })
}

/// Whether `mask` can be understood.
pub(crate) fn check_mask(mask: &str) -> Result<(), globset::Error> {
    matcher(mask).map(drop)
}

impl Scan {
    fn look_for(&mut self, mask: &str, default_mask: &str) -> Result<(), Warning> {
        let plain = Path::new(mask);
        let mask = match fs::metadata(plain) {
            Ok(found) if found.is_file() => {
                self.look_at(plain, &found);
                return Ok(());
            }
            Ok(found) if found.is_dir() => {
                format!("{}/{default_mask}", globset::escape(mask.trim_end_matches('/')))
            }
            _ => mask.to_owned(),
        };
        // Masks are checked when they are read, so this is for those that are made here.
        match matcher(&mask) {
            Ok(matcher) => self.walk(&mask, &matcher),
            Err(error) => Err(unreadable(plain, error)),
        }
    }

    fn walk(&mut self, mask: &str, matcher: &GlobMatcher) -> Result<(), Warning> {
        let walk = WalkDir::new(fixed_part(mask)).follow_links(true).max_depth(DEPTH_MAX).sort_by_file_name();
        for (count, entry) in walk.into_iter().enumerate() {
            if count == ENTRIES_MAX {
                return Err(Warning::TooMany { mask: mask.to_owned() });
            }
            match entry {
                Ok(entry) if entry.file_type().is_file() && matcher.is_match(entry.path()) => {
                    match entry.metadata() {
                        Ok(metadata) => self.look_at(entry.path(), &metadata),
                        Err(error) => self.warnings.push(unreadable(entry.path(), error)),
                    }
                }
                Ok(_) => {}
                Err(error) => self.report(&error),
            }
        }
        Ok(())
    }

    fn look_at(&mut self, file: &Path, metadata: &fs::Metadata) {
        if self.files.contains_key(file) {
            return;
        }
        let keyring = match metadata.len() <= KEYRING_BYTES_MAX {
            true => read_keyring(file),
            false => Ok(None),
        };
        match keyring {
            Ok(Some(keyring)) => {
                self.files.insert(file.to_owned(), public_keys(&keyring));
                self.warnings.extend(check_mode(file, metadata));
            }
            Ok(None) => {
                self.files.insert(file.to_owned(), Vec::new());
            }
            Err(error) => self.warnings.push(unreadable(file, error)),
        }
    }

    /// A directory that is not there yet, a dangling link or a loop of links is nothing to report.
    fn report(&mut self, error: &walkdir::Error) {
        let absent = error.io_error().is_none_or(|error| error.kind() == io::ErrorKind::NotFound);
        if let (false, Some(path)) = (absent, error.path()) {
            self.warnings.push(unreadable(path, error.io_error().expect("looked at above")));
        }
    }
}

fn unreadable(file: &Path, reason: impl fmt::Display) -> Warning {
    Warning::Unreadable { file: file.to_owned(), reason: reason.to_string() }
}

fn matcher(mask: &str) -> Result<GlobMatcher, globset::Error> {
    Ok(GlobBuilder::new(mask).literal_separator(true).build()?.compile_matcher())
}

/// The directories of a mask before its first sign: where the walk starts.
fn fixed_part(mask: &str) -> PathBuf {
    let fixed = mask.find(['*', '?', '[', '{', '\\']).map_or(mask, |sign| &mask[..sign]);
    let dir = fixed.rfind('/').map_or("", |slash| &fixed[..=slash]);
    PathBuf::from(if dir.is_empty() { "/" } else { dir })
}
