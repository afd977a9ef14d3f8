//! Reading the configuration again while the daemon runs: at a hang-up signal, or when a client asks.
//!
//! What can change takes effect at once; the rest is named with the remark that it needs another start. A broken
//! configuration changes nothing.

use std::sync::{Arc, Mutex, PoisonError};

use hbs2_net::Limits;
use hbs2_proto::io::Memory;
use hbs2_proto::{Command, Config};

use crate::companions::{Companions, Host};
use crate::config::{Change, Needs, Settings, changes};
use crate::driver::Stopping;
use crate::log::Log;
use crate::polls;
use crate::run::{Options, RunError, read_settings};

/// Why a configuration was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadError {
    #[error("the configuration was not taken: {}", causes(.0))]
    Broken(RunError),
    #[error(transparent)]
    Stopping(#[from] Stopping),
}

/// The error and what caused it, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What is needed to read the configuration again. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Reload {
    options: Arc<Options>,
    settings: Arc<Mutex<Settings>>,
    companions: Companions,
    host: Host,
    log: Log,
}

impl Reload {
    pub(crate) fn new(
        options: &Options,
        settings: &Settings,
        companions: Companions,
        host: Host,
        log: Log,
    ) -> Self {
        let settings = Arc::new(Mutex::new(settings.clone()));
        Self { options: Arc::new(options.clone()), settings, companions, host, log }
    }

    /// Reads the configuration and does what has changed. The changes, for people.
    pub(crate) async fn run(&self) -> Result<Vec<String>, ReloadError> {
        let new = read_settings(&self.options).map_err(ReloadError::Broken)?;
        let old = std::mem::replace(
            &mut *self.settings.lock().unwrap_or_else(PoisonError::into_inner),
            new.clone(),
        );
        let changes = changes(&old, &new);
        let desk = &self.host.desk;
        // Before the machine asks a new validator, its socket is known.
        self.companions.set(&new.validators, &new.notify_clients, &self.host);
        let config = desk.look(|node| node.config().clone()).await?;
        let config = apply(config, &new);
        desk.limit(limits(&config, &new)).await?;
        desk.reconfigure(config).await?;
        self.log.change(|level| {
            if old.debug != new.debug {
                level.debug = new.debug;
            }
            if old.trace != new.trace {
                level.trace = new.trace;
            }
        });
        for poll in old
            .polls
            .iter()
            .filter(|poll| !new.polls.iter().any(|row| (row.key, row.kind) == (poll.key, poll.kind)))
        {
            desk.command(Command::PollDel { key: poll.key, kind: Some(poll.kind) }).await?;
        }
        polls::adopt(desk.clone(), new.polls).await;
        Ok(changes.into_iter().map(line).collect())
    }
}

fn line(change: Change) -> String {
    match change.needs {
        Needs::Nothing => change.text,
        Needs::Restart => format!("{} (needs a restart)", change.text),
    }
}

/// The limits of the network with what the settings say of them.
pub(crate) fn limits(config: &Config, settings: &Settings) -> Limits {
    let usual = Limits::default();
    Limits {
        upload: settings.upload,
        download: settings.download,
        links_max: config.links_max,
        links_per_address_max: settings.peers_per_address_max.unwrap_or(usual.links_per_address_max),
        frames_bytes_max: config.memory.frames_bytes,
    }
}

/// The configuration of the machine with what the settings say of it.
pub(crate) fn apply(mut config: Config, settings: &Settings) -> Config {
    let usual = Config::new(config.key.clone(), config.seed);
    config.known_peers.clone_from(&settings.known_peers);
    config.blacklist.clone_from(&settings.blacklist);
    config.whitelist.clone_from(&settings.whitelist);
    config.accept_announces.clone_from(&settings.accept_announces);
    config.bootstrap.clone_from(&settings.bootstrap);
    config.proxy_fetch_for.clone_from(&settings.proxy_fetch_for);
    config.ping_interval = settings.ping_interval.unwrap_or(usual.ping_interval);
    config.probe_wait = settings.probe_wait.unwrap_or(usual.probe_wait);
    config.bypass = settings.bypass;
    config.links_max = settings.peers_max.unwrap_or(usual.links_max);
    config.memory = settings.memory.map_or(usual.memory, Memory::of);
    config.validated_chans = settings.validators.keys().copied().collect();
    config.notice_logs.clone_from(&settings.notice_logs);
    config.multicast = settings.multicast && settings.listen_udp.is_some();
    config
}

/// Reads the configuration again at each hang-up, and logs what has changed.
pub(crate) async fn at_hangups(reload: Reload) {
    let hangups = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup());
    let mut hangups = match hangups {
        Ok(hangups) => hangups,
        Err(error) => {
            tracing::warn!(%error, "cannot listen to hang-ups: the configuration is read again by hbs2-peer reload only");
            return;
        }
    };
    while hangups.recv().await.is_some() {
        match reload.run().await {
            Ok(changes) if changes.is_empty() => {
                tracing::info!("read the configuration again: nothing has changed")
            }
            Ok(changes) => {
                changes.iter().for_each(|change| tracing::info!("read the configuration again: {change}"))
            }
            Err(ReloadError::Stopping(_)) => return,
            Err(error) => tracing::error!("{error}"),
        }
    }
}
