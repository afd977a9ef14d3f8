//! Commands of `hbs2` about the metadata of trees.

use clap::Subcommand;

use crate::error::Failure;
use crate::voice::Voice;

pub mod create;
pub mod dump;
pub mod mime;

/// Read and write the metadata of trees
#[derive(Debug, clap::Args)]
pub struct Words {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Dump(dump::Words),
    Create(create::Words),
}

/// Runs the command.
///
/// # Errors
/// Those of the command it stands for.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    match &words.command {
        Command::Dump(words) => dump::run(words, voice),
        Command::Create(words) => create::run(words, voice),
    }
}
