//! What happens in a story.

use std::time::Duration;

use bytes::Bytes;
use hbs2_core::cbor::Encode;
use hbs2_core::pointer::AnnotatedRef;
use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::{Blob, Hash, Signed};
use hbs2_proto::{Command, Keep, Poll};

use super::cast::Role;
use super::{Posted, SECOND, Story};
use crate::sim::NodeId;

/// Longest pause after something has happened.
const PAUSE: Duration = Duration::from_secs(5);

impl Story {
    /// One thing that happens, and a pause.
    pub(super) fn act(&mut self) {
        let (a, b) = (self.any(), self.any());
        match self.sim.random().below(20) {
            0 | 1 => self.publish_tree(),
            2 | 3 => self.publish_update(),
            4 => self.publish_value(),
            5 | 6 if self.cast.plays(Role::Chan) => self.propose(),
            7 if self.cast.plays(Role::Chan) => self.publish_head(),
            8 | 9 if self.cast.plays(Role::Mail) => self.send_letter(),
            10 if self.cast.plays(Role::Mail) => self.erase_letter(),
            11 if a != b => self.sim.cut(a, b),
            12 if a != b => self.sim.part(a, b),
            13 => self.make_islands(),
            14 if a != b => self.sim.silence(a, b),
            15 if self.sim.machine(a).is_some() => self.sim.crash(a),
            16 => self.lose_disk(),
            17 => self.look_away(a),
            18 => self.change_seals(a),
            _ => {
                self.sim.heal();
                self.sim.start_all();
            }
        }
        let pause = self.sim.random().time(PAUSE);
        self.sim.run(pause);
        self.note_answers();
    }

    fn any(&mut self) -> NodeId {
        let place = self.sim.random().below(self.cast.honest.len());
        self.cast.honest[place]
    }

    /// Somebody whose disk lasts.
    fn publisher(&mut self) -> NodeId {
        let place = self.sim.random().below(self.cast.honest.len() - 1);
        self.cast.honest[place]
    }

    fn running(&mut self) -> Option<NodeId> {
        let node = self.publisher();
        self.sim.machine(node).is_some().then_some(node)
    }

    fn tree(&mut self, node: NodeId) -> Hash {
        let most = 1 << (8 + self.sim.random().below(13));
        let len = self.sim.random().below(most);
        let data = self.sim.random().bytes(len);
        let root = self.sim.put_data(node, &data);
        self.expected.trees.push(root);
        root
    }

    /// Somebody stores a tree and others want it.
    fn publish_tree(&mut self) {
        let holder = self.publisher();
        let root = self.tree(holder);
        for node in self.cast.readers.clone() {
            self.sim.command(node, Command::Want { root, keep: Keep::UntilDone });
        }
    }

    fn publish_update(&mut self) {
        let Some(node) = self.running() else { return };
        let root = self.tree(node);
        let data = Bytes::from(AnnotatedRef::to(root).to_bytes());
        let mut nonce = [0; 24];
        nonce.copy_from_slice(&self.sim.random().bytes(24));
        let update = ReflogUpdate::sign(&self.cast.key, nonce, data);
        let command = Command::PostReflog { update: update.to_bytes().into() };
        let command = self.sim.command(node, command);
        self.expected.open.push((node, command, Posted::Update(update.id())));
    }

    fn publish_value(&mut self) {
        let Some(node) = self.running() else { return };
        let value = self.tree(node);
        let seq = 1 + self.sim.random().below(20) as u64;
        let command = self.sim.set(node, &self.cast.key, seq, value);
        self.sim.run(SECOND / 10);
        self.expected.open.push((node, command, Posted::Value(seq, value)));
    }

    fn publish_head(&mut self) {
        let Some(node) = self.running() else { return };
        let version = self.expected.head.map_or(0, |(version, _)| version) + 1;
        let head = self.cast.head(&mut self.sim, version);
        let root = self.sim.put_head(node, &self.cast.chan, &head);
        let command = self.sim.command(node, Command::PostChanHead { root });
        self.sim.run(SECOND / 10);
        self.expected.open.push((node, command, Posted::Head(version, root)));
    }

    fn propose(&mut self) {
        let Some(node) = self.running() else { return };
        let text = self.sim.random().bytes(8);
        if self.sim.random().one_in(8) {
            let signed = Signed::sign(&self.cast.author, &Blob(text.into())).to_bytes().into();
            self.sim.command(node, Command::Notify { chan: self.cast.chan.public(), signed });
            return;
        }
        let payload = if self.sim.random().one_in(3) {
            Bytes::from(AnnotatedRef::to(self.tree(node)).to_bytes())
        } else {
            text.into()
        };
        let payload = Signed::sign(&self.cast.author, &Blob(payload)).to_bytes().into();
        self.sim.command(node, Command::Propose { chan: self.cast.chan.public(), payload });
    }

    /// A policy for the mailbox at first, later letters.
    fn send_letter(&mut self) {
        let Some(node) = self.running() else { return };
        let owner = self.cast.owner.clone();
        let keeper = self.cast.keepers[0];
        if self.sim.machine(keeper).is_some_and(|machine| {
            machine.mailboxes().first().is_some_and(|mailbox| mailbox.policy.is_none())
        }) {
            self.sim.set_policy(keeper, &owner, 1, "peer allow all\nsender allow all\n");
        }
        let text = format!("{:?}", self.sim.elapsed());
        let letter = crate::sim::Sim::letter(&self.cast.author, owner.public(), &text, &[]);
        let command = self.sim.mail(node, &letter);
        self.expected.open.push((node, command, Posted::Letter(letter.id())));
    }

    fn erase_letter(&mut self) {
        let Some(letter) = self.expected.letters.first().copied() else { return };
        let Some(node) = self.running() else { return };
        self.sim.erase(node, &self.cast.owner.clone(), letter);
    }

    /// Two halves cannot reach each other.
    fn make_islands(&mut self) {
        let mut halves = (Vec::new(), Vec::new());
        for node in self.sim.nodes() {
            if self.sim.random().one_in(2) { halves.0.push(node) } else { halves.1.push(node) }
        }
        for a in &halves.0 {
            halves.1.iter().for_each(|b| self.sim.part(*a, *b));
        }
    }

    fn lose_disk(&mut self) {
        let node = self.cast.forgetful();
        self.sim.crash(node);
        self.sim.wipe(node);
        self.sim.start(node);
        self.cast.care(&mut self.sim, node);
    }

    /// Somebody removes a poll and adds it again.
    fn look_away(&mut self, node: NodeId) {
        let polls = self.cast.polls();
        let place = self.sim.random().below(polls.len());
        let (key, kind) = polls[place];
        self.sim.command(node, Command::PollDel { key, kind: Some(kind) });
        let pause = self.sim.random().time(SECOND);
        self.sim.run(pause);
        self.sim.command(node, Command::PollAdd(Poll { key, kind, minutes: 1 }));
    }

    fn change_seals(&mut self, node: NodeId) {
        self.sim.reconfigure(node, |config| config.bypass = !config.bypass);
    }
}
