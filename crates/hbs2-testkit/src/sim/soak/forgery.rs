//! What the store of a forger has: everything a reader must not take.

use bytes::Bytes;
use hbs2_core::cbor::Encode;
use hbs2_core::lwwref::LwwRef;
use hbs2_core::mailbox::{Deletion, MailboxEntry};
use hbs2_core::refchan::Acceptance;
use hbs2_core::refkey::RefKind;
use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::tree::{Shape, build};
use hbs2_core::{Blob, ChanHead, ChanUpdate, Hash, Signed};
use hbs2_proto::Commit;

use super::cast::Cast;
use super::story_key;
use crate::sim::{NodeId, Sim};

impl Cast {
    /// Fills the store of a liar.
    pub(super) fn forge(&self, sim: &mut Sim, eve: NodeId) {
        let eves_key = sim.config(eve).key.clone();
        let stranger = story_key("stranger");
        let value = Hash::of(b"nothing");

        let update = ReflogUpdate::sign(&stranger, [3; 24], Bytes::from_static(b"by another key"));
        let mut broken = ReflogUpdate::sign(&self.key, [4; 24], Bytes::from_static(b"broken")).to_bytes();
        flip_last(&mut broken);
        let log = plant(sim, eve, Shape::LOG, [update.to_bytes(), broken, b"no update".to_vec()]);

        let lww = Signed::sign(&stranger, &LwwRef { seq: 1000, value, proof: None }).to_bytes();
        let lww = put(sim, eve, lww);

        let head = ChanHead {
            version: 1000,
            quorum: 1,
            wait: 10,
            peers: [(eves_key.public(), 1)].into(),
            authors: [eves_key.public()].into(),
            ..ChanHead::default()
        };
        let head = sim.put_head(eve, &stranger, &head);
        let payload = Signed::sign(&self.author, &Blob(Bytes::from_static(b"without a quorum")));
        let proposal = ChanUpdate::propose(&eves_key, self.chan.public(), head, payload);
        let acceptance = Acceptance { seconds: None, head, proposal: proposal.id() };
        let acceptance = ChanUpdate::accept(&eves_key, self.chan.public(), &acceptance);
        let chan_log = plant(sim, eve, Shape::LOG, [proposal.to_bytes(), acceptance.to_bytes()]);

        let owner = self.owner.public();
        let mut forged = Sim::letter(&stranger, owner, "forged", &[]).to_bytes();
        flip_last(&mut forged);
        let forged = put(sim, eve, forged);
        let elsewhere = put(sim, eve, Sim::letter(&stranger, stranger.public(), "elsewhere", &[]).to_bytes());
        let deletion = put(sim, eve, Signed::sign(&stranger, &Deletion::of(forged)).to_bytes());
        let entries = [
            MailboxEntry::Exists { policy: None, message: forged },
            MailboxEntry::Exists { policy: None, message: elsewhere },
            MailboxEntry::Deleted { proof: Some(deletion), message: forged },
            MailboxEntry::Deleted { proof: None, message: elsewhere },
        ];
        let mailbox = plant(sim, eve, Shape::MAILBOX, entries.map(|entry| entry.to_bytes()));

        let key = self.key.public();
        let chan = self.chan.public();
        let references = vec![
            (RefKind::Reflog.key(&key), log),
            (RefKind::Lww.key(&key), lww),
            (RefKind::ChanHead.key(&chan), head),
            (RefKind::ChanLog.key(&chan), chan_log),
            (RefKind::Mailbox.key(&owner), mailbox),
        ];
        sim.disk(eve).commit(Commit { references, ..Commit::default() });
    }
}

fn flip_last(bytes: &mut [u8]) {
    bytes.iter_mut().rev().take(1).for_each(|byte| *byte ^= 1);
}

fn put(sim: &mut Sim, node: NodeId, block: Vec<u8>) -> Hash {
    let hash = Hash::of(&block);
    sim.disk(node).put(hash, block.into());
    hash
}

/// Stores blocks and a tree that lists them.
fn plant(sim: &mut Sim, node: NodeId, shape: Shape, blocks: impl IntoIterator<Item = Vec<u8>>) -> Hash {
    let hashes: Vec<Hash> = blocks.into_iter().map(|block| put(sim, node, block)).collect();
    let disk = sim.disk(node);
    build::build(shape, &hashes, |hash, block| disk.put(hash, block))
}
