//! Lane of the stores: completed blocks of a download.

use bytes::Bytes;
use hbs2_core::limits::CHUNK_BYTES;
use hbs2_core::{Hash, inspect};
use hbs2_proto::io::MISSING_HASHES_MAX;
use hbs2_proto::{Input, LinkId};
use hbs2_store::{Durability, StoreError, walk};

use super::{Context, report};
use crate::queue::Queue;

/// What a block costs besides its bytes, in bytes: bounds the number of tiny blocks in a batch to 520.
const BLOCK_COST_BYTES: usize = 4 * 1024;

/// Bytes of one batch, at most: exactly eight chunks of a tree, which fill the four lanes of the hash twice, and
/// little memory that is held twice while a batch is written.
const BATCH_BYTES_MAX: usize = 8 * (CHUNK_BYTES + BLOCK_COST_BYTES);

pub(super) struct Job {
    pub(super) hash: Hash,
    pub(super) parts: Vec<Bytes>,
    pub(super) from: LinkId,
}

impl Job {
    fn weight(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum::<usize>() + BLOCK_COST_BYTES
    }
}

pub(super) fn run(queue: &Queue<Job>, context: &Context) {
    while let Some(jobs) = queue.take(BATCH_BYTES_MAX, Job::weight) {
        let sources: Vec<LinkId> = jobs.iter().map(|job| job.from).collect();
        let blocks: Vec<(Hash, Bytes)> = jobs.into_iter().map(|job| (job.hash, join(job.parts))).collect();
        let facts = match context.store.put_expected(&blocks, Durability::Grouped) {
            Ok(stored) => {
                let facts = blocks.iter().zip(sources).zip(stored);
                facts.map(|((block, from), stored)| fact(context, block, from, stored)).collect()
            }
            Err(error) => {
                report("store received blocks", &error);
                blocks.iter().map(|(hash, _)| Input::BlockFailed { hash: *hash }).collect()
            }
        };
        context.tell(facts);
    }
}

fn join(mut parts: Vec<Bytes>) -> Bytes {
    if parts.len() == 1 {
        return parts.swap_remove(0);
    }
    let mut whole = Vec::with_capacity(parts.iter().map(Bytes::len).sum());
    for part in parts {
        whole.extend_from_slice(&part);
    }
    whole.into()
}

fn fact(context: &Context, (hash, block): &(Hash, Bytes), from: LinkId, stored: bool) -> Input {
    if !stored {
        return Input::BlockRejected { hash: *hash, from };
    }
    match missing_children(context, block) {
        Ok((missing, truncated)) => Input::BlockStored { hash: *hash, missing, truncated },
        Err(error) => {
            report("look for the children of a block", &error);
            Input::BlockFailed { hash: *hash }
        }
    }
}

fn missing_children(context: &Context, block: &[u8]) -> Result<(Vec<Hash>, bool), StoreError> {
    if !inspect::may_link(block) {
        return Ok((Vec::new(), false));
    }
    let missing = walk::missing(&*context.store, &inspect::links(block), MISSING_HASHES_MAX)?;
    Ok((missing.hashes, missing.truncated))
}
