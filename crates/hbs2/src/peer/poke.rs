//! `hbs2-peer poke`: does the peer run, and where does it listen?

use hbs2_rpc::api::peer::Poke;

use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::voice::Voice;

/// Print what a running peer says about itself
///
/// One attribute a line: peer-key, the addresses it listens at, its socket and its storage.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  $ hbs2-peer poke
  peer-key: \"5GnroAC8FXNRL8rcgJj6RTu9mt1AbuNd5MZVnDBcCKzb\"
  tcp: \"tcp://0.0.0.0:10351\"
  rpc: \"/run/user/1000/hbs2-rpc.socket\"

Exit status: 0 it answered; 1 nobody did.")]
pub struct Words {
    #[command(flatten)]
    reach: Reach,
}

/// Runs the command.
///
/// # Errors
/// No peer answers.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let text = Daemon::reach(&words.reach)?.ask::<Poke>(&())?;
    voice.line(text.trim_end())?;
    Ok(())
}
