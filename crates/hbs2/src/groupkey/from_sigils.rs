//! `hbs2 groupkey from-sigils`: a group key for the owners of sigils.

use std::path::PathBuf;

use super::Members;
use crate::error::Failure;
use crate::sigil;
use crate::voice::Voice;

/// Make a group key for the owners of sigils
///
/// Each sigil must be signed by the key that it states. The secret of the group is new at each call.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  hbs2 groupkey from-sigils alice.sigil bob.sigil > group.gk")]
pub struct Words {
    /// Sigil files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// A file cannot be read, or is no sigil that can be believed.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let keys = words
        .files
        .iter()
        .map(|file| Ok(sigil::read(Some(file), voice)?.data.encrypt))
        .collect::<Result<_, Failure>>()?;
    Members { from: "the sigils".to_owned(), keys }.print_new(voice)
}
