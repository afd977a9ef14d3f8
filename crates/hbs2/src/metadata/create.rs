//! `hbs2 metadata create`: a file becomes a tree that says its name and kind.

use std::path::PathBuf;

use bytes::Bytes;
use hbs2_core::limits::CHUNK_BYTES;
use hbs2_core::tree::meta;
use hbs2_core::{Crypt, Hash, Meta};

use super::mime;
use crate::error::Failure;
use crate::input::Input;
use crate::store::blocks::{Blocks, Place, Purpose};
use crate::store::chunks::{Put, put_annotated, put_chunks};
use crate::voice::Voice;

/// Store a file with its name and its kind as metadata
///
/// Prints the metadata, an empty line, and the hash of the tree. The kind is guessed from the first bytes.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  $ hbs2 metadata create --auto notes.txt
  file-name: \"notes.txt\"
  mime-type: \"text/plain; charset=us-ascii\"

  DDHdMB3Vn7ZsWBZeyQSd7AUpsdUaNK3q62LM8H3v51hi")]
pub struct Words {
    /// File to store
    file: PathBuf,
    /// Take name and kind from the file; there is no other way yet
    #[arg(long)]
    auto: bool,
    /// Store nothing, tell what would be stored
    #[arg(short = 'n', long)]
    dry: bool,
    /// Print the hash only
    #[arg(short = 'H', long)]
    hash: bool,
    #[command(flatten)]
    place: Place,
}

/// Runs the command.
///
/// # Errors
/// The file cannot be read, the storage cannot be opened or written.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let input = Input::open(Some(&words.file), voice)?;
    let (text, root) = if words.dry {
        // The names are all that is wanted of the blocks.
        let name_only =
            |batch: Vec<Bytes>| Ok(Hash::of_many(&batch.iter().map(|block| &block[..]).collect::<Vec<_>>()));
        create(words, input, &name_only, voice)?
    } else {
        let blocks = Blocks::open(&words.place, Purpose::Write, voice)?;
        let done = create(words, input, &|batch| blocks.put(batch), voice)?;
        blocks.sync()?;
        done
    };
    if !words.hash {
        voice.line(format_args!("{text}\n"))?;
    }
    voice.line(root)?;
    Ok(())
}

fn create(
    words: &Words,
    mut input: Input,
    put: Put<'_>,
    voice: &mut Voice,
) -> Result<(String, Hash), Failure> {
    let progress = voice.talk().progress("storing", input.bytes());
    let mut start = None;
    let mut fill = |room: &mut [u8]| {
        let count = input.fill(room)?;
        start.get_or_insert_with(|| mime::of(&room[..count], count < CHUNK_BYTES));
        Ok(count)
    };
    let hashes = put_chunks(&mut fill, None, put, &progress)?;
    let name = words.file.file_name().unwrap_or(words.file.as_os_str()).to_string_lossy();
    let kind = start.expect("every file has a first chunk, were it empty");
    let text = meta::text([("file-name", &*name), ("mime-type", kind)]);
    let block = Bytes::from(text.clone().into_bytes());
    let meta = Meta::Block(put(vec![block])?[0]);
    Ok((text, put_annotated(&hashes, meta, Crypt::None, put)?))
}
