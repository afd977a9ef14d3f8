//! Calls: pipelined, with deadlines, answered in any order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::Hash;
use hbs2_rpc::api::{Method, node, peer, storage};
use hbs2_rpc::path::SocketPath;
use hbs2_rpc::server::CALLS_MAX;
use hbs2_rpc::{Client, ClientError, Fault, Router};
use tokio::sync::Notify;

use crate::daemon::{Daemon, PATIENCE};

/// Answers with the hash of the block.
fn hashing() -> Router {
    Router::new().on::<storage::PutBlock, _>(async |block: Bytes| Ok(Some(Hash::of(&block))))
}

/// `GetBlock` waits for the notification; `Poke` gives it.
fn waiting() -> Router {
    let bell = Arc::new(Notify::new());
    let ring = bell.clone();
    Router::new()
        .on::<storage::GetBlock, _>(move |_| {
            let bell = bell.clone();
            async move {
                bell.notified().await;
                Ok(Some(Bytes::from_static(b"late")))
            }
        })
        .on::<peer::Poke, _>(move |()| {
            ring.notify_one();
            async { Ok("rung".to_owned()) }
        })
}

fn hash() -> Hash {
    Hash::of(b"x")
}

#[test]
fn a_call_has_its_answer() {
    let daemon = Daemon::start(hashing());
    let block = Bytes::from(vec![3; 1_000_000]);
    let answer = daemon.client().call::<storage::PutBlock>(&block, PATIENCE);
    assert_eq!(answer.unwrap(), Some(Hash::of(&block)));
}

#[test]
fn many_calls_of_many_threads_find_their_own_answers() {
    let daemon = Daemon::start(hashing());
    let client = daemon.client();
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            let client = client.clone();
            scope.spawn(move || {
                let blocks: Vec<_> =
                    (0..300u16).map(|i| Bytes::from(vec![thread; 10 + usize::from(i) * 7])).collect();
                let pending: Vec<_> =
                    blocks.iter().map(|block| client.begin::<storage::PutBlock>(block)).collect();
                for (block, pending) in blocks.iter().zip(pending) {
                    assert_eq!(pending.wait(PATIENCE).unwrap(), Some(Hash::of(block)));
                }
            });
        }
    });
}

#[test]
fn an_answer_does_not_wait_for_the_calls_before_it() {
    let daemon = Daemon::start(waiting());
    let client = daemon.client();
    let first = client.begin::<storage::GetBlock>(&hash());
    // This is answered although the first is not, and lets the first be answered.
    assert_eq!(client.call::<peer::Poke>(&(), PATIENCE).unwrap(), "rung");
    assert_eq!(first.wait(PATIENCE).unwrap().unwrap(), "late");
}

#[test]
fn a_call_without_an_answer_ends_at_its_deadline_and_the_next_one_works() {
    let daemon = Daemon::start(waiting());
    let client = daemon.client();
    let started = Instant::now();
    let error = client.call::<storage::GetBlock>(&hash(), Duration::from_millis(50)).unwrap_err();
    assert!(started.elapsed() >= Duration::from_millis(50) && started.elapsed() < PATIENCE);
    let ClientError::Timeout { call, ref socket, .. } = error else { panic!("{error:?}") };
    assert_eq!((call, socket), (storage::GetBlock::NAME, &daemon.socket));
    assert!(error.to_string().starts_with("waited 0."), "{error}");
    assert!(error.hint().contains("poke"));
    // The late answer to the first call, if it comes, is nobody's.
    assert_eq!(client.call::<peer::Poke>(&(), PATIENCE).unwrap(), "rung");
    assert_eq!(client.call::<peer::Poke>(&(), PATIENCE).unwrap(), "rung");
}

#[test]
fn when_the_daemon_dies_everything_that_waits_fails_at_once() {
    let mut daemon = Daemon::start(waiting());
    let client = daemon.client();
    let waiting: Vec<_> = (0..3).map(|_| client.begin::<storage::GetBlock>(&hash())).collect();
    daemon.stop();
    for pending in waiting {
        let error = pending.wait(PATIENCE).unwrap_err();
        assert!(matches!(&error, ClientError::Lost { reason, .. } if reason.contains("closed")), "{error}");
    }
    let error = client.call::<peer::Poke>(&(), PATIENCE).unwrap_err();
    assert!(matches!(error, ClientError::Lost { .. }), "{error}");
}

#[test]
fn a_daemon_that_stops_still_answers_the_call_that_stopped_it() {
    let stop = tokio_util::sync::CancellationToken::new();
    let told = stop.clone();
    let router = Router::new().on::<peer::Die, _>(move |()| {
        told.cancel();
        async { Ok(()) }
    });
    let mut daemon = Daemon::start(router);
    let client = daemon.client();
    let link = (stop, daemon.stop.clone());
    daemon.runtime.spawn(async move {
        link.0.cancelled().await;
        link.1.cancel();
    });
    client.call::<peer::Die>(&(), PATIENCE).unwrap();
    daemon.stop();
    assert!(!daemon.socket.exists());
}

#[test]
fn an_unknown_method_is_not_found_and_a_failure_says_why() {
    let router = Router::new()
        .on::<node::Status, _>(async |()| Err(Fault::failed("the disk is full")))
        .on::<peer::Poke, _>(async |()| Err(Fault::failed("only ours can say why")))
        .on::<node::Sync, _>(async |()| panic!("a mistake of ours"));
    let daemon = Daemon::start(router);
    let client = daemon.client();
    let error = client.call::<storage::DelBlock>(&hash(), PATIENCE).unwrap_err();
    assert_eq!(error.to_string(), "hbs2-peer refused storage.del-block: the daemon does not know this call");
    assert!(error.hint().contains("different versions"));
    let error = client.call::<node::Status>(&(), PATIENCE).unwrap_err();
    assert_eq!(error.to_string(), "hbs2-peer refused node.status: the disk is full");
    let error = client.call::<peer::Poke>(&(), PATIENCE).unwrap_err();
    assert!(matches!(error, ClientError::Refused { fault: Fault::BadResponse, .. }), "{error}");
    let error = client.call::<node::Sync>(&(), PATIENCE).unwrap_err();
    assert!(error.to_string().contains("made a mistake"), "{error}");
}

#[test]
fn more_calls_than_run_at_once_wait_for_their_turn() {
    let router = Router::new().on::<node::WaitPeers, _>(async |wait: node::PeersWait| {
        tokio::time::sleep(Duration::from_millis(wait.timeout_ms)).await;
        Ok(wait.count)
    });
    let daemon = Daemon::start(router);
    let client = daemon.client();
    let calls: Vec<_> = (0..CALLS_MAX as u64 * 2)
        .map(|count| client.begin::<node::WaitPeers>(&node::PeersWait { count, timeout_ms: 5 }))
        .collect();
    for (count, call) in calls.into_iter().enumerate() {
        assert_eq!(call.wait(PATIENCE).unwrap(), count as u64);
    }
}

#[test]
fn an_input_beyond_the_frame_is_refused_before_it_is_sent() {
    let daemon = Daemon::start(hashing());
    let client = daemon.client();
    let block = Bytes::from(vec![0; hbs2_rpc::frame::FRAME_BYTES_MAX]);
    let error = client.call::<storage::PutBlock>(&block, PATIENCE).unwrap_err();
    assert!(matches!(error, ClientError::TooLarge { .. }), "{error}");
    assert!(client.call::<storage::PutBlock>(&Bytes::new(), PATIENCE).is_ok());
}

#[test]
fn a_client_finds_the_first_socket_with_a_daemon() {
    let daemon = Daemon::start(hashing());
    let path = SocketPath { environment: Some(daemon.socket.clone()), ..SocketPath::default() };
    assert_eq!(Client::find(&path, PATIENCE).unwrap().socket(), daemon.socket);
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let path = SocketPath { option: Some(missing.clone()), ..SocketPath::default() };
    let error = Client::find(&path, PATIENCE).err().unwrap();
    assert_eq!(error.to_string(), format!("no hbs2-peer answers at {}", missing.display()));
    assert!(error.hint().contains("hbs2-peer run"));
}

#[test]
fn a_daemon_that_accepts_nobody_is_a_timeout_not_a_hang() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let client = Client::connect(&socket, PATIENCE).unwrap();
    let error = client.call::<peer::Poke>(&(), Duration::from_millis(30)).unwrap_err();
    assert!(matches!(error, ClientError::Timeout { .. }), "{error}");
    // More than the queue and the socket hold: the call that finds no room times out too.
    let block = Bytes::from(vec![0; 16 * 1024 * 1024]);
    let first = client.begin::<storage::PutBlock>(&block);
    let error = client.call::<storage::PutBlock>(&block, Duration::from_millis(30)).unwrap_err();
    assert!(matches!(error, ClientError::Timeout { .. }), "{error}");
    drop(first);
}
