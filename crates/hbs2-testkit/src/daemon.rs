//! A real `hbs2-peer run` as a child process, on the loopback interface.
//!
//! The daemon lives in a [`Home`]: its config, key, storage and socket are where a user would have them, so every
//! program called in the same home finds it without an option. It is ended by its process id when dropped.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::command::tail;
use crate::lab::Host;
use crate::{Home, KitError};

/// How long a daemon may take until `poke` answers, in seconds. It needs well under one on an idle machine.
const START_SECONDS: u64 = 30;

/// How long a daemon may take to end after SIGTERM, in seconds. Its promise is 2; a loaded machine gets more.
const STOP_SECONDS: u64 = 10;

/// Pause between two looks at something that sends no event, in milliseconds.
const LOOK_MILLIS: u64 = 5;

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    config_dir: PathBuf,
    log: PathBuf,
    environment: Vec<(&'static str, String)>,
    program: PathBuf,
    /// The namespace in which it runs.
    inside: Option<String>,
    address: SocketAddr,
    child: Option<Child>,
    started_in: Duration,
}

/// A loopback address whose port was free a moment ago.
///
/// # Errors
/// No port can be had.
pub fn free_address() -> Result<SocketAddr, KitError> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(KitError::io("cannot listen on", "127.0.0.1"))?;
    listener.local_addr().map_err(KitError::io("cannot read the address of", "127.0.0.1"))
}

impl Daemon {
    /// Starts a daemon in `home` that knows the peers at `known`, and waits until it answers.
    ///
    /// # Errors
    /// It cannot be started or does not answer in time.
    pub fn start(home: &Home, known: &[SocketAddr]) -> Result<Self, KitError> {
        Self::start_at(home, free_address()?, known, "")
    }

    /// As [`Daemon::start`], listening at `address`, with more config lines in `extra`.
    ///
    /// # Errors
    /// As [`Daemon::start`].
    pub fn start_at(
        home: &Home,
        address: SocketAddr,
        known: &[SocketAddr],
        extra: &str,
    ) -> Result<Self, KitError> {
        Self::raise(home, None, address, known, extra)
    }

    /// As [`Daemon::start_at`], in the network of a host, where it listens on both carriers and announces itself.
    ///
    /// # Errors
    /// As [`Daemon::start`].
    pub fn start_inside(
        home: &Home,
        host: &Host,
        known: &[SocketAddr],
        extra: &str,
    ) -> Result<Self, KitError> {
        let address = host.address();
        let extra = format!("listen \"{address}\"\n{extra}");
        Self::raise(home, Some(host.namespace().to_owned()), address, known, &extra)
    }

    fn raise(
        home: &Home,
        inside: Option<String>,
        address: SocketAddr,
        known: &[SocketAddr],
        extra: &str,
    ) -> Result<Self, KitError> {
        let config_dir = home.join(".config/hbs2-peer");
        if !config_dir.join("default.key").exists() {
            home.call("hbs2-peer").arg("init").arg(&config_dir).ok()?;
        }
        let known: String = known.iter().map(|at| format!("known-peer \"tcp://{at}\"\n")).collect();
        let config = config_dir.join("config");
        let text = format!(
            "key \"./default.key\"\nlisten off\nbootstrap-dns off\nlisten-tcp \"{address}\"\nhttp-port off\n{known}{extra}"
        );
        fs::write(&config, text).map_err(KitError::io("cannot write", config))?;
        let mut daemon = Self {
            name: home.name().to_owned(),
            log: home.join("hbs2-peer.log"),
            environment: home.environment(),
            program: home.join("bin/hbs2-peer"),
            config_dir,
            inside,
            address,
            child: None,
            started_in: Duration::ZERO,
        };
        daemon.begin()?;
        Ok(daemon)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From its start until `poke` answered.
    #[must_use]
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    /// Its process id.
    ///
    /// # Panics
    /// It was stopped.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the daemon runs").id()
    }

    /// The config file it reads at its start.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.config_dir.join("config")
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// One figure of its memory in KiB, by its name in `/proc/PID/status`: `VmRSS` now, `VmHWM` at most.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn memory_kib(&self, field: &str) -> Result<u64, KitError> {
        memory_kib(self.pid(), field)
    }

    /// Starts it again with the config file as it is now.
    ///
    /// # Errors
    /// As [`Daemon::start`].
    pub fn restart(&mut self) -> Result<(), KitError> {
        self.stop()?;
        self.begin()
    }

    /// Ends it with SIGTERM and waits; returns how long that took. Nothing happens when it does not run.
    ///
    /// # Errors
    /// It does not end in time, or ends with an exit code other than 0.
    pub fn stop(&mut self) -> Result<Duration, KitError> {
        let Some(mut child) = self.child.take() else { return Ok(Duration::ZERO) };
        let began = Instant::now();
        kill_process(Pid::from_child(&child), Signal::TERM)
            .map_err(|e| KitError::io("cannot end", self.program.as_path())(e.into()))?;
        while began.elapsed() < Duration::from_secs(STOP_SECONDS) {
            match child.try_wait().map_err(KitError::io("cannot wait for", self.program.as_path()))? {
                Some(status) if status.success() => return Ok(began.elapsed()),
                Some(status) => return Err(self.trouble(format!("ended with {status} after SIGTERM"))),
                None => thread::sleep(Duration::from_millis(LOOK_MILLIS)),
            }
        }
        child.kill().ok();
        child.wait().ok();
        Err(self.trouble(format!("still ran {STOP_SECONDS} s after SIGTERM")))
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }

    fn begin(&mut self) -> Result<(), KitError> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(KitError::io("cannot open", self.log.as_path()))?;
        let errors = log.try_clone().map_err(KitError::io("cannot share", self.log.as_path()))?;
        let began = Instant::now();
        // `ip netns exec` becomes the program, so the process id is the daemon's.
        let mut command = match &self.inside {
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        let child = command
            .arg("run")
            .arg("-c")
            .arg(&self.config_dir)
            .env_clear()
            .envs(self.environment.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(KitError::io("cannot start", self.program.as_path()))?;
        self.child = Some(child);
        while began.elapsed() < Duration::from_secs(START_SECONDS) {
            if self.answers()? {
                self.started_in = began.elapsed();
                return Ok(());
            }
            let child = self.child.as_mut().expect("it was started above");
            if let Some(status) =
                child.try_wait().map_err(KitError::io("cannot wait for", self.program.as_path()))?
            {
                self.child = None;
                return Err(self.trouble(format!("ended at its start with {status}")));
            }
            thread::sleep(Duration::from_millis(LOOK_MILLIS));
        }
        self.kill();
        Err(self.trouble(format!("does not answer `hbs2-peer poke` within {START_SECONDS} s")))
    }

    fn answers(&self) -> Result<bool, KitError> {
        let mut call = crate::Call::new(&self.program).args(["poke", "-c"]).arg(&self.config_dir).env_clear();
        for (key, value) in &self.environment {
            call = call.env(key, value);
        }
        Ok(call.run()?.status.success())
    }

    fn trouble(&self, what: String) -> KitError {
        KitError::Daemon { name: self.name.clone(), what, log: tail(&self.log()) }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop().ok();
    }
}

/// One figure of the memory of process `pid` in KiB, by its name in `/proc/PID/status`.
///
/// # Errors
/// The system does not tell.
pub fn memory_kib(pid: u32, field: &str) -> Result<u64, KitError> {
    let path = Path::new("/proc").join(pid.to_string()).join("status");
    let text = fs::read_to_string(&path).map_err(KitError::io("cannot read", path.as_path()))?;
    text.lines()
        .find_map(|line| {
            line.strip_prefix(field)?.strip_prefix(':')?.trim().strip_suffix(" kB")?.parse().ok()
        })
        .ok_or_else(|| KitError::Unexpected {
            what: format!("no field {field}"),
            place: path.display().to_string(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_addresses_differ_and_are_loopback() {
        let (a, b) = (free_address().unwrap(), free_address().unwrap());
        assert!(a.ip().is_loopback() && a.port() != 0);
        assert_ne!(a, b);
    }

    #[test]
    fn memory_of_this_process_is_known() {
        assert!(memory_kib(std::process::id(), "VmHWM").unwrap() > 100);
        assert!(memory_kib(std::process::id(), "VmNothing").is_err());
    }
}
