//! `hbs2 bundle import`: blocks out of a bundle into the storage.

use hbs2_core::Hash;

use crate::error::Failure;
use crate::store::blocks::{BATCH_BLOCKS, Blocks, Place, Purpose};
use crate::voice::Voice;

/// Store all blocks of a bundle
///
/// Prints nothing. When it ends well, everything is on stable storage.
#[derive(Debug, clap::Args)]
pub struct Words {
    /// Hash of the bundle, in base58
    hash: Hash,
    #[command(flatten)]
    place: Place,
}

/// Runs the command.
///
/// # Errors
/// A block of the bundle is missing, it is no bundle or a broken one, or the storage fails.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let blocks = Blocks::open(&words.place, Purpose::Read, voice)?;
    let mut batch = Vec::with_capacity(BATCH_BLOCKS);
    super::unpack(words.hash, &blocks, &mut |_, block| {
        batch.push(block.into());
        if batch.len() == BATCH_BLOCKS { blocks.put(std::mem::take(&mut batch)).map(drop) } else { Ok(()) }
    })?;
    blocks.put(batch)?;
    blocks.sync()
}
