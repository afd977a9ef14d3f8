//! What tests and the example helper need besides the storage folder: keys in a folder, a voice on stderr.

use std::fs;
use std::path::PathBuf;

use hbs2_core::{Keyring, SignPublicKey, SignSecretKey};

use crate::keys::{Keys, KeysError};
use crate::voice::Voice;

pub use crate::link::folder::Folder;

/// Keys in the files of one folder, `KEY-lwwref.key`.
#[derive(Debug)]
pub struct KeyFolder(pub PathBuf);

impl KeyFolder {
    fn path(&self, public: &SignPublicKey) -> PathBuf {
        self.0.join(format!("{public}-lwwref.key"))
    }
}

impl Keys for KeyFolder {
    fn find_sign(&self, public: &SignPublicKey) -> Result<Option<SignSecretKey>, KeysError> {
        let path = self.path(public);
        if !path.exists() {
            return Ok(None);
        }
        Ok(Some(Keyring::parse(&fs::read(path)?)?.sign.clone()))
    }

    fn add_lwwref(&self, secret: &SignSecretKey) -> Result<(), KeysError> {
        fs::create_dir_all(&self.0)?;
        let keyring = Keyring { sign: secret.clone(), encrypt: Vec::new() };
        Ok(fs::write(self.path(&secret.public()), keyring.to_text())?)
    }
}

/// Says everything on stderr, the status too.
#[derive(Debug)]
pub struct Stderr;

impl Voice for Stderr {
    fn say(&self, line: &str) {
        eprintln!("{line}");
    }

    fn status(&self, text: &str) {
        if !text.is_empty() {
            eprintln!("status: {text}");
        }
    }
}
