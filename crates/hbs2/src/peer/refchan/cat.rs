//! `hbs2-peer refchan cat`: what is in a channel.

use hbs2_core::refchan::VerifiedUpdate;
use hbs2_core::tree::walk::Leaves;
use hbs2_core::{ChanUpdate, Decode, Hash, SignPublicKey};

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

/// Runs the command.
///
/// # Errors
/// No peer answers; the channel has no value; a block is missing.
pub(super) fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let daemon = Daemon::reach(&words.reach)?;
    let root = log(&daemon, words.chan)?;
    updates(&Blocks::behind(daemon), root, &words.chan, &mut |_, update| {
        if let VerifiedUpdate::Propose { payload, .. } = update {
            voice.out().write_all(&payload)?;
        }
        Ok(())
    })
}

/// Takes an update of a log and its name.
type Take<'t> = &'t mut dyn FnMut(Hash, VerifiedUpdate) -> Result<(), Failure>;

/// Gives the updates of a channel in the tree `root` to `take`, in the order of the log. Blocks that are no update of
/// this channel, or not signed well, are left out: a tree may list anything.
///
/// # Errors
/// A block is missing, or `take` fails.
pub(crate) fn updates(
    blocks: &Blocks,
    root: Hash,
    chan: &SignPublicKey,
    take: Take<'_>,
) -> Result<(), Failure> {
    for leaf in Leaves::new(root, |hash| blocks.get(hash)) {
        for batch in leaf?.chunks(BATCH_BLOCKS) {
            for (hash, block) in batch.iter().zip(blocks.get_all(batch)?) {
                let block = block.ok_or(Failure::MissedBlock { hash: *hash })?;
                let update = ChanUpdate::from_bytes(&block).ok().filter(|update| update.chan() == chan);
                if let Some(Ok(update)) = update.map(|update| update.verify()) {
                    take(*hash, update)?;
                }
            }
        }
    }
    Ok(())
}
