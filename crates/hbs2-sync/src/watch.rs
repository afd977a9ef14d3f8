//! Keeping a folder equal from now on: by what the system tells of the folder and the daemon of the channel.
//!
//! Nothing that happens is trusted to be all that happened: each event only says that a run is due, and a run looks at
//! everything. A burst of events is waited out, up to a limit.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use hbs2_core::{RefKind, SignPublicKey};
use hbs2_rpc::Client;
use hbs2_rpc::api::node::{Event, EventsWait, WaitEvents};
use notify::{RecursiveMode, Watcher};

use crate::context::Context;
use crate::error::{Result, SyncError};
use crate::folder::Folder;
use crate::path::OWN;
use crate::run::News;

/// Quiet time after an event before a run, in milliseconds: programs write a file in several steps.
const QUIET_MILLIS: u64 = 300;

/// Longest time that events put off a run, in seconds.
const BUSY_SECONDS_MAX: u64 = 5;

/// A run without an event, in seconds: for file systems that tell nothing, and for neighbours that were away.
const REGULAR_SECONDS: u64 = 600;

/// How long the daemon holds one question for events, in seconds. It bounds how long the end of a watch takes.
const HOLD_SECONDS: u64 = 20;

/// Pause before something that failed is tried again, in seconds.
const AGAIN_SECONDS: u64 = 5;

/// What woke us.
enum Wake {
    /// Something in the folder or in the channel changed.
    Change,
    /// The daemon is gone.
    Gone(hbs2_rpc::ClientError),
}

impl Folder {
    /// Keeps the folder equal until the daemon is gone.
    ///
    /// # Errors
    /// The first run fails, the folder cannot be watched, or the daemon is gone.
    pub fn watch(&mut self, ctx: &Context<'_>) -> Result<()> {
        let (wake, woken) = channel();
        let _watcher = watch_dir(self.dir().to_owned(), wake.clone())?;
        let listener = Listener::start(ctx.client.clone(), self.chan(), wake);
        self.sync(ctx, News::Ask)?;
        ctx.voice.note(&format!("watching {}", self.dir().display()));
        let outcome = self.follow(ctx, &woken);
        listener.stop();
        outcome
    }

    fn follow(&mut self, ctx: &Context<'_>, woken: &Receiver<Wake>) -> Result<()> {
        let mut pause = Duration::from_secs(REGULAR_SECONDS);
        loop {
            let news = match woken.recv_timeout(pause) {
                Ok(Wake::Change) => {
                    wait_out(woken)?;
                    News::Known
                }
                Ok(Wake::Gone(error)) => return Err(error.into()),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => News::Ask,
            };
            let done = self.sync(ctx, news);
            pause = match done {
                Ok(report) if report.left > 0 => Duration::from_secs(AGAIN_SECONDS * 6),
                Ok(_) => Duration::from_secs(REGULAR_SECONDS),
                Err(error @ SyncError::Peer(_)) => return Err(error),
                Err(error) => {
                    self.note(ctx, error.to_string());
                    Duration::from_secs(AGAIN_SECONDS)
                }
            };
        }
    }
}

/// Waits until no more events come, or the limit is reached.
fn wait_out(woken: &Receiver<Wake>) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(BUSY_SECONDS_MAX);
    while Instant::now() < until {
        match woken.recv_timeout(Duration::from_millis(QUIET_MILLIS)) {
            Ok(Wake::Change) => {}
            Ok(Wake::Gone(error)) => return Err(error.into()),
            Err(_) => break,
        }
    }
    Ok(())
}

fn watch_dir(dir: PathBuf, wake: Sender<Wake>) -> Result<notify::RecommendedWatcher> {
    let own = dir.join(OWN);
    let tell = move |event: notify::Result<notify::Event>| {
        let concerns = match &event {
            // Events were lost, or the system says something else is wrong: look.
            Err(_) => true,
            Ok(event) if event.need_rescan() => true,
            Ok(event) if event.kind.is_access() => false,
            Ok(event) => event.paths.iter().any(|path| !path.starts_with(&own)),
        };
        if concerns {
            // Nobody listens any more at the end.
            let _ = wake.send(Wake::Change);
        }
    };
    let failed = |source| SyncError::Watch { dir: dir.clone(), source };
    let mut watcher = notify::recommended_watcher(tell).map_err(failed)?;
    watcher.watch(&dir, RecursiveMode::Recursive).map_err(failed)?;
    Ok(watcher)
}

/// A thread that waits for events of the daemon.
struct Listener {
    stop: Arc<AtomicBool>,
}

impl Listener {
    fn start(client: Client, chan: SignPublicKey, wake: Sender<Wake>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        thread::spawn(move || {
            let mut after = None;
            while !stopped.load(Ordering::Relaxed) {
                let wait = EventsWait { after, timeout_ms: HOLD_SECONDS * 1000 };
                let deadline = Duration::from_secs(HOLD_SECONDS) + crate::link::CALL_TIMEOUT;
                match client.call::<WaitEvents>(&wait, deadline) {
                    Ok(news) => {
                        after = Some(news.cursor);
                        let concerns = |event: &Event| match event {
                            Event::Ref(name, _) => {
                                name.key == chan && matches!(name.kind, RefKind::ChanLog | RefKind::ChanHead)
                            }
                            _ => false,
                        };
                        if (news.lost || news.events.iter().any(concerns)) && wake.send(Wake::Change).is_err()
                        {
                            return;
                        }
                    }
                    Err(error) => {
                        let _ = wake.send(Wake::Gone(error));
                        return;
                    }
                }
            }
        });
        Self { stop }
    }

    fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
