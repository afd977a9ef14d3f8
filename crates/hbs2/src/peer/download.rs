//! `hbs2-peer download`: what the peer is fetching.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Subcommand;
use hbs2_core::Hash;
use hbs2_rpc::api::peer::{DownloadDel, DownloadList};

use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::voice::Voice;

/// List downloads and give them up
#[derive(Debug, Subcommand)]
pub(crate) enum Words {
    /// List downloads under way: root hash and age as D:HH:MM:SS
    List(ListWords),
    /// Give a download up; blocks that have arrived stay
    Del(DelWords),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListWords {
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DelWords {
    /// Root of the download
    #[arg(value_name = "HASH")]
    hash: Hash,
    #[command(flatten)]
    reach: Reach,
}

/// Runs the command.
///
/// # Errors
/// No peer answers.
pub(crate) fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    match words {
        Words::List(words) => list(words, voice),
        Words::Del(words) => Daemon::reach(&words.reach)?.ask::<DownloadDel>(&words.hash),
    }
}

fn list(words: &ListWords, voice: &mut Voice) -> Result<(), Failure> {
    let downloads = Daemon::reach(&words.reach)?.ask::<DownloadList>(&())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    for (hash, start_seconds) in downloads {
        voice.line(format_args!("{hash:<44} {}", age(now.saturating_sub(start_seconds))))?;
    }
    Ok(())
}

/// A time as days and clock: `0:00:01:05`.
fn age(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    format!("{days}:{:02}:{:02}:{:02}", hours % 24, minutes % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::age;

    #[test]
    fn an_age_is_days_and_clock() {
        assert_eq!(age(0), "0:00:00:00");
        assert_eq!(age(65), "0:00:01:05");
        assert_eq!(age(2 * 86400 + 3 * 3600 + 4 * 60 + 5), "2:03:04:05");
    }
}
