//! Content that is read twice: once for its nonce string, once to be sealed.
//!
//! A regular file is read again. What comes through a pipe is kept: a little of it in memory, the rest in a temporary
//! file that has no name any more and whose bytes are sealed with a key that only this process has, so that nothing
//! readable is left on the disk (docs/decisions/030-sealing-input.md).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;

use hbs2_core::Hash;
use hbs2_core::limits::CHUNK_BYTES;
use hbs2_core::nacl::{BoxKey, MAC_BYTES, Nonce};
use zeroize::Zeroizing;

use crate::error::Failure;
use crate::input::Input;
use crate::keys;

/// Chunks of a pipe that are kept in memory, 4 MiB: most of what people pipe is shorter, and a client has few batches of
/// memory.
const HELD_CHUNKS_MAX: usize = 16;

/// Bytes of one chunk in the file.
const RECORD_BYTES: usize = CHUNK_BYTES + MAC_BYTES;

/// Content that can be read twice, in chunks.
pub struct Twice {
    input: Input,
    /// The first chunks of a pipe.
    held: Vec<Zeroizing<Vec<u8>>>,
    /// The other chunks of a pipe.
    spool: Option<Spool>,
    /// Chunks given in the second reading.
    given: usize,
}

impl Twice {
    /// From the start of `input`.
    #[must_use]
    pub fn new(input: Input) -> Self {
        Self { input, held: Vec::new(), spool: None, given: 0 }
    }

    /// The first reading: gives all chunks to `each`.
    ///
    /// # Errors
    /// The input cannot be read, or what comes through a pipe cannot be kept.
    pub fn first(&mut self, mut each: impl FnMut(&[u8])) -> Result<(), Failure> {
        let mut chunk = Zeroizing::new(vec![0; CHUNK_BYTES]);
        loop {
            let count = self.input.fill(&mut chunk)?;
            if count > 0 {
                each(&chunk[..count]);
                if !self.input.can_rewind() {
                    self.keep(&chunk[..count])?;
                }
            }
            if count < CHUNK_BYTES {
                return self.turn();
            }
        }
    }

    fn keep(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        if self.held.len() < HELD_CHUNKS_MAX {
            self.held.push(Zeroizing::new(chunk.to_vec()));
            return Ok(());
        }
        let spool = match &mut self.spool {
            Some(spool) => spool,
            none => none.insert(Spool::new()?),
        };
        spool.write(chunk)
    }

    fn turn(&mut self) -> Result<(), Failure> {
        match (&mut self.spool, self.input.can_rewind()) {
            (_, true) => self.input.rewind(),
            (Some(spool), _) => spool.rewind(),
            (None, _) => Ok(()),
        }
    }

    /// The second reading: fills `room`, which has the length of a chunk; a count below that means the end.
    ///
    /// # Errors
    /// The input, or what was kept of it, cannot be read.
    pub fn fill(&mut self, room: &mut [u8]) -> Result<usize, Failure> {
        assert_eq!(room.len(), CHUNK_BYTES, "the content is kept in chunks");
        if self.input.can_rewind() {
            return self.input.fill(room);
        }
        self.given += 1;
        match (self.held.get(self.given - 1), &mut self.spool) {
            (Some(chunk), _) => {
                room[..chunk.len()].copy_from_slice(chunk);
                Ok(chunk.len())
            }
            (None, Some(spool)) => spool.read(room),
            (None, None) => Ok(0),
        }
    }
}

/// Chunks in a nameless file, sealed with a key that nobody else has.
struct Spool {
    file: File,
    key: BoxKey,
    /// Chunks written, then chunks read.
    place: u64,
}

impl Spool {
    fn new() -> Result<Self, Failure> {
        let key = BoxKey::from_bytes(&*keys::random()?);
        let name = Hash::of(&*keys::random()?);
        let path = std::env::temp_dir().join(format!("hbs2-{name}"));
        let make = || {
            let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
            fs::remove_file(&path)?;
            Ok(file)
        };
        Ok(Self { file: make().map_err(failed)?, key, place: 0 })
    }

    fn nonce(&mut self) -> Nonce {
        self.place += 1;
        Nonce::from_bytes([0; Nonce::BYTES]).counted(self.place)
    }

    fn write(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        let nonce = self.nonce();
        let record = self.key.seal(&nonce, chunk);
        self.file.write_all(&record).map_err(failed)
    }

    fn rewind(&mut self) -> Result<(), Failure> {
        self.place = 0;
        self.file.rewind().map_err(failed)
    }

    fn read(&mut self, room: &mut [u8]) -> Result<usize, Failure> {
        let mut record = Vec::with_capacity(RECORD_BYTES);
        (&mut self.file).take(RECORD_BYTES as u64).read_to_end(&mut record).map_err(failed)?;
        if record.is_empty() {
            return Ok(0);
        }
        let count = record.len().saturating_sub(MAC_BYTES);
        let nonce = self.nonce();
        let opened = self.key.open_into(&nonce, &record, &mut room[..count]);
        opened.map_err(|error| failed(io::Error::other(error)))?;
        Ok(count)
    }
}

fn failed(source: io::Error) -> Failure {
    Failure::Spool { dir: std::env::temp_dir(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::Voice;

    fn check(bytes: usize) {
        let content: Vec<u8> = (0..bytes).map(|i| (i % 251) as u8).collect();
        let mut voice = Voice::new(io::Cursor::new(content.clone()), io::sink(), io::sink());
        let mut twice = Twice::new(Input::open(None, &mut voice).unwrap());
        let mut first = Vec::new();
        twice.first(|chunk| first.extend_from_slice(chunk)).unwrap();
        assert!(first == content, "first reading of {bytes} bytes");
        assert_eq!(twice.spool.is_some(), bytes > HELD_CHUNKS_MAX * CHUNK_BYTES);
        let (mut second, mut room) = (Vec::new(), vec![0; CHUNK_BYTES]);
        loop {
            let count = twice.fill(&mut room).unwrap();
            second.extend_from_slice(&room[..count]);
            if count < CHUNK_BYTES {
                break;
            }
        }
        assert!(second == content, "second reading of {bytes} bytes");
    }

    #[test]
    fn a_pipe_is_read_twice_whatever_its_length() {
        let held = HELD_CHUNKS_MAX * CHUNK_BYTES;
        for bytes in [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, held, held + 1, held + CHUNK_BYTES, held + 600_000]
        {
            check(bytes);
        }
    }

    #[test]
    fn nothing_readable_is_in_the_spool() {
        let mut spool = Spool::new().unwrap();
        spool.write(&[b'x'; 1000]).unwrap();
        spool.rewind().unwrap();
        let mut bytes = Vec::new();
        spool.file.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len(), 1000 + MAC_BYTES);
        assert!(!bytes.windows(4).any(|piece| piece == b"xxxx"));
    }

    #[test]
    fn a_changed_spool_is_noticed() {
        let mut spool = Spool::new().unwrap();
        spool.write(&[b'x'; 1000]).unwrap();
        spool.rewind().unwrap();
        spool.file.write_all(&[0; 16]).unwrap();
        spool.rewind().unwrap();
        assert!(matches!(spool.read(&mut vec![0; CHUNK_BYTES]), Err(Failure::Spool { .. })));
    }
}
