//! `hbs2 groupkey from-keys`: a group key for keys on stdin.

use super::Members;
use crate::error::Failure;
use crate::voice::Voice;

/// Make a group key for the encryption keys on stdin
///
/// The keys are separated by blanks or line ends. The secret of the group is new at each call.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  echo KEY1 KEY2 | hbs2 groupkey from-keys > group.gk
  hbs2 store --groupkey group.gk notes.txt")]
pub struct Words {}

/// Runs the command.
///
/// # Errors
/// A word is no key, there is none, or there are too many.
pub fn run(_: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let (text, from) = super::read_text(None, voice)?;
    let words =
        (1..).zip(text.lines()).flat_map(|(at, line)| line.split_whitespace().map(move |it| (at, it)));
    let keys = words.map(|(line, word)| super::public_key(word, line, &from)).collect::<Result<_, _>>()?;
    Members { from, keys }.print_new(voice)
}
