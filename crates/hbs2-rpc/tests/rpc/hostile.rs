//! Clients that misbehave harm nobody but themselves.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use hbs2_core::Hash;
use hbs2_core::cbor::Encoder;
use hbs2_rpc::Router;
use hbs2_rpc::api::{Method, NOTIFICATION_SERVICES, peer, storage};
use hbs2_rpc::frame::{self, FRAME_BYTES_MAX, Fault, Response};
use hbs2_rpc::server::CONNECTION_BYTES_MAX;
use hbs2_rpc::value::Value;

use crate::daemon::{Daemon, PATIENCE, receive, send};

/// Bytes of the block that `GetBlock` answers.
const BLOCK_BYTES: usize = 4 * 1024 * 1024;

/// Pokes are answered, `GetBlock` answers a large block and counts.
fn router(answered: &Arc<AtomicUsize>) -> Router {
    let answered = answered.clone();
    Router::new().on::<peer::Poke, _>(async |()| Ok("alive".to_owned())).on::<storage::GetBlock, _>(
        move |_| {
            answered.fetch_add(1, Ordering::Relaxed);
            async { Ok(Some(Bytes::from(vec![0; BLOCK_BYTES]))) }
        },
    )
}

fn daemon() -> Daemon {
    Daemon::start(router(&Arc::default()))
}

#[test]
fn a_keep_alive_is_answered_with_a_keep_alive() {
    let daemon = daemon();
    let mut stream = daemon.raw();
    stream.write_all(&[0; 8]).unwrap();
    assert_eq!((receive(&mut stream), receive(&mut stream)), (Some(vec![]), Some(vec![])));
}

#[test]
fn garbage_closes_its_own_connection_only() {
    let daemon = daemon();
    let client = daemon.client();
    for garbage in [&b"\xff\xff\xff\xff"[..], b"\0\0\0\x01\xff", b"\0\0\0\x05hello", &[0x82; 300]] {
        let mut stream = daemon.raw();
        stream.write_all(garbage).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"", "{garbage:?}");
        assert_eq!(client.call::<peer::Poke>(&(), PATIENCE).unwrap(), "alive");
    }
}

#[test]
fn what_the_original_sends_for_its_notifications_is_read_over() {
    let daemon = daemon();
    let mut stream = daemon.raw();
    for service in NOTIFICATION_SERVICES {
        let mut e = Encoder::new();
        e.array(2);
        e.uint(service);
        e.lazy_bytes(&[0x82, 0x02, 0x01]);
        let payload = e.into_bytes();
        stream.write_all(&(payload.len() as u32).to_be_bytes()).unwrap();
        stream.write_all(&payload).unwrap();
    }
    let poke = frame::request(peer::ID, 5, peer::Poke::INDEX, &().to_parts());
    stream.write_all(&poke.join()).unwrap();
    let answer = Response::read(&receive(&mut stream).unwrap().into()).unwrap();
    assert_eq!((answer.number, answer.outcome.is_ok()), (5, true));
}

#[test]
fn a_frame_beyond_the_limit_closes_the_connection_at_its_head() {
    let daemon = daemon();
    let mut stream = daemon.raw();
    stream.write_all(&(FRAME_BYTES_MAX as u32 + 1).to_be_bytes()).unwrap();
    assert_eq!(receive(&mut stream), None);
}

#[test]
fn a_bad_input_and_an_unknown_method_are_answered_and_the_connection_lives() {
    let daemon = daemon();
    let mut stream = daemon.raw();
    let mut ask = |service, method, input: Bytes| {
        let frame = frame::request(service, 9, method, &input.into()).join();
        stream.write_all(&frame).unwrap();
        Response::read(&receive(&mut stream).unwrap().into()).unwrap().outcome
    };
    assert_eq!(
        ask(storage::ID, storage::GetBlock::INDEX, Bytes::from_static(b"\x01")),
        Err(Fault::BadRequest)
    );
    assert_eq!(ask(storage::ID, 99, Bytes::new()), Err(Fault::NotFound));
    assert_eq!(ask(1, 0, Bytes::new()), Err(Fault::NotFound));
    assert!(ask(peer::ID, 0, Bytes::from_static(b"\xf6")).is_ok());
}

#[test]
fn a_client_that_takes_no_answers_makes_the_daemon_hold_a_bounded_number_of_them() {
    let answered = Arc::new(AtomicUsize::new(0));
    let daemon = Daemon::start(router(&answered));
    let mut slow = daemon.raw();
    let request = frame::request(storage::ID, 1, 1, &Hash::of(b"x").to_parts()).join();
    // Far more than the connection may hold.
    let asked = 10 * CONNECTION_BYTES_MAX / BLOCK_BYTES;
    for _ in 0..asked {
        slow.write_all(&request).unwrap();
    }
    // Others are served meanwhile.
    let client = daemon.client();
    for _ in 0..50 {
        assert_eq!(client.call::<peer::Poke>(&(), PATIENCE).unwrap(), "alive");
    }
    // One more may lie in the socket's own buffer.
    let held = answered.load(Ordering::Relaxed);
    assert!(held <= CONNECTION_BYTES_MAX / BLOCK_BYTES + 1, "{held} answers of {BLOCK_BYTES} bytes");
    // When it reads at last, everything comes.
    for _ in 0..asked {
        assert!(receive(&mut slow).unwrap().len() > BLOCK_BYTES);
    }
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_frame_is_forgotten() {
    let daemon = daemon();
    let mut stream = daemon.raw();
    stream.write_all(&1000u32.to_be_bytes()).unwrap();
    stream.write_all(&[0x82; 500]).unwrap();
    drop(stream);
    assert_eq!(daemon.client().call::<peer::Poke>(&(), PATIENCE).unwrap(), "alive");
}

#[test]
fn a_call_whose_client_left_is_carried_out() {
    let (done, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let router = Router::new().on::<peer::Announce, _>(move |hash: Hash| {
        let done = done.clone();
        async move {
            tokio::task::yield_now().await;
            done.send(hash).map_err(Fault::failed)
        }
    });
    let daemon = Daemon::start(router);
    let mut stream = daemon.raw();
    let frame = frame::request(peer::ID, 1, 2, &Hash::of(b"x").to_parts()).join();
    stream.write_all(&frame).unwrap();
    drop(stream);
    let hash = daemon.runtime.block_on(async { tokio::time::timeout(PATIENCE, seen.recv()).await.unwrap() });
    assert_eq!(hash, Some(Hash::of(b"x")));
}

#[test]
fn a_client_reads_no_garbage_of_a_daemon_either() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for garbage in [&b"\xff\xff\xff\xff"[..], b"\0\0\0\x05hello", b"\0\0"] {
        let client = hbs2_rpc::Client::connect(&socket, PATIENCE).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(garbage).unwrap();
        drop(stream);
        let error = client.call::<peer::Poke>(&(), PATIENCE).unwrap_err();
        assert!(matches!(error, hbs2_rpc::ClientError::Lost { .. }), "{garbage:?}: {error}");
    }
}

#[test]
fn an_answer_that_is_not_the_methods_output_is_malformed() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let client = hbs2_rpc::Client::connect(&socket, PATIENCE).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let pending = client.begin::<peer::Poke>(&());
    let request = frame::Request::read(&receive(&mut stream).unwrap().into()).unwrap();
    let answer = frame::response(request.service, request.number, Ok(&true.to_parts())).join();
    send(&mut stream, &answer[4..]);
    let error = pending.wait(PATIENCE).unwrap_err();
    assert!(matches!(error, hbs2_rpc::ClientError::Malformed { .. }), "{error}");
}
