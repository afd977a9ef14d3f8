//! Commands of `hbs2` about the metadata of trees.

use clap::Subcommand;

use crate::error::Failure;
use crate::voice::Voice;

pub mod create;
pub mod dump;
pub mod mime;

/// Read and write the metadata of trees
#[derive(Debug, Subcommand)]
pub(crate) enum Words {
    Dump(dump::Words),
    Create(create::Words),
}

/// Runs the command.
///
/// # Errors
/// Those of the command it stands for.
pub(crate) fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    match words {
        Words::Dump(words) => dump::run(words, voice),
        Words::Create(words) => create::run(words, voice),
    }
}
