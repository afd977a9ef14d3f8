//! How fast a tree travels from one daemon to another on the loopback, and what memory and time both need.
//!
//! `cargo run --release -p hbs2-node --example transfer -- [MEBIBYTES] [BLOCK_BYTES]`
//!
//! Two child processes are the daemons; this process is their client. With BLOCK_BYTES the tree has blocks of that
//! size instead of the usual 256 KiB.
#![allow(clippy::unwrap_used, reason = "a measurement that fails should stop")]

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::refkey::RefKind;
use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::tree::Shape;
use hbs2_core::tree::build::build;
use hbs2_core::{Hash, SignSecretKey};
use hbs2_node::Options;
use hbs2_rpc::api::node::{PeersWait, RefName, RefWait, Status, TreeWait, WaitPeers, WaitRef, WaitTree};
use hbs2_rpc::api::peer::{Poke, PollAdd};
use hbs2_rpc::api::reflog::Post;
use hbs2_rpc::bulk::Upload;
use hbs2_rpc::client::Client;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(300);

/// Entries posted to measure how soon they are seen.
const POSTS: u8 = 21;

/// After this long without work the daemons have given back what they can.
const QUIET: Duration = Duration::from_secs(12);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["daemon", dir] => daemon(Path::new(dir)),
        [] => measure(256, 256 * 1024),
        [mebibytes] => measure(mebibytes.parse().unwrap(), 256 * 1024),
        [mebibytes, block, ..] => measure(mebibytes.parse().unwrap(), block.parse().unwrap()),
    }
}

/// Runs a daemon until its parent closes the pipe.
fn daemon(dir: &Path) {
    let stop = CancellationToken::new();
    let stopper = stop.clone();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0; 1]);
        stopper.cancel();
    });
    let options = Options { config_dir: Some(dir.to_owned()), ..Options::default() };
    hbs2_node::run(&options, stop.cancelled_owned(), |_, _| {}).unwrap();
}

struct Peer {
    dir: tempfile::TempDir,
    child: Child,
    client: Client,
}

impl Peer {
    fn start(known: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        hbs2_node::config::init(dir.path()).unwrap();
        let known = known.map_or(String::new(), |address| format!("known-peer \"{address}\"\n"));
        let text = "listen off\nbootstrap-dns off\nlisten-tcp \"127.0.0.1:0\"\nstorage \"./storage\"\nrpc unix \"./rpc.socket\"\n";
        fs::write(dir.path().join("config"), format!("{text}{known}")).unwrap();
        let (child, client, _) = spawn(dir.path());
        Self { dir, child, client }
    }

    fn restart(&mut self) -> Duration {
        end(&mut self.child);
        let (child, client, took) = spawn(self.dir.path());
        (self.child, self.client) = (child, client);
        took
    }

    fn address(&self) -> String {
        let text = self.client.call::<Poke>(&(), PATIENCE).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("tcp: ")).unwrap();
        line.trim_matches('"').to_owned()
    }

    /// A value of `/proc/PID/status` in MiB.
    fn memory(&self, name: &str) -> f64 {
        memory(self.child.id(), name)
    }

    /// Seconds of processor time so far.
    fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
    }
}

fn memory(pid: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// Starts a daemon; the time is that until it answers.
#[allow(
    clippy::zombie_processes,
    reason = "whoever takes the child waits for it; a failure ends the measurement"
)]
fn spawn(dir: &Path) -> (Child, Client, Duration) {
    let begin = Instant::now();
    let program = std::env::current_exe().unwrap();
    let child = Command::new(program).arg("daemon").arg(dir).stdin(Stdio::piped()).spawn().unwrap();
    loop {
        if let Ok(client) = Client::connect(&dir.join("rpc.socket"), PATIENCE)
            && client.call::<Poke>(&(), PATIENCE).is_ok()
        {
            return (child, client, begin.elapsed());
        }
        assert!(begin.elapsed() < PATIENCE, "the daemon does not answer");
        std::thread::sleep(Duration::from_micros(500));
    }
}

fn end(child: &mut Child) {
    drop(child.stdin.take());
    child.wait().unwrap();
}

impl Drop for Peer {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn noise(seed: u64, bytes: usize) -> Bytes {
    hbs2_testkit::noise(seed, bytes).into()
}

fn measure(mebibytes: usize, block_bytes: usize) {
    let total = mebibytes << 20;
    let mut alice = Peer::start(None);
    println!("idle        A {:6.1} MiB", alice.memory("VmRSS"));

    let begin = Instant::now();
    let root = fill(&alice.client, total, block_bytes);
    let seconds = begin.elapsed().as_secs_f64();
    println!("stored      {mebibytes} MiB in {seconds:.2} s: {:.0} MB/s", total as f64 / 1e6 / seconds);
    println!(
        "            A {:6.1} MiB resident, {:.1} at most",
        alice.memory("VmRSS"),
        alice.memory("VmHWM")
    );
    let took = alice.restart();
    println!(
        "restarted   A answers after {:.0} ms, {:.1} MiB",
        took.as_secs_f64() * 1e3,
        alice.memory("VmRSS")
    );

    let bob = Peer::start(Some(&alice.address()));
    bob.client.call::<WaitPeers>(&PeersWait { count: 1, timeout_ms: 10_000 }, PATIENCE).unwrap();
    let cpu = (alice.cpu(), bob.cpu());
    let peaks = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let done = Arc::new(AtomicBool::new(false));
    let sampler = sample([alice.child.id(), bob.child.id()], Arc::clone(&done), Arc::clone(&peaks));
    let begin = Instant::now();
    let wait = TreeWait { roots: vec![root], timeout_ms: 280_000, seen: None };
    let status = bob.client.call::<WaitTree>(&wait, PATIENCE).unwrap();
    let seconds = begin.elapsed().as_secs_f64();
    done.store(true, Ordering::Relaxed);
    sampler.join().unwrap();
    assert!(status.complete, "{status:?} {:#?}", bob.client.call::<Status>(&(), PATIENCE));
    println!(
        "transferred {} blocks in {seconds:.2} s: {:.0} MB/s, {:.0} blocks/s",
        status.blocks,
        total as f64 / 1e6 / seconds,
        status.blocks as f64 / seconds
    );
    println!("            A {:.2} s of processor, B {:.2} s", alice.cpu() - cpu.0, bob.cpu() - cpu.1);
    for (name, peer, peak) in [("A", &alice, &peaks[0]), ("B", &bob, &peaks[1])] {
        let peak = peak.load(Ordering::Relaxed) as f64 / 1024.0;
        let (now, anonymous) = (peer.memory("VmRSS"), peer.memory("RssAnon"));
        println!(
            "            {name} {peak:6.1} MiB resident at most, {now:.1} now, {anonymous:.1} anonymous"
        );
    }
    latency(&alice, &bob);
    std::thread::sleep(QUIET);
    for (name, peer) in [("A", &alice), ("B", &bob)] {
        println!(
            "afterwards  {name} {:6.1} MiB, {:.1} anonymous",
            peer.memory("VmRSS"),
            peer.memory("RssAnon")
        );
    }
}

/// How long an entry that is posted at one peer takes until a client of the other one has seen it.
fn latency(alice: &Peer, bob: &Peer) {
    let author = SignSecretKey::from_seed(&[1; 32]);
    for peer in [alice, bob] {
        let poll = (author.public(), "reflog".to_owned(), 60);
        peer.client.call::<PollAdd>(&poll, PATIENCE).unwrap();
    }
    let name = RefName { kind: RefKind::Reflog, key: author.public() };
    let mut seen = None;
    let mut times = Vec::new();
    for number in 0..POSTS {
        let waiting = bob.client.begin::<WaitRef>(&RefWait { name, seen, timeout_ms: 60_000 });
        let update = ReflogUpdate::sign(&author, [number; 24], Bytes::from_static(b"entry"));
        let begin = Instant::now();
        alice.client.call::<Post>(&update, PATIENCE).unwrap();
        let posted = begin.elapsed();
        seen = waiting.wait(PATIENCE).unwrap();
        times.push((begin.elapsed(), posted));
    }
    times.sort();
    let (visible, posted) = times[times.len() / 2];
    println!(
        "posted      durable at A after {posted:.1?}, seen at B after {visible:.1?} (median of {POSTS})"
    );
}

/// Notes the largest resident sizes, in KiB.
fn sample(pids: [u32; 2], done: Arc<AtomicBool>, peaks: Arc<[AtomicU64; 2]>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        while !done.load(Ordering::Relaxed) {
            for (pid, peak) in pids.iter().zip(peaks.iter()) {
                peak.fetch_max((memory(*pid, "VmRSS") * 1024.0) as u64, Ordering::Relaxed);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    })
}

/// Stores a tree; returns its root.
fn fill(client: &Client, total: usize, block_bytes: usize) -> Hash {
    let mut upload = Upload::new(client, PATIENCE);
    let mut hashes = Vec::new();
    for number in 0..total.div_ceil(block_bytes) {
        let block = noise(number as u64, block_bytes);
        hashes.push(Hash::of(&block));
        upload.put(block).unwrap();
    }
    let root = build(Shape::DATA, &hashes, |_, block| upload.put(block).unwrap());
    upload.finish().unwrap();
    root
}
