//! Frames byte for byte, as the original's programs write and read them.

use bytes::Bytes;
use hbs2_core::addr::PeerAddr;
use hbs2_core::lwwref::LwwRef;
use hbs2_core::{Encode, Hash, SignSecretKey};
use hbs2_rpc::api::{self, Method};
use hbs2_rpc::frame::{self, Fault, Request, Response};
use hbs2_rpc::value::{Parts, Value};
use proptest::prelude::*;

/// Poke, request number 1.
const POKE: &str = "00000019 82 1b0000da2374610000 5f 4c 830001 5f 46 82005f41f6ff ff ff";

/// Its answer "hi".
const HI: &str = "00000018 82 1b0000da2374610000 5f 4b 830101 8201 5f43626869ff ff";

fn bytes(spaced_hex: &str) -> Bytes {
    hex::decode(spaced_hex.replace(' ', "")).unwrap().into()
}

/// Writes `value` and compares; reads it again and compares.
fn check<V: Value + PartialEq + std::fmt::Debug>(value: &V, spaced_hex: &str) {
    let expected = bytes(spaced_hex);
    assert_eq!(hex::encode(value.to_parts().join()), hex::encode(&expected));
    assert_eq!(&V::from_frame(&expected).unwrap(), value);
}

fn hash() -> Hash {
    Hash::from_bytes([7; 32])
}

fn hash_hex() -> String {
    format!("820082005820{}", "07".repeat(32))
}

#[test]
fn a_request_and_a_response_have_the_bytes_of_the_original() {
    let input = ().to_parts();
    let request = frame::request(api::peer::Poke::SERVICE, 1, api::peer::Poke::INDEX, &input).join();
    assert_eq!(hex::encode(&request), hex::encode(bytes(POKE)));
    let read = Request::read(&request.slice(4..)).unwrap();
    assert_eq!((read.service, read.number, read.method, &read.input[..]), (api::peer::ID, 1, 0, &[0xf6][..]));

    let output = String::from("hi").to_parts();
    let response = frame::response(api::peer::ID, 1, Ok(&output)).join();
    assert_eq!(hex::encode(&response), hex::encode(bytes(HI)));
    let read = Response::read(&response.slice(4..)).unwrap();
    assert_eq!((read.number, read.outcome), (1, Ok(Bytes::from_static(b"bhi"))));
}

#[test]
fn bodies_in_several_chunks_are_read() {
    // Every lazy byte string of Poke cut in two.
    let split = bytes("82 1b0000da2374610000 5f 42 8300 4c 01 5f 43 82005f 44 41f6ff00 ff ff");
    let read = Request::read(&split).unwrap();
    assert_eq!((read.number, read.method, &read.input[..]), (1, 0, &[0xf6][..]));
}

#[test]
fn what_the_original_refuses_is_refused() {
    for (payload, why) in [
        ("", "nothing"),
        ("82 1b0000da2374610000 4c 830001 5f 46 82005f41f6ff ff", "definite body"),
        ("9f 01 5f 4c 830001 5f 46 82005f41f6ff ff ff ff", "indefinite outer array"),
        ("82 01 5f 4c 830101 5f 46 82005f41f6ff ff ff", "a response"),
        ("82 01 5f 42 8300 ff", "cut short"),
    ] {
        assert!(Request::read(&bytes(payload)).is_err(), "{why}");
    }
}

#[test]
fn trailing_bytes_and_wide_numbers_are_read() {
    let read =
        Request::read(&bytes("82 1807 5f 51 83 00 19 0001 5f 48 82 1800 5f 58 01 f6 ff ff 00 ff 0000"));
    let read = read.unwrap();
    assert_eq!((read.service, read.number, read.method, &read.input[..]), (7, 1, 0, &[0xf6][..]));
}

#[test]
fn faults_are_those_of_the_original_and_a_reason_is_for_our_services_only() {
    let frame = |service, fault: &Fault| frame::response(service, 0, Err(fault)).join().slice(4..);
    let outcome = |payload: &Bytes| Response::read(payload).unwrap().outcome.unwrap_err();
    for (fault, tail) in [
        (Fault::NotFound, "830100 8200 8100 ff"),
        (Fault::BadRequest, "830100 8200 8101 ff"),
        (Fault::BadResponse, "830100 8200 8102 ff"),
    ] {
        let payload = frame(api::storage::ID, &fault);
        assert!(payload.ends_with(&bytes(tail)), "{fault:?}: {}", hex::encode(&payload));
        assert_eq!(outcome(&payload), fault);
    }
    let failed = Fault::failed("the disk is full");
    assert_eq!(outcome(&frame(api::storage::ID, &failed)), Fault::BadResponse);
    assert_eq!(outcome(&frame(api::node::ID, &failed)), failed);
    let long = Fault::failed("ü".repeat(5000));
    assert!(outcome(&frame(api::node::ID, &long)).to_string().starts_with("üüü"));
}

#[test]
fn values_of_storage_have_the_types_of_the_original() {
    check(&None::<u64>, "80");
    check(&Some(5u64), "81 05");
    check(&hash(), &hash_hex());
    check(&Bytes::from_static(b"abc"), "5f 43 616263 ff");
    check(&Bytes::new(), "5f ff");
    check(&(hash(), 0u64, 300u64), &format!("83 {} 00 19012c", hash_hex()));
    check(&api::storage::RefAlias(hash()), &format!("83 00 a0 {}", hash_hex()));
    check(&(api::storage::RefAlias(hash()), hash()), &format!("82 8300a0{} {}", hash_hex(), hash_hex()));
    // The bare hash of older clients, and an alias with something in its map.
    let read = |hex: &str| api::storage::RefAlias::from_frame(&bytes(hex)).unwrap();
    assert_eq!(read(&hash_hex()), api::storage::RefAlias(hash()));
    assert_eq!(read(&format!("83 00 a1 6161 6162 {}", hash_hex())), api::storage::RefAlias(hash()));
}

#[test]
fn values_of_peer_have_the_types_of_the_original() {
    let key = SignSecretKey::from_seed(&[1; 32]).public();
    let key_hex = hex::encode(key.to_bytes());
    let addr: PeerAddr = "tcp://192.168.1.10:10351".parse().unwrap();
    let addr_hex = "83 00 8101 8200 82 8200 8200 1ac0a8010a 19286f";
    check(&(), "f6");
    check(&true, "f5");
    check(&addr, addr_hex);
    check(&vec![(key, addr)], &format!("9f 82 {key_hex} {addr_hex} ff"));
    check(&Vec::<(Hash, u64)>::new(), "80");
    check(&(key, "reflog".to_owned(), 5u64), &format!("83 {key_hex} 66 7265666c6f67 05"));
    check(&(Some("lwwref".to_owned()), Some((0u64, 10u64))), "82 81 66 6c7777726566 81 82 00 0a");
    check(&api::peer::SetLogging::Trace(true), "82 01 f5");
    check(&api::peer::BypassStat::default(), &format!("8d 00 {}", "00".repeat(12)));
}

#[test]
fn reflogs_take_the_bare_key_and_lwwrefs_the_wrapped_one() {
    let secret = SignSecretKey::from_seed(&[1; 32]);
    let key_hex = hex::encode(secret.public().to_bytes());
    check(&secret.public(), &key_hex);
    check(&api::lwwref::LwwKey(secret.public()), &format!("82 00 {key_hex}"));
    let value = LwwRef { seq: 7, value: hash(), proof: None };
    check(&Some(value), &format!("81 84 00 07 {} 80", hash_hex()));
    let signed = hbs2_core::Signed::sign(&secret, &value);
    check(&signed, &hex::encode(signed.to_bytes()));
}

/// Ids and indexes are promises to other programs.
#[test]
fn methods_have_the_numbers_of_the_table() {
    fn numbers<M: Method>() -> (u64, u64) {
        (M::SERVICE, M::INDEX)
    }
    use api::{lwwref, node, peer, reflog, storage};
    assert_eq!(numbers::<peer::Ping>(), (0xDA23_7461_0000, 1));
    assert_eq!(numbers::<peer::RunScript>(), (0xDA23_7461_0000, 17));
    assert_eq!(numbers::<storage::DelRef>(), (0xDA23_7461_0001, 8));
    assert_eq!(numbers::<reflog::Post>(), (0xDA23_7162_0001, 2));
    assert_eq!(numbers::<lwwref::Update>(), (16_267_229_472_009_458_342, 1));
    assert_eq!(numbers::<node::PutMany>(), (0x4842_5332_5253_0001, 0));
    assert_eq!(numbers::<node::WaitPeers>(), (0x4842_5332_5253_0001, 12));
    assert_eq!(numbers::<node::ListBlocks>(), (0x4842_5332_5253_0001, 13));
    assert_eq!(peer::Poke::NAME, "peer.poke");
}

#[test]
fn a_large_block_is_shared_on_the_way_out_and_on_the_way_in() {
    let block = Bytes::from(vec![1; 300_000]);
    let frame = frame::request(api::storage::ID, 1, 3, &block.to_parts());
    assert!(frame.pieces().iter().any(|piece| piece.as_ptr() == block.as_ptr()));
    let joined = frame.join();
    let input = Request::read(&joined.slice(4..)).unwrap().input;
    let read = Bytes::from_frame(&input).unwrap();
    assert_eq!(read, block);
    assert!(joined.as_ptr_range().contains(&read.as_ptr()));
}

proptest! {
    #[test]
    fn reading_frames_never_panics(payload: Vec<u8>) {
        let payload = Bytes::from(payload);
        let _ = (Request::read(&payload), Response::read(&payload));
        let _ = Vec::<Option<Bytes>>::from_frame(&payload);
        let _ = api::node::TreeStatus::from_frame(&payload);
        let _ = api::node::Events::from_frame(&payload);
        let _ = api::storage::RefAlias::from_frame(&payload);
    }

    #[test]
    fn a_request_is_read_as_it_was_written(service: u64, number: u64, method: u64, blocks: Vec<Vec<u8>>, big in 0..20_000usize) {
        let mut blocks: Vec<Bytes> = blocks.into_iter().map(Bytes::from).collect();
        blocks.push(Bytes::from(vec![9; big]));
        let parts = blocks.to_parts();
        let frame = frame::request(service, number, method, &parts).join();
        prop_assert_eq!(u32::from_be_bytes(frame[..4].try_into().unwrap()) as usize, frame.len() - 4);
        let read = Request::read(&frame.slice(4..)).unwrap();
        prop_assert_eq!((read.service, read.number, read.method), (service, number, method));
        prop_assert_eq!(Vec::<Bytes>::from_frame(&read.input).unwrap(), blocks);
        prop_assert_eq!(Parts::from(read.input), Parts::from(parts.join()));
    }
}
