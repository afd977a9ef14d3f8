//! `hbs2-keyman update`: look at the key files.

use hbs2_keyman::Vanished;

use crate::error::Failure;
use crate::voice::Voice;

/// Look at all key files and renew the index
///
/// Files that are no keyrings are passed over. Prints nothing when all is well.
#[derive(Debug, clap::Args)]
pub struct Words {
    /// Also forget keys whose file is gone
    #[arg(short, long)]
    prune: bool,
}

/// Runs the command.
///
/// # Errors
/// The config is wrong, or the index cannot be written.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let vanished = if words.prune { Vanished::Forget } else { Vanished::Keep };
    let index = super::index()?;
    let updated = index.update(vanished)?;
    for warning in &updated.warnings {
        voice.talk().note(format_args!("warning: {warning}"));
    }
    for refchan in index.settings()?.refchans {
        voice
            .talk()
            .note(format_args!("refchan {refchan} was not read: no group keys come from channels yet"));
    }
    voice.talk().detail(format_args!(
        "{} files, {} keys added, {} forgotten",
        updated.files, updated.added, updated.forgotten
    ));
    Ok(())
}
