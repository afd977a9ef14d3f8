//! Trees from peer to peer, beside a plain TCP copy of the same file.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hbs2_core::tree::Shape;
use hbs2_core::tree::build::{build, build_data};
use hbs2_rpc::Client;
use hbs2_rpc::bulk::Upload;
use hbs2_testkit::{Daemon, Home, Random};

use super::figures::{Bar, Row, median, speed};
use super::plain;
use super::{DEADLINE_SECONDS, World, bounded, peak_mib};

/// The size of one file of the tree of trees, in bytes.
const SMALL_BYTES: usize = 10_000;

pub(crate) fn run(world: &World) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let sizes: &[(u64, usize)] = match (world.quick, world.huge) {
        (true, _) => &[(64 << 20, 1)],
        (_, false) => &[(256 << 20, world.rounds)],
        (_, true) => &[(256 << 20, world.rounds), (1 << 30, 1)],
    };
    for &(bytes, rounds) in sizes {
        let [(has, has_daemon), (wants, wants_daemon)] = world.pair(&format!("tree-{}", bytes >> 20))?;
        rows.push(transfer(world, &has, &wants, bytes, rounds)?);
        rows.extend(memory(&format!("{} MiB", bytes >> 20), &has_daemon, &wants_daemon)?);
    }
    let [(has, has_daemon), (wants, wants_daemon)] = world.pair("tree-small")?;
    let files = if world.quick { 1_000 } else { 10_000 };
    let mut seconds = Vec::new();
    for round in 0..world.rounds {
        let root = store_many(&has, files, round as u64)?;
        seconds.push(fetch(&wants, &root)?.as_secs_f64());
    }
    let what = format!("a tree of {files} files of 10 KB");
    rows.push(Row::new(what, median(&seconds), "s", Bar::AtMost(15.0)));
    rows.extend(memory("small files", &has_daemon, &wants_daemon)?);
    Ok(rows)
}

fn transfer(world: &World, has: &Home, wants: &Home, bytes: u64, rounds: usize) -> Result<Row> {
    let (file, copy) = (world.path("tree-file"), world.path("tree-copy"));
    let [mut ours, mut tcp] = [const { Vec::new() }; 2];
    for round in 0..rounds {
        plain::make_file(&file, bytes, bytes + round as u64)?;
        let hash = bounded(has.call("hbs2").arg("store").arg(&file)).ok()?.text();
        ours.push(speed(bytes, fetch(wants, &hash)?));
        tcp.push(speed(bytes, plain::copy_over_tcp(&file, &copy)?));
        let same = format!("hbs2 cat {hash} | cmp - {}", file.display());
        let same = bounded(wants.call("sh").args(["-c", &same])).run()?.status.success();
        ensure!(same, "the tree {hash} differs after its transfer");
    }
    let what = format!("a tree of {} MiB from peer to peer", bytes >> 20);
    Ok(Row::new(what, median(&ours), "MB/s", Bar::AtLeast(150.0)).beside("plain TCP", median(&tcp)))
}

/// Fetches a tree and waits until it is complete.
fn fetch(wants: &Home, hash: &str) -> Result<Duration> {
    Ok(bounded(wants.call("hbs2-peer").args(["fetch", "-p", hash])).ok()?.took)
}

fn memory(what: &str, has: &Daemon, wants: &Daemon) -> Result<[Row; 2]> {
    let row = |who: &str, mib| Row::new(format!("{who} daemon, {what}"), mib, "MiB", Bar::AtMost(100.0));
    Ok([row("the serving", peak_mib(has)?), row("the fetching", peak_mib(wants)?)])
}

/// Stores many small files and a tree whose leaves name them; a process for each file would measure processes.
fn store_many(home: &Home, files: usize, seed: u64) -> Result<String> {
    let client = Client::connect(&home.join("run/hbs2-rpc.socket"), Duration::from_secs(5))?;
    let mut upload = Upload::new(&client, Duration::from_secs(DEADLINE_SECONDS));
    let mut noise = Random::new(!seed);
    let mut blocks = Vec::new();
    let mut roots = Vec::new();
    for _ in 0..files {
        let content: Vec<u8> = noise.bytes(SMALL_BYTES);
        roots.push(build_data(&Bytes::from(content), |_, block| blocks.push(block)));
        for block in blocks.drain(..) {
            upload.put(block)?;
        }
    }
    let root = build(Shape::DATA, &roots, |_, block| blocks.push(block));
    for block in blocks {
        upload.put(block)?;
    }
    upload.finish().context("cannot store the small files")?;
    Ok(root.to_string())
}
