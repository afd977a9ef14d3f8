//! `hbs2-peer status`: who is linked, what is wanted, and what is in the way.

mod json;
mod text;

use std::thread;
use std::time::Duration;

use hbs2_rpc::api::node::Look;

use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::voice::Voice;

/// Pause between two looks of `--watch`, in seconds: as often as a person can read.
const WATCH_SECONDS: u64 = 1;

/// Moves to the upper left corner of a terminal and clears what is below.
const REDRAW: &str = "\x1b[H\x1b[J";

/// Show what the running peer is doing: who is linked, what is downloaded, what is stuck and why
///
/// Of each linked peer: key, address, who dialled and whether packets are sealed, shortest round trip, how fast it
/// delivers, what it has delivered. Of each download: its root, what it is doing, from whom.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hbs2-peer status --watch             look on; Ctrl-C ends it
  hbs2-peer status --json | jq '.downloads[] | select(.state == \"waiting\")'

With --json: sizes in bytes, rates in bytes per second, times in milliseconds; with --watch one
object a line.")]
pub struct Words {
    /// Show it again every second
    #[arg(short, long)]
    watch: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

/// Runs the command; with `--watch` until the peer or the reader goes away.
///
/// # Errors
/// No peer answers.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let daemon = Daemon::reach(&words.reach)?;
    let mut first = true;
    loop {
        let overview = daemon.ask::<Look>(&())?;
        let shown = if words.json { json::object(&overview) } else { text::page(&overview) };
        if words.watch && !words.json {
            let before = if voice.is_seen() { REDRAW } else { "\n" };
            if voice.is_seen() || !first {
                voice.out().write_all(before.as_bytes())?;
            }
        }
        voice.line(shown)?;
        voice.flush()?;
        if !words.watch {
            return Ok(());
        }
        first = false;
        thread::sleep(Duration::from_secs(WATCH_SECONDS));
    }
}
