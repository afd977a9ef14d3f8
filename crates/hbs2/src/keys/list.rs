//! `hbs2 keyring-list`: the public keys of a key file.

use std::path::PathBuf;

use crate::error::Failure;
use crate::voice::Voice;

/// Print the public keys of a keyring file
///
/// The line 'sign-key:' names you as an author, each line 'pub-key:' as a reader of encrypted data. Both are
/// public.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  $ hbs2 keyring-list my.key
  sign-key:  4543L9D1rr8M8Zzgxc76fRGjUyWF8rdsmiUMfCwF1RnA")]
pub struct Words {
    /// Keyring file, as text or as CBOR
    file: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// The file cannot be read or is no keyring.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let keyring = super::read(Some(&words.file), voice)?;
    voice.out().write_all(keyring.listing().as_bytes())?;
    Ok(())
}
