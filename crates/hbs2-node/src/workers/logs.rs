//! Lane of the logs: lists of updates and checks of their signatures.

use bytes::Bytes;
use hbs2_core::limits::POLICY_BYTES_MAX;
use hbs2_core::mailbox::Policy;
use hbs2_core::tree::walk::{self, Leaves, WalkError};
use hbs2_core::{Hash, SignPublicKey};
use hbs2_proto::io::REFLOG_UPDATES_MAX;
use hbs2_proto::refs::examine_update;
use hbs2_proto::{Examined, Expected, Found, Input, LogSource, Ticket};
use hbs2_store::StoreError;

use super::{Context, report};
use crate::queue::Queue;

pub(super) enum Job {
    Read { ticket: Ticket, source: LogSource },
    Examine { ticket: Ticket, key: SignPublicKey, hashes: Vec<Hash> },
    Blocks { ticket: Ticket, expected: Expected, hashes: Vec<Hash> },
    Content { ticket: Ticket, source: LogSource, bytes_max: usize },
    Policy { ticket: Ticket, tree: Hash },
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
                Job::Blocks { ticket, expected, hashes } => {
                    let examine = |hash: Hash| (hash, block(context, &expected, &hash));
                    Input::BlocksExamined { ticket, blocks: hashes.into_iter().map(examine).collect() }
                }
                Job::Content { ticket, source, bytes_max } => {
                    let read = content(context, source, bytes_max).unwrap_or_else(|error| {
                        report("read the head of a refchan", &error);
                        None
                    });
                    Input::ContentRead { ticket, read }
                }
                Job::Policy { ticket, tree } => Input::PolicyRead { ticket, policy: policy(context, tree) },
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

fn block(context: &Context, expected: &Expected, hash: &Hash) -> Found {
    match context.store.get(hash) {
        Ok(block) => hbs2_proto::refs::examine(expected, block.as_ref()),
        Err(error) => {
            report("read a block of a reference", &error);
            Found::Absent
        }
    }
}

/// The root, the length of its block and the content of a data tree, if all of it is here.
fn content(
    context: &Context,
    source: LogSource,
    bytes_max: usize,
) -> Result<Option<(Hash, u64, Bytes)>, StoreError> {
    let root = match source {
        LogSource::Tree(root) => Some(root),
        LogSource::Reference(key) => context.store.reference(&key)?,
    };
    let Some(root) = root else { return Ok(None) };
    let Some(stat) = context.store.stat(&root)? else { return Ok(None) };
    match walk::content(root, bytes_max, |hash| context.store.get(hash)) {
        Ok(content) => Ok(Some((root, stat.bytes, content.into()))),
        Err(WalkError::Source(error)) => Err(error),
        Err(error) => {
            tracing::debug!(%error, "the tree {root} has no content that can be used");
            Ok(None)
        }
    }
}

/// The policy in a tree, if it is one.
fn policy(context: &Context, tree: Hash) -> Option<Policy> {
    let (_, _, content) =
        content(context, LogSource::Tree(tree), POLICY_BYTES_MAX).unwrap_or_else(|error| {
            report("read the policy of a mailbox", &error);
            None
        })?;
    let text = std::str::from_utf8(&content).ok()?;
    let lines = hbs2_script::lines(text)
        .map_err(|error| tracing::warn!(%error, "the policy {tree} cannot be read"))
        .ok()?;
    Policy::from_lines(&lines)
        .map_err(|error| tracing::warn!(%error, "the policy {tree} cannot be used"))
        .ok()
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
