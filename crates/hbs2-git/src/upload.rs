//! Writing a segment: records in, blocks of its tree out (spec: git3 6, 10.2).
//!
//! The compressor runs on threads of its own; what leaves it is cut into chunks, which another thread hashes
//! and stores while the next ones are made. In an encrypted repository that thread seals them, when the last is there.

use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, ScopedJoinHandle};

use bytes::Bytes;
use hbs2_core::Hash;
use hbs2_core::limits::CHUNK_BYTES;
use zstd::zstd_safe::CParameter;

use crate::context::{Context, Settings};
use crate::error::{Error, Result};
use crate::groupkey::Seal;
use crate::manifest::annotated_tree;

/// Window of a large segment, as a power of two: 128 MiB, the largest that every zstd reader takes without
/// being asked. Versions of a file are found again however much lies between them.
const WINDOW_LOG_LARGE: u32 = 27;

/// Chunks that are passed on at once, and blocks of a small segment that are stored at once: 4 MiB.
const GROUP_CHUNKS: usize = 16;

/// Groups that wait to be stored.
const QUEUE_GROUPS: usize = 2;

/// Threads that compress a large segment, at most.
const WORKERS_MAX: u32 = 4;

/// Level up to which several threads compress. Above it each of them takes some 700 MiB of memory.
const LEVEL_SHARED_MAX: i32 = 19;

/// Bytes that a thread takes at once: 2 MiB. Left to itself zstd takes up to 512 MiB at high levels, so that all the
/// rest waits for one thread in memory, and a segment ends far beyond its size.
const JOB_BYTES: u32 = 2 * 1024 * 1024;

/// How much of the content before them threads look at again, on zstd's scale of 1 to 9. What lies further back is
/// found by the long-distance matcher. At higher values zstd takes larger jobs than asked for.
const JOB_OVERLAP: u32 = 5;

/// Bytes of a segment for each thread: about what is on its way through one, and not counted yet. So a segment ends
/// near its size; a small one is compressed by one thread, and ends at it.
const SEGMENT_BYTES_PER_WORKER: u64 = 4 * JOB_BYTES as u64;

/// A large segment that is being written.
pub(crate) struct SegmentWriter<'scope> {
    encoder: zstd::Encoder<'static, ChunkSink>,
    storing: ScopedJoinHandle<'scope, Result<Hash>>,
}

impl<'scope> SegmentWriter<'scope> {
    /// Begins a segment; chunks are stored by a thread of `scope`. With a seal they wait in a file of `dir`, which has
    /// no name, until all are there.
    pub(crate) fn begin<'env>(
        ctx: &'env Context<'env>,
        scope: &'scope thread::Scope<'scope, 'env>,
        seal: Option<&'env Seal>,
        dir: &'env Path,
    ) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE_GROUPS);
        let storing = scope.spawn(move || match seal {
            Some(seal) => seal.store(ctx, receiver, dir),
            None => store_chunks(ctx, receiver),
        });
        let sink = ChunkSink { sender, chunk: Vec::with_capacity(CHUNK_BYTES), group: Vec::new(), bytes: 0 };
        let mut encoder = zstd::Encoder::new(sink, ctx.settings.compression)?;
        encoder.window_log(WINDOW_LOG_LARGE)?;
        encoder.long_distance_matching(true)?;
        let workers = workers(&ctx.settings);
        if workers > 1 {
            encoder.multithread(workers)?;
            encoder.set_parameter(CParameter::JobSize(JOB_BYTES))?;
            encoder.set_parameter(CParameter::OverlapSizeLog(JOB_OVERLAP))?;
        }
        Ok(Self { encoder, storing })
    }

    /// Compressed bytes so far; the compressor holds some more.
    pub(crate) fn bytes(&self) -> u64 {
        self.encoder.get_ref().bytes
    }

    /// Ends the segment; gives the root of its tree, which is on stable storage.
    pub(crate) fn finish(self) -> Result<Hash> {
        let finished = self.encoder.finish().and_then(ChunkSink::finish);
        let root = self.storing.join().expect("the storing thread does not panic")?;
        finished.map_err(compressor)?;
        Ok(root)
    }
}

impl Write for SegmentWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.encoder.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Threads that compress a segment.
fn workers(settings: &Settings) -> u32 {
    if settings.compression > LEVEL_SHARED_MAX {
        return 1;
    }
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    (settings.segment_bytes / SEGMENT_BYTES_PER_WORKER).min(cores).min(WORKERS_MAX.into()) as u32
}

/// zstd level of a segment of up to [`TINY_BYTES`], at least. Pushes of one commit are many; a better level makes
/// each of them a fifth smaller and takes a few milliseconds.
const TINY_LEVEL: i32 = 12;
const TINY_BYTES: usize = 256 * 1024;

/// Stores a small segment, whose records are in memory; gives the root of its tree.
pub(crate) fn store_small(ctx: &Context<'_>, seal: Option<&Seal>, records: &[u8]) -> Result<Hash> {
    let level = ctx.settings.compression;
    let level = if records.len() <= TINY_BYTES { level.max(TINY_LEVEL) } else { level };
    let content = compress_small(records, level).map_err(compressor)?;
    let (root, blocks) = match seal {
        Some(seal) => seal.blocks(&content),
        None => clear_blocks(content.into()),
    };
    for group in blocks.chunks(GROUP_CHUNKS) {
        ctx.link("store a segment", ctx.link.put(group))?;
    }
    Ok(root)
}

/// The blocks of the tree of `content` in the clear.
fn clear_blocks(content: Bytes) -> (Hash, Vec<Bytes>) {
    let mut blocks: Vec<Bytes> = (0..content.len())
        .step_by(CHUNK_BYTES)
        .map(|at| content.slice(at..content.len().min(at + CHUNK_BYTES)))
        .collect();
    let parts: Vec<&[u8]> = blocks.iter().map(|chunk| &chunk[..]).collect();
    let tree = annotated_tree(&Hash::of_many(&parts));
    let root = tree.last().expect("a tree has a root").0;
    blocks.extend(tree.into_iter().map(|(_, block)| block));
    (root, blocks)
}

/// A zstd frame with the window that the records need, and no more: readers set aside as much.
fn compress_small(records: &[u8], level: i32) -> io::Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), level)?;
    encoder.window_log(records.len().next_power_of_two().ilog2().clamp(10, WINDOW_LOG_LARGE))?;
    encoder.write_all(records)?;
    encoder.finish()
}

/// The compressor writes to memory, so only its own failure can show here.
pub(crate) fn compressor(source: io::Error) -> Error {
    Error::Compress { source }
}

/// Cuts a stream into chunks and passes them on in groups.
struct ChunkSink {
    sender: SyncSender<Vec<Bytes>>,
    chunk: Vec<u8>,
    group: Vec<Bytes>,
    bytes: u64,
}

impl ChunkSink {
    fn close_chunk(&mut self) -> io::Result<()> {
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK_BYTES));
        self.group.push(chunk.into());
        if self.group.len() == GROUP_CHUNKS { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> io::Result<()> {
        let group = std::mem::take(&mut self.group);
        self.sender.send(group).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }

    fn finish(mut self) -> io::Result<()> {
        if !self.chunk.is_empty() {
            self.close_chunk()?;
        }
        if self.group.is_empty() { Ok(()) } else { self.send() }
    }
}

impl Write for ChunkSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK_BYTES - self.chunk.len();
        let taken = bytes.len().min(room);
        self.chunk.extend_from_slice(&bytes[..taken]);
        self.bytes += taken as u64;
        if self.chunk.len() == CHUNK_BYTES {
            self.close_chunk()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Stores groups of chunks as they come, and then their tree; gives its root.
fn store_chunks(ctx: &Context<'_>, groups: Receiver<Vec<Bytes>>) -> Result<Hash> {
    let mut upload = ctx.link.upload();
    let mut hashes = Vec::new();
    let mut put = |block| ctx.link("store a segment", upload.put(block));
    for group in groups {
        let parts: Vec<&[u8]> = group.iter().map(|chunk| &chunk[..]).collect();
        hashes.extend(Hash::of_many(&parts));
        group.into_iter().try_for_each(&mut put)?;
    }
    let tree = annotated_tree(&hashes);
    let root = tree.last().expect("a tree has a root").0;
    tree.into_iter().try_for_each(|(_, block)| put(block))?;
    ctx.link("store a segment", upload.finish())?;
    Ok(root)
}
