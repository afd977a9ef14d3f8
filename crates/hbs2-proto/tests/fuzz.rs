//! Readers of what peers send, under fire: envelopes with every message, greetings, sealed packets, and a whole node.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::addr::PeerAddr;
use hbs2_core::{EncryptSecretKey, SignSecretKey};
use hbs2_proto::session::{Flow, flow_id};
use hbs2_proto::wire::{Handshake, Hey, Message, PeerData, WireError};
use hbs2_proto::{Command, CommandId, Config, Input, LinkId, Node, Origin, Output, Poll, PollKind};
use hbs2_testkit::fuzz::{fuzz, hex_fields};

/// Frames of a stream begin with a tag and a length.
const HEAD_BYTES: usize = 8;

/// Packets of the original, each kind some times.
fn packets() -> Vec<Vec<u8>> {
    let mut packets = hex_fields("wire/wire.json", "hex");
    packets.extend(hex_fields("wire/transcript-udp-plain.json", "hex"));
    let frames = hex_fields("wire/transcript-tcp-plain.json", "hex");
    packets.extend(frames.iter().filter_map(|frame| frame.get(HEAD_BYTES..)).map(<[u8]>::to_vec));
    packets.extend(hex_fields("wire/transcript-tcp-enc.json", "plaintext_hex"));
    packets
}

/// The name of a variant, from its text for debugging.
fn name(text: &str) -> String {
    text.chars().take_while(|c| !c.is_ascii_digit()).take(48).collect()
}

#[test]
fn fuzz_messages() {
    fuzz("messages", packets(), |bytes| match Message::decode(&Bytes::copy_from_slice(bytes)) {
        Ok(message) => {
            let again = message.encode().to_bytes();
            assert_eq!(Message::decode(&again).as_ref(), Ok(&message), "it is read as it was written");
            name(&format!("{message:?}"))
        }
        Err(error) => name(&format!("{error:?}")),
    });
}

#[test]
fn fuzz_hey() {
    let mut seeds: Vec<Vec<u8>> =
        packets().into_iter().filter(|packet| Hey::from_packet(packet).is_some()).collect();
    seeds.extend(hex_fields("bypass/two-peers.json", "hex"));
    fuzz("hey", seeds, |bytes| match Hey::from_packet(bytes) {
        Some(hey) => {
            let program = [6, 117, 0];
            let packet = hey.to_packet(&program).to_bytes();
            assert_eq!(
                Hey::from_packet(&packet).as_ref(),
                Some(&hey),
                "a greeting is read as it was written"
            );
            format!("greeting {}", hey.greeting.verify().is_ok())
        }
        None => format!("none {}", bytes.len().min(8)),
    });
}

#[test]
fn fuzz_bypass() {
    let (alice, bob) = (EncryptSecretKey::from_bytes([1; 32]), EncryptSecretKey::from_bytes([2; 32]));
    let ours = Flow::new(flow_id(1, 2), &alice, bob.public(), [3; 8]).expect("a good key");
    let theirs = Flow::new(flow_id(2, 1), &bob, alice.public(), [4; 8]).expect("a good key");
    let seeds: Vec<Vec<u8>> =
        packets().iter().take(64).map(|packet| theirs.seal(&[packet.clone().into()]).to_vec()).collect();
    let good = seeds.clone();
    fuzz("bypass", seeds, |bytes| {
        let opened = ours.open(bytes);
        assert!(opened.is_none() || good.iter().any(|good| good == bytes), "a changed packet was opened");
        format!("{} {}", opened.is_some(), bytes.len().min(32))
    });
}

#[test]
fn fuzz_node() {
    let link = LinkId(1);
    let begin = Instant::now();
    let mut now = begin;
    let mut node = trusting(now, link);
    let mut seeds = packets();
    seeds
        .retain(|packet| !matches!(Message::decode(&packet.clone().into()), Err(WireError::Envelope { .. })));
    fuzz("node", seeds, |bytes| {
        now += Duration::from_millis(20);
        node.handle(now, Input::Received { link, packet: Bytes::copy_from_slice(bytes) });
        if node.next_wakeup().is_some_and(|at| at <= now) {
            node.handle(now, Input::Wake);
        }
        let mut said = String::new();
        let mut closed = false;
        while let Some(output) = node.poll() {
            said += &name(&format!("{output:?}"));
            closed |= matches!(output, Output::Close { .. });
            if let Output::Send { link, packet } = &output {
                node.handle(now, Input::Sent { link: *link, bytes: packet.len() });
            }
        }
        if closed {
            node = trusting(now, link);
        }
        said.truncate(64);
        said
    });
}

/// A node that polls something of each kind, with a trusted peer at its link.
fn trusting(now: Instant, link: LinkId) -> Node {
    let mut config = Config::new(SignSecretKey::from_seed(&[1; 32]), [2; 32]);
    config.listen_tcp = Some(10_351);
    let mut node = Node::new(config, now);
    node.handle(now, Input::Clock { unix_seconds: 1_700_000_000 });
    node.handle(now, Input::Start);
    let key = SignSecretKey::from_seed(&[5; 32]).public();
    for (number, kind) in [PollKind::Reflog, PollKind::Lwwref, PollKind::Refchan].into_iter().enumerate() {
        let command = Command::PollAdd(Poll { key, kind, minutes: 1 });
        node.handle(now, Input::Command(CommandId(number as u64), command));
    }
    let remote = PeerAddr::tcp(([10, 0, 0, 2], 20_000).into());
    node.handle(now, Input::LinkUp { link, remote, origin: Origin::Accepted });
    let peer = SignSecretKey::from_seed(&[7; 32]);
    let outputs: Vec<Output> = std::iter::from_fn(|| node.poll()).collect();
    for output in outputs {
        let Output::Send { packet, .. } = output else { continue };
        if let Ok(Message::Handshake(Handshake::Ping { nonce })) = Message::decode(&packet.to_bytes()) {
            let data = PeerData { key: peer.public(), process: vec![7; 24] };
            let pong = Handshake::Pong { signature: peer.sign(&nonce), nonce, data };
            let packet = Message::Handshake(pong).encode().to_bytes();
            node.handle(now, Input::Received { link, packet });
        }
    }
    while node.poll().is_some() {}
    assert_eq!(node.peers().len(), 1, "the peer is trusted");
    node
}
