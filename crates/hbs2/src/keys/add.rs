//! `hbs2 keyring-key-add`: one more encryption key.

use std::path::PathBuf;

use super::new;
use crate::error::Failure;
use crate::voice::Voice;

/// Print a keyring with a new encryption key added; the file stays as it is
///
/// What is printed is a secret, as the file is. A file that stdout goes to is made readable by its owner only.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  hbs2 keyring-key-add my.key > new.key && mv new.key my.key")]
pub struct Words {
    /// Keyring file
    file: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// The file cannot be read or is no keyring; the system has no random bytes.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let mut keyring = super::read(Some(&words.file), voice)?;
    voice.talk().note(format_args!("adding a key into keyring {}", words.file.display()));
    keyring.add(new::entry()?);
    super::print(&keyring, voice)
}
