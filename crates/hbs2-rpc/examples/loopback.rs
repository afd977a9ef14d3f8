//! How fast blocks cross the socket, with nothing behind it: `cargo run --release -p hbs2-rpc --example
//! loopback`. The figures of `docs/spec/rpc.md` come from here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::Hash;
use hbs2_rpc::api::{node, peer};
use hbs2_rpc::bulk::{Download, Upload};
use hbs2_rpc::{Client, Listener, Router, serve};
use tokio_util::sync::CancellationToken;

const BLOCK_BYTES: usize = 256 * 1024;
const BLOCKS: usize = 4096;
const CALLS: u32 = 10_000;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let socket = std::env::temp_dir().join(format!("hbs2-loopback-{}", std::process::id()));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let stop = CancellationToken::new();
    let listener = {
        let _guard = runtime.enter();
        Listener::bind(&socket)?
    };
    let block = Bytes::from(vec![7; BLOCK_BYTES]);
    let served = block.clone();
    let name = Hash::of(b"any");
    let router = Router::new()
        .on::<peer::Poke, _>(async |()| Ok(String::new()))
        .on::<node::Sync, _>(async |()| Ok(()))
        .on::<node::StageMany, _>(move |blocks: Vec<Bytes>| async move { Ok(vec![name; blocks.len()]) })
        .on::<node::GetMany, _>(move |hashes: Vec<Hash>| {
            let block = served.clone();
            async move { Ok(vec![Some(block); hashes.len()]) }
        });
    let server = runtime.spawn(serve(listener, Arc::new(router), stop.clone()));

    let started = Instant::now();
    let client = Client::connect(&socket, PATIENCE)?;
    client.call::<peer::Poke>(&(), PATIENCE)?;
    println!("connect and first answer  {:>8.1} µs", started.elapsed().as_secs_f64() * 1e6);

    let started = Instant::now();
    for _ in 0..CALLS {
        client.call::<peer::Poke>(&(), PATIENCE)?;
    }
    println!(
        "one call after the other  {:>8.1} µs each",
        started.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS)
    );

    let started = Instant::now();
    let calls: Vec<_> = (0..CALLS).map(|_| client.begin::<peer::Poke>(&())).collect();
    for call in calls {
        call.wait(PATIENCE)?;
    }
    println!(
        "pipelined calls           {:>8.1} µs each",
        started.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS)
    );

    for _ in 0..3 {
        let started = Instant::now();
        let mut upload = Upload::new(&client, PATIENCE);
        for _ in 0..BLOCKS {
            upload.put(block.clone())?;
        }
        upload.finish()?;
        println!("upload                    {:>8.0} MB/s", rate(started));

        let started = Instant::now();
        for got in Download::new(&client, std::iter::repeat_n(name, BLOCKS), PATIENCE) {
            assert_eq!(got?.1.map(|block| block.len()), Some(BLOCK_BYTES));
        }
        println!("download                  {:>8.0} MB/s", rate(started));
    }
    stop.cancel();
    runtime.block_on(server)?;
    Ok(())
}

fn rate(started: Instant) -> f64 {
    (BLOCK_BYTES * BLOCKS) as f64 / 1e6 / started.elapsed().as_secs_f64()
}
