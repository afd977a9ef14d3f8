//! What bytes that change on disk do to a store: blocks are missing, never wrong, and nothing panics.
//!
//! The seed is printed; set `HBS2_SEED` to repeat a run.

#![allow(clippy::unwrap_used, reason = "this is a test")]

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hbs2_core::Hash;
use hbs2_store::{DiskStore, Durability, Store, StoreError};

const ROUNDS: usize = 30;

/// Where the child reads. Unset in the test itself.
const DIRECTORY_VARIABLE: &str = "HBS2_STORE_TEST_DAMAGED";

/// Length of the line that names the format of a volume, in bytes. Damage to it may look like a newer format.
const FORMAT_LINE_BYTES: usize = 16;

struct Random(u64);

impl Random {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let seed =
            std::env::var("HBS2_SEED").map_or(now.as_nanos() as u64 >> 10, |seed| seed.parse().unwrap());
        println!("seed: {seed}");
        Self(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn block(&mut self, bytes: usize) -> Bytes {
        std::iter::repeat_with(|| self.next().to_le_bytes()).flatten().take(bytes).collect()
    }
}

/// A closed store with blocks of many lengths, and what it holds.
struct Image {
    directory: PathBuf,
    blocks: Vec<Bytes>,
    references: Vec<(Hash, Hash)>,
}

impl Image {
    fn make(directory: PathBuf, random: &mut Random) -> Self {
        let store = DiskStore::open(&directory).unwrap();
        let blocks: Vec<Bytes> = (0..300).map(|i| random.block(i * i)).collect();
        let references: Vec<_> = (0..15u8).map(|i| (Hash::of(&[i]), Hash::of(&[i, i]))).collect();
        for (blocks, (key, value)) in blocks.chunks(20).zip(&references) {
            store.put(blocks, Durability::Synced).unwrap();
            store.set_references(&[(*key, Some(*value))]).unwrap();
        }
        Self { directory, blocks, references }
    }

    fn copy_to(&self, to: &Path) {
        copy(&self.directory, to);
    }

    /// Reads everything: what is served must be right. The answer is how many blocks are missing.
    fn check(&self, store: &DiskStore) -> usize {
        for (key, value) in &self.references {
            let found = store.reference(key).unwrap();
            assert!(found.is_none_or(|found| found == *value));
        }
        let found = self.blocks.iter().map(|block| (block, store.get(&Hash::of(block)).unwrap()));
        found
            .filter(|(block, found)| found.as_ref().inspect(|found| assert_eq!(found, block)).is_none())
            .count()
    }
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, &target).unwrap();
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            files.extend(self::files(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files.sort();
    files
}

fn is_volume(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "volume")
}

/// The only volume of a small store.
fn volume(directory: &Path) -> PathBuf {
    let volumes: Vec<_> = files(directory).into_iter().filter(|file| is_volume(file)).collect();
    assert_eq!(volumes.len(), 1, "{volumes:?}");
    volumes[0].clone()
}

/// Length of a file without the zeros at its end, which the index's engine has reserved.
fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

fn flip_a_bit(file: &Path, random: &mut Random) {
    let mut bytes = fs::read(file).unwrap();
    let start = if is_volume(file) { FORMAT_LINE_BYTES } else { 0 };
    if used(&bytes) > start {
        let at = start + random.below(used(&bytes) - start);
        bytes[at] ^= 1 << random.below(8);
        fs::write(file, bytes).unwrap();
    }
}

fn zero(file: &Path, range: Range<usize>) {
    let mut bytes = fs::read(file).unwrap();
    bytes[range].fill(0);
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_flipped_bit_in_a_volume_costs_a_block_at_most_and_putting_repairs_it() {
    let mut random = Random::new();
    let directory = tempfile::tempdir().unwrap();
    let image = Image::make(directory.path().join("image"), &mut random);
    let mut missing_in_all = 0;
    for round in 0..ROUNDS {
        let damaged = directory.path().join(round.to_string());
        image.copy_to(&damaged);
        flip_a_bit(&volume(&damaged), &mut random);
        let store = DiskStore::open(&damaged).unwrap();
        let missing = image.check(&store);
        assert!(missing <= 1, "{missing} blocks are missing");
        missing_in_all += missing;
        store.put(&image.blocks, Durability::Synced).unwrap();
        assert_eq!(image.check(&store), 0, "putting repairs");
        drop(store);
        assert_eq!(image.check(&DiskStore::open(&damaged).unwrap()), 0, "for good");
        fs::remove_dir_all(&damaged).unwrap();
    }
    assert!(missing_in_all > 0, "some damage met a block");
}

/// The child of the test below: opens a store and says how many of the expected blocks are there. As a test of
/// its own it has nothing to do.
#[test]
fn child_reads_a_damaged_store() {
    let Ok(directory) = std::env::var(DIRECTORY_VARIABLE) else { return };
    let store = DiskStore::open(Path::new(&directory)).unwrap();
    let expected = fs::read_to_string(Path::new(&directory).join("expected")).unwrap();
    let mut missing = 0;
    for line in expected.lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["block", hash] => {
                let hash: Hash = hash.parse().unwrap();
                match store.get(&hash).unwrap() {
                    Some(block) => assert_eq!(Hash::of(&block), hash),
                    None => missing += 1,
                }
            }
            ["reference", key, value] => {
                let found = store.reference(&key.parse().unwrap()).unwrap();
                assert!(found.is_none_or(|found| found.to_string() == value));
            }
            _ => panic!("{line}"),
        }
    }
    println!("\nmissing {missing}");
}

/// What the child found missing, or nothing if it did not live to tell.
fn missing_in_a_child(directory: &Path) -> Option<usize> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_reads_a_damaged_store", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY_VARIABLE, directory)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().find_map(|line| line.strip_prefix("missing ")?.parse().ok())
}

#[test]
fn flipped_bits_anywhere_cost_a_block_each_at_most_after_a_restart() {
    let mut random = Random::new();
    let directory = tempfile::tempdir().unwrap();
    let image = Image::make(directory.path().join("image"), &mut random);
    let mut expected = String::new();
    image.blocks.iter().for_each(|block| expected += &format!("block {}\n", Hash::of(block)));
    image.references.iter().for_each(|(key, value)| expected += &format!("reference {key} {value}\n"));
    for round in 0..ROUNDS {
        let damaged = directory.path().join(round.to_string());
        image.copy_to(&damaged);
        let files = files(&damaged);
        let flips = 1 + random.below(4);
        for _ in 0..flips {
            flip_a_bit(&files[random.below(files.len())], &mut random);
        }
        fs::write(damaged.join("expected"), &expected).unwrap();
        // A damaged index may end the process that meets it, but is made anew by the next one.
        let _ = missing_in_a_child(&damaged);
        let missing = missing_in_a_child(&damaged).expect("the second start works");
        assert!(missing <= flips, "{missing} blocks are missing after {flips} flips");
        fs::remove_dir_all(&damaged).unwrap();
    }
}

#[test]
fn a_store_without_its_index_makes_it_anew() {
    let mut random = Random::new();
    let directory = tempfile::tempdir().unwrap();
    let image = Image::make(directory.path().join("image"), &mut random);
    let store = DiskStore::open(&image.directory).unwrap();
    let gone = store.put(&[random.block(1000)], Durability::Synced).unwrap()[0];
    store.delete(&gone).unwrap();
    let [kept_key, removed_key, value] = [b"kept", b"gone", b"seen"].map(|name| Hash::of(name));
    store.set_references(&[(kept_key, Some(gone)), (removed_key, Some(value))]).unwrap();
    store.set_references(&[(kept_key, Some(value)), (removed_key, None)]).unwrap();
    store.set_record("polls", Some(b"all")).unwrap();
    store.set_record("none", Some(b"x")).unwrap();
    store.set_record("none", None).unwrap();
    let blocks = store.totals().blocks;
    drop(store);
    fs::remove_dir_all(image.directory.join("index")).unwrap();
    let store = DiskStore::open(&image.directory).unwrap();
    assert_eq!(image.check(&store), 0);
    assert!(image.references.iter().all(|(key, value)| store.reference(key).unwrap() == Some(*value)));
    assert_eq!(store.get(&gone).unwrap(), None);
    assert_eq!(store.reference(&kept_key).unwrap(), Some(value));
    assert_eq!(store.reference(&removed_key).unwrap(), None);
    assert_eq!(store.record("polls").unwrap().as_deref(), Some(&b"all"[..]));
    assert_eq!(store.record("none").unwrap(), None);
    assert_eq!(store.totals().blocks, blocks);
}

#[test]
fn a_power_cut_that_tore_the_last_batch_costs_nothing_acknowledged() {
    const PAGE_BYTES: usize = 4096;
    let mut random = Random::new();
    let directory = tempfile::tempdir().unwrap();
    let image = Image::make(directory.path().join("image"), &mut random);
    let index_before = directory.path().join("index before");
    copy(&image.directory.join("index"), &index_before);
    let file = volume(&image.directory);
    let acknowledged = fs::metadata(&file).unwrap().len() as usize;
    // The batch that the power cut hits.
    let unacknowledged: Vec<Bytes> = (0..10).map(|_| random.block(50_000)).collect();
    DiskStore::open(&image.directory).unwrap().put(&unacknowledged, Durability::Synced).unwrap();
    let end = fs::metadata(&file).unwrap().len() as usize;
    assert!(end > acknowledged + 500_000);
    for round in 0..ROUNDS {
        let torn = directory.path().join(round.to_string());
        image.copy_to(&torn);
        // The index learns of a batch only after the sync that the power cut has prevented.
        fs::remove_dir_all(torn.join("index")).unwrap();
        copy(&index_before, &torn.join("index"));
        for _ in 0..=random.below(4) {
            let first = acknowledged.div_ceil(PAGE_BYTES);
            let page = first + random.below(end / PAGE_BYTES - first);
            zero(&volume(&torn), page * PAGE_BYTES..end.min((page + 1) * PAGE_BYTES));
        }
        if random.below(2) == 0 {
            let length = acknowledged + random.below(end - acknowledged);
            fs::File::options().write(true).open(volume(&torn)).unwrap().set_len(length as u64).unwrap();
        }
        let store = DiskStore::open(&torn).unwrap();
        assert_eq!(image.check(&store), 0);
        assert!(image.references.iter().all(|(key, value)| store.reference(key).unwrap() == Some(*value)));
        assert_eq!(store.totals().corrupt, 0, "what was torn was never acknowledged, so it is not there");
        store.put(&unacknowledged, Durability::Synced).unwrap();
        drop(store);
        // With the index and without.
        for _ in 0..2 {
            let store = DiskStore::open(&torn).unwrap();
            assert_eq!(image.check(&store), 0);
            for block in &unacknowledged {
                assert_eq!(store.get(&Hash::of(block)).unwrap().as_ref(), Some(block));
            }
            drop(store);
            fs::remove_dir_all(torn.join("index")).unwrap();
        }
        fs::remove_dir_all(&torn).unwrap();
    }
}

#[test]
fn a_corrupt_block_is_counted_and_missing_until_it_is_put_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut random = Random::new();
    let image = Image::make(directory.path().join("image"), &mut random);
    let file = volume(&image.directory);
    let middle = fs::metadata(&file).unwrap().len() as usize / 2;
    zero(&file, middle..middle + 100_000);
    let store = DiskStore::open(&image.directory).unwrap();
    let missing = image.check(&store);
    assert!(missing > 0);
    assert_eq!(store.totals().corrupt, missing as u64);
    let absent = |block: &&Bytes| store.stat(&Hash::of(block)).unwrap().is_none();
    assert_eq!(image.blocks.iter().filter(absent).count(), missing, "a lookup says so too");
    assert_eq!(image.check(&store), missing);
    assert_eq!(store.totals().corrupt, missing as u64, "each is counted once");
    store.put(&image.blocks, Durability::Synced).unwrap();
    assert_eq!(image.check(&store), 0);
}

#[test]
fn a_volume_of_a_newer_format_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(DiskStore::open(directory.path()).unwrap());
    let file = volume(directory.path());
    fs::write(&file, b"hbs2 volume 2\n\n\nwhatever").unwrap();
    let error = DiskStore::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
}
