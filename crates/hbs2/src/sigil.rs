//! Commands of `hbs2` about sigils.

use std::path::Path;

use clap::Subcommand;
use hbs2_core::Sigil;
use hbs2_core::sigil::Card;

use crate::error::Failure;
use crate::input::Input;
use crate::voice::Voice;

pub mod check;
pub mod create;

/// Longest sigil file we read, in bytes: what a text of base58 may have.
const FILE_BYTES_MAX: usize = 64 * 1024;

/// Make and check sigils: public cards that say who signs and reads with which keys
#[derive(Debug, Subcommand)]
pub(crate) enum Words {
    Create(create::Words),
    Check(check::Words),
}

/// Runs the command.
///
/// # Errors
/// Those of the command it stands for.
pub(crate) fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    match words {
        Words::Create(words) => create::run(words, voice),
        Words::Check(words) => check::run(words, voice),
    }
}

/// Reads a sigil file that the user named, or stdin, and checks it.
///
/// # Errors
/// It cannot be read, is no sigil, or is not signed by the key that it states.
pub fn read(path: Option<&Path>, voice: &mut Voice) -> Result<Card, Failure> {
    let input = Input::open(path, voice)?;
    let file = input.name();
    verified(&input.all(FILE_BYTES_MAX)?, file)
}

/// The card in `bytes`, which come from `file`.
///
/// # Errors
/// They are no sigil, or it is not signed by the key that it states.
pub(crate) fn verified(bytes: &[u8], file: String) -> Result<Card, Failure> {
    let sigil = match Sigil::parse(bytes) {
        Ok(sigil) => sigil,
        Err(source) => return Err(Failure::NoSigil { file, source: Box::new(source) }),
    };
    sigil.verify().map_err(|source| Failure::FalseSigil { file, source: Box::new(source) })
}
