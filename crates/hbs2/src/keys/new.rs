//! `hbs2 keyring-new`: a new key file.

use hbs2_core::keyring::Keyring;
use zeroize::Zeroizing;

use crate::error::Failure;
use crate::voice::Voice;

/// Make a new keyring and print it
///
/// A keyring has one signing key and any number of encryption keys. It is a secret: whoever reads the file can
/// sign and decrypt in your name.
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
    let random = || -> Result<[u8; 32], Failure> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(Failure::Random)?;
        Ok(bytes)
    };
    let seed = Zeroizing::new(random()?);
    let encrypt: Result<Vec<[u8; 32]>, _> = (0..words.n).map(|_| random()).collect();
    let encrypt = Zeroizing::new(encrypt?);
    let keyring = Keyring::new(&seed, &encrypt);
    voice.out().write_all(keyring.to_text().as_bytes())?;
    Ok(())
}
