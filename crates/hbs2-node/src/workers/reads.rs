//! Lane of the reads: what peers ask for.

use hbs2_core::Hash;
use hbs2_proto::{Input, Ticket};

use super::{Context, report};
use crate::queue::Queue;

/// What one batch weighs at most. A length weighs 1, a block [`BLOCK_WEIGHT`]: eight blocks are two MiB at the
/// usual size, enough to fill the lanes of the hash, and little to wait for.
const BATCH_WEIGHT_MAX: usize = 8 * BLOCK_WEIGHT;

/// What reading a block weighs; see [`BATCH_WEIGHT_MAX`].
const BLOCK_WEIGHT: usize = 16;

pub(super) enum Job {
    Stat { ticket: Ticket, hash: Hash },
    Block { ticket: Ticket, hash: Hash },
    Reference { ticket: Ticket, key: Hash },
}

impl Job {
    fn weight(&self) -> usize {
        if matches!(self, Self::Stat { .. }) { 1 } else { BLOCK_WEIGHT }
    }
}

pub(super) fn run(queue: &Queue<Job>, context: &Context) {
    while let Some(jobs) = queue.take(BATCH_WEIGHT_MAX, Job::weight) {
        let mut facts = Vec::with_capacity(jobs.len());
        let mut wanted = Vec::new();
        for job in jobs {
            match job {
                Job::Stat { ticket, hash } => facts.push(stat(context, ticket, &hash)),
                Job::Block { ticket, hash } => wanted.push((ticket, hash)),
                Job::Reference { ticket, key } => facts.push(reference(context, ticket, &key)),
            }
        }
        facts.extend(blocks(context, &wanted));
        context.tell(facts);
    }
}

fn stat(context: &Context, ticket: Ticket, hash: &Hash) -> Input {
    let stat = context.store.stat(hash).unwrap_or_else(|error| {
        report("look a block up", &error);
        None
    });
    Input::BlockStat { ticket, bytes: stat.map(|stat| stat.bytes) }
}

fn blocks<'a>(context: &Context, wanted: &'a [(Ticket, Hash)]) -> impl Iterator<Item = Input> + 'a {
    let hashes: Vec<Hash> = wanted.iter().map(|(_, hash)| *hash).collect();
    let blocks = context.store.get_many(&hashes).unwrap_or_else(|error| {
        report("read blocks", &error);
        vec![None; wanted.len()]
    });
    wanted.iter().zip(blocks).map(|((ticket, _), block)| Input::BlockRead { ticket: *ticket, block })
}

fn reference(context: &Context, ticket: Ticket, key: &Hash) -> Input {
    let read = || match context.store.reference(key)? {
        Some(hash) => context.store.get(&hash),
        None => Ok(None),
    };
    let block = read().unwrap_or_else(|error| {
        report("read a reference", &error);
        None
    });
    Input::ReferenceRead { ticket, block }
}
