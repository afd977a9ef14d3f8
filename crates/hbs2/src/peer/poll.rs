//! `hbs2-peer poll`: the references the peer keeps up to date.

use clap::{Subcommand, ValueEnum};
use hbs2_core::SignPublicKey;
use hbs2_rpc::api::peer::{PollAdd, PollDel, PollList};

use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::voice::Voice;

/// Longest interval, in minutes: a year.
const MINUTES_MAX: u64 = 365 * 24 * 60;

/// List, add and remove references that the peer keeps up to date
///
/// A polled reference is asked for regularly, its data is downloaded, and updates are passed on to other peers.
#[derive(Debug, Subcommand)]
pub(crate) enum Words {
    /// List polled references: key, interval in minutes, type; oldest first
    List(ListWords),
    /// Poll a reference from now on, or change its interval
    Add(AddWords),
    /// Stop polling a key, in all its types
    Del(DelWords),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListWords {
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  hbs2-peer poll add 95EKVZ5wuZjZnc4FdytjhytdnDyApnrXpqetE7yG9bfr lwwref 31")]
pub(crate) struct AddWords {
    /// Public key of the reference
    key: SignPublicKey,
    /// Its type: a log of signed entries, a value whose last writer wins, or a channel that many write
    #[arg(value_enum, value_name = "TYPE")]
    kind: Kind,
    /// Interval, in minutes
    #[arg(value_parser = clap::value_parser!(u64).range(1..=MINUTES_MAX))]
    minutes: u64,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DelWords {
    /// Public key of the reference
    key: SignPublicKey,
    #[command(flatten)]
    reach: Reach,
}

/// Types of references a peer polls.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Reflog,
    Lwwref,
    Refchan,
}

/// Runs the command.
///
/// # Errors
/// No peer answers.
pub(crate) fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    match words {
        Words::List(words) => list(words, voice),
        Words::Add(words) => add(words, voice),
        Words::Del(words) => del(words, voice),
    }
}

fn list(words: &ListWords, voice: &mut Voice) -> Result<(), Failure> {
    for (key, kind, minutes) in Daemon::reach(&words.reach)?.ask::<PollList>(&())? {
        voice.line(format_args!("{key:<44} {minutes:<3} {kind}"))?;
    }
    Ok(())
}

fn add(words: &AddWords, voice: &mut Voice) -> Result<(), Failure> {
    let kind = match words.kind {
        Kind::Reflog => "reflog",
        Kind::Lwwref => "lwwref",
        Kind::Refchan => "refchan",
    };
    let row = (words.key, kind.to_owned(), words.minutes);
    Daemon::reach(&words.reach)?.ask::<PollAdd>(&row)?;
    voice.bare(format_args!("added poller for {}", words.key))?;
    Ok(())
}

fn del(words: &DelWords, voice: &mut Voice) -> Result<(), Failure> {
    Daemon::reach(&words.reach)?.ask::<PollDel>(&words.key)?;
    voice.bare(format_args!("deleted poller for {}", words.key))?;
    Ok(())
}
