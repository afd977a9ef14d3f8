//! `hbs2 bundle create-ref`: a signed pointer to a bundle.

use std::path::PathBuf;

use hbs2_core::bundle::{BundleRef, SignedBundleRef};
use hbs2_core::{Encode, Hash, Signed};

use crate::error::Failure;
use crate::keys;
use crate::store::blocks::{Blocks, Place, Purpose};
use crate::voice::Voice;

/// Store a block in which you name a bundle and sign for it; print its hash
#[derive(Debug, clap::Args)]
pub struct Words {
    /// Keyring file of the signer
    #[arg(short, long, value_name = "FILE")]
    keyring: PathBuf,
    /// Hash of the bundle, in base58
    hash: Hash,
    #[command(flatten)]
    place: Place,
}

/// Runs the command.
///
/// # Errors
/// The keyring cannot be read, or the storage fails.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let keyring = keys::read(Some(&words.keyring), voice)?;
    let signed = SignedBundleRef(Signed::sign(&keyring.sign, &BundleRef { bundle: words.hash }));
    let blocks = Blocks::open(&words.place, Purpose::Write, voice)?;
    let hash = blocks.put(vec![signed.to_bytes().into()])?[0];
    blocks.sync()?;
    voice.line(hash)?;
    Ok(())
}
