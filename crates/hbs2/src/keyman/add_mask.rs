//! `hbs2-keyman add-mask`: where key files are.

use crate::error::Failure;

/// Add files to look at, by name or by mask, to the config
///
/// Write masks in single quotes, so that the shell leaves them alone. The files are looked at by the next
/// 'hbs2-keyman update'.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hbs2-keyman add-mask ./my.key
  hbs2-keyman add-mask '~/keys/**/*.key'")]
pub struct Words {
    /// File, or mask: * and ? match within a name, ** across directories, ~ is the home directory
    #[arg(value_name = "MASK", required = true)]
    masks: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// The config is wrong already, a mask cannot be understood, or the config cannot be written.
pub fn run(words: &Words) -> Result<(), Failure> {
    let here = std::env::current_dir().map_err(Failure::NoDirectory)?;
    let index = super::index()?;
    words.masks.iter().try_for_each(|mask| Ok(index.add_mask(mask, &here)?))
}
