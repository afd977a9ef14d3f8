//! Two UDP carriers, or one and a bare socket, on the loopback.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use hbs2_core::addr::PeerAddr;
use hbs2_net::udp::DATAGRAM_BYTES_MAX;
use hbs2_net::{DialFailure, Direction, Event, Lane, LinkId, Refused, Udp};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Longest wait for anything in these tests; what they wait for takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

struct Side {
    udp: Udp,
    events: mpsc::Receiver<Event>,
}

impl Side {
    fn start() -> Self {
        let (sender, events) = mpsc::channel(64);
        Self { udp: Udp::start(SocketAddr::from(([127, 0, 0, 1], 0)), sender).unwrap(), events }
    }

    /// The next event that is not a report of written bytes.
    async fn next(&mut self) -> Event {
        loop {
            let event = timeout(PATIENCE, self.events.recv()).await.expect("an event is due").unwrap();
            if !matches!(event, Event::Written { .. }) {
                return event;
            }
        }
    }

    async fn opened(&mut self) -> (LinkId, PeerAddr, Direction) {
        match self.next().await {
            Event::Opened { link, remote, direction } => (link, remote, direction),
            other => panic!("expected an open link, got {other:?}"),
        }
    }

    async fn received(&mut self) -> (LinkId, Bytes) {
        match self.next().await {
            Event::Received { link, frame } => (link, frame.bytes().clone()),
            other => panic!("expected a datagram, got {other:?}"),
        }
    }

    fn send(&self, link: LinkId, bytes: &'static [u8]) {
        self.udp.send(link, Lane::Control, vec![Bytes::from_static(bytes)]).unwrap();
    }
}

#[tokio::test]
async fn a_link_begins_with_the_first_datagram_and_answers_go_back() {
    let (mut alice, mut bob) = (Side::start(), Side::start());
    alice.udp.dial(bob.udp.listen_address());
    let (to_bob, remote, direction) = alice.opened().await;
    assert_eq!((remote.socket, direction), (bob.udp.listen_address(), Direction::Outbound));
    alice.send(to_bob, b"hello");
    let (to_alice, remote, direction) = bob.opened().await;
    assert_eq!((remote.socket, direction), (alice.udp.listen_address(), Direction::Inbound));
    assert_eq!(bob.received().await, (to_alice, Bytes::from_static(b"hello")));
    let parts = [Bytes::from_static(b"wel"), Bytes::from_static(b"come")];
    bob.udp.send(to_alice, Lane::Bulk, parts.to_vec()).unwrap();
    assert_eq!(alice.received().await, (to_bob, Bytes::from_static(b"welcome")));
}

#[tokio::test]
async fn an_address_that_is_a_link_is_not_dialled_twice_and_may_come_back_when_closed() {
    let mut alice = Side::start();
    let bare = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    bare.send_to(b"one", alice.udp.listen_address()).await.unwrap();
    let (link, _, _) = alice.opened().await;
    assert_eq!(alice.received().await.1, "one");
    alice.udp.dial(bare.local_addr().unwrap());
    match alice.next().await {
        Event::DialFailed { failure: DialFailure::Duplicate { link: known }, .. } => assert_eq!(known, link),
        other => panic!("unexpected {other:?}"),
    }
    alice.udp.close(link);
    assert!(matches!(alice.next().await, Event::Closed { link: closed, .. } if closed == link));
    let refused = alice.udp.send(link, Lane::Control, vec![Bytes::from_static(b"x")]);
    assert_eq!(refused, Err(Refused::Closed));
    bare.send_to(b"two", alice.udp.listen_address()).await.unwrap();
    assert_ne!(alice.opened().await.0, link);
}

#[tokio::test]
async fn what_cannot_be_sent_stops_nothing() {
    let (mut alice, mut bob) = (Side::start(), Side::start());
    for nowhere in [([255, 255, 255, 255], 1), ([127, 0, 0, 1], 1), ([240, 0, 0, 1], 9)] {
        alice.udp.dial(SocketAddr::from(nowhere));
        let (link, _, _) = alice.opened().await;
        alice.send(link, b"is anybody there");
    }
    alice.udp.dial(bob.udp.listen_address());
    let (to_bob, _, _) = alice.opened().await;
    let long = Bytes::from(vec![0; DATAGRAM_BYTES_MAX + 1]);
    let refused = alice.udp.send(to_bob, Lane::Bulk, vec![long]);
    assert_eq!(refused, Err(Refused::TooLong { bytes: DATAGRAM_BYTES_MAX + 1 }));
    alice.send(to_bob, b"hello");
    bob.opened().await;
    assert_eq!(bob.received().await.1, "hello");
}

#[tokio::test]
async fn a_full_queue_refuses_and_drains_in_turns() {
    let (mut alice, mut bob) = (Side::start(), Side::start());
    alice.udp.dial(bob.udp.listen_address());
    let (to_bob, _, _) = alice.opened().await;
    let datagram = Bytes::from(vec![7; 60_000]);
    let mut queued = 0;
    while alice.udp.send(to_bob, Lane::Bulk, vec![datagram.clone()]).is_ok() {
        queued += datagram.len();
    }
    let refused = alice.udp.send(to_bob, Lane::Bulk, vec![datagram.clone()]);
    assert!(matches!(refused, Err(Refused::Full { .. })), "{refused:?}");
    let mut written = 0;
    while written < queued {
        match timeout(PATIENCE, alice.events.recv()).await.unwrap().unwrap() {
            Event::Written { bytes, .. } => written += bytes,
            other => panic!("unexpected {other:?}"),
        }
    }
    bob.opened().await;
    assert_eq!(bob.received().await.1.len(), 60_000);
}
