//! `hbs2 deps`: every block that belongs to a hash.

use hbs2_core::Hash;

use super::blocks::{Blocks, Place, Purpose};
use super::reach::{GroupKeys, Reach};
use crate::error::Failure;
use crate::voice::Voice;

/// Print the hashes of all blocks that a hash needs, its own first
///
/// One a line, each once, a block before what it names: tree blocks, data, metadata and group keys.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Blocks that are named and are not here are told on stderr.

Exit status: 0 all of them are here; 1 some are missing.")]
pub struct Words {
    /// Hash of a tree or block, in base58
    hash: Hash,
    #[command(flatten)]
    place: Place,
}

/// Runs the command.
///
/// # Errors
/// A block is missing, or the storage cannot be read.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let blocks = Blocks::open(&words.place, Purpose::Read, voice)?;
    let mut reach = Reach::new(words.hash, GroupKeys::Reach, &blocks);
    while let Some((hash, _)) = reach.step()? {
        voice.line(hash)?;
    }
    match reach.missing() {
        [] => Ok(()),
        [one] => Err(Failure::MissedBlock { hash: *one }),
        [first, ..] => Err(Failure::MissedBlocks { count: reach.missing().len(), first: *first }),
    }
}
