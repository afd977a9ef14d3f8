//! Commands of `hbs2` about key files.

use clap::Subcommand;
use hbs2_core::{SignPublicKey, SignSecretKey};

use crate::error::Failure;
use crate::voice::Voice;

pub mod list;
pub mod new;

/// Make and show keyrings (same as keyring-new and keyring-list)
#[derive(Debug, clap::Args)]
pub struct Words {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(new::Words),
    List(list::Words),
}

/// Runs the command.
///
/// # Errors
/// Those of the command it stands for.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    match &words.command {
        Command::New(words) => new::run(words, voice),
        Command::List(words) => list::run(words, voice),
    }
}

/// The secret half of a signing key, read from the keyring file that hbs2-keyman knows for it.
///
/// # Errors
/// No file is known to hold it, or the file cannot be read.
pub fn secret(key: &SignPublicKey) -> Result<SignSecretKey, Failure> {
    let found = crate::keyman::index()?.find_sign(key)?;
    Ok(found.ok_or(Failure::NoSecret { key: *key })?.secret)
}
