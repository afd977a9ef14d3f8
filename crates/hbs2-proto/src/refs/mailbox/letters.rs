//! Messages and deletions on their way into mailboxes.

use std::collections::BTreeSet;

use bytes::Bytes;
use hbs2_core::cbor::Encode;
use hbs2_core::mailbox::{Deletion, MailboxEntry, MessageContent};
use hbs2_core::{Hash, Message as Letter, SignPublicKey, Signed, Verified};

use super::super::growing::Added;
use super::super::scene::Scene;
use super::policy::Rules;
use super::{Mailboxes, refuse};
use crate::wire::{MailboxMessage, Message};
use crate::{Answer, CommandId, Keep, LinkId, Offence, Refusal};

/// Messages of one mailbox that wait for its policy to be read, at most, and their bytes over all mailboxes.
const HELD_MESSAGES_MAX: usize = 256;
const HELD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A message that waits for the policy.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) letter: Delivery,
    peer: Option<SignPublicKey>,
    pub(super) command: Option<CommandId>,
}

/// A message on its way into mailboxes.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    hash: Hash,
    pub(super) block: Bytes,
    sender: SignPublicKey,
    parts: BTreeSet<Hash>,
}

impl Mailboxes {
    /// A message with a good signature that has not passed by yet, or one of the owner.
    pub(crate) fn letter(
        &mut self,
        w: &mut Scene<'_, '_>,
        letter: Letter,
        opened: Verified<MessageContent>,
        from: Option<LinkId>,
        command: Option<CommandId>,
    ) {
        let block = Bytes::from(letter.to_bytes());
        let hash = Hash::of(&block);
        let delivery = Delivery { hash, block, sender: opened.signer, parts: opened.value.parts };
        w.pass_on(from, &Message::Mailbox(MailboxMessage::Send(letter)));
        let peer = from.and_then(|link| w.peer(link));
        let ours: Vec<SignPublicKey> =
            opened.value.recipients.into_iter().filter(|key| self.boxes.contains_key(key)).collect();
        if ours.is_empty()
            && let Some(command) = command
        {
            // It is on its way to those whom it concerns.
            w.m.out.answer(command, Answer::Done);
        }
        for (at, key) in ours.into_iter().enumerate() {
            // The first mailbox answers the owner.
            let command = command.filter(|_| at == 0);
            self.deliver(w, key, Held { letter: delivery.clone(), peer, command });
        }
    }

    /// Puts a message into a mailbox if its policy allows it.
    pub(super) fn deliver(&mut self, w: &mut Scene<'_, '_>, key: SignPublicKey, held: Held) {
        let Some(mailbox) = self.boxes.get_mut(&key) else { return };
        let policy = match &mailbox.rules {
            Rules::Coming => {
                let bytes = held.letter.block.len();
                if mailbox.held.len() < HELD_MESSAGES_MAX && self.held_bytes + bytes <= HELD_BYTES_MAX {
                    self.held_bytes += bytes;
                    mailbox.held.push_back(held);
                } else {
                    w.m.out.counters.messages_limited += 1;
                    refuse(w.m, held.command, Refusal::Full { entries: HELD_MESSAGES_MAX });
                }
                return;
            }
            Rules::Known(policy) => Some(policy),
            Rules::Nobody | Rules::Unreadable => None,
        };
        // What the owner of this node sends was not brought by a peer.
        let allowed = policy.is_some_and(|policy| {
            held.peer.is_none_or(|peer| policy.allows_peer(&peer))
                && policy.allows_sender(&held.letter.sender)
        });
        if !allowed {
            w.m.out.counters.letters_refused += 1;
            // It was passed on all the same, and that is what was asked for.
            if let Some(command) = held.command {
                w.m.out.answer(command, Answer::Done);
            }
            return;
        }
        let Delivery { hash, block, parts, .. } = held.letter;
        let entry = Bytes::from(MailboxEntry::Exists { policy: None, message: hash }.to_bytes());
        let name = Hash::of(&entry);
        let blocks = vec![(hash, block), (name, entry)];
        if mailbox.log.add(w.m, name, blocks, held.command, false) == Added::New {
            w.m.out.counters.letters_kept += 1;
            for root in parts {
                w.brain.want(w.m, root, Keep::UntilDone, None);
            }
        }
        self.dirty.insert(key);
    }

    /// A deletion that has not passed by yet, or one of the owner.
    pub(crate) fn deletion(
        &mut self,
        w: &mut Scene<'_, '_>,
        signed: Signed<Deletion>,
        from: Option<LinkId>,
        command: Option<CommandId>,
    ) {
        let Ok(opened) = signed.verify() else {
            w.m.out.counters.letters_bad += 1;
            if let Some(from) = from {
                w.m.offend(from, Offence::BadSignature);
            }
            return refuse(w.m, command, Refusal::Signature);
        };
        let proof = Bytes::from(signed.to_bytes());
        w.pass_on(from, &Message::Mailbox(MailboxMessage::Delete(signed)));
        let mailbox = self.boxes.get_mut(&opened.signer);
        let (Some(mailbox), Some(message)) = (mailbox, opened.value.message()) else {
            return refuse(w.m, command, Refusal::Unknown);
        };
        let proof_hash = Hash::of(&proof);
        let entry = Bytes::from(MailboxEntry::Deleted { proof: Some(proof_hash), message }.to_bytes());
        let name = Hash::of(&entry);
        mailbox.log.add(w.m, name, vec![(proof_hash, proof), (name, entry)], command, false);
        self.dirty.insert(opened.signer);
    }
}
