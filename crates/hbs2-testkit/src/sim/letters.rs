//! What refchans and mailboxes hold in a world, and what owners and authors do with them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use hbs2_core::cbor::{Decode, Encode};
use hbs2_core::mailbox::{Deletion, Draft, MailboxEntry, PolicySetting};
use hbs2_core::refchan::VerifiedUpdate;
use hbs2_core::refkey::RefKind;
use hbs2_core::{
    Blob, ChanHead, ChanUpdate, EncryptSecretKey, GroupSecret, Hash, Message, SignPublicKey, SignSecretKey,
    Signed,
};
use hbs2_proto::{Command, CommandId};

use super::world::{NodeId, Sim};

impl Sim {
    /// Stores a signed head at a node, as a tree.
    pub fn put_head(&mut self, node: NodeId, key: &SignSecretKey, head: &ChanHead) -> Hash {
        self.put_data(node, &Signed::sign(key, head).to_bytes())
    }

    /// Publishes a head at a node.
    pub fn post_head(&mut self, node: NodeId, key: &SignSecretKey, head: &ChanHead) -> CommandId {
        let root = self.put_head(node, key, head);
        self.command(node, Command::PostChanHead { root })
    }

    /// Brings a payload of an author to a channel, at a node.
    pub fn propose(
        &mut self,
        node: NodeId,
        chan: SignPublicKey,
        author: &SignSecretKey,
        text: &str,
    ) -> CommandId {
        let payload = Signed::sign(author, &Blob(Bytes::copy_from_slice(text.as_bytes())));
        self.command(node, Command::Propose { chan, payload: payload.to_bytes().into() })
    }

    /// The head of a channel at a node.
    #[must_use]
    pub fn head(&self, node: NodeId, chan: &SignPublicKey) -> Option<Hash> {
        self.places[node.0].disk.reference(&RefKind::ChanHead.key(chan))
    }

    /// The log of a channel at a node.
    ///
    /// # Panics
    /// If it is incomplete, lists a block that is no update of this channel, lacks the acceptances of a proposal by as
    /// many peers as the head that it names asks for, or has one that this head does not allow.
    #[must_use]
    pub fn chan_log(&self, node: NodeId, chan: &SignPublicKey) -> BTreeSet<Hash> {
        let disk = &self.places[node.0].disk;
        let name = &self.places[node.0].name;
        let Some(root) = disk.reference(&RefKind::ChanLog.key(chan)) else { return BTreeSet::new() };
        let (leaves, complete) = disk.leaves(root);
        assert!(complete, "the log at {name} is incomplete; {self}");
        let mut voters: BTreeMap<Hash, BTreeSet<SignPublicKey>> = BTreeMap::new();
        let mut proposals = Vec::new();
        for leaf in &leaves {
            let update = disk.get(leaf).and_then(|block| ChanUpdate::from_bytes(block).ok());
            let update = update.filter(|update| update.chan() == chan);
            let verified = update.and_then(|update| update.verify().ok());
            match verified {
                Some(VerifiedUpdate::Propose { peer, author, head, .. }) => {
                    let head = self.signed_head(node, chan, head);
                    assert!(head.allows_proposal(&peer, &author), "a foreign proposal at {name}; {self}");
                    proposals.push((*leaf, head));
                }
                Some(VerifiedUpdate::Accept { peer, acceptance }) => {
                    let head = self.signed_head(node, chan, acceptance.head);
                    assert!(head.has_peer(&peer), "a foreign acceptance at {name}; {self}");
                    voters.entry(acceptance.proposal).or_default().insert(peer);
                }
                None => panic!("a foreign block entered the log at {name}; {self}"),
            }
        }
        for (id, head) in proposals {
            let votes = voters.get(&id).map_or(0, BTreeSet::len) as u64;
            assert!(votes >= head.votes_needed(), "{votes} votes were enough at {name}; {self}");
        }
        leaves.into_iter().collect()
    }

    fn signed_head(&self, node: NodeId, chan: &SignPublicKey, root: Hash) -> ChanHead {
        let content =
            self.content(node, root, usize::MAX).unwrap_or_else(|| panic!("no head {root}; {self}"));
        let opened = Signed::<ChanHead>::from_bytes(&content).ok().and_then(|signed| signed.verify().ok());
        let opened = opened.filter(|opened| opened.signer == *chan);
        opened.unwrap_or_else(|| panic!("a foreign head {root}; {self}")).value
    }

    /// The payloads that were admitted to a channel at a node, in the order of their text.
    #[must_use]
    pub fn payloads(&self, node: NodeId, chan: &SignPublicKey) -> Vec<String> {
        let disk = &self.places[node.0].disk;
        let payload = |hash: &Hash| match ChanUpdate::from_bytes(disk.get(hash)?).ok()?.verify().ok()? {
            VerifiedUpdate::Propose { payload, .. } => Some(String::from_utf8_lossy(&payload).into_owned()),
            VerifiedUpdate::Accept { .. } => None,
        };
        let mut payloads: Vec<String> = self.chan_log(node, chan).iter().filter_map(payload).collect();
        payloads.sort();
        payloads
    }

    /// A message from one key to another, with a body that nobody reads.
    #[must_use]
    pub fn letter(sender: &SignSecretKey, recipient: SignPublicKey, text: &str, parts: &[Hash]) -> Message {
        let reader = EncryptSecretKey::from_bytes([7; 32]);
        let draft = Draft {
            seconds: 1,
            recipients: BTreeSet::from([recipient]),
            readers: BTreeSet::from([reader.public()]),
            parts: parts.iter().copied().collect(),
            body: text.as_bytes(),
        };
        let once = || EncryptSecretKey::from_bytes([8; 32]);
        draft
            .seal(sender, &GroupSecret::from_bytes([5; 32]), once, |_, _| {})
            .expect("one recipient and reader")
    }

    /// Sends a message at a node.
    pub fn mail(&mut self, node: NodeId, letter: &Message) -> CommandId {
        self.command(node, Command::MailboxSend { message: letter.to_bytes().into() })
    }

    /// Stores a policy at a node and chooses it for a mailbox.
    pub fn set_policy(&mut self, node: NodeId, owner: &SignSecretKey, version: u32, text: &str) -> CommandId {
        let policy = self.put_data(node, text.as_bytes());
        let setting = PolicySetting { mailbox: owner.public(), version, policy };
        let signed = Signed::sign(owner, &setting).to_bytes();
        self.command(node, Command::MailboxPolicy { signed: signed.into() })
    }

    /// Deletes a message at a node.
    pub fn erase(&mut self, node: NodeId, owner: &SignSecretKey, message: Hash) -> CommandId {
        let signed = Signed::sign(owner, &Deletion::of(message)).to_bytes();
        self.command(node, Command::MailboxErase { signed: signed.into() })
    }

    /// The entries of a mailbox at a node.
    ///
    /// # Panics
    /// If it is incomplete, an entry cannot be read, a message is not for this mailbox or badly signed, or a deletion is
    /// not the owner's.
    #[must_use]
    pub fn entries(&self, node: NodeId, mailbox: &SignPublicKey) -> BTreeSet<Hash> {
        let disk = &self.places[node.0].disk;
        let name = &self.places[node.0].name;
        let Some(root) = disk.reference(&RefKind::Mailbox.key(mailbox)) else { return BTreeSet::new() };
        let (leaves, complete) = disk.leaves(root);
        assert!(complete, "the mailbox at {name} is incomplete; {self}");
        for leaf in &leaves {
            let entry = disk.get(leaf).and_then(|block| MailboxEntry::from_bytes(block).ok());
            let good = match entry {
                Some(MailboxEntry::Exists { message, .. }) => disk
                    .get(&message)
                    .and_then(|block| Message::from_bytes(block).ok()?.verify().ok())
                    .is_some_and(|opened| opened.value.recipients.contains(mailbox)),
                Some(MailboxEntry::Deleted { proof, message }) => proof
                    .and_then(|proof| Signed::<Deletion>::from_bytes(disk.get(&proof)?).ok()?.verify().ok())
                    .is_some_and(|opened| {
                        opened.signer == *mailbox && opened.value.message() == Some(message)
                    }),
                None => false,
            };
            assert!(good, "a foreign entry in the mailbox at {name}; {self}");
        }
        leaves.into_iter().collect()
    }

    /// The messages of a mailbox at a node that are not deleted.
    #[must_use]
    pub fn letters(&self, node: NodeId, mailbox: &SignPublicKey) -> BTreeSet<Hash> {
        let disk = &self.places[node.0].disk;
        let entries = self.entries(node, mailbox);
        let entries: Vec<MailboxEntry> =
            entries.iter().filter_map(|entry| MailboxEntry::from_bytes(disk.get(entry)?).ok()).collect();
        let deleted: BTreeSet<Hash> = entries
            .iter()
            .filter(|entry| matches!(entry, MailboxEntry::Deleted { .. }))
            .map(MailboxEntry::message)
            .collect();
        entries.iter().map(MailboxEntry::message).filter(|message| !deleted.contains(message)).collect()
    }
}
