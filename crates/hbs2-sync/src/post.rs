//! Posting: sealing what is to be told, storing it, and proposing it to the channel.
//!
//! Many small files are sealed by several threads, stored together and proposed one behind the other without waiting for
//! each answer; meanwhile the next ones are sealed. An entry counts as posted when the daemon has it on stable storage;
//! until it shows in the log of the channel it is *pending*, part of what this folder knows, and proposed again if it does
//! not.

use std::collections::VecDeque;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::{Blob, ChanHead, Hash, RefKind, SignPublicKey, Signed};
use hbs2_rpc::Client;
use hbs2_rpc::bulk::Upload;
use hbs2_rpc::client::ClientError;

use crate::context::{Context, now, random};
use crate::entry::{self, Facts};
use crate::error::{Result, SyncError};
use crate::folder::{Folder, Writer};
use crate::groups::Seal;
use crate::link;
use crate::path::RelPath;
use crate::root::{Print, Root};
use crate::seal::{HELD_BYTES_MAX, Sealed, rename_tree, seal_file, seal_tomb};
use crate::state::Pending;

/// Entries that are sealed, stored and proposed together, at most.
const BATCH: usize = 1024;

/// Bytes of small files in one such group, at most: they are in memory, and so are their blocks.
const BATCH_BYTES: u64 = 32 * 1024 * 1024;

/// Proposals without an answer, at most. The daemon writes what waits in groups.
const UNDER_WAY_MAX: usize = 512;

/// Threads that seal, at most.
const SEALERS_MAX: usize = 4;

/// How long posted entries are awaited in the log, in seconds, before that is left to the next run.
const ACCEPT_SECONDS: u64 = 10;

/// After this time an entry that has not shown in the log is proposed again, in seconds; more when the head says so.
const AGAIN_SECONDS: u64 = 60;

/// What is to be posted.
pub(crate) struct Letter {
    pub(crate) facts: Facts,
    pub(crate) what: What,
}

/// Where the content of an entry comes from.
pub(crate) enum What {
    /// A deletion has none.
    Tomb,
    /// A file of the folder.
    File(Print),
    /// Another entry: the head of its tree, and what seals it.
    Tree(Bytes, Seal),
}

/// A sealed entry.
struct Made {
    tree: Hash,
    key: Hash,
    facts: Facts,
    file: Option<(Hash, Print)>,
}

/// An entry that the daemon has taken.
pub(crate) struct Taken {
    pub(crate) id: Hash,
    pub(crate) tree: Hash,
    pub(crate) facts: Facts,
    /// Of a file: the hash of its content, and the file as it was.
    pub(crate) file: Option<(Hash, Print)>,
}

/// What became of a group of proposals.
struct Proposed {
    /// Those that the daemon has taken, with their payloads.
    taken: Vec<(Made, Vec<u8>)>,
    /// Why others were not.
    failed: Option<SyncError>,
}

impl Folder {
    /// Posts entries in groups: while one is proposed, the next is sealed and stored. `taken` is told of each entry that
    /// the daemon has.
    ///
    /// # Errors
    /// The daemon fails, or takes no more; what it took before is told and remembered.
    pub(crate) fn post(
        &mut self,
        ctx: &Context<'_>,
        (writer, seal): (&Writer, &Seal),
        letters: Vec<Letter>,
        taken: &mut dyn FnMut(&mut Self, Taken),
    ) -> Result<()> {
        let (total, chan, client) = (letters.len(), self.chan, ctx.client);
        let mut letters = VecDeque::from(letters);
        let outcome = thread::scope(|scope| {
            let (give, groups) = mpsc::sync_channel::<Vec<Made>>(0);
            let (tell, answers) = mpsc::channel();
            scope.spawn(move || {
                for group in groups {
                    let proposed = propose(client, chan, writer, group);
                    let is_over = proposed.failed.is_some();
                    if tell.send(proposed).is_err() || is_over {
                        break;
                    }
                }
            });
            let mut make_all = || {
                while let Some(group) = next_group(&mut letters) {
                    ctx.voice.status(&format!("posting {} of {total}", total - letters.len() - group.len()));
                    let (made, failed) = make(ctx, &self.root, self.config.follow_links, seal, group)?;
                    for (path, error) in failed {
                        self.note(ctx, format!("not posted: {path} {error}"));
                    }
                    // Nobody takes it when an earlier group has failed; why is among the answers.
                    if give.send(made).is_err() {
                        break;
                    }
                    answers.try_iter().try_for_each(|proposed| self.remember_all(proposed, taken))?;
                }
                Ok(())
            };
            let mut outcome = make_all();
            drop(give);
            for proposed in answers {
                outcome = outcome.and(self.remember_all(proposed, taken));
            }
            outcome
        });
        ctx.voice.status("");
        outcome
    }

    fn remember_all(&mut self, proposed: Proposed, taken: &mut dyn FnMut(&mut Self, Taken)) -> Result<()> {
        for (made, payload) in proposed.taken {
            self.remember(made, payload, taken);
        }
        proposed.failed.map_or(Ok(()), Err)
    }

    fn remember(&mut self, made: Made, payload: Vec<u8>, taken: &mut dyn FnMut(&mut Self, Taken)) {
        let Made { tree, key, facts, file } = made;
        self.channel.note(tree, key, facts.clone());
        let id = entry::id(&payload);
        self.state.pending.push(Pending { payload, tree, facts: facts.clone(), posted: now() });
        taken(self, Taken { id, tree, facts, file });
    }

    /// Proposes again what has not shown in the log for long.
    pub(crate) fn propose_again(
        &mut self,
        ctx: &Context<'_>,
        head: &ChanHead,
        writer: &Writer,
    ) -> Result<()> {
        let (now, patience) = (now(), AGAIN_SECONDS.max(head.wait.saturating_mul(3)));
        for pending in &mut self.state.pending {
            if pending.posted.saturating_add(patience) <= now {
                let signed = Signed::sign(&writer.secret, &Blob(pending.payload.clone().into()));
                match link::propose(ctx.client, self.chan, signed).wait(link::WRITE_TIMEOUT) {
                    Ok(()) => pending.posted = now,
                    // No room in the channel now; it stays pending.
                    Err(ClientError::Refused { .. }) => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// Waits a while for what was posted to show in the log.
    pub(crate) fn await_accepted(&mut self, ctx: &Context<'_>) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(ACCEPT_SECONDS);
        while !self.state.pending.is_empty() {
            let seen = link::log(ctx.client, self.chan)?;
            self.channel.read(ctx.client)?;
            self.history_here();
            let left = until.saturating_duration_since(Instant::now());
            if self.state.pending.is_empty() || left.is_zero() {
                break;
            }
            ctx.voice.status(&format!("waiting for {} acceptances", self.state.pending.len()));
            link::wait_ref(ctx.client, RefKind::ChanLog, self.chan, seen, left)?;
        }
        ctx.voice.status("");
        let count = self.state.pending.len();
        if count > 0 {
            self.note(ctx, format!("{count} entries wait for other peers of the channel to accept them"));
        }
        Ok(())
    }
}

/// Proposes entries, one behind the other, and waits for all answers.
fn propose(client: &Client, chan: SignPublicKey, writer: &Writer, made: Vec<Made>) -> Proposed {
    let mut under_way = VecDeque::new();
    let mut made = made.into_iter();
    let (mut taken, mut refused, mut count) = (Vec::new(), None, 0);
    loop {
        while under_way.len() < UNDER_WAY_MAX && refused.is_none() {
            let Some(next) = made.next() else { break };
            let nonce = match random::<{ entry::NONCE_BYTES }>() {
                Ok(nonce) => nonce,
                Err(error) => return Proposed { taken, failed: Some(error) },
            };
            let payload = entry::payload(next.tree, *nonce);
            let signed = Signed::sign(&writer.secret, &Blob(payload.clone().into()));
            under_way.push_back((next, payload, link::propose(client, chan, signed)));
        }
        let Some((next, payload, answer)) = under_way.pop_front() else { break };
        match answer.wait(link::WRITE_TIMEOUT) {
            Ok(()) => taken.push((next, payload)),
            Err(error @ ClientError::Refused { .. }) => {
                count += 1;
                refused.get_or_insert(error);
            }
            Err(error) => return Proposed { taken, failed: Some(error.into()) },
        }
    }
    let failed = refused.map(|source| SyncError::NotTaken { chan, count: count + made.len(), source });
    Proposed { taken, failed }
}

/// The next entries that are posted together.
fn next_group(letters: &mut VecDeque<Letter>) -> Option<Vec<Letter>> {
    let mut bytes = 0;
    let mut count = 0;
    for letter in letters.iter().take(BATCH) {
        if let What::File(print) = &letter.what {
            // A large file passes through.
            bytes += if print.bytes <= HELD_BYTES_MAX { print.bytes } else { 0 };
        }
        if bytes > BATCH_BYTES && count > 0 {
            break;
        }
        count += 1;
    }
    (count > 0).then(|| letters.drain(..count).collect())
}

/// Entries that could not be made, and why.
type Failed = Vec<(RelPath, SyncError)>;

/// Seals entries and stores their blocks; they are on stable storage when this returns.
fn make(
    ctx: &Context<'_>,
    root: &Root,
    follow_links: bool,
    seal: &Seal,
    letters: Vec<Letter>,
) -> Result<(Vec<Made>, Failed)> {
    let mut upload = Upload::new(ctx.client, link::WRITE_TIMEOUT);
    let (mut made, mut failed) = (Vec::new(), Vec::new());
    let is_large = |letter: &Letter| matches!(letter.what, What::File(print) if print.bytes > HELD_BYTES_MAX);
    let (large, small): (Vec<Letter>, Vec<Letter>) = letters.into_iter().partition(is_large);
    let threads = thread::available_parallelism().map_or(1, usize::from).min(SEALERS_MAX);
    let share = small.len().div_ceil(threads).max(1);
    let parts: Vec<(Vec<Result<Made>>, Vec<Bytes>)> = thread::scope(|scope| {
        let work: Vec<_> = small
            .chunks(share)
            .map(|part| {
                scope.spawn(move || {
                    let mut blocks = Vec::new();
                    let mut emit = |block| {
                        blocks.push(block);
                        Ok(())
                    };
                    let seal = |letter: &Letter| seal_one(root, follow_links, seal, letter, &mut emit);
                    let outcomes = part.iter().map(seal).collect();
                    (outcomes, blocks)
                })
            })
            .collect();
        work.into_iter().map(|part| part.join().expect("sealing does not panic")).collect()
    });
    let mut outcomes = Vec::new();
    for (part, blocks) in parts {
        outcomes.extend(part);
        for block in blocks {
            upload.put(block)?;
        }
    }
    for letter in &large {
        ctx.voice.status(&format!("storing {}", letter.facts.path));
        outcomes.push(seal_one(root, follow_links, seal, letter, &mut |block| Ok(upload.put(block)?)));
    }
    for (letter, outcome) in small.iter().chain(&large).zip(outcomes) {
        match outcome {
            Ok(one) => made.push(one),
            Err(error @ SyncError::Peer(_)) => return Err(error),
            Err(error) => failed.push((letter.facts.path.clone(), error)),
        }
    }
    upload.finish()?;
    Ok((made, failed))
}

fn seal_one(
    root: &Root,
    follow_links: bool,
    seal: &Seal,
    letter: &Letter,
    emit: &mut dyn FnMut(Bytes) -> Result<()>,
) -> Result<Made> {
    let facts = &letter.facts;
    let made = |tree, key| Made { tree, key, facts: facts.clone(), file: None };
    match &letter.what {
        What::Tomb => Ok(made(seal_tomb(seal, facts, emit)?, seal.key)),
        What::Tree(head, seal) => {
            let reason = || "its head cannot be read".to_owned();
            let unreadable = || SyncError::Tree { root: Hash::of(head), reason: reason() };
            Ok(made(rename_tree(head, seal, facts, emit).ok_or_else(unreadable)??, seal.key))
        }
        What::File(_) => {
            let path = || facts.path.as_str().into();
            let opened = root.read(&facts.path, follow_links);
            let opened = opened.map_err(|source| SyncError::File { doing: "read", path: path(), source })?;
            let Sealed { tree, facts, content, print } = seal_file(seal, facts.clone(), opened, emit)?;
            Ok(Made { tree, key: seal.key, facts, file: Some((content, print)) })
        }
    }
}
