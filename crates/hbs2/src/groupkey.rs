//! Commands of `hbs2` about group keys, and what other commands need of them.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Subcommand;
use hbs2_core::{EncryptPublicKey, EncryptSecretKey, GroupKey, GroupSecret};

use crate::error::Failure;
use crate::input::Input;
use crate::keys;
use crate::voice::Voice;

pub mod access;
pub mod dump;
pub mod from_keys;
pub mod from_sigils;
pub mod r#gen;
pub mod new;
pub mod update;

/// Longest file with a group key, with members or with a sigil that we read, in bytes: as many members as a group
/// key may have.
const FILE_BYTES_MAX: usize = 1024 * 1024;

/// Make, show and change group keys
///
/// A group key holds one secret, sealed for each member of the group. It is public: only members can open it. Data
/// sealed with it is read by the members alone.
#[derive(Debug, Subcommand)]
pub(crate) enum Words {
    FromKeys(from_keys::Words),
    FromSigils(from_sigils::Words),
    Gen(r#gen::Words),
    Dump(dump::Words),
    Update(update::Words),
}

/// Runs the command.
///
/// # Errors
/// Those of the command it stands for.
pub(crate) fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    match words {
        Words::FromKeys(words) => from_keys::run(words, voice),
        Words::FromSigils(words) => from_sigils::run(words, voice),
        Words::Gen(words) => r#gen::run(words, voice),
        Words::Dump(words) => dump::run(words, voice),
        Words::Update(words) => update::run(words, voice),
    }
}

/// Members named in a file, and what the file is called in messages.
struct Members {
    from: String,
    keys: BTreeSet<EncryptPublicKey>,
}

impl Members {
    /// Prints a group key for them, with a new secret.
    fn print_new(&self, voice: &mut Voice) -> Result<(), Failure> {
        if self.keys.is_empty() {
            return Err(Failure::NoMembers { from: self.from.clone() });
        }
        voice.line(generate(&self.keys)?.0.to_text())?;
        Ok(())
    }
}

/// The text of a file that the user named, or of stdin, and its name.
fn read_text(path: Option<&Path>, voice: &mut Voice) -> Result<(String, String), Failure> {
    let input = Input::open(path, voice)?;
    let name = input.name();
    Ok((input.text(FILE_BYTES_MAX)?, name))
}

/// Reads a group key file that the user named, or stdin.
///
/// # Errors
/// It cannot be read, or is no group key.
pub fn read(path: Option<&Path>, voice: &mut Voice) -> Result<GroupKey, Failure> {
    let (text, name) = read_text(path, voice)?;
    GroupKey::parse(&text).map_err(|source| Failure::GroupKeyFile { file: name, source })
}

/// The key that `word` names, in line `line` of a file.
fn public_key(word: &str, line: usize, from: &str) -> Result<EncryptPublicKey, Failure> {
    word.parse().map_err(|source| Failure::PublicKey {
        word: word.to_owned(),
        line,
        file: from.to_owned(),
        source,
    })
}

/// A group key for these members, with a new secret.
///
/// # Errors
/// There are none or too many, or the system has no random bytes to give.
pub(crate) fn generate(members: &BTreeSet<EncryptPublicKey>) -> Result<(GroupKey, GroupSecret), Failure> {
    let secret = GroupSecret::from_bytes(*keys::random()?);
    let group = GroupKey::generate(&secret, members, seconds(), once(members.len())?)?;
    Ok((group, secret))
}

/// Random keys that are used once, for sealing a secret for so many members.
pub(crate) fn once(count: usize) -> Result<impl FnMut() -> EncryptSecretKey, Failure> {
    let fresh = || Ok(EncryptSecretKey::from_bytes(*keys::random()?));
    let mut fresh: Vec<_> = (0..count).map(|_| fresh()).collect::<Result<_, Failure>>()?;
    Ok(move || fresh.pop().expect("there is one for each member"))
}

/// Seconds since the epoch; 0 on a machine whose clock is before it.
pub(crate) fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
