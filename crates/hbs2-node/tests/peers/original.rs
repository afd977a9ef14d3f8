//! What was recorded with an original peer, played against ours.
//!
//! The client of the recording says the very bytes it said then; our daemon has the same blocks and must answer as the
//! original did. Only what depends on nonces and keys of the moment is made anew: pongs, and seals.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::{EncryptSecretKey, SignSecretKey};
use hbs2_proto::session::{Flow, flow_id};
use hbs2_proto::wire::{BlockChunks, BlockInfo, ChunksBody, Handshake, Hey, Message, PeerData, WireError};
use serde_json::Value;

use crate::kit::{PATIENCE, Person, tree_of};

/// Wait for a packet.
const SILENCE: Duration = Duration::from_millis(500);

/// Time without a missing answer before the questions are asked again: datagrams may get lost.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The way to the daemon.
enum Carrier {
    Tcp(TcpStream),
    Udp(UdpSocket, SocketAddr),
}

impl Carrier {
    fn tcp(address: SocketAddr, cookie: [u8; 4]) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&cookie).unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
        Self::Tcp(stream)
    }

    fn udp(address: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(SILENCE)).unwrap();
        Self::Udp(socket, address)
    }

    fn send(&mut self, packet: &[u8]) {
        match self {
            Self::Tcp(stream) => {
                let length = u32::try_from(packet.len()).unwrap().to_be_bytes();
                stream.write_all(&[&b"tag!"[..], &length, packet].concat()).unwrap();
            }
            Self::Udp(socket, address) => drop(socket.send_to(packet, *address).unwrap()),
        }
    }

    /// The next packet; none when there is silence.
    fn receive(&mut self) -> Option<Bytes> {
        match self {
            Self::Tcp(stream) => {
                let mut head = [0; 8];
                stream.read_exact(&mut head).ok()?;
                let length = u32::from_be_bytes(head[4..].try_into().unwrap());
                let mut packet = vec![0; length as usize];
                stream.read_exact(&mut packet).unwrap();
                Some(packet.into())
            }
            Self::Udp(socket, _) => {
                let mut packet = vec![0; 65_536];
                let length = socket.recv(&mut packet).ok()?;
                packet.truncate(length);
                Some(packet.into())
            }
        }
    }
}

pub(crate) struct Recording {
    pub(crate) value: Value,
    /// Bytes of a frame before its packet.
    head: usize,
}

impl Recording {
    pub(crate) fn read(name: &str, head: usize) -> Self {
        let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/wire")).join(name);
        Self { value: serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap(), head }
    }

    /// Frames in this direction, in clear: their kinds and packets.
    pub(crate) fn packets(&self, direction: &str) -> Vec<(String, Bytes)> {
        let frames = self.value["frames"].as_array().unwrap().iter();
        let sent = frames.filter(|frame| frame["dir"] == direction);
        let packet = |frame: &Value| {
            let clear = frame["plaintext_hex"].as_str().and_then(|text| hex::decode(text).ok());
            let raw = || hex::decode(frame["hex"].as_str()?).ok()?.get(self.head..).map(<[u8]>::to_vec);
            let sealed = frame["mode"] == "encrypted";
            let packet = if sealed { clear } else { clear.or_else(raw) };
            Some((frame["kind"].as_str()?.to_owned(), Bytes::from(packet?)))
        };
        sent.filter_map(packet).collect()
    }

    pub(crate) fn seed(&self, name: &str) -> [u8; 32] {
        hex::decode(self.value["client"][name].as_str().unwrap()).unwrap().try_into().unwrap()
    }

    /// The blocks that the original had, from their formulas.
    pub(crate) fn blocks(&self) -> Vec<Bytes> {
        let data = &self.value["data"];
        let offset: usize = data["tree_3MB_formula"]
            .as_str()
            .and_then(|formula| formula.strip_prefix("byte[i]=(i+")?.split(')').next()?.parse().ok())
            .unwrap();
        let tree = Bytes::from_iter((0..3_000_000).map(|i| ((i + offset) % 251) as u8));
        let (root, mut blocks) = tree_of(&tree);
        assert_eq!(root.to_string(), data["tree_3MB_root"].as_str().unwrap());
        blocks.push(data["small_block_utf8"].as_str().unwrap().to_owned().into());
        blocks.push(Bytes::new());
        blocks
    }
}

/// An answer about blocks, as text: what is compared.
pub(crate) fn about_blocks(packet: &Bytes) -> Option<String> {
    match Message::decode(packet).ok()? {
        message @ Message::BlockInfo(BlockInfo::BlockSize { .. } | BlockInfo::NoBlock(_)) => {
            Some(format!("{message:?}"))
        }
        Message::BlockChunks(BlockChunks { cookie, body: ChunksBody::Chunk { number, data } }) => {
            Some(format!("chunk {cookie} {number} {} {}", data.len(), hbs2_core::Hash::of(&data)))
        }
        _ => None,
    }
}

/// Plays the client's questions until every recorded answer has come.
fn play(recording: &Recording, carrier: &mut Carrier) {
    let client = SignSecretKey::from_seed(&recording.seed("ed25519_seed_hex"));
    let process = hex::decode(recording.value["client"]["process_nonce_hex"].as_str().unwrap()).unwrap();
    let sent = recording.packets("c->s");
    let greeting = sent.iter().find(|(kind, _)| kind == "HEY").map(|(_, packet)| packet.clone());
    let asks = |kind: &str| kind.starts_with("1 GetBlockSize") || kind.starts_with("2 Get");
    let questions: Vec<Bytes> =
        sent.iter().filter(|(kind, _)| asks(kind)).map(|(_, packet)| packet.clone()).collect();
    let served = served_questions(&questions);
    let answers = recording.packets("s->c");
    let mut missing: BTreeSet<String> =
        answers.iter().filter_map(|(_, packet)| about_blocks(packet)).filter(|text| served(text)).collect();
    assert!(questions.len() > 20 && missing.len() > 12, "{} {}", questions.len(), missing.len());

    let begin = Instant::now();
    let mut flow: Option<Flow> = None;
    let (mut sealed_answers, mut asked) = (0, None::<Instant>);
    if let Some(greeting) = &greeting {
        carrier.send(greeting);
    }
    carrier.send(&Message::Handshake(Handshake::Ping { nonce: vec![7; 24] }).encode().to_bytes());
    while !missing.is_empty() {
        assert!(begin.elapsed() < PATIENCE, "{} answers are missing: {missing:#?}", missing.len());
        if asked.is_some_and(|moment| moment.elapsed() > ASK_AGAIN) {
            // Datagrams get lost. To ask everything again would only fill the socket again, and some of the questions
            // are no messages, which nobody may repeat for long.
            let again = questions.iter().filter(|question| answers_any(question, &missing));
            ask(carrier, &flow, again);
            asked = Some(Instant::now());
        }
        let Some(packet) = carrier.receive() else { continue };
        let clear = flow.as_ref().and_then(|flow| flow.open(&packet));
        sealed_answers += usize::from(clear.is_some());
        let packet = clear.unwrap_or(packet);
        match Message::decode(&packet) {
            Err(WireError::Hey { hey }) if greeting.is_some() => flow = Some(meet(recording, &hey)),
            // Who greets waits for the greeting of the other side: it is asked in seals only.
            Ok(Message::Handshake(Handshake::Ping { .. })) if greeting.is_some() && flow.is_none() => {}
            Ok(Message::Handshake(Handshake::Ping { nonce })) => {
                let data = PeerData { key: client.public(), process: process.clone() };
                let pong = Handshake::Pong { signature: client.sign(&nonce), nonce, data };
                say(carrier, &flow, &Message::Handshake(pong).encode().to_bytes());
                if asked.is_none() {
                    ask(carrier, &flow, questions.iter());
                    asked = Some(Instant::now());
                }
            }
            _ => {}
        }
        if about_blocks(&packet).is_some_and(|text| missing.remove(&text)) {
            asked = Some(Instant::now());
        }
    }
    assert!(greeting.is_none() || sealed_answers > 12, "{sealed_answers} answers came sealed");
}

/// Whether an answer of the recording is to one of the recorded questions: some of the runs were left out.
fn served_questions(questions: &[Bytes]) -> impl Fn(&String) -> bool {
    let asked: BTreeSet<String> = questions.iter().filter_map(chunks_of).collect();
    move |text| !text.starts_with("chunk ") || asked.iter().any(|chunks| text.starts_with(chunks))
}

/// Whether a missing answer may be to this question.
fn answers_any(question: &Bytes, missing: &BTreeSet<String>) -> bool {
    match (chunks_of(question), Message::decode(question)) {
        (Some(chunks), _) => missing.iter().any(|text| text.starts_with(&chunks)),
        (None, Ok(_)) => missing.iter().any(|text| !text.starts_with("chunk ")),
        (None, Err(_)) => false,
    }
}

/// How the answers to a question for chunks begin as text.
fn chunks_of(question: &Bytes) -> Option<String> {
    match Message::decode(question).ok()? {
        Message::BlockChunks(BlockChunks { cookie, .. }) => Some(format!("chunk {cookie} ")),
        _ => None,
    }
}

fn ask<'q>(carrier: &mut Carrier, flow: &Option<Flow>, questions: impl Iterator<Item = &'q Bytes>) {
    for question in questions {
        say(carrier, flow, question);
    }
}

fn say(carrier: &mut Carrier, flow: &Option<Flow>, packet: &Bytes) {
    match flow {
        Some(flow) => carrier.send(&flow.seal(std::slice::from_ref(packet))),
        None => carrier.send(packet),
    }
}

/// The flow of the recorded client with our daemon.
fn meet(recording: &Recording, hey: &Hey) -> Flow {
    let own = EncryptSecretKey::from_bytes(recording.seed("hey_x25519_secret_hex"));
    let nonce = u16::try_from(recording.value["client"]["nonceA"].as_u64().unwrap()).unwrap();
    let greeting = hey.greeting.verify().unwrap();
    Flow::new(flow_id(nonce, hey.nonce), &own, greeting.value.key, [3; 8]).unwrap()
}

const BOTH: &str = "multicast off\nlisten \"127.0.0.1:0\"\n";

#[test]
fn the_tcp_recording_gets_the_answers_of_the_original() {
    let recording = Recording::read("transcript-tcp-plain.json", 8);
    let alice = Person::start(&[], BOTH);
    alice.put(recording.blocks());
    play(&recording, &mut Carrier::tcp(alice.address, [1, 2, 3, 4]));
}

#[test]
fn the_udp_recording_gets_the_answers_of_the_original() {
    let recording = Recording::read("transcript-udp-plain.json", 0);
    let alice = Person::start(&[], BOTH);
    alice.put(recording.blocks());
    play(&recording, &mut Carrier::udp(alice.udp()));
}

#[test]
fn the_sealed_recording_gets_the_answers_of_the_original_on_either_carrier() {
    let recording = Recording::read("transcript-tcp-enc.json", 8);
    let alice = Person::start(&[], BOTH);
    alice.put(recording.blocks());
    play(&recording, &mut Carrier::tcp(alice.address, [1, 2, 3, 4]));
    play(&recording, &mut Carrier::udp(alice.udp()));
}
