//! What a process that dies at any moment leaves behind.
//!
//! The test program starts itself again as a child that writes and says what was acknowledged, kills the child
//! with SIGKILL at a random moment, opens the store and compares. The seed is printed; set `HBS2_SEED` to repeat
//! a run (the moments still depend on the machine).

#![allow(clippy::unwrap_used, reason = "this is a test")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hbs2_core::Hash;
use hbs2_store::{DiskStore, Durability, Store, StoreError};

const KILLS: u64 = 50;

/// Where the child writes. Unset in the test itself.
const DIRECTORY_VARIABLE: &str = "HBS2_STORE_TEST_DIRECTORY";

/// Where the child writes that meets a full disk. Unset in the test itself.
const FULL_VARIABLE: &str = "HBS2_STORE_TEST_FULL";

/// What the child writes.
const SEED_VARIABLE: &str = "HBS2_STORE_TEST_SEED";

/// Threads of the child, so that syncs are shared.
const WRITERS: u64 = 3;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Mostly small blocks, some with values apart from their keys, some large. None so small that two writers
    /// make the same one.
    fn block(&mut self) -> Bytes {
        let bytes = match self.below(10) {
            0..=3 => 16 + self.below(1000),
            4..=8 => 16 + self.below(40_000),
            _ => 262_144,
        };
        std::iter::repeat_with(|| self.next().to_le_bytes()).flatten().take(bytes as usize).collect()
    }
}

/// Two keys that each writer sets together to the same value.
fn keys(writer: u64) -> [Hash; 2] {
    [0, 1].map(|side| Hash::of(format!("writer {writer} side {side}").as_bytes()))
}

fn value(count: u64) -> Hash {
    Hash::of(&count.to_le_bytes())
}

/// The child. As a test of its own it has nothing to do.
#[test]
fn child_writes_until_it_is_killed() {
    let Ok(directory) = std::env::var(DIRECTORY_VARIABLE) else { return };
    let seed: u64 = std::env::var(SEED_VARIABLE).unwrap().parse().unwrap();
    let store = DiskStore::open(Path::new(&directory)).unwrap();
    // Ends the line that the test harness has begun.
    say("open\n");
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let store = &store;
            scope.spawn(move || write_for_ever(store, writer, seed));
        }
    });
}

fn write_for_ever(store: &DiskStore, writer: u64, seed: u64) {
    // An odd number for each writer of each child: no two make the same block.
    let mut random = Random((2 * (seed * WRITERS + writer) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let start = seed << 32;
    for count in start.. {
        let blocks: Vec<Bytes> = (0..=random.below(8)).map(|_| random.block()).collect();
        let hashes = store.put(&blocks, Durability::Synced).unwrap();
        say(&hashes.iter().map(|hash| format!("block {hash}\n")).collect::<String>());
        let [left, right] = keys(writer);
        store.set_references(&[(left, Some(value(count))), (right, Some(value(count)))]).unwrap();
        say(&format!("reference {writer} {count}\n"));
        if random.below(4) == 0 {
            say(&format!("deleting {}\n", hashes[0]));
            store.delete(&hashes[0]).unwrap();
        }
    }
}

/// One write call per text, so that a kill cuts no line that the parent would read as another.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).unwrap();
    out.flush().unwrap();
}

/// What children said that they have done.
#[derive(Default)]
struct Acknowledged {
    /// Whether the block must be there; a deleted one may come back.
    blocks: BTreeMap<Hash, bool>,
    counts: BTreeMap<u64, u64>,
}

impl Acknowledged {
    fn note(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["block", hash] => {
                self.blocks.insert(hash.parse().unwrap(), true);
            }
            ["deleting", hash] => {
                self.blocks.insert(hash.parse().unwrap(), false);
            }
            ["reference", writer, count] => {
                self.counts.insert(writer.parse().unwrap(), count.parse().unwrap());
            }
            // The test harness talks too.
            _ => {}
        }
    }
}

fn start_child(directory: &Path, seed: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_writes_until_it_is_killed", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY_VARIABLE, directory)
        .env(SEED_VARIABLE, seed.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Lets a child write for a while, kills it and notes what it acknowledged.
fn run_and_kill(directory: &Path, seed: u64, after: Duration, acknowledged: &mut Acknowledged) {
    let mut child = start_child(directory, seed);
    let out = BufReader::new(child.stdout.take().unwrap());
    let killer = std::thread::spawn(move || {
        // The moment is the subject of the test, so this sleep waits for no event.
        std::thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
    });
    for line in whole_lines(out) {
        acknowledged.note(&line);
    }
    killer.join().unwrap();
}

/// The lines that were written with their ends. What a kill has cut was not acknowledged.
fn whole_lines(mut out: impl BufRead) -> impl Iterator<Item = String> {
    std::iter::from_fn(move || {
        let mut line = String::new();
        let _ = out.read_line(&mut line);
        line.strip_suffix('\n').map(str::to_owned)
    })
}

/// The counts that a writer's references may stand at when `acknowledged` was its last word and the last child
/// had `seed`: that one, the one after it, or the first one of a later child, which died before its answer.
fn allowed_counts(acknowledged: u64, seed: u64) -> impl Iterator<Item = u64> {
    let later_children = (acknowledged >> 32) + 1..=seed;
    [acknowledged, acknowledged + 1].into_iter().chain(later_children.map(|seed| seed << 32))
}

fn check(directory: &Path, acknowledged: &Acknowledged, seed: u64) {
    let store = DiskStore::open(directory).unwrap();
    for (hash, must_be_there) in &acknowledged.blocks {
        match store.get(hash).unwrap() {
            Some(block) => assert_eq!(Hash::of(&block), *hash),
            None => assert!(!must_be_there, "the acknowledged block {hash} is gone"),
        }
    }
    for (writer, count) in &acknowledged.counts {
        let values = keys(*writer).map(|key| store.reference(&key).unwrap());
        assert_eq!(values[0], values[1], "references that were set together differ");
        let mut allowed = allowed_counts(*count, seed);
        assert!(allowed.any(|count| values[0] == Some(value(count))), "writer {writer} had set {count}");
    }
    let mut met = 0;
    let mut hashes = Vec::new();
    store
        .hashes(&mut |hash, _| {
            met += 1;
            hashes.push(hash);
            ControlFlow::Continue(())
        })
        .unwrap();
    for hash in hashes {
        let block = store.get(&hash).unwrap().expect("what is listed can be read");
        assert_eq!(Hash::of(&block), hash);
    }
    assert_eq!(store.totals().corrupt, 0);
    assert!(met >= acknowledged.blocks.values().filter(|must| **must).count());
}

#[test]
fn whatever_was_acknowledged_survives_a_kill_at_any_moment() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = std::env::var("HBS2_SEED").map_or(now.as_nanos() as u64 >> 10, |seed| seed.parse().unwrap());
    println!("seed: {seed}");
    let mut random = Random(seed | 1);
    let directory = tempfile::tempdir().unwrap();
    let mut generation = 0;
    let mut acknowledged = Acknowledged::default();
    for kill in 0..KILLS {
        // Now and then a new store, so that the making of a store is interrupted too.
        if random.below(8) == 0 {
            generation += 1;
            acknowledged = Acknowledged::default();
        }
        let after = match random.below(4) {
            0 => random.below(15_000),
            1 | 2 => random.below(60_000),
            _ => random.below(200_000),
        };
        let store = directory.path().join(generation.to_string());
        let child_seed = 1 + kill;
        run_and_kill(&store, child_seed, Duration::from_micros(after), &mut acknowledged);
        check(&store, &acknowledged, child_seed);
    }
}

/// The child of the test below. As a test of its own it has nothing to do.
#[test]
fn child_writes_until_the_disk_refuses() {
    let Ok(directory) = std::env::var(FULL_VARIABLE) else { return };
    let store = DiskStore::open(Path::new(&directory)).unwrap();
    say("open\n");
    let block = |i: u8, bytes: usize| Bytes::from(vec![i; bytes]);
    // 60 MB, then more than the limit leaves, then little.
    for i in 0..12 {
        let hashes = store.put(&[block(i, 5_000_000)], Durability::Synced).unwrap();
        say(&format!("block {}\n", hashes[0]));
    }
    let error = store.put(&[block(12, 16_000_000)], Durability::Synced).unwrap_err();
    assert!(matches!(error, StoreError::Write { .. }), "{error}");
    assert_eq!(store.get(&Hash::of(&block(12, 16_000_000))).unwrap(), None);
    say("the disk refused\n");
    for i in 0..3 {
        let hashes = store.put(&[block(13, 1000 + i)], Durability::Synced).unwrap();
        say(&format!("block {}\n", hashes[0]));
    }
}

#[test]
fn a_full_disk_refuses_what_does_not_fit_and_loses_nothing_that_it_took() {
    let directory = tempfile::tempdir().unwrap();
    // A limit on the length of files stands for a full disk. The shell's unit is 512 bytes: 66 MiB, a little
    // more than the index reserves for its journal.
    let script = "ulimit -f 135168; trap '' XFSZ; exec \"$0\" \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "child_writes_until_the_disk_refuses", "--nocapture", "--test-threads=1"])
        .env(FULL_VARIABLE, directory.path())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("the disk refused\n"), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let mut acknowledged = Acknowledged::default();
    said.lines().for_each(|line| acknowledged.note(line));
    assert_eq!(acknowledged.blocks.len(), 15);
    check(directory.path(), &acknowledged, 0);
}

#[test]
fn a_second_process_is_told_that_the_store_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = start_child(directory.path(), 1);
    let out = BufReader::new(child.stdout.take().unwrap());
    let mut lines = whole_lines(out);
    assert!(lines.any(|line| line.starts_with("reference")), "the child writes");
    let error = DiskStore::open(directory.path()).unwrap_err();
    assert!(matches!(&error, StoreError::Locked { path } if path == directory.path()), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    drop(lines);
    // The lock dies with its owner.
    DiskStore::open(directory.path()).unwrap();
}

#[test]
fn a_second_store_in_the_same_process_is_told_too() {
    let directory = tempfile::tempdir().unwrap();
    let first = DiskStore::open(directory.path()).unwrap();
    assert!(matches!(DiskStore::open(directory.path()), Err(StoreError::Locked { .. })));
    drop(first);
    DiskStore::open(directory.path()).unwrap();
}
