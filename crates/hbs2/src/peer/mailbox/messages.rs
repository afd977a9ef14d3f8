//! `hbs2-peer mailbox list:messages`: what is in a mailbox and not deleted.

use std::collections::BTreeSet;

use hbs2_core::mailbox::MailboxEntry;
use hbs2_core::{Decode, SignPublicKey};
use hbs2_rpc::api::mailbox::{Get, MailboxKey};

use crate::daemon::Daemon;
use crate::error::Failure;
use crate::store::blocks::Blocks;
use crate::voice::Voice;

/// Lists the messages of a mailbox in the order of their hashes. The peer has checked all entries; blocks that are none
/// are read over.
pub(super) fn list(daemon: &Daemon, key: SignPublicKey, voice: &mut Voice) -> Result<(), Failure> {
    let Some(root) = daemon.ask::<Get>(&MailboxKey(key))? else {
        return super::status(daemon, key).map(drop);
    };
    let blocks = Blocks::behind(daemon.clone());
    let (mut here, mut deleted) = (BTreeSet::new(), BTreeSet::new());
    blocks.each_listed(root, |_, block| {
        match MailboxEntry::from_bytes(&block) {
            Ok(MailboxEntry::Exists { message, .. }) => here.insert(message),
            Ok(MailboxEntry::Deleted { message, .. }) => deleted.insert(message),
            Err(_) => false,
        };
        Ok::<_, Failure>(())
    })?;
    for message in here.difference(&deleted) {
        voice.line(message)?;
    }
    Ok(())
}
