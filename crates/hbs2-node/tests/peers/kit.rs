//! A daemon in a home of its own, and a client of it.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hbs2_core::tree::Shape;
use hbs2_core::tree::build::{build, build_data};
use hbs2_core::{Hash, SignPublicKey};
use hbs2_node::{Daemon, Options, Places, RunError};
use hbs2_rpc::api::Method;
use hbs2_rpc::api::node::{
    Event, EventsWait, PeersWait, Status, TreeStatus, TreeWait, WaitEvents, WaitPeers, WaitTree,
};
use hbs2_rpc::bulk::Upload;
use hbs2_rpc::client::Client;
use tempfile::TempDir;

/// Longest wait for anything in these tests. What they wait for takes milliseconds on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A person with a daemon.
pub(crate) struct Person {
    pub(crate) home: TempDir,
    daemon: Option<Daemon>,
    client: Option<Client>,
    /// Where the daemon listens for TCP, also after a restart.
    pub(crate) address: SocketAddr,
    udp: Option<SocketAddr>,
    pub(crate) key: SignPublicKey,
}

impl Person {
    /// A daemon that knows `known` and has `extra` in its configuration.
    pub(crate) fn start(known: &[SocketAddr], extra: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        write_config(&home, known, extra);
        let daemon = Daemon::start(options(&home, None)).unwrap();
        let about = daemon.about();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let (address, udp, key) = (about.listen_tcp.unwrap_or(nowhere), about.listen_udp, about.key);
        let mut person = Self { home, daemon: Some(daemon), client: None, address, udp, key };
        person.connect();
        person
    }

    /// A daemon that knows nobody and has nothing special.
    pub(crate) fn alone() -> Self {
        Self::start(&[], "")
    }

    /// Writes another configuration, for the next start.
    pub(crate) fn configure(&self, known: &[SocketAddr], extra: &str) {
        write_config(&self.home, known, extra);
    }

    pub(crate) fn stop(&mut self) {
        self.client = None;
        self.daemon.take().unwrap().stop().unwrap();
    }

    /// Starts the stopped daemon again, at the same address.
    pub(crate) fn start_again(&mut self) {
        let listen_tcp = self.udp.is_none().then_some(self.address);
        let options = Options { listen_udp: self.udp, ..options(&self.home, listen_tcp) };
        self.daemon = Some(Daemon::start(options).unwrap());
        self.connect();
    }

    pub(crate) fn options(&self) -> Options {
        options(&self.home, None)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.home.path().join("rpc.socket")
    }

    /// Where the daemon listens for UDP.
    pub(crate) fn udp(&self) -> SocketAddr {
        self.udp.unwrap()
    }

    fn connect(&mut self) {
        self.client = Some(Client::connect(&self.socket(), PATIENCE).unwrap());
    }

    pub(crate) fn client(&self) -> &Client {
        self.client.as_ref().unwrap()
    }

    pub(crate) fn call<M: Method>(&self, input: M::Input) -> M::Output {
        self.client().call::<M>(&input, PATIENCE).unwrap()
    }

    /// Waits until so many peers are linked.
    pub(crate) fn wait_peers(&self, count: u64) {
        let linked = self.call::<WaitPeers>(PeersWait { count, timeout_ms: 30_000 });
        assert!(linked >= count, "{linked} peers are linked, waited for {count}: {:#?}", self.status());
    }

    /// Waits until no more than so many peers are linked.
    pub(crate) fn wait_fewer_peers(&self, count: u64) {
        let begin = Instant::now();
        loop {
            let cursor = self.cursor();
            if self.call::<WaitPeers>(PeersWait { count: 0, timeout_ms: 0 }) <= count {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "peers stay linked: {:#?}", self.status());
            self.call::<WaitEvents>(EventsWait { after: Some(cursor), timeout_ms: 30_000 });
        }
    }

    /// The cursor of who has seen all events.
    pub(crate) fn cursor(&self) -> u64 {
        self.call::<WaitEvents>(EventsWait { after: None, timeout_ms: 0 }).cursor
    }

    /// Waits until the event comes that was not there at `cursor`.
    pub(crate) fn wait_event(&self, mut cursor: u64, event: &Event) {
        let begin = Instant::now();
        loop {
            let news = self.call::<WaitEvents>(EventsWait { after: Some(cursor), timeout_ms: 30_000 });
            if news.events.contains(event) {
                return;
            }
            cursor = news.cursor;
            assert!(begin.elapsed() < PATIENCE, "no {event:?}: {:#?}", self.status());
        }
    }

    pub(crate) fn status(&self) -> Vec<String> {
        self.call::<Status>(())
    }

    /// The counter of that name in the status.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        counted(&self.status(), name)
    }

    /// Waits for trees; fails with what is missing.
    pub(crate) fn fetch(&self, roots: &[Hash]) -> TreeStatus {
        let status = self.fetch_for(roots, 50_000);
        assert!(status.complete, "not complete: {status:?} {:#?}", self.status());
        status
    }

    /// Waits for trees for at most so many milliseconds.
    pub(crate) fn fetch_for(&self, roots: &[Hash], timeout_ms: u64) -> TreeStatus {
        self.call::<WaitTree>(TreeWait { roots: roots.to_vec(), timeout_ms, seen: None })
    }

    pub(crate) fn put(&self, blocks: impl IntoIterator<Item = Bytes>) {
        let mut upload = Upload::new(self.client(), PATIENCE);
        for block in blocks {
            upload.put(block).unwrap();
        }
        upload.finish().unwrap();
    }
}

pub(crate) fn write_config(home: &TempDir, known: &[SocketAddr], extra: &str) {
    let config = home.path().join("config");
    if !config.exists() {
        hbs2_node::config::init(home.path()).unwrap();
    }
    let mut text =
        "listen off\nbootstrap-dns off\nlisten-tcp \"127.0.0.1:0\"\nstorage \"./storage\"\nrpc unix \"./rpc.socket\"\n"
            .to_owned();
    for address in known {
        text += &format!("known-peer \"tcp://{address}\"\n");
    }
    fs::write(config, text + extra).unwrap();
}

fn options(home: &TempDir, listen_tcp: Option<SocketAddr>) -> Options {
    Options {
        places: Places::default(),
        config_dir: Some(home.path().to_owned()),
        listen_tcp,
        ..Options::default()
    }
}

/// Expects a daemon that does not start.
pub(crate) fn start_error(options: Options) -> RunError {
    match Daemon::start(options) {
        Err(error) => error,
        Ok(_) => panic!("the daemon starts"),
    }
}

/// The counter of that name among the lines of a status.
pub(crate) fn counted(status: &[String], name: &str) -> u64 {
    let value = status.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().unwrap())
}

/// Bytes that do not repeat, different for each seed.
pub(crate) fn noise(seed: u64, bytes: usize) -> Bytes {
    hbs2_testkit::noise(seed, bytes).into()
}

/// The blocks of the tree of `data`, and its root.
pub(crate) fn tree_of(data: &Bytes) -> (Hash, Vec<Bytes>) {
    let mut blocks = Vec::new();
    let root = build_data(data, |_, block| blocks.push(block));
    (root, blocks)
}

/// The tree that lists `hashes`.
pub(crate) fn tree_above(hashes: &[Hash]) -> (Hash, Vec<Bytes>) {
    let mut blocks = Vec::new();
    let root = build(Shape::DATA, hashes, |_, block| blocks.push(block));
    (root, blocks)
}
