use std::path::PathBuf;

use hbs2_core::addr::PeerAddr;
use hbs2_core::lwwref::LwwRef;
use hbs2_core::{EncryptPublicKey, EncryptSecretKey, Hash, SignSecretKey, Signed};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn vectors(name: &str) -> Value {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/wire")).join(name);
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

fn bypass_vectors(name: &str) -> Value {
    vectors(&format!("../bypass/{name}"))
}

fn hex(value: &Value) -> Bytes {
    hex::decode(value.as_str().unwrap()).unwrap().into()
}

fn alice() -> SignSecretKey {
    SignSecretKey::from_seed(&[1; 32])
}

fn nonce() -> Vec<u8> {
    (0..24).collect()
}

fn process() -> Vec<u8> {
    vec![0xab; 24]
}

/// The messages of the golden vectors that this version speaks, by their names there.
fn golden() -> Vec<(&'static str, Message)> {
    let hash = Hash::of(b"hello");
    let key = alice().public();
    let chunks = |body| Message::BlockChunks(BlockChunks { cookie: 0x0102_0304, body });
    let no_addresses = Message::PeerExchange(PeerExchange::Peers { nonce: nonce(), addresses: vec![] });
    let announce = BlockAnnounce { process: process(), number: 0, meta: AnnounceMeta::None, bytes: 5, hash };
    vec![
        ("4.Ping", Message::Handshake(Handshake::Ping { nonce: nonce() })),
        ("5.PeerAnnounce", Message::PeerAnnounce(PeerAnnounce { process: process() })),
        ("6.Get", Message::PeerExchange(PeerExchange::Get { nonce: nonce() })),
        ("6.Peers(empty)", no_addresses),
        ("6.Get2", Message::PeerExchange(PeerExchange::Get2 { nonce: nonce() })),
        ("9.GetPeerMeta", Message::PeerMeta(PeerMeta::Get)),
        ("9.ThePeerMeta(Short x)", Message::PeerMeta(PeerMeta::TheText("x".to_owned()))),
        ("1.GetBlockSize", Message::BlockInfo(BlockInfo::GetBlockSize(hash))),
        ("1.BlockSize", Message::BlockInfo(BlockInfo::BlockSize { hash, bytes: 5 })),
        ("2.GetAll", chunks(ChunksBody::GetAllChunks { hash, chunk_bytes: 1024 })),
        ("2.NoChunks", chunks(ChunksBody::NoChunks)),
        ("2.Chunk", chunks(ChunksBody::Chunk { number: 0, data: Bytes::from_static(b"hello") })),
        ("2.Lost", chunks(ChunksBody::Lost)),
        ("3.BlockAnnounce", Message::BlockAnnounce(announce)),
        ("8.RefLogRequest", Message::ReflogRequest(ReflogRequest::Request(key))),
        ("8.RefLogResponse", Message::ReflogRequest(ReflogRequest::Response { key, root: hash })),
    ]
}

#[test]
fn messages_have_the_bytes_of_the_original() {
    let vectors = vectors("wire.json");
    let messages = vectors["vectors"]["message"].as_array().unwrap();
    for (name, message) in golden() {
        let vector = messages.iter().find(|vector| vector["name"] == name).unwrap();
        let envelope = hex(&vector["envelope_hex"]);
        assert_eq!(message.encode().to_bytes(), envelope, "{name}");
        assert_eq!(Message::decode(&envelope), Ok(message), "{name}");
    }
}

#[test]
fn messages_of_channels_and_mailboxes_have_the_bytes_of_the_original() {
    let vectors = vectors("wire.json");
    let named =
        |name: &str| ["11001", "11002", "11003", "11004", "13001"].iter().any(|id| name.starts_with(id));
    let mut seen = 0;
    for vector in vectors["vectors"]["message"].as_array().unwrap() {
        if named(vector["name"].as_str().unwrap()) && vector.get("envelope_hex").is_some() {
            let envelope = hex(&vector["envelope_hex"]);
            let read =
                Message::decode(&envelope).unwrap_or_else(|error| panic!("{}: {error}", vector["name"]));
            assert_eq!(read.encode().to_bytes(), envelope, "{}", vector["name"]);
            seen += 1;
        }
    }
    assert!(seen >= 10, "only {seen} vectors");
    let case = |name: &str| {
        let messages = vectors["vectors"]["message"].as_array().unwrap();
        hex(&messages.iter().find(|vector| vector["name"] == name).unwrap()["hex"])
    };
    let question = ChanValidate {
        nonce: (0..8).collect(),
        chan: alice().public(),
        verdict: Verdict::Validate(Hash::of(b"hello")),
    };
    assert_eq!(question.to_bytes(), case("RefChanValidate"));
    assert_eq!(ChanValidate::from_bytes(&question.to_bytes()), Ok(question));
}

#[test]
fn protocols_that_are_not_spoken_are_named() {
    let packet = seal(11005, b"?").to_bytes();
    assert_eq!(Message::decode(&packet), Err(WireError::Protocol { id: 11005 }));
}

#[test]
fn annotations_have_the_bytes_of_the_original() {
    let vectors = vectors("wire.json");
    let messages = vectors["vectors"]["message"].as_array().unwrap();
    let inner = hex(&messages.iter().find(|vector| vector["name"] == "PeerMeta(inner)").unwrap()["hex"]);
    let entries = MetaEntries(vec![
        (KEY_HTTP_PORT.to_owned(), b"5005".to_vec()),
        (KEY_LISTEN_TCP.to_owned(), b"10351".to_vec()),
    ]);
    assert_eq!(entries.to_bytes(), inner);
    assert_eq!(MetaEntries::from_text(&entries.to_text()), Ok(entries.clone()));
    assert_eq!((entries.port(KEY_LISTEN_TCP), entries.port(KEY_NATIVE)), (Some(10351), None));
}

#[test]
fn greetings_of_the_encryption_layer_are_recognised() {
    let vectors = vectors("wire.json");
    let crypto = vectors["vectors"]["crypto"].as_array().unwrap();
    let packet =
        hex(&crypto.iter().find(|vector| vector["name"] == "hey.A(packet,prefix=0175 00)").unwrap()["hex"]);
    let Err(WireError::Hey { hey }) = Message::decode(&packet) else { panic!("no greeting") };
    let greeting = hey.greeting.verify().unwrap();
    assert_eq!((hey.nonce, greeting.signer), (48_674, alice().public()));
    let again = Hey::new(hey.nonce, &alice(), &greeting.value);
    assert_eq!(again.to_packet(&[1, 117, 0]).to_bytes(), packet);
    assert_eq!(Hey::from_packet(&packet[..packet.len() - 1]), None);
    assert_eq!(Hey::from_packet(&[]), None);
}

/// Whether a frame of a transcript decodes as the spec says it does.
fn check_frame(frame: &Value, payload: &Bytes) {
    let kind = frame["kind"].as_str().unwrap_or_default();
    let read = Message::decode(payload);
    let refused = ["definite_body", "outer_indefinite"].iter().any(|word| kind.ends_with(word));
    if kind == "HEY" {
        assert!(matches!(read, Err(WireError::Hey { .. })), "frame {}", frame["i"]);
    } else if refused {
        assert!(matches!(read, Err(WireError::Envelope { .. })), "frame {} {read:?}", frame["i"]);
    } else if kind.ends_with("unknown_protocol") {
        assert!(matches!(read, Err(WireError::Protocol { .. })), "frame {} {read:?}", frame["i"]);
    } else if kind != "None None" {
        let message = read.unwrap_or_else(|error| panic!("frame {} {kind}: {error:?}", frame["i"]));
        if !kind.contains("variant") {
            assert_eq!(message.encode().to_bytes(), payload, "frame {} {kind}", frame["i"]);
        }
    }
}

fn check_transcript(name: &str, header_bytes: usize, expected: usize) {
    let transcript = vectors(name);
    let mut seen = 0;
    for frame in transcript["frames"].as_array().unwrap() {
        // Remarks and elided runs have no bytes.
        let Some(raw) = frame["hex"].as_str().filter(|text| !text.is_empty()).map(|_| hex(&frame["hex"]))
        else {
            continue;
        };
        if frame["kind"].as_str().is_some_and(|kind| kind.starts_with("cookie")) {
            continue;
        }
        check_frame(frame, &raw.slice(header_bytes..));
        seen += 1;
    }
    assert!(seen >= expected, "only {seen} frames");
}

#[test]
fn every_frame_of_the_tcp_transcript_is_read_and_written_again() {
    check_transcript("transcript-tcp-plain.json", 8, 140);
}

#[test]
fn every_datagram_of_the_udp_transcript_is_read_and_written_again() {
    check_transcript("transcript-udp-plain.json", 0, 400);
}

#[test]
fn encrypted_packets_are_not_taken_for_messages() {
    let transcript = vectors("transcript-tcp-enc.json");
    for frame in transcript["frames"].as_array().unwrap() {
        if frame["mode"] == "encrypted" && frame["hex"].is_string() {
            let read = Message::decode(&hex(&frame["hex"]).slice(8..));
            assert!(matches!(read, Err(WireError::Envelope { .. })), "frame {} {read:?}", frame["i"]);
        }
    }
}

/// A key of 32 bytes in hex.
fn secret(value: &Value) -> EncryptSecretKey {
    EncryptSecretKey::from_bytes(hex(value)[..].try_into().unwrap())
}

#[test]
fn every_sealed_packet_of_the_transcript_is_opened_and_sealed_again() {
    let transcript = vectors("transcript-tcp-enc.json");
    let client = &transcript["client"];
    let server: [u8; 32] = hex(&client["server_ephemeral_pk_hex"])[..].try_into().unwrap();
    let id = client["flow_key"].as_u64().unwrap() as u32;
    assert_eq!(crate::session::flow_id(44_591, 21_481), id);
    let own = secret(&client["hey_x25519_secret_hex"]);
    let flow = Flow::new(id, &own, EncryptPublicKey::from_bytes(server), [0; 8]).unwrap();
    let (mut seen, mut refused) = (0, 0);
    for frame in transcript["frames"].as_array().unwrap() {
        if frame["mode"] != "encrypted" || !frame["plaintext_hex"].is_string() {
            continue;
        }
        let packet = hex(&frame["hex"]).slice(8..);
        let clear = flow.open(&packet).unwrap_or_else(|| panic!("frame {} does not open", frame["i"]));
        if let Ok(whole) = hex::decode(frame["plaintext_hex"].as_str().unwrap()) {
            assert_eq!(clear, whole, "frame {}", frame["i"]);
        }
        let number = u32::from_be_bytes(packet[4..8].try_into().unwrap());
        assert_eq!(flow.seal_numbered(number, &clear), packet, "frame {}", frame["i"]);
        match Message::decode(&clear) {
            Ok(message) if frame["note"].is_null() => assert_eq!(message.encode().to_bytes(), clear),
            Ok(_) => {}
            // The client tried what an original refuses.
            Err(_) => refused += 1,
        }
        seen += 1;
    }
    assert!(seen >= 100 && refused <= 5, "{seen} packets, {refused} refused");
}

#[test]
fn every_greeting_of_the_transcript_and_the_capture_is_good() {
    let transcript = vectors("transcript-tcp-enc.json");
    let capture = bypass_vectors("two-peers.json");
    let framed = transcript["frames"].as_array().unwrap().iter().map(|frame| (frame, 8));
    let datagrams = capture["frames"].as_array().unwrap().iter();
    let datagrams = datagrams.filter(|frame| frame["transport"] == "udp").map(|frame| (frame, 0));
    let mut seen = 0;
    for (frame, head) in framed.chain(datagrams).filter(|(frame, _)| frame["kind"] == "HEY") {
        let packet = hex(&frame["hex"]).slice(head..);
        let hey = Hey::from_packet(&packet).unwrap_or_else(|| panic!("no greeting: {frame}"));
        assert!(hey.greeting.verify().is_ok(), "{frame}");
        let program = &packet[..packet.len() - hey.to_bytes().len()];
        assert_eq!(hey.to_packet(program).to_bytes(), packet);
        seen += 1;
    }
    assert!(seen >= 8, "only {seen} greetings");
}

#[test]
fn packets_of_the_capture_are_of_the_kind_that_was_seen() {
    let capture = bypass_vectors("two-peers.json");
    let mut seen = 0;
    for frame in capture["frames"].as_array().unwrap() {
        let peers = |place: &str| frame[place].as_str().is_some_and(|name| name.ends_with("-udp"));
        if frame["kind"] == "plain" && frame["proto"].is_u64() && frame["transport"] == "udp" {
            let packet = hex(&frame["hex"]);
            assert_eq!(Message::decode(&packet).unwrap().encode().to_bytes(), packet);
            seen += 1;
        } else if frame["kind"] == "encrypted" && peers("from") && peers("to") {
            let read = Message::decode(&hex(&frame["hex"]));
            assert!(matches!(read, Err(WireError::Envelope { .. })), "{frame} {read:?}");
            seen += 1;
        }
    }
    assert!(seen >= 30, "only {seen} packets");
}

#[test]
fn the_golden_flow_seals_to_the_same_bytes() {
    let vectors = vectors("wire.json");
    let crypto = vectors["vectors"]["crypto"].as_array().unwrap();
    let vector = |name: &str| crypto.iter().find(|vector| vector["name"] == name).unwrap();
    let (a, b) = (EncryptSecretKey::from_bytes([0x11; 32]), EncryptSecretKey::from_bytes([0x22; 32]));
    let id = crate::session::flow_id(48_674, 56_057);
    assert_eq!(id, 0xbe22_daf9);
    let clear = hex(&vector("bypass.plain")["hex"]);
    let (to_b, to_a) =
        (Flow::new(id, &a, b.public(), [1; 8]).unwrap(), Flow::new(id, &b, a.public(), [2; 8]).unwrap());
    let packet = to_b.seal_numbered(0xdead_beef, &clear);
    assert_eq!(packet[..20], hex::decode("be22daf9deadbeef558e8fdc4d6f9fdc486b2052").unwrap()[..]);
    assert!(packet.ends_with(&hex::decode("25e4629343eee2c3").unwrap()));
    assert_eq!(to_a.open(&packet), Some(clear.clone()));
    let mut damaged = packet.to_vec();
    damaged[30] ^= 1;
    assert_eq!(to_a.open(&damaged), None);
    let numbers = |flow: &Flow| -> std::collections::BTreeSet<[u8; 4]> {
        (0..1000).map(|_| flow.seal(std::slice::from_ref(&clear))[4..8].try_into().unwrap()).collect()
    };
    let (ours, theirs) = (numbers(&to_b), numbers(&to_a));
    assert!(ours.len() == 1000 && theirs.len() == 1000 && ours.is_disjoint(&theirs));
}

#[test]
fn chunk_data_is_never_copied() {
    let data = Bytes::from(vec![7u8; 65_535]);
    let body = ChunksBody::Chunk { number: 3, data: data.clone() };
    let packet = Message::BlockChunks(BlockChunks { cookie: 9, body }).encode();
    let [_, sent, _] = packet.clone().into_parts();
    assert_eq!(sent.as_ptr(), data.as_ptr());
    let frame = packet.to_bytes();
    assert_eq!(frame.len(), packet.len());
    let Ok(Message::BlockChunks(BlockChunks { body: ChunksBody::Chunk { data, .. }, .. })) =
        Message::decode(&frame)
    else {
        panic!("not a chunk");
    };
    assert!(frame.as_ptr_range().contains(&data.as_ptr()));
}

#[test]
fn a_long_chunk_of_the_original_is_read_in_place() {
    let data = vec![7u8; 32_768];
    let message = |data: &[u8]| BlockChunks {
        cookie: 0x9748_c967,
        body: ChunksBody::Chunk { number: 0, data: Bytes::copy_from_slice(data) },
    };
    let body = message(&data).to_bytes();
    let head = body.len() - data.len() - 1;
    let mut e = Encoder::new();
    e.array(2);
    e.uint(protocol::BLOCK_CHUNKS);
    e.lazy_bytes_parts(&[&body[..head], &data, &body[body.len() - 1..]]);
    let frame = Bytes::from(e.into_bytes());
    assert_eq!(frame.len(), 32_802 - 8, "the length seen on the wire");
    assert_eq!(frame[..20], hex::decode("82025f5083001a9748c96783038200005f598000").unwrap()[..]);
    let read = Message::decode(&frame);
    assert_eq!(read, Ok(Message::BlockChunks(message(&data))));
    let Ok(Message::BlockChunks(BlockChunks { body: ChunksBody::Chunk { data, .. }, .. })) = read else {
        panic!("not a chunk");
    };
    assert!(frame.as_ptr_range().contains(&data.as_ptr()));
}

#[test]
fn a_body_in_several_pieces_is_read() {
    let mut e = Encoder::new();
    e.array(2);
    e.uint(protocol::HANDSHAKE);
    let body = Handshake::Ping { nonce: nonce() }.to_bytes();
    e.lazy_bytes_parts(&[&body[..1], &body[1..10], &body[10..]]);
    let packet = Bytes::from(e.into_bytes());
    assert_eq!(Message::decode(&packet), Ok(Message::Handshake(Handshake::Ping { nonce: nonce() })));
}

fn any_bytes(max: usize) -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..=max).prop_map(Bytes::from)
}

fn any_hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash::from_bytes)
}

fn any_nonce() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..64)
}

fn any_address() -> impl Strategy<Value = PeerAddr> {
    prop_oneof![
        (any::<[u8; 4]>(), any::<u16>()).prop_map(|(ip, port)| PeerAddr::tcp((ip, port).into())),
        (any::<[u8; 16]>(), any::<u16>()).prop_map(|(ip, port)| PeerAddr::udp((ip, port).into())),
    ]
}

fn any_message() -> impl Strategy<Value = Message> {
    let chunk = (any::<u32>(), any::<u16>(), any_bytes(70_000)).prop_map(|(cookie, number, data)| {
        Message::BlockChunks(BlockChunks { cookie, body: ChunksBody::Chunk { number, data } })
    });
    let get = (any::<u32>(), any_hash(), any::<u16>(), any::<u32>(), any::<u32>()).prop_map(
        |(cookie, hash, chunk_bytes, first, count)| {
            let body = ChunksBody::GetChunks { hash, chunk_bytes, first, count };
            Message::BlockChunks(BlockChunks { cookie, body })
        },
    );
    let size = (any_hash(), any::<u64>())
        .prop_map(|(hash, bytes)| Message::BlockInfo(BlockInfo::BlockSize { hash, bytes }));
    let pong = (any_nonce(), any_nonce()).prop_map(|(nonce, process)| {
        let data = PeerData { key: alice().public(), process };
        Message::Handshake(Handshake::Pong { signature: alice().sign(&nonce), nonce, data })
    });
    let peers = (any_nonce(), proptest::collection::vec(any_address(), 0..60))
        .prop_map(|(nonce, addresses)| Message::PeerExchange(PeerExchange::Peers2 { nonce, addresses }));
    let announce =
        (any_nonce(), any::<u64>(), any_bytes(40), any_hash()).prop_map(|(process, n, short, hash)| {
            let meta = match short.first() {
                None => AnnounceMeta::None,
                Some(0..128) => AnnounceMeta::Short(short.to_vec()),
                Some(_) => AnnounceMeta::Block(Hash::of(&short)),
            };
            Message::BlockAnnounce(BlockAnnounce { process, number: n, meta, bytes: n, hash })
        });
    let update = any_bytes(1024).prop_map(|data| {
        Message::ReflogUpdate(hbs2_core::reflog::ReflogUpdate::sign(&alice(), [3; 24], data))
    });
    let lww = (any::<u64>(), any_hash(), proptest::option::of(any_hash())).prop_map(|(seq, value, proof)| {
        let signed = Signed::sign(&alice(), &LwwRef { seq, value, proof });
        Message::Lww(LwwMessage::Set { key: alice().public(), signed })
    });
    prop_oneof![chunk, get, size, pong, peers, announce, update, lww]
}

proptest! {
    #[test]
    fn a_message_is_read_as_it_was_written(message in any_message()) {
        prop_assert_eq!(Message::decode(&message.encode().to_bytes()), Ok(message));
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in any_bytes(300)) {
        let _ = Message::decode(&bytes);
    }

    #[test]
    fn a_damaged_message_is_a_message_or_an_error(
        message in any_message(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut bytes = message.encode().to_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if cut {
            bytes.truncate(at);
        }
        let _ = Message::decode(&bytes.into());
    }
}
