//! Lane of the walks: what is absent of a whole tree.

use hbs2_core::Hash;
use hbs2_proto::io::MISSING_HASHES_MAX;
use hbs2_proto::{Input, Ticket};
use hbs2_store::walk;

use super::{Context, report};
use crate::queue::Queue;

pub(super) struct Job {
    pub(super) ticket: Ticket,
    pub(super) root: Hash,
}

pub(super) fn run(queue: &Queue<Job>, context: &Context) {
    while let Some(jobs) = queue.take(1, |_| 1) {
        for Job { ticket, root } in jobs {
            let found = walk::missing(&*context.store, &[root], MISSING_HASHES_MAX).unwrap_or_else(|error| {
                report("walk a tree", &error);
                // Nothing is known: the tree is not complete, and walking again later may tell more.
                walk::Missing { truncated: true, ..walk::Missing::default() }
            });
            context.tell(vec![Input::Walked { ticket, missing: found.hashes, truncated: found.truncated }]);
        }
    }
}
