//! Git packs: what imported objects become (spec: git3 8.5).
//!
//! Objects come in batches; a batch is encoded by any thread on its own ([`BatchEncoder`]) and appended by one
//! ([`PackWriter`]). An object is stored as a delta against the one before it in its batch when that pays:
//! segments of ours are ordered so that neighbours are alike. The ids are known, so the index is written beside
//! the pack without reading it again. A pack becomes visible when its index does, and both are complete then.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use flate2::{Compress, Compression, FlushCompress, Status};
use sha1::{Digest, Sha1};

use crate::error::{Error, Result};
use crate::object::{ObjectId, ObjectKind};

pub mod delta;

use delta::DeltaEncoder;

/// Length of a chain of deltas, at most: what `git repack` allows.
const CHAIN_DELTAS_MAX: u32 = 50;

/// Data up to this length, in bytes, is stored instead of deflated: there is little to gain, and starting the
/// compressor costs more than writing so few bytes.
const STORED_BYTES_MAX: usize = 96;

/// Bytes after which a pack is closed and the next one begun. Below 2 GiB every offset fits the index's first
/// table, and one object of the largest size still does.
const PACK_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024 - 1;

/// An object to be packed.
#[derive(Debug, Clone, Copy)]
pub struct PackObject<'a> {
    /// Its id, already checked.
    pub id: ObjectId,
    /// Its kind.
    pub kind: ObjectKind,
    /// Its content.
    pub content: &'a [u8],
}

/// Where an object lies, and the checksum of its bytes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PackEntry {
    id: ObjectId,
    offset: u32,
    crc32: u32,
}

/// Encoded objects that refer to each other only.
#[derive(Debug, Default)]
pub struct PackBatch {
    bytes: Vec<u8>,
    /// Offsets count from the start of the batch.
    entries: Vec<PackEntry>,
}

/// Encodes batches; one for each thread.
#[derive(Debug)]
pub struct BatchEncoder {
    zlib: Compress,
    deltas: DeltaEncoder,
    delta: Vec<u8>,
}

/// The last object of one kind in a batch: the base for the next.
#[derive(Debug, Clone, Copy)]
struct Base<'a> {
    content: &'a [u8],
    offset: usize,
    chain: u32,
}

impl Default for BatchEncoder {
    fn default() -> Self {
        Self {
            zlib: Compress::new(Compression::fast(), true),
            deltas: DeltaEncoder::default(),
            delta: Vec::new(),
        }
    }
}

impl BatchEncoder {
    /// Encodes objects in the given order.
    pub fn encode<'a>(&mut self, objects: impl IntoIterator<Item = PackObject<'a>>) -> PackBatch {
        let mut batch = PackBatch::default();
        let mut bases: [Option<Base<'a>>; 4] = [None; 4];
        for object in objects {
            let offset = batch.bytes.len();
            let base = &mut bases[object.kind as usize];
            let chain = self.object(&object, *base, &mut batch.bytes);
            *base = Some(Base { content: object.content, offset, chain });
            let crc32 = crc32fast::hash(&batch.bytes[offset..]);
            let offset = u32::try_from(offset).expect("a batch is smaller than a pack");
            batch.entries.push(PackEntry { id: object.id, offset, crc32 });
        }
        batch
    }

    /// Appends one object; gives the length of its chain of deltas.
    fn object(&mut self, object: &PackObject<'_>, base: Option<Base<'_>>, out: &mut Vec<u8>) -> u32 {
        if let Some(base) = base.filter(|base| base.chain < CHAIN_DELTAS_MAX)
            && self.deltas.encode(base.content, object.content, &mut self.delta)
        {
            let distance = out.len() - base.offset;
            write_head(out, OFS_DELTA, self.delta.len());
            write_distance(out, distance);
            deflate(&mut self.zlib, &self.delta, out);
            return base.chain + 1;
        }
        write_head(out, type_number(object.kind), object.content.len());
        deflate(&mut self.zlib, object.content, out);
        0
    }
}

/// Type number of a delta whose base is named by its distance.
const OFS_DELTA: u8 = 6;

const fn type_number(kind: ObjectKind) -> u8 {
    match kind {
        ObjectKind::Commit => 1,
        ObjectKind::Tree => 2,
        ObjectKind::Blob => 3,
        ObjectKind::Tag => 4,
    }
}

/// The head of an entry: type, and the size with four bits in the first byte and seven in each further one.
fn write_head(out: &mut Vec<u8>, number: u8, size: usize) {
    let mut byte = (number << 4) | (size & 0x0f) as u8;
    let mut rest = size >> 4;
    while rest > 0 {
        out.push(byte | 0x80);
        byte = (rest & 0x7f) as u8;
        rest >>= 7;
    }
    out.push(byte);
}

/// The distance to the base: seven bits a byte, the highest first, each further byte adding one.
fn write_distance(out: &mut Vec<u8>, mut distance: usize) {
    let mut bytes = [0; 10];
    let mut at = bytes.len() - 1;
    bytes[at] = (distance & 0x7f) as u8;
    while distance >= 0x80 {
        distance = (distance >> 7) - 1;
        at -= 1;
        bytes[at] = 0x80 | (distance & 0x7f) as u8;
    }
    out.extend_from_slice(&bytes[at..]);
}

/// Appends a zlib stream of `data`.
fn deflate(zlib: &mut Compress, data: &[u8], out: &mut Vec<u8>) {
    if data.len() <= STORED_BYTES_MAX {
        let length = data.len() as u16;
        out.extend_from_slice(&[0x78, 0x01, 0x01]);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(data);
        out.extend_from_slice(&adler32(data).to_be_bytes());
        return;
    }
    zlib.reset();
    loop {
        let taken = zlib.total_in() as usize;
        out.reserve((data.len() - taken) / 2 + 64);
        let status = zlib.compress_vec(&data[taken..], out, FlushCompress::Finish);
        if status.expect("compressing memory into memory cannot fail") == Status::StreamEnd {
            return;
        }
    }
}

/// The checksum of a zlib stream; only ever of [`STORED_BYTES_MAX`] bytes, so the sums cannot overflow.
fn adler32(data: &[u8]) -> u32 {
    let (low, high) = data.iter().fold((1u32, 0u32), |(low, high), byte| {
        let low = low + u32::from(*byte);
        (low, high + low)
    });
    ((high % 65_521) << 16) | (low % 65_521)
}

impl PackBatch {
    /// Objects in the batch.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no object in the batch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The ids of the objects.
    pub fn ids(&self) -> impl Iterator<Item = ObjectId> {
        self.entries.iter().map(|entry| entry.id)
    }
}

/// Writes packs with their indexes into `objects/pack`.
///
/// Until [`PackWriter::finish`] everything lies in temporary files, which go away with the writer.
#[derive(Debug)]
pub struct PackWriter {
    dir: PathBuf,
    open: Option<OpenPack>,
    complete: Vec<TempPack>,
    objects: u64,
}

#[derive(Debug)]
struct OpenPack {
    path: TempFile,
    file: BufWriter<File>,
    offset: u64,
    entries: Vec<PackEntry>,
}

#[derive(Debug)]
struct TempPack {
    name: String,
    pack: TempFile,
    index: TempFile,
}

/// A file that is removed when it is dropped, unless it was renamed before.
#[derive(Debug)]
struct TempFile(PathBuf);

impl Drop for TempFile {
    fn drop(&mut self) {
        // A leftover is only litter: `git gc` removes old tmp_ files.
        let _ = fs::remove_file(&self.0);
    }
}

/// Bytes of a pack's head: `PACK`, version, count.
const PACK_HEAD_BYTES: usize = 12;

impl PackWriter {
    /// A writer for the object directory `objects`; no file is made before the first object.
    #[must_use]
    pub fn new(objects: &Path) -> Self {
        Self { dir: objects.join("pack"), open: None, complete: Vec::new(), objects: 0 }
    }

    /// Objects appended so far.
    #[must_use]
    pub fn objects(&self) -> u64 {
        self.objects
    }

    /// Appends a batch.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn append(&mut self, batch: &PackBatch) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let bytes = batch.bytes.len() as u64;
        if self.open.as_ref().is_some_and(|open| open.offset + bytes > PACK_BYTES_MAX) {
            self.close()?;
        }
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(OpenPack::create(&self.dir)?),
        };
        let start = u32::try_from(open.offset).expect("a pack is closed before its offsets need more bits");
        open.file.write_all(&batch.bytes).map_err(|source| open.path.error("write", source))?;
        open.offset += bytes;
        open.entries
            .extend(batch.entries.iter().map(|entry| PackEntry { offset: start + entry.offset, ..*entry }));
        self.objects += batch.len() as u64;
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        if let Some(open) = self.open.take() {
            self.complete.push(open.close(&self.dir)?);
        }
        Ok(())
    }

    /// Completes the packs and makes them visible; gives their number.
    ///
    /// # Errors
    /// A file cannot be written or renamed.
    pub fn finish(mut self) -> Result<usize> {
        self.close()?;
        for pack in &self.complete {
            pack.publish(&self.dir)?;
        }
        if !self.complete.is_empty() {
            let sync = File::open(&self.dir).and_then(|dir| dir.sync_all());
            sync.map_err(|source| Error::File { doing: "sync", path: self.dir.clone(), source })?;
        }
        Ok(self.complete.len())
    }
}

impl TempFile {
    /// A new file for reading and writing, with a name that `git gc` knows as temporary.
    fn create(dir: &Path, kind: &str) -> Result<(Self, File)> {
        fs::create_dir_all(dir).map_err(|source| Error::File {
            doing: "create",
            path: dir.to_owned(),
            source,
        })?;
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| Error::Random { message: error.to_string() })?;
        let path = Self(dir.join(format!("tmp_{kind}_{}", hex::encode(random))));
        let file = File::options().read(true).write(true).create_new(true).open(&path.0);
        file.map_err(|source| path.error("create", source)).map(|file| (path, file))
    }

    fn error(&self, doing: &'static str, source: io::Error) -> Error {
        Error::File { doing, path: self.0.clone(), source }
    }

    /// Brings the bytes to stable storage and takes the right to write away, as git does with packs.
    fn seal(&self, file: &File) -> Result<()> {
        let sealed = file.sync_all().and_then(|()| {
            let mut permissions = file.metadata()?.permissions();
            permissions.set_readonly(true);
            file.set_permissions(permissions)
        });
        sealed.map_err(|source| self.error("sync", source))
    }
}

impl OpenPack {
    fn create(dir: &Path) -> Result<Self> {
        let (path, file) = TempFile::create(dir, "pack")?;
        let mut file = BufWriter::with_capacity(1 << 20, file);
        // The count is filled in at the end.
        file.write_all(&pack_head(0)).map_err(|source| path.error("write", source))?;
        Ok(Self { path, file, offset: PACK_HEAD_BYTES as u64, entries: Vec::new() })
    }

    fn close(self, dir: &Path) -> Result<TempPack> {
        let Self { path, file, mut entries, .. } = self;
        let file = file.into_inner().map_err(|error| path.error("write", error.into_error()))?;
        let checksum = finish_pack(file, entries.len()).and_then(|(file, checksum)| {
            path.seal(&file).map_err(io::Error::other)?;
            Ok(checksum)
        });
        let checksum = checksum.map_err(|source| path.error("write", source))?;
        entries.sort_unstable_by_key(|entry| entry.id);
        let (index, mut file) = TempFile::create(dir, "idx")?;
        file.write_all(&index_bytes(&entries, &checksum)).map_err(|source| index.error("write", source))?;
        index.seal(&file)?;
        Ok(TempPack { name: format!("pack-{}", hex::encode(checksum)), pack: path, index })
    }
}

impl TempPack {
    /// Renames the pack first and the index last: git looks for indexes.
    fn publish(&self, dir: &Path) -> Result<()> {
        for (file, extension) in [(&self.pack, "pack"), (&self.index, "idx")] {
            let path = dir.join(format!("{}.{extension}", self.name));
            fs::rename(&file.0, path).map_err(|source| file.error("rename", source))?;
        }
        Ok(())
    }
}

fn pack_head(objects: u32) -> [u8; PACK_HEAD_BYTES] {
    let mut head = *b"PACK\0\0\0\x02\0\0\0\0";
    head[8..].copy_from_slice(&objects.to_be_bytes());
    head
}

/// Fills in the count and appends the checksum over everything. The count stands in the first bytes, so the
/// checksum can only be made by reading the file again, out of the page cache.
fn finish_pack(mut file: File, objects: usize) -> io::Result<(File, [u8; 20])> {
    let objects = u32::try_from(objects).map_err(io::Error::other)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&pack_head(objects))?;
    file.seek(SeekFrom::Start(0))?;
    let mut hash = Sha1::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let got = file.read(&mut buffer)?;
        if got == 0 {
            break;
        }
        hash.update(&buffer[..got]);
    }
    let checksum: [u8; 20] = hash.finalize().into();
    file.write_all(&checksum)?;
    Ok((file, checksum))
}

/// A version 2 index of entries sorted by id.
fn index_bytes(entries: &[PackEntry], pack_checksum: &[u8; 20]) -> Vec<u8> {
    const PER_OBJECT_BYTES: usize = 20 + 4 + 4;
    let mut out = Vec::with_capacity(8 + 1024 + PER_OBJECT_BYTES * entries.len() + 40);
    out.extend_from_slice(b"\xfftOc\0\0\0\x02");
    for first in 0..=u8::MAX {
        let up_to = entries.partition_point(|entry| entry.id.as_bytes()[0] <= first) as u32;
        out.extend_from_slice(&up_to.to_be_bytes());
    }
    entries.iter().for_each(|entry| out.extend_from_slice(entry.id.as_bytes()));
    entries.iter().for_each(|entry| out.extend_from_slice(&entry.crc32.to_be_bytes()));
    entries.iter().for_each(|entry| out.extend_from_slice(&entry.offset.to_be_bytes()));
    out.extend_from_slice(pack_checksum);
    let checksum: [u8; 20] = Sha1::digest(&out).into();
    out.extend_from_slice(&checksum);
    out
}

#[cfg(test)]
mod tests;
