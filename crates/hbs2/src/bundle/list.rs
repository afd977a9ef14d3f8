//! `hbs2 bundle list`: what a bundle holds.

use hbs2_core::Hash;

use crate::error::Failure;
use crate::store::blocks::{Blocks, Place, Purpose};
use crate::voice::Voice;

/// Print the hashes of the blocks in a bundle
#[derive(Debug, clap::Args)]
pub struct Words {
    /// Hash of the bundle, in base58
    hash: Hash,
    /// Check every block against its hash; always done
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    place: Place,
}

/// Runs the command.
///
/// # Errors
/// A block of the bundle is missing, or it is no bundle or a broken one.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let blocks = Blocks::open(&words.place, Purpose::Read, voice)?;
    super::unpack(words.hash, &blocks, &mut |hash, _| Ok(voice.line(hash)?))
}
