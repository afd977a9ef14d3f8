//! `hbs2 sigil create`: a card of one's own.

use std::path::PathBuf;

use hbs2_core::{EncryptPublicKey, Hash, KeyringEntry, Sigil, SigilData};

use crate::error::Failure;
use crate::keys;
use crate::voice::Voice;

/// Make the sigil of a keyring's owner for one of its encryption keys
///
/// It names the signing key of the keyring and the encryption key, and is signed. It is public.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  hbs2 sigil create -k my.key -m 'Alice' KEY > alice.sigil")]
pub struct Words {
    /// Keyring file of the owner
    #[arg(short, long, value_name = "FILE")]
    keyring: PathBuf,
    /// Words of the owner
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// Block or tree with more about the owner
    #[arg(long, value_name = "HASH")]
    metadata_ref: Option<Hash>,
    /// Public encryption key that the keyring has, as 'hbs2 keyring-list' shows it
    #[arg(value_name = "KEY")]
    key: EncryptPublicKey,
}

/// Runs the command.
///
/// # Errors
/// The keyring cannot be read, or does not have the key.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let keyring = keys::read(Some(&words.keyring), voice)?;
    if !keyring.encrypt.iter().map(KeyringEntry::public).any(|key| key == words.key) {
        return Err(Failure::NotInKeyring { file: words.keyring.clone(), key: words.key });
    }
    let data = SigilData { encrypt: words.key, info: words.message.clone(), ext: words.metadata_ref };
    voice.line(Sigil::sign(&keyring.sign, &data).to_text())?;
    Ok(())
}
