//! Lane of the logs: lists of updates and checks of their signatures.

use hbs2_core::tree::walk::Leaves;
use hbs2_core::{Hash, SignPublicKey};
use hbs2_proto::io::REFLOG_UPDATES_MAX;
use hbs2_proto::refs::examine_update;
use hbs2_proto::{Examined, Input, LogSource, Ticket};

use super::{Context, report};
use crate::queue::Queue;

pub(super) enum Job {
    Read { ticket: Ticket, source: LogSource },
    Examine { ticket: Ticket, key: SignPublicKey, hashes: Vec<Hash> },
}

pub(super) fn run(queue: &Queue<Job>, context: &Context) {
    while let Some(jobs) = queue.take(1, |_| 1) {
        for job in jobs {
            let fact = match job {
                Job::Read { ticket, source } => read(context, ticket, source),
                Job::Examine { ticket, key, hashes } => {
                    let examine = |hash: Hash| (hash, examine(context, &key, &hash));
                    Input::UpdatesExamined { ticket, updates: hashes.into_iter().map(examine).collect() }
                }
            };
            context.tell(vec![fact]);
        }
    }
}

fn read(context: &Context, ticket: Ticket, source: LogSource) -> Input {
    let root = match source {
        LogSource::Tree(root) => Ok(Some(root)),
        LogSource::Reference(key) => context.store.reference(&key),
    };
    let root = match root {
        Ok(root) => root,
        Err(error) => {
            report("read the reference of a log", &error);
            return Input::LogRead { ticket, root: None, leaves: Vec::new(), complete: false };
        }
    };
    let (leaves, complete) = root.map_or((Vec::new(), true), |root| leaves(context, root));
    Input::LogRead { ticket, root, leaves, complete }
}

/// The entries of the tree `root` as far as they can be read, and whether these are all.
fn leaves(context: &Context, root: Hash) -> (Vec<Hash>, bool) {
    let mut leaves = Vec::new();
    for list in Leaves::new(root, |hash| context.store.get(hash)) {
        match list {
            Ok(list) if leaves.len() + list.len() <= REFLOG_UPDATES_MAX => leaves.extend(list),
            Ok(_) => return (leaves, false),
            Err(error) => {
                tracing::debug!(%error, "the log under {root} is not complete");
                return (leaves, false);
            }
        }
    }
    (leaves, true)
}

fn examine(context: &Context, key: &SignPublicKey, hash: &Hash) -> Examined {
    match context.store.get(hash) {
        Ok(block) => examine_update(key, block.as_deref()),
        Err(error) => {
            report("read an update", &error);
            Examined::Absent
        }
    }
}
