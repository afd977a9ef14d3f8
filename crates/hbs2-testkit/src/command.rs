//! Running a program with a deadline and keeping what it said.
//!
//! Each command runs in a process group of its own; when the deadline passes the whole group is killed, so that a
//! helper started by `git` does not outlive its test. Both outputs are captured while the command runs, therefore
//! a timeout shows them too.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::KitError;

/// How long a command may take unless its test says otherwise, in seconds. Ten times what the slowest ordinary
/// command needs on a loaded two-core machine.
pub const COMMAND_SECONDS: u64 = 60;

/// How long we read on after a command has ended, in seconds: a background process it left may hold the pipe.
const PIPE_SECONDS: u64 = 2;

/// A command that is being put together.
#[derive(Debug)]
pub struct Call {
    command: Command,
    words: Vec<OsString>,
    stdin: Vec<u8>,
    deadline: Duration,
}

impl Call {
    /// A call of `program` with the caller's whole environment. Tests take [`crate::Home::call`] instead.
    #[must_use]
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref();
        Self {
            command: Command::new(program),
            words: vec![program.to_owned()],
            stdin: Vec::new(),
            deadline: Duration::from_secs(COMMAND_SECONDS),
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.words.push(arg.as_ref().to_owned());
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        for arg in args {
            self = self.arg(arg);
        }
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Clears the environment.
    #[must_use]
    pub fn env_clear(mut self) -> Self {
        self.command.env_clear();
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Gives the bytes that the command reads from its standard input; nothing by default.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Sets the time after which the command is killed.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The command as a user would type it.
    #[must_use]
    pub fn line(&self) -> String {
        self.words.iter().map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
    }

    /// Starts the command without waiting for it.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(mut self) -> Result<Running, KitError> {
        let line = self.line();
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let began = Instant::now();
        let mut child = self
            .command
            .spawn()
            .map_err(KitError::io("cannot start", self.words[0].to_string_lossy().as_ref()))?;
        let stdout = Capture::of(child.stdout.take().expect("stdout is piped"));
        let stderr = Capture::of(child.stderr.take().expect("stderr is piped"));
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let input = self.stdin;
        // The command may end without reading its input; then the write fails and nobody minds.
        thread::spawn(move || stdin.write_all(&input).ok());
        let pid = Pid::from_child(&child);
        let (ended, end) = mpsc::channel();
        thread::spawn(move || ended.send(wait(child)).ok());
        Ok(Running { line, pid, began, deadline: self.deadline, stdout, stderr, end, ended: false })
    }

    /// Runs the command to its end, whatever its exit code.
    ///
    /// # Errors
    /// It cannot be started, or does not end before the deadline.
    pub fn run(self) -> Result<Done, KitError> {
        self.start()?.wait()
    }

    /// Runs the command and demands exit code 0.
    ///
    /// # Errors
    /// As [`Call::run`], or the exit code is another.
    pub fn ok(self) -> Result<Done, KitError> {
        self.run()?.must_succeed()
    }

    /// Runs the command and demands an exit code other than 0.
    ///
    /// # Errors
    /// As [`Call::run`], or the exit code is 0, or a signal ended it.
    pub fn fails(self) -> Result<Done, KitError> {
        self.run()?.must_fail()
    }
}

fn wait(mut child: Child) -> (std::io::Result<ExitStatus>, Instant) {
    (child.wait(), Instant::now())
}

/// A command under way. Killed with everything it started when dropped.
#[derive(Debug)]
pub struct Running {
    line: String,
    pid: Pid,
    began: Instant,
    deadline: Duration,
    stdout: Capture,
    stderr: Capture,
    end: mpsc::Receiver<(std::io::Result<ExitStatus>, Instant)>,
    ended: bool,
}

impl Running {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Waits for the end of the command.
    ///
    /// # Errors
    /// It does not end before its deadline, counted from its start.
    pub fn wait(mut self) -> Result<Done, KitError> {
        let left = self.deadline.saturating_sub(self.began.elapsed());
        let Ok((status, at)) = self.end.recv_timeout(left) else {
            let output = told(&self.stdout.so_far(), &self.stderr.so_far());
            return Err(KitError::Deadline { line: self.line.clone(), deadline: self.deadline, output });
        };
        self.ended = true;
        let status = status.map_err(KitError::io("cannot wait for", self.line.as_str()))?;
        let until = Instant::now() + Duration::from_secs(PIPE_SECONDS);
        Ok(Done {
            line: std::mem::take(&mut self.line),
            status,
            stdout: self.stdout.whole(until),
            stderr: self.stderr.whole(until),
            took: at - self.began,
        })
    }

    /// What the command has written to its standard output so far.
    #[must_use]
    pub fn stdout_so_far(&self) -> String {
        String::from_utf8_lossy(&self.stdout.so_far()).into_owned()
    }

    /// What the command has written to its standard error so far.
    #[must_use]
    pub fn stderr_so_far(&self) -> String {
        String::from_utf8_lossy(&self.stderr.so_far()).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            kill_process_group(self.pid, Signal::KILL).ok();
            self.end.recv_timeout(Duration::from_secs(PIPE_SECONDS)).ok();
        }
    }
}

/// A command that has ended.
#[derive(Debug)]
pub struct Done {
    /// The command as typed.
    pub line: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
    /// From its start to its end.
    pub took: Duration,
}

impl Done {
    /// Standard output as text, without the line end at its end.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }

    /// Standard error as text.
    #[must_use]
    pub fn talk(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// The command itself, if it ended well.
    ///
    /// # Errors
    /// The exit code is not 0.
    pub fn must_succeed(self) -> Result<Self, KitError> {
        if self.status.success() { Ok(self) } else { Err(self.wrong("failed")) }
    }

    /// The command itself, if it ended with an exit code other than 0.
    ///
    /// # Errors
    /// The exit code is 0, or a signal ended the command.
    pub fn must_fail(self) -> Result<Self, KitError> {
        match self.status.code() {
            Some(0) => Err(self.wrong("succeeded and should not")),
            Some(_) => Ok(self),
            None => Err(self.wrong("was ended by a signal")),
        }
    }

    /// Demands that standard error contains `text`.
    ///
    /// # Errors
    /// It does not.
    pub fn says(self, text: &str) -> Result<Self, KitError> {
        if self.talk().contains(text) { Ok(self) } else { Err(self.wrong(&format!("does not say `{text}`"))) }
    }

    fn wrong(&self, what: &str) -> KitError {
        KitError::Outcome {
            line: self.line.clone(),
            outcome: format!("{what} ({})", self.status),
            output: told(&self.stdout, &self.stderr),
        }
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})\n{}", self.line, self.status, told(&self.stdout, &self.stderr))
    }
}

/// Splits a line into words at blanks; single quotes keep blanks together.
#[must_use]
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=+@%,~^".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{word}'") }
}

/// The end of both outputs, indented, for error messages.
fn told(stdout: &[u8], stderr: &[u8]) -> String {
    let mut text = String::new();
    for (name, bytes) in [("stdout", stdout), ("stderr", stderr)] {
        if bytes.is_empty() {
            continue;
        }
        text.push_str(&format!("--- {name}\n{}\n", tail(&String::from_utf8_lossy(bytes)).trim_end()));
    }
    if text.is_empty() { "(it printed nothing)".to_owned() } else { text }
}

/// The last lines of a text: enough to see the cause, few enough to read.
pub(crate) fn tail(text: &str) -> String {
    const LINES: usize = 60;
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// Collects a stream on a thread of its own.
#[derive(Debug)]
struct Capture {
    bytes: Arc<Mutex<Vec<u8>>>,
    closed: mpsc::Receiver<()>,
}

impl Capture {
    fn of(mut stream: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (close, closed) = mpsc::channel();
        let sink = Arc::clone(&bytes);
        thread::spawn(move || {
            let mut piece = vec![0; 64 * 1024];
            while let Ok(n @ 1..) = stream.read(&mut piece) {
                sink.lock().expect("no reader panics").extend_from_slice(&piece[..n]);
            }
            close.send(()).ok();
        });
        Self { bytes, closed }
    }

    fn so_far(&self) -> Vec<u8> {
        self.bytes.lock().expect("no reader panics").clone()
    }

    /// Everything up to the end of the stream, or up to a moment.
    fn whole(&self, until: Instant) -> Vec<u8> {
        self.closed.recv_timeout(until.saturating_duration_since(Instant::now())).ok();
        std::mem::take(&mut *self.bytes.lock().expect("no reader panics"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_outputs_and_the_exit_code_are_kept() {
        let done = Call::new("sh").args(["-c", "cat; echo talk >&2; exit 3"]).stdin("data\n").run().unwrap();
        assert_eq!((done.text().as_str(), done.talk().as_str()), ("data", "talk\n"));
        assert_eq!(done.status.code(), Some(3));
    }

    #[test]
    fn a_command_past_its_deadline_is_killed_with_its_children_and_its_output_is_shown() {
        let began = Instant::now();
        let call = Call::new("sh").args(["-c", "echo begun; sleep 30 & sleep 30"]);
        let error = call.deadline(Duration::from_millis(300)).run().unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(10));
        assert!(error.to_string().contains("begun"), "{error}");
    }

    #[test]
    fn a_background_process_that_holds_the_pipe_does_not_hold_the_test() {
        let began = Instant::now();
        let done = Call::new("sh").args(["-c", "sleep 20 & echo $!"]).ok().unwrap();
        assert!(began.elapsed() < Duration::from_secs(10));
        Call::new("kill").arg(done.text()).ok().unwrap();
    }

    #[test]
    fn unexpected_outcomes_name_the_command_and_what_it_said() {
        let error = Call::new("sh").args(["-c", "echo why >&2; exit 1"]).ok().unwrap_err().to_string();
        assert!(error.contains("sh -c 'echo why >&2; exit 1'") && error.contains("why"), "{error}");
        assert!(Call::new("true").fails().is_err());
    }

    #[test]
    fn words_split_at_blanks_outside_single_quotes() {
        assert_eq!(words("git  commit -m 'two words' ''"), ["git", "commit", "-m", "two words", ""]);
    }
}
