//! `hbs2 groupkey dump`: who is in a group.

use std::path::PathBuf;

use crate::error::Failure;
use crate::voice::Voice;

/// Print the id, the time and the members of a group key
///
/// Nothing of this is secret. 'hbs2 groupkey gen' reads the member lines.
#[derive(Debug, clap::Args)]
pub struct Words {
    /// Group key file; stdin if absent
    file: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// The file cannot be read, or is no group key.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let group = super::read(words.file.as_deref(), voice)?;
    voice.out().write_all(group.dump().as_bytes())?;
    Ok(())
}
