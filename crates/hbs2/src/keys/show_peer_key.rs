//! `hbs2 show-peer-key`: the name of a keyring.

use std::path::PathBuf;

use crate::error::Failure;
use crate::voice::Voice;

/// Print the public signing key of a keyring: the name of a peer
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  hbs2 show-peer-key ~/.config/hbs2-peer/default.key")]
pub struct Words {
    /// Keyring file; stdin if absent
    file: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// The file cannot be read or is no keyring.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let keyring = super::read(words.file.as_deref(), voice)?;
    voice.line(keyring.public())?;
    Ok(())
}
