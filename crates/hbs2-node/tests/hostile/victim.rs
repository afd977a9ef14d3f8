//! The daemon that is attacked, in a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hbs2_core::SignPublicKey;
use hbs2_node::{Options, Places};
use hbs2_rpc::api::Method;
use hbs2_rpc::api::node::{Bans, Conduct, PeerConduct, PeersWait, Status, TreeWait, WaitPeers, WaitTree};
use hbs2_rpc::client::Client;
use tempfile::TempDir;

use crate::kit::{PATIENCE, Person, counted, noise, tree_of, write_config};

/// Names the home of the victim to its process.
const HOME: &str = "HBS2_HOSTILE_HOME";

/// Bytes of each tree that the honest peer delivers.
const TREE_BYTES: usize = 24_000_000;

/// Memory that the victim may use, as its configuration says, in bytes.
const MEMORY_BYTES: u64 = 64 * 1024 * 1024;

/// What a daemon takes beside the memory that it divides: its program, threads, tables and index.
const BASE_BYTES: u64 = 64 * 1024 * 1024;

/// The victim's process: does nothing unless a test starts it as one. It ends when its stdin does.
#[test]
fn serves() {
    let Some(home) = std::env::var_os(HOME) else { return };
    let options =
        Options { places: Places::default(), config_dir: Some(PathBuf::from(home)), ..Options::default() };
    let daemon = hbs2_node::Daemon::start(options).unwrap();
    let about = daemon.about();
    println!("\nvictim {}", about.listen_tcp.unwrap());
    std::io::stdout().flush().unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    daemon.stop().unwrap();
}

/// The victim and an honest peer that it knows.
pub(crate) struct Victim {
    child: Child,
    _home: TempDir,
    client: Client,
    pub(crate) address: SocketAddr,
    pub(crate) alice: Person,
    trees: u64,
    /// How long the honest tree took when nobody attacked.
    calm: Duration,
    blocks: u64,
}

impl Victim {
    /// Starts both, with more lines in the victim's configuration, and measures a calm transfer.
    pub(crate) fn start(extra: &str) -> Self {
        let alice = Person::alone();
        let home = tempfile::tempdir().unwrap();
        write_config(&home, &[alice.address], &format!("memory-limit 64M\n{extra}"));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["victim::serves", "--exact", "--nocapture"])
            .env(HOME, home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let address = lines.find_map(|line| line.strip_prefix("victim ").map(str::to_owned)).unwrap();
        let client = Client::connect(&home.path().join("rpc.socket"), PATIENCE).unwrap();
        let mut victim = Self {
            child,
            client,
            address: address.parse().unwrap(),
            _home: home,
            alice,
            trees: 0,
            calm: Duration::ZERO,
            blocks: 0,
        };
        victim.wait_peers(1);
        victim.calm = victim.deliver();
        victim
    }

    /// Stores a new tree at the honest peer and lets the victim fetch it; how long that took.
    pub(crate) fn deliver(&mut self) -> Duration {
        self.trees += 1;
        let (root, blocks) = tree_of(&noise(1000 + self.trees, TREE_BYTES));
        self.blocks += blocks.len() as u64;
        self.alice.put(blocks);
        let begin = Instant::now();
        let wait = TreeWait { roots: vec![root], timeout_ms: 50_000, seen: None };
        let status = self.call::<WaitTree>(wait);
        assert!(status.complete, "the honest tree is not complete: {status:?} {:#?}", self.status());
        begin.elapsed()
    }

    pub(crate) fn call<M: Method>(&self, input: M::Input) -> M::Output {
        self.client.call::<M>(&input, PATIENCE).unwrap()
    }

    pub(crate) fn status(&self) -> Vec<String> {
        self.call::<Status>(())
    }

    pub(crate) fn counter(&self, name: &str) -> u64 {
        counted(&self.status(), name)
    }

    pub(crate) fn wait_peers(&self, count: u64) {
        let linked = self.call::<WaitPeers>(PeersWait { count, timeout_ms: 30_000 });
        assert!(linked >= count, "{linked} peers are linked, waited for {count}: {:#?}", self.status());
    }

    /// What is held against a peer.
    pub(crate) fn conduct(&self, key: &SignPublicKey) -> Option<PeerConduct> {
        self.call::<Conduct>(()).into_iter().find(|conduct| conduct.key == *key)
    }

    /// How often a peer did something.
    pub(crate) fn offences(&self, key: &SignPublicKey, name: &str) -> u64 {
        let offences = self.conduct(key).map(|conduct| conduct.offences).unwrap_or_default();
        offences.iter().find(|(offence, _)| offence == name).map_or(0, |(_, count)| *count)
    }

    /// Why a peer is banned, if it is.
    pub(crate) fn ban(&self, key: &SignPublicKey) -> Option<String> {
        self.call::<Bans>(()).into_iter().find(|ban| ban.key == *key).map(|ban| ban.reason)
    }

    /// Waits until something of the victim's state holds.
    pub(crate) fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        while !holds(self) {
            assert!(begin.elapsed() < PATIENCE, "still not: {what}; {:#?}", self.status());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Blocks in the victim's store.
    pub(crate) fn stored(&self) -> u64 {
        let lines = self.status();
        let blocks =
            lines.iter().find_map(|line| line.strip_prefix("blocks ")?.split(' ').next()?.parse().ok());
        blocks.unwrap()
    }

    /// Largest resident memory of the victim so far, in bytes.
    fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(Path::new(&path)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Delivers another honest tree while the attack goes on, and holds the victim to its limits: time, memory, and
    /// blocks on disk beside the honest ones.
    pub(crate) fn hold(&mut self, attack: &str, stored_more_max: u64) {
        let took = self.deliver();
        let (memory, more) = (self.memory(), self.stored() - self.blocks);
        println!(
            "{attack}: honest tree of {} MB in {} ms, {} ms in calm; memory {} MiB at most; {more} blocks more on disk",
            TREE_BYTES / 1_000_000,
            took.as_millis(),
            self.calm.as_millis(),
            memory >> 20,
        );
        self.hold_time(took);
        assert!(memory < MEMORY_BYTES + BASE_BYTES, "{} MiB", memory >> 20);
        assert!(more <= stored_more_max, "{more} blocks were stored that are not of the honest trees");
    }

    /// Lets another honest peer fetch a tree from the victim while the attack goes on, and holds the victim to the same
    /// time.
    pub(crate) fn hold_serving(&self, attack: &str) {
        let bob = Person::start(&[self.address], "");
        bob.wait_peers(1);
        let (root, _) = tree_of(&noise(1001, TREE_BYTES));
        let begin = Instant::now();
        bob.fetch(&[root]);
        let took = begin.elapsed();
        println!("{attack}: honest tree served in {} ms", took.as_millis());
        self.hold_time(took);
    }

    fn hold_time(&self, took: Duration) {
        let bound = 10 * self.calm + Duration::from_secs(5);
        assert!(took < bound, "the honest transfer took {took:?}, {:?} in calm", self.calm);
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // The process ends when its stdin does.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
