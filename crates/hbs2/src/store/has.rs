//! `hbs2 has`: is a block here, and how long is it?

use hbs2_core::Hash;

use super::blocks::{Blocks, Place, Purpose};
use crate::error::Failure;
use crate::voice::Voice;

/// Print the length of a block in bytes, if it is here
///
/// Says nothing about the blocks it refers to: 'hbs2 cat HASH > /dev/null' reads a whole tree.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Exit status: 0 it is here; 1 it is not, or the storage cannot be read.")]
pub struct Words {
    /// Hash of the block, in base58
    hash: Hash,
    #[command(flatten)]
    place: Place,
}

/// Runs the command.
///
/// # Errors
/// The storage cannot be opened; or the block is absent, which the exit code says without a word.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let blocks = Blocks::open(&words.place, Purpose::Read, voice)?;
    match blocks.size(&words.hash)? {
        Some(bytes) => Ok(voice.line(bytes)?),
        None => {
            voice.talk().detail(format_args!("no block {} here", words.hash));
            Err(Failure::No)
        }
    }
}
