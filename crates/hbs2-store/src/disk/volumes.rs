//! Volume files: where everything is written first, once, and in order.
//!
//! A volume begins with a line that names the format; records ([`record`](super::record)) follow without gaps.
//! Only the newest volume grows, the others are never changed. What a crash leaves at the end of a volume is
//! left there: writing goes on in a new one, and readers skip what is no record.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::record::{HEADER_BYTES_MAX, Header, Kind};

/// First bytes of a volume: name and version of the format.
const FORMAT_LINE: &[u8; 16] = b"hbs2 volume 1\n\n\n";

/// Length at which a volume is complete, in bytes. Space is given back by the volume, and a terabyte is 4096
/// of them.
pub(super) const VOLUME_BYTES: u64 = 256 * 1024 * 1024;

/// Buffer for small records, in bytes; larger payloads are written from where they are.
const WRITE_BUFFER_BYTES: usize = 128 * 1024;

/// Volumes kept open for reading. A process may often open 1024 files, and the sockets of the node are among
/// them.
const OPEN_FILES: usize = 64;

/// Window in which a reader looks for the next record behind damage, in bytes.
const SEARCH_BYTES: usize = 64 * 1024;

/// Where a payload lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) kind: Kind,
    pub(super) volume: u32,
    /// Of the payload, in bytes from the start of the file.
    pub(super) offset: u32,
    /// Length of the payload.
    pub(super) bytes: u32,
}

/// A place in the order of all records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) volume: u32,
    pub(super) offset: u64,
}

/// The volumes of a store, for reading. Shared by all threads.
pub(super) struct Volumes {
    directory: PathBuf,
    /// Length at which a volume is complete, in bytes.
    volume_bytes: u64,
    open: Mutex<BTreeMap<u32, Arc<File>>>,
    bytes: AtomicU64,
}

impl Volumes {
    /// Opens the volumes in `directory`, which is made if there is none.
    pub(super) fn open(directory: &Path, volume_bytes: u64) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let volumes = Self {
            directory: directory.to_owned(),
            volume_bytes,
            open: Mutex::default(),
            bytes: AtomicU64::new(0),
        };
        for number in volumes.numbers()? {
            volumes.bytes.fetch_add(volumes.length(number)?, Ordering::Relaxed);
        }
        Ok(volumes)
    }

    /// The numbers of all volumes, oldest first.
    pub(super) fn numbers(&self) -> io::Result<Vec<u32>> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "volume") {
                let stem = path.file_stem().and_then(|stem| stem.to_str());
                numbers.extend(stem.and_then(|stem| stem.parse::<u32>().ok()));
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Space that all volumes take, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn length(&self, volume: u32) -> io::Result<u64> {
        Ok(self.path(volume).metadata()?.len())
    }

    /// Reads a payload. It is not checked.
    pub(super) fn read(&self, location: &Location) -> io::Result<Vec<u8>> {
        let mut payload = vec![0; location.bytes as usize];
        self.file(location.volume)?.read_exact_at(&mut payload, u64::from(location.offset))?;
        Ok(payload)
    }

    /// Removes a volume and gives its space back.
    pub(super) fn remove(&self, volume: u32) -> io::Result<()> {
        let bytes = self.length(volume)?;
        std::fs::remove_file(self.path(volume))?;
        self.open.lock().expect("no holder panics").remove(&volume);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Starts a new volume, which is the last one from now on.
    pub(super) fn create(self: &Arc<Self>, volume: u32) -> io::Result<Writer> {
        let mut file = File::options().append(true).create_new(true).open(self.path(volume))?;
        file.write_all(FORMAT_LINE)?;
        file.sync_all()?;
        File::open(&self.directory)?.sync_all()?;
        self.bytes.fetch_add(FORMAT_LINE.len() as u64, Ordering::Relaxed);
        Ok(self.writer(volume, file, FORMAT_LINE.len() as u64))
    }

    /// Goes on at the end of the last volume.
    pub(super) fn append(self: &Arc<Self>, volume: u32) -> io::Result<Writer> {
        let file = File::options().append(true).open(self.path(volume))?;
        let end = file.metadata()?.len();
        Ok(self.writer(volume, file, end))
    }

    /// Reads the records of a volume from `offset` on. The answer is whether there was nothing but records.
    /// Whatever is no record is skipped.
    pub(super) fn scan<E: From<io::Error>>(
        &self,
        volume: u32,
        offset: u64,
        payloads: Payloads,
        mut each: impl FnMut(Scanned) -> Result<(), E>,
    ) -> Result<bool, E> {
        let scan = Scan { file: File::open(self.path(volume))?, volume, payloads };
        let length = scan.file.metadata()?.len();
        let mut clean = scan.has_format_line()?;
        let mut at = offset.max(FORMAT_LINE.len() as u64);
        while at < length {
            match scan.record(at, length)? {
                Some((scanned, end)) => {
                    each(scanned)?;
                    at = end;
                }
                None => {
                    clean = false;
                    at = scan.search(at + 1, length)?;
                }
            }
        }
        Ok(clean)
    }

    fn writer(self: &Arc<Self>, volume: u32, file: File, end: u64) -> Writer {
        let file = BufWriter::with_capacity(WRITE_BUFFER_BYTES, file);
        Writer { volumes: Arc::clone(self), volume, file, end }
    }

    fn file(&self, volume: u32) -> io::Result<Arc<File>> {
        let mut open = self.open.lock().expect("no holder panics");
        if let Some(file) = open.get(&volume) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(File::open(self.path(volume))?);
        if open.len() >= OPEN_FILES {
            // Old volumes are read least.
            open.pop_first();
        }
        open.insert(volume, Arc::clone(&file));
        Ok(file)
    }

    fn path(&self, volume: u32) -> PathBuf {
        self.directory.join(format!("{volume:08}.volume"))
    }
}

/// What a scan reads besides headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payloads {
    /// All payloads, so that the caller can check them.
    All,
    /// Those of references only: the index holds them.
    References,
}

/// A record met by a scan.
pub(super) struct Scanned {
    pub(super) header: Header,
    pub(super) location: Location,
    /// Where the next record begins.
    pub(super) end: Position,
    /// The payload, where it was asked for.
    pub(super) payload: Option<Vec<u8>>,
}

struct Scan {
    file: File,
    volume: u32,
    payloads: Payloads,
}

impl Scan {
    fn has_format_line(&self) -> io::Result<bool> {
        let mut line = [0; FORMAT_LINE.len()];
        match self.file.read_exact_at(&mut line, 0) {
            Ok(()) if line != *FORMAT_LINE && is_format_line(&line) => {
                Err(io::Error::new(io::ErrorKind::Unsupported, Newer { volume: self.volume }))
            }
            Ok(()) => Ok(line == *FORMAT_LINE),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The record at `at` and its end, if there is a whole one.
    fn record(&self, at: u64, length: u64) -> io::Result<Option<(Scanned, u64)>> {
        let mut start = [0; HEADER_BYTES_MAX];
        let start = &mut start[..(length - at).min(HEADER_BYTES_MAX as u64) as usize];
        self.file.read_exact_at(start, at)?;
        let Some(header) = Header::decode(start) else { return Ok(None) };
        let offset = at + header.bytes() as u64;
        let end = offset + u64::from(header.payload_bytes);
        if end > length {
            return Ok(None);
        }
        let Ok(payload_offset) = u32::try_from(offset) else { return Ok(None) };
        let location = Location {
            kind: header.kind,
            volume: self.volume,
            offset: payload_offset,
            bytes: header.payload_bytes,
        };
        let wanted = self.payloads == Payloads::All || header.kind == Kind::References;
        let payload = wanted.then(|| self.payload(&location)).transpose()?;
        let end_position = Position { volume: self.volume, offset: end };
        Ok(Some((Scanned { header, location, end: end_position, payload }, end)))
    }

    fn payload(&self, location: &Location) -> io::Result<Vec<u8>> {
        let mut payload = vec![0; location.bytes as usize];
        self.file.read_exact_at(&mut payload, u64::from(location.offset))?;
        Ok(payload)
    }

    /// The first place from `from` on where a whole header lies, or the end.
    fn search(&self, from: u64, length: u64) -> io::Result<u64> {
        let mut window = vec![0; SEARCH_BYTES + HEADER_BYTES_MAX];
        let mut at = from;
        while at < length {
            let window = &mut window[..(length - at).min((SEARCH_BYTES + HEADER_BYTES_MAX) as u64) as usize];
            self.file.read_exact_at(window, at)?;
            let starts = 0..window.len().min(SEARCH_BYTES);
            let found = starts.into_iter().find(|start| {
                Header::may_start(&window[*start..]) && Header::decode(&window[*start..]).is_some()
            });
            match found {
                Some(start) => return Ok(at + start as u64),
                None => at += SEARCH_BYTES as u64,
            }
        }
        Ok(length)
    }
}

/// A volume that another version of this program has written.
#[derive(Debug, thiserror::Error)]
#[error("volume {volume} has a format that this program does not know; use a newer one")]
struct Newer {
    volume: u32,
}

/// Whether `line` is like [`FORMAT_LINE`] with any number.
fn is_format_line(line: &[u8; FORMAT_LINE.len()]) -> bool {
    let number = line.strip_prefix(b"hbs2 volume ").and_then(|rest| rest.strip_suffix(b"\n"));
    number.is_some_and(|number| number.trim_ascii_end().iter().all(u8::is_ascii_digit))
}

/// The end of the last volume. Owned by the writing thread.
pub(super) struct Writer {
    volumes: Arc<Volumes>,
    volume: u32,
    file: BufWriter<File>,
    end: u64,
}

impl Writer {
    /// Where the next record goes.
    pub(super) fn position(&self) -> Position {
        Position { volume: self.volume, offset: self.end }
    }

    /// Whether the volume is complete.
    pub(super) fn is_full(&self) -> bool {
        self.end >= self.volumes.volume_bytes
    }

    /// Appends a record. It can be read after [`Writer::flush`].
    pub(super) fn write(&mut self, kind: Kind, name: &[u8], payload: &[u8]) -> io::Result<Location> {
        let header = Header::new(kind, name, payload);
        let offset = self.end + header.bytes() as u64;
        self.file.write_all(&header.encode())?;
        self.file.write_all(payload)?;
        let bytes = header.bytes() as u64 + payload.len() as u64;
        self.end += bytes;
        self.volumes.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(Location {
            kind,
            volume: self.volume,
            offset: u32::try_from(offset).expect("a volume is shorter than 256 MiB and one batch"),
            bytes: header.payload_bytes,
        })
    }

    /// Makes everything appended so far readable.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    /// Forgets everything appended after `position`, which was flushed, in this volume.
    pub(super) fn go_back(&mut self, position: Position) -> io::Result<()> {
        if position.volume != self.volume {
            return Err(io::Error::other("another volume has begun since"));
        }
        let file = self.file.get_ref().try_clone()?;
        file.set_len(position.offset)?;
        let full = std::mem::replace(&mut self.file, BufWriter::with_capacity(WRITE_BUFFER_BYTES, file));
        // What is still in the buffer must not be written when it is dropped.
        drop(full.into_parts());
        self.volumes.bytes.fetch_sub(self.end - position.offset, Ordering::Relaxed);
        self.end = position.offset;
        Ok(())
    }

    /// Brings everything appended so far to stable storage.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        self.file.get_ref().sync_data()
    }
}
