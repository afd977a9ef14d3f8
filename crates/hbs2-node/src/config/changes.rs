//! What differs between two readings of the configuration, for people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Display};
use std::path::PathBuf;

use hbs2_core::SignPublicKey;
use hbs2_proto::AnnouncePolicy;

use super::Settings;

/// What a change needs to take effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it holds at once.
    Nothing,
    /// Another start of the daemon.
    Restart,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// As the configuration would say it: `blacklist KEY added`.
    pub text: String,
    /// What it needs.
    pub needs: Needs,
}

/// The differences between two settings, in the order of their names.
#[must_use]
pub fn changes(old: &Settings, new: &Settings) -> Vec<Change> {
    let mut found = Found::default();
    let (before, after) = (announces(&old.accept_announces), announces(&new.accept_announces));
    found.set("accept-block-announce", &before, &after);
    found.set("blacklist", &texts(&old.blacklist), &texts(&new.blacklist));
    found.set("bootstrap-dns", &old.bootstrap, &new.bootstrap);
    found.value("bypass", on(old.bypass), on(new.bypass));
    found.value("debug", on(old.debug), on(new.debug));
    found.fixed("http-listen or http-port", &old.http, &new.http);
    found.fixed("http-token-file", &old.http_token, &new.http_token);
    found.fixed("key", &old.key, &new.key);
    let addresses = |settings: &Settings| settings.known_peers.iter().map(ToString::to_string).collect();
    found.set("known-peer", &addresses(old), &addresses(new));
    found.value("limit-download", rate(old.download), rate(new.download));
    found.value("limit-peers", number(old.peers_max), number(new.peers_max));
    let per_address = |settings: &Settings| number(settings.peers_per_address_max);
    found.value("limit-peers-per-address", per_address(old), per_address(new));
    found.value("limit-upload", rate(old.upload), rate(new.upload));
    found.fixed("listen", &old.listen_udp, &new.listen_udp);
    found.fixed("listen-tcp", &old.listen_tcp, &new.listen_tcp);
    found.value("memory-limit", number(old.memory), number(new.memory));
    found.fixed("multicast", &on(old.multicast), &on(new.multicast));
    found.value("ping-interval", seconds(old.ping_interval), seconds(new.ping_interval));
    let polls = |settings: &Settings| -> BTreeSet<String> {
        settings.polls.iter().map(|poll| format!("{} {} {}", poll.kind, poll.minutes, poll.key)).collect()
    };
    let (before, after) = (sockets(&old.notify_clients), sockets(&new.notify_clients));
    found.set("notify", &before, &after);
    found.set("poll", &polls(old), &polls(new));
    found.set("proxy-fetch-for", &texts(&old.proxy_fetch_for), &texts(&new.proxy_fetch_for));
    found.set("refchan-notify-log", &notice_logs(old), &notice_logs(new));
    found.fixed("rpc", &old.rpc_socket, &new.rpc_socket);
    found.fixed("storage", &old.storage, &new.storage);
    found.value("tcp-probe-wait", seconds(old.probe_wait), seconds(new.probe_wait));
    found.value("trace", on(old.trace), on(new.trace));
    found.set("validate", &sockets(&old.validators), &sockets(&new.validators));
    found.set("whitelist", &texts(&old.whitelist), &texts(&new.whitelist));
    found.changes.sort_by(|a, b| a.text.cmp(&b.text));
    found.changes
}

#[derive(Default)]
struct Found {
    changes: Vec<Change>,
}

impl Found {
    fn add(&mut self, text: String, needs: Needs) {
        self.changes.push(Change { text, needs });
    }

    /// A setting that may stand several times.
    fn set(&mut self, key: &str, old: &BTreeSet<String>, new: &BTreeSet<String>) {
        for value in new.difference(old) {
            self.add(format!("{key} {value} added"), Needs::Nothing);
        }
        for value in old.difference(new) {
            self.add(format!("{key} {value} removed"), Needs::Nothing);
        }
    }

    fn value<T: PartialEq + Display>(&mut self, key: &str, old: T, new: T) {
        if old != new {
            self.add(format!("{key} {new}, was {old}"), Needs::Nothing);
        }
    }

    /// A setting that holds from start to end.
    fn fixed<T: PartialEq + Debug>(&mut self, key: &str, old: &T, new: &T) {
        if old != new {
            self.add(format!("{key} changed"), Needs::Restart);
        }
    }
}

fn on(switch: bool) -> &'static str {
    if switch { "on" } else { "off" }
}

fn rate(limit: Option<u64>) -> String {
    limit.map_or_else(|| "off".to_owned(), |limit| limit.to_string())
}

fn number(limit: Option<usize>) -> String {
    limit.map_or_else(|| "as usual".to_owned(), |limit| limit.to_string())
}

fn seconds(time: Option<std::time::Duration>) -> String {
    time.map_or_else(|| "as usual".to_owned(), |time| time.as_secs().to_string())
}

fn texts(keys: &BTreeSet<SignPublicKey>) -> BTreeSet<String> {
    keys.iter().map(ToString::to_string).collect()
}

fn sockets(companions: &BTreeMap<SignPublicKey, PathBuf>) -> BTreeSet<String> {
    let line = |(chan, socket): (&SignPublicKey, &PathBuf)| format!("refchan {chan} at {}", socket.display());
    companions.iter().map(line).collect()
}

fn notice_logs(settings: &Settings) -> BTreeSet<String> {
    let rules = settings.notice_logs.iter();
    let line = rules
        .map(|(chan, rule)| format!("{chan} (write-time {}) (trim {})", rule.write.as_secs(), rule.keep));
    line.collect()
}

fn announces(policy: &AnnouncePolicy) -> BTreeSet<String> {
    match policy {
        AnnouncePolicy::Everybody => BTreeSet::from(["*".to_owned()]),
        AnnouncePolicy::Only(peers) => texts(peers),
    }
}
