//! Limits of both carriers, on the loopback.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::addr::PeerAddr;
use hbs2_net::{Event, Lane, Limits, LinkId, Listen, Net};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Longest wait for anything in these tests.
const PATIENCE: Duration = Duration::from_secs(20);

struct Side {
    net: Net,
    events: mpsc::Receiver<Event>,
}

impl Side {
    fn start(limits: &Limits) -> Self {
        let (sender, events) = mpsc::channel(64);
        let anywhere = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        let net = Net::start(Listen { tcp: anywhere, udp: anywhere, group: None }, sender).unwrap();
        net.limit(limits);
        Self { net, events }
    }

    async fn next(&mut self) -> Event {
        timeout(PATIENCE, self.events.recv()).await.expect("an event is due").unwrap()
    }

    async fn opened(&mut self) -> LinkId {
        loop {
            if let Event::Opened { link, .. } = self.next().await {
                return link;
            }
        }
    }

    /// Takes frames until so many bytes have come.
    async fn receive(&mut self, bytes: usize) {
        let mut left = bytes;
        while left > 0 {
            if let Event::Received { frame, .. } = self.next().await {
                left = left.saturating_sub(frame.bytes().len());
            }
        }
    }
}

/// How long a megabyte takes from one side to the other over TCP, in chunks of 50 KB.
async fn megabyte(sender: &Limits, receiver: &Limits) -> Duration {
    let (mut alice, mut bob) = (Side::start(sender), Side::start(receiver));
    alice.net.dial(PeerAddr::tcp(bob.net.listen_tcp().unwrap()));
    let to_bob = alice.opened().await;
    bob.opened().await;
    let begin = Instant::now();
    for _ in 0..20 {
        alice.net.send(to_bob, Lane::Bulk, vec![Bytes::from(vec![7; 50_000])]).unwrap();
    }
    bob.receive(1_000_000).await;
    begin.elapsed()
}

#[tokio::test]
async fn a_limit_of_bandwidth_holds_in_either_direction_and_none_is_none() {
    let free = Limits::default();
    let slow_up = Limits { upload: Some(1_000_000), ..free };
    let slow_down = Limits { download: Some(1_000_000), ..free };
    let expected = Duration::from_millis(700)..Duration::from_millis(5000);
    for (sender, receiver) in [(&slow_up, &free), (&free, &slow_down)] {
        let took = megabyte(sender, receiver).await;
        assert!(expected.contains(&took), "a megabyte at a megabyte a second took {took:?}");
    }
    assert!(megabyte(&free, &free).await < expected.start);
}

#[tokio::test]
async fn a_limit_of_bandwidth_holds_over_datagrams_too() {
    let free = Limits::default();
    let slow = Limits { upload: Some(200_000), ..free };
    let (mut alice, mut bob) = (Side::start(&slow), Side::start(&free));
    alice.net.dial(PeerAddr::udp(bob.net.listen_udp().unwrap()));
    let to_bob = alice.opened().await;
    let begin = Instant::now();
    for _ in 0..200 {
        alice.net.send(to_bob, Lane::Bulk, vec![Bytes::from(vec![7; 1_000])]).unwrap();
    }
    bob.receive(190_000).await;
    assert!(begin.elapsed() > Duration::from_millis(650), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn one_address_has_a_limit_of_connections_that_may_change() {
    let few = Limits { links_per_address_max: 2, ..Limits::default() };
    let mut alice = Side::start(&few);
    let address = PeerAddr::tcp(alice.net.listen_tcp().unwrap());
    let mut others = Vec::new();
    for _ in 0..2 {
        let mut other = Side::start(&Limits::default());
        other.net.dial(address);
        other.opened().await;
        alice.opened().await;
        others.push(other);
    }
    let mut third = Side::start(&Limits::default());
    third.net.dial(address);
    assert!(matches!(third.next().await, Event::DialFailed { .. }));
    alice.net.limit(&Limits::default());
    third.net.dial(address);
    third.opened().await;
}
