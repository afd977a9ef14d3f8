//! What the daemon says about itself, on stderr.
//!
//! How much is said can be changed while it runs (`hbs2-peer log`), so the subscriber reads its level from a place
//! that the RPC can reach.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt};

/// How much is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Level {
    /// `debug`: what happens to links, peers and trees.
    pub debug: bool,
    /// `trace`: everything.
    pub trace: bool,
}

/// Changes the level of the running program. The default one has no effect.
#[derive(Clone, Default)]
pub struct Log {
    shared: Option<Arc<Shared>>,
}

struct Shared {
    level: Mutex<Level>,
    reload: reload::Handle<Targets, Registry>,
}

impl Log {
    /// Writes the messages of this process to stderr from now on. Without effect when somebody has set up a
    /// subscriber already, as tests do.
    #[must_use]
    pub fn install(level: Level) -> Self {
        let (filter, reload) = reload::Layer::new(targets(level));
        let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
        match Registry::default().with(filter).with(lines.with_target(false)).try_init() {
            Ok(()) => Self { shared: Some(Arc::new(Shared { level: Mutex::new(level), reload })) },
            Err(_) => Self::default(),
        }
    }

    /// Changes how much is said.
    pub fn change(&self, change: impl FnOnce(&mut Level)) {
        let Some(shared) = &self.shared else { return };
        let mut level = shared.level.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut level);
        if let Err(error) = shared.reload.reload(targets(*level)) {
            tracing::warn!(%error, "cannot change the log level");
        }
    }
}

/// Our own crates speak at the wished level; the libraries below only when something is wrong.
fn targets(level: Level) -> Targets {
    let ours = match level {
        Level { trace: true, .. } => LevelFilter::TRACE,
        Level { debug: true, .. } => LevelFilter::DEBUG,
        _ => LevelFilter::INFO,
    };
    Targets::new().with_default(LevelFilter::WARN).with_target("hbs2", ours)
}
