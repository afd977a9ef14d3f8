//! What a command reads: a file the user named, or stdin.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::error::Failure;
use crate::voice::Voice;

/// What messages call the input that is no file.
pub const STDIN: &str = "stdin";

/// An open file, or stdin. Its errors name the file.
pub struct Input {
    from: Option<PathBuf>,
    reader: Box<dyn Read + Send>,
    /// A second handle of a regular file, which shares its place with the reader.
    file: Option<File>,
    bytes: Option<u64>,
}

impl Input {
    /// Opens `path`, or takes stdin when there is none.
    ///
    /// # Errors
    /// The file cannot be opened, or is a directory.
    pub fn open(path: Option<&Path>, voice: &mut Voice) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self { from: None, reader: voice.take_input(), file: None, bytes: None });
        };
        let failed = |source| Failure::File { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        if meta.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        let (again, bytes) = match meta.is_file() {
            true => (Some(file.try_clone().map_err(failed)?), Some(meta.len())),
            false => (None, None),
        };
        Ok(Self { from: Some(path.to_owned()), reader: Box::new(file), file: again, bytes })
    }

    /// Whether [`Input::rewind`] works: it is a regular file.
    #[must_use]
    pub fn can_rewind(&self) -> bool {
        self.file.is_some()
    }

    /// Goes back to the start. Only a regular file can.
    ///
    /// # Errors
    /// It cannot.
    pub fn rewind(&mut self) -> Result<(), Failure> {
        let moved = match &mut self.file {
            Some(file) => file.seek(SeekFrom::Start(0)).map(drop),
            None => Err(io::ErrorKind::NotSeekable.into()),
        };
        moved.map_err(|error| self.failed(error))
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

    /// Reads a text of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// As [`Input::all`], or it is no UTF-8.
    pub fn text(self, bytes_max: usize) -> Result<String, Failure> {
        let file = self.name();
        String::from_utf8(self.all(bytes_max)?).map_err(|_| Failure::NoText { file })
    }

    /// Reads all of something secret, at most `bytes_max` bytes, and leaves no copy behind.
    ///
    /// # Errors
    /// As [`Input::all`].
    pub fn secret(mut self, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
        // A buffer that grows would leave its older, shorter selves in memory.
        let mut bytes = Zeroizing::new(vec![0; bytes_max + 1]);
        let count = self.fill(&mut bytes)?;
        if count > bytes_max {
            return Err(Failure::TooLong { what: self.name(), bytes_max });
        }
        bytes.truncate(count);
        Ok(bytes)
    }

    /// What messages call it.
    #[must_use]
    pub fn name(&self) -> String {
        self.from.as_ref().map_or_else(|| STDIN.to_owned(), |path| path.display().to_string())
    }

    fn failed(&self, source: io::Error) -> Failure {
        match &self.from {
            Some(path) => Failure::File { path: path.clone(), source },
            None => Failure::Input(source),
        }
    }
}

/// Somebody at stdin who answers with y or n.
pub struct Question {
    answers: Box<dyn Read + Send>,
}

impl Question {
    /// Takes stdin for answers.
    #[must_use]
    pub fn new(voice: &mut Voice) -> Self {
        Self { answers: voice.take_input() }
    }

    /// Asks on stderr. Blanks and line ends before the answer are passed over; anything but y means no, and so does the
    /// end of stdin.
    ///
    /// # Errors
    /// Stdin cannot be read.
    pub fn ask(&mut self, question: &str, voice: &mut Voice) -> Result<bool, Failure> {
        voice.talk().raw(question);
        let mut key = [0];
        loop {
            match self.answers.read(&mut key) {
                Ok(0) => break,
                Ok(_) if key[0].is_ascii_whitespace() => {}
                Ok(_) => return Ok(key[0].eq_ignore_ascii_case(&b'y')),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::Input(error)),
            }
        }
        voice.talk().raw("\n");
        Ok(false)
    }
}
