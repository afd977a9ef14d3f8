//! Makes a configuration and a key where there are none.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hbs2_core::keyring::Keyring;
use zeroize::Zeroizing;

use super::CONFIG_FILE;

/// Name of the key beside a new configuration.
pub(crate) const KEY_FILE: &str = "default.key";

/// A new configuration.
const DEFAULT_CONFIG: &str = r#"; hbs2-peer: one setting a line, a semicolon begins a comment.
; Relative paths begin in this directory.

; Where other peers reach this one.
listen "0.0.0.0:7351"
listen-tcp "0.0.0.0:10351"

; The key of this peer: who has the file is this peer.
key "./default.key"

; Where blocks and references are kept. Without this line: $XDG_DATA_HOME/hbs2
; storage "/some/directory"

; Blocks, sites and metrics over HTTP, for programs on this machine. Without this line: off
; http-port 5000

; Others are looked for on the local network and in the domain bootstrap.hbs2.net, unless:
; multicast off
; bootstrap-dns off

; Peers to be linked with, and references to follow (type, minutes, key).
; known-peer "tcp://192.0.2.1:10351"
; poll reflog 5 "KEY"
; poll lwwref 5 "KEY"

; Whose announced blocks are fetched: everybody's (*) or those of one peer, repeatable.
; accept-block-announce *
; accept-block-announce "PEER-KEY"
"#;

/// What [`init`] has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The configuration file.
    pub config: PathBuf,
    /// The key file.
    pub key: PathBuf,
    /// Whether the configuration is new.
    pub new_config: bool,
    /// Whether the key is new.
    pub new_key: bool,
}

/// Why a configuration cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make {}", path.display())]
pub struct InitError {
    /// File or directory.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Makes the directory, the configuration and the key `default.key`, as far as they are not there. An existing
/// configuration or key stays as it is; a key is made only together with a configuration that names it.
///
/// # Errors
/// A file cannot be written.
///
/// # Panics
/// The system has no random bytes.
pub fn init(dir: &Path) -> Result<Made, InitError> {
    let failed = |path: &Path, source| InitError { path: path.to_owned(), source };
    let mut made =
        Made { config: dir.join(CONFIG_FILE), key: dir.join(KEY_FILE), new_config: false, new_key: false };
    if made.config.exists() {
        return Ok(made);
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(dir).map_err(|source| failed(dir, source))?;
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut()).expect("the system gives random bytes");
    let keyring = Keyring::new(&seed, &[]).to_text();
    // The key comes first: a configuration that names an absent key would stay broken.
    made.new_key =
        write_new(&made.key, keyring.as_bytes(), 0o600).map_err(|source| failed(&made.key, source))?;
    made.new_config = write_new(&made.config, DEFAULT_CONFIG.as_bytes(), 0o644)
        .map_err(|source| failed(&made.config, source))?;
    Ok(made)
}

/// Writes a file that is not there yet; false when it is. It has its name only once it is written in full.
fn write_new(path: &Path, content: &[u8], mode: u32) -> io::Result<bool> {
    if path.exists() {
        return Ok(false);
    }
    let half = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&half)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    // A hard link fails when the name is taken, where a rename would overwrite.
    let linked = written.and_then(|()| fs::hard_link(&half, path));
    fs::remove_file(&half)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        other => other.map(|()| true),
    }
}
