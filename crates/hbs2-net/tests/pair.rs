//! Two carriers, or one carrier and a bare socket, on the loopback.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use hbs2_core::addr::PeerAddr;
use hbs2_net::frame::{self, FRAME_BYTES_MAX};
use hbs2_net::{CloseReason, DialFailure, Direction, Event, Lane, LinkId, Options, Refused, Tcp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Longest wait for anything in these tests; what they wait for takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

struct Side {
    tcp: Tcp,
    events: mpsc::Receiver<Event>,
}

impl Side {
    fn start() -> Self {
        let (sender, events) = mpsc::channel(64);
        let listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        Self { tcp: Tcp::start(Options { listen }, sender).unwrap(), events }
    }

    fn address(&self) -> SocketAddr {
        self.tcp.listen_address().unwrap()
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

    async fn opened(&mut self) -> (LinkId, Direction) {
        match self.next().await {
            Event::Opened { link, direction, .. } => (link, direction),
            other => panic!("expected an open link, got {other:?}"),
        }
    }

    async fn received(&mut self) -> Bytes {
        match self.next().await {
            Event::Received { frame, .. } => frame.bytes().clone(),
            other => panic!("expected a frame, got {other:?}"),
        }
    }

    async fn closed(&mut self) -> CloseReason {
        match self.next().await {
            Event::Closed { reason, .. } => reason,
            other => panic!("expected a closed link, got {other:?}"),
        }
    }
}

async fn pair() -> (Side, LinkId, Side, LinkId) {
    let (mut alice, mut bob) = (Side::start(), Side::start());
    alice.tcp.dial(bob.address());
    let (to_bob, direction) = alice.opened().await;
    assert_eq!(direction, Direction::Outbound);
    let (to_alice, direction) = bob.opened().await;
    assert_eq!(direction, Direction::Inbound);
    (alice, to_bob, bob, to_alice)
}

/// A bare socket that has exchanged cookies with `side`.
async fn stranger(side: &Side, cookie: u32) -> TcpStream {
    let mut socket = TcpStream::connect(side.address()).await.unwrap();
    socket.write_u32(cookie).await.unwrap();
    socket.read_u32().await.unwrap();
    socket
}

fn pattern(bytes: usize) -> Bytes {
    (0..bytes).map(|i| (i % 251) as u8).collect()
}

#[tokio::test]
async fn frames_of_all_sizes_arrive_whole_and_in_order_in_both_directions() {
    let (mut alice, to_bob, mut bob, to_alice) = pair().await;
    let sizes = [0, 1, 100, 4096, 4097, 32_900, 65_600, 100_000, FRAME_BYTES_MAX];
    for bytes in sizes {
        let data = pattern(bytes);
        let half = bytes / 2;
        alice.tcp.send(to_bob, Lane::Bulk, vec![data.slice(..half), data.slice(half..)]).unwrap();
        assert!(bob.received().await == data, "{bytes} bytes");
        bob.tcp.send(to_alice, Lane::Control, vec![data.clone()]).unwrap();
        assert!(alice.received().await == data, "{bytes} bytes back");
    }
}

#[tokio::test]
async fn what_was_written_is_reported_to_the_byte() {
    let (mut alice, to_bob, mut bob, _) = pair().await;
    let data = pattern(60_000);
    for _ in 0..50 {
        alice.tcp.send(to_bob, Lane::Bulk, vec![data.clone()]).unwrap();
    }
    let counting = async {
        let mut sum = 0;
        while sum < 50 * 60_000 {
            match alice.events.recv().await.unwrap() {
                Event::Written { bytes, .. } => sum += bytes,
                other => panic!("unexpected {other:?}"),
            }
        }
        sum
    };
    let taking = async {
        for _ in 0..50 {
            bob.received().await;
        }
    };
    let (sum, ()) = timeout(PATIENCE, async { tokio::join!(counting, taking) }).await.unwrap();
    assert_eq!(sum, 50 * 60_000);
}

#[tokio::test]
async fn dialling_oneself_is_noticed() {
    let mut alice = Side::start();
    alice.tcp.dial(alice.address());
    match alice.next().await {
        Event::DialFailed { failure: DialFailure::Myself, .. } => {}
        other => panic!("unexpected {other:?}"),
    }
}

#[tokio::test]
async fn a_second_dial_names_the_link_that_is_there() {
    let (mut alice, to_bob, bob, _) = pair().await;
    alice.tcp.dial(bob.address());
    match alice.next().await {
        Event::DialFailed { failure: DialFailure::Duplicate { link }, .. } => assert_eq!(link, to_bob),
        other => panic!("unexpected {other:?}"),
    }
}

#[tokio::test]
async fn a_refused_connection_is_an_event() {
    let mut alice = Side::start();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    alice.tcp.dial(free);
    match alice.next().await {
        Event::DialFailed { address, failure: DialFailure::Socket(_) } => {
            assert_eq!(address, PeerAddr::tcp(free))
        }
        other => panic!("unexpected {other:?}"),
    }
}

#[tokio::test]
async fn two_sides_that_dial_at_once_keep_exactly_one_link() {
    for round in 0..100 {
        let (mut alice, mut bob) = (Side::start(), Side::start());
        alice.tcp.dial(bob.address());
        bob.tcp.dial(alice.address());
        // Both sides must settle on one link that carries frames both ways. Which events come before that
        // depends on the race; every one that is not listed here is wrong.
        let settle = async |side: &mut Side| {
            let (mut links, mut ended) = (Vec::new(), 0);
            while links.len() + ended < 2 || links.len() > 1 {
                match side.next().await {
                    Event::Opened { link, direction, .. } => links.push((link, direction)),
                    Event::Closed { link, reason: CloseReason::Replaced | CloseReason::Remote } => {
                        links.retain(|(open, _)| *open != link);
                        ended += 1;
                    }
                    Event::DialFailed { failure: DialFailure::Duplicate { .. }, .. } => ended += 1,
                    // The accepting side refused it before we had read its cookie.
                    Event::DialFailed { failure: DialFailure::Socket(_), .. } => ended += 1,
                    other => panic!("round {round}: unexpected {other:?}"),
                }
                // An inbound connection that is refused leaves no event on the refusing side.
                if links.len() == 1 && links[0].1 == Direction::Outbound {
                    break;
                }
            }
            links
        };
        let (at_alice, at_bob) = tokio::join!(settle(&mut alice), settle(&mut bob));
        let (at_alice, at_bob) = (at_alice[0], at_bob[0]);
        let send = |side: &Side, link: LinkId| side.tcp.send(link, Lane::Control, vec![pattern(10)]);
        // The settled choice may still be replaced by the other one; then the frame goes there.
        let _ = (send(&alice, at_alice.0), send(&bob, at_bob.0));
        let quiet = Duration::from_millis(1);
        let mut open = [vec![at_alice], vec![at_bob]];
        for (side, links) in [&mut alice, &mut bob].into_iter().zip(&mut open) {
            while let Ok(Some(event)) = timeout(quiet, side.events.recv()).await {
                match event {
                    Event::Opened { link, direction, .. } => links.push((link, direction)),
                    Event::Closed { link, .. } => links.retain(|(open, _)| *open != link),
                    _ => {}
                }
            }
        }
        assert_eq!((open[0].len(), open[1].len()), (1, 1), "round {round}: {open:?}");
        assert_ne!(open[0][0].1, open[1][0].1, "round {round}: both keep the same connection");
    }
}

#[tokio::test]
async fn a_probe_that_only_exchanges_cookies_leaves_the_carrier_as_it_was() {
    let (alice, to_bob, mut bob, _) = pair().await;
    drop(stranger(&bob, 77).await);
    bob.opened().await;
    assert_eq!(bob.closed().await, CloseReason::Remote);
    alice.tcp.send(to_bob, Lane::Control, vec![pattern(5)]).unwrap();
    assert_eq!(bob.received().await, pattern(5));
}

#[tokio::test]
async fn a_cookie_in_use_is_answered_and_closed_and_free_again_afterwards() {
    let mut alice = Side::start();
    let first = stranger(&alice, 77).await;
    alice.opened().await;
    let mut second = stranger(&alice, 77).await;
    assert_eq!(timeout(PATIENCE, second.read(&mut [0; 1])).await.unwrap().unwrap(), 0);
    drop(first);
    assert_eq!(alice.closed().await, CloseReason::Remote);
    let _third = stranger(&alice, 77).await;
    alice.opened().await;
}

#[tokio::test]
async fn an_oversized_frame_closes_the_link() {
    let mut alice = Side::start();
    let mut mallory = stranger(&alice, 77).await;
    alice.opened().await;
    mallory.write_all(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]).await.unwrap();
    assert!(matches!(alice.closed().await, CloseReason::Frame(_)));
}

#[tokio::test]
async fn garbage_of_any_kind_stops_nothing() {
    let mut alice = Side::start();
    for garbage in [&b""[..], b"x", b"GET / HTTP/1.1\r\n\r\n", &[0xff; 1000]] {
        let mut socket = TcpStream::connect(alice.address()).await.unwrap();
        socket.write_all(garbage).await.unwrap();
    }
    let mut friend = stranger(&alice, 77).await;
    friend.write_all(&frame::head(77, 3)).await.unwrap();
    friend.write_all(b"abc").await.unwrap();
    loop {
        match alice.next().await {
            Event::Received { frame, .. } if frame.bytes() == "abc" => break,
            Event::Opened { .. } | Event::Closed { .. } => {}
            other => panic!("unexpected {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_peer_that_does_not_read_fills_its_queue_and_nothing_else() {
    let mut alice = Side::start();
    let sleeper = stranger(&alice, 77).await;
    let (to_sleeper, _) = alice.opened().await;
    let mut reader = stranger(&alice, 78).await;
    let (to_reader, _) = alice.opened().await;
    let chunk = pattern(65_536);
    let refused = loop {
        if let Err(refused) = alice.tcp.send(to_sleeper, Lane::Bulk, vec![chunk.clone()]) {
            break refused;
        }
        tokio::task::yield_now().await;
    };
    assert!(matches!(refused, Refused::Full { .. }));
    alice.tcp.send(to_reader, Lane::Bulk, vec![pattern(3)]).unwrap();
    let mut answer = [0; 11];
    timeout(PATIENCE, reader.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer[8..], pattern(3));
    alice.tcp.close(to_sleeper);
    assert_eq!(alice.closed().await, CloseReason::Requested);
    assert_eq!(alice.tcp.send(to_sleeper, Lane::Bulk, vec![chunk]), Err(Refused::Closed));
    drop(sleeper);
}

#[tokio::test]
async fn a_receiver_that_takes_nothing_slows_the_sender_down() {
    let (alice, to_bob, bob, _) = pair().await;
    let chunk = pattern(65_536);
    // Bob's events are not taken, so bob's carrier stops reading and the bytes pile up at alice, up to the
    // limit of her queue.
    while alice.tcp.send(to_bob, Lane::Bulk, vec![chunk.clone()]).is_ok() {
        tokio::task::yield_now().await;
    }
    drop(bob);
}

#[tokio::test]
async fn what_was_queued_before_a_close_arrives() {
    let (mut alice, to_bob, mut bob, _) = pair().await;
    let data = pattern(1_000_000);
    alice.tcp.send(to_bob, Lane::Bulk, vec![data.clone()]).unwrap();
    alice.tcp.close(to_bob);
    assert!(bob.received().await == data);
    assert_eq!(bob.closed().await, CloseReason::Remote);
    assert_eq!(alice.closed().await, CloseReason::Requested);
}

#[tokio::test]
async fn shutdown_ends_all_tasks_at_once() {
    let (alice, _, mut bob, _) = pair().await;
    timeout(Duration::from_secs(2), alice.tcp.shutdown()).await.expect("nothing holds the shutdown up");
    assert_eq!(bob.closed().await, CloseReason::Remote);
}
