//! What bytes that change on disk do to a store: blocks are missing, never wrong, and nothing panics.
//!
//! The seed is printed; set `HBS2_SEED` to repeat a run.

#![allow(clippy::unwrap_used, reason = "this is a test")]

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hbs2_core::Hash;
use hbs2_store::{DiskStore, Durability, Store, StoreError};

const ROUNDS: usize = 20;

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

/// A closed store with blocks of many lengths, in flushed files and in the journal, and what it holds.
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
        for file in files(&self.directory) {
            let target = to.join(file.strip_prefix(&self.directory).unwrap());
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(&file, &target).unwrap();
        }
    }

    /// Reads everything: what is served must be right. The answer is how many blocks are missing.
    fn check(&self, store: &DiskStore) -> usize {
        for (key, value) in &self.references {
            let found = store.reference(key).unwrap_or_default();
            assert!(found.is_none_or(|found| found == *value));
        }
        let found = self.blocks.iter().map(|block| (block, store.get(&Hash::of(block)).unwrap()));
        found
            .filter(|(block, found)| found.as_ref().inspect(|found| assert_eq!(found, block)).is_none())
            .count()
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

/// Length of a file without the zeros at its end, which the engine has reserved.
fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1)
}

fn flip_a_bit(file: &Path, random: &mut Random) {
    let mut bytes = fs::read(file).unwrap();
    let at = random.below(used(&bytes));
    bytes[at] ^= 1 << random.below(8);
    fs::write(file, bytes).unwrap();
}

/// Flips a bit in all stored copies of a block, not in what the engine writes around them: damage there may keep a
/// store from opening, which is the rule of another test.
fn flip_a_bit_of_a_block(files: &[PathBuf], blocks: &[Bytes], random: &mut Random) {
    const MARK_BYTES: usize = 32;
    loop {
        let block = &blocks[random.below(blocks.len())];
        let Some(mark) = block.get(..MARK_BYTES) else { continue };
        let (at, bit) = (random.below(block.len()), 1 << random.below(8));
        let mut copies = 0;
        // A block that was flushed may be in a journal as well: each copy is damaged.
        for file in files {
            let mut bytes = fs::read(file).unwrap();
            let place = bytes.windows(MARK_BYTES).position(|window| window == mark);
            let Some(place) = place.filter(|place| bytes[*place..].starts_with(block)) else { continue };
            bytes[place + at] ^= bit;
            fs::write(file, bytes).unwrap();
            copies += 1;
        }
        if copies > 0 {
            return;
        }
    }
}

fn zero(file: &Path, range: Range<usize>) {
    let mut bytes = fs::read(file).unwrap();
    bytes[range].fill(0);
    fs::write(file, bytes).unwrap();
}

fn is_journal(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "jnl")
}

/// The files that hold the bytes of blocks: nearly all of the space a store takes.
fn is_large(file: &Path) -> bool {
    is_journal(file) || file.parent().is_some_and(|parent| parent.ends_with("blobs"))
}

#[test]
fn flipped_bits_in_block_bytes_cost_some_blocks_and_putting_repairs_them() {
    let mut random = Random::new();
    let directory = tempfile::tempdir().unwrap();
    let image = Image::make(directory.path().join("image"), &mut random);
    let mut missing_in_all = 0;
    for round in 0..ROUNDS {
        let damaged = directory.path().join(round.to_string());
        image.copy_to(&damaged);
        let files: Vec<_> = files(&damaged).into_iter().filter(|file| is_large(file)).collect();
        assert!(files.len() >= 2, "some blocks are flushed, some are not: {files:?}");
        flip_a_bit_of_a_block(&files, &image.blocks, &mut random);

        let store = DiskStore::open(&damaged).unwrap();
        let missing = image.check(&store);
        missing_in_all += missing;
        store.put(&image.blocks, Durability::Synced).unwrap();
        assert_eq!(image.check(&store), 0, "putting repairs");
        drop(store);
        assert_eq!(image.check(&DiskStore::open(&damaged).unwrap()), 0, "for good");
        fs::remove_dir_all(&damaged).unwrap();
    }
    assert!(missing_in_all > 0, "some damage met a block");
}

#[test]
fn flipped_bits_anywhere_never_make_a_wrong_answer() {
    let mut random = Random::new();
    let directory = tempfile::tempdir().unwrap();
    let image = Image::make(directory.path().join("image"), &mut random);
    for round in 0..ROUNDS {
        let damaged = directory.path().join(round.to_string());
        image.copy_to(&damaged);
        let files: Vec<_> =
            files(&damaged).into_iter().filter(|file| fs::metadata(file).unwrap().len() > 0).collect();
        for _ in 0..=random.below(3) {
            flip_a_bit(&files[random.below(files.len())], &mut random);
        }
        match DiskStore::open(&damaged) {
            Ok(store) => {
                image.check(&store);
            }
            Err(error) => assert!(matches!(error, StoreError::Open { .. }), "{error}"),
        }
        fs::remove_dir_all(&damaged).unwrap();
    }
}

#[test]
fn a_power_cut_that_tore_the_last_batch_costs_nothing_acknowledged() {
    const PAGE_BYTES: usize = 4096;
    let mut random = Random::new();
    let directory = tempfile::tempdir().unwrap();
    let image = Image::make(directory.path().join("image"), &mut random);
    let journal = files(&image.directory).into_iter().rfind(|file| is_journal(file)).unwrap();
    let acknowledged = used(&fs::read(&journal).unwrap());
    // The batch that the power cut hits.
    let unacknowledged: Vec<Bytes> = (0..10).map(|_| random.block(50_000)).collect();
    DiskStore::open(&image.directory).unwrap().put(&unacknowledged, Durability::Synced).unwrap();
    let end = used(&fs::read(&journal).unwrap());
    assert!(end > acknowledged + 500_000);
    for round in 0..ROUNDS {
        let torn = directory.path().join(round.to_string());
        image.copy_to(&torn);
        let journal = torn.join(journal.strip_prefix(&image.directory).unwrap());
        for _ in 0..=random.below(4) {
            let page = acknowledged.div_ceil(PAGE_BYTES);
            let page = page + random.below(end / PAGE_BYTES - page);
            zero(&journal, page * PAGE_BYTES..end.min((page + 1) * PAGE_BYTES));
        }
        let store = DiskStore::open(&torn).unwrap();
        assert_eq!(image.check(&store), 0);
        assert!(image.references.iter().all(|(key, value)| store.reference(key).unwrap() == Some(*value)));
        store.put(&unacknowledged, Durability::Synced).unwrap();
        drop(store);
        let store = DiskStore::open(&torn).unwrap();
        assert_eq!(image.check(&store), 0);
        for block in &unacknowledged {
            assert_eq!(store.get(&Hash::of(block)).unwrap().as_ref(), Some(block));
        }
        drop(store);
        fs::remove_dir_all(&torn).unwrap();
    }
}

#[test]
fn a_corrupt_block_is_counted_and_missing_until_it_is_put_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut random = Random::new();
    let image = Image::make(directory.path().join("image"), &mut random);
    let blobs = files(&image.directory).into_iter().find(|file| is_large(file) && !is_journal(file)).unwrap();
    // The middle of a file of block bytes: inside some block, as their frames are short.
    let middle = fs::metadata(&blobs).unwrap().len() as usize / 2;
    zero(&blobs, middle..middle + 1000);
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
