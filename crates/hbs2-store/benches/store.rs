//! Figures of the disk store: `cargo bench -p hbs2-store [-- DIRECTORY]`.
//!
//! Stores and reads a large file's blocks and many small blocks, each with a sync per call as a program does it,
//! and prints speed and resident memory. The directory defaults to a temporary one; choose one on the disk that
//! is to be measured.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::Hash;
use hbs2_store::{DiskStore, Durability, Store, walk};

/// Blocks of one durable call: what a program collects while the last call is under way.
const CALL_BYTES: usize = 4 * 1024 * 1024;

/// Bytes per figure.
const TOTAL_BYTES: usize = 256 * 1024 * 1024;

/// Runs per figure; the median is printed last.
const RUNS: usize = 5;

fn main() {
    let chosen = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).map(PathBuf::from);
    let temporary = tempfile::tempdir().expect("a temporary directory can be made");
    let directory = chosen.unwrap_or_else(|| temporary.path().to_owned());
    for (name, block_bytes) in [("256 KiB", 256 * 1024), ("10 kB", 10_000), ("1 KiB", 1024)] {
        let runs: Vec<Figures> =
            (0..RUNS).map(|_| measure(&directory.join("bench-store"), block_bytes)).collect();
        print_medians(name, block_bytes, &runs);
    }
}

#[derive(Clone, Copy)]
struct Figures {
    put: Duration,
    put_again: Duration,
    get: Duration,
    get_many: Duration,
    stat: Duration,
    close: Duration,
    open: Duration,
    resident_kib: u64,
}

fn measure(directory: &Path, block_bytes: usize) -> Figures {
    let _ = std::fs::remove_dir_all(directory);
    let count = TOTAL_BYTES / block_bytes;
    let per_call = (CALL_BYTES / block_bytes).max(1);
    let store = DiskStore::open(directory).expect("the store opens");
    let (hashes, put) = put_all(&store, block_bytes, count, per_call);
    let (again, put_again) = put_all(&store, block_bytes, count, per_call);
    assert_eq!(hashes, again);
    drop(again);
    let get = time(|| {
        for hash in &hashes {
            assert!(store.get(hash).expect("reading works").is_some());
        }
    });
    let get_many = time(|| {
        for hashes in hashes.chunks(16) {
            assert!(store.get_many(hashes).expect("reading works").iter().all(Option::is_some));
        }
    });
    let stat = time(|| {
        let found = walk::missing(&store, &hashes, usize::MAX).expect("reading works");
        assert_eq!((found.present, found.is_complete()), (count as u64, true));
    });
    let resident_kib = resident_kib();
    let close = time(|| drop(store));
    let mut reopened = None;
    let open = time(|| reopened = Some(DiskStore::open(directory).expect("the store opens")));
    drop(reopened);
    let _ = std::fs::remove_dir_all(directory);
    Figures { put, put_again, get, get_many, stat, close, open, resident_kib }
}

/// Puts the same blocks whenever it is called. The answer is the time spent in the store.
fn put_all(store: &dyn Store, block_bytes: usize, count: usize, per_call: usize) -> (Vec<Hash>, Duration) {
    let pattern = pattern(block_bytes);
    let mut hashes = Vec::with_capacity(count);
    let mut spent = Duration::ZERO;
    for first in (0..count).step_by(per_call) {
        let blocks: Vec<Bytes> = (first..count.min(first + per_call)).map(|i| block(&pattern, i)).collect();
        spent += time(|| hashes.extend(store.put(&blocks, Durability::Synced).expect("writing works")));
    }
    (hashes, spent)
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn print_medians(name: &str, block_bytes: usize, runs: &[Figures]) {
    let blocks = (TOTAL_BYTES / block_bytes) as f64;
    let speed = |of: fn(&Figures) -> Duration| {
        let seconds = median(runs, of).as_secs_f64();
        format!("{:6.0} MB/s {:8.0} blocks/s", TOTAL_BYTES as f64 / 1e6 / seconds, blocks / seconds)
    };
    println!("{name} blocks, {blocks} of them");
    println!("  put, synced     {}", speed(|f| f.put));
    println!("  put again       {}", speed(|f| f.put_again));
    println!("  get, checked    {}", speed(|f| f.get));
    println!("  get_many        {}", speed(|f| f.get_many));
    println!("  walk            {:8.1} ms", median(runs, |f| f.stat).as_secs_f64() * 1e3);
    println!("  close           {:8.1} ms", median(runs, |f| f.close).as_secs_f64() * 1e3);
    println!("  open            {:8.1} ms", median(runs, |f| f.open).as_secs_f64() * 1e3);
    println!(
        "  resident        {:8} KiB at most so far",
        runs.iter().map(|f| f.resident_kib).max().unwrap_or(0)
    );
}

fn median(runs: &[Figures], of: fn(&Figures) -> Duration) -> Duration {
    let mut values: Vec<Duration> = runs.iter().map(of).collect();
    values.sort();
    values[values.len() / 2]
}

/// The highest resident size of this process so far, in KiB; 0 where the system does not tell.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}

/// Bytes that nothing can compress, from an xorshift.
fn pattern(bytes: usize) -> Vec<u8> {
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(bytes).collect()
}

/// Block number `i`: the pattern with a number in front.
fn block(pattern: &[u8], i: usize) -> Bytes {
    let mut block = pattern.to_vec();
    block[..8].copy_from_slice(&i.to_le_bytes());
    block.into()
}
