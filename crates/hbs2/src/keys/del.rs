//! `hbs2 keyring-key-del`: one encryption key less.

use std::path::PathBuf;

use hbs2_core::EncryptPublicKey;

use crate::error::Failure;
use crate::voice::Voice;

/// Print a keyring without one of its encryption keys; the file stays as it is
///
/// What was sealed for the key can no longer be read with the new keyring. What is printed is a secret, as the file
/// is. A file that stdout goes to is made readable by its owner only.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  hbs2 keyring-key-del KEY my.key > new.key && mv new.key my.key")]
pub struct Words {
    /// Public half of the encryption key to leave out
    key: EncryptPublicKey,
    /// Keyring file
    file: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// The file cannot be read or is no keyring, or does not have the key.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let mut keyring = super::read(Some(&words.file), voice)?;
    if !keyring.remove(&words.key) {
        return Err(Failure::NotInKeyring { file: words.file.clone(), key: words.key });
    }
    let (key, file) = (words.key, words.file.display());
    voice.talk().note(format_args!("removing key {key} from keyring {file}"));
    super::print(&keyring, voice)
}
