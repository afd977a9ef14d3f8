//! `hbs2-peer fetch`: download a tree, and wait for it if asked to.

use std::time::{Duration, Instant};

use hbs2_core::Hash;
use hbs2_rpc::api::node::{TreeStatus, TreeWait, WAIT_MS_MAX, WaitTree};
use hbs2_rpc::api::peer::Fetch;

use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::peer::figures;
use crate::voice::{Progress, Talk, Voice};

/// How long one question to the daemon lasts, in milliseconds: the progress line is never older than this.
const STEP_MILLIS: u64 = 1000;

/// Pause between two plain lines, in seconds, where there is no bar because stderr is no terminal.
const LINE_SECONDS: u64 = 2;

/// Longest `--stall`, in seconds: a day.
const STALL_SECONDS_MAX: u64 = 24 * 60 * 60;

/// Download a block and everything it refers to
///
/// The peer asks all its neighbours and goes on until everything is here, also after a restart. The command returns
/// at once; with -p it waits and shows how far the download is: as a bar, or as a line every 2 seconds where stderr is
/// no terminal.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hbs2-peer fetch HASH                 start the download
  hbs2-peer fetch -p HASH              and wait until it is complete
  hbs2-peer download list              what is under way

Giving up the wait (Ctrl-C, --stall) does not give up the download:
  hbs2-peer download del HASH

Exit status: 0 started, with -p complete; 1 nobody answered, or nothing arrived for too long.")]
pub struct Words {
    /// Root of the tree, or a block
    #[arg(value_name = "HASH")]
    hash: Hash,
    /// Wait until it is complete, and show how far it is
    #[arg(short, long)]
    progress: bool,
    /// With -p: give up waiting when nothing new has arrived for so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=STALL_SECONDS_MAX))]
    stall: u64,
    #[command(flatten)]
    reach: Reach,
}

/// Runs the command.
///
/// # Errors
/// No peer answers; with `-p`, nothing new arrives for too long.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let daemon = Daemon::reach(&words.reach)?;
    if !words.progress {
        return daemon.ask::<Fetch>(&words.hash);
    }
    let started = Instant::now();
    let mut shown = Shown::new(voice.talk());
    let status = wait(&daemon, words, &mut shown)?;
    drop(shown);
    let seconds = started.elapsed().as_secs_f64();
    voice.talk().note(format_args!("complete: {} fetched in {seconds:.1} s", amount(&status)));
    Ok(())
}

/// Asks for the end of the download in one question, and meanwhile for its progress in short ones.
fn wait(daemon: &Daemon, words: &Words, shown: &mut Shown<'_>) -> Result<TreeStatus, Failure> {
    let question = |timeout_ms, seen| TreeWait { roots: vec![words.hash], timeout_ms, seen };
    let whole = daemon.begin::<WaitTree>(&question(WAIT_MS_MAX, None));
    let stall = Duration::from_secs(words.stall);
    let mut last = TreeStatus::default();
    let mut moved = Instant::now();
    loop {
        let step = question(STEP_MILLIS, Some(last.mark));
        let status = daemon.ask_for::<WaitTree>(&step, Duration::from_millis(STEP_MILLIS))?;
        if status.complete {
            // Its count covers the whole download, unless that took longer than one question may.
            let whole = daemon.finish(whole)?;
            return Ok(if whole.complete { whole } else { last });
        }
        if (status.blocks, status.missing) != (last.blocks, last.missing) {
            moved = Instant::now();
        }
        if moved.elapsed() >= stall {
            return Err(Failure::Stalled {
                hash: words.hash,
                seconds: words.stall,
                status: Box::new(status),
            });
        }
        shown.show(&status);
        last = status;
    }
}

/// How far a download is, as it is shown while one waits.
struct Shown<'t> {
    talk: &'t Talk,
    bar: Progress,
    /// When the rate was last measured, or a line last written, and the bytes there were then.
    since: (Instant, u64),
    rate: u64,
}

impl<'t> Shown<'t> {
    fn new(talk: &'t Talk) -> Self {
        Self { talk, bar: talk.bar("asking other peers"), since: (Instant::now(), 0), rate: 0 }
    }

    fn show(&mut self, status: &TreeStatus) {
        let (at, before) = self.since;
        let new = at.elapsed() >= Duration::from_secs(LINE_SECONDS);
        if new {
            let millis = u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.rate = status.bytes.saturating_sub(before).saturating_mul(1000) / millis;
            self.since = (Instant::now(), status.bytes);
        }
        let rate = figures::rate(self.rate);
        if self.talk.is_watched() {
            self.bar.is_at(status.blocks, status.blocks + status.missing);
            self.bar.say(format!("{}, {rate}", figures::bytes(status.bytes)));
        } else if new {
            self.talk.note(format_args!(
                "{} fetched, {rate}, {} more known to be missing",
                amount(status),
                status.missing
            ));
        }
    }
}

fn amount(status: &TreeStatus) -> String {
    format!("{}, {}", figures::count(status.blocks, "block"), figures::bytes(status.bytes))
}
