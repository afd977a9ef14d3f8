//! The world: nodes, time, and what a test can do to them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::cbor::{Decode, Encode};
use hbs2_core::lwwref::LwwRef;
use hbs2_core::refkey::RefKind;
use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::tree::build;
use hbs2_core::{Hash, PeerAddr, SignPublicKey, SignSecretKey, Signed};
use hbs2_proto::{Answer, Command, CommandId, Commit, Config, Event, Input, LinkId, Node, Ticket};

use super::datagrams::Datagrams;
use super::disk::Disk;
use super::lines::{End, Lines};
use crate::random::Random;

/// Steps of one run, at most; an honest test takes some hundred thousand.
const STEPS_MAX: u64 = 20_000_000;

/// Steps that are shown of a world that does not come to rest, and how much of each.
const STEPS_SHOWN: u64 = 30;
const STEP_SHOWN_BYTES: usize = 200;

/// What the clock on the wall says when a world begins, in seconds since the epoch.
pub(super) const WORLD_UNIX_SECONDS: u64 = 1_700_000_000;

/// A node of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub(super) usize);

/// How a node lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Claims to have every block.
    ClaimsAll,
    /// Delivers other bytes than were asked for.
    WrongBytes,
    /// Never delivers.
    Withholds,
    /// Never says what it has.
    Mute,
    /// Its store fails to write.
    BrokenDisk,
    /// Its validator likes no proposal.
    Rejects,
    /// Some packets leave it changed, shortened or lengthened.
    Scrambles,
    /// Some packets leave it a second time, later.
    Repeats,
    /// Its store began with what others made up.
    Forges,
}

/// Commits that are written together.
pub(super) struct Writes {
    /// When the writing begins.
    pub(super) begin: Instant,
    /// When it is done.
    pub(super) end: Instant,
}

/// A simulated node and its surroundings.
pub(super) struct Place {
    pub(super) name: String,
    pub(super) config: Config,
    pub(super) node: Option<Node>,
    /// Raised at each stop: answers of the last run do not reach the next.
    pub(super) run: u32,
    pub(super) disk: Disk,
    pub(super) faults: BTreeSet<Fault>,
    /// Everything that was told.
    pub(super) events: Vec<Event>,
    /// The last group of commits; they happen in order.
    pub(super) writes: Writes,
    /// The time for which a wake is scheduled.
    pub(super) wake: Option<Instant>,
    /// When it was last woken, and how often at that moment.
    pub(super) woken: (Instant, u32),
}

/// Something that happens.
#[derive(Debug)]
pub(super) enum Happening {
    /// A fact for a node, of the run in which it was caused.
    Fact(NodeId, u32, Input),
    /// A node is to be woken.
    Wake(NodeId, u32),
    /// A dial arrives.
    Dialled { from: NodeId, run: u32, address: PeerAddr },
    /// A packet arrives.
    Packet { to: End, packet: Bytes },
    /// A datagram arrives.
    Datagram { from: NodeId, to: NodeId, packet: Bytes },
    /// A cut is noticed.
    Down(End),
    /// A node starts, unless it was stopped meanwhile.
    Start(NodeId, u32),
    /// Loose blocks of a node become safe.
    Sync(NodeId, u32),
    /// A commit reaches the disk.
    Commit { node: NodeId, run: u32, ticket: Ticket, commit: Commit },
}

/// The world.
pub struct Sim {
    pub(super) seed: u64,
    pub(super) start: Instant,
    pub(super) now: Instant,
    pub(super) random: Random,
    pub(super) places: Vec<Place>,
    pub(super) lines: Lines,
    pub(super) datagrams: Datagrams,
    /// What bootstrap domains list.
    pub(super) bootstrap: Vec<PeerAddr>,
    /// What will happen, by time and then by the order in which it was caused.
    pub(super) future: BTreeMap<(Instant, u64), Happening>,
    pub(super) caused: u64,
    pub(super) links: u64,
    /// Pairs that cannot reach each other.
    pub(super) split: BTreeSet<(NodeId, NodeId)>,
    /// Pairs whose connections carry nothing, without anybody being told.
    pub(super) silent: BTreeSet<(NodeId, NodeId)>,
    /// Longest delay of new connections.
    pub(super) delay: Duration,
    /// Rate of new connections, in bytes per second.
    pub(super) rate: u64,
    /// References whose values are checked.
    pub(super) watched: BTreeMap<Hash, (RefKind, SignPublicKey)>,
    /// Commands that are not answered.
    pub(super) asked: BTreeMap<CommandId, NodeId>,
    commands: u64,
    steps: u64,
    /// The latest happenings, for failure messages.
    pub(super) trail: VecDeque<String>,
}

impl Sim {
    /// An empty world. The seed decides everything that is left to chance.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let start = Instant::now();
        Self {
            seed,
            start,
            now: start,
            random: Random::new(seed),
            places: Vec::new(),
            lines: Lines::default(),
            datagrams: Datagrams::default(),
            bootstrap: Vec::new(),
            future: BTreeMap::new(),
            caused: 0,
            links: 0,
            split: BTreeSet::new(),
            silent: BTreeSet::new(),
            delay: Duration::from_millis(2),
            rate: 1_000_000_000,
            watched: BTreeMap::new(),
            asked: BTreeMap::new(),
            commands: 0,
            steps: 0,
            trail: VecDeque::new(),
        }
    }

    /// Sets delay (at most) and rate (bytes per second) of the connections made from now on.
    pub fn set_lines(&mut self, delay: Duration, rate: u64) {
        (self.delay, self.rate) = (delay, rate);
    }

    /// Sets how many of a thousand datagrams are lost from now on.
    pub fn set_loss(&mut self, per_mille: usize) {
        self.datagrams.loss_per_mille = per_mille;
    }

    /// Lists an address in every bootstrap domain.
    pub fn list_in_domains(&mut self, address: PeerAddr) {
        self.bootstrap.push(address);
    }

    /// Datagrams that were sent, and that were dropped because the line was full.
    #[must_use]
    pub fn datagrams(&self) -> (u64, u64) {
        (self.datagrams.sent, self.datagrams.dropped)
    }

    /// A new node, not yet started. Its key grows from its number.
    pub fn node(&mut self, name: &str) -> NodeId {
        let id = NodeId(self.places.len());
        let mut seed = [1; 32];
        seed[..8].copy_from_slice(&(id.0 as u64).to_le_bytes());
        let key = SignSecretKey::from_seed(&seed);
        let mut config = Config::new(key, [0; 32]);
        config.bypass = false;
        config.listen_tcp = Some(self.address(id).socket.port());
        self.places.push(Place {
            name: name.to_owned(),
            config,
            node: None,
            run: 0,
            disk: Disk::default(),
            faults: BTreeSet::new(),
            events: Vec::new(),
            writes: Writes { begin: self.now, end: self.now },
            wake: None,
            woken: (self.now, 0),
        });
        id
    }

    /// All nodes.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.places.len()).map(NodeId)
    }

    /// The configuration of a node, for its next start.
    pub fn config(&mut self, node: NodeId) -> &mut Config {
        &mut self.places[node.0].config
    }

    /// Changes the configuration of a running node.
    pub fn reconfigure(&mut self, node: NodeId, change: impl FnOnce(&mut Config)) {
        let place = &mut self.places[node.0];
        change(&mut place.config);
        let (run, config) = (place.run, Box::new(place.config.clone()));
        self.happens(Duration::ZERO, Happening::Fact(node, run, Input::Reconfigure(config)));
    }

    /// Makes a node lie from now on.
    pub fn lie(&mut self, node: NodeId, fault: Fault) {
        self.places[node.0].faults.insert(fault);
    }

    /// Makes a node honest again.
    pub fn repent(&mut self, node: NodeId) {
        self.places[node.0].faults.clear();
    }

    /// Lists a node among the known peers of another.
    pub fn know(&mut self, node: NodeId, other: NodeId) {
        let address = self.address(other);
        self.places[node.0].config.known_peers.push(address);
    }

    /// Lists a node among the known peers of another, at its UDP address.
    pub fn know_udp(&mut self, node: NodeId, other: NodeId) {
        let address = self.udp_address(other);
        self.places[node.0].config.known_peers.push(address);
    }

    /// Where a node listens for datagrams.
    #[must_use]
    pub fn udp_address(&self, node: NodeId) -> PeerAddr {
        let mut socket = self.address(node).socket;
        socket.set_port(7351);
        PeerAddr::udp(socket)
    }

    /// Where a node listens.
    #[must_use]
    pub fn address(&self, node: NodeId) -> PeerAddr {
        PeerAddr::tcp(([10, 0, (node.0 / 250) as u8, (node.0 % 250) as u8 + 1], 10351).into())
    }

    /// Who listens at the host of an address.
    pub(super) fn at(&self, address: &PeerAddr) -> Option<NodeId> {
        let std::net::IpAddr::V4(host) = address.socket.ip() else { return None };
        let [10, 0, hundreds, ones] = host.octets() else { return None };
        let id = NodeId(usize::from(hundreds) * 250 + usize::from(ones.checked_sub(1)?));
        (id.0 < self.places.len()).then_some(id)
    }

    /// The public key of a node.
    #[must_use]
    pub fn key(&self, node: NodeId) -> SignPublicKey {
        self.places[node.0].config.key.public()
    }

    /// Starts a node now.
    pub fn start(&mut self, node: NodeId) {
        self.happens(Duration::ZERO, Happening::Start(node, self.places[node.0].run));
    }

    /// Starts all nodes that do not run.
    pub fn start_all(&mut self) {
        for node in self.nodes() {
            if self.places[node.0].node.is_none() {
                self.start(node);
            }
        }
    }

    /// Stops a node without warning. Blocks fetched in the last second are lost.
    pub fn crash(&mut self, node: NodeId) {
        self.note(format!("{} crashes", self.places[node.0].name));
        for end in self.lines.of(node) {
            self.cut_end(end);
        }
        self.datagrams.crash(node);
        let place = &mut self.places[node.0];
        place.run += 1;
        place.node = None;
        place.wake = None;
        place.disk.crash();
        self.asked.retain(|_, asked| *asked != node);
    }

    /// Empties the disk of a stopped node.
    pub fn wipe(&mut self, node: NodeId) {
        let place = &mut self.places[node.0];
        assert!(place.node.is_none(), "{} runs", place.name);
        place.disk = Disk::default();
    }

    /// Cuts the connection between two nodes, if there is one. They may connect again.
    pub fn cut(&mut self, a: NodeId, b: NodeId) {
        if let Some(end) = self.lines.between(a, b) {
            self.note(format!("{} and {} are cut", self.places[a.0].name, self.places[b.0].name));
            self.cut_end(end);
            self.happens(Duration::ZERO, Happening::Down(end));
        }
    }

    /// Lets two nodes not reach each other until [`heal`](Self::heal).
    pub fn part(&mut self, a: NodeId, b: NodeId) {
        self.split.insert((a.min(b), a.max(b)));
        self.cut(a, b);
    }

    /// Lets the lines between two nodes lose everything, without telling anybody, until [`heal`](Self::heal).
    pub fn silence(&mut self, a: NodeId, b: NodeId) {
        self.silent.insert((a.min(b), a.max(b)));
    }

    /// Lets everybody reach everybody again.
    pub fn heal(&mut self) {
        self.split.clear();
        self.silent.clear();
    }

    /// Gives a node's owner's command.
    pub fn command(&mut self, node: NodeId, command: Command) -> CommandId {
        self.commands += 1;
        let id = CommandId(self.commands);
        let run = self.places[node.0].run;
        self.asked.insert(id, node);
        self.happens(Duration::ZERO, Happening::Fact(node, run, Input::Command(id, command)));
        id
    }

    /// Stores data on a node's disk as a tree.
    pub fn put_data(&mut self, node: NodeId, data: &[u8]) -> Hash {
        let disk = &mut self.places[node.0].disk;
        build::build_data(&Bytes::copy_from_slice(data), |hash, block| disk.put(hash, block))
    }

    /// The disk of a node.
    pub fn disk(&mut self, node: NodeId) -> &mut Disk {
        &mut self.places[node.0].disk
    }

    /// The running machine of a node.
    #[must_use]
    pub fn machine(&self, node: NodeId) -> Option<&Node> {
        self.places[node.0].node.as_ref()
    }

    /// Everything that a node has told.
    #[must_use]
    pub fn events(&self, node: NodeId) -> &[Event] {
        &self.places[node.0].events
    }

    /// The answer to a command.
    #[must_use]
    pub fn answer(&self, node: NodeId, id: CommandId) -> Option<Answer> {
        self.events(node).iter().find_map(|event| match event {
            Event::Answer { command, answer } if *command == id => Some(*answer),
            _ => None,
        })
    }

    /// Whether a node has a whole tree.
    #[must_use]
    pub fn has_tree(&self, node: NodeId, root: &Hash) -> bool {
        self.places[node.0].disk.missing(root, 1).0.is_empty()
    }

    /// The updates of a reflog that a node holds.
    ///
    /// # Panics
    /// If its tree is incomplete, or lists a block that is no update of this reflog.
    #[must_use]
    pub fn reflog(&self, node: NodeId, key: &SignPublicKey) -> BTreeSet<Hash> {
        let disk = &self.places[node.0].disk;
        let Some(root) = disk.reference(&RefKind::Reflog.key(key)) else { return BTreeSet::new() };
        let (leaves, complete) = disk.leaves(root);
        assert!(complete, "the reflog at {} is incomplete; {self}", self.places[node.0].name);
        for leaf in &leaves {
            let update = disk.get(leaf).and_then(|block| ReflogUpdate::from_bytes(block).ok());
            assert!(
                update.is_some_and(|update| update.key() == key && update.verify().is_ok()),
                "a foreign block entered the reflog at {}; {self}",
                self.places[node.0].name
            );
        }
        leaves.into_iter().collect()
    }

    /// The value of a last-writer-wins reference that a node holds.
    #[must_use]
    pub fn lwwref(&self, node: NodeId, key: &SignPublicKey) -> Option<LwwRef> {
        let disk = &self.places[node.0].disk;
        let block = disk.get(&disk.reference(&RefKind::Lww.key(key))?)?;
        Signed::<LwwRef>::from_bytes(block).ok()?.verify().ok().map(|verified| verified.value)
    }

    /// Posts an update of a reflog at a node.
    pub fn post(&mut self, node: NodeId, key: &SignSecretKey, data: Bytes) -> CommandId {
        let mut nonce = [0; 24];
        nonce.copy_from_slice(&self.random.bytes(24));
        let update = ReflogUpdate::sign(key, nonce, data).to_bytes();
        self.command(node, Command::PostReflog { update: update.into() })
    }

    /// Posts a value of a last-writer-wins reference at a node.
    pub fn set(&mut self, node: NodeId, key: &SignSecretKey, seq: u64, value: Hash) -> CommandId {
        let signed = Signed::sign(key, &LwwRef { seq, value, proof: None }).to_bytes();
        self.command(node, Command::PostLwwref { signed: signed.into() })
    }

    /// Random numbers of this run.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// How many things have happened.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Runs for some time.
    pub fn run(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// Runs until something holds, but for no longer than `most`; whether it holds.
    pub fn run_until(&mut self, most: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + most;
        loop {
            if holds(self) {
                return true;
            }
            match self.future.first_key_value() {
                Some(((at, _), _)) if *at <= end => self.step(),
                _ => {
                    self.now = end;
                    return holds(self);
                }
            }
        }
    }

    fn step(&mut self) {
        let Some(((at, _), happening)) = self.future.pop_first() else { return };
        self.now = at;
        self.steps += 1;
        if self.steps + STEPS_SHOWN > STEPS_MAX {
            let mut what = format!("{happening:?}");
            what.truncate(what.floor_char_boundary(STEP_SHOWN_BYTES));
            self.note(what);
        }
        assert!(self.steps < STEPS_MAX, "the world does not come to rest; {self}");
        if let Some(node) = self.happen(happening) {
            self.check(node);
        }
    }

    pub(super) fn happens(&mut self, after: Duration, happening: Happening) {
        self.caused += 1;
        self.future.insert((self.now + after, self.caused), happening);
    }

    pub(super) fn link(&mut self) -> LinkId {
        self.links += 1;
        LinkId(self.links)
    }

    /// Cuts the connection at this end; the other end notices it a little later.
    pub(super) fn cut_end(&mut self, end: End) {
        if let Some(other) = self.lines.cut(end) {
            let delay = self.random.time(self.delay);
            self.happens(delay, Happening::Down(other));
        }
    }

    pub(super) fn note(&mut self, what: String) {
        const TRAIL_LINES_MAX: usize = 40;
        if self.trail.len() == TRAIL_LINES_MAX {
            self.trail.pop_front();
        }
        self.trail.push_back(format!("{:>10.3} s  {what}", self.elapsed().as_secs_f64()));
    }
}

/// What a failure message needs: the seed, and the latest happenings.
impl fmt::Display for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {} at {:.3} s after {} steps",
            self.seed,
            self.elapsed().as_secs_f64(),
            self.steps
        )?;
        for line in &self.trail {
            writeln!(f, "  {line}")?;
        }
        for place in &self.places {
            let Some(node) = &place.node else {
                writeln!(f, "  {} is stopped", place.name)?;
                continue;
            };
            let peers: Vec<_> = node.peers().iter().map(|peer| peer.remote.to_string()).collect();
            writeln!(f, "  {} has peers {peers:?}", place.name)?;
            const WANTS_SHOWN_MAX: usize = 8;
            for want in node.wants().iter().rev().take(WANTS_SHOWN_MAX) {
                writeln!(f, "    wants {} {:?}, missing {}", want.root, want.state, want.missing)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
