//! `hbs2-keyman set-weight`: which key is preferred.

use hbs2_core::SignPublicKey;

use crate::error::Failure;
use crate::voice::Voice;

/// Prefer a key over others that would do as well
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  hbs2-keyman set-weight BEoa1tY5tFYYbCtNVhSebz6fZQMSbuSADgkFDHP52wCm 7")]
pub struct Words {
    /// Public key, for signing or encryption
    key: SignPublicKey,
    /// The greatest weight is preferred; keys without one have 0
    #[arg(allow_negative_numbers = true)]
    weight: i64,
}

/// Runs the command.
///
/// # Errors
/// The index cannot be written.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    Ok(super::index_with(voice.talk())?.set_weight(words.key.as_bytes(), words.weight)?)
}
