//! What a command reads: a file the user named, or stdin.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::Failure;
use crate::voice::Voice;

/// What messages call the input that is no file.
pub const STDIN: &str = "stdin";

/// An open file, or stdin. Its errors name the file.
pub struct Input {
    from: Option<PathBuf>,
    reader: Box<dyn Read + Send>,
    bytes: Option<u64>,
}

impl Input {
    /// Opens `path`, or takes stdin when there is none.
    ///
    /// # Errors
    /// The file cannot be opened, or is a directory.
    pub fn open(path: Option<&Path>, voice: &mut Voice) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self { from: None, reader: voice.take_input(), bytes: None });
        };
        let failed = |source| Failure::File { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        if meta.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        let bytes = meta.is_file().then_some(meta.len());
        Ok(Self { from: Some(path.to_owned()), reader: Box::new(file), bytes })
    }

    /// Length in bytes, when it is known beforehand.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// Fills `buffer` as far as the input reaches; a count below its length means the end.
    ///
    /// # Errors
    /// The input cannot be read.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.reader.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(filled)
    }

    /// Reads all, at most `bytes_max` bytes.
    ///
    /// # Errors
    /// The input cannot be read, or is longer.
    pub fn all(mut self, bytes_max: usize) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        let read = (&mut self.reader).take(bytes_max as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|error| self.failed(error))?;
        if bytes.len() > bytes_max {
            return Err(Failure::TooLong { what: self.name(), bytes_max });
        }
        Ok(bytes)
    }

    fn name(&self) -> String {
        self.from.as_ref().map_or_else(|| STDIN.to_owned(), |path| path.display().to_string())
    }

    fn failed(&self, source: io::Error) -> Failure {
        match &self.from {
            Some(path) => Failure::File { path: path.clone(), source },
            None => Failure::Input(source),
        }
    }
}
