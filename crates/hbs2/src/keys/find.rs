//! `hbs2 keyring find`: which of these files has a signing key.

use std::path::PathBuf;

use hbs2_core::SignPublicKey;

use crate::error::Failure;
use crate::voice::Voice;

/// Print the files whose signing key is a given one
///
/// Files that are no keyrings are passed over. 'hbs2-keyman list' knows the keys of all files that its config names.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  hbs2 keyring find -s KEY ~/keys/*.key

Exit status: 0 one was found; 1 none.")]
pub struct Words {
    /// Public half of the signing key
    #[arg(short, long, value_name = "KEY")]
    sign_key: SignPublicKey,
    /// Files to look at
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// None of the files has the key; stdout cannot be written.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let mut found = false;
    for file in &words.files {
        match super::read(Some(file), voice) {
            Ok(keyring) if keyring.public() == words.sign_key => {
                voice.line(file.display())?;
                found = true;
            }
            Ok(_) => {}
            Err(failure) => voice.talk().detail(&failure),
        }
    }
    if found { Ok(()) } else { Err(Failure::No) }
}
