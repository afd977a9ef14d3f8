//! How a program speaks: stdout is data that a script can read, stderr is talk.
//!
//! A [`Voice`] carries the three streams, the name of the program and how much it shall say. Progress appears
//! only when stderr is a terminal. Talk that cannot be written is dropped; data that cannot be written is an
//! error of the command.

use std::fmt::{Arguments, Display};
use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Buffer before stdout, in bytes: lists of hashes leave in few writes, data blocks (256 KiB) bypass it.
const OUT_BUFFER_BYTES: usize = 64 * 1024;

/// Pause between two drawings of a progress line, in milliseconds: alive to the eye, nothing to the processor.
const PROGRESS_TICK_MILLIS: u64 = 120;

/// How much a program says on stderr.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    /// Errors only.
    Quiet,
    /// Errors, hints, notes and, on a terminal, progress.
    #[default]
    Normal,
    /// Also what a command does on its way.
    Verbose,
}

/// The streams of one program run.
pub struct Voice {
    input: Option<Box<dyn Read + Send>>,
    out: Box<dyn Write + Send>,
    /// Where stdout goes when it is that of this process.
    out_file: Option<File>,
    talk: Talk,
    out_is_terminal: bool,
    input_is_terminal: bool,
}

/// The talking half of a [`Voice`]: may be cloned and used by several threads.
#[derive(Clone)]
pub struct Talk {
    program: &'static str,
    tone: Tone,
    err: Arc<Mutex<Box<dyn Write + Send>>>,
    err_is_terminal: bool,
}

impl Voice {
    /// The streams of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self {
            input: Some(Box::new(io::stdin())),
            out: stdout(),
            out_file: io::stdout().as_fd().try_clone_to_owned().ok().map(File::from),
            talk: Talk::new(Box::new(io::stderr()), io::stderr().is_terminal()),
            out_is_terminal: io::stdout().is_terminal(),
            input_is_terminal: io::stdin().is_terminal(),
        }
    }

    /// Streams of a test or of a program inside a program; none of them is a terminal.
    #[must_use]
    pub fn new(
        input: impl Read + Send + 'static,
        out: impl Write + Send + 'static,
        err: impl Write + Send + 'static,
    ) -> Self {
        Self {
            input: Some(Box::new(input)),
            out: Box::new(out),
            out_file: None,
            talk: Talk::new(Box::new(err), false),
            out_is_terminal: false,
            input_is_terminal: false,
        }
    }

    /// Sets the name that starts each line of talk.
    pub fn set_program(&mut self, program: &'static str) {
        self.talk.program = program;
    }

    /// The name that starts each line of talk.
    #[must_use]
    pub fn program(&self) -> &'static str {
        self.talk.program
    }

    /// Sets how much is said.
    pub fn set_tone(&mut self, tone: Tone) {
        self.talk.tone = tone;
    }

    /// The talking half.
    #[must_use]
    pub fn talk(&self) -> &Talk {
        &self.talk
    }

    /// Takes stdin; a second taker finds it at its end.
    #[must_use]
    pub fn take_input(&mut self) -> Box<dyn Read + Send> {
        self.input.take().unwrap_or_else(|| Box::new(io::empty()))
    }

    /// Gives stdin back for the next taker.
    pub fn give_back_input(&mut self, input: Box<dyn Read + Send>) {
        self.input = Some(input);
    }

    /// Whether a person types what we read and sees what we write.
    #[must_use]
    pub fn is_conversation(&self) -> bool {
        self.input_is_terminal && self.out_is_terminal
    }

    /// Whether a person sees what we write to stdout.
    #[must_use]
    pub fn is_seen(&self) -> bool {
        self.out_is_terminal
    }

    /// Stdout, for data. Buffered; [`Voice::flush`] ends it.
    pub fn out(&mut self) -> &mut (dyn Write + Send) {
        &mut *self.out
    }

    /// Stdout for another thread: both write to one buffer, and no line is torn by the other.
    #[must_use]
    pub fn share_out(&mut self) -> SharedOut {
        let out = std::mem::replace(&mut self.out, Box::new(io::sink()));
        let shared = SharedOut(Arc::new(Mutex::new(out)));
        self.out = Box::new(shared.clone());
        shared
    }

    /// Makes the file that stdout goes to readable by its owner only, because a secret follows. Says so when that cannot
    /// be done; a terminal or a pipe stays as it is.
    pub fn keep_private(&self) {
        const OTHERS: u32 = 0o077;
        let Some((file, meta)) = self.out_file.as_ref().and_then(|file| Some((file, file.metadata().ok()?)))
        else {
            return;
        };
        let private = fs::Permissions::from_mode(meta.mode() & 0o777 & !OTHERS);
        if meta.is_file() && meta.mode() & OTHERS != 0 && file.set_permissions(private).is_err() {
            self.talk.note("warning: others may read the file that stdout goes to; use: chmod 600");
        }
    }

    /// Writes one line of data.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn line(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// Writes data whose shape has no line end, such as `added poller for KEY`; on a terminal one is added so
    /// that the prompt stands alone.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn bare(&mut self, text: impl Display) -> io::Result<()> {
        let end = if self.out_is_terminal { "\n" } else { "" };
        write!(self.out, "{text}{end}")
    }

    /// Writes out what is still buffered for stdout.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Stdout of several threads.
#[derive(Clone)]
pub struct SharedOut(Arc<Mutex<Box<dyn Write + Send>>>);

impl SharedOut {
    fn lock(&self) -> MutexGuard<'_, Box<dyn Write + Send>> {
        // What a thread wrote before its panic was written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for SharedOut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().write(bytes)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.lock().write_all(bytes)
    }

    fn write_fmt(&mut self, text: Arguments<'_>) -> io::Result<()> {
        self.lock().write_fmt(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock().flush()
    }
}

impl Talk {
    fn new(err: Box<dyn Write + Send>, err_is_terminal: bool) -> Self {
        Self { program: "hbs2", tone: Tone::Normal, err: Arc::new(Mutex::new(err)), err_is_terminal }
    }

    /// How much is said.
    #[must_use]
    pub fn tone(&self) -> Tone {
        self.tone
    }

    /// Whether somebody watches stderr and wants to see progress.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.err_is_terminal && self.tone != Tone::Quiet
    }

    /// What went wrong: `hbs2-peer: error: text`.
    pub fn error(&self, text: impl Display) {
        self.raw(format_args!("{}: error: {text}\n", self.program));
    }

    /// Why it went wrong: `cause: text`.
    pub fn cause(&self, text: impl Display) {
        self.raw(format_args!("cause: {text}\n"));
    }

    /// What to do about it: `hint: text`.
    pub fn hint(&self, text: impl Display) {
        if self.tone != Tone::Quiet {
            self.raw(format_args!("hint: {text}\n"));
        }
    }

    /// A remark for people: `hbs2-peer: text`.
    pub fn note(&self, text: impl Display) {
        if self.tone != Tone::Quiet {
            self.raw(format_args!("{}: {text}\n", self.program));
        }
    }

    /// A remark for people who asked for more.
    pub fn detail(&self, text: impl Display) {
        if self.tone == Tone::Verbose {
            self.note(text);
        }
    }

    /// A line that counts bytes, shown only when stderr is a terminal and the tone is not quiet.
    #[must_use]
    pub fn progress(&self, what: &str, bytes_total: Option<u64>) -> Progress {
        let template = match bytes_total {
            Some(_) => "{msg}: {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
            None => "{msg}: {bytes}, {bytes_per_sec}",
        };
        Progress::new(self.is_watched(), template, what, bytes_total)
    }

    /// A line whose text is replaced from time to time, shown as [`Talk::progress`] is.
    #[must_use]
    pub fn status(&self, text: &str) -> Progress {
        Progress::new(self.is_watched(), "{msg}", text, None)
    }

    /// A bar that counts blocks, of which not all are known from the start; shown as [`Talk::progress`] is.
    #[must_use]
    pub fn bar(&self, what: &str) -> Progress {
        let template = "{bar:30.green} {pos} of {len} known blocks, {msg}";
        Progress::new(self.is_watched(), template, what, Some(0))
    }

    /// Text that is written as it is.
    pub fn raw(&self, text: impl Display) {
        let Ok(mut err) = self.err.lock() else { return };
        // Nobody is left to tell when stderr is gone.
        let _ = write!(err, "{text}");
        let _ = err.flush();
    }
}

/// Stdout without the line buffer of the standard library, which would copy every block.
fn stdout() -> Box<dyn Write + Send> {
    match io::stdout().as_fd().try_clone_to_owned() {
        Ok(descriptor) => Box::new(BufWriter::with_capacity(OUT_BUFFER_BYTES, File::from(descriptor))),
        Err(_) => Box::new(io::stdout()),
    }
}

/// A line on stderr that tells how far a command is. Vanishes when dropped.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    fn new(shown: bool, template: &str, text: &str, bytes_total: Option<u64>) -> Self {
        if !shown {
            return Self { bar: None };
        }
        let style =
            ProgressStyle::with_template(template).expect("the templates of this file are well formed");
        let bar = ProgressBar::with_draw_target(bytes_total, ProgressDrawTarget::stderr()).with_style(style);
        bar.set_message(text.to_owned());
        bar.enable_steady_tick(Duration::from_millis(PROGRESS_TICK_MILLIS));
        Self { bar: Some(bar) }
    }

    /// Counts `bytes` more.
    pub fn add(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
        }
    }

    /// Says how many there are so far, and of how many.
    pub fn is_at(&self, position: u64, of: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(of);
            bar.set_position(position);
        }
    }

    /// Replaces the text.
    pub fn say(&self, text: impl Into<String>) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.into());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no writer panics").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn spoken(tone: Tone) -> String {
        let err = Sink::default();
        let mut voice = Voice::new(io::empty(), io::sink(), err.clone());
        voice.set_program("hbs2-peer");
        voice.set_tone(tone);
        let talk = voice.talk();
        talk.error("no answer");
        talk.hint("start it");
        talk.note("done");
        talk.detail("asked twice");
        let bytes = err.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn quiet_says_errors_only() {
        assert_eq!(spoken(Tone::Quiet), "hbs2-peer: error: no answer\n");
    }

    #[test]
    fn normal_says_hints_and_notes_and_verbose_says_all() {
        let normal = "hbs2-peer: error: no answer\nhint: start it\nhbs2-peer: done\n";
        assert_eq!(spoken(Tone::Normal), normal);
        assert_eq!(spoken(Tone::Verbose), format!("{normal}hbs2-peer: asked twice\n"));
    }

    #[test]
    fn data_without_line_end_stays_so_for_scripts() {
        let out = Sink::default();
        let mut voice = Voice::new(io::empty(), out.clone(), io::sink());
        voice.bare("added").unwrap();
        voice.flush().unwrap();
        assert_eq!(*out.0.lock().unwrap(), b"added");
    }
}
