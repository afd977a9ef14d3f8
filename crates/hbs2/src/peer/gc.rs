//! `hbs2-peer gc`: give memory back.

use hbs2_rpc::api::peer::PerformGc;

use crate::daemon::{Daemon, Reach};
use crate::error::Failure;

/// Let the running peer give memory that it does not use back to the system
///
/// It does so by itself when it has been quiet for some seconds. Stored blocks are not touched.
#[derive(Debug, clap::Args)]
pub struct Words {
    #[command(flatten)]
    reach: Reach,
}

/// Runs the command.
///
/// # Errors
/// No peer answers.
pub fn run(words: &Words) -> Result<(), Failure> {
    Daemon::reach(&words.reach)?.ask::<PerformGc>(&())
}
