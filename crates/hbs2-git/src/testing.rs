//! What tests and the example helper need besides the storage folder: keys in a folder, a voice on stderr.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use hbs2_core::groupkey::{GroupKey, GroupKeyError, GroupKeyId, GroupSecret};
use hbs2_core::{Hash, Keyring, SignPublicKey, SignSecretKey};

use crate::keys::{Keys, KeysError};
use crate::voice::Voice;

pub use crate::link::folder::Folder;

/// Keys in the files of one folder: `KEY-lwwref.key`, other `*.key` files with encryption keys, and `tracked` with the
/// group keys that are remembered, a line `ID ROOT` each.
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

    fn open_group(&self, group: &GroupKey) -> Result<Option<GroupSecret>, KeysError> {
        let mut keys = Vec::new();
        if self.0.exists() {
            for file in fs::read_dir(&self.0)? {
                let path = file?.path();
                if path.extension().is_some_and(|extension| extension == "key") {
                    keys.extend(Keyring::parse(&fs::read(path)?)?.encrypt);
                }
            }
        }
        match group.open_with(keys.iter().map(|entry| &entry.secret)) {
            Ok(secret) => Ok(Some(secret)),
            Err(GroupKeyError::NotMember) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn track_groups(&self, groups: &[(Hash, GroupKey)]) -> Result<(), KeysError> {
        fs::create_dir_all(&self.0)?;
        let mut file = fs::File::options().append(true).create(true).open(self.0.join("tracked"))?;
        for (root, group) in groups {
            if let Some(id) = group.id() {
                file.write_all(format!("{id} {root}\n").as_bytes())?;
            }
        }
        Ok(())
    }

    fn tracked_groups(&self, id: &GroupKeyId) -> Result<Vec<Hash>, KeysError> {
        let text = fs::read_to_string(self.0.join("tracked")).unwrap_or_default();
        let root = |line: &str| line.strip_prefix(&format!("{id} "))?.parse().ok();
        Ok(text.lines().filter_map(root).collect())
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
