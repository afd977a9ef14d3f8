//! What a block from somebody's reference is worth. Pure; nearly all of the cost, about 50 µs each, is the signature.

use bytes::Bytes;
use hbs2_core::cbor::{Decode, Encode};
use hbs2_core::mailbox::{Deletion, MailboxEntry};
use hbs2_core::pointer::{AnnotatedRef, SequentialRef};
use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::{ChanUpdate, Hash, Message, SignPublicKey, Signed};

use crate::{Examined, Expected, Found};

/// Checks a block that somebody's tree lists as an update of reflog `key`: it must be an update, of this reflog and
/// no other, with a good signature.
#[must_use]
pub fn examine_update(key: &SignPublicKey, block: Option<&[u8]>) -> Examined {
    let Some(block) = block else { return Examined::Absent };
    match ReflogUpdate::from_bytes(block) {
        Ok(update) if update.key() != key => Examined::Foreign,
        Ok(update) if update.verify().is_ok() => Examined::Valid { links: payload_links(update.data()) },
        _ => Examined::Bad,
    }
}

/// Checks a block that is to be something.
#[must_use]
pub fn examine(expected: &Expected, block: Option<&Bytes>) -> Found {
    let Some(block) = block else { return Found::Absent };
    match expected {
        Expected::ChanUpdate(chan) => chan_update(chan, block),
        Expected::Entry => MailboxEntry::from_bytes(block).map_or(Found::Bad, Found::Entry),
        Expected::Message(mailbox) => message(mailbox, block),
        Expected::Deletion(mailbox) => deletion(mailbox, block),
    }
}

fn chan_update(chan: &SignPublicKey, block: &Bytes) -> Found {
    let Ok(update) = ChanUpdate::from_bytes(block) else { return Found::Bad };
    if update.chan() != chan {
        return Found::Foreign;
    }
    // A block in another form would have another name at those who got the update as gossip.
    if update.to_bytes() != **block {
        return Found::Bad;
    }
    update.verify().map_or(Found::Bad, Found::Update)
}

fn message(mailbox: &SignPublicKey, block: &Bytes) -> Found {
    let Ok(opened) =
        Message::from_bytes(block).map_err(drop).and_then(|message| message.verify().map_err(drop))
    else {
        return Found::Bad;
    };
    if !opened.value.recipients.contains(mailbox) {
        return Found::Foreign;
    }
    Found::Message { sender: opened.signer, parts: opened.value.parts.into_iter().collect() }
}

fn deletion(mailbox: &SignPublicKey, block: &Bytes) -> Found {
    let opened =
        Signed::<Deletion>::from_bytes(block).map_err(drop).and_then(|box_| box_.verify().map_err(drop));
    match opened {
        Ok(opened) if opened.signer != *mailbox => Found::Foreign,
        Ok(opened) => opened.value.message().map_or(Found::Bad, |message| Found::Deletion { message }),
        Err(()) => Found::Bad,
    }
}

/// The trees that the payload of an update names, if it is a pointer.
pub(crate) fn payload_links(data: &[u8]) -> Vec<Hash> {
    let pointer = AnnotatedRef::from_bytes(data)
        .or_else(|_| SequentialRef::from_bytes(data).map(|sequential| sequential.target));
    match pointer {
        Ok(pointer) => std::iter::once(pointer.target).chain(pointer.annotation).collect(),
        Err(_) => Vec::new(),
    }
}
