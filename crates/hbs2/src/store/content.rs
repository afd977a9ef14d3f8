//! Content out of a storage: the blocks that a tree lists, in order.
//!
//! The tree is walked with bounded memory; data blocks are fetched some batches ahead by worker threads, which also
//! open them when they are sealed. Every block is checked before a byte of it is given.

use std::collections::BTreeMap;
use std::sync::{Mutex, mpsc};
use std::thread;

use bytes::Bytes;
use hbs2_core::Hash;
use hbs2_core::tree::sealed::BlockCipher;
use hbs2_core::tree::walk::Leaves;

use super::blocks::{BATCH_BLOCKS, Blocks, WORKERS};
use crate::error::Failure;

/// Batches under way at once: one given, one for each worker, one waiting.
const BATCHES_AHEAD: usize = WORKERS + 2;

/// Takes the content of a block.
pub type Give<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), Failure>;

/// What to fetch together.
struct Batch {
    /// Its number.
    at: usize,
    /// The place of its first block in the tree, from 1.
    first: u64,
    hashes: Vec<Hash>,
}

/// The content of the blocks of a batch, up to the first trouble.
struct Fetched {
    at: usize,
    blocks: Vec<Result<Bytes, Failure>>,
}

/// Gives the content of the tree `root` to `give`, opened by `cipher` if the tree is sealed.
///
/// # Errors
/// A block is missing or does not open, after what comes before it was given; those of `give`.
pub fn read(
    root: Hash,
    cipher: Option<&BlockCipher>,
    blocks: &Blocks,
    give: Give<'_>,
) -> Result<(), Failure> {
    let (work, todo) = mpsc::sync_channel::<Batch>(BATCHES_AHEAD);
    let todo = Mutex::new(todo);
    let (finished, results) = mpsc::channel();
    let source = Source { root, cipher, blocks };
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            let (todo, finished, source) = (&todo, finished.clone(), &source);
            scope.spawn(move || source.work(todo, &finished));
        }
        drop(finished);
        let outcome = give_in_order(&mut batches(root, blocks), work, &results, give);
        // Workers that wait for a place in the results find nobody there and end.
        drop(results);
        outcome
    })
}

/// The data hashes of the tree in batches of at most [`BATCH_BLOCKS`].
fn batches(root: Hash, blocks: &Blocks) -> impl Iterator<Item = Result<Batch, Failure>> {
    let hashes = Leaves::new(root, |hash| blocks.get(hash)).flat_map(|leaf| {
        let (hashes, failed) = match leaf {
            Ok(hashes) => (hashes, None),
            Err(error) => (Vec::new(), Some(Err(Failure::from(error)))),
        };
        let batches: Vec<_> = hashes.chunks(BATCH_BLOCKS).map(|batch| Ok(batch.to_vec())).collect();
        batches.into_iter().chain(failed)
    });
    let mut next = 1;
    hashes.enumerate().map(move |(at, hashes)| {
        let (hashes, first) = (hashes?, next);
        next += hashes.len() as u64;
        Ok(Batch { at, first, hashes })
    })
}

/// Where workers take blocks from.
struct Source<'a> {
    root: Hash,
    cipher: Option<&'a BlockCipher>,
    blocks: &'a Blocks,
}

impl Source<'_> {
    fn work(&self, todo: &Mutex<mpsc::Receiver<Batch>>, finished: &mpsc::Sender<Fetched>) {
        let next = || todo.lock().ok()?.recv().ok();
        while let Some(batch) = next() {
            let fetched = Fetched { at: batch.at, blocks: self.fetch(&batch) };
            if finished.send(fetched).is_err() {
                break;
            }
        }
    }

    fn fetch(&self, batch: &Batch) -> Vec<Result<Bytes, Failure>> {
        let found = match self.blocks.get_all(&batch.hashes) {
            Ok(found) => found,
            Err(failure) => return vec![Err(failure)],
        };
        let places = batch.first..;
        let all = places.zip(&batch.hashes).zip(found);
        all.map(|((place, hash), block)| self.open(place, hash, block)).collect()
    }

    fn open(&self, place: u64, hash: &Hash, block: Option<Bytes>) -> Result<Bytes, Failure> {
        let block = block.ok_or(Failure::MissedBlock { hash: *hash })?;
        let Some(cipher) = self.cipher else { return Ok(block) };
        let opened = cipher.open(place, hash, &block);
        opened.map(Bytes::from).map_err(|source| Failure::Closed { hash: self.root, source })
    }
}

fn give_in_order(
    batches: &mut impl Iterator<Item = Result<Batch, Failure>>,
    work: mpsc::SyncSender<Batch>,
    results: &mpsc::Receiver<Fetched>,
    give: Give<'_>,
) -> Result<(), Failure> {
    let mut arrived = BTreeMap::new();
    let (mut asked, mut given) = (0, 0);
    let mut walk_failed = None;
    loop {
        while asked - given < BATCHES_AHEAD && walk_failed.is_none() {
            match batches.next() {
                None => break,
                Some(Ok(batch)) => work.send(batch).expect("the workers live as long as the results"),
                Some(Err(failure)) => {
                    walk_failed = Some(failure);
                    break;
                }
            }
            asked += 1;
        }
        if asked == given {
            return walk_failed.map_or(Ok(()), Err);
        }
        while !arrived.contains_key(&given) {
            let fetched = results.recv().expect("each batch gets a result");
            arrived.insert(fetched.at, fetched.blocks);
        }
        for block in arrived.remove(&given).expect("it has just arrived") {
            give(&block?)?;
        }
        given += 1;
    }
}
