//! `hbs2 metadata dump`: what a tree says of its content.

use std::path::PathBuf;

use hbs2_core::inspect::{self, Kind};
use hbs2_core::{AnnotatedTree, Crypt, Decode, Hash, Meta, SealedBlock};

use crate::error::Failure;
use crate::groupkey::access::Opening;
use crate::store::blocks::{Blocks, Place, Purpose};
use crate::voice::Voice;

/// Print the metadata text of a tree
///
/// Lines 'key: "value"', such as the name of a file. Sealed metadata is opened as 'hbs2 cat' opens content.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
The text has no line end after its last line, so that it can be stored again as it is.

Exit status: 0 printed; 1 the tree has no metadata, or it cannot be read.")]
pub struct Words {
    /// Hash of the tree, in base58
    hash: Hash,
    /// Keyring of a member of the group that sealed metadata is for
    #[arg(short, long, value_name = "FILE")]
    keyring: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// Runs the command.
///
/// # Errors
/// A block is missing, the metadata is sealed and no key of ours opens it; or there is none, which the exit code says
/// without a word.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let blocks = Blocks::open(&words.place, Purpose::Read, voice)?;
    let opening = Opening::new(words.keyring.as_deref());
    let text = text(words.hash, &opening, &blocks, voice)?.ok_or(Failure::No)?;
    voice.bare(text)?;
    Ok(())
}

/// The metadata text of a tree, opened with `opening` if it is sealed; none when there is none.
///
/// # Errors
/// A block is missing or unreadable, or no key of ours opens it.
pub fn text(
    hash: Hash,
    opening: &Opening<'_>,
    blocks: &Blocks,
    voice: &mut Voice,
) -> Result<Option<String>, Failure> {
    let block = blocks.get(&hash)?.ok_or(Failure::MissedBlock { hash })?;
    if inspect::kind(&block) != Kind::AnnotatedTree {
        return Ok(None);
    }
    let tree = AnnotatedTree::from_bytes(&block).map_err(|source| Failure::Malformed { hash, source })?;
    let hash = match tree.meta {
        Meta::None => return Ok(None),
        Meta::Short(text) => return Ok(Some(text)),
        Meta::Block(hash) => hash,
    };
    let block = blocks.get(&hash)?.ok_or(Failure::MissedBlock { hash })?;
    if tree.crypt == Crypt::None {
        return Ok(Some(String::from_utf8_lossy(&block).into_owned()));
    }
    let sealed = SealedBlock::from_bytes(&block).map_err(|source| Failure::Malformed { hash, source })?;
    Ok(Some(sealed.open_meta(&opening.secret_of(sealed.key, blocks, voice)?)?))
}
