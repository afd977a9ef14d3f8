//! `hbs2 groupkey gen`: a group key for a list of members.

use std::path::{Path, PathBuf};

use super::Members;
use crate::error::Failure;
use crate::voice::Voice;

/// Make a group key for the members in a file
///
/// The file has lines 'member "KEY"', as 'hbs2 groupkey dump' prints them; all other lines are passed over. The
/// secret of the group is new at each call.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  hbs2 groupkey dump old.gk > members
  vi members
  hbs2 groupkey gen members > new.gk")]
pub struct Words {
    /// File with members; stdin if absent
    file: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// The file cannot be read or understood, a key is wrong, there are no members, or too many.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    members(words.file.as_deref(), voice)?.print_new(voice)
}

/// The members that a file names.
pub(super) fn members(path: Option<&Path>, voice: &mut Voice) -> Result<Members, Failure> {
    let (text, from) = super::read_text(path, voice)?;
    let mut keys = std::collections::BTreeSet::new();
    for (at, line) in (1..).zip(text.lines()) {
        for form in &hbs2_script::parse(line).forms {
            if let Some(("member", values)) = form.as_call() {
                let word = match values {
                    [value] => value.as_word().unwrap_or_default(),
                    _ => "",
                };
                keys.insert(super::public_key(word, at, &from)?);
            }
        }
    }
    Ok(Members { from, keys })
}
