//! The file of the peer key.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hbs2_core::SignSecretKey;
use hbs2_core::keyring::{Keyring, KeyringError};
use zeroize::Zeroizing;

/// Largest key file that is read, in bytes; the original's limit. A keyring with one signing key has about 270.
const KEY_FILE_BYTES_MAX: u64 = 4096;

/// Permission bits that nobody but the owner should have.
const OTHERS: u32 = 0o077;

/// Why there is no peer key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read the peer key {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no keyring.
    #[error("the peer key {} is no keyring", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyringError,
    },
}

/// Reads the signing key of the keyring in the file `path`. A file that others can read is worth a warning.
///
/// # Errors
/// The file cannot be read, or is no keyring.
pub fn read_key(path: &Path) -> Result<SignSecretKey, KeyError> {
    let read = |source| KeyError::Read { path: path.to_owned(), source };
    let mut content = Zeroizing::new(Vec::new());
    File::open(path).map_err(read)?.take(KEY_FILE_BYTES_MAX).read_to_end(&mut content).map_err(read)?;
    let mode = fs::metadata(path).map_err(read)?.permissions().mode();
    if mode & OTHERS != 0 {
        let mode = mode & 0o777;
        tracing::warn!("the peer key {} has mode {mode:o}: others can read it, chmod 600", path.display());
    }
    let malformed = |source| KeyError::Malformed { path: path.to_owned(), source };
    Ok(Keyring::parse(&content).map_err(malformed)?.sign.clone())
}
