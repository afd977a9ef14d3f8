//! A daemon that starts, meets another, and rests.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use hbs2_rpc::Client;
use hbs2_rpc::bulk::Upload;
use hbs2_testkit::{Daemon, Home, Random, free_address};

use super::figures::{Bar, Row, median};
use super::plain;
use super::{World, bounded, linked};

/// Blocks in the store of a daemon whose start is measured.
const STORED_BLOCKS: usize = 20_000;

/// The tree that a fresh peer fetches, in bytes.
const FRESH_BYTES: u64 = 1 << 20;

pub(crate) fn run(world: &World) -> Result<Vec<Row>> {
    let [mut started, mut met, mut fetched, mut idle] = [const { Vec::new() }; 4];
    let file = world.path("peers-file");
    for round in 0..world.rounds {
        let at = [free_address()?, free_address()?];
        let first = world.home(&format!("peers-first-{round}"))?;
        let _daemon = Daemon::start_at(&first, at[0], &[at[1]], "")?;
        plain::make_file(&file, FRESH_BYTES, round as u64)?;
        let hash = first.call("hbs2").arg("store").arg(&file).ok()?.text();

        let second = world.home(&format!("peers-second-{round}"))?;
        second.call("hbs2-peer").arg("init").ok()?;
        let began = Instant::now();
        let daemon = Daemon::start_at(&second, at[1], &[at[0]], "")?;
        linked(&second)?;
        met.push(began.elapsed().as_secs_f64());
        idle.push(daemon.memory_kib("VmRSS")? as f64 / 1024.0);

        let fresh = world.home(&format!("peers-fresh-{round}"))?;
        fresh.call("hbs2-peer").arg("init").ok()?;
        let began = Instant::now();
        let _fresh_daemon = Daemon::start(&fresh, &[at[0]])?;
        bounded(fresh.call("hbs2-peer").args(["fetch", "-p", &hash])).ok()?;
        fetched.push(began.elapsed().as_secs_f64());
    }
    let full = world.home("peers-full")?;
    let mut daemon = Daemon::start(&full, &[])?;
    fill(&full, if world.quick { STORED_BLOCKS / 10 } else { STORED_BLOCKS })?;
    for _ in 0..world.rounds {
        daemon.restart()?;
        started.push(daemon.started_in().as_secs_f64() * 1000.0);
    }
    Ok(vec![
        Row::new(
            "two that list each other are linked after the second's start",
            median(&met),
            "s",
            Bar::AtMost(1.0),
        ),
        Row::new("a fresh peer has 1 MiB after its start", median(&fetched), "s", Bar::AtMost(1.0)),
        Row::new("a linked daemon at rest", median(&idle), "MiB", Bar::AtMost(30.0)),
        Row::new("start until `poke` answers, 20,000 blocks", median(&started), "ms", Bar::AtMost(100.0)),
    ])
}

fn fill(home: &Home, blocks: usize) -> Result<()> {
    const BLOCK_BYTES: usize = 4096;
    let client = Client::connect(&home.join("run/hbs2-rpc.socket"), Duration::from_secs(5))?;
    let mut upload = Upload::new(&client, Duration::from_secs(60));
    let mut noise = Random::new(7);
    for _ in 0..blocks {
        let block = noise.bytes(BLOCK_BYTES);
        upload.put(Bytes::from(block))?;
    }
    upload.finish().context("cannot fill the store")
}
