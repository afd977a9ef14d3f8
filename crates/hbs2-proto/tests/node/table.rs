//! A node "alice", the time, and hand-made other sides.

use std::time::{Duration, Instant};

use hbs2_core::addr::PeerAddr;
use hbs2_core::{Hash, SignSecretKey};
use hbs2_proto::wire::{
    BlockChunks, BlockInfo, ChunksBody, Handshake, KEY_NATIVE, Message, MetaEntries, PeerData, PeerMeta,
};
use hbs2_proto::{Command, CommandId, Config, Input, Keep, LinkId, Node, Origin, Output, Ticket};

/// Node "alice" and the time.
pub(crate) struct Table {
    pub(crate) node: Node,
    pub(crate) now: Instant,
    pub(crate) outputs: Vec<Output>,
}

/// The other side of one link.
pub(crate) struct Other {
    pub(crate) link: LinkId,
    pub(crate) key: SignSecretKey,
    pub(crate) process: Vec<u8>,
}

impl Other {
    pub(crate) fn new(link: u64, seed: u8) -> Self {
        Self { link: LinkId(link), key: SignSecretKey::from_seed(&[seed; 32]), process: vec![seed; 24] }
    }

    pub(crate) fn remote(&self) -> PeerAddr {
        PeerAddr::tcp(([10, 0, 0, 2], 20_000 + self.link.0 as u16).into())
    }
}

impl Table {
    pub(crate) fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(SignSecretKey::from_seed(&[1; 32]), [9; 32]);
        config.listen_tcp = Some(10351);
        config.bypass = false;
        change(&mut config);
        let now = Instant::now();
        let mut table = Self { node: Node::new(config, now), now, outputs: Vec::new() };
        table.give(Input::Start);
        table
    }

    /// Hands over a fact; what comes of it is added to the outputs.
    pub(crate) fn give(&mut self, input: Input) {
        self.node.handle(self.now, input);
        while let Some(output) = self.node.poll() {
            self.outputs.push(output);
        }
    }

    /// Lets time pass, waking the node whenever it asks for it.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.node.next_wakeup().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.give(Input::Wake);
        }
        self.now = end;
    }

    pub(crate) fn tell(&mut self, other: &Other, message: &Message) {
        self.give(Input::Received { link: other.link, packet: message.encode().to_bytes() });
    }

    /// Takes all outputs so far.
    pub(crate) fn take(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// Takes all outputs so far; the messages among them for one side.
    pub(crate) fn said(&mut self, other: &Other) -> Vec<Message> {
        let sent = self.take().into_iter().filter_map(|output| match output {
            Output::Send { link, packet } if link == other.link => Some(packet.to_bytes()),
            _ => None,
        });
        sent.map(|packet| Message::decode(&packet).expect("the node sends messages")).collect()
    }

    pub(crate) fn link_up(&mut self, other: &Other) {
        let (link, remote) = (other.link, other.remote());
        self.give(Input::LinkUp { link, remote, origin: Origin::Accepted });
    }

    /// The other side answers the pings it has got.
    pub(crate) fn pong(&mut self, other: &Other) {
        for message in self.said(other) {
            if let Message::Handshake(Handshake::Ping { nonce }) = message {
                let data = PeerData { key: other.key.public(), process: other.process.clone() };
                let pong = Handshake::Pong { signature: other.key.sign(&nonce), nonce, data };
                self.tell(other, &Message::Handshake(pong));
            }
        }
    }

    /// Links and trusts a side of the original's kind.
    pub(crate) fn meet(&mut self, other: &Other) {
        self.link_up(other);
        self.pong(other);
        self.tell(other, &ping());
    }

    /// Links and trusts a side of our own kind.
    pub(crate) fn meet_native(&mut self, other: &Other) {
        self.meet(other);
        let entries = MetaEntries(vec![(KEY_NATIVE.to_owned(), b"1".to_vec())]);
        self.tell(other, &Message::PeerMeta(PeerMeta::TheText(entries.to_text())));
        self.take();
    }

    /// Wants a single block that is absent.
    pub(crate) fn want(&mut self, root: Hash) {
        self.give(Input::Command(CommandId(1), Command::Want { root, keep: Keep::ThisRun }));
        let walk = self.take().into_iter().find_map(|output| match output {
            Output::Walk { ticket, .. } => Some(ticket),
            _ => None,
        });
        let ticket = walk.expect("a want begins with a walk");
        self.give(Input::Walked { ticket, missing: vec![root], truncated: false });
    }

    pub(crate) fn stats(&mut self) -> Vec<Ticket> {
        let stats = self.take().into_iter().filter_map(|output| match output {
            Output::StatBlock { ticket, .. } => Some(ticket),
            _ => None,
        });
        stats.collect()
    }

    pub(crate) fn reads(&mut self) -> Vec<Ticket> {
        let reads = self.take().into_iter().filter_map(|output| match output {
            Output::ReadBlock { ticket, .. } => Some(ticket),
            _ => None,
        });
        reads.collect()
    }
}

pub(crate) fn hash(byte: u8) -> Hash {
    Hash::from_bytes([byte; 32])
}

pub(crate) fn ping() -> Message {
    Message::Handshake(Handshake::Ping { nonce: vec![5; 24] })
}

pub(crate) fn ask_size(byte: u8) -> Message {
    Message::BlockInfo(BlockInfo::GetBlockSize(hash(byte)))
}

pub(crate) fn ask_chunks(cookie: u32, chunk_bytes: u16, first: u32, count: u32) -> Message {
    let body = ChunksBody::GetChunks { hash: hash(1), chunk_bytes, first, count };
    Message::BlockChunks(BlockChunks { cookie, body })
}

pub(crate) fn answer(byte: u8, bytes: Option<u64>) -> Message {
    let hash = hash(byte);
    Message::BlockInfo(match bytes {
        Some(bytes) => BlockInfo::BlockSize { hash, bytes },
        None => BlockInfo::NoBlock(hash),
    })
}

pub(crate) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
