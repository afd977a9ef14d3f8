//! `hbs2-peer ping`: does another peer answer?

use hbs2_core::addr::PeerAddr;
use hbs2_rpc::api::peer::Ping;

use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::voice::Voice;

/// Ask another peer for a sign of life; prints pong or pang
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  hbs2-peer ping tcp://192.0.2.7:10351

Exit status: 0 with pong and with pang; 1 when the own peer does not answer.")]
pub struct Words {
    /// Address of the other peer, such as tcp://192.0.2.7:10351
    #[arg(value_name = "ADDR")]
    address: PeerAddr,
    #[command(flatten)]
    reach: Reach,
}

/// Runs the command.
///
/// # Errors
/// The own peer does not answer.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let answered = Daemon::reach(&words.reach)?.ask::<Ping>(&words.address)?;
    voice.line(if answered { "pong" } else { "pang" })?;
    Ok(())
}
