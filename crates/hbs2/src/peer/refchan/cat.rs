//! `hbs2-peer refchan cat`: what is in a channel.

use hbs2_core::refchan::VerifiedUpdate;
use hbs2_core::tree::walk::Leaves;
use hbs2_core::{ChanUpdate, Decode, SignPublicKey};

use super::log;
use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::store::blocks::{BATCH_BLOCKS, Blocks};
use crate::voice::Voice;

/// Print the payloads of all proposals in a channel, one after another, in the order of the log
#[derive(Debug, clap::Args)]
pub(super) struct Words {
    /// Public key of the channel
    chan: SignPublicKey,
    #[command(flatten)]
    reach: Reach,
}

/// Runs the command. Blocks that are no update of this channel, or not signed well, are left out: a tree may list
/// anything.
///
/// # Errors
/// No peer answers; the channel has no value; a block is missing.
pub(super) fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let daemon = Daemon::reach(&words.reach)?;
    let root = log(&daemon, words.chan)?;
    let blocks = Blocks::behind(daemon);
    for leaf in Leaves::new(root, |hash| blocks.get(hash)) {
        for batch in leaf?.chunks(BATCH_BLOCKS) {
            for (hash, block) in batch.iter().zip(blocks.get_all(batch)?) {
                let block = block.ok_or(Failure::MissedBlock { hash: *hash })?;
                let update =
                    ChanUpdate::from_bytes(&block).ok().filter(|update| *update.chan() == words.chan);
                if let Some(Ok(VerifiedUpdate::Propose { payload, .. })) =
                    update.map(|update| update.verify())
                {
                    voice.out().write_all(&payload)?;
                }
            }
        }
    }
    Ok(())
}
