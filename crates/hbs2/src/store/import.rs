//! `hbs2 storage import`: blocks and references of the original's storage folder into ours.
//!
//! A block is taken when it has its hash; one that is here already is not read, so an import that was broken off goes
//! on where it was. References come last, when their blocks are safe, and are merged as if a peer had sent them: the
//! better value of an lwwref, all entries of a reflog.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Subcommand;
use hbs2_core::tree::walk::Leaves;
use hbs2_core::tree::{Shape, build};
use hbs2_core::{Decode, Hash, LwwRef, RefKind, ReflogUpdate, Signed};
use hbs2_rpc::api::lwwref::Update;
use hbs2_rpc::api::node::{Guard, POST_UPDATES_MAX, PostEntries, PostMany};
use hbs2_store::legacy::{Corrupt, Entry, Legacy};

use super::blocks::{BATCH_BLOCKS, Blocks, Place, Purpose};
use crate::error::Failure;
use crate::voice::{Progress, Voice};

/// Take over what another storage has
#[derive(Debug, Subcommand)]
pub(crate) enum Words {
    Import(Import),
}

/// Import the storage folder of the original, a file for each block
///
/// Every block is checked; what is here already is left out, so a broken import goes on when it is started again.
/// References are merged: the newer value of an lwwref, all entries of a reflog. The folder stays as it is.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
For each file that was not taken, a line of the word 'corrupt' and its path.

Examples:
  hbs2 storage import ~/.local/share/hbs2.old
  hbs2-peer poll add reflog 17 KEY     subscribe again: subscriptions are no part of a storage

Exit status: 0 everything is here; 1 some files were corrupt, or the folder cannot be read.")]
pub(crate) struct Import {
    /// The folder, with folders blocks and refs in it
    folder: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// What came of an import.
#[derive(Debug, Default)]
struct Tally {
    blocks: usize,
    here: usize,
    references: usize,
    corrupt: usize,
}

/// Runs the command.
///
/// # Errors
/// The folder cannot be read, the storage cannot be written, or some files were corrupt.
pub(crate) fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let Words::Import(words) = words;
    let legacy = Legacy::open(&words.folder)?;
    let blocks = Blocks::open(&words.place, Purpose::Write, voice)?;
    let mut tally = Tally::default();
    take_blocks(&legacy, &blocks, &mut tally, voice)?;
    blocks.sync()?;
    take_references(&legacy, &blocks, &mut tally, voice)?;
    let Tally { blocks, here, references, corrupt } = tally;
    voice.talk().note(format_args!(
        "{blocks} blocks imported, {here} were here already; {references} references; {corrupt} files corrupt"
    ));
    if corrupt == 0 { Ok(()) } else { Err(Failure::CorruptFiles { count: corrupt }) }
}

fn take_blocks(
    legacy: &Legacy,
    blocks: &Blocks,
    tally: &mut Tally,
    voice: &mut Voice,
) -> Result<(), Failure> {
    let folders = legacy.blocks()?;
    // Listed twice, for the total: all names of a large storage would take more memory than its blocks under way.
    let mut total = 0;
    for folder in &folders {
        total += folder.list()?.entries.iter().map(|entry| entry.bytes).sum::<u64>();
    }
    let progress = voice.talk().progress("importing", Some(total));
    for folder in &folders {
        let listing = folder.list()?;
        for path in &listing.strangers {
            report(path, &Corrupt::Name, tally, voice)?;
        }
        for batch in listing.entries.chunks(BATCH_BLOCKS) {
            take_batch(batch, blocks, tally, &progress, voice)?;
        }
    }
    Ok(())
}

fn take_batch(
    batch: &[Entry],
    blocks: &Blocks,
    tally: &mut Tally,
    progress: &Progress,
    voice: &mut Voice,
) -> Result<(), Failure> {
    let mut read: Vec<(&Entry, Bytes)> = Vec::with_capacity(batch.len());
    for entry in batch {
        progress.add(entry.bytes);
        if blocks.size(&entry.hash)?.is_some() {
            tally.here += 1;
            continue;
        }
        match entry.read() {
            Ok(bytes) => read.push((entry, bytes)),
            Err(corrupt) => report(&entry.path, &corrupt, tally, voice)?,
        }
    }
    let hashes = Hash::of_many(&read.iter().map(|(_, bytes)| &bytes[..]).collect::<Vec<_>>());
    let mut good = Vec::with_capacity(read.len());
    for ((entry, bytes), hash) in read.into_iter().zip(hashes) {
        if hash == entry.hash {
            good.push(bytes);
        } else {
            report(&entry.path, &Corrupt::OtherBytes, tally, voice)?;
        }
    }
    tally.blocks += good.len();
    if !good.is_empty() {
        blocks.put(good)?;
    }
    Ok(())
}

fn take_references(
    legacy: &Legacy,
    blocks: &Blocks,
    tally: &mut Tally,
    voice: &mut Voice,
) -> Result<(), Failure> {
    let listing = legacy.references()?;
    for path in &listing.strangers {
        report(path, &Corrupt::Name, tally, voice)?;
    }
    for entry in &listing.entries {
        let value = match entry.value() {
            Ok(value) => value,
            Err(corrupt) => {
                report(&entry.path, &corrupt, tally, voice)?;
                continue;
            }
        };
        if blocks.size(&value)?.is_none() {
            voice
                .talk()
                .note(format_args!("reference {} is left out: block {value} is not here", entry.hash));
            continue;
        }
        if blocks.reference(entry.hash)? != Some(value) {
            merge(entry.hash, value, blocks, voice)?;
        }
        tally.references += 1;
    }
    Ok(())
}

/// Gives a reference the value it has in the folder, or what comes of that value and ours.
fn merge(key: Hash, value: Hash, blocks: &Blocks, voice: &mut Voice) -> Result<(), Failure> {
    let block = blocks.get(&value)?.unwrap_or_default();
    if let Some(signed) = lwwref_of(key, &block) {
        return merge_lwwref(key, value, &signed, blocks);
    }
    let updates = updates_of(key, value, blocks)?;
    if !updates.is_empty() {
        return merge_reflog(key, value, &updates, blocks);
    }
    match blocks.reference(key)? {
        None => blocks.set_reference(key, value),
        Some(ours) => {
            voice.talk().note(format_args!("reference {key} keeps its value {ours} and not {value}"));
            Ok(())
        }
    }
}

/// The signed box of an lwwref, if the block is one and belongs to this reference.
fn lwwref_of(key: Hash, block: &[u8]) -> Option<Signed<LwwRef>> {
    let signed = Signed::<LwwRef>::from_bytes(block).ok()?;
    let verified = signed.verify().ok()?;
    (RefKind::Lww.key(&verified.signer) == key).then_some(signed)
}

fn merge_lwwref(key: Hash, value: Hash, signed: &Signed<LwwRef>, blocks: &Blocks) -> Result<(), Failure> {
    if let Blocks::Peer(daemon) = blocks {
        return daemon.ask::<Update>(signed);
    }
    let ours = match blocks.reference(key)? {
        Some(ours) => blocks.get(&ours)?.and_then(|block| lwwref_of(key, &block)),
        None => None,
    };
    let number = |signed: &Signed<LwwRef>| signed.verify().ok().map(|verified| verified.value);
    match (number(signed), ours.as_ref().and_then(number)) {
        (Some(theirs), Some(ours)) if !theirs.beats(&ours) => Ok(()),
        _ => blocks.set_reference(key, value),
    }
}

/// The entries of a reflog that are here, if the tree is one and belongs to this reference.
fn updates_of(key: Hash, root: Hash, blocks: &Blocks) -> Result<Vec<(Hash, ReflogUpdate)>, Failure> {
    let mut updates = Vec::new();
    for leaf in Leaves::new(root, |hash: &Hash| blocks.get(hash)) {
        // What is no tree, or one of which a part is missing, has no more entries for us.
        let Ok(hashes) = leaf else { break };
        for hash in hashes {
            let Some(block) = blocks.get(&hash)? else { continue };
            let Ok(update) = ReflogUpdate::from_bytes(&block) else { continue };
            if RefKind::Reflog.key(update.key()) == key && update.verify().is_ok() {
                updates.push((hash, update));
            }
        }
    }
    Ok(updates)
}

fn merge_reflog(
    key: Hash,
    value: Hash,
    updates: &[(Hash, ReflogUpdate)],
    blocks: &Blocks,
) -> Result<(), Failure> {
    if let Blocks::Peer(daemon) = blocks {
        for part in updates.chunks(POST_UPDATES_MAX) {
            let updates = part.iter().map(|(_, update)| update.clone()).collect();
            daemon.ask::<PostMany>(&PostEntries { updates, guard: Guard::Any })?;
        }
        return Ok(());
    }
    let Some(ours) = blocks.reference(key)? else { return blocks.set_reference(key, value) };
    let mut all: Vec<Hash> = updates_of(key, ours, blocks)?.into_iter().map(|(hash, _)| hash).collect();
    all.extend(updates.iter().map(|(hash, _)| *hash));
    all.sort_unstable();
    all.dedup();
    let mut tree = Vec::new();
    let root = build::build(Shape::LOG, &all, |_, block| tree.push(block));
    for batch in tree.chunks(BATCH_BLOCKS) {
        blocks.put(batch.to_vec())?;
    }
    blocks.sync()?;
    blocks.set_reference(key, root)
}

/// Lists a file that is not taken.
fn report(path: &Path, corrupt: &Corrupt, tally: &mut Tally, voice: &mut Voice) -> Result<(), Failure> {
    tally.corrupt += 1;
    voice.line(format_args!("corrupt {}", path.display()))?;
    voice.talk().detail(format_args!("{}: {corrupt}", path.display()));
    Ok(())
}
