//! Lanes of the looks and the reads: what peers ask for.
//!
//! Lengths have a thread of their own, so that their answers, for which others wait a few seconds at most, never
//! stand behind megabytes. Blocks have one, not more: two would split between them what fills the lanes of the hash.

use hbs2_core::Hash;
use hbs2_proto::{Input, Ticket};

use super::{Context, report};
use crate::queue::Queue;

/// Questions of one batch, at most. A block is read eight at a time: that fills the four lanes of the hash twice and
/// is two MiB at the usual size. A length takes a microsecond.
const BATCH_LENGTHS_MAX: usize = 256;
const BATCH_BLOCKS_MAX: usize = 8;

/// Bytes of the blocks of one batch, at most: twice eight blocks of the usual size. Blocks may have 16 MiB.
const BATCH_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A question for lengths and references, which are small.
pub(super) enum Look {
    Stat { ticket: Ticket, hash: Hash },
    Reference { ticket: Ticket, key: Hash },
}

/// A question for a block.
pub(super) struct Read {
    pub(super) ticket: Ticket,
    pub(super) hash: Hash,
}

pub(super) fn look(queue: &Queue<Look>, context: &Context) {
    while let Some(looks) = queue.take(BATCH_LENGTHS_MAX, |_| 1) {
        let fact = |look| match look {
            Look::Stat { ticket, hash } => stat(context, ticket, &hash),
            Look::Reference { ticket, key } => reference(context, ticket, &key),
        };
        context.tell(looks.into_iter().map(fact).collect());
    }
}

pub(super) fn read(queue: &Queue<Read>, context: &Context) {
    while let Some(reads) = queue.take(BATCH_BLOCKS_MAX, |_| 1) {
        let mut rest = &reads[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(fitting(context, rest));
            context.tell(blocks(context, now).collect());
            rest = later;
        }
    }
}

/// How many of these blocks may be read at once: as many as have [`BATCH_BYTES_MAX`], and one at least.
fn fitting(context: &Context, reads: &[Read]) -> usize {
    let mut bytes = 0;
    let mut fits = |read: &&Read| {
        // What cannot be looked up costs nothing; reading will say why.
        bytes += context.store.stat(&read.hash).ok().flatten().map_or(0, |stat| stat.bytes);
        bytes <= BATCH_BYTES_MAX
    };
    reads.iter().take_while(|read| fits(read)).count().max(1)
}

fn stat(context: &Context, ticket: Ticket, hash: &Hash) -> Input {
    let stat = context.store.stat(hash).unwrap_or_else(|error| {
        report("look a block up", &error);
        None
    });
    Input::BlockStat { ticket, bytes: stat.map(|stat| stat.bytes) }
}

fn blocks<'a>(context: &Context, reads: &'a [Read]) -> impl Iterator<Item = Input> + 'a {
    let hashes: Vec<Hash> = reads.iter().map(|read| read.hash).collect();
    let blocks = context.store.get_many(&hashes).unwrap_or_else(|error| {
        report("read blocks", &error);
        vec![None; reads.len()]
    });
    reads.iter().zip(blocks).map(|(read, block)| Input::BlockRead { ticket: read.ticket, block })
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
