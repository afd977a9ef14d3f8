//! Finding the running peer and asking it.
//!
//! The socket is the first of: `--socket`, `$HBS2_RPC_SOCKET`, `rpc unix` of the peer's config, the default
//! places. Every question has a deadline.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hbs2_rpc::api::Method;
use hbs2_rpc::api::peer::Poke;
use hbs2_rpc::client::{Client, ClientError, Pending};
use hbs2_rpc::path::SocketPath;

use crate::config::PeerConfig;
use crate::error::Failure;

/// How long the peer may take to answer a question, in seconds, unless the user says otherwise. A busy disk may
/// need seconds to make data safe; a person does not believe in an answer after half a minute.
const ANSWER_SECONDS: u64 = 30;

/// Longest `--timeout`, in seconds: a day.
const ANSWER_SECONDS_MAX: u64 = 24 * 60 * 60;

/// How long connecting to a socket of this machine may take, in seconds.
const CONNECT_SECONDS: u64 = 5;

/// Options that say which peer is meant.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Which peer")]
pub struct Reach {
    /// Directory of the peer's config [default: ~/.config/hbs2-peer]
    #[arg(short, long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// Socket of the running peer [default: as its config says]
    #[arg(short = 'r', long, value_name = "PATH", alias = "rpc")]
    socket: Option<PathBuf>,
    /// Longest wait for an answer of the peer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = ANSWER_SECONDS, value_parser = clap::value_parser!(u64).range(1..=ANSWER_SECONDS_MAX))]
    timeout: u64,
}

impl Reach {
    /// The peer with this config directory and socket, both optional.
    #[must_use]
    pub fn new(config: Option<PathBuf>, socket: Option<PathBuf>) -> Self {
        Self { config, socket, timeout: ANSWER_SECONDS }
    }

    /// With this longest wait for an answer, if one is given.
    #[must_use]
    pub fn within(mut self, answer: Option<Duration>) -> Self {
        self.timeout = answer.map_or(self.timeout, |answer| answer.as_secs().clamp(1, ANSWER_SECONDS_MAX));
        self
    }

    /// The running peer; none when nobody listens. A socket that the user named must answer.
    ///
    /// # Errors
    /// The config is broken, or there is somebody at the socket with whom we cannot talk.
    pub fn find(&self) -> Result<Option<Daemon>, Failure> {
        match Daemon::reach(self) {
            Err(Failure::Peer(ClientError::NoDaemon { .. })) if self.socket.is_none() => Ok(None),
            other => other.map(Some),
        }
    }

    /// The storage that the config names.
    ///
    /// # Errors
    /// The config is broken, or there is no home directory.
    pub fn storage(&self) -> Result<PathBuf, Failure> {
        Ok(PeerConfig::read(self.config.as_deref())?.storage)
    }

    fn sockets(&self) -> Result<SocketPath, Failure> {
        let mut path = SocketPath::from_environment(|name| std::env::var_os(name));
        path.option.clone_from(&self.socket);
        if path.option.is_none() && path.environment.is_none() {
            path.config = PeerConfig::read(self.config.as_deref())?.socket;
        }
        Ok(path)
    }
}

/// A running peer.
#[derive(Clone)]
pub struct Daemon {
    client: Client,
    answer: Duration,
}

impl Daemon {
    /// Connects to the peer that `reach` means.
    ///
    /// # Errors
    /// Nobody answers; the config is broken.
    pub fn reach(reach: &Reach) -> Result<Self, Failure> {
        let client = Client::find(&reach.sockets()?, Duration::from_secs(CONNECT_SECONDS))?;
        Ok(Self { client, answer: Duration::from_secs(reach.timeout) })
    }

    /// The connection, for libraries that make their own calls.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Asks one question.
    ///
    /// # Errors
    /// No answer in time, or the peer cannot answer.
    pub fn ask<M: Method>(&self, input: &M::Input) -> Result<M::Output, Failure> {
        Ok(self.client.call::<M>(input, self.answer)?)
    }

    /// Asks a question whose answer the peer may hold back for up to `held`.
    ///
    /// # Errors
    /// As [`Daemon::ask`].
    pub fn ask_for<M: Method>(&self, input: &M::Input, held: Duration) -> Result<M::Output, Failure> {
        Ok(self.client.call::<M>(input, self.answer + held)?)
    }

    /// Puts a question whose answer is taken later by [`Daemon::finish`].
    pub fn begin<M: Method>(&self, input: &M::Input) -> Pending<M> {
        self.client.begin::<M>(input)
    }

    /// Takes the answer to an earlier question.
    ///
    /// # Errors
    /// As [`Daemon::ask`].
    pub fn finish<M: Method>(&self, pending: Pending<M>) -> Result<M::Output, Failure> {
        Ok(pending.wait(self.answer)?)
    }

    /// Whether its storage is the directory `path`.
    ///
    /// # Errors
    /// As [`Daemon::ask`].
    pub fn keeps(&self, path: &Path) -> Result<bool, Failure> {
        let text = self.ask::<Poke>(&())?;
        let storage = text.lines().find_map(|line| line.strip_prefix("storage:"));
        let storage = storage.map(|value| PathBuf::from(value.trim().trim_matches('"')));
        Ok(storage.is_some_and(|storage| same_directory(&storage, path)))
    }
}

fn same_directory(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}
