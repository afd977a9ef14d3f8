//! `hbs2 store`: a file or stdin becomes a tree of blocks.
//!
//! One thread reads, the others hash and put, so the disk that is read, the processor and the storage work at
//! the same time. What is held at once is a few batches, whatever the length of the input; only the list of
//! hashes grows, by 32 bytes for each 256 KiB.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use bytes::Bytes;
use hbs2_core::Hash;
use hbs2_core::limits::CHUNK_BYTES;
use hbs2_core::tree::{Shape, build};

use super::blocks::{BATCH_BLOCKS, Blocks, Place, Purpose, WORKERS};
use crate::error::Failure;
use crate::input::Input;
use crate::voice::{Progress, Voice};

/// Store a file or stdin, and print the hash that names it
///
/// The data is cut into blocks of 256 KiB under a Merkle tree; the hash is that of the tree. Equal data has an
/// equal hash and is stored once. Everything is on stable storage when the hash is printed.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hbs2 store notes.txt
  tar c src | hbs2 store
  hbs2 cat $(hbs2 store notes.txt)     read it back
  hbs2-peer announce HASH              tell other peers about it

Where data goes:
  With -p, into that directory. Otherwise to the running peer; when none answers, into the
  storage that the peer's config names, or ~/.local/share/hbs2.

Exit status: 0 stored; 1 not.")]
pub struct Words {
    /// File to store; stdin if absent
    file: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// Runs the command.
///
/// # Errors
/// The input cannot be read, the storage cannot be opened or written.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let mut input = Input::open(words.file.as_deref(), voice)?;
    let blocks = Blocks::open(&words.place, Purpose::Write, voice)?;
    let progress = voice.talk().progress("storing", input.bytes());
    let hashes = put_chunks(&mut input, &blocks, &progress)?;
    let root = put_tree(&hashes, &blocks)?;
    blocks.sync()?;
    drop(progress);
    voice.line(root)?;
    Ok(())
}

/// A batch of chunks and its place in the input.
type Batch = (usize, Vec<Bytes>);

/// Stores the chunks of the input; returns their hashes in order.
fn put_chunks(input: &mut Input, blocks: &Blocks, progress: &Progress) -> Result<Vec<Hash>, Failure> {
    let (work, todo) = mpsc::sync_channel::<Batch>(1);
    // Only the workers hold the other end: when all have given up, the reader of the input notices.
    let todo = Arc::new(Mutex::new(todo));
    let (finished, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            let (todo, finished) = (Arc::clone(&todo), finished.clone());
            scope.spawn(move || {
                while let Some((at, chunks)) = next(&todo) {
                    let bytes = chunks.iter().map(|chunk| chunk.len() as u64).sum();
                    let hashes = blocks.put(chunks);
                    let failed = hashes.is_err();
                    progress.add(bytes);
                    if finished.send((at, hashes)).is_err() || failed {
                        break;
                    }
                }
            });
        }
        drop((todo, finished));
        let fed = feed(input, &work);
        drop(work);
        let mut batches: Vec<(usize, Vec<Hash>)> =
            results.iter().map(|(at, hashes)| Ok((at, hashes?))).collect::<Result<_, Failure>>()?;
        fed?;
        batches.sort_unstable_by_key(|(at, _)| *at);
        Ok(batches.into_iter().flat_map(|(_, hashes)| hashes).collect())
    })
}

fn next(todo: &Mutex<mpsc::Receiver<Batch>>) -> Option<Batch> {
    todo.lock().ok()?.recv().ok()
}

/// Cuts the input into chunks and hands them on in batches, until its end or until nobody takes them.
fn feed(input: &mut Input, work: &mpsc::SyncSender<Batch>) -> Result<(), Failure> {
    for at in 0.. {
        let mut batch = Vec::with_capacity(BATCH_BLOCKS);
        let mut ended = false;
        while batch.len() < BATCH_BLOCKS && !ended {
            let mut chunk = vec![0; CHUNK_BYTES];
            let count = input.fill(&mut chunk)?;
            ended = count < CHUNK_BYTES;
            chunk.truncate(count);
            if count > 0 {
                batch.push(Bytes::from(chunk));
            }
        }
        let sent = batch.is_empty() || work.send((at, batch)).is_ok();
        if ended || !sent {
            break;
        }
    }
    Ok(())
}

/// Stores the tree over `hashes`, children before parents; returns its root.
fn put_tree(hashes: &[Hash], blocks: &Blocks) -> Result<Hash, Failure> {
    let mut batch = Vec::with_capacity(BATCH_BLOCKS);
    let mut outcome = Ok(());
    let root = build::build(Shape::DATA, hashes, |_, block| {
        batch.push(block);
        if batch.len() == BATCH_BLOCKS && outcome.is_ok() {
            outcome = blocks.put(std::mem::take(&mut batch)).map(drop);
        }
    });
    outcome?;
    blocks.put(batch)?;
    Ok(root)
}
