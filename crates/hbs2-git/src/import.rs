//! Import: segments become packs (spec: git3 8.4, 8.5).
//!
//! One thread fetches and decompresses and cuts the records into batches; others check the id of every object
//! and encode the batches; one writes the pack. The channels between them are short, so memory stays bounded
//! whatever the size of the repository. Nothing becomes visible before everything was found good.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

use hbs2_core::Hash;

use crate::content::{Secrets, open_segment};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::gitdir::GitDir;
use crate::object::{ObjectId, ObjectKind};
use crate::odb::Odb;
use crate::pack::{BatchEncoder, PackBatch, PackObject, PackWriter};
use crate::refs::{self, RefLine};
use crate::segment::{self, RecordKind, RecordReader, SegmentError};

/// Bytes of values after which a batch is closed. Deltas reach back within a batch only, so it must hold many
/// versions of a file; a dozen batches are in memory at once.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Objects after which a batch is closed, for segments of many tiny objects.
const BATCH_OBJECTS: usize = 16_384;

/// Batches that wait between two stages.
const QUEUE_BATCHES: usize = 2;

/// Threads that check and encode. More than four do not help: decompression is one thread.
const WORKERS_MAX: usize = 4;

/// A segment to import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// The transaction.
    pub transaction: Hash,
    /// Root of the segment's tree.
    pub tree: Hash,
}

/// What was in a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The transaction.
    pub transaction: Hash,
    /// Ids of its objects.
    pub ids: Vec<ObjectId>,
    /// Its reference lines.
    pub lines: Vec<RefLine>,
}

/// Records of one segment.
struct Batch {
    source: Source,
    bytes: Vec<u8>,
    objects: Vec<(ObjectId, ObjectKind, Range<usize>)>,
}

/// Imports segments into the repository, all or none; objects that are there already are left out. Sealed ones are
/// opened with `secrets`.
///
/// # Errors
/// A segment is missing, sealed or malformed, or the pack cannot be written.
pub fn import(
    ctx: &Context<'_>,
    git: &GitDir,
    sources: &[Source],
    secrets: &Secrets,
) -> Result<Vec<Contents>> {
    let workers = thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX);
    let (to_workers, work) = sync_channel::<Batch>(QUEUE_BATCHES);
    let (to_writer, encoded) = sync_channel::<PackBatch>(QUEUE_BATCHES);
    // Owned by the encoders alone: when the last of them gives up, sending to them fails.
    let work = Arc::new(Mutex::new(work));
    thread::scope(|scope| {
        let writer = scope.spawn(|| write_packs(ctx, git, encoded));
        let encoders: Vec<_> = (0..workers)
            .map(|_| {
                let (work, to_writer) = (Arc::clone(&work), to_writer.clone());
                scope.spawn(move || encode_batches(&work, &to_writer))
            })
            .collect();
        drop((work, to_writer));
        let contents = read_segments(ctx, git, sources, secrets, to_workers);
        let encoded: Result<Vec<()>> =
            encoders.into_iter().map(|encoder| encoder.join().expect("an encoder does not panic")).collect();
        let writer = writer.join().expect("the writer does not panic");
        // A stage that fails closes its channel; the stage before then stops without an error of its own.
        encoded?;
        let (contents, writer) = (contents?, writer?);
        ctx.voice.status("");
        writer.finish()?;
        Ok(contents)
    })
}

/// Cuts the records of all segments into batches.
fn read_segments(
    ctx: &Context<'_>,
    git: &GitDir,
    sources: &[Source],
    secrets: &Secrets,
    to_workers: SyncSender<Batch>,
) -> Result<Vec<Contents>> {
    let odb = if is_fresh(git) { None } else { Some(Odb::open(git)?.without_refresh()) };
    let is_here = |id: &ObjectId| odb.as_ref().is_some_and(|odb| odb.contains(id));
    let mut seen = HashSet::new();
    let mut all = Vec::with_capacity(sources.len());
    for source in sources {
        let mut contents = Contents { transaction: source.transaction, ids: Vec::new(), lines: Vec::new() };
        let mut batch = Batch::new(*source);
        let mut records = open_records(ctx, source, secrets)?;
        while let Some(head) = records.head().map_err(|error| source.error(error))? {
            let RecordKind::Object(kind) = head.kind else {
                contents.lines.extend(read_refs(&mut records, &head).map_err(|error| source.error(error))?);
                continue;
            };
            contents.ids.push(head.id);
            if !seen.insert(head.id) || is_here(&head.id) {
                records.skip(&head).map_err(|error| source.error(error))?;
                continue;
            }
            let start = batch.bytes.len();
            records.value(&head, &mut batch.bytes).map_err(|error| source.error(error))?;
            batch.objects.push((head.id, kind, start..batch.bytes.len()));
            if batch.bytes.len() >= BATCH_BYTES || batch.objects.len() >= BATCH_OBJECTS {
                let full = std::mem::replace(&mut batch, Batch::new(*source));
                if to_workers.send(full).is_err() {
                    return Ok(all);
                }
            }
        }
        if to_workers.send(batch).is_err() {
            return Ok(all);
        }
        all.push(contents);
    }
    Ok(all)
}

/// Whether the object directory is that of a repository just made, as `git clone` does: nothing to look for.
fn is_fresh(git: &GitDir) -> bool {
    let names = |dir: &Path| {
        let listing = std::fs::read_dir(dir).into_iter().flatten().flatten();
        listing.map(|entry| entry.file_name()).collect::<Vec<_>>()
    };
    let top = names(git.objects());
    let alternates = git.objects().join("info/alternates");
    top.iter().all(|name| name == "info" || name == "pack")
        && names(&git.objects().join("pack")).is_empty()
        && !alternates.exists()
        && std::env::var_os("GIT_ALTERNATE_OBJECT_DIRECTORIES").is_none()
}

/// Reads only the reference lines of segments, for a look at a repository from outside of any git directory.
///
/// # Errors
/// A segment is missing, sealed or malformed.
pub fn scan(ctx: &Context<'_>, sources: &[Source], secrets: &Secrets) -> Result<Vec<Contents>> {
    let scan_one = |source: &Source| {
        let mut contents = Contents { transaction: source.transaction, ids: Vec::new(), lines: Vec::new() };
        let mut records = open_records(ctx, source, secrets)?;
        while let Some(head) = records.head().map_err(|error| source.error(error))? {
            let read = match head.kind {
                RecordKind::Refs => read_refs(&mut records, &head).map(|lines| contents.lines.extend(lines)),
                RecordKind::Object(_) => records.skip(&head),
            };
            read.map_err(|error| source.error(error))?;
        }
        Ok(contents)
    };
    sources.iter().map(scan_one).collect()
}

fn open_records<'a>(
    ctx: &Context<'a>,
    source: &Source,
    secrets: &Secrets,
) -> Result<RecordReader<Box<dyn Read + 'a>>> {
    let failed = |error| source.error(SegmentError::content(error));
    let mut content = open_segment(ctx, source.transaction, source.tree, secrets)?;
    // No bytes at all are an empty segment too, but not an empty frame.
    if content.fill_buf().map_err(failed)?.is_empty() {
        return Ok(RecordReader::new(Box::new(std::io::empty())));
    }
    let decoder = zstd::Decoder::with_buffer(content).map_err(failed)?;
    Ok(RecordReader::new(Box::new(BufReader::with_capacity(READ_BYTES, decoder))))
}

/// Bytes that are decompressed at once.
const READ_BYTES: usize = 128 * 1024;

fn read_refs(
    records: &mut RecordReader<impl Read>,
    head: &segment::RecordHead,
) -> Result<Vec<RefLine>, SegmentError> {
    let mut value = Vec::new();
    records.value(head, &mut value)?;
    segment::verify(head.id, head.kind, &value)?;
    refs::parse(&value, head.id)
}

fn encode_batches(work: &Mutex<Receiver<Batch>>, to_writer: &SyncSender<PackBatch>) -> Result<()> {
    let mut encoder = BatchEncoder::default();
    loop {
        let next = work.lock().expect("no encoder panics while it waits").recv();
        let Ok(batch) = next else { return Ok(()) };
        for (id, kind, range) in &batch.objects {
            let verified = segment::verify(*id, RecordKind::Object(*kind), &batch.bytes[range.clone()]);
            verified.map_err(|error| batch.source.error(error))?;
        }
        let object = |(id, kind, range): &(_, _, Range<usize>)| PackObject {
            id: *id,
            kind: *kind,
            content: &batch.bytes[range.clone()],
        };
        if to_writer.send(encoder.encode(batch.objects.iter().map(object))).is_err() {
            return Ok(());
        }
    }
}

fn write_packs(ctx: &Context<'_>, git: &GitDir, encoded: Receiver<PackBatch>) -> Result<PackWriter> {
    let mut writer = PackWriter::new(git.objects());
    for batch in encoded {
        writer.append(&batch)?;
        ctx.voice.status(&format!("importing: {} objects", writer.objects()));
    }
    Ok(writer)
}

impl Batch {
    fn new(source: Source) -> Self {
        Self { source, bytes: Vec::new(), objects: Vec::new() }
    }
}

impl Source {
    fn error(&self, source: SegmentError) -> Error {
        Error::Segment { transaction: self.transaction, tree: self.tree, source: Box::new(source) }
    }
}
