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

/// What became of a command.
#[derive(Debug)]
pub enum Ended {
    /// It ended by itself.
    Exit(ExitStatus),
    /// It ran for too long and was ended.
    Timeout(Duration),
    /// The system could not run it.
    Failed(io::Error),
}

/// How the work goes.
#[derive(Debug)]
pub enum JobNews {
    /// A command runs.
    Began(String),
    /// It runs no more.
    Ended {
        /// The command.
        command: String,
        /// How long it ran.
        took: Duration,
        /// How it ended.
        ended: Ended,
    },
}

/// The queue.
pub struct Jobs {
    queue: Sender<Job>,
    waiting: Arc<AtomicUsize>,
    abandoned: Arc<AtomicBool>,
    worker: JoinHandle<()>,
}

impl Jobs {
    /// An empty queue, and a thread that runs what comes. What happens is told through `tell`.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(tell: impl Fn(JobNews) + Send + 'static) -> io::Result<Self> {
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
                let begin = Instant::now();
                let ended = run(&job);
                tell(JobNews::Ended { command: job.command, took: begin.elapsed(), ended });
            }
        };
        let worker = thread::Builder::new().name("jobs".to_owned()).spawn(work)?;
        Ok(Self { queue, waiting, abandoned, worker })
    }

    /// Adds a command to the end of the queue; whether there is room.
    #[must_use]
    pub fn add(&self, job: Job) -> bool {
        if self.waiting.load(Ordering::Relaxed) >= JOBS_MAX {
            return false;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.queue.send(job).is_ok()
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
    use std::sync::Mutex;

    use super::*;

    fn job(command: &str, timeout: Option<Duration>) -> Job {
        let environment = std::env::vars_os().collect();
        Job { command: command.to_owned(), directory: std::env::temp_dir(), environment, timeout }
    }

    #[test]
    fn commands_run_in_their_order_and_a_failure_stops_nothing() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&told);
        let jobs = Jobs::start(move |news| {
            if let JobNews::Ended { command, ended, .. } = news {
                let end = match ended {
                    Ended::Exit(status) => format!("{:?}", status.code()),
                    Ended::Timeout(_) => "timeout".to_owned(),
                    Ended::Failed(error) => error.to_string(),
                };
                list.lock().unwrap().push((command, end));
            }
        })
        .unwrap();
        let all = [("exit 3", None), ("sleep 60 | cat", Some(Duration::from_millis(1))), ("true", None)];
        for (command, timeout) in all {
            assert!(jobs.add(job(command, timeout)));
        }
        jobs.finish();
        let told = told.lock().unwrap();
        let told: Vec<(&str, &str)> = told.iter().map(|(command, end)| (&**command, &**end)).collect();
        assert_eq!(told, [("exit 3", "Some(3)"), ("sleep 60 | cat", "timeout"), ("true", "Some(0)")]);
    }
}
