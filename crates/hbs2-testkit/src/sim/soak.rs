//! Whole stories made up from a seed: some nodes, some liars, trouble of every kind, and at the end all agree.
//!
//! [`tell`] plays one story and panics with the seed and the latest happenings when a rule is broken. In a story
//!
//! 1. two to two hundred nodes know each other in a line, by either carrier or both, over lines with delay, loss,
//!    repeats and reordering, sealed or not; up to one in four more nodes lie;
//! 2. they publish trees, updates, values, channel heads, proposals, notices, letters and deletions, while links are cut,
//!    the network parts, lines fall silent, and nodes stop and start again, one of them without its disk;
//! 3. everybody can reach everybody again, and some time later trees are where they are wanted, reflogs, channels and
//!    mailboxes are equal and have what was acknowledged, the highest value has won, and nothing is left to do.
//!
//! What must hold in each step is checked by the world itself; see [`Sim::watch`]. `cargo xtask sim` tells many stories.

mod cast;
mod forgery;
mod plot;

use std::collections::BTreeSet;
use std::time::Duration;

use hbs2_core::cbor::Decode;
use hbs2_core::mailbox::MailboxEntry;
use hbs2_core::{Hash, SignSecretKey};
use hbs2_proto::{Answer, Command, CommandId, Keep};

use super::world::{NodeId, Sim};
use cast::{Cast, Role};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Time in which everybody asks everybody for the references of all kinds, after the last trouble.
const SETTLING: Duration = Duration::from_secs(120);

/// Time after which all must agree. Keepers of mailboxes ask each other every ten minutes; what is lost by a line, and
/// again, needs more.
const PATIENCE: Duration = Duration::from_secs(45 * 60);

/// Time between two looks at whether all agree.
const LOOK: Duration = Duration::from_secs(10);

/// How a story ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// Nodes, with liars.
    pub nodes: usize,
    /// Things that happened.
    pub steps: u64,
    /// Time that passed in the world.
    pub elapsed: Duration,
    /// Updates, values, proposals and letters that were acknowledged.
    pub acknowledged: usize,
}

/// What is to hold in the end.
#[derive(Debug, Default)]
struct Expected {
    /// Trees that somebody has and keeps.
    trees: Vec<Hash>,
    /// The highest value ever published.
    value: Option<(u64, Hash)>,
    /// Updates whose poster was told that they are durable.
    updates: BTreeSet<Hash>,
    /// The highest version of a head that was published.
    head: Option<(u64, Hash)>,
    /// What was ever in the log of the channel at a node that keeps its disk.
    admitted: BTreeSet<Hash>,
    /// Letters whose sender was told that they are kept.
    letters: BTreeSet<Hash>,
    /// A question whose answer tells whether something is durable, and what it is.
    open: Vec<(NodeId, CommandId, Posted)>,
}

/// What may become durable.
#[derive(Debug, Clone, Copy)]
enum Posted {
    Update(Hash),
    Value(u64, Hash),
    Head(u64, Hash),
    Letter(Hash),
}

struct Story {
    sim: Sim,
    cast: Cast,
    expected: Expected,
}

/// Plays the story of a seed.
///
/// # Panics
/// A rule is broken. The message has the seed, the latest happenings, and what every node is doing.
#[must_use]
pub fn tell(seed: u64) -> Ending {
    let mut sim = Sim::new(seed);
    let cast = Cast::meet(&mut sim, seed);
    let mut story = Story { sim, cast, expected: Expected::default() };
    for _ in 0..story.cast.acts {
        story.act();
    }
    story.end()
}

impl Story {
    /// Everybody can reach everybody; after a while all agree, and stay so.
    fn end(mut self) -> Ending {
        self.sim.heal();
        self.sim.start_all();
        self.sim.run(SETTLING);
        self.note_answers();
        let lost = self.want_everything();
        let began = self.sim.elapsed();
        while let Some(what) = self.disagreement() {
            assert!(self.sim.elapsed() - began < PATIENCE, "{what}; {}", self.sim);
            self.sim.run(LOOK);
        }
        self.sim.run(MINUTE);
        if let Some(what) = self.disagreement() {
            panic!("{what}, after all had agreed; {}", self.sim);
        }
        self.check_sets();
        self.check_rest(lost);
        let Expected { updates, letters, admitted, .. } = &self.expected;
        Ending {
            nodes: self.sim.nodes().count(),
            steps: self.sim.steps(),
            elapsed: self.sim.elapsed(),
            acknowledged: updates.len() + letters.len() + admitted.len(),
        }
    }

    /// Readers want all trees, and one that nobody has.
    fn want_everything(&mut self) -> Hash {
        let lost = Hash::of(&self.sim.random().bytes(32));
        for node in self.cast.readers.clone() {
            for root in self.expected.trees.iter().copied().chain([lost]) {
                self.sim.command(node, Command::Want { root, keep: Keep::ThisRun });
            }
        }
        lost
    }

    /// Takes down what has been acknowledged, as long as its node remembers.
    fn note_answers(&mut self) {
        let expected = &mut self.expected;
        expected.open.retain(|(node, command, posted)| {
            let Some(answer) = self.sim.answer(*node, *command) else { return true };
            if let Answer::Posted { .. } = answer {
                match *posted {
                    Posted::Update(hash) => drop(expected.updates.insert(hash)),
                    Posted::Value(seq, value) => expected.value = expected.value.max(Some((seq, value))),
                    Posted::Head(version, root) => expected.head = expected.head.max(Some((version, root))),
                    Posted::Letter(hash) => drop(expected.letters.insert(hash)),
                }
            }
            false
        });
        if self.cast.plays(Role::Chan) {
            for node in self.cast.lasting() {
                expected.admitted.extend(self.sim.leaves(node, &self.cast.chan_log()));
            }
        }
    }

    /// Something about which the honest nodes do not agree yet.
    fn disagreement(&self) -> Option<String> {
        let (sim, cast, expected) = (&self.sim, &self.cast, &self.expected);
        for node in &cast.readers {
            if let Some(root) = expected.trees.iter().find(|root| !sim.has_tree(*node, root)) {
                return Some(format!("{root} is not everywhere"));
            }
        }
        let updates = equal(sim, &cast.honest, &cast.reflog()).ok_or("the reflogs differ");
        let checked = updates.and_then(|updates| {
            let lost = expected.updates.difference(&updates).next();
            lost.map_or(Ok(()), |_| Err("an acknowledged update is lost"))
        });
        let value = |node| sim.lwwref(node, &cast.key.public()).map(|lww| (lww.seq, lww.value));
        let won = cast.honest.iter().all(|node| value(*node) == expected.value);
        let checked = checked.and(if won { Ok(()) } else { Err("the wrong value won") });
        let checked = checked.and_then(|()| self.chan_disagreement());
        checked.and_then(|()| self.mail_disagreement()).err().map(str::to_owned)
    }

    fn chan_disagreement(&self) -> Result<(), &'static str> {
        let (sim, cast, expected) = (&self.sim, &self.cast, &self.expected);
        if !cast.plays(Role::Chan) {
            return Ok(());
        }
        let head = expected.head.map(|(_, root)| root);
        if cast.honest.iter().any(|node| sim.head(*node, &cast.chan.public()) != head) {
            return Err("the wrong head won");
        }
        let log = equal(sim, &cast.honest, &cast.chan_log()).ok_or("the logs of the channel differ")?;
        if expected.admitted.is_subset(&log) { Ok(()) } else { Err("an admitted update is lost") }
    }

    fn mail_disagreement(&self) -> Result<(), &'static str> {
        let (sim, cast, expected) = (&self.sim, &self.cast, &self.expected);
        if !cast.plays(Role::Mail) {
            return Ok(());
        }
        let entries = equal(sim, &cast.keepers, &cast.mailbox()).ok_or("the mailboxes differ")?;
        let block = |hash: &Hash| MailboxEntry::from_bytes(sim.block(cast.keepers[0], hash)?).ok();
        let messages: BTreeSet<Hash> =
            entries.iter().filter_map(block).map(|entry| entry.message()).collect();
        if expected.letters.is_subset(&messages) { Ok(()) } else { Err("an acknowledged letter is lost") }
    }

    /// Everything in every set is what its rules allow.
    fn check_sets(&self) {
        for node in &self.cast.honest {
            let _ = self.sim.reflog(*node, &self.cast.key.public());
            let _ = self.sim.chan_log(*node, &self.cast.chan.public());
        }
        for node in &self.cast.keepers {
            let _ = self.sim.entries(*node, &self.cast.owner.public());
        }
    }

    /// Nothing is left to do: only what nobody has is wanted, until it is wanted no more.
    fn check_rest(&mut self, lost: Hash) {
        for node in self.cast.readers.clone() {
            let machine = self.sim.machine(node).expect("an honest node runs in the end");
            for root in &self.expected.trees {
                assert!(machine.want(root).is_none(), "{root} is here and still wanted; {}", self.sim);
            }
            assert!(machine.want(&lost).is_some(), "a want ended without its tree; {}", self.sim);
            self.sim.command(node, Command::Unwant { root: lost });
        }
        self.sim.run(SECOND);
        for node in &self.cast.readers {
            let machine = self.sim.machine(*node).expect("an honest node runs in the end");
            assert!(machine.want(&lost).is_none(), "what is wanted no more is in the list; {}", self.sim);
        }
        for node in &self.cast.honest {
            let machine = self.sim.machine(*node).expect("an honest node runs in the end");
            // What a liar has named is looked for a while, and other liars claim to have it.
            let held = if machine.wants().is_empty() { machine.held_bytes() } else { 0 };
            assert_eq!(held, 0, "{} holds bytes of blocks at rest; {}", self.sim.name(*node), self.sim);
        }
        let open = self.sim.unanswered();
        assert!(open.is_empty(), "{open:?} are not answered; {}", self.sim);
    }
}

/// The set that all these nodes have under a reference; none when they differ.
fn equal(sim: &Sim, nodes: &[NodeId], reference: &Hash) -> Option<BTreeSet<Hash>> {
    let first = sim.leaves(*nodes.first()?, reference);
    nodes.iter().all(|node| sim.leaves(*node, reference) == first).then_some(first)
}

/// A key that is no node's.
fn story_key(name: &str) -> SignSecretKey {
    SignSecretKey::from_seed(Hash::of(name.as_bytes()).as_bytes())
}

impl Sim {
    /// The set of hashes that a node has under a reference, as far as it is there.
    fn leaves(&self, node: NodeId, reference: &Hash) -> BTreeSet<Hash> {
        let disk = &self.places[node.0].disk;
        disk.reference(reference).map(|root| disk.leaves(root).0).unwrap_or_default().into_iter().collect()
    }

    fn block(&self, node: NodeId, hash: &Hash) -> Option<&[u8]> {
        self.places[node.0].disk.get(hash).map(|block| &block[..])
    }
}
