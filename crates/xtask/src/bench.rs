//! `cargo xtask bench`: how fast it is, beside plain tools on the same machine in the same minutes.
//!
//! Figures are medians of rounds in which we and the plain tool take turns, so that a busy neighbour slows both.
//! Every transfer is checked for equality; a fast wrong copy is an error. The release build is measured, through
//! the programs a user calls. Nothing is written into the project unless `--record` is given.

mod figures;
mod git;
mod network;
mod peers;
mod plain;
mod script;
mod seal;
mod store;
mod sync;
mod trees;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hbs2_testkit::{Call, Daemon, Done, Home, free_address, memory_kib, until};

use crate::build::{self, Profile};
use figures::Row;

/// Longest time for any one command, in seconds: a gigabyte at a fortieth of the speed we promise.
const DEADLINE_SECONDS: u64 = 300;

/// Pause between two looks at the memory of a process, in milliseconds.
const LOOK_MILLIS: u64 = 2;

/// What the caller wants.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Which benches: store, seal, trees, git, sync, peers, network, script; all by default
    names: Vec<String>,
    /// One round on small data: shows that the benches work, not how fast we are
    #[arg(long)]
    quick: bool,
    /// Leaves out the trees of 1 GiB
    #[arg(long)]
    no_huge: bool,
    /// Rounds of each measurement
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=50))]
    rounds: u8,
    /// Builds nothing and measures this `hbs2`
    #[arg(long, value_name = "FILE", conflicts_with = "record")]
    binary: Option<PathBuf>,
    /// Writes the result to docs/benchmarks.md
    #[arg(long)]
    record: bool,
}

/// A bench: its name, what it is about, and its code.
type Bench = (&'static str, &'static str, fn(&World) -> Result<Vec<Row>>);

const BENCHES: [Bench; 8] = [
    ("store", "Files into the store and out again", store::run),
    ("seal", "Sealed trees", seal::run),
    ("trees", "Trees from peer to peer", trees::run),
    ("git", "Git beside git://", git::run),
    ("sync", "Folders kept equal", sync::run),
    ("peers", "Starting, finding each other, resting", peers::run),
    ("network", "Several peers", network::run),
    ("script", "Programs", script::run),
];

/// Where the benches work.
pub(crate) struct World {
    binary: PathBuf,
    scratch: tempfile::TempDir,
    /// Whether what is measured may be built; not when a binary was given.
    builds: bool,
    quick: bool,
    huge: bool,
    rounds: usize,
}

impl World {
    /// A path for a file of this bench.
    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// A new home.
    fn home(&self, name: &str) -> Result<Home> {
        Ok(Home::at(name, self.path(name), &self.binary)?)
    }

    /// Two new homes with linked daemons: one that has, one that wants.
    fn pair(&self, name: &str) -> Result<[(Home, Daemon); 2]> {
        let at = [free_address()?, free_address()?];
        let raise = |who: &str, own, other| -> Result<_> {
            let home = self.home(&format!("{name}-{who}"))?;
            let daemon = Daemon::start_at(&home, own, &[other], "")?;
            Ok((home, daemon))
        };
        let pair = [raise("a", at[0], at[1])?, raise("b", at[1], at[0])?];
        linked(&pair[1].0)?;
        Ok(pair)
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    for name in &options.names {
        ensure!(BENCHES.iter().any(|(known, ..)| known == name), "there is no bench {name}; see --help");
    }
    let wanted = |name: &str| options.names.is_empty() || options.names.iter().any(|wanted| wanted == name);
    let world = World {
        binary: options.binary.clone().map_or_else(|| build::binary(Profile::Release), Ok)?,
        scratch: tempfile::Builder::new().prefix("hbs2-bench-").tempdir()?,
        builds: options.binary.is_none(),
        quick: options.quick,
        huge: !options.no_huge && !options.quick,
        rounds: if options.quick { 1 } else { options.rounds.into() },
    };
    let mut parts = Vec::new();
    for (name, about, bench) in BENCHES.into_iter().filter(|(name, ..)| wanted(name)) {
        let began = Instant::now();
        println!("\n# {about} ({name})");
        let rows = bench(&world).with_context(|| format!("bench {name}"))?;
        print!("{}", figures::plain_table(&rows));
        println!("({:.0} s)", began.elapsed().as_secs_f64());
        parts.push((about, rows));
    }
    if options.record {
        ensure!(!options.quick && options.names.is_empty(), "only a full run can be recorded");
        record(&parts, world.rounds)?;
    }
    let rows = || parts.iter().flat_map(|(_, rows)| rows);
    let missed = rows().filter(|row| !row.is_met()).count();
    println!(
        "\nbench: {} figures, {missed} bars missed{}",
        rows().count(),
        if options.quick { " (quick: bars do not count)" } else { "" }
    );
    Ok(())
}

fn record(parts: &[(&str, Vec<Row>)], rounds: usize) -> Result<()> {
    let path = build::project_root().join("docs/benchmarks.md");
    let mut text = format!(
        "# Benchmarks\n\nWritten by `cargo xtask bench --record`; do not edit. Medians of {rounds} alternated rounds, release build, all on\n\
         loopback of one machine, so read the ratios rather than the figures.\n\n{}\n",
        machine()
    );
    for (about, rows) in parts {
        text.push_str(&format!("\n## {about}\n\n{}", figures::markdown_table(rows)));
    }
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// What the figures were made on.
fn machine() -> String {
    let said = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("?", |(_, name)| name);
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let git = said("git", &["--version"]).unwrap_or_default();
    let day = said("date", &["-u", "+%Y-%m-%d"]).unwrap_or_default();
    format!("{cpu}, {cores} cores, {git}, {day}.")
}

/// A call with the deadline of the benches.
fn bounded(call: Call) -> Call {
    call.deadline(Duration::from_secs(DEADLINE_SECONDS))
}

/// Runs a command; returns how it ended and the most memory it had, in MiB.
fn watched(call: Call) -> Result<(Done, f64)> {
    let running = bounded(call).start()?;
    let pid = running.pid();
    let watch = thread::spawn(move || {
        let mut last = 0;
        // The figure never falls within one program, so the last one before its end is the highest.
        while let Ok(kib) = memory_kib(pid, "VmHWM") {
            last = kib;
            thread::sleep(Duration::from_millis(LOOK_MILLIS));
        }
        last
    });
    let done = running.wait()?.must_succeed()?;
    let kib = watch.join().expect("looking at memory does not panic");
    Ok((done, kib as f64 / 1024.0))
}

/// The most memory a daemon had so far, in MiB.
fn peak_mib(daemon: &Daemon) -> Result<f64> {
    Ok(daemon.memory_kib("VmHWM")? as f64 / 1024.0)
}

/// Waits until the peer of `home` has a neighbour; returns for how long.
fn linked(home: &Home) -> Result<Duration> {
    Ok(until("a peer is linked", || Ok(!home.line("hbs2-peer peers").ok()?.text().is_empty()))?)
}
