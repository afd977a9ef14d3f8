//! `hbs2 cat`: the content behind a hash.
//!
//! The tree is walked with bounded memory; data blocks are fetched some batches ahead by worker threads and
//! written in order. Every block is checked against its hash before a byte of it is written.

use std::collections::BTreeMap;
use std::sync::{Mutex, mpsc};
use std::thread;

use bytes::Bytes;
use hbs2_core::inspect::{self, Kind};
use hbs2_core::limits::TREE_LEVELS_MAX;
use hbs2_core::pointer::{AnnotatedRef, SequentialRef};
use hbs2_core::tree::walk::Leaves;
use hbs2_core::tree::{AnnotatedTree, Crypt};
use hbs2_core::{Decode, Hash};

use super::blocks::{BATCH_BLOCKS, Blocks, Place, Purpose, WORKERS};
use crate::error::Failure;
use crate::voice::Voice;

/// Batches under way at once: one written, one for each worker, one waiting.
const BATCHES_AHEAD: usize = WORKERS + 2;

/// Print the content behind a hash
///
/// A tree gives the data it was made of; a reference block gives the data of the tree it points to; any other
/// block gives its bytes. Every block is verified before it is written.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hbs2 cat HASH > notes.txt            the content
  hbs2 cat -H HASH                     the hashes that the tree lists, one a line
  hbs2 cat -r HASH | xxd               the block itself

When a block is missing, what comes before it is written and the message names it:
  hbs2: error: missed block: 93MB2qRDNVLxbmmPuYpLdAqn3u2x9ZhaVZK5wELHueP8

Exit status: 0 all of it was written; 1 not.")]
pub struct Words {
    /// Hash of a tree or block, in base58
    hash: Hash,
    /// Print the hashes a tree lists instead of its data
    #[arg(short = 'H', long)]
    hashes_only: bool,
    /// Print the bytes of the block itself
    #[arg(short, long, conflicts_with = "hashes_only")]
    raw: bool,
    #[command(flatten)]
    place: Place,
}

/// Runs the command.
///
/// # Errors
/// A block is missing or unreadable, the content is sealed, stdout cannot be written.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let blocks = Blocks::open(&words.place, Purpose::Read, voice)?;
    let block = blocks.get(&words.hash)?.ok_or(Failure::MissedBlock { hash: words.hash })?;
    if words.raw {
        voice.out().write_all(&block)?;
        return Ok(());
    }
    let (root, block) = follow(words.hash, block, &blocks)?;
    match inspect::kind(&block) {
        Kind::AnnotatedTree | Kind::Tree if words.hashes_only => list(root, &blocks, voice),
        Kind::AnnotatedTree => {
            refuse_sealed(root, &block)?;
            content(root, &blocks, voice)
        }
        Kind::Tree => content(root, &blocks, voice),
        _ => Ok(voice.out().write_all(&block)?),
    }
}

/// The block that a chain of reference blocks ends at.
fn follow(mut hash: Hash, mut block: Bytes, blocks: &Blocks) -> Result<(Hash, Bytes), Failure> {
    for _ in 0..TREE_LEVELS_MAX {
        let target = match inspect::kind(&block) {
            Kind::AnnotatedRef => AnnotatedRef::from_bytes(&block).map(|pointer| pointer.target),
            Kind::SequentialRef => SequentialRef::from_bytes(&block).map(|pointer| pointer.target.target),
            _ => return Ok((hash, block)),
        };
        hash = target.map_err(|source| Failure::Malformed { hash, source })?;
        block = blocks.get(&hash)?.ok_or(Failure::MissedBlock { hash })?;
    }
    Err(Failure::TooManyPointers { hash })
}

fn refuse_sealed(hash: Hash, block: &Bytes) -> Result<(), Failure> {
    let tree = AnnotatedTree::from_bytes(block).map_err(|source| Failure::Malformed { hash, source })?;
    match tree.crypt {
        Crypt::None => Ok(()),
        Crypt::Asymmetric { key } | Crypt::Group1 { key, .. } | Crypt::Group2 { key, .. } => {
            Err(Failure::Sealed { hash, key })
        }
    }
}

fn list(root: Hash, blocks: &Blocks, voice: &mut Voice) -> Result<(), Failure> {
    for leaf in Leaves::new(root, |hash| blocks.get(hash)) {
        for hash in leaf? {
            voice.line(hash)?;
        }
    }
    Ok(())
}

/// The hashes to fetch together, and their place in the content.
type Batch = (usize, Vec<Hash>);
type Fetched = (usize, Vec<Hash>, Result<Vec<Option<Bytes>>, Failure>);

fn content(root: Hash, blocks: &Blocks, voice: &mut Voice) -> Result<(), Failure> {
    let (work, todo) = mpsc::sync_channel::<Batch>(BATCHES_AHEAD);
    let todo = Mutex::new(todo);
    let (finished, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            let (todo, finished) = (&todo, finished.clone());
            scope.spawn(move || fetch(blocks, todo, &finished));
        }
        drop(finished);
        let outcome = write_in_order(&mut batches(root, blocks), work, &results, voice);
        // Workers that wait for a place in the results find nobody there and end.
        drop(results);
        outcome
    })
}

/// The data hashes of the tree in batches of at most [`BATCH_BLOCKS`].
fn batches(root: Hash, blocks: &Blocks) -> impl Iterator<Item = Result<Vec<Hash>, Failure>> {
    Leaves::new(root, |hash| blocks.get(hash)).flat_map(|leaf| {
        let (hashes, failed) = match leaf {
            Ok(hashes) => (hashes, None),
            Err(error) => (Vec::new(), Some(Err(Failure::from(error)))),
        };
        let batches: Vec<_> = hashes.chunks(BATCH_BLOCKS).map(|batch| Ok(batch.to_vec())).collect();
        batches.into_iter().chain(failed)
    })
}

fn fetch(blocks: &Blocks, todo: &Mutex<mpsc::Receiver<Batch>>, finished: &mpsc::Sender<Fetched>) {
    let next = || todo.lock().ok()?.recv().ok();
    while let Some((at, hashes)) = next() {
        let fetched = blocks.get_all(&hashes);
        if finished.send((at, hashes, fetched)).is_err() {
            break;
        }
    }
}

fn write_in_order(
    batches: &mut impl Iterator<Item = Result<Vec<Hash>, Failure>>,
    work: mpsc::SyncSender<Batch>,
    results: &mpsc::Receiver<Fetched>,
    voice: &mut Voice,
) -> Result<(), Failure> {
    let mut arrived = BTreeMap::new();
    let (mut asked, mut written) = (0, 0);
    let mut walk_failed = None;
    loop {
        while asked - written < BATCHES_AHEAD && walk_failed.is_none() {
            match batches.next() {
                None => break,
                Some(Ok(hashes)) => {
                    work.send((asked, hashes)).expect("the workers live as long as the results")
                }
                Some(Err(failure)) => {
                    walk_failed = Some(failure);
                    break;
                }
            }
            asked += 1;
        }
        if asked == written {
            return walk_failed.map_or(Ok(()), Err);
        }
        while !arrived.contains_key(&written) {
            let (at, hashes, blocks) = results.recv().expect("each batch gets a result");
            arrived.insert(at, (hashes, blocks));
        }
        let (hashes, blocks) = arrived.remove(&written).expect("it has just arrived");
        for (hash, block) in hashes.into_iter().zip(blocks?) {
            voice.out().write_all(&block.ok_or(Failure::MissedBlock { hash })?)?;
        }
        written += 1;
    }
}
