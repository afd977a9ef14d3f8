//! `hbs2-peer die`: end the running peer.

use hbs2_rpc::api::peer::Die;

use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::voice::Voice;

/// Stop the running peer
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
    Daemon::reach(&words.reach)?.ask::<Die>(&())?;
    voice.talk().detail("the peer stops");
    Ok(())
}
