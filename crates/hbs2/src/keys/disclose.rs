//! `hbs2 keyring disclose`: a signing key for everybody.

use bytes::Bytes;
use hbs2_core::{Encode, Keyring, SignPublicKey};

use crate::error::Failure;
use crate::input::Question;
use crate::store::blocks::{Blocks, Place, Purpose};
use crate::voice::Voice;

/// Publish the secret half of a signing key as a block
///
/// For channels in which anybody may speak: everybody who gets the block can sign in the name of the key, for ever.
/// Encryption keys of the same keyring stay secret. The key is found by hbs2-keyman.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Prints the hash of the block.

Exit status: 0 stored; 1 not stored, or the answer was no.")]
pub struct Words {
    /// Public half of the signing key
    key: SignPublicKey,
    /// Ask no question
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    place: Place,
}

/// Runs the command.
///
/// # Errors
/// The secret is not known, the answer was no, or the block cannot be stored.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let sign = super::secret(&words.key, voice.talk())?;
    let question = format!("Are you sure to give the secret key of {} to everybody [y/n]: ", words.key);
    if !words.yes && !Question::new(voice).ask(&question, voice)? {
        return Err(Failure::No);
    }
    let block = Bytes::from(Keyring { sign, encrypt: Vec::new() }.to_bytes());
    let blocks = Blocks::open(&words.place, Purpose::Write, voice)?;
    let hash = blocks.put(vec![block])?[0];
    blocks.sync()?;
    voice.line(hash)?;
    Ok(())
}
