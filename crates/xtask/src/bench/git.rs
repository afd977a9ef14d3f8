//! Git through two of our peers, beside git through `git daemon` on loopback.
//!
//! All sides of the comparison – ours, ours encrypted, git's own – push the same work tree and clone it with a checkout;
//! they take turns in going first. Each round has homes, peers and repositories of its own, because a store that has the blocks already is
//! no measure.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufWriter, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::{Decode, Hash, inspect};
use hbs2_rpc::Client;
use hbs2_rpc::api::node::{BULK_BLOCKS_MAX, GetMany};
use hbs2_testkit::history::History;
use hbs2_testkit::{GroupFile, Home, Remote, Repo, Running, encryption_key, free_address};

use super::figures::{Bar, Row, median};
use super::{DEADLINE_SECONDS, World, bounded, peak_mib};
use crate::build;

/// Small pushes in each round.
const SMALL_PUSHES: usize = 3;

/// Questions without news in each round.
const QUESTIONS: usize = 5;

/// The branch of the history, as `git init` takes it.
const BRANCH: &str = "--initial-branch=master";

/// How long `git daemon` serves at most, in seconds: longer than any run.
const SERVE_SECONDS: u64 = 3600;

/// What one side did in all rounds, in seconds.
#[derive(Default)]
struct Times {
    /// Names the side's clones.
    side: &'static str,
    push: Vec<f64>,
    clone: Vec<f64>,
    commit: Vec<f64>,
    seen: Vec<f64>,
    ls_remote: Vec<f64>,
    no_op: Vec<f64>,
}

pub(crate) fn run(world: &World) -> Result<Vec<Row>> {
    let source = source(world)?;
    let plain_home = world.home("git-plain")?;
    let served = Served::start(&plain_home)?;
    let [mut ours, mut sealed, mut plain] = ["open", "sealed", "plain"].map(Times::of);
    let [mut ratios, mut memory] = [const { Vec::new() }; 2];
    let mut commits = String::new();
    for round in 0..world.rounds {
        let [(alice, has), (bob, wants)] = world.pair(&format!("git-{round}"))?;
        bounded(alice.call("git").args(["clone", "--quiet", "--no-local"]).arg(&source).arg("work")).ok()?;
        let work = Repo::open(&alice, "work");
        commits = work.git("rev-list --count --all").ok()?.text();
        let remote = work.publish()?;
        let pack_bytes = packed_bytes(&work)?;
        let closed = encrypted(&alice, &bob, &work)?;
        let (git_url, git_home) = (served.new_repository(round)?, &plain_home);
        for turn in round..round + 3 {
            match turn % 3 {
                0 => side(&work, &remote.name, &remote.url, &bob, &mut ours)?,
                1 => side(&work, &git_url, &git_url, git_home, &mut plain)?,
                _ => side(&work, &closed.name, &closed.url, &bob, &mut sealed)?,
            }
        }
        ratios.push(stored_bytes(&bob, &work, &remote.name)? as f64 / pack_bytes as f64);
        memory.push(peak_mib(&has)?.max(peak_mib(&wants)?));
    }
    let row = |what: &str, of: fn(&Times) -> &Vec<f64>, bar| {
        Row::new(what, median(of(&ours)), "s", bar).beside("git://", median(of(&plain)))
    };
    let encrypted = |what: &str, of: fn(&Times) -> &Vec<f64>, bar| {
        Row::new(what, median(of(&sealed)), "s", bar).beside("in the clear", median(of(&ours)))
    };
    let twice = |of: fn(&Times) -> &Vec<f64>| Bar::AtMost(2.0 * median(of(&plain)));
    Ok(vec![
        row(&format!("first push of {commits} commits"), |t| &t.push, twice(|t| &t.push)),
        row("clone with checkout from the other peer", |t| &t.clone, twice(|t| &t.clone)),
        encrypted("first push, encrypted", |t| &t.push, Bar::None),
        encrypted("clone with checkout, encrypted", |t| &t.clone, Bar::AtMost(1.3 * median(&ours.clone))),
        encrypted("push of one commit, encrypted", |t| &t.commit, Bar::None),
        row("push of one commit", |t| &t.commit, Bar::AtMost(0.3)),
        row("seen on the other peer after the push", |t| &t.seen, Bar::AtMost(0.3)),
        row("ls-remote", |t| &t.ls_remote, Bar::AtMost(0.06)),
        row("fetch without news", |t| &t.no_op, Bar::AtMost(0.06)),
        Row::new(
            "blocks of the repository, as part of git's own pack",
            median(&ratios),
            "",
            Bar::AtMost(0.8),
        ),
        Row::new("the larger daemon", median(&memory), "MiB", Bar::AtMost(100.0)),
    ])
}

impl Times {
    fn of(side: &'static str) -> Self {
        Self { side, ..Self::default() }
    }
}

/// A repository of Alice that only she and Bob can read.
fn encrypted(alice: &Home, bob: &Home, work: &Repo<'_>) -> Result<Remote> {
    let members = [encryption_key(alice)?, encryption_key(bob)?];
    GroupFile::new(alice, "team.gk", 1, &[&members[0], &members[1]])?;
    Ok(Remote::named_in(&work.git("hbs2 init --new --encrypted ../team.gk").ok()?)?)
}

/// One side's whole story: first push, clone, small pushes, questions.
fn side(work: &Repo<'_>, remote: &str, url: &str, reader: &Home, times: &mut Times) -> Result<()> {
    times.push.push(seconds(&work.git("push --quiet --all").arg(remote).deadline(deadline()).ok()?.took));
    let name = format!("{}-{}", times.side, times.clone.len());
    let clone = bounded(reader.call("git").args(["clone", "--quiet", url, &name])).ok()?;
    times.clone.push(seconds(&clone.took));
    let copy = Repo::open(reader, &name);
    ensure!(work.id("HEAD")? == copy.id("HEAD")?, "the clone of {url} has another HEAD");
    let branch = work.git("symbolic-ref HEAD").ok()?.text();
    for n in 0..SMALL_PUSHES {
        let tip = work.commit("small.txt", format!("{remote} {name} {n}\n"), "change one file")?;
        times.commit.push(seconds(&work.git("push --quiet").args([remote, &branch]).ok()?.took));
        times.seen.push(seconds(&until_seen(&copy, &branch, &tip)?));
    }
    copy.git("fetch --quiet").ok()?;
    copy.fsck()?;
    for _ in 0..QUESTIONS {
        times.ls_remote.push(seconds(&copy.git("ls-remote --quiet origin").ok()?.took));
        times.no_op.push(seconds(&copy.git("fetch --quiet").ok()?.took));
    }
    Ok(())
}

/// From now until the other side's `git ls-remote` shows `tip`.
fn until_seen(copy: &Repo<'_>, branch: &str, tip: &str) -> Result<Duration> {
    let began = Instant::now();
    while began.elapsed() < deadline() {
        let refs: BTreeMap<_, _> = copy.remote_refs("origin")?;
        if refs.get(branch).is_some_and(|id| id == tip) {
            return Ok(began.elapsed());
        }
    }
    bail!("{branch} at {tip} is not seen within {DEADLINE_SECONDS} s")
}

fn seconds(took: &Duration) -> f64 {
    took.as_secs_f64()
}

fn deadline() -> Duration {
    Duration::from_secs(DEADLINE_SECONDS)
}

/// Size of git's own packs, in bytes.
fn packed_bytes(work: &Repo<'_>) -> Result<u64> {
    let told = work.git("count-objects -v").ok()?.text();
    let kib = told.lines().find_map(|line| line.strip_prefix("size-pack: ")?.parse::<u64>().ok());
    Ok(kib.context("`git count-objects` does not tell the size of the packs")? * 1024)
}

/// Size of all blocks that the reflog of a repository reaches, in bytes, in the store of `home`.
fn stored_bytes(home: &Home, work: &Repo<'_>, remote: &str) -> Result<u64> {
    let reflog = work.git("hbs2 repo:reflog").arg(remote).ok()?.text();
    let root: Hash = home.call("hbs2-peer").args(["reflog", "get", &reflog]).ok()?.text().parse()?;
    let client = Client::connect(&home.join("run/hbs2-rpc.socket"), Duration::from_secs(5))?;
    let (mut open, mut seen, mut bytes) = (vec![root], BTreeSet::from([root]), 0);
    while !open.is_empty() {
        let names = open.split_off(open.len().saturating_sub(BULK_BLOCKS_MAX));
        let blocks = client.call::<GetMany>(&names, deadline())?;
        ensure!(!blocks.is_empty(), "the daemon answers no block");
        open.extend_from_slice(&names[blocks.len()..]);
        for (name, block) in names.iter().zip(blocks) {
            let block = block.with_context(|| format!("block {name} is missing"))?;
            bytes += block.len() as u64;
            // A plain block to the store; what it names stands in its payload.
            let update = ReflogUpdate::from_bytes(&block).map(|update| inspect::links(update.data()));
            let links = inspect::links(&block).into_iter().chain(update.unwrap_or_default());
            open.extend(links.filter(|link| seen.insert(*link)));
        }
    }
    Ok(bytes)
}

/// `git daemon` on a loopback port, accepting pushes.
struct Served<'home> {
    home: &'home Home,
    address: SocketAddr,
    _daemon: Running,
}

impl<'home> Served<'home> {
    fn start(home: &'home Home) -> Result<Self> {
        let address = free_address()?;
        let base = home.join("served");
        fs::create_dir_all(&base)?;
        let call = home.call("git").args(["daemon", "--export-all", "--enable=receive-pack", "--reuseaddr"]);
        let call = call.arg(format!("--listen={}", address.ip())).arg(format!("--port={}", address.port()));
        let call = call.arg(format!("--base-path={}", base.display())).arg(&base);
        let daemon = call.deadline(Duration::from_secs(SERVE_SECONDS)).start()?;
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(
                began.elapsed() < Duration::from_secs(10),
                "`git daemon` does not listen: {}",
                daemon.stderr_so_far()
            );
        }
        Ok(Self { home, address, _daemon: daemon })
    }

    fn new_repository(&self, round: usize) -> Result<String> {
        let name = format!("round-{round}.git");
        self.home
            .call("git")
            .args(["init", "--quiet", "--bare", BRANCH])
            .arg(Path::new("served").join(&name))
            .ok()?;
        Ok(format!("git://{}/{name}", self.address))
    }
}

/// The repository that is pushed: bare, packed by git as well as it does by itself. Making a large one takes
/// longer than measuring it, so it is kept beside what cargo builds.
fn source(world: &World) -> Result<PathBuf> {
    let history = if world.quick { History::SMALL } else { History::LARGE };
    let kept = build::target_dir().join("bench");
    let name = format!("history-{}-{}-{}.git", history.commits, history.files, history.seed);
    let path = kept.join(&name);
    if path.exists() {
        return Ok(path);
    }
    println!("(making a history of {} commits in {})", history.commits, path.display());
    let home = world.home("git-maker")?;
    home.call("git").args(["init", "--quiet", "--bare", BRANCH, "made.git"]).ok()?;
    let made = home.join("made.git");
    let mut import = Command::new("git");
    import
        .arg("-C")
        .arg(&made)
        .args(["fast-import", "--quiet", "--done"])
        .env_clear()
        .envs(home.environment());
    let mut import = import.stdin(Stdio::piped()).spawn().context("cannot start `git fast-import`")?;
    let mut pipe = BufWriter::new(import.stdin.take().expect("stdin is piped"));
    history.write(&mut pipe).and_then(|()| pipe.flush()).context("cannot write to `git fast-import`")?;
    drop(pipe);
    ensure!(import.wait()?.success(), "`git fast-import` failed");
    // `git gc` would keep what fast-import wrote, which is four times as large as what git can do.
    bounded(home.call("git").args(["-C", "made.git", "repack", "-a", "-d", "-f", "--quiet"])).ok()?;
    fs::create_dir_all(&kept).with_context(|| format!("cannot make {}", kept.display()))?;
    // The scratch directory may be on another file system, so it is moved in two steps, the second of which is whole.
    let fresh = kept.join(format!("{name}.new"));
    bounded(home.call("cp").arg("-r").arg(&made).arg(&fresh)).ok()?;
    fs::rename(&fresh, &path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(path)
}
