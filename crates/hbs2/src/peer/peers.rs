//! `hbs2-peer peers`: the neighbours.

use hbs2_rpc::api::peer::Peers;

use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::voice::Voice;

/// List the peers that the running peer knows: key and address
#[derive(Debug, clap::Args)]
pub struct Words {
    #[command(flatten)]
    reach: Reach,
}

/// Runs the command.
///
/// # Errors
/// No peer answers.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let peers = Daemon::reach(&words.reach)?.ask::<Peers>(&())?;
    for (key, address) in &peers {
        voice.line(format_args!("{key:<44} {address}"))?;
    }
    if peers.is_empty() {
        voice.talk().detail("no peer is known yet; name one in the config: known-peer \"HOST:PORT\"");
    }
    Ok(())
}
