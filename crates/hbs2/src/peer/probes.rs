//! `hbs2-peer probes`: what is counted and measured.

use hbs2_rpc::api::peer::GetProbes;

use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::voice::Voice;

/// Print what the running peer counts and measures: name and value, one a line
///
/// Names that begin with Node are this program's own; the others measure what the original measures under the same
/// name.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  hbs2-peer probes | grep Download.wip      blocks known to be missing of all downloads")]
pub struct Words {
    #[command(flatten)]
    reach: Reach,
}

/// Runs the command.
///
/// # Errors
/// No peer answers.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    for probe in Daemon::reach(&words.reach)?.ask::<GetProbes>(&())? {
        voice.line(format_args!("{} {}", probe.name, probe.value))?;
    }
    Ok(())
}
