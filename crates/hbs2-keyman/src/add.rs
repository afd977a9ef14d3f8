//! New key files.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hbs2_core::Hash;
use hbs2_core::cbor::Encoder;
use hbs2_core::keyring::Keyring;
use zeroize::Zeroizing;

use crate::KeymanError;
use crate::db::files;
use crate::index::KeyIndex;
use crate::scan::{self, Scan};

impl KeyIndex {
    /// Writes a keyring into the default directory and the index; answers its file, `KEY-SUFFIX.key`, or
    /// `KEY.key` without a suffix. Its mode is 0600. A file that holds the same keyring is left alone.
    ///
    /// # Errors
    /// The file cannot be written, or another file has its name.
    pub fn add_keyring(&self, keyring: &Keyring, suffix: &str) -> Result<PathBuf, KeymanError> {
        let dash = if suffix.is_empty() { "" } else { "-" };
        let name = format!("{}{dash}{suffix}.key", keyring.public());
        self.add_file(&name, keyring, &[keyring.to_text().as_bytes(), b"\n"])
    }

    /// The same with the text of a keyring file, which is kept as it is. The file is named by the text, as
    /// the original names it (spec: cli 6.2).
    ///
    /// # Errors
    /// The text is no keyring; else as [`KeyIndex::add_keyring`].
    pub fn add_keyring_text(&self, text: &str) -> Result<PathBuf, KeymanError> {
        let keyring = Keyring::parse(text.as_bytes()).map_err(|source| KeymanError::NotKeyring { source })?;
        self.add_file(&format!("{}.key", text_hash(text)), &keyring, &[text.as_bytes()])
    }

    fn add_file(&self, name: &str, keyring: &Keyring, parts: &[&[u8]]) -> Result<PathBuf, KeymanError> {
        let dir = self.settings()?.default_key_path;
        let file = dir.join(name);
        let failed = |source| KeymanError::File { doing: "write the key file", file: file.clone(), source };
        match scan::read_keyring(&file) {
            Ok(Some(found)) if found == *keyring => {}
            Ok(_) => return Err(KeymanError::Occupied { file }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                write(&dir, name, parts).map_err(failed)?;
            }
            Err(error) => return Err(failed(error)),
        }
        let mut scan = Scan::default();
        scan.files.insert(file.clone(), scan::public_keys(keyring));
        self.files(|connection| files::replace_files(connection, &scan, &[]))?;
        Ok(file)
    }
}

/// The hash of a text in CBOR.
fn text_hash(text: &str) -> Hash {
    // Room for all of it at once: a buffer that grows would leave copies of a secret behind.
    let mut encoder = Encoder::with_capacity(text.len() + 9);
    encoder.text(text);
    Hash::of(&Zeroizing::new(encoder.into_bytes()))
}

/// Under another name first, so that no half of a key file is ever seen under its own.
fn write(dir: &Path, name: &str, parts: &[&[u8]]) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let unfinished = dir.join(format!(".{name}-{}", std::process::id()));
    let write = || {
        let mut out = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        parts.iter().try_for_each(|part| out.write_all(part))?;
        out.sync_all()?;
        fs::rename(&unfinished, dir.join(name))?;
        // The name is as precious as the bytes: nobody can make this key again.
        fs::File::open(dir)?.sync_all()
    };
    write().inspect_err(|_| {
        // The error of the write is the one to tell.
        let _ = fs::remove_file(&unfinished);
    })
}
