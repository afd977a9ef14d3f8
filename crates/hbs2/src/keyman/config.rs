//! `hbs2-keyman config`: the settings in force.

use hbs2_script::print::print;

use crate::error::Failure;
use crate::voice::Voice;

/// Print the settings of the config file, one form a line
#[derive(Debug, clap::Args)]
pub struct Words {}

/// Runs the command.
///
/// # Errors
/// The config cannot be read or understood.
pub fn run(_: &Words, voice: &mut Voice) -> Result<(), Failure> {
    for form in super::index()?.settings()?.config.forms() {
        voice.line(print(form))?;
    }
    Ok(())
}
