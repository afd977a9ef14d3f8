//! Random worlds: whatever happens, after everybody can reach everybody again all agree.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use hbs2_core::cbor::Encode;
use hbs2_core::pointer::AnnotatedRef;
use hbs2_core::{Hash, SignSecretKey};
use hbs2_proto::{Command, Keep, PollKind};
use hbs2_testkit::sim::{Fault, NodeId, Sim};

use crate::{MINUTE, SECOND, poll, ref_key};

/// Runs one seed alone; for finding out what went wrong with it.
const SEED_VARIABLE: &str = "HBS2_SIM_SEED";

/// How many seeds one run tries.
const SEEDS_VARIABLE: &str = "HBS2_SIM_SEEDS";

/// Seeds of one run when nothing else is said.
const SEEDS: u64 = 30;

/// How many of a thousand datagrams get lost, at most: a bad radio link.
const LOSS_PER_MILLE_MAX: usize = 50;

/// What is to hold in the end.
#[derive(Default)]
struct Expected {
    /// Trees that somebody has and keeps.
    trees: Vec<Hash>,
    /// The highest value ever published.
    value: Option<(u64, Hash)>,
    /// Updates whose poster was told that they are durable.
    posts: Vec<(NodeId, hbs2_proto::CommandId)>,
}

struct Story {
    sim: Sim,
    /// Those who want everything; the last of them publishes nothing, and its disk may be lost.
    honest: Vec<NodeId>,
    key: SignSecretKey,
    expected: Expected,
}

/// Some nodes in a line of acquaintance, by either carrier or both, some of which seal; and sometimes a liar whom everybody knows.
fn begin(seed: u64) -> Story {
    let mut sim = Sim::new(seed);
    let delay = sim.random().time(Duration::from_millis(80));
    let rate = 1_000_000 << sim.random().below(8);
    sim.set_lines(delay, rate);
    let count = 3 + sim.random().below(4);
    let honest: Vec<NodeId> = (0..count).map(|i| sim.node(&format!("alice{i}"))).collect();
    let loss = sim.random().below(LOSS_PER_MILLE_MAX);
    sim.set_loss(loss);
    for node in &honest {
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
    if sim.random().one_in(2) {
        let eve = sim.node("eve");
        let faults = [Fault::ClaimsAll, Fault::WrongBytes, Fault::Withholds];
        for fault in faults {
            if sim.random().one_in(2) {
                sim.lie(eve, fault);
            }
        }
        for node in &honest {
            sim.know(*node, eve);
        }
    }
    sim.start_all();
    let key = ref_key(1);
    for node in &honest {
        poll(&mut sim, *node, key.public(), PollKind::Reflog);
        poll(&mut sim, *node, key.public(), PollKind::Lwwref);
    }
    Story { sim, honest, key, expected: Expected::default() }
}

impl Story {
    fn any(&mut self) -> NodeId {
        let place = self.sim.random().below(self.honest.len());
        self.honest[place]
    }

    fn publisher(&mut self) -> NodeId {
        let place = self.sim.random().below(self.honest.len() - 1);
        self.honest[place]
    }

    fn running(&mut self) -> Option<NodeId> {
        let node = self.publisher();
        self.sim.machine(node).is_some().then_some(node)
    }

    /// One thing that happens.
    fn act(&mut self) {
        let (a, b) = (self.any(), self.any());
        match self.sim.random().below(11) {
            0 | 1 => self.publish_tree(),
            2 | 3 => self.publish_update(),
            4 => self.publish_value(),
            5 if a != b => self.sim.cut(a, b),
            6 if a != b => self.sim.part(a, b),
            7 if self.sim.machine(a).is_some() => self.sim.crash(a),
            8 => self.lose_disk(),
            9 if a != b => self.sim.silence(a, b),
            _ => {
                self.sim.heal();
                self.sim.start_all();
            }
        }
        let pause = self.sim.random().time(5 * SECOND);
        self.sim.run(pause);
    }

    fn lose_disk(&mut self) {
        let node = self.honest[self.honest.len() - 1];
        self.sim.crash(node);
        self.sim.wipe(node);
        self.sim.start(node);
        let key = self.key.public();
        poll(&mut self.sim, node, key, PollKind::Reflog);
        poll(&mut self.sim, node, key, PollKind::Lwwref);
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
        for node in self.honest.clone() {
            self.sim.command(node, Command::Want { root, keep: Keep::UntilDone });
        }
    }

    fn publish_update(&mut self) {
        let Some(node) = self.running() else { return };
        let root = self.tree(node);
        let data = Bytes::from(AnnotatedRef::to(root).to_bytes());
        let post = self.sim.post(node, &self.key.clone(), data);
        self.expected.posts.push((node, post));
    }

    fn publish_value(&mut self) {
        let Some(node) = self.running() else { return };
        let value = self.tree(node);
        let seq = 1 + self.sim.random().below(20) as u64;
        let command = self.sim.set(node, &self.key.clone(), seq, value);
        self.sim.run(SECOND / 10);
        if self.sim.answer(node, command).is_some() {
            self.expected.value = self.expected.value.max(Some((seq, value)));
        }
    }

    /// Everybody can reach everybody; after a while all agree.
    fn end(mut self) {
        self.sim.heal();
        self.sim.start_all();
        self.sim.run(2 * MINUTE);
        for root in self.expected.trees.clone() {
            for node in self.honest.clone() {
                self.sim.command(node, Command::Want { root, keep: Keep::ThisRun });
            }
        }
        let Self { mut sim, honest, key, expected } = self;
        sim.run_until(20 * MINUTE, |sim| {
            honest.iter().all(|node| expected.trees.iter().all(|root| sim.has_tree(*node, root)))
        });
        for node in &honest {
            for root in &expected.trees {
                assert!(sim.has_tree(*node, root), "{root} is not everywhere; {sim}");
            }
        }
        let logs: BTreeSet<BTreeSet<Hash>> =
            honest.iter().map(|node| sim.reflog(*node, &key.public())).collect();
        assert_eq!(logs.len(), 1, "the reflogs differ; {sim}");
        let durable = expected.posts.iter().filter(|(node, post)| sim.answer(*node, *post).is_some()).count();
        assert!(logs.iter().all(|log| log.len() >= durable), "an acknowledged update is lost; {sim}");
        for node in &honest {
            let value = sim.lwwref(*node, &key.public()).map(|lww| (lww.seq, lww.value));
            assert_eq!(value, expected.value, "the wrong value won; {sim}");
        }
    }
}

fn tell(seed: u64) {
    let mut story = begin(seed);
    for _ in 0..25 {
        story.act();
    }
    story.end();
}

#[test]
fn after_any_trouble_all_agree() {
    if let Some(seed) = std::env::var(SEED_VARIABLE).ok().and_then(|seed| seed.parse().ok()) {
        return tell(seed);
    }
    let seeds = std::env::var(SEEDS_VARIABLE).ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS);
    for seed in 0..seeds {
        let told = std::panic::catch_unwind(|| tell(seed));
        if told.is_err() {
            panic!(
                "seed {seed} failed; repeat it with {SEED_VARIABLE}={seed} cargo test -p hbs2-testkit --test sim random"
            );
        }
    }
}
