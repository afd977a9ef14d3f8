//! Lane of the commits: what must be durable, in order.

use bytes::Bytes;
use hbs2_core::Hash;
use hbs2_proto::{Commit, Input, Ticket};
use hbs2_store::{Durability, Store, StoreError};

use super::{Context, report};
use crate::queue::Queue;

/// Commits that share their syncs, at most. One sync takes milliseconds, a commit some kilobytes.
const BATCH_COMMITS_MAX: usize = 256;

pub(super) struct Job {
    pub(super) ticket: Ticket,
    pub(super) commit: Commit,
}

pub(super) fn run(queue: &Queue<Job>, context: &Context) {
    while let Some(jobs) = queue.take(BATCH_COMMITS_MAX, |_| 1) {
        let (tickets, commits): (Vec<Ticket>, Vec<Commit>) =
            jobs.into_iter().map(|job| (job.ticket, job.commit)).unzip();
        let durable = match write(&*context.store, commits) {
            Ok(()) => true,
            Err(error) => {
                report("commit", &error);
                false
            }
        };
        context.tell(tickets.into_iter().map(|ticket| Input::Committed { ticket, durable }).collect());
    }
}

/// Writes all commits as one: first all blocks, then records and references, the later of two values only. No
/// reference ever points to a block that is less durable than itself.
fn write(store: &dyn Store, commits: Vec<Commit>) -> Result<(), StoreError> {
    let mut all = Commit::default();
    for commit in commits {
        all.blocks.extend(commit.blocks);
        all.records.extend(commit.records);
        all.references.extend(commit.references);
    }
    if !all.blocks.is_empty() {
        let blocks: Vec<Bytes> = all.blocks.into_iter().map(|(_, block)| block).collect();
        store.put(&blocks, Durability::Synced)?;
    }
    for (at, (name, value)) in all.records.iter().enumerate() {
        let superseded = all.records[at + 1..].iter().any(|(later, _)| later == name);
        if !superseded {
            store.set_record(name, Some(value))?;
        }
    }
    if !all.references.is_empty() {
        let changes: Vec<(Hash, Option<Hash>)> =
            all.references.into_iter().map(|(key, value)| (key, Some(value))).collect();
        store.set_references(&changes)?;
    }
    Ok(())
}
