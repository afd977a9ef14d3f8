//! Secrets, read from their files at the moment of use.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hbs2_core::keyring::Keyring;
use hbs2_core::{EncryptPublicKey, EncryptSecretKey, SignPublicKey, SignSecretKey};

use crate::KeymanError;
use crate::db::files;
use crate::index::{KeyIndex, KeyKind, Vanished};
use crate::scan::{self, Warning};

/// A secret and where it was.
#[derive(Debug, Clone)]
pub struct Found<S> {
    /// The secret. It is wiped when dropped.
    pub secret: S,
    /// The file it was read from.
    pub file: PathBuf,
}

/// What is in the place of a key file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gone {
    /// The file is not there.
    Missing,
    /// The file cannot be read, for this reason.
    Unreadable(String),
    /// The file is no keyring, or a keyring without this key.
    OtherContent,
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the file is gone"),
            Self::Unreadable(reason) => f.write_str(reason),
            Self::OtherContent => f.write_str("the file no longer holds this key"),
        }
    }
}

impl KeyIndex {
    /// The secret half of a signing key; none when no file we know holds it.
    ///
    /// A key that is not in the index is looked for in the files once more before that is said.
    ///
    /// # Errors
    /// The index names a file for the key that no longer holds it; the configuration or the index cannot be
    /// read.
    pub fn find_sign(&self, public: &SignPublicKey) -> Result<Option<Found<SignSecretKey>>, KeymanError> {
        let found = self.find(KeyKind::Sign, public.as_bytes(), public)?;
        Ok(found.map(|found| found.map(|keyring| keyring.sign.clone())))
    }

    /// The keyring with a signing key: the key and the encryption keys beside it.
    ///
    /// # Errors
    /// As [`KeyIndex::find_sign`].
    pub fn find_keyring(&self, public: &SignPublicKey) -> Result<Option<Found<Keyring>>, KeymanError> {
        self.find(KeyKind::Sign, public.as_bytes(), public)
    }

    /// The secret half of an encryption key.
    ///
    /// # Errors
    /// As [`KeyIndex::find_sign`].
    pub fn find_encrypt(
        &self,
        public: &EncryptPublicKey,
    ) -> Result<Option<Found<EncryptSecretKey>>, KeymanError> {
        let found = self.find(KeyKind::Encrypt, public.as_bytes(), public)?;
        Ok(found
            .map(|found| found.map(|keyring| secret_of(&keyring, public).expect("the search looked for it"))))
    }

    fn find(
        &self,
        kind: KeyKind,
        key: &[u8; 32],
        shown: &dyn fmt::Display,
    ) -> Result<Option<Found<Keyring>>, KeymanError> {
        let (found, _) = self.try_files(kind, key)?;
        if found.is_some() {
            return Ok(found);
        }
        // The key may have come, or moved, since the last look at the files.
        self.update(Vanished::Keep)?;
        match self.try_files(kind, key)? {
            (Some(found), _) => Ok(Some(found)),
            (None, None) => Ok(None),
            (None, Some((file, gone))) => Err(KeymanError::Vanished { key: shown.to_string(), file, gone }),
        }
    }

    /// The first file that holds the key, or else the first file that should.
    #[allow(clippy::type_complexity)] // Two halves of one answer; a type for them would hide that.
    pub(crate) fn try_files(
        &self,
        kind: KeyKind,
        key: &[u8; 32],
    ) -> Result<(Option<Found<Keyring>>, Option<(PathBuf, Gone)>), KeymanError> {
        let mut first_gone = None;
        for file in self.files(|connection| files::files_of(connection, key, kind))? {
            match read(&file, kind, key) {
                Ok((found, warning)) => {
                    self.warn(warning);
                    return Ok((Some(found), None));
                }
                Err(gone) => {
                    first_gone.get_or_insert((file, gone));
                }
            }
        }
        Ok((None, first_gone))
    }
}

impl<S> Found<S> {
    pub(crate) fn map<T>(self, part: impl FnOnce(S) -> T) -> Found<T> {
        Found { secret: part(self.secret), file: self.file }
    }
}

impl<S, E> Found<Result<S, E>> {
    pub(crate) fn transpose(self) -> Result<Found<S>, (PathBuf, E)> {
        match self.secret {
            Ok(secret) => Ok(Found { secret, file: self.file }),
            Err(error) => Err((self.file, error)),
        }
    }
}

fn read(file: &Path, kind: KeyKind, key: &[u8; 32]) -> Result<(Found<Keyring>, Option<Warning>), Gone> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Gone::Missing,
        _ => Gone::Unreadable(error.to_string()),
    };
    let metadata = fs::metadata(file).map_err(failed)?;
    let keyring = scan::read_keyring(file).map_err(failed)?.ok_or(Gone::OtherContent)?;
    if !scan::public_keys(&keyring).contains(&(kind, *key)) {
        return Err(Gone::OtherContent);
    }
    Ok((Found { secret: keyring, file: file.to_owned() }, scan::check_mode(file, &metadata)))
}

pub(crate) fn secret_of(keyring: &Keyring, public: &EncryptPublicKey) -> Option<EncryptSecretKey> {
    keyring.encrypt.iter().find(|entry| entry.public() == *public).map(|entry| entry.secret.clone())
}
