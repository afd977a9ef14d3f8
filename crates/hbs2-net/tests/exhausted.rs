//! A process without free file descriptors. Alone in its process, because it takes all of them.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::fs::File;
use std::net::SocketAddr;
use std::time::Duration;

use hbs2_net::{Event, Options, Tcp};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Longest wait; what the test waits for takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_carrier_that_cannot_accept_goes_on_when_it_can_again() {
    let (sender, mut events) = mpsc::channel(64);
    let listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    let tcp = Tcp::start(Options { listen }, sender).unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), ..getrlimit(Resource::Nofile) }).unwrap();
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    // The kernel connects; the carrier cannot accept.
    let mut stream = timeout(PATIENCE, socket.connect(tcp.listen_address().unwrap())).await.unwrap().unwrap();
    stream.write_u32(77).await.unwrap();
    let early = timeout(Duration::from_millis(100), stream.read_u32()).await;
    assert!(early.is_err(), "the connection is accepted without a descriptor: {early:?}");
    drop(taken);
    timeout(PATIENCE, stream.read_u32()).await.unwrap().unwrap();
    let event = timeout(PATIENCE, events.recv()).await.unwrap();
    assert!(matches!(event, Some(Event::Opened { .. })), "{event:?}");
}
