//! Commands of `hbs2` about bundles.

use clap::Subcommand;
use hbs2_core::Hash;
use hbs2_core::bundle::Unpacker;

use crate::error::Failure;
use crate::store::blocks::Blocks;
use crate::store::content;
use crate::voice::Voice;

pub mod create;
pub mod create_ref;
pub mod import;
pub mod list;

/// Carry many blocks as one
///
/// A bundle is a tree whose content is other blocks, compressed. It can be fetched, or written to a file with
/// 'hbs2 cat', as any other data.
#[derive(Debug, Subcommand)]
pub(crate) enum Words {
    Create(create::Words),
    List(list::Words),
    Import(import::Words),
    CreateRef(create_ref::Words),
}

/// Runs the command.
///
/// # Errors
/// Those of the command it stands for.
pub(crate) fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    match words {
        Words::Create(words) => create::run(words, voice),
        Words::List(words) => list::run(words, voice),
        Words::Import(words) => import::run(words, voice),
        Words::CreateRef(words) => create_ref::run(words, voice),
    }
}

/// Gives every block of the bundle `hash` to `each`, checked against its hash.
fn unpack(
    hash: Hash,
    blocks: &Blocks,
    each: &mut dyn FnMut(Hash, Vec<u8>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let broken = |source| Failure::Bundle { hash, source };
    let mut unpacker = Unpacker::new();
    content::read(hash, None, blocks, &mut |piece| {
        unpacker.push(piece);
        while let Some((hash, block)) = unpacker.block().map_err(broken)? {
            each(hash, block)?;
        }
        Ok(())
    })?;
    unpacker.finish().map_err(broken)
}
