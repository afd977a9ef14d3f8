//! The daemon's configuration (spec: cli 4.2).
//!
//! A directory with the file `config`: one setting a line, values quoted or not, relative paths relative to the
//! directory. What is wrong in it is an error that shows file, line and place; keys that this program does not
//! know are ignored. [`init`] makes a configuration and a key where there are none; nothing else writes here,
//! and an existing file is never overwritten.

mod init;
mod peer_key;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hbs2_core::SignPublicKey;
use hbs2_core::addr::PeerAddr;
use hbs2_proto::{AnnouncePolicy, Poll};
use hbs2_script::{Config, ConfigError, Entry};

pub use init::{InitError, Made, init};
pub use peer_key::{KeyError, read_key};

use crate::Places;

/// Name of the configuration file in its directory.
pub const CONFIG_FILE: &str = "config";

/// Where we listen when nothing is configured.
pub const LISTEN_TCP: &str = "0.0.0.0:10351";

/// Shortest time between pings that can be configured, in seconds. A ping is a hundred bytes; more often than
/// this tells nothing new.
const PING_SECONDS_MIN: i128 = 1;

/// Longest time between pings that can be configured, in seconds. A peer is given up after 67 silent seconds.
const PING_SECONDS_MAX: i128 = 60;

/// Longest interval of a poll that can be configured, in minutes: a year.
const POLL_MINUTES_MAX: i128 = 366 * 24 * 60;

/// Keys that have a meaning for the original or for a part that is not built yet. They are read over in silence;
/// any other unknown key is worth a line in the log.
const RECOGNISED_KEYS: [&str; 16] = [
    "bootstrap-dns",
    "brains",
    "brains-db",
    "download-log",
    "download-threads",
    "hbs2:mailbox:dir",
    "http-download",
    "http-port",
    "listen",
    "notify",
    "proxy-fetch-for",
    "refchan-notify-log",
    "state-dir",
    "tcp-probe-wait",
    "tcp.socks5",
    "validate",
];

/// Keys that work.
const KEYS: [&str; 15] = [
    "accept-block-announce",
    "blacklist",
    "debug",
    "downloads-del-on-start",
    "key",
    "known-peer",
    "known-peers-file",
    "listen-tcp",
    "ping-interval",
    "poll",
    "rpc",
    "storage",
    "trace",
    "trace1",
    "whitelist",
];

/// What the configuration says.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The directory it was read from.
    pub dir: PathBuf,
    /// `listen-tcp`: where to listen; `None` when off.
    pub listen_tcp: Option<SocketAddr>,
    /// `key`: the file of the peer key.
    pub key: PathBuf,
    /// `storage`: the directory of blocks and references.
    pub storage: Option<PathBuf>,
    /// `rpc unix`: the socket for clients.
    pub rpc_socket: Option<PathBuf>,
    /// `known-peer`, also from each `known-peers-file`: addresses that are always kept linked.
    pub known_peers: Vec<PeerAddr>,
    /// `poll`: references to follow.
    pub polls: Vec<Poll>,
    /// `accept-block-announce`: whose announces are followed.
    pub accept_announces: AnnouncePolicy,
    /// `blacklist`: peers that are not let in.
    pub blacklist: BTreeSet<SignPublicKey>,
    /// `whitelist`: when not empty, the only peers that are let in.
    pub whitelist: BTreeSet<SignPublicKey>,
    /// `ping-interval`: time between pings.
    pub ping_interval: Option<Duration>,
    /// `debug`: log more.
    pub debug: bool,
    /// `trace` or `trace1`: log everything.
    pub trace: bool,
    /// `downloads-del-on-start`: forget unfinished downloads.
    pub downloads_del_on_start: bool,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file can be read but not understood.
    #[error("cannot understand the configuration")]
    Malformed(#[source] Box<ConfigError>),
    /// No `key` and no default key.
    #[error("the configuration {} names no key, and there is no {}", config.display(), default.display())]
    NoKey {
        /// The configuration file.
        config: PathBuf,
        /// Where the default key would be.
        default: PathBuf,
    },
}

impl From<ConfigError> for SettingsError {
    fn from(error: ConfigError) -> Self {
        Self::Malformed(Box::new(error))
    }
}

impl Settings {
    /// Reads the configuration in the directory `dir`.
    ///
    /// # Errors
    /// A file cannot be read or understood, or no key is named.
    pub fn read(dir: &Path, places: &Places) -> Result<Self, SettingsError> {
        let file = dir.join(CONFIG_FILE);
        let config = read_config(&file)?;
        for entry in config.forms() {
            match entry.as_call() {
                Some((key, _)) if KEYS.contains(&key) || RECOGNISED_KEYS.contains(&key) => {}
                Some((key, _)) => {
                    tracing::debug!(file = %file.display(), "ignored the unknown setting {key}")
                }
                None => tracing::debug!(file = %file.display(), "ignored a form that is no setting"),
            }
        }
        check_unused(&config)?;
        let path = |written: &str| places.resolve(dir, written);
        let mut known_peers = addresses(&config)?;
        for more in config.texts("known-peers-file")? {
            known_peers.extend(addresses(&read_config(&path(&more))?)?);
        }
        let default_key = dir.join(init::KEY_FILE);
        let key = match config.text("key")? {
            Some(written) => path(&written),
            None if default_key.exists() => default_key,
            None => return Err(SettingsError::NoKey { config: file, default: default_key }),
        };
        Ok(Self {
            dir: dir.to_owned(),
            listen_tcp: listen_tcp(&config)?,
            key,
            storage: config.text("storage")?.map(|written| path(&written)),
            rpc_socket: rpc_socket(&config)?.map(|written| path(&written)),
            known_peers,
            polls: config.all("poll").iter().map(poll).collect::<Result<_, _>>()?,
            accept_announces: accept_announces(&config)?,
            blacklist: keys(&config, "blacklist")?,
            whitelist: keys(&config, "whitelist")?,
            ping_interval: ping_interval(&config)?,
            debug: config.switch("debug").unwrap_or_default(),
            trace: config.switch("trace").unwrap_or_default() || config.switch("trace1").unwrap_or_default(),
            downloads_del_on_start: config.switch("downloads-del-on-start").unwrap_or_default(),
        })
    }
}

fn read_config(path: &Path) -> Result<Config, SettingsError> {
    let read = |source| SettingsError::Read { path: path.to_owned(), source };
    let text = fs::read_to_string(path).map_err(read)?;
    Ok(Config::parse(path.display().to_string(), text)?)
}

/// Settings that have no effect yet are checked all the same, so that a mistake shows when it is made.
fn check_unused(config: &Config) -> Result<(), ConfigError> {
    if let Some(entry) = config.last("listen") {
        socket_address(&entry, &["udp://"])?;
    }
    if let Some(entry) = config.last("http-port")
        && entry.text()? != "off"
        && !(1..=65_535).contains(&entry.integer()?)
    {
        return Err(entry.error("a port from 1 to 65535 or off is expected"));
    }
    config.texts("bootstrap-dns").map(drop)
}

fn listen_tcp(config: &Config) -> Result<Option<SocketAddr>, ConfigError> {
    match config.last("listen-tcp") {
        None => Ok(Some(LISTEN_TCP.parse().expect("the default is an address"))),
        Some(entry) if entry.text()? == "off" => Ok(None),
        Some(entry) => socket_address(&entry, &["tcp://"]).map(Some),
    }
}

/// The only value as an IP address and port, with or without one of the prefixes.
fn socket_address(entry: &Entry<'_>, prefixes: &[&str]) -> Result<SocketAddr, ConfigError> {
    let text = entry.text()?;
    let bare = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(&text);
    bare.parse().map_err(|_| entry.error(r#"an address such as "0.0.0.0:10351" is expected"#))
}

fn rpc_socket(config: &Config) -> Result<Option<String>, ConfigError> {
    let Some(entry) = config.last("rpc") else { return Ok(None) };
    match entry.words()?.as_slice() {
        [kind, path] if kind == "unix" && !path.is_empty() => Ok(Some(path.to_string())),
        _ => Err(entry.error(r#"rpc unix "PATH" is expected"#)),
    }
}

fn addresses(config: &Config) -> Result<Vec<PeerAddr>, ConfigError> {
    let address = |entry: &Entry<'_>| {
        let text = entry.text()?;
        text.parse().map_err(|_| entry.error(r#"an address such as "tcp://1.2.3.4:10351" is expected"#))
    };
    config.all("known-peer").iter().map(address).collect()
}

fn poll(entry: &Entry<'_>) -> Result<Poll, ConfigError> {
    let form = || entry.error(r#"poll TYPE MINUTES "KEY" is expected"#);
    let [kind, minutes, key] = entry.values() else { return Err(form()) };
    let words = entry.words()?;
    Ok(Poll {
        kind: words[0].parse().map_err(|_| entry.error_at(kind, "reflog, lwwref or refchan is expected"))?,
        minutes: words[1]
            .parse()
            .ok()
            .filter(|minutes| (1..=POLL_MINUTES_MAX).contains(minutes))
            .and_then(|minutes| u64::try_from(minutes).ok())
            .ok_or_else(|| entry.error_at(minutes, "a number of minutes from 1 to a year is expected"))?,
        key: words[2]
            .parse()
            .map_err(|_| entry.error_at(key, "the public key of the reference is expected"))?,
    })
}

fn accept_announces(config: &Config) -> Result<AnnouncePolicy, ConfigError> {
    let entries = config.all("accept-block-announce");
    let mut peers = BTreeSet::new();
    for entry in &entries {
        match entry.text()?.as_ref() {
            "*" => return Ok(AnnouncePolicy::Everybody),
            word => peers.insert(peer_key(entry, word)?),
        };
    }
    Ok(AnnouncePolicy::Only(peers))
}

fn keys(config: &Config, name: &str) -> Result<BTreeSet<SignPublicKey>, ConfigError> {
    config.all(name).iter().map(|entry| peer_key(entry, &entry.text()?)).collect()
}

fn peer_key(entry: &Entry<'_>, word: &str) -> Result<SignPublicKey, ConfigError> {
    word.parse().map_err(|_| entry.error("the public key of a peer is expected"))
}

fn ping_interval(config: &Config) -> Result<Option<Duration>, ConfigError> {
    let Some(entry) = config.last("ping-interval") else { return Ok(None) };
    let seconds = entry.integer()?;
    match u64::try_from(seconds) {
        Ok(whole) if (PING_SECONDS_MIN..=PING_SECONDS_MAX).contains(&seconds) => {
            Ok(Some(Duration::from_secs(whole)))
        }
        _ => Err(entry.error(format!("seconds from {PING_SECONDS_MIN} to {PING_SECONDS_MAX} are expected"))),
    }
}

#[cfg(test)]
mod tests;
