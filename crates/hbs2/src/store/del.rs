//! `hbs2 del`: blocks out of the storage.

use hbs2_core::Hash;

use super::blocks::{Blocks, Place, Purpose};
use super::reach::{GroupKeys, Reach};
use crate::error::Failure;
use crate::input::Question;
use crate::voice::Voice;

/// Delete a block, or a tree with everything below it
///
/// Other trees may share blocks with it: data is stored once, however often it is named. The group key of sealed data
/// stays. What other peers have is theirs.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Prints a line 'deleted HASH' for each block. With -r, children go before what names them, so that a
deletion that was cut short can be repeated.

Examples:
  hbs2 del HASH                        one block; asks first
  hbs2 del -ry HASH                    a tree, without questions

Exit status: 0 done, whatever the answers were; 1 the block is not here, or cannot be deleted.")]
pub struct Words {
    /// Hash of a tree or block, in base58
    hash: Hash,
    /// Delete everything that can be reached from it too
    #[arg(short, long)]
    recursive: bool,
    /// Ask no questions
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    place: Place,
}

/// Runs the command.
///
/// # Errors
/// The block is not here, or the storage fails.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let blocks = Blocks::open(&words.place, Purpose::Read, voice)?;
    let hashes = if words.recursive { below(words.hash, &blocks)? } else { vec![words.hash] };
    let mut question = Question::new(voice);
    if blocks.size(&words.hash)?.is_none() {
        return Err(Failure::MissedBlock { hash: words.hash });
    }
    for hash in hashes.iter().rev() {
        let text = format!("Are you sure to delete block {hash} [y/n]: ");
        if words.yes || question.ask(&text, voice)? {
            blocks.delete(hash)?;
            voice.line(format_args!("deleted {hash}"))?;
        }
    }
    blocks.sync()
}

fn below(root: Hash, blocks: &Blocks) -> Result<Vec<Hash>, Failure> {
    let mut reach = Reach::new(root, GroupKeys::Leave, blocks);
    let mut hashes = Vec::new();
    while let Some((hash, _)) = reach.step()? {
        hashes.push(hash);
    }
    Ok(hashes)
}
