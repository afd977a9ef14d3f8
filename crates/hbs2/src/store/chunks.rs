//! Content into a storage: one thread reads, the others seal, hash and put.
//!
//! So the disk that is read, the processor and the storage work at the same time. What is held at once is a few
//! batches, whatever the length of the content; only the list of hashes grows, by 32 bytes for each 256 KiB.

use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use bytes::Bytes;
use hbs2_core::limits::CHUNK_BYTES;
use hbs2_core::tree::build;
use hbs2_core::tree::sealed::BlockCipher;
use hbs2_core::{Crypt, Hash, Meta, Shape};

use super::blocks::{BATCH_BLOCKS, Blocks, WORKERS};
use crate::error::Failure;
use crate::voice::Progress;

/// Where blocks go; returns their hashes in order.
pub type Put<'a> = &'a (dyn Fn(Vec<Bytes>) -> Result<Vec<Hash>, Failure> + Sync);

/// Gives the next chunk of some content: fills the room as far as the content reaches.
pub type Fill<'a> = &'a mut dyn FnMut(&mut [u8]) -> Result<usize, Failure>;

/// A batch of chunks and its number.
type Batch = (usize, Vec<Bytes>);

/// Puts the chunks that `fill` gives, sealed by `cipher` if there is one; returns the hashes of the blocks in order.
///
/// # Errors
/// Those of `fill` and of `put`.
pub fn put_chunks(
    fill: Fill<'_>,
    cipher: Option<&BlockCipher>,
    put: Put<'_>,
    progress: &Progress,
) -> Result<Vec<Hash>, Failure> {
    let (work, todo) = mpsc::sync_channel::<Batch>(1);
    // Only the workers hold the other end: when all have given up, the reader of the content notices.
    let todo = Arc::new(Mutex::new(todo));
    let (finished, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            let (todo, finished) = (Arc::clone(&todo), finished.clone());
            scope.spawn(move || {
                while let Some((at, chunks)) = next(&todo) {
                    let bytes = chunks.iter().map(|chunk| chunk.len() as u64).sum();
                    let hashes = put(seal(cipher, at, chunks));
                    let failed = hashes.is_err();
                    progress.add(bytes);
                    if finished.send((at, hashes)).is_err() || failed {
                        break;
                    }
                }
            });
        }
        drop((todo, finished));
        let fed = feed(fill, &work);
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

/// The blocks of a batch. Every batch but the last is full, so its number gives the places of its chunks.
fn seal(cipher: Option<&BlockCipher>, at: usize, chunks: Vec<Bytes>) -> Vec<Bytes> {
    let Some(cipher) = cipher else { return chunks };
    let first = (at * BATCH_BLOCKS) as u64 + 1;
    (first..).zip(chunks).map(|(place, chunk)| cipher.seal(place, &chunk)).collect()
}

/// Hands the chunks on in batches, until the end of the content or until nobody takes them.
fn feed(fill: Fill<'_>, work: &mpsc::SyncSender<Batch>) -> Result<(), Failure> {
    for at in 0.. {
        let mut batch = Vec::with_capacity(BATCH_BLOCKS);
        let mut ended = false;
        while batch.len() < BATCH_BLOCKS && !ended {
            let mut chunk = vec![0; CHUNK_BYTES];
            let count = fill(&mut chunk)?;
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

/// Puts the tree over `hashes`, children before parents; returns its root.
///
/// # Errors
/// Those of `put`.
pub fn put_tree(hashes: &[Hash], put: Put<'_>) -> Result<Hash, Failure> {
    let mut batches = Batches::new(put);
    let root = build::build(Shape::DATA, hashes, |_, block| batches.push(block));
    batches.finish().map(|()| root)
}

/// Puts the annotated tree over `hashes`; returns the hash of its annotated root.
///
/// # Errors
/// Those of `put`.
pub fn put_annotated(hashes: &[Hash], meta: Meta, crypt: Crypt, put: Put<'_>) -> Result<Hash, Failure> {
    let mut batches = Batches::new(put);
    let root = build::build_annotated(Shape::DATA, hashes, meta, crypt, |_, block| batches.push(block));
    batches.finish().map(|()| root)
}

/// Puts blocks a batch at a time; keeps the first failure for the end.
struct Batches<'a> {
    put: Put<'a>,
    batch: Vec<Bytes>,
    outcome: Result<(), Failure>,
}

impl<'a> Batches<'a> {
    fn new(put: Put<'a>) -> Self {
        Self { put, batch: Vec::with_capacity(BATCH_BLOCKS), outcome: Ok(()) }
    }

    fn push(&mut self, block: Bytes) {
        self.batch.push(block);
        if self.batch.len() == BATCH_BLOCKS && self.outcome.is_ok() {
            self.outcome = (self.put)(std::mem::take(&mut self.batch)).map(drop);
        }
    }

    fn finish(self) -> Result<(), Failure> {
        self.outcome?;
        if self.batch.is_empty() { Ok(()) } else { (self.put)(self.batch).map(drop) }
    }
}

/// Content that comes in pieces of any length and becomes a plain tree.
pub struct TreeWriter<'a> {
    blocks: &'a Blocks,
    /// The start of the next chunk.
    part: Vec<u8>,
    batch: Vec<Bytes>,
    hashes: Vec<Hash>,
}

impl<'a> TreeWriter<'a> {
    /// A tree in `blocks`.
    #[must_use]
    pub fn new(blocks: &'a Blocks) -> Self {
        Self { blocks, part: Vec::with_capacity(CHUNK_BYTES), batch: Vec::new(), hashes: Vec::new() }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// The storage failed.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), Failure> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK_BYTES - self.part.len()));
            self.part.extend_from_slice(now);
            bytes = later;
            if self.part.len() == CHUNK_BYTES {
                self.end_chunk()?;
            }
        }
        Ok(())
    }

    fn end_chunk(&mut self) -> Result<(), Failure> {
        let chunk = std::mem::replace(&mut self.part, Vec::with_capacity(CHUNK_BYTES));
        self.batch.push(chunk.into());
        if self.batch.len() == BATCH_BLOCKS { self.put_batch() } else { Ok(()) }
    }

    fn put_batch(&mut self) -> Result<(), Failure> {
        self.hashes.extend(self.blocks.put(std::mem::take(&mut self.batch))?);
        Ok(())
    }

    /// Stores what is left and the tree; returns its root, when all is on stable storage.
    ///
    /// # Errors
    /// The storage failed.
    pub fn finish(mut self) -> Result<Hash, Failure> {
        if !self.part.is_empty() {
            self.end_chunk()?;
        }
        if !self.batch.is_empty() {
            self.put_batch()?;
        }
        let root = put_tree(&self.hashes, &|batch| self.blocks.put(batch))?;
        self.blocks.sync()?;
        Ok(root)
    }
}
