//! A home directory of a test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hbs2_core::keyring::Keyring;
use hbs2_keyman::{KeyIndex, Paths};
use tempfile::TempDir;

pub(crate) struct Home {
    dir: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// A home with this configuration; `HOME` in it stands for the home's path.
    pub(crate) fn with_config(config: &str) -> Self {
        let home = Self::new();
        let text = config.replace("HOME", home.path().to_str().unwrap());
        home.write("config/hbs2-keyman/config", text.as_bytes());
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn paths(&self) -> Paths {
        let root = self.path();
        Paths::from_environment(|name| match name {
            "HOME" => Some(root.into()),
            "XDG_CONFIG_HOME" => Some(root.join("config").into()),
            "XDG_DATA_HOME" => Some(root.join("data").into()),
            _ => None,
        })
        .unwrap()
    }

    pub(crate) fn index(&self) -> KeyIndex {
        KeyIndex::open(self.paths()).unwrap()
    }

    /// Writes a file of mode 0600 and the directories it needs.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let file = self.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, bytes).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        file
    }

    /// Writes the keyring that grows from `seed`.
    pub(crate) fn key(&self, name: &str, seed: u8) -> PathBuf {
        self.write(name, keyring(seed).to_text().as_bytes())
    }

    /// The files of the list, without the home's path, each with its number of keys.
    pub(crate) fn listed(&self) -> Vec<(String, usize)> {
        let mut files: Vec<(String, usize)> = Vec::new();
        for listed in self.index().list().unwrap() {
            let name = listed.file.strip_prefix(self.path()).unwrap().to_str().unwrap().to_owned();
            match files.last_mut().filter(|(last, _)| *last == name) {
                Some((_, count)) => *count += 1,
                None => files.push((name, 1)),
            }
        }
        files
    }
}

/// A keyring with one signing and one encryption key.
pub(crate) fn keyring(seed: u8) -> Keyring {
    Keyring::new(&[seed; 32], &[[seed; 32]])
}
