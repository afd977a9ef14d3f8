//! `hbs2-peer pexinfo`: the addresses that others are told of.

use hbs2_rpc::api::peer::PexInfo;

use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::voice::Voice;

/// List addresses of other peers that have answered, one a line
///
/// These are the addresses that the running peer tells other peers when they ask whom it knows.
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
    for address in Daemon::reach(&words.reach)?.ask::<PexInfo>(&())? {
        voice.line(address)?;
    }
    Ok(())
}
