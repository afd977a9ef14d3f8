//! `hbs2 keyring-new`: a new key file.

use hbs2_core::keyring::{Keyring, KeyringEntry};
use hbs2_core::{EncryptSecretKey, SignSecretKey};

use crate::error::Failure;
use crate::voice::Voice;

/// Make a new keyring and print it
///
/// A keyring has one signing key and any number of encryption keys. It is a secret: whoever reads the file can
/// sign and decrypt in your name. A file that stdout goes to is made readable by its owner only.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hbs2 keyring-new > my.key            a signing key
  hbs2 keyring-new -n 2 > my.key       with two encryption keys
  hbs2 keyring-list my.key             show its public keys
  hbs2-keyman update                   let the other programs find it

Files are found by hbs2-keyman in ~/.hbs2-keyman/keys and where its config says.")]
pub struct Words {
    /// Number of encryption keys
    #[arg(short, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=ENTRIES_MAX))]
    n: u16,
}

/// Most encryption keys in one file: its text stays readable for every program (64 KiB of base58).
const ENTRIES_MAX: i64 = 500;

/// Runs the command.
///
/// # Errors
/// The system has no random bytes, or stdout cannot be written.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    super::print(&generate(words.n.into())?, voice)
}

/// A new keyring with so many encryption keys.
///
/// # Errors
/// The system has no random bytes.
pub fn generate(count: usize) -> Result<Keyring, Failure> {
    let sign = SignSecretKey::from_seed(&*super::random()?);
    let encrypt = (0..count).map(|_| entry()).collect::<Result<_, _>>()?;
    Ok(Keyring { sign, encrypt })
}

/// A new encryption key.
///
/// # Errors
/// The system has no random bytes.
pub fn entry() -> Result<KeyringEntry, Failure> {
    Ok(KeyringEntry::new(EncryptSecretKey::from_bytes(*super::random()?)))
}
