//! `hbs2-peer refchan gk`: a group key for the readers of a channel, and the one with which notices are sealed.

use hbs2_core::keyring::KeyringEntry;
use hbs2_core::refkey::RefKind;
use hbs2_core::{ChanHead, GroupKey, GroupSecret, Hash, SignPublicKey};
use hbs2_rpc::api::storage::{GetRef, RefAlias, UpdateRef};

use super::{Chan, read_head};
use crate::daemon::Daemon;
use crate::error::Failure;
use crate::groupkey::{self, access};
use crate::store::blocks::Blocks;
use crate::voice::Voice;

/// Runs the command.
///
/// # Errors
/// No peer answers; the channel has no head, or its head no readers.
pub(super) fn run(words: &Chan, voice: &mut Voice) -> Result<(), Failure> {
    let (_, head) = read_head(&Daemon::reach(&words.reach)?, words.chan)?;
    let (key, _) = generate(&words.chan, &head)?;
    voice.line(key.to_text())?;
    Ok(())
}

/// A group key with a fresh secret for the readers of a head.
pub(super) fn generate(chan: &SignPublicKey, head: &ChanHead) -> Result<(GroupKey, GroupSecret), Failure> {
    if head.readers.is_empty() {
        return Err(Failure::told(format!("the head of refchan {chan} has no readers")));
    }
    groupkey::generate(&head.readers)
}

/// The group key with which notices are sealed for the readers of a head: its root and its secret. One that we made
/// less than two weeks ago and can open is taken again, so that readers meet few of them.
pub(super) fn cached(
    daemon: &Daemon,
    chan: &SignPublicKey,
    (head_root, head): (Hash, &ChanHead),
    voice: &Voice,
) -> Result<(Hash, GroupSecret), Failure> {
    let blocks = Blocks::behind(daemon.clone());
    let own = own_entry(head, voice)?;
    let place = own.as_ref().map(|own| (own, RefAlias(RefKind::notice_key(&head_root, own))));
    if let Some((own, place)) = &place
        && let Some(root) = daemon.ask::<GetRef>(place)?
        && let Ok(key) = GroupKey::load(root, |hash| blocks.get(hash))
        && key.seconds().is_some_and(is_fresh)
        && let Ok(secret) = key.open(&own.secret)
    {
        return Ok((root, secret));
    }
    let (key, secret) = generate(chan, head)?;
    let root = access::put(&key, &blocks)?;
    blocks.sync()?;
    if let Some((_, place)) = place {
        daemon.ask::<UpdateRef>(&(place, root))?;
    }
    Ok((root, secret))
}

/// The first reader of a head that we are.
fn own_entry(head: &ChanHead, voice: &Voice) -> Result<Option<KeyringEntry>, Failure> {
    let index = crate::keyman::index_with(voice.talk())?;
    let mut readers = head.readers.iter().map(|reader| index.find_encrypt(reader));
    let own = readers.find_map(Result::transpose).transpose()?;
    Ok(own.map(|found| KeyringEntry::new(found.secret)))
}

/// Whether a key made at this time, in seconds since 1970, may be used again. One from the future is as good as old.
fn is_fresh(made: u64) -> bool {
    groupkey::seconds().checked_sub(made).is_some_and(|age| age < REUSE_SECONDS)
}

/// Time for which a group key of notices is used, in seconds: 14 days, as the original has it.
const REUSE_SECONDS: u64 = 14 * 24 * 60 * 60;
