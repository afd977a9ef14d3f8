//! Carrying out what nodes decide.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::Hash;
use hbs2_core::addr::Transport;
use hbs2_core::limits::POLICY_BYTES_MAX;
use hbs2_core::mailbox::Policy;
use hbs2_core::tree::walk;
use hbs2_proto::io::MISSING_HASHES_MAX;
use hbs2_proto::refs::{examine, examine_update};
use hbs2_proto::{DialFailure, Input, LinkId, LogSource, Node, Origin, Output, Ticket};

use super::lines::End;
use super::world::{Fault, Happening, NodeId, Sim, WORLD_UNIX_SECONDS};

/// Longest time a disk takes for a read, and for a synced write.
const READ: Duration = Duration::from_micros(500);
const WRITE: Duration = Duration::from_millis(5);

/// Time after which a block that was stored without sync is safe.
const SYNC: Duration = Duration::from_secs(1);

/// One in so many packets of a liar is spoiled.
const SPOILED_ONE_IN: usize = 8;

/// Longest time after which a liar says something again.
const REPEAT: Duration = Duration::from_secs(20);

/// Length that a node claims of blocks it does not have.
const CLAIMED_BYTES: u64 = 1000;

impl Sim {
    /// Lets something happen. The node that was concerned, if one was.
    pub(super) fn happen(&mut self, happening: Happening) -> Option<NodeId> {
        match happening {
            Happening::Fact(node, run, input) => self.fact(node, run, input),
            Happening::Wake(node, run) => {
                if self.places[node.0].wake != Some(self.now) {
                    return None; // the node has asked for an earlier wake since
                }
                self.places[node.0].wake = None;
                self.check_sleep(node);
                self.fact(node, run, Input::Wake)
            }
            Happening::Dialled { from, run, address } => self.dialled(from, run, address),
            Happening::Packet { to, packet } => {
                let run = self.places[to.node.0].run;
                self.fact(to.node, run, Input::Received { link: to.link, packet })
            }
            Happening::Datagram { from, to, packet } => self.datagram(from, to, packet),
            Happening::Down(end) => {
                let run = self.places[end.node.0].run;
                self.fact(end.node, run, Input::LinkDown { link: end.link })
            }
            Happening::Start(id, run) => {
                let place = &self.places[id.0];
                if place.run == run && place.node.is_none() { self.start_node(id) } else { None }
            }
            Happening::Commit { node, run, ticket, commit } => {
                let place = &self.places[node.0];
                let durable = !place.faults.contains(&Fault::BrokenDisk);
                if durable && place.run == run {
                    self.write(node, commit);
                }
                self.fact(node, run, Input::Committed { ticket, durable })
            }
            Happening::Sync(node, run) => {
                let place = &mut self.places[node.0];
                if place.run == run {
                    place.disk.sync();
                }
                None
            }
        }
    }

    fn start_node(&mut self, id: NodeId) -> Option<NodeId> {
        self.note(format!("{} starts", self.places[id.0].name));
        let seed = self.random.bytes(32);
        let now = self.now;
        let place = &mut self.places[id.0];
        place.config.seed.copy_from_slice(&seed);
        let mut node = Node::new(place.config.clone(), now);
        for (name, value) in place.disk.records() {
            node.handle(now, Input::Record { name: name.clone(), value: value.clone() });
        }
        let unix_seconds = WORLD_UNIX_SECONDS + (now - self.start).as_secs();
        node.handle(now, Input::Clock { unix_seconds });
        place.node = Some(node);
        let run = place.run;
        self.fact(id, run, Input::Start)
    }

    /// Gives a node a fact and carries out what it decides.
    fn fact(&mut self, id: NodeId, run: u32, input: Input) -> Option<NodeId> {
        let now = self.now;
        let place = &mut self.places[id.0];
        let node = place.node.as_mut().filter(|_| place.run == run);
        let Some(node) = node else {
            if let Input::Command(command, _) = input {
                self.asked.remove(&command);
            }
            return None;
        };
        node.handle(now, input);
        let outputs: Vec<Output> = std::iter::from_fn(|| node.poll()).collect();
        let wake = node.next_wakeup();
        for output in outputs {
            self.carry_out(id, run, output);
        }
        self.plan_wake(id, run, wake);
        Some(id)
    }

    fn plan_wake(&mut self, id: NodeId, run: u32, at: Option<Instant>) {
        let Some(at) = at else { return };
        let at = at.max(self.now);
        if self.places[id.0].wake.is_none_or(|planned| at < planned) {
            self.places[id.0].wake = Some(at);
            self.happens(at - self.now, Happening::Wake(id, run));
        }
    }

    fn carry_out(&mut self, id: NodeId, run: u32, output: Output) {
        match output {
            Output::Send { link, packet } => self.send(id, run, link, packet.to_bytes()),
            Output::Dial { address } => {
                let after = self.random.time(self.delay);
                self.happens(after, Happening::Dialled { from: id, run, address });
            }
            Output::Close { link, reason } => {
                self.note(format!("{} closes a link: {reason:?}", self.places[id.0].name));
                let end = End { node: id, link };
                self.cut_end(end);
                self.datagrams.close(link);
                self.happens(Duration::ZERO, Happening::Down(end));
            }
            Output::Event(event) => self.told(id, event),
            Output::Multicast { packet } => self.multicast(id, &packet.to_bytes()),
            Output::Lookup { .. } => {
                let addresses = self.bootstrap.clone();
                self.happens(Duration::from_millis(20), Happening::Fact(id, run, Input::Found { addresses }));
            }
            output => self.use_disk(id, run, output),
        }
    }

    fn send(&mut self, id: NodeId, run: u32, link: LinkId, packet: Bytes) {
        let bytes = packet.len();
        let packet = self.spoil(id, packet);
        if let Some(pair) = self.datagrams.ends(link) {
            return self.send_datagram(pair, run, link, bytes, packet);
        }
        let Some((left, arrives, to)) = self.lines.send(self.now, End { node: id, link }, bytes) else {
            return;
        };
        self.happens(left - self.now, Happening::Fact(id, run, Input::Sent { link, bytes }));
        if !self.silent.contains(&(id.min(to.node), id.max(to.node))) {
            if self.places[id.0].faults.contains(&Fault::Repeats) && self.random.one_in(SPOILED_ONE_IN) {
                let again = arrives - self.now + self.random.time(REPEAT);
                self.happens(again, Happening::Packet { to, packet: packet.clone() });
            }
            self.happens(arrives - self.now, Happening::Packet { to, packet });
        }
    }

    /// What really leaves a node.
    fn spoil(&mut self, id: NodeId, packet: Bytes) -> Bytes {
        if !self.places[id.0].faults.contains(&Fault::Scrambles) || !self.random.one_in(SPOILED_ONE_IN) {
            return packet;
        }
        let mut bytes = packet.to_vec();
        let place = self.random.below(bytes.len().max(1));
        match self.random.below(4) {
            0 => bytes.truncate(place),
            1 => {
                let more = self.random.below(64);
                bytes.extend(self.random.bytes(more));
            }
            _ => {
                let flip = 1 << self.random.below(8);
                bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= flip);
            }
        }
        bytes.into()
    }

    /// Everybody hears it, the sender too.
    fn multicast(&mut self, id: NodeId, packet: &Bytes) {
        let from = self.udp_address(id).socket;
        for to in self.nodes() {
            let after = self.random.time(self.delay);
            let run = self.places[to.0].run;
            let packet = packet.clone();
            self.happens(after, Happening::Fact(to, run, Input::Heard { from, packet }));
        }
    }

    fn send_datagram(&mut self, pair: (NodeId, NodeId), run: u32, link: LinkId, bytes: usize, packet: Bytes) {
        let (from, to) = pair;
        self.happens(Duration::ZERO, Happening::Fact(from, run, Input::Sent { link, bytes }));
        let terms = (self.delay, self.rate);
        let arrivals = self.datagrams.send(self.now, pair, bytes, terms, &mut self.random);
        let between = (from.min(to), from.max(to));
        if self.silent.contains(&between) || self.split.contains(&between) {
            return;
        }
        let mut waits: Vec<Duration> = arrivals.into_iter().map(|at| at - self.now).collect();
        if self.places[from.0].faults.contains(&Fault::Repeats) && self.random.one_in(SPOILED_ONE_IN) {
            waits.push(self.random.time(REPEAT));
        }
        for wait in waits {
            self.happens(wait, Happening::Datagram { from, to, packet: packet.clone() });
        }
    }

    /// A datagram arrives: from an unknown address it makes a link.
    fn datagram(&mut self, from: NodeId, to: NodeId, packet: Bytes) -> Option<NodeId> {
        self.places[to.0].node.as_ref()?;
        let run = self.places[to.0].run;
        let link = match self.datagrams.link(to, from) {
            Some(link) => link,
            None => {
                let link = self.link();
                self.datagrams.open(to, from, link);
                let up = Input::LinkUp { link, remote: self.udp_address(from), origin: Origin::Accepted };
                self.fact(to, run, up);
                link
            }
        };
        self.fact(to, run, Input::Received { link, packet })
    }

    /// A dial for datagrams: it is a link at once, whoever is there.
    fn dialled_udp(&mut self, from: NodeId, run: u32, address: hbs2_core::PeerAddr) -> Option<NodeId> {
        let to = self.at(&address).filter(|node| self.udp_address(*node) == address);
        let known = to.map(|to| self.datagrams.link(from, to));
        let (Some(to), None) = (to, known.flatten()) else {
            let failure = match known {
                Some(link) => DialFailure::Duplicate(link),
                None => DialFailure::Unreachable,
            };
            return self.fact(from, run, Input::DialFailed { address, failure });
        };
        let link = self.link();
        self.datagrams.open(from, to, link);
        self.fact(from, run, Input::LinkUp { link, remote: address, origin: Origin::Dialled(address) })
    }

    fn dialled(&mut self, from: NodeId, run: u32, address: hbs2_core::PeerAddr) -> Option<NodeId> {
        if self.places[from.0].run != run {
            return None;
        }
        if address.transport == Transport::Udp {
            return self.dialled_udp(from, run, address);
        }
        let to = self.at(&address).filter(|node| self.address(*node) == address);
        let failure = match to {
            Some(to) if to == from => Some(DialFailure::Myself),
            Some(to)
                if self.places[to.0].node.is_none() || self.split.contains(&(from.min(to), from.max(to))) =>
            {
                Some(DialFailure::Unreachable)
            }
            Some(to) => self.lines.between(from, to).map(|end| DialFailure::Duplicate(Some(end.link))),
            None => Some(DialFailure::Unreachable),
        };
        let to = match (failure, to) {
            (None, Some(to)) => to,
            (failure, _) => {
                let failure = failure.unwrap_or(DialFailure::Unreachable);
                return self.fact(from, run, Input::DialFailed { address, failure });
            }
        };
        let (near, far) = (End { node: from, link: self.link() }, End { node: to, link: self.link() });
        let delay = self.random.time(self.delay);
        self.lines.join(self.now, near, far, delay, self.rate);
        self.note(format!("{} links {}", self.places[from.0].name, self.places[to.0].name));
        let mut seen = self.address(from);
        seen.socket.set_port(20_000 + (far.link.0 % 40_000) as u16);
        let up = Input::LinkUp { link: far.link, remote: seen, origin: Origin::Accepted };
        let far_run = self.places[to.0].run;
        self.happens(Duration::ZERO, Happening::Fact(to, far_run, up));
        let up = Input::LinkUp { link: near.link, remote: address, origin: Origin::Dialled(address) };
        self.fact(from, run, up)
    }

    /// Answers what a node asks of its store.
    fn use_disk(&mut self, id: NodeId, run: u32, output: Output) {
        let mut after = self.random.time(READ);
        let answer = match output {
            Output::StatBlock { ticket, hash } => {
                let place = &self.places[id.0];
                if place.faults.contains(&Fault::Mute) {
                    return;
                }
                let claimed = place.faults.contains(&Fault::ClaimsAll).then_some(CLAIMED_BYTES);
                let bytes = place.disk.get(&hash).map(|block| block.len() as u64).or(claimed);
                Input::BlockStat { ticket, bytes }
            }
            Output::ReadBlock { ticket, hash } => Input::BlockRead { ticket, block: self.read(id, &hash) },
            Output::Walk { ticket, root } => {
                let (missing, truncated) = self.places[id.0].disk.missing(&root, MISSING_HASHES_MAX);
                Input::Walked { ticket, missing, truncated }
            }
            Output::StoreBlock { hash, parts, from } => {
                after = self.random.time(WRITE);
                self.store(id, run, hash, &parts, from)
            }
            Output::ReadLog { ticket, source } => self.read_log(id, ticket, source),
            Output::ExamineUpdates { ticket, key, hashes } => {
                let disk = &self.places[id.0].disk;
                let updates = hashes
                    .into_iter()
                    .map(|hash| (hash, examine_update(&key, disk.get(&hash).map(|block| &block[..]))))
                    .collect();
                Input::UpdatesExamined { ticket, updates }
            }
            Output::Examine { ticket, expected, hashes } => {
                let disk = &self.places[id.0].disk;
                let blocks =
                    hashes.into_iter().map(|hash| (hash, examine(&expected, disk.get(&hash)))).collect();
                Input::BlocksExamined { ticket, blocks }
            }
            Output::ReadContent { ticket, source, bytes_max } => {
                let disk = &self.places[id.0].disk;
                let root = match source {
                    LogSource::Reference(key) => disk.reference(&key),
                    LogSource::Tree(root) => Some(root),
                };
                let read = root.and_then(|root| {
                    let bytes = disk.get(&root)?.len() as u64;
                    Some((root, bytes, self.content(id, root, bytes_max)?))
                });
                Input::ContentRead { ticket, read }
            }
            Output::ReadPolicy { ticket, tree } => {
                let content = self.content(id, tree, POLICY_BYTES_MAX);
                let text = content.and_then(|content| String::from_utf8(content.to_vec()).ok());
                let lines = text.and_then(|text| hbs2_script::lines(&text).ok());
                Input::PolicyRead { ticket, policy: lines.and_then(|lines| Policy::from_lines(&lines).ok()) }
            }
            Output::Validate { ticket, .. } => {
                let accepted = !self.places[id.0].faults.contains(&Fault::Rejects);
                Input::Validated { ticket, accepted }
            }
            Output::ReadReference { ticket, key } => {
                let disk = &self.places[id.0].disk;
                let block = disk.reference(&key).and_then(|hash| disk.get(&hash)).cloned();
                Input::ReferenceRead { ticket, block }
            }
            Output::Commit { ticket, commit } => {
                // What comes while a group is written waits, and all of it is the next group.
                let time = self.random.time(WRITE);
                let writes = &mut self.places[id.0].writes;
                if self.now > writes.begin {
                    writes.begin = writes.end.max(self.now);
                    writes.end = writes.begin + time;
                }
                let done = writes.end;
                return self.happens(done - self.now, Happening::Commit { node: id, run, ticket, commit });
            }
            Output::Send { .. }
            | Output::Dial { .. }
            | Output::Close { .. }
            | Output::Multicast { .. }
            | Output::Lookup { .. }
            | Output::Event(_) => {
                unreachable!("carried out without the disk")
            }
        };
        self.happens(after, Happening::Fact(id, run, answer));
    }

    /// The content of a data tree on a node's disk.
    pub(super) fn content(&self, id: NodeId, root: Hash, bytes_max: usize) -> Option<Bytes> {
        let disk = &self.places[id.0].disk;
        let get = |hash: &Hash| Ok::<_, std::convert::Infallible>(disk.get(hash).cloned());
        walk::content(root, bytes_max, get).ok().map(Bytes::from)
    }

    fn read(&self, id: NodeId, hash: &Hash) -> Option<Bytes> {
        let place = &self.places[id.0];
        let block = place.disk.get(hash).cloned();
        if place.faults.contains(&Fault::Withholds) {
            None
        } else if place.faults.contains(&Fault::WrongBytes) {
            Some(Bytes::from(vec![0x5a; block.map_or(CLAIMED_BYTES as usize, |block| block.len())]))
        } else {
            block
        }
    }

    fn store(&mut self, id: NodeId, run: u32, hash: Hash, parts: &[Bytes], from: LinkId) -> Input {
        let place = &mut self.places[id.0];
        if place.faults.contains(&Fault::BrokenDisk) {
            return Input::BlockFailed { hash };
        }
        if !place.disk.put_loose(hash, parts.concat().into()) {
            return Input::BlockRejected { hash, from };
        }
        let (missing, truncated) = place.disk.missing(&hash, MISSING_HASHES_MAX);
        self.happens(SYNC, Happening::Sync(id, run));
        Input::BlockStored { hash, missing, truncated }
    }

    fn read_log(&self, id: NodeId, ticket: Ticket, source: LogSource) -> Input {
        let disk = &self.places[id.0].disk;
        let root = match source {
            LogSource::Reference(key) => disk.reference(&key),
            LogSource::Tree(root) => Some(root),
        };
        let (leaves, complete) = root.map_or((Vec::new(), true), |root| disk.leaves(root));
        Input::LogRead { ticket, root, leaves, complete }
    }
}
