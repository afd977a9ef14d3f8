//! `hbs2 bundle create`: blocks into one tree.

use std::path::{Path, PathBuf};

use hbs2_core::Hash;
use hbs2_core::bundle;

use crate::error::Failure;
use crate::input::Input;
use crate::store::blocks::{Blocks, Place, Purpose};
use crate::store::chunks::TreeWriter;
use crate::store::reach::{GroupKeys, Reach};
use crate::voice::Voice;

/// Longest list of hashes we read, in bytes: a hundred thousand hashes.
const LIST_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Make a bundle of blocks and everything below them; print its hash
///
/// Reads hashes from a file or from stdin, separated by blanks or line ends.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  echo HASH | hbs2 bundle create
  hbs2 cat BUNDLE > photos.bundle      a file to carry away
  hbs2 bundle import $(hbs2 store photos.bundle)")]
pub struct Words {
    /// File with the hashes [default: stdin]
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// Runs the command.
///
/// # Errors
/// A word is no hash, a block is missing, the storage fails.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let roots = hashes(words.file.as_deref(), voice)?;
    let blocks = Blocks::open(&words.place, Purpose::Write, voice)?;
    let progress = voice.talk().progress("bundling", None);
    let mut tree = TreeWriter::new(&blocks);
    tree.write(&bundle::head())?;
    for root in roots {
        let mut reach = Reach::new(root, GroupKeys::Reach, &blocks);
        while let Some((hash, block)) = reach.step()? {
            tree.write(&bundle::section(&hash, &block))?;
            progress.add(block.len() as u64);
        }
        if let Some(hash) = reach.missing().first() {
            return Err(Failure::MissedBlock { hash: *hash });
        }
    }
    let bundle = tree.finish()?;
    drop(progress);
    voice.line(bundle)?;
    Ok(())
}

fn hashes(path: Option<&Path>, voice: &mut Voice) -> Result<Vec<Hash>, Failure> {
    let input = Input::open(path, voice)?;
    let file = input.name();
    let text = input.text(LIST_BYTES_MAX)?;
    let wrong = |word: &str| Failure::NoHash { word: word.to_owned(), file: file.clone() };
    text.split_whitespace().map(|word| word.parse().map_err(|_| wrong(word))).collect()
}
