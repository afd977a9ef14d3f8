//! `hbs2-peer reload`: read the config again.

use hbs2_rpc::api::node::Reload;

use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::voice::Voice;

/// Let the running peer read its config again
///
/// Prints what has changed, a line each. Addresses to listen at, HTTP, key, storage and socket need a restart. A broken
/// config changes nothing. SIGHUP does the same.
#[derive(Debug, clap::Args)]
pub struct Words {
    #[command(flatten)]
    reach: Reach,
}

/// Runs the command.
///
/// # Errors
/// No peer answers, or the config is broken.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let changes = Daemon::reach(&words.reach)?.ask::<Reload>(&())?;
    if changes.is_empty() {
        voice.talk().detail("nothing has changed");
    }
    for change in changes {
        voice.line(&change)?;
    }
    Ok(())
}
