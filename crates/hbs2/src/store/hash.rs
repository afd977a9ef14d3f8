//! `hbs2 hash`: the name that bytes would have.

use std::path::PathBuf;

use hbs2_core::Hash;

use crate::error::Failure;
use crate::input::Input;
use crate::voice::Voice;

/// Bytes read at once: large enough for the disk, small enough for the cache.
const READ_BYTES: usize = 256 * 1024;

/// Print the hash of a file or of stdin, without storing anything
///
/// The hash is BLAKE2b-256 of the bytes as one block, in base58. A stored file is named by the hash of its tree
/// instead, which 'hbs2 store' prints.
#[derive(Debug, clap::Args)]
pub struct Words {
    /// File to read; stdin if absent
    file: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// The file or stdin cannot be read, stdout cannot be written.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let mut input = Input::open(words.file.as_deref(), voice)?;
    let mut hasher = Hash::begin();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match input.fill(&mut buffer)? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    voice.line(hasher.finish())?;
    Ok(())
}
