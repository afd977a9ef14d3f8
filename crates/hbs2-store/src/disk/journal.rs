//! The engine's journals: emptied for a fast start, mended so that a store opens again after a power cut.
//!
//! The engine writes every batch to a journal first and reads the journals when it opens. It copes with a batch
//! that is cut short, which is all that a killed process leaves. A power cut can leave more: the pages of the
//! last, never acknowledged batch reach the disk in any order, so its end may be there and its middle not. The
//! engine then refuses to open. Here such batches are taken out.
//!
//! What is damaged is judged by the items themselves: a block by its hash, a reference or record by its check
//! ([`value`]). A batch with a damaged item is left out of the mended journal; the blocks in it that are whole
//! are named, so that they can be put back. The original stays beside the mended one as `N.jnl.damaged`.
//!
//! The journal (all numbers little-endian): batches of `01 count:u32 sequence:u64`, items, `03 checksum:u64
//! "FJL" 03`; an item is `02 kind:u8 compression:u8 keyspace:u64 key-length:u16 length:u32 stored-length:u32 key
//! value`, or `04 keyspace:u64`, which we never write. Zeros or a damaged frame end the journal.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use hbs2_core::Hash;
use hbs2_core::limits::BLOCK_BYTES_MAX;

use super::value;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const TRAILER: &[u8] = &[b'F', b'J', b'L', 3];

/// What the system counts the space of files in, in bytes.
const SECTOR_BYTES: u64 = 512;

/// The kind of an item that carries a value; the others remove one.
const KIND_VALUE: u8 = 0;

/// A journal of the engine.
pub(super) struct Journal {
    path: PathBuf,
    /// Space it takes, in bytes. The file is longer: the engine reserves space without taking it.
    pub(super) used_bytes: u64,
}

impl Journal {
    /// Makes the journal forget everything.
    pub(super) fn empty(&self) -> io::Result<()> {
        let file = File::options().write(true).open(&self.path)?;
        file.set_len(0)?;
        file.sync_all()
    }
}

/// The journals in `directory`.
pub(super) fn files(directory: &Path) -> io::Result<Vec<Journal>> {
    let mut journals = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "jnl") {
            let used_bytes = path.metadata()?.blocks() * SECTOR_BYTES;
            journals.push(Journal { path, used_bytes });
        }
    }
    Ok(journals)
}

/// What the mending of a directory did.
#[derive(Debug, Default)]
pub(super) struct Mended {
    /// Batches left out.
    pub(super) batches_dropped: usize,
    rescued: Vec<Rescued>,
}

/// A whole block in a batch that was left out.
#[derive(Debug)]
struct Rescued {
    hash: Hash,
    file: PathBuf,
    at: u64,
    bytes: usize,
}

impl Mended {
    /// Reads the whole blocks of the batches that were left out, one by one.
    pub(super) fn blocks(&self) -> impl Iterator<Item = io::Result<(Hash, Bytes)>> {
        self.rescued.iter().map(|block| {
            let mut file = File::open(&block.file)?;
            file.seek(SeekFrom::Start(block.at))?;
            let mut bytes = vec![0; block.bytes];
            file.read_exact(&mut bytes)?;
            Ok((block.hash, bytes.into()))
        })
    }
}

/// Takes damaged batches out of all journals in `directory`.
pub(super) fn mend(directory: &Path) -> io::Result<Mended> {
    let mut mended = Mended::default();
    for journal in files(directory)? {
        mend_file(&journal.path, &mut mended)?;
    }
    Ok(mended)
}

fn mend_file(path: &Path, mended: &mut Mended) -> io::Result<()> {
    let batches = read_batches(path)?;
    let damaged = batches.iter().filter(|batch| batch.damaged).count();
    if damaged == 0 {
        return Ok(());
    }
    let (original, mending) = (path.with_extension("jnl.damaged"), path.with_extension("jnl.mending"));
    write_whole_batches(path, &batches, &mending)?;
    // The mended journal takes the name in one step; until then the damaged one has it.
    if !original.try_exists()? {
        std::fs::hard_link(path, &original)?;
    }
    std::fs::rename(&mending, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
    mended.batches_dropped += damaged;
    let whole = batches.into_iter().filter(|batch| batch.damaged).flat_map(|batch| batch.whole_blocks);
    mended.rescued.extend(whole.map(|block| Rescued { file: original.clone(), ..block }));
    Ok(())
}

fn write_whole_batches(path: &Path, batches: &[Batch], target: &Path) -> io::Result<()> {
    let mut journal = File::open(path)?;
    let mut out = BufWriter::new(File::create(target)?);
    for batch in batches.iter().filter(|batch| !batch.damaged) {
        journal.seek(SeekFrom::Start(batch.start))?;
        io::copy(&mut (&mut journal).take(batch.end - batch.start), &mut out)?;
    }
    out.flush()?;
    out.get_ref().sync_all()
}

/// One batch of a journal: where it lies and what its items say.
#[derive(Default)]
struct Batch {
    start: u64,
    end: u64,
    damaged: bool,
    whole_blocks: Vec<Rescued>,
}

/// The batches of a journal up to its end or to the first damaged frame, where the engine stops as well.
fn read_batches(path: &Path) -> io::Result<Vec<Batch>> {
    let mut reader = Frames { reader: BufReader::new(File::open(path)?), at: 0 };
    let mut batches = Vec::new();
    loop {
        match reader.batch() {
            Ok(Some(batch)) => batches.push(batch),
            Ok(None) => return Ok(batches),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(batches),
            Err(error) => return Err(error),
        }
    }
}

struct Frames<R> {
    reader: R,
    at: u64,
}

impl<R: Read> Frames<R> {
    /// The next batch, or `None` where no whole batch starts.
    fn batch(&mut self) -> io::Result<Option<Batch>> {
        let mut batch = Batch { start: self.at, ..Batch::default() };
        if self.array()? != [START] {
            return Ok(None);
        }
        let count = u32::from_le_bytes(self.array()?);
        let _sequence: [u8; 8] = self.array()?;
        for _ in 0..count {
            if !self.item(&mut batch)? {
                return Ok(None);
            }
        }
        let [tag] = self.array()?;
        let _checksum: [u8; 8] = self.array()?;
        let trailer: [u8; 4] = self.array()?;
        batch.end = self.at;
        Ok((tag == END && trailer == TRAILER).then_some(batch))
    }

    /// Reads one item into `batch`. The answer is whether it was framed as one.
    fn item(&mut self, batch: &mut Batch) -> io::Result<bool> {
        let [tag, kind, compression] = self.array()?;
        let _keyspace: [u8; 8] = self.array()?;
        let key_bytes = usize::from(u16::from_le_bytes(self.array()?));
        let value_bytes = u32::from_le_bytes(self.array()?) as usize;
        let stored_bytes = u32::from_le_bytes(self.array()?) as usize;
        if tag != ITEM || compression != 0 || value_bytes != stored_bytes || value_bytes > BLOCK_BYTES_MAX {
            return Ok(false);
        }
        let key = self.bytes(key_bytes)?;
        let at = self.at;
        let value = self.bytes(value_bytes)?;
        match Hash::of(&value) {
            _ if kind != KIND_VALUE => {}
            hash if hash.as_bytes()[..] == key => {
                batch.whole_blocks.push(Rescued { hash, file: PathBuf::new(), at, bytes: value_bytes });
            }
            _ => batch.damaged |= value::open(&key, &value).is_none(),
        }
        Ok(true)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        self.at += N as u64;
        Ok(bytes)
    }

    fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.reader.read_exact(&mut bytes)?;
        self.at += count as u64;
        Ok(bytes)
    }
}
