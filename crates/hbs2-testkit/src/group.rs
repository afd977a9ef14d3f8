//! Members of a group: encryption keys in homes, and files of group keys for them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use hbs2_core::{EncryptPublicKey, EncryptSecretKey, GroupKey, GroupSecret};

use crate::{Home, KitError};

/// Makes a keyring with an encryption key where `hbs2-keyman` looks for keys; gives the public key.
///
/// # Errors
/// A program of the home fails.
pub fn encryption_key(home: &Home) -> Result<String, KitError> {
    let keyring = home.line("hbs2 keyring-new -n 1").ok()?.stdout;
    let dir = home.join(".hbs2-keyman/keys");
    fs::create_dir_all(&dir).map_err(KitError::io("cannot make", &dir))?;
    let file = dir.join("me.key");
    let written = fs::write(&file, keyring)
        .and_then(|()| fs::set_permissions(&file, fs::Permissions::from_mode(0o600)));
    written.map_err(KitError::io("cannot write", &file))?;
    home.line("hbs2-keyman update").ok()?;
    listed_key(home)
}

/// The first encryption key that `hbs2-keyman list` shows.
///
/// # Errors
/// There is none.
pub fn listed_key(home: &Home) -> Result<String, KitError> {
    let listed = home.line("hbs2-keyman list").ok()?;
    let text = listed.text();
    let key = text.lines().find(|line| line.contains(" encrypt ")).and_then(|line| line.split(' ').next());
    let none =
        || KitError::Unexpected { what: "no encryption key is listed".into(), place: listed.to_string() };
    key.map(str::to_owned).ok_or_else(none)
}

/// The names that the group key in a file will have.
#[derive(Debug, Clone)]
pub struct GroupFile {
    /// Root of its tree.
    pub hash: String,
    /// Id of its secret.
    pub id: String,
}

impl GroupFile {
    /// Writes the file `name` of a home: a group key for `members` with the secret number `secret`, the same in every
    /// run for the same members.
    ///
    /// # Errors
    /// The file cannot be written.
    ///
    /// # Panics
    /// There are no members, or one is no key.
    pub fn new(home: &Home, name: &str, secret: u8, members: &[&str]) -> Result<Self, KitError> {
        let members: BTreeSet<EncryptPublicKey> =
            members.iter().map(|key| key.parse().expect("a key that was listed")).collect();
        let secret = GroupSecret::from_bytes([secret; 32]);
        let mut number = 0;
        let once = || {
            number += 1;
            EncryptSecretKey::from_bytes([number; 32])
        };
        let group = GroupKey::generate(&secret, &members, 1_700_000_000, once).expect("there are members");
        let file = home.join(name);
        fs::write(&file, group.to_text()).map_err(KitError::io("cannot write", &file))?;
        Ok(Self { hash: group.build(|_, _| ()).to_string(), id: secret.id().to_string() })
    }
}
