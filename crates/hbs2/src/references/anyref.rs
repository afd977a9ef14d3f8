//! `hbs2 anyref`: names of one's own for hashes.

use clap::Subcommand;
use hbs2_core::{Hash, RefKind, SignPublicKey};

use crate::error::Failure;
use crate::store::blocks::{Blocks, Place, Purpose};
use crate::voice::Voice;

/// Read and set local references: a hash under a public key, for this storage alone
///
/// Nothing is signed and nothing travels to other peers.
#[derive(Debug, Subcommand)]
pub(crate) enum Words {
    Get(GetWords),
    Set(SetWords),
}

/// Print the value of a reference
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Exit status: 0 printed; 1 it has no value, or the storage cannot be read.")]
pub(crate) struct GetWords {
    /// Public key that names the reference
    key: SignPublicKey,
    #[command(flatten)]
    place: Place,
}

/// Set the value of a reference
#[derive(Debug, clap::Args)]
pub(crate) struct SetWords {
    /// Public key that names the reference
    key: SignPublicKey,
    /// The value
    hash: Hash,
    #[command(flatten)]
    place: Place,
}

/// Runs the command.
///
/// # Errors
/// The storage cannot be opened or written; or there is no value, which the exit code says without a word.
pub(crate) fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    match words {
        Words::Get(words) => {
            let blocks = Blocks::open(&words.place, Purpose::Read, voice)?;
            print(RefKind::Any, &words.key, &blocks, voice)
        }
        Words::Set(words) => {
            let blocks = Blocks::open(&words.place, Purpose::Write, voice)?;
            blocks.set_reference(RefKind::Any.key(&words.key), words.hash)
        }
    }
}

/// Prints the value of a reference, or says no.
pub(super) fn print(
    kind: RefKind,
    key: &SignPublicKey,
    blocks: &Blocks,
    voice: &mut Voice,
) -> Result<(), Failure> {
    match blocks.reference(kind.key(key))? {
        Some(value) => Ok(voice.line(value)?),
        None => {
            voice.talk().detail(format_args!("no value is known of {key}"));
            Err(Failure::No)
        }
    }
}
