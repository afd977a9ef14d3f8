//! Several peers: news along a line, one reader with several sources, many polls, long reflogs.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hbs2_core::refkey::RefKind;
use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::{Hash, SignSecretKey};
use hbs2_rpc::Client;
use hbs2_rpc::api::node::{Guard, PostEntries, PostMany, Posted, RefName, RefWait, WaitRef};
use hbs2_rpc::api::peer::PollAdd;
use hbs2_rpc::api::reflog;
use hbs2_testkit::{Daemon, Home, free_address, until};

use super::figures::{Bar, Row, median};
use super::{World, bounded, plain};

/// Peers in the line.
const LINE: usize = 5;

/// Updates that travel along it.
const NEWS: u8 = 9;

/// What each source may send, in bytes per second.
const SOURCE_BYTES_PER_SECOND: u64 = 10_000_000;

/// Sources of the fast reader.
const SOURCES: usize = 3;

/// Reflogs that are polled.
const POLLS: usize = 1000;

/// Updates of the long reflog.
const LONG: usize = 100_000;

/// Updates posted at once.
const POST_AT_ONCE: usize = 4096;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn run(world: &World) -> Result<Vec<Row>> {
    let mut rows = vec![line(world)?, sources(world)?, polls(world)?];
    rows.extend(long(world)?);
    Ok(rows)
}

/// A key that no other bench has.
fn key(number: usize) -> SignSecretKey {
    SignSecretKey::from_seed(Hash::of(&number.to_le_bytes()).as_bytes())
}

fn update(key: &SignSecretKey, number: usize) -> ReflogUpdate {
    let mut nonce = [0; 24];
    nonce[..8].copy_from_slice(&number.to_le_bytes());
    ReflogUpdate::sign(key, nonce, Bytes::from_static(b"news"))
}

fn client(home: &Home) -> Result<Client> {
    Ok(Client::connect(&home.join("run/hbs2-rpc.socket"), Duration::from_secs(5))?)
}

fn poll(client: &Client, key: &SignSecretKey, minutes: u64) -> Result<()> {
    Ok(client.call::<PollAdd>(&(key.public(), "reflog".to_owned(), minutes), PATIENCE)?)
}

/// Waits until the reflog is another than `seen`.
fn news(client: &Client, key: &SignSecretKey, seen: Option<Hash>) -> Result<Option<Hash>> {
    let name = RefName { kind: RefKind::Reflog, key: key.public() };
    let value = client.call::<WaitRef>(&RefWait { name, seen, timeout_ms: 60_000 }, PATIENCE)?;
    ensure!(value != seen, "no news came");
    Ok(value)
}

/// From the post at the first until the last of the line has it. Each lets in its neighbours only.
fn line(world: &World) -> Result<Row> {
    let at: Vec<SocketAddr> = (0..LINE).map(|_| free_address()).collect::<Result<_, _>>()?;
    let mut peers = Vec::new();
    let mut keys = Vec::new();
    for (n, own) in at.iter().enumerate() {
        let home = world.home(&format!("line-{n}"))?;
        let known: Vec<SocketAddr> = n.checked_sub(1).map(|before| at[before]).into_iter().collect();
        let daemon = Daemon::start_at(&home, *own, &known, "")?;
        let listing = home.line("hbs2 keyring-list .config/hbs2-peer/default.key").ok()?.text();
        keys.push(listing.split_whitespace().nth(1).context("a keyring has a sign-key")?.to_owned());
        peers.push((home, daemon));
    }
    for (n, (_, daemon)) in peers.iter_mut().enumerate() {
        let mut config = fs::read_to_string(daemon.config())?;
        for neighbour in [n.checked_sub(1), Some(n + 1)].into_iter().flatten().filter_map(|n| keys.get(n)) {
            config += &format!("whitelist \"{neighbour}\"\n");
        }
        fs::write(daemon.config(), config)?;
        daemon.restart()?;
    }
    for (n, (home, _)) in peers.iter().enumerate() {
        let neighbours = if n == 0 || n == LINE - 1 { 1 } else { 2 };
        until("all of the line are linked", || {
            Ok(home.line("hbs2-peer peers").ok()?.text().lines().count() == neighbours)
        })?;
    }
    let (reflog, clients) = (key(0), peers.iter().map(|(home, _)| client(home)).collect::<Result<Vec<_>>>()?);
    clients.iter().try_for_each(|client| poll(client, &reflog, 60))?;
    let mut took = Vec::new();
    let mut seen = None;
    for number in 0..NEWS {
        let began = Instant::now();
        clients[0].call::<reflog::Post>(&update(&reflog, number.into()), PATIENCE)?;
        seen = news(&clients[LINE - 1], &reflog, seen)?;
        took.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(Row::new("a reflog update along a line of 5 peers", median(&took), "ms", Bar::AtMost(500.0)))
}

/// How much faster a reader is with three sources than with one, when each sends 10 MB/s at most.
fn sources(world: &World) -> Result<Row> {
    let bytes = if world.quick { 6 << 20 } else { 48 << 20 };
    let file = world.path("sources-file");
    plain::make_file(&file, bytes, 1)?;
    let mut took = [const { Vec::new() }; 2];
    for round in 0..world.rounds {
        for (which, count) in [(0, 1), (1, SOURCES)] {
            // New ones each time: from earlier readers they would know each other, and tell of ways around their doors.
            let (mut sources, mut doors, mut hash) = (Vec::new(), Vec::new(), String::new());
            for n in 0..count {
                let home = world.home(&format!("source-{n}-of-{count}-{round}"))?;
                let daemon = Daemon::start(&home, &[])?;
                hash = home.call("hbs2").arg("store").arg(&file).ok()?.text();
                doors.push(Door::open(daemon.address())?.address);
                sources.push(daemon);
            }
            let home = world.home(&format!("reader-{count}-{round}"))?;
            // Who cannot be dialled is reached through the doors only.
            let _daemon = Daemon::start_at(&home, free_address()?, &doors, "listen-tcp off\n")?;
            until("the reader has its sources", || {
                Ok(home.line("hbs2-peer peers").ok()?.text().lines().count() == count)
            })?;
            let began = Instant::now();
            bounded(home.call("hbs2-peer").args(["fetch", "-p", &hash])).ok()?;
            took[which].push(began.elapsed().as_secs_f64());
        }
    }
    let ratio = median(&took[0]) / median(&took[1]);
    let row = Row::new("3 sources of 10 MB/s serve one reader, × one source", ratio, "", Bar::AtLeast(2.0));
    Ok(row)
}

/// A way to a peer through which it sends so much and no more. Ends with the process.
struct Door {
    address: SocketAddr,
}

impl Door {
    fn open(peer: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let free = Arc::new(Mutex::new(Instant::now()));
        thread::spawn(move || {
            for inward in listener.incoming().map_while(Result::ok) {
                let Ok(outward) = TcpStream::connect(peer) else { continue };
                let (Ok(from), Ok(to)) = (inward.try_clone(), outward.try_clone()) else { continue };
                let free = Arc::clone(&free);
                thread::spawn(move || pass(inward, to, None));
                thread::spawn(move || pass(outward, from, Some(&free)));
            }
        });
        Ok(Self { address })
    }
}

/// Passes bytes on, at the rate of a source if there is a moment at which its line is free.
fn pass(mut from: TcpStream, mut to: TcpStream, free: Option<&Mutex<Instant>>) {
    let mut piece = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut piece) {
        if let Some(free) = free {
            let cost = Duration::from_nanos(count as u64 * 1_000_000_000 / SOURCE_BYTES_PER_SECOND);
            let mut free = free.lock().expect("waiting does not panic");
            *free = (*free).max(Instant::now()) + cost;
            let at = *free;
            drop(free);
            thread::sleep(at.saturating_duration_since(Instant::now()));
        }
        if to.write_all(&piece[..count]).is_err() {
            break;
        }
    }
    to.shutdown(Shutdown::Both).ok();
    from.shutdown(Shutdown::Both).ok();
}

/// What two peers that poll a thousand reflogs of each other every minute take of a core.
fn polls(world: &World) -> Result<Row> {
    let count = if world.quick { POLLS / 10 } else { POLLS };
    let pair = world.pair("polls")?;
    let clients = [client(&pair[0].0)?, client(&pair[1].0)?];
    for number in 0..count {
        let key = key(number);
        clients.iter().try_for_each(|client| poll(client, &key, 1))?;
        clients[0].call::<reflog::Post>(&update(&key, number), PATIENCE)?;
    }
    for number in 0..count {
        news(&clients[1], &key(number), None)?;
    }
    // A whole round of questions, after everything has come to rest.
    thread::sleep(Duration::from_secs(if world.quick { 1 } else { 10 }));
    let began = Instant::now();
    let before = [cpu_seconds(&pair[0].1)?, cpu_seconds(&pair[1].1)?];
    thread::sleep(Duration::from_secs(if world.quick { 2 } else { 120 }));
    let passed = began.elapsed().as_secs_f64();
    let after = [cpu_seconds(&pair[0].1)?, cpu_seconds(&pair[1].1)?];
    let busiest = (after[0] - before[0]).max(after[1] - before[1]);
    let part = 100.0 * busiest / passed;
    Ok(Row::new("1,000 reflogs polled each minute, at rest", part, "% of a core", Bar::AtMost(1.0)))
}

/// What a process has used of the processors, in seconds.
fn cpu_seconds(daemon: &Daemon) -> Result<f64> {
    /// The system counts in hundredths of a second, on every architecture we run on.
    const TICKS_PER_SECOND: f64 = 100.0;
    let text = fs::read_to_string(format!("/proc/{}/stat", daemon.pid()))?;
    let (_, fields) = text.rsplit_once(')').context("a process has a name in brackets")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / TICKS_PER_SECOND)
}

/// One more update of a reflog of a hundred thousand, and a restart with it.
fn long(world: &World) -> Result<[Row; 2]> {
    let count = if world.quick { LONG / 20 } else { LONG };
    let home = world.home("long")?;
    let mut daemon = Daemon::start(&home, &[])?;
    let reflog = key(0);
    let filler = client(&home)?;
    poll(&filler, &reflog, 60)?;
    let mut next = 0;
    while next < count {
        let end = count.min(next + POST_AT_ONCE);
        let updates = (next..end).map(|number| update(&reflog, number)).collect();
        let posted = filler.call::<PostMany>(&PostEntries { updates, guard: Guard::Any }, PATIENCE)?;
        ensure!(matches!(posted, Posted::Done(_)), "the reflog was not filled");
        next = end;
    }
    let post = |client: &Client, number: usize| -> Result<f64> {
        let began = Instant::now();
        client.call::<reflog::Post>(&update(&reflog, number), PATIENCE)?;
        Ok(began.elapsed().as_secs_f64() * 1000.0)
    };
    let mut merged = Vec::new();
    for number in 0..15 {
        merged.push(post(&filler, count + number)?);
    }
    drop(filler);
    let mut restarted = Vec::new();
    for round in 0..world.rounds {
        daemon.stop()?;
        let began = Instant::now();
        daemon.restart()?;
        // The log is read when it is needed first.
        post(&client(&home)?, count + 1000 + round)?;
        restarted.push(began.elapsed().as_secs_f64());
    }
    let what = "of a reflog with 100,000 updates";
    Ok([
        Row::new(format!("one more update {what}"), median(&merged), "ms", Bar::AtMost(50.0)),
        Row::new(format!("restart and one more update {what}"), median(&restarted), "s", Bar::AtMost(2.0)),
    ])
}
