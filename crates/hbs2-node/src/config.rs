//! The daemon's configuration (spec: cli 4.2).
//!
//! A directory with the file `config`: one setting a line, values quoted or not, relative paths relative to the
//! directory. What is wrong in it is an error that shows file, line and place; keys that this program does not
//! know are ignored. [`init`] makes a configuration and a key where there are none; nothing else writes here,
//! and an existing file is never overwritten.

mod changes;
mod chans;
mod http;
mod init;
mod limits;
mod peer_key;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hbs2_core::SignPublicKey;
use hbs2_core::addr::PeerAddr;
use hbs2_proto::io::NoticeRule;
use hbs2_proto::{AnnouncePolicy, Poll};
use hbs2_script::{Config, ConfigError, Entry};

pub use changes::{Change, Needs, changes};
pub(crate) use init::KEY_FILE;
pub use init::{InitError, Made, init};
pub use peer_key::{KeyError, read_key};

use crate::Places;

/// Name of the configuration file in its directory.
pub const CONFIG_FILE: &str = "config";

/// Where we listen for TCP when nothing is configured.
pub const LISTEN_TCP: &str = "0.0.0.0:10351";

/// Where we listen for UDP when nothing is configured.
pub const LISTEN_UDP: &str = "0.0.0.0:7351";

/// Shortest time between pings that can be configured, in seconds. A ping is a hundred bytes; more often than
/// this tells nothing new.
const PING_SECONDS_MIN: i128 = 1;

/// Longest time between pings that can be configured, in seconds. A peer is given up after 67 silent seconds.
const PING_SECONDS_MAX: i128 = 60;

/// Limits of the time after which a peer is asked again what it tells about itself, in seconds: a question a second
/// tells nothing new, and after a day it is as good as never.
const PROBE_SECONDS_MIN: i128 = 10;
const PROBE_SECONDS_MAX: i128 = 24 * 3600;

/// The bootstrap domain of the network.
const BOOTSTRAP_DOMAIN: &str = "bootstrap.hbs2.net";

/// Bootstrap domains, at most. Each is asked every five minutes.
const BOOTSTRAP_DOMAINS_MAX: usize = 16;

/// Longest name of a domain, in bytes, as the domain name system has it.
const DOMAIN_BYTES_MAX: usize = 253;

/// Longest interval of a poll that can be configured, in minutes: a year.
const POLL_MINUTES_MAX: i128 = 366 * 24 * 60;

/// Keys that have a meaning for the original or for a part that is not built yet. They are read over in silence;
/// any other unknown key is worth a line in the log.
const RECOGNISED_KEYS: [&str; 8] = [
    "brains",
    "brains-db",
    "download-log",
    "download-threads",
    "hbs2:mailbox:dir",
    "http-download",
    "state-dir",
    "tcp.socks5",
];

/// Keys that work.
const KEYS: [&str; 32] = [
    "accept-block-announce",
    "blacklist",
    "bootstrap-dns",
    "bypass",
    "debug",
    "downloads-del-on-start",
    "http-listen",
    "http-port",
    "http-token-file",
    "key",
    "known-peer",
    "known-peers-file",
    "limit-download",
    "limit-peers",
    "limit-peers-per-address",
    "limit-upload",
    "listen",
    "listen-tcp",
    "memory-limit",
    "multicast",
    "notify",
    "ping-interval",
    "poll",
    "proxy-fetch-for",
    "refchan-notify-log",
    "rpc",
    "storage",
    "tcp-probe-wait",
    "trace",
    "trace1",
    "validate",
    "whitelist",
];

/// What the configuration says.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The directory it was read from.
    pub dir: PathBuf,
    /// `listen-tcp`: where to listen for TCP; `None` when off.
    pub listen_tcp: Option<SocketAddr>,
    /// `listen`: where to listen for UDP; `None` when off.
    pub listen_udp: Option<SocketAddr>,
    /// `key`, or else `default.key` if it is there: the file of the peer key, which only the daemon needs.
    pub key: Option<PathBuf>,
    /// `storage`: the directory of blocks and references.
    pub storage: Option<PathBuf>,
    /// `rpc unix`: the socket for clients.
    pub rpc_socket: Option<PathBuf>,
    /// `http-port` and `http-listen`: where HTTP is served; `None` when off.
    pub http: Option<SocketAddr>,
    /// `http-token-file`: the file of the token with which clients may write over HTTP.
    pub http_token: Option<PathBuf>,
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
    /// `bootstrap-dns`: domains that list addresses of peers.
    pub bootstrap: BTreeSet<String>,
    /// `multicast`: whether peers on the local network are looked for.
    pub multicast: bool,
    /// `proxy-fetch-for`: peers for which we fetch what they ask us for in vain.
    pub proxy_fetch_for: BTreeSet<SignPublicKey>,
    /// `tcp-probe-wait`: time after which a peer is asked again what it tells about itself.
    pub probe_wait: Option<Duration>,
    /// `bypass`: whether packets are sealed for peers that can open them.
    pub bypass: bool,
    /// `ping-interval`: time between pings.
    pub ping_interval: Option<Duration>,
    /// `limit-upload`: bytes sent in a second, at most.
    pub upload: Option<u64>,
    /// `limit-download`: bytes received in a second, at most.
    pub download: Option<u64>,
    /// `limit-peers`: connections, at most.
    pub peers_max: Option<usize>,
    /// `limit-peers-per-address`: connections that may come from one address, at most.
    pub peers_per_address_max: Option<usize>,
    /// `memory-limit`: bytes of memory that the daemon may use.
    pub memory: Option<usize>,
    /// `debug`: log more.
    pub debug: bool,
    /// `trace` or `trace1`: log everything.
    pub trace: bool,
    /// `downloads-del-on-start`: forget unfinished downloads.
    pub downloads_del_on_start: bool,
    /// `validate`: sockets of the programs that judge proposals, by refchan.
    pub validators: BTreeMap<SignPublicKey, PathBuf>,
    /// `notify`: sockets of the programs that get notices, by refchan.
    pub notify_clients: BTreeMap<SignPublicKey, PathBuf>,
    /// `refchan-notify-log`: refchans whose last notices are kept in a list.
    pub notice_logs: BTreeMap<SignPublicKey, NoticeRule>,
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
    /// A file cannot be read or understood.
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
        let path = |written: &str| places.resolve(dir, written);
        let sockets = |name: &str| -> Result<BTreeMap<SignPublicKey, PathBuf>, ConfigError> {
            let found = chans::companions(&config, name)?;
            Ok(found.into_iter().map(|(chan, written)| (chan, path(&written))).collect())
        };
        let mut known_peers = addresses(&config)?;
        for more in config.texts("known-peers-file")? {
            known_peers.extend(addresses(&read_config(&path(&more))?)?);
        }
        let default_key = dir.join(KEY_FILE);
        let key = match config.text("key")? {
            Some(written) => Some(path(&written)),
            None => default_key.exists().then_some(default_key),
        };
        Ok(Self {
            dir: dir.to_owned(),
            listen_tcp: listen(&config, "listen-tcp", "tcp://", LISTEN_TCP)?,
            listen_udp: listen(&config, "listen", "udp://", LISTEN_UDP)?,
            key,
            storage: config.text("storage")?.map(|written| path(&written)),
            rpc_socket: rpc_socket(&config)?.map(|written| path(&written)),
            http: http::listen(&config)?,
            http_token: config.text("http-token-file")?.map(|written| path(&written)),
            known_peers,
            polls: config.all("poll").iter().map(poll).collect::<Result<_, _>>()?,
            accept_announces: accept_announces(&config)?,
            blacklist: keys(&config, "blacklist")?,
            whitelist: keys(&config, "whitelist")?,
            bootstrap: bootstrap(&config)?,
            multicast: config.switch("multicast").unwrap_or(true),
            proxy_fetch_for: keys(&config, "proxy-fetch-for")?,
            probe_wait: seconds(&config, "tcp-probe-wait", PROBE_SECONDS_MIN, PROBE_SECONDS_MAX)?,
            bypass: config.switch("bypass").unwrap_or(true),
            ping_interval: seconds(&config, "ping-interval", PING_SECONDS_MIN, PING_SECONDS_MAX)?,
            upload: limits::rate(&config, "limit-upload")?,
            download: limits::rate(&config, "limit-download")?,
            peers_max: limits::count(&config, "limit-peers", limits::PEERS_MIN, limits::PEERS_MAX)?,
            peers_per_address_max: limits::count(&config, "limit-peers-per-address", 1, limits::PEERS_MAX)?,
            memory: limits::memory(&config, "memory-limit")?,
            debug: config.switch("debug").unwrap_or_default(),
            trace: config.switch("trace").unwrap_or_default() || config.switch("trace1").unwrap_or_default(),
            downloads_del_on_start: config.switch("downloads-del-on-start").unwrap_or_default(),
            validators: sockets("validate")?,
            notify_clients: sockets("notify")?,
            notice_logs: chans::notice_logs(&config)?,
        })
    }
}

fn read_config(path: &Path) -> Result<Config, SettingsError> {
    let read = |source| SettingsError::Read { path: path.to_owned(), source };
    let text = fs::read_to_string(path).map_err(read)?;
    Ok(Config::parse(path.display().to_string(), text)?)
}

/// The address of a setting, with or without the prefix of its transport; `None` when off.
fn listen(
    config: &Config,
    key: &str,
    prefix: &str,
    default: &str,
) -> Result<Option<SocketAddr>, ConfigError> {
    let Some(entry) = config.last(key) else {
        return Ok(Some(default.parse().expect("the default is an address")));
    };
    let text = entry.text()?;
    if text == "off" {
        return Ok(None);
    }
    let bare = text.strip_prefix(prefix).unwrap_or(&text);
    let address =
        bare.parse().map_err(|_| entry.error(format!("an address such as \"{default}\" is expected")));
    address.map(Some)
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

/// The bootstrap domains: the network's own and those that are listed; none when one of the lines says `off`.
fn bootstrap(config: &Config) -> Result<BTreeSet<String>, ConfigError> {
    let mut domains = BTreeSet::from([BOOTSTRAP_DOMAIN.to_owned()]);
    for entry in config.all("bootstrap-dns") {
        let text = entry.text()?;
        if text == "off" {
            return Ok(BTreeSet::new());
        }
        if domains.len() >= BOOTSTRAP_DOMAINS_MAX {
            return Err(entry.error(format!("at most {BOOTSTRAP_DOMAINS_MAX} domains are asked")));
        }
        if !is_domain(&text) {
            return Err(entry.error(r#"the name of a domain such as "bootstrap.hbs2.net" is expected"#));
        }
        domains.insert(text.into_owned());
    }
    Ok(domains)
}

fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    };
    text.len() <= DOMAIN_BYTES_MAX && text.trim_end_matches('.').split('.').all(label)
}

fn seconds(config: &Config, key: &str, min: i128, max: i128) -> Result<Option<Duration>, ConfigError> {
    let Some(entry) = config.last(key) else { return Ok(None) };
    let seconds = entry.integer()?;
    match u64::try_from(seconds) {
        Ok(whole) if (min..=max).contains(&seconds) => Ok(Some(Duration::from_secs(whole))),
        _ => Err(entry.error(format!("seconds from {min} to {max} are expected"))),
    }
}

#[cfg(test)]
mod tests;
