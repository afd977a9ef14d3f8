//! Commands of `hbs2` about key files, and what other commands need of them.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use clap::Subcommand;
use hbs2_core::{Keyring, SignPublicKey, SignSecretKey};
use hbs2_keyman::Warning;
use zeroize::Zeroizing;

use crate::error::Failure;
use crate::input::Input;
use crate::keyman;
use crate::voice::{Talk, Voice};

pub mod add;
pub mod del;
pub mod disclose;
pub mod find;
pub mod list;
pub mod new;
pub mod show_peer_key;

/// Longest key file we read, in bytes: hundreds of encryption keys with descriptions.
const FILE_BYTES_MAX: usize = 64 * 1024;

/// Permissions that nobody but the owner of a secret should have.
const OTHERS: u32 = 0o077;

/// Make, show and change keyrings
#[derive(Debug, Subcommand)]
pub(crate) enum Words {
    New(new::Words),
    List(list::Words),
    Add(add::Words),
    Del(del::Words),
    Find(find::Words),
    Disclose(disclose::Words),
}

/// Runs the command.
///
/// # Errors
/// Those of the command it stands for.
pub(crate) fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    match words {
        Words::New(words) => new::run(words, voice),
        Words::List(words) => list::run(words, voice),
        Words::Add(words) => add::run(words, voice),
        Words::Del(words) => del::run(words, voice),
        Words::Find(words) => find::run(words, voice),
        Words::Disclose(words) => disclose::run(words, voice),
    }
}

/// The secret half of a signing key, read from the keyring file that hbs2-keyman knows for it.
///
/// # Errors
/// No file is known to hold it, or the file cannot be read.
pub fn secret(key: &SignPublicKey, talk: &Talk) -> Result<SignSecretKey, Failure> {
    let found = keyman::index_with(talk)?.find_sign(key)?;
    Ok(found.ok_or(Failure::NoSecret { key: *key })?.secret)
}

/// Reads a keyring file that the user named, or stdin, and warns when others may read the file.
///
/// # Errors
/// The file cannot be read, or is no keyring.
pub fn read(path: Option<&Path>, voice: &mut Voice) -> Result<Keyring, Failure> {
    let input = Input::open(path, voice)?;
    let name = input.name();
    let file = input.secret(FILE_BYTES_MAX)?;
    let keyring = Keyring::parse(&file).map_err(|source| Failure::Keyring { file: name, source })?;
    if let Some(warning) = path.and_then(loose_mode) {
        voice.talk().note(format_args!("warning: {warning}"));
    }
    Ok(keyring)
}

fn loose_mode(path: &Path) -> Option<Warning> {
    let mode = path.metadata().ok().filter(Metadata::is_file)?.mode() & 0o777;
    (mode & OTHERS != 0).then(|| Warning::LooseMode { file: path.to_owned(), mode })
}

/// Prints a keyring as a file. A file that stdout goes to is made readable by its owner only.
///
/// # Errors
/// Stdout cannot be written.
pub fn print(keyring: &Keyring, voice: &mut Voice) -> Result<(), Failure> {
    voice.keep_private();
    let text = keyring.to_text();
    voice.line(text.as_str())?;
    Ok(())
}

/// 32 random bytes for a new key.
///
/// # Errors
/// The system has none to give.
pub fn random() -> Result<Zeroizing<[u8; 32]>, Failure> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(Failure::Random)?;
    Ok(bytes)
}
