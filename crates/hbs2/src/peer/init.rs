//! `hbs2-peer init`: a config and a key.

use std::path::PathBuf;

use hbs2_node::config;

use crate::config::{peer_dir, places};
use crate::error::Failure;
use crate::voice::Voice;

/// Make a config and a key, if there are none
///
/// 'hbs2-peer run' does the same at its first start. What is there already is not touched.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  hbs2-peer init ./alice
  hbs2-peer run -c ./alice")]
pub struct Words {
    /// Directory of the config [default: ~/.config/hbs2-peer]
    dir: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// There is no home directory; a file cannot be written.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let dir = peer_dir(words.dir.as_deref(), &places())?;
    let made = config::init(&dir)?;
    for (new, file) in [(made.new_config, &made.config), (made.new_key, &made.key)] {
        if new {
            voice.talk().note(format_args!("made {}", file.display()));
        }
    }
    if !made.new_config {
        voice.talk().note(format_args!("{} is there already, nothing was changed", made.config.display()));
    }
    Ok(())
}
