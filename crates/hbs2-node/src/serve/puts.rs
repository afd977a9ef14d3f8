//! Blocks that clients put one by one.
//!
//! A client that stores a file block by block has many calls under way. Their blocks are gathered by one thread
//! and share a sync, so that a hundred calls cost no more of the disk than one.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use bytes::Bytes;
use hbs2_core::Hash;
use hbs2_store::{Durability, Store, StoreError};
use tokio::sync::oneshot;

use crate::queue::Queue;

/// Bytes of blocks that share a sync, at most, in bytes.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

type Outcome = Result<Hash, StoreError>;

struct Job {
    block: Bytes,
    slot: oneshot::Sender<Outcome>,
}

/// The thread and its queue. The queue has no limit of its own: the calls of a connection do.
pub(super) struct Puts {
    queue: Arc<Queue<Job>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Puts {
    pub(super) fn start(store: Arc<dyn Store>) -> io::Result<Self> {
        let queue: Arc<Queue<Job>> = Arc::default();
        let jobs = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name("hbs2-put".to_owned()).spawn(move || {
            while let Some(batch) = jobs.take(BATCH_BYTES_MAX, |job: &Job| job.block.len()) {
                put(&*store, batch);
            }
        })?;
        Ok(Self { queue, thread: Mutex::new(Some(thread)) })
    }

    /// Stores a block; `None` when the daemon is stopping. Returns when it is on stable storage.
    pub(super) async fn put(&self, block: Bytes) -> Option<Outcome> {
        let (slot, outcome) = oneshot::channel();
        self.queue.push(Job { block, slot });
        outcome.await.ok()
    }
}

impl Drop for Puts {
    fn drop(&mut self) {
        self.queue.abandon();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic has been printed by its thread.
            let _ = thread.join();
        }
    }
}

fn put(store: &dyn Store, batch: Vec<Job>) {
    let blocks: Vec<Bytes> = batch.iter().map(|job| job.block.clone()).collect();
    let outcomes: Vec<Outcome> = match store.put(&blocks, Durability::Synced) {
        Ok(hashes) => hashes.into_iter().map(Ok).collect(),
        // One block beyond the limit refuses the whole call; the others must not pay for it.
        Err(StoreError::BlockTooLarge { .. }) if blocks.len() > 1 => {
            let one = |block: &Bytes| {
                let hashes = store.put(std::slice::from_ref(block), Durability::Synced)?;
                Ok(hashes[0])
            };
            blocks.iter().map(one).collect()
        }
        Err(error) => blocks.iter().map(|_| Err(error.clone())).collect(),
    };
    for (job, outcome) in batch.into_iter().zip(outcomes) {
        // Without a receiver the client has left.
        let _ = job.slot.send(outcome);
    }
}
