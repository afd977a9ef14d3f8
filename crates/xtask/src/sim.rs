//! `cargo xtask sim`: random stories of the simulator, as many as you like.
//!
//! Each seed is a story of its own (see `hbs2_testkit::sim::soak`), so they are told on all cores at once. The order in
//! which they end does not matter; a story that breaks a rule is printed with the command that repeats it.

use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hbs2_testkit::sim::soak::{self, Ending};

/// Time between two lines that tell how far it is.
const TELL: Duration = Duration::from_secs(10);

/// What the caller wants.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many seeds are tried
    #[arg(long, default_value_t = 200, conflicts_with = "seed")]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0, conflicts_with = "seed")]
    from: u64,
    /// Tells the story of this seed only
    #[arg(long)]
    seed: Option<u64>,
}

/// What has come out so far.
#[derive(Default)]
struct Tally {
    told: u64,
    steps: u64,
    nodes: usize,
    elapsed: Duration,
    failed: Vec<u64>,
    /// The story that took longest, and how long.
    slowest: (Duration, u64),
    spoken: Option<Instant>,
}

impl Tally {
    fn add(&mut self, seed: u64, took: Duration, ending: Option<Ending>) {
        self.told += 1;
        self.slowest = self.slowest.max((took, seed));
        match ending {
            Some(ending) => {
                self.steps += ending.steps;
                self.nodes = self.nodes.max(ending.nodes);
                self.elapsed += ending.elapsed;
            }
            None => {
                self.failed.push(seed);
                eprintln!("\nsim: seed {seed} failed; repeat it with: cargo xtask sim --seed {seed}\n");
            }
        }
        if self.spoken.is_none_or(|moment| moment.elapsed() > TELL) {
            self.spoken = Some(Instant::now());
            eprintln!("sim: {} told, {} failed", self.told, self.failed.len());
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let (first, count) = options.seed.map_or((options.from, options.seeds), |seed| (seed, 1));
    let (next, end) = (AtomicU64::new(first), first.saturating_add(count));
    let tally = Mutex::new(Tally::default());
    let began = Instant::now();
    let tellers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..tellers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let began = Instant::now();
                    let ending = catch_unwind(|| soak::tell(seed)).ok();
                    tally.lock().expect("adding does not panic").add(seed, began.elapsed(), ending);
                }
            });
        }
    });
    let tally = tally.into_inner().expect("adding does not panic");
    println!(
        "sim: {} stories with up to {} nodes, {:.0} hours of their time, {} steps in {:.0} s; the slowest, seed {}, \
         took {:.1} s",
        tally.told,
        tally.nodes,
        tally.elapsed.as_secs_f64() / 3600.0,
        tally.steps,
        began.elapsed().as_secs_f64(),
        tally.slowest.1,
        tally.slowest.0.as_secs_f64()
    );
    ensure!(tally.failed.is_empty(), "{} seeds failed: {:?}", tally.failed.len(), tally.failed);
    Ok(())
}
