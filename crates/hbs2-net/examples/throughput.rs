//! How fast one link is on the loopback: frames of 64 KiB from one carrier to another in the same process.
//!
//! `cargo run --release -p hbs2-net --example throughput [MEBIBYTES]`
#![allow(clippy::unwrap_used, reason = "a measurement that fails should stop")]

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use hbs2_net::{Event, Lane, Options, Tcp};
use tokio::sync::mpsc;

/// Payload of a frame, in bytes.
const FRAME_BYTES: usize = 64 * 1024;

/// What may wait on the link, in bytes.
const WINDOW_BYTES: usize = 2 * 1024 * 1024;

fn main() {
    let mebibytes: usize = std::env::args().nth(1).map_or(1024, |word| word.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure(mebibytes * 1024 * 1024));
}

async fn measure(total: usize) {
    let listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    let (sender, mut bob_events) = mpsc::channel(256);
    let bob = Tcp::start(Options { listen }, sender).unwrap();
    let (sender, mut alice_events) = mpsc::channel(256);
    let alice = Tcp::start(Options::default(), sender).unwrap();
    alice.dial(bob.listen_address().unwrap());
    let Some(Event::Opened { link, .. }) = alice_events.recv().await else { panic!("no link") };

    let begin = Instant::now();
    let sending = tokio::spawn(async move {
        let frame = Bytes::from(vec![7; FRAME_BYTES]);
        let (mut sent, mut written) = (0, 0);
        while written < total {
            while sent < total && sent - written < WINDOW_BYTES {
                alice.send(link, Lane::Bulk, vec![frame.clone()]).unwrap();
                sent += FRAME_BYTES;
            }
            match alice_events.recv().await.unwrap() {
                Event::Written { bytes, .. } => written += bytes,
                other => panic!("unexpected {other:?}"),
            }
        }
        alice
    });
    let mut received = 0;
    while received < total {
        if let Event::Received { frame, .. } = bob_events.recv().await.unwrap() {
            received += frame.bytes().len();
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!("{} MiB in {seconds:.3} s: {:.0} MB/s", total >> 20, total as f64 / 1e6 / seconds);
    sending.await.unwrap();
}
