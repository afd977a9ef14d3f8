//! Who is in a story, and what they care for.

use std::collections::BTreeSet;
use std::time::Duration;

use hbs2_core::mailbox::MailboxKind;
use hbs2_core::refkey::RefKind;
use hbs2_core::{ChanHead, Hash, SignPublicKey, SignSecretKey};
use hbs2_proto::{Command, Poll, PollKind};

use super::story_key;
use crate::sim::{Fault, NodeId, Sim};

/// How many of a thousand datagrams get lost, at most: a bad radio link.
const LOSS_PER_MILLE_MAX: usize = 50;

/// Honest nodes among which a channel is played. Everybody accepts everything, so messages grow with their square.
const CHAN_NODES_MAX: usize = 10;

/// Nodes that want trees, at most.
const READERS_MAX: usize = 6;

/// Nodes that keep the mailbox, at most.
const KEEPERS_MAX: usize = 3;

/// What a story is about besides trees, updates and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// A channel.
    Chan,
    /// A mailbox.
    Mail,
}

/// Everybody in a story.
#[derive(Debug)]
pub(super) struct Cast {
    /// Those who tell the truth; the last of them publishes nothing, and its disk may be lost.
    pub(super) honest: Vec<NodeId>,
    /// Those who want trees.
    pub(super) readers: Vec<NodeId>,
    /// Those whose acceptances count in the channel.
    pub(super) members: Vec<NodeId>,
    /// Those who keep the mailbox.
    pub(super) keepers: Vec<NodeId>,
    /// Key of the reflog and of the value.
    pub(super) key: SignSecretKey,
    /// Key of the channel.
    pub(super) chan: SignSecretKey,
    /// Who writes in the channel.
    pub(super) author: SignSecretKey,
    /// Whose mailbox it is.
    pub(super) owner: SignSecretKey,
    /// How many things happen.
    pub(super) acts: usize,
    roles: BTreeSet<Role>,
}

/// How many honest nodes the story of a seed has: mostly a few, sometimes dozens, rarely up to two hundred.
fn crowd(sim: &mut Sim, seed: u64) -> usize {
    match seed {
        seed if seed % 200 == 199 => 30 + sim.random().below(171),
        seed if seed % 100 == 99 => 30 + sim.random().below(41),
        seed if seed % 20 == 7 => 7 + sim.random().below(14),
        _ => 2 + sim.random().below(5),
    }
}

impl Cast {
    /// Makes the nodes, starts them, and tells them what to care for.
    pub(super) fn meet(sim: &mut Sim, seed: u64) -> Self {
        let delay = sim.random().time(Duration::from_millis(80));
        let rate = 1_000_000 << sim.random().below(8);
        sim.set_lines(delay, rate);
        let loss = sim.random().below(LOSS_PER_MILLE_MAX);
        sim.set_loss(loss);
        let count = crowd(sim, seed);
        let honest: Vec<NodeId> = (0..count).map(|i| sim.node(&format!("alice{i}"))).collect();
        acquaint(sim, &honest);
        let mut roles = BTreeSet::new();
        if count <= CHAN_NODES_MAX && sim.random().one_in(2) {
            roles.insert(Role::Chan);
        }
        if sim.random().one_in(3) {
            roles.insert(Role::Mail);
        }
        let some = |sim: &mut Sim, most: usize| {
            let most = most.min(count);
            let start = sim.random().below(count);
            (0..most).map(|i| honest[(start + i) % count]).collect::<Vec<_>>()
        };
        let readers = some(sim, READERS_MAX);
        let (members, keepers) = (1 + sim.random().below(count), 1 + sim.random().below(KEEPERS_MAX));
        let (members, keepers) = (some(sim, members), some(sim, keepers));
        let [key, chan, author, owner] = ["reflog", "channel", "author", "owner"].map(story_key);
        [&key, &chan, &owner].into_iter().for_each(|key| sim.watch(key.public()));
        let acts = if count > CHAN_NODES_MAX { 10 } else { 30 };
        let cast = Self { honest, readers, members, keepers, key, chan, author, owner, acts, roles };
        cast.bring_liars(sim);
        sim.start_all();
        for node in sim.nodes() {
            cast.care(sim, node);
        }
        cast
    }

    /// Whether the story has this part.
    pub(super) fn plays(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Honest nodes that never lose their disk.
    pub(super) fn lasting(&self) -> impl Iterator<Item = NodeId> {
        self.honest[..self.honest.len() - 1].iter().copied()
    }

    /// Who may lose its disk.
    pub(super) fn forgetful(&self) -> NodeId {
        self.honest[self.honest.len() - 1]
    }

    pub(super) fn reflog(&self) -> Hash {
        RefKind::Reflog.key(&self.key.public())
    }

    pub(super) fn chan_log(&self) -> Hash {
        RefKind::ChanLog.key(&self.chan.public())
    }

    pub(super) fn mailbox(&self) -> Hash {
        RefKind::Mailbox.key(&self.owner.public())
    }

    /// What a node polls.
    pub(super) fn polls(&self) -> Vec<(SignPublicKey, PollKind)> {
        let mut polls = vec![(self.key.public(), PollKind::Reflog), (self.key.public(), PollKind::Lwwref)];
        if self.plays(Role::Chan) {
            polls.push((self.chan.public(), PollKind::Refchan));
        }
        polls
    }

    /// Tells a node with an empty disk what to care for.
    pub(super) fn care(&self, sim: &mut Sim, node: NodeId) {
        for (key, kind) in self.polls() {
            sim.command(node, Command::PollAdd(Poll { key, kind, minutes: 1 }));
        }
        if self.plays(Role::Mail) && self.keepers.contains(&node) {
            let kind = if sim.random().one_in(2) { MailboxKind::Hub } else { MailboxKind::Relay };
            sim.command(node, Command::MailboxCreate { key: self.owner.public(), kind });
        }
    }

    /// A head of the channel.
    pub(super) fn head(&self, sim: &mut Sim, version: u64) -> ChanHead {
        ChanHead {
            version,
            quorum: 1 + sim.random().below(self.members.len()) as u64,
            wait: 10,
            peers: self.members.iter().map(|node| (sim.key(*node), 1)).collect(),
            authors: BTreeSet::from([self.author.public()]),
            ..ChanHead::default()
        }
    }

    /// Liars whom everybody knows: up to one for four honest ones.
    fn bring_liars(&self, sim: &mut Sim) {
        let most = self.honest.len().div_ceil(4);
        for i in 0..sim.random().below(most + 1) {
            let eve = sim.node(&format!("eve{i}"));
            let seals = sim.random().one_in(2);
            sim.config(eve).bypass = seals;
            let faults = [
                Fault::ClaimsAll,
                Fault::WrongBytes,
                Fault::Withholds,
                Fault::Scrambles,
                Fault::Repeats,
                Fault::Forges,
            ];
            let surely = sim.random().below(faults.len());
            for (at, fault) in faults.into_iter().enumerate() {
                if at == surely || sim.random().one_in(3) {
                    sim.lie(eve, fault);
                    if fault == Fault::Forges {
                        self.forge(sim, eve);
                    }
                }
            }
            for node in &self.honest {
                sim.know(*node, eve);
            }
        }
    }
}

/// Each knows the one before and the one after, by either carrier or both, and some seal.
fn acquaint(sim: &mut Sim, honest: &[NodeId]) {
    for node in honest {
        let seals = sim.random().one_in(2);
        sim.config(*node).bypass = seals;
    }
    for pair in honest.windows(2) {
        let carrier = sim.random().below(3);
        for (node, other) in [(pair[0], pair[1]), (pair[1], pair[0])] {
            if carrier != 0 {
                sim.know(node, other);
            }
            if carrier != 1 {
                sim.know_udp(node, other);
            }
        }
    }
}
