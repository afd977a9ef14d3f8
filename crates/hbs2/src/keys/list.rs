//! `hbs2 keyring-list`: the public keys of a key file.

use std::path::PathBuf;

use hbs2_core::keyring::Keyring;
use zeroize::Zeroizing;

use crate::error::Failure;
use crate::input::Input;
use crate::voice::Voice;

/// Longest key file we read, in bytes: hundreds of encryption keys with descriptions.
const FILE_BYTES_MAX: usize = 64 * 1024;

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
    let file = Zeroizing::new(Input::open(Some(&words.file), voice)?.all(FILE_BYTES_MAX)?);
    let keyring = Keyring::parse(&file)
        .map_err(|source| Failure::Keyring { path: words.file.clone(), source: Box::new(source) })?;
    voice.out().write_all(keyring.listing().as_bytes())?;
    Ok(())
}
