//! A scripted original: it answers our daemon as the original of the recordings answered its client.
//!
//! It has the key, the blocks, the references and the very packets of the recording. Made anew is only what depends on
//! nonces of the moment: pongs, cookies of chunks, and seals. In turn it asks our daemon what it asked its client then,
//! and must get the answers of that client.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::cbor::Decode;
use hbs2_core::keyring::Keyring;
use hbs2_core::lwwref::LwwRef;
use hbs2_core::refkey::RefKind;
use hbs2_core::tree::Shape;
use hbs2_core::tree::build::build;
use hbs2_core::{EncryptSecretKey, Hash, SignPublicKey, SignSecretKey, Signed};
use hbs2_proto::session::{Flow, flow_id};
use hbs2_proto::wire::{
    BlockChunks, BlockInfo, ChunksBody, Greeting, Handshake, Hey, LwwMessage, Message, PeerData,
    PeerExchange, PeerMeta, ReflogRequest,
};
use hbs2_rpc::api::node::{Leaves, LeavesFrom, RefName, RefWait, Reload, WaitRef};
use hbs2_rpc::api::peer::PollAdd;
use hbs2_rpc::api::storage::GetBlock;

use crate::kit::{PATIENCE, Person, tree_of};
use crate::original::{Recording, about_blocks};

/// Wait for a packet before looking whether the test is over.
const LOOK: Duration = Duration::from_millis(20);

/// The number the scripted original goes by.
const NONCE: u16 = 21_481;

/// The way to the daemon, from the side that was dialled.
enum Carrier {
    Tcp(TcpStream),
    Udp(UdpSocket, Option<SocketAddr>),
}

enum Heard {
    Packet(Bytes),
    Silence,
    End,
}

impl Carrier {
    /// Greets who has connected as the original does.
    fn accepted(mut stream: TcpStream) -> Self {
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&[0xff, 0x71, 0x06, 0x3d]).unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
        Self::Tcp(stream)
    }

    fn send(&mut self, packet: &[u8]) {
        match self {
            Self::Tcp(stream) => {
                let length = u32::try_from(packet.len()).unwrap().to_be_bytes();
                stream.write_all(&[&[0xff, 0x71, 0x06, 0x3d], &length[..], packet].concat()).unwrap();
            }
            Self::Udp(socket, to) => drop(socket.send_to(packet, to.unwrap()).unwrap()),
        }
    }

    fn receive(&mut self) -> Heard {
        match self {
            Self::Tcp(stream) => {
                stream.set_read_timeout(Some(LOOK)).unwrap();
                match stream.peek(&mut [0]) {
                    Ok(0) => return Heard::End,
                    Ok(_) => {}
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                        return Heard::Silence;
                    }
                    Err(_) => return Heard::End,
                }
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let mut head = [0; 8];
                stream.read_exact(&mut head).unwrap();
                let length = u32::from_be_bytes(head[4..].try_into().unwrap());
                let mut packet = vec![0; length as usize];
                stream.read_exact(&mut packet).unwrap();
                Heard::Packet(packet.into())
            }
            Self::Udp(socket, from) => {
                let mut packet = vec![0; 65_536];
                let Ok((length, address)) = socket.recv_from(&mut packet) else { return Heard::Silence };
                *from = Some(address);
                packet.truncate(length);
                Heard::Packet(packet.into())
            }
        }
    }
}

/// The original, and what our daemon has said to it.
struct Original {
    key: SignSecretKey,
    process: Vec<u8>,
    blocks: BTreeMap<Hash, Bytes>,
    reflog: SignPublicKey,
    reflog_root: Hash,
    /// The recorded packets that set values, by key; the last one of each.
    values: BTreeMap<SignPublicKey, Bytes>,
    meta: Bytes,
    /// What it asks and tells of its own accord, once.
    initiative: Vec<Bytes>,
    /// Answers to that which have not come.
    missing: BTreeSet<String>,
    /// The recorded greeting, and the secret of its key, when it seals.
    seals: Option<(Vec<u8>, EncryptSecretKey)>,
    flow: Option<Flow>,
    opened: usize,
    pinged: bool,
    known: bool,
    pings: usize,
}

impl Original {
    fn new(recording: &Recording, seals: bool, tcp: bool) -> Self {
        let text = recording.value["server"]["peer_keyring_text"].as_str().unwrap();
        let told = recording.packets("s->c");
        let messages: Vec<(Bytes, Message)> = told
            .iter()
            .filter_map(|(_, packet)| Some((packet.clone(), Message::decode(packet).ok()?)))
            .collect();
        let mut blocks: BTreeMap<Hash, Bytes> =
            recording.blocks().into_iter().map(|block| (Hash::of(&block), block)).collect();
        let updates = updates(recording);
        let hashes: Vec<Hash> = updates.iter().map(|(_, block)| Hash::of(block)).collect();
        blocks.extend(updates.iter().map(|(_, block)| (Hash::of(block), block.clone())));
        // The order is its own, so its tree is another one than ours.
        let mut hashes = hashes;
        hashes.sort_by(|a, b| b.cmp(a));
        let reflog_root = build(Shape::LOG, &hashes, |hash, block| drop(blocks.insert(hash, block)));
        let mut values = BTreeMap::new();
        let mut meta = Message::PeerMeta(PeerMeta::TheNone).encode().to_bytes();
        let mut initiative = Vec::new();
        for (packet, message) in messages {
            match message {
                Message::Lww(LwwMessage::Set { key, .. }) => drop(values.insert(key, packet)),
                // The address in it is nobody's here: only who is linked by TCP does not dial it.
                Message::PeerMeta(PeerMeta::TheText(_)) if tcp => meta = packet,
                Message::PeerMeta(PeerMeta::Get)
                | Message::PeerExchange(PeerExchange::Get { .. } | PeerExchange::Get2 { .. })
                | Message::BlockInfo(BlockInfo::GetBlockSize(_))
                | Message::BlockChunks(BlockChunks { body: ChunksBody::GetChunks { .. }, .. })
                | Message::ReflogUpdate(_) => initiative.push(packet),
                _ => {}
            }
        }
        let said = recording.packets("c->s");
        let missing = said.iter().filter_map(|(_, packet)| about_blocks(packet));
        let cookies: BTreeSet<String> = initiative
            .iter()
            .filter_map(|packet| match Message::decode(packet).ok()? {
                Message::BlockChunks(question) => Some(format!("chunk {} ", question.cookie)),
                _ => None,
            })
            .collect();
        let asked = |text: &String| {
            !text.starts_with("chunk") || cookies.iter().any(|cookie| text.starts_with(cookie))
        };
        let hey = told.iter().find(|(kind, _)| kind == "HEY").map(|(_, packet)| packet.clone()).unwrap();
        let program = hey.len() - hbs2_core::Encode::to_bytes(&Hey::from_packet(&hey).unwrap()).len();
        let seals = seals.then(|| (hey[..program].to_vec(), EncryptSecretKey::from_bytes([9; 32])));
        Self {
            key: Keyring::parse(text.as_bytes()).unwrap().sign,
            process: vec![0xe7; 24],
            blocks,
            reflog: updates[0].0,
            reflog_root,
            values,
            meta,
            missing: missing.filter(asked).collect(),
            initiative,
            seals,
            flow: None,
            opened: 0,
            pinged: false,
            known: false,
            pings: 0,
        }
    }

    /// Serves one connection until it ends or `over`.
    fn serve(&mut self, carrier: &mut Carrier, over: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        let mut greeted = false;
        while !over(self) {
            assert!(
                begin.elapsed() < PATIENCE,
                "{} answers are missing: {:#?}",
                self.missing.len(),
                self.missing
            );
            let packet = match carrier.receive() {
                Heard::Packet(packet) => packet,
                Heard::Silence => continue,
                Heard::End => return,
            };
            if let (false, Some((program, secret))) = (greeted, &self.seals) {
                let greeting = Greeting { seconds: 1_795_314_166, key: secret.public() };
                carrier.send(&Hey::new(NONCE, &self.key, &greeting).to_packet(program).to_bytes());
                greeted = true;
            }
            for answer in self.hear(&packet) {
                match &self.flow {
                    Some(flow) => carrier.send(&flow.seal(&[answer])),
                    None => carrier.send(&answer),
                }
            }
        }
    }

    /// What it says to a packet.
    fn hear(&mut self, packet: &Bytes) -> Vec<Bytes> {
        if let Some(hey) = Hey::from_packet(packet) {
            let (_, secret) = self.seals.as_ref().expect("who does not seal is not greeted");
            let greeting = hey.greeting.verify().expect("our greetings are good");
            self.flow = Flow::new(flow_id(NONCE, hey.nonce), secret, greeting.value.key, [3; 8]);
            return Vec::new();
        }
        let clear = self.flow.as_ref().and_then(|flow| flow.open(packet));
        self.opened += usize::from(clear.is_some());
        let clear = clear.unwrap_or_else(|| packet.clone());
        let message = Message::decode(&clear).unwrap_or_else(|error| panic!("{error}: {clear:02x?}"));
        assert_eq!(message.encode().to_bytes(), clear, "{message:?} has other bytes than the original's");
        if let Some(text) = about_blocks(&clear) {
            self.missing.remove(&text);
        }
        let answers = match message {
            Message::Handshake(message) => return self.handshake(message),
            message => {
                assert!(self.known, "asked before the handshake: {message:?}");
                self.answer(message)
            }
        };
        answers.into_iter().map(|message| message.encode().to_bytes()).collect()
    }

    fn handshake(&mut self, message: Handshake) -> Vec<Bytes> {
        let packet = |message| Message::Handshake(message).encode().to_bytes();
        match message {
            Handshake::Ping { nonce } => {
                self.pings += 1;
                let data = PeerData { key: self.key.public(), process: self.process.clone() };
                let mut packets =
                    vec![packet(Handshake::Pong { signature: self.key.sign(&nonce), nonce, data })];
                if !std::mem::replace(&mut self.pinged, true) {
                    packets.push(packet(Handshake::Ping { nonce: vec![0x2b; 24] }));
                }
                packets
            }
            Handshake::Pong { nonce, signature, data } => {
                data.key.verify(&nonce, &signature).unwrap();
                self.known = true;
                std::mem::take(&mut self.initiative)
            }
        }
    }

    fn answer(&self, message: Message) -> Vec<Message> {
        let answer = match message {
            Message::PeerMeta(PeerMeta::Get) => Message::decode(&self.meta).unwrap(),
            Message::PeerExchange(PeerExchange::Get { nonce }) => {
                Message::PeerExchange(PeerExchange::Peers { nonce, addresses: Vec::new() })
            }
            Message::PeerExchange(PeerExchange::Get2 { nonce }) => {
                Message::PeerExchange(PeerExchange::Peers2 { nonce, addresses: Vec::new() })
            }
            Message::BlockInfo(BlockInfo::GetBlockSize(hash)) => {
                Message::BlockInfo(self.blocks.get(&hash).map_or(BlockInfo::NoBlock(hash), |block| {
                    BlockInfo::BlockSize { hash, bytes: block.len() as u64 }
                }))
            }
            Message::BlockChunks(BlockChunks { cookie, body }) => return self.chunks(cookie, &body),
            Message::ReflogRequest(ReflogRequest::Request(key)) if key == self.reflog => {
                Message::ReflogRequest(ReflogRequest::Response { key, root: self.reflog_root })
            }
            Message::Lww(LwwMessage::Get(key)) => match self.values.get(&key) {
                Some(packet) => Message::decode(packet).unwrap(),
                None => return Vec::new(),
            },
            _ => return Vec::new(),
        };
        vec![answer]
    }

    /// Chunks as the original cuts them; silence about blocks it does not have and beyond the end.
    fn chunks(&self, cookie: u32, body: &ChunksBody) -> Vec<Message> {
        let (hash, chunk_bytes, first, count) = match *body {
            ChunksBody::GetChunks { hash, chunk_bytes, first, count } => (hash, chunk_bytes, first, count),
            ChunksBody::GetAllChunks { hash, chunk_bytes } => (hash, chunk_bytes, 0, u32::MAX),
            _ => return Vec::new(),
        };
        let Some(block) = self.blocks.get(&hash) else { return Vec::new() };
        let size = usize::from(chunk_bytes);
        let numbers = (0..block.len().div_ceil(size)).skip(first as usize).take(count as usize);
        let chunk = |number: usize| ChunksBody::Chunk {
            number: u16::try_from(number).unwrap(),
            data: block.slice(number * size..block.len().min((number + 1) * size)),
        };
        numbers.map(|number| Message::BlockChunks(BlockChunks { cookie, body: chunk(number) })).collect()
    }
}

/// The updates of a reflog that the original has passed on, and their blocks.
fn updates(recording: &Recording) -> Vec<(SignPublicKey, Bytes)> {
    let mut updates: BTreeMap<SignPublicKey, BTreeSet<Bytes>> = BTreeMap::new();
    for (_, packet) in recording.packets("s->c") {
        if let Ok(Message::ReflogUpdate(update)) = Message::decode(&packet) {
            let block = hbs2_core::Encode::to_bytes(&update).into();
            updates.entry(*update.key()).or_default().insert(block);
        }
    }
    let (key, blocks) = updates.into_iter().find(|(_, blocks)| blocks.len() == 2).unwrap();
    blocks.into_iter().map(|block| (key, block)).collect()
}

/// What our daemon must get from the original: a tree, a value and what it names, and a reflog.
fn follow(alice: &Person, recording: &Recording) {
    let root: Hash = recording.value["data"]["tree_3MB_root"].as_str().unwrap().parse().unwrap();
    alice.wait_peers(1);
    alice.fetch(&[root]);

    let updates = updates(recording);
    let reflog = updates[0].0;
    alice.call::<PollAdd>((reflog, "reflog".to_owned(), 60));
    let expected: BTreeSet<Hash> = updates.iter().map(|(_, block)| Hash::of(block)).collect();
    let begin = Instant::now();
    let mut seen = None;
    loop {
        let name = RefName { kind: RefKind::Reflog, key: reflog };
        seen = alice.call::<WaitRef>(RefWait { name, seen, timeout_ms: 5_000 });
        let entries = seen.map(|root| alice.call::<Leaves>(LeavesFrom { root, skip: 0 }).hashes);
        if entries.is_some_and(|entries| entries.into_iter().collect::<BTreeSet<Hash>>() == expected) {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "the reflog is not complete: {:#?}", alice.status());
    }

    let small = Hash::of(recording.value["data"]["small_block_utf8"].as_str().unwrap().as_bytes());
    let (key, _) = values(recording).into_iter().find(|(_, value)| value.value == small).unwrap();
    alice.call::<PollAdd>((key, "lwwref".to_owned(), 60));
    let name = RefName { kind: RefKind::Lww, key };
    let block = alice.call::<WaitRef>(RefWait { name, seen: None, timeout_ms: 30_000 }).unwrap();
    let block = alice.call::<GetBlock>(block).unwrap();
    let signed = Signed::<LwwRef>::from_bytes(&block).unwrap().verify().unwrap();
    assert_eq!((signed.signer, signed.value.seq, signed.value.value), (key, 3, small));
    alice.fetch(&[small]);
}

/// The values that the original has told.
fn values(recording: &Recording) -> Vec<(SignPublicKey, LwwRef)> {
    let packets = recording.packets("s->c");
    let value = |packet: &Bytes| match Message::decode(packet).ok()? {
        Message::Lww(LwwMessage::Set { key, signed }) => Some((key, signed.verify().ok()?.value)),
        _ => None,
    };
    packets.iter().filter_map(|(_, packet)| value(packet)).collect()
}

/// The blocks that the recorded client served to the original.
fn served(recording: &Recording) -> Vec<Bytes> {
    let formula = recording.value["data"]["served_tree_formula"].as_str().unwrap();
    let offset: usize =
        formula.strip_prefix("byte[i]=(7i+").unwrap().split(')').next().unwrap().parse().unwrap();
    tree_of(&Bytes::from_iter((0..300_000).map(|i| ((7 * i + offset) % 256) as u8))).1
}

/// A daemon with what the recorded client served, which then learns of the original and follows it in a thread of its
/// own.
fn follower(name: &'static str, head: usize, known: &str, extra: &str) -> JoinHandle<()> {
    let alice = Person::start(&[], &format!("multicast off\n{extra}"));
    let recording = Recording::read(name, head);
    alice.put(served(&recording));
    alice.configure(&[], &format!("multicast off\n{extra}known-peer \"{known}\"\n"));
    assert_eq!(alice.call::<Reload>(()).len(), 1, "the original is known");
    thread::spawn(move || follow(&alice, &recording))
}

/// Lets our daemon follow the original of a recording over TCP.
fn check_tcp(name: &'static str, seals: bool) {
    let recording = Recording::read(name, 8);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let known = format!("tcp://{}", listener.local_addr().unwrap());
    let bypass = if seals { "bypass on\n" } else { "bypass off\n" };
    let mut original = Original::new(&recording, seals, true);
    // Most chunks of the sealed recording were left out.
    assert!(original.missing.len() > if seals { 1 } else { 10 }, "{}", original.missing.len());
    let alice = follower(name, 8, &known, bypass);
    let begin = Instant::now();
    while !(alice.is_finished() && original.missing.is_empty()) {
        assert!(begin.elapsed() < PATIENCE, "no connection; missing: {:#?}", original.missing);
        match listener.accept() {
            Ok((stream, _)) => {
                let over = |original: &Original| alice.is_finished() && original.missing.is_empty();
                original.serve(&mut Carrier::accepted(stream), over);
            }
            Err(_) => thread::sleep(LOOK),
        }
        assert!(!alice.is_finished() || original.missing.is_empty(), "missing: {:#?}", original.missing);
    }
    alice.join().unwrap();
    assert!(original.pings <= 4, "{} pings", original.pings);
    assert!(!seals || original.opened > 10, "{} packets came sealed", original.opened);
}

#[test]
fn our_daemon_follows_the_original_of_the_tcp_recording() {
    check_tcp("transcript-tcp-plain.json", false);
}

#[test]
fn our_daemon_follows_the_original_of_the_sealed_recording() {
    check_tcp("transcript-tcp-enc.json", true);
}

#[test]
fn our_daemon_follows_the_original_of_the_udp_recording() {
    let name = "transcript-udp-plain.json";
    let recording = Recording::read(name, 0);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(LOOK)).unwrap();
    let known = format!("udp://{}", socket.local_addr().unwrap());
    let mut original = Original::new(&recording, false, false);
    let alice = follower(name, 0, &known, "bypass off\nlisten \"127.0.0.1:0\"\n");
    let mut carrier = Carrier::Udp(socket, None);
    // Datagrams may get lost, also the answers to what it asks only once: those are not insisted upon.
    original.serve(&mut carrier, |_| alice.is_finished());
    alice.join().unwrap();
}
