//! Shell commands, one after another (spec: cli 9.3, `run`).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::log::Log;

/// Commands that wait, at most. A program that makes more than run loses the newest.
pub const JOBS_MAX: usize = 1000;

/// How often a command with a time limit is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// A command.
#[derive(Debug, Clone)]
pub struct Job {
    /// For the shell.
    pub command: String,
    /// Where it runs.
    pub directory: PathBuf,
    /// Its environment.
    pub environment: BTreeMap<OsString, OsString>,
    /// How long it may run.
    pub timeout: Option<Duration>,
}

/// How the work goes.
#[derive(Debug)]
pub enum JobNews {
    /// A command is about to run.
    Began(String),
    /// It runs no more. An error is that of the log, which could not be written.
    Ended(io::Result<()>),
}

/// What became of a command.
enum Ended {
    /// It ended by itself.
    Exit(ExitStatus),
    /// It ran for too long and was ended.
    Timeout(Duration),
    /// The system could not run it.
    Failed(io::Error),
}

/// The queue.
pub struct Jobs {
    queue: Sender<Job>,
    waiting: Arc<AtomicUsize>,
    abandoned: Arc<AtomicBool>,
    worker: JoinHandle<()>,
}

impl Jobs {
    /// An empty queue, and a thread that runs what comes. What happens is written to `log` and told through `tell`.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(log: Log, tell: impl Fn(JobNews) + Send + 'static) -> io::Result<Self> {
        let (queue, jobs) = channel::<Job>();
        let waiting = Arc::new(AtomicUsize::new(0));
        let abandoned = Arc::new(AtomicBool::new(false));
        let (count, stop) = (Arc::clone(&waiting), Arc::clone(&abandoned));
        let work = move || {
            for job in jobs {
                count.fetch_sub(1, Ordering::Relaxed);
                if stop.load(Ordering::Relaxed) {
                    continue;
                }
                tell(JobNews::Began(job.command.clone()));
                // Written before the command can print anything.
                let began = log.detail(format_args!("run: {}", job.command));
                let begin = Instant::now();
                let ended = run(&job);
                tell(JobNews::Ended(began.and(write_end(&log, &job.command, begin.elapsed(), ended))));
            }
        };
        let worker = thread::Builder::new().name("jobs".to_owned()).spawn(work)?;
        Ok(Self { queue, waiting, abandoned, worker })
    }

    /// Whether another command may wait.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) < JOBS_MAX
    }

    /// Adds a command to the end of the queue, for which there must be room.
    pub fn add(&self, job: Job) {
        assert!(self.has_room(), "whoever adds commands asks first");
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // The thread takes commands as long as there is a queue.
        let _ = self.queue.send(job);
    }

    /// Forgets what waits. What runs goes on.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    /// Waits until all that was added is done, or forgotten.
    pub fn finish(self) {
        drop(self.queue);
        // The thread ends with its last command; its panic has been told by itself.
        let _ = self.worker.join();
    }
}

fn write_end(log: &Log, command: &str, took: Duration, ended: Ended) -> io::Result<()> {
    match ended {
        Ended::Exit(status) if status.success() => {
            log.detail(format_args!("done in {:.1} s: {command}", took.as_secs_f64()))
        }
        Ended::Exit(status) => log.write("error", format_args!("{status}: {command}")),
        Ended::Timeout(limit) => {
            log.write("error", format_args!("ended after {} s: {command}", limit.as_secs()))
        }
        Ended::Failed(error) => log.write("error", format_args!("cannot be run: {command}: {error}")),
    }
}

fn run(job: &Job) -> Ended {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(&job.command).stdin(Stdio::null());
    command.env_clear().envs(&job.environment).current_dir(&job.directory);
    if job.timeout.is_some() {
        // A group of its own, so that all of it can be ended.
        command.process_group(0);
    }
    let ended = command.spawn().and_then(|mut child| match job.timeout {
        Some(timeout) => wait(&mut child, timeout),
        None => child.wait().map(Ended::Exit),
    });
    ended.unwrap_or_else(Ended::Failed)
}

fn wait(child: &mut Child, timeout: Duration) -> io::Result<Ended> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Ended::Exit(status));
        }
        if begin.elapsed() >= timeout {
            if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                // It may have ended just now.
                let _ = kill_process_group(group, Signal::KILL);
            }
            child.wait()?;
            return Ok(Ended::Timeout(timeout));
        }
        thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::BufWriter;
    use std::path::Path;

    use super::*;
    use crate::voice::Voice;

    /// Runs commands whose log goes to a file, and reads it when all are done.
    fn logged(file: &Path, is_debug: bool, commands: &[(&str, Option<Duration>)]) -> String {
        let out = File::options().create(true).append(true).open(file).unwrap();
        // Buffered as stdout is: what is not flushed comes too late.
        let log = Log::new(Voice::new(io::empty(), BufWriter::new(out), io::sink()).share_out());
        log.set_debug(is_debug);
        let jobs = Jobs::start(log, drop).unwrap();
        for (command, timeout) in commands {
            let environment = std::env::vars_os().chain([("LOG".into(), file.into())]).collect();
            let command = (*command).to_owned();
            jobs.add(Job { command, directory: std::env::temp_dir(), environment, timeout: *timeout });
        }
        jobs.finish();
        fs::read_to_string(file).unwrap()
    }

    #[test]
    fn commands_run_in_their_order_and_a_failure_stops_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let short = Some(Duration::from_millis(1));
        let all = [("exit 3", None), ("sleep 60 | cat", short), ("echo two >> $LOG", None)];
        let text = logged(&dir.path().join("log"), false, &all);
        let expected = "[error] exit status: 3: exit 3\n[error] ended after 0 s: sleep 60 | cat\ntwo\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_a_command_prints_stands_between_its_lines() {
        let dir = tempfile::tempdir().unwrap();
        let commands: Vec<String> = (0..20).map(|number| format!("echo {number} >> $LOG")).collect();
        let all: Vec<_> = commands.iter().map(|command| (&**command, None)).collect();
        let text = logged(&dir.path().join("log"), true, &all);
        let lines: Vec<&str> = text.lines().collect();
        for (number, lines) in lines.chunks(3).enumerate() {
            assert_eq!(lines[0], format!("[debug] run: echo {number} >> $LOG"), "{text}");
            assert_eq!(lines[1], number.to_string(), "{text}");
            assert!(lines[2].starts_with("[debug] done in"), "{text}");
        }
        assert_eq!(lines.len(), 60);
    }
}
