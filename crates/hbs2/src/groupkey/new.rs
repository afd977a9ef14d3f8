//! `hbs2 groupkey-new`: a group key for the lines of key listings.

use std::path::PathBuf;

use hbs2_core::EncryptPublicKey;

use super::Members;
use crate::error::Failure;
use crate::voice::Voice;

/// Make a group key for the public keys in a file
///
/// The file has lines as 'hbs2 keyring-list' prints them: 'pub-key: KEY', or a key alone. Lines 'sign-key:', empty
/// lines and comments after '#' or ';' are passed over. The secret of the group is new at each call.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  hbs2 keyring-new -n1 > kr
  hbs2 keyring-list kr > members
  hbs2 groupkey-new members > groupkey
  hbs2 store --groupkey groupkey notes.txt
  hbs2 cat --keyring kr HASH")]
pub struct Words {
    /// File with public keys; stdin if absent
    file: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// The file cannot be read, a line has no key, there is no key at all, or too many.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let (text, from) = super::read_text(words.file.as_deref(), voice)?;
    let lines = (1..).zip(text.lines());
    let keys = lines.filter_map(|(at, line)| key_in(line, at, &from)).collect::<Result<_, _>>()?;
    Members { from, keys }.print_new(voice)
}

/// The encryption key in a line, if the line is about one.
fn key_in(line: &str, at: usize, from: &str) -> Option<Result<EncryptPublicKey, Failure>> {
    let line = line.split(['#', ';']).next().unwrap_or_default().trim();
    if line.is_empty() || line.starts_with("sign-key:") {
        return None;
    }
    let word = line.strip_prefix("pub-key:").unwrap_or(line).trim();
    Some(super::public_key(word, at, from))
}
