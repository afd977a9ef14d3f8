//! The log of `hbs2-fixer`: lines on stdout, between the output of its commands.
//!
//! The program and the thread of its commands write to it. Each line is written whole and at once: a log is read while
//! it grows, and what a command prints comes after the line that says that it runs.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::voice::SharedOut;

/// The log; its clones are the same one.
#[derive(Clone)]
pub struct Log {
    out: SharedOut,
    debug: Arc<AtomicBool>,
}

impl Log {
    /// A log that tells everything.
    #[must_use]
    pub fn new(out: SharedOut) -> Self {
        Self { out, debug: Arc::new(AtomicBool::new(true)) }
    }

    /// Sets whether lines are written that only who looks for a mistake wants to read.
    pub fn set_debug(&self, is_on: bool) {
        self.debug.store(is_on, Ordering::Relaxed);
    }

    /// Writes a line with its level.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn write(&self, level: &str, text: impl Display) -> io::Result<()> {
        self.say(format_args!("[{level}] {text}"))
    }

    /// Writes a line that only who looks for a mistake wants to read.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn detail(&self, text: impl Display) -> io::Result<()> {
        if self.debug.load(Ordering::Relaxed) { self.write("debug", text) } else { Ok(()) }
    }

    /// Writes a line as it is.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn say(&self, text: impl Display) -> io::Result<()> {
        let mut out = self.out.clone();
        writeln!(out, "{text}")?;
        out.flush()
    }
}
