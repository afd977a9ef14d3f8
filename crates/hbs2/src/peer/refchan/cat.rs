//! `hbs2-peer refchan cat`: what is in a channel.

use hbs2_core::refchan::VerifiedUpdate;
use hbs2_core::{ChanUpdate, Decode, Hash, SignPublicKey};

use super::{Chan, log};
use crate::daemon::Daemon;
use crate::error::Failure;
use crate::store::blocks::Blocks;
use crate::voice::Voice;

/// Runs the command.
///
/// # Errors
/// No peer answers; the channel has no value; a block is missing.
pub(super) fn run(words: &Chan, voice: &mut Voice) -> Result<(), Failure> {
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
    blocks.each_listed(root, |hash, block| {
        let update = ChanUpdate::from_bytes(&block).ok().filter(|update| update.chan() == chan);
        match update.map(|update| update.verify()) {
            Some(Ok(update)) => take(hash, update),
            _ => Ok(()),
        }
    })
}
