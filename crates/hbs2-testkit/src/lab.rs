//! A network of our own: hosts in namespaces, on one bridge, with partitions, slow lines and NAT.
//!
//! A [`Lab`] has a bridge; a [`Host`] is a namespace with an interface on it, into which a daemon is started by
//! [`Daemon::start_inside`](crate::Daemon::start_inside). Nothing of the machine's own network is touched. Client programs talk to their daemons by unix
//! sockets, for which namespaces mean nothing, so they are called as always.
//!
//! Namespaces need root and the programs `ip`, `tc` (iproute2) and `nft` (nftables): [`Lab::new`] says why there is no lab. A lab ends the
//! processes in its namespaces and removes them when it is dropped, also when its test fails; what a killed test left
//! behind is removed by the next lab.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Call, KitError};

/// What the names of our namespaces begin with.
const PREFIX: &str = "hbs2lab";

/// What a router does with packets that leave it towards the bridge: its own address and any port, so that nobody takes
/// them for where the hidden host listens.
const MASQUERADE: &str = "table ip nat {
    chain out {
        type nat hook postrouting priority srcnat;
        oifname \"eth0\" masquerade random
    }
}
";

/// Labs that this process has made.
static LABS: AtomicU32 = AtomicU32::new(0);

/// A bridge and what hangs on it.
#[derive(Debug)]
pub struct Lab {
    /// What the names of its namespaces begin with.
    prefix: String,
    /// The namespace of the bridge.
    bridge: String,
    hosts: u8,
}

/// A host of a lab.
#[derive(Debug, Clone)]
pub struct Host {
    namespace: String,
    /// The other end of its line: on the bridge, or at its router.
    port: (String, String),
    ip: Ipv4Addr,
}

impl Lab {
    /// A new lab; nothing, and the reason on stderr, when this machine or user can have none.
    ///
    /// # Errors
    /// It can be begun and not finished.
    pub fn new() -> Result<Option<Self>, KitError> {
        sweep();
        let prefix = format!("{PREFIX}-{}-{}", std::process::id(), LABS.fetch_add(1, Ordering::Relaxed));
        let lab = Self { bridge: format!("{prefix}-net"), prefix, hosts: 0 };
        if let Err(reason) = lab.begin() {
            eprintln!("skipped: no network namespaces here: {reason}");
            return Ok(None);
        }
        Ok(Some(lab))
    }

    /// Makes the bridge, and tries there what hosts and routers will need.
    fn begin(&self) -> Result<(), KitError> {
        Call::new("tc").arg("-Version").ok()?;
        ip(&format!("netns add {}", self.bridge))?;
        ip(&format!("-n {} link add br0 type bridge", self.bridge))?;
        ip(&format!("-n {} link set br0 up", self.bridge))?;
        route(&self.bridge)
    }

    /// A new host on the bridge.
    ///
    /// # Errors
    /// The system refuses.
    pub fn host(&mut self, name: &str) -> Result<Host, KitError> {
        self.hosts += 1;
        let address = Ipv4Addr::new(10, 77, 0, self.hosts);
        let port = format!("port{}", self.hosts);
        let host = self.raise(name, address, &self.bridge.clone(), &port)?;
        ip(&format!("-n {} link set {port} master br0 up", self.bridge))?;
        Ok(host)
    }

    /// A new host behind a router of its own, which has an address on the bridge and hides the host's.
    ///
    /// # Errors
    /// The system refuses.
    pub fn hidden_host(&mut self, name: &str) -> Result<Host, KitError> {
        let router = self.host(&format!("{name}-nat"))?;
        let inside = router.namespace.clone();
        let host = self.raise(name, Ipv4Addr::new(192, 168, 77, 2), &inside, "inner")?;
        ip(&format!("-n {inside} addr add 192.168.77.1/24 dev inner"))?;
        ip(&format!("-n {inside} link set inner up"))?;
        ip(&format!("-n {} route replace default via 192.168.77.1", host.namespace))?;
        route(&inside)?;
        Ok(host)
    }

    /// A namespace with an interface whose other end is `port` in the namespace `beside`.
    fn raise(&self, name: &str, address: Ipv4Addr, beside: &str, port: &str) -> Result<Host, KitError> {
        let namespace = format!("{}-{name}", self.prefix);
        ip(&format!("netns add {namespace}"))?;
        ip(&format!("-n {beside} link add {port} type veth peer name eth0 netns {namespace}"))?;
        ip(&format!("-n {namespace} link set lo up"))?;
        ip(&format!("-n {namespace} addr add {address}/24 dev eth0"))?;
        ip(&format!("-n {namespace} link set eth0 up"))?;
        // Also for the multicast group.
        ip(&format!("-n {namespace} route add default dev eth0"))?;
        Ok(Host { namespace, port: (beside.to_owned(), port.to_owned()), ip: address })
    }

    /// Takes a host off the bridge, or puts it there again. Nobody is told: what is sent gets lost.
    ///
    /// # Errors
    /// The system refuses.
    pub fn part(&self, host: &Host) -> Result<(), KitError> {
        ip(&format!("-n {} link set {} nomaster", host.port.0, host.port.1))
    }

    /// Puts a host on the bridge again.
    ///
    /// # Errors
    /// The system refuses.
    pub fn heal(&self, host: &Host) -> Result<(), KitError> {
        ip(&format!("-n {} link set {} master br0", host.port.0, host.port.1))
    }
}

/// Lets a namespace pass packets on, as a router that hides who is behind it.
fn route(namespace: &str) -> Result<(), KitError> {
    let within = |program: &[&str]| Call::new("ip").args(["netns", "exec", namespace]).args(program);
    within(&["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]).ok()?;
    within(&["nft", "-f", "-"]).stdin(MASQUERADE).ok()?;
    Ok(())
}

impl Host {
    /// Its address on its network.
    #[must_use]
    pub fn ip(&self) -> Ipv4Addr {
        self.ip
    }

    /// Where its daemon listens, on both carriers.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (self.ip, 7351).into()
    }

    /// The name of its namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Limits what the host receives, in bytes per second.
    ///
    /// # Errors
    /// The system refuses.
    pub fn limit(&self, bytes_per_second: u64) -> Result<(), KitError> {
        let (namespace, port) = &self.port;
        let line = format!(
            "-n {namespace} qdisc replace dev {port} root tbf rate {}bit burst 256kb latency 50ms",
            bytes_per_second * 8
        );
        Call::new("tc").args(line.split(' ')).ok().map(drop)
    }

    /// Bytes that a process of this host's network has received, with all headers.
    ///
    /// # Errors
    /// There is no such process.
    pub fn received_bytes(&self, pid: u32) -> Result<u64, KitError> {
        let path = Path::new("/proc").join(pid.to_string()).join("net/dev");
        let text = fs::read_to_string(&path).map_err(KitError::io("cannot read", path.as_path()))?;
        let line = text.lines().find_map(|line| line.trim().strip_prefix("eth0:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).ok_or_else(|| {
            KitError::Unexpected { what: "no interface eth0".to_owned(), place: path.display().to_string() }
        })
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        remove(|name| name.starts_with(&format!("{}-", self.prefix)));
    }
}

/// Calls `ip` with these words.
fn ip(words: &str) -> Result<(), KitError> {
    Call::new("ip").args(words.split(' ')).ok().map(drop)
}

/// Removes what labs of processes that are gone have left behind.
fn sweep() {
    remove(|name| {
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').nth(1));
        pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists())
    });
}

/// Ends the processes in these namespaces, and removes them.
fn remove(ours: impl Fn(&str) -> bool) {
    let said = |words: &[&str]| Call::new("ip").args(words).run().map(|done| done.text()).unwrap_or_default();
    for name in said(&["netns", "list"]).lines().filter_map(|line| line.split_whitespace().next()) {
        if !ours(name) {
            continue;
        }
        for pid in said(&["netns", "pids", name]).lines().filter_map(|pid| pid.trim().parse().ok()) {
            if let Some(pid) = Pid::from_raw(pid) {
                kill_process(pid, Signal::KILL).ok();
            }
        }
        Call::new("ip").args(["netns", "del", name]).run().ok();
    }
}
