//! `hbs2 cat`: the content behind a hash.

use std::path::PathBuf;

use bytes::Bytes;
use hbs2_core::inspect::{self, Kind};
use hbs2_core::limits::TREE_LEVELS_MAX;
use hbs2_core::pointer::{AnnotatedRef, SequentialRef};
use hbs2_core::tree::AnnotatedTree;
use hbs2_core::tree::walk::Leaves;
use hbs2_core::{Decode, Hash};

use super::blocks::{Blocks, Place, Purpose};
use super::content;
use crate::error::Failure;
use crate::groupkey::access::Opening;
use crate::voice::Voice;

/// Print the content behind a hash
///
/// A tree gives the data it was made of; a reference block gives the data of the tree it points to; any other
/// block gives its bytes. Every block is verified before it is written. Sealed content is opened with the keys of
/// --keyring, then with those that hbs2-keyman knows.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hbs2 cat HASH > notes.txt            the content
  hbs2 cat -H HASH                     the hashes that the tree lists, one a line
  hbs2 cat -r HASH | xxd               the block itself

When a block is missing, what comes before it is written and the message names it:
  hbs2: error: missed block: 93MB2qRDNVLxbmmPuYpLdAqn3u2x9ZhaVZK5wELHueP8

Exit status: 0 all of it was written; 1 not.")]
pub struct Words {
    /// Hash of a tree or block, in base58
    hash: Hash,
    /// Print the hashes a tree lists instead of its data
    #[arg(short = 'H', long)]
    hashes_only: bool,
    /// Print the bytes of the block itself
    #[arg(short, long, conflicts_with = "hashes_only")]
    raw: bool,
    /// Keyring of a member of the group that sealed content is for
    #[arg(short, long, value_name = "FILE")]
    keyring: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// Runs the command.
///
/// # Errors
/// A block is missing or unreadable, the content is sealed and no key of ours opens it, stdout cannot be written.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let blocks = Blocks::open(&words.place, Purpose::Read, voice)?;
    let block = blocks.get(&words.hash)?.ok_or(Failure::MissedBlock { hash: words.hash })?;
    if words.raw {
        voice.out().write_all(&block)?;
        return Ok(());
    }
    let (root, block) = follow(words.hash, block, &blocks)?;
    match inspect::kind(&block) {
        Kind::AnnotatedTree | Kind::Tree if words.hashes_only => list(root, &blocks, voice),
        Kind::AnnotatedTree => {
            let tree = AnnotatedTree::from_bytes(&block)
                .map_err(|source| Failure::Malformed { hash: root, source })?;
            let opening = Opening::new(words.keyring.as_deref());
            let cipher = opening.cipher(root, &tree, &blocks, voice)?;
            content::read(root, cipher.as_ref(), &blocks, &mut |bytes| Ok(voice.out().write_all(bytes)?))
        }
        Kind::Tree => content::read(root, None, &blocks, &mut |bytes| Ok(voice.out().write_all(bytes)?)),
        _ => Ok(voice.out().write_all(&block)?),
    }
}

/// The block that a chain of reference blocks ends at.
///
/// # Errors
/// A block is missing, or the chain does not end.
pub fn follow(mut hash: Hash, mut block: Bytes, blocks: &Blocks) -> Result<(Hash, Bytes), Failure> {
    for _ in 0..TREE_LEVELS_MAX {
        let target = match inspect::kind(&block) {
            Kind::AnnotatedRef => AnnotatedRef::from_bytes(&block).map(|pointer| pointer.target),
            Kind::SequentialRef => SequentialRef::from_bytes(&block).map(|pointer| pointer.target.target),
            _ => return Ok((hash, block)),
        };
        hash = target.map_err(|source| Failure::Malformed { hash, source })?;
        block = blocks.get(&hash)?.ok_or(Failure::MissedBlock { hash })?;
    }
    Err(Failure::TooManyPointers { hash })
}

fn list(root: Hash, blocks: &Blocks, voice: &mut Voice) -> Result<(), Failure> {
    for leaf in Leaves::new(root, |hash| blocks.get(hash)) {
        for hash in leaf? {
            voice.line(hash)?;
        }
    }
    Ok(())
}
