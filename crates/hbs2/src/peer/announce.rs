//! `hbs2-peer announce`: tell the neighbours of a block.

use hbs2_core::Hash;
use hbs2_rpc::api::peer::Announce;
use hbs2_rpc::api::storage::HasBlock;

use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::voice::Voice;

/// Tell the neighbours that this peer has a block or tree
///
/// Those that accept announcements of this peer ('accept-block-announce' in their config) download it.
#[derive(Debug, clap::Args)]
pub struct Words {
    /// The block, or the root of the tree
    #[arg(value_name = "HASH")]
    hash: Hash,
    #[command(flatten)]
    reach: Reach,
}

/// Runs the command.
///
/// # Errors
/// No peer answers, or the block is not here.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let daemon = Daemon::reach(&words.reach)?;
    if daemon.ask::<HasBlock>(&words.hash)?.is_none() {
        return Err(Failure::MissedBlock { hash: words.hash });
    }
    daemon.ask::<Announce>(&words.hash)?;
    voice.talk().detail("announced");
    Ok(())
}
