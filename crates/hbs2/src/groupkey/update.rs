//! `hbs2 groupkey update`: the same secret for other members.

use std::path::PathBuf;

use hbs2_core::groupkey::Change;

use super::{access, r#gen, once, seconds};
use crate::error::Failure;
use crate::voice::Voice;

/// Print a group key with the same secret for other members
///
/// The new members are those of the file: keep the lines of who stays. Whoever is left out keeps what he could read
/// before; to keep later data from him, make a new group key with 'hbs2 groupkey gen'.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  hbs2 groupkey dump group.gk > members
  echo 'member \"KEY\"' >> members
  hbs2 groupkey update -D members group.gk > new.gk")]
pub struct Words {
    /// Group key file; stdin if absent
    file: Option<PathBuf>,
    /// File with lines 'member \"KEY\"'
    #[arg(short = 'D', long, value_name = "FILE")]
    dsl: PathBuf,
    /// Keyring of a member [default: what hbs2-keyman knows]
    #[arg(short, long, value_name = "FILE")]
    keyring: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// A file cannot be read or understood, or no key of ours opens the group key.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let members = r#gen::members(Some(&words.dsl), voice)?;
    if members.keys.is_empty() {
        return Err(Failure::NoMembers { from: members.from });
    }
    let group = super::read(words.file.as_deref(), voice)?;
    let secret = access::Opening::new(words.keyring.as_deref()).secret(&group, voice)?;
    let remove = group.members().into_iter().filter(|member| !members.keys.contains(member)).collect();
    let once = once(members.keys.len())?;
    let change = Change { add: members.keys, remove };
    voice.line(group.update(&secret, &change, seconds(), once)?.to_text())?;
    Ok(())
}
