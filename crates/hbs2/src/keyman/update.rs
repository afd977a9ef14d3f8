//! `hbs2-keyman update`: look at the key files.

use hbs2_core::refchan::VerifiedUpdate;
use hbs2_core::{AnnotatedRef, Decode, Hash, SignPublicKey};
use hbs2_keyman::{GroupSecretError, KeyIndex, Vanished};
use hbs2_rpc::api::refchan::Get;

use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::peer::refchan::cat;
use crate::store::blocks::Blocks;
use crate::voice::Voice;

/// Look at all key files and renew the index
///
/// Files that are no keyrings are passed over. Prints nothing when all is well. Then the channels that the config names
/// are read through the running peer, and group keys that authors have published there are remembered.
#[derive(Debug, clap::Args)]
pub struct Words {
    /// Also forget keys whose file is gone
    #[arg(short, long)]
    prune: bool,
    #[command(flatten)]
    reach: Reach,
}

/// Runs the command.
///
/// # Errors
/// The config is wrong, or the index cannot be written.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let vanished = if words.prune { Vanished::Forget } else { Vanished::Keep };
    let index = super::index()?;
    let updated = index.update(vanished)?;
    for warning in &updated.warnings {
        voice.talk().note(format_args!("warning: {warning}"));
    }
    scan(&index, &words.reach, voice)?;
    voice.talk().detail(format_args!(
        "{} files, {} keys added, {} forgotten",
        updated.files, updated.added, updated.forgotten
    ));
    Ok(())
}

/// Remembers the group keys that the channels of the config name. Without a peer that is left for another time.
fn scan(index: &KeyIndex, reach: &Reach, voice: &mut Voice) -> Result<(), Failure> {
    let channels = index.settings()?.refchans;
    if channels.is_empty() {
        return Ok(());
    }
    let Some(daemon) = reach.find()? else {
        voice.talk().note("warning: no peer answers, so no channel was read for group keys");
        return Ok(());
    };
    let blocks = Blocks::behind(daemon.clone());
    for chan in channels {
        voice.talk().note(format_args!("scan refchan {chan}"));
        for root in published(&daemon, &blocks, chan)? {
            if index.tracked_id(&root)?.is_some() {
                continue;
            }
            match index.track_group_key(&root, |hash| blocks.get(hash)) {
                Ok(id) => voice.talk().note(format_args!("found new gk0 {id} {root}")),
                // Channels hold many things. What is no group key, is not here yet or is not for us is passed over.
                Err(GroupSecretError::Load(_) | GroupSecretError::NoAccess { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// The trees that the proposals of a channel name.
fn published(daemon: &Daemon, blocks: &Blocks, chan: SignPublicKey) -> Result<Vec<Hash>, Failure> {
    let mut named = Vec::new();
    let Some(root) = daemon.ask::<Get>(&chan)? else { return Ok(named) };
    cat::updates(blocks, root, &chan, &mut |_, update| {
        if let VerifiedUpdate::Propose { payload, .. } = update
            && let Ok(pointer) = AnnotatedRef::from_bytes(&payload)
        {
            named.push(pointer.target);
        }
        Ok(())
    })?;
    Ok(named)
}
