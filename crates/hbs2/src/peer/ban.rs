//! `hbs2-peer ban`, `unban`, `bans`: who is not let in.

use hbs2_core::SignPublicKey;
use hbs2_rpc::api::node::{Ban, Bans, Unban};

use super::figures::span;
use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::voice::Voice;

/// Seconds of a minute, an hour and a day, by their letters.
const UNITS: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];

/// Longest ban with an end, in seconds: ten years. A longer one has none.
const BAN_SECONDS_MAX: u64 = 3650 * 86_400;

/// Let a peer in no more, and end its links
///
/// The ban outlives a restart. The config does the same for good: blacklist "KEY".
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hbs2-peer ban KEY                    until 'hbs2-peer unban KEY'
  hbs2-peer ban --for 2h KEY           for two hours")]
pub struct BanWords {
    /// Public key of the peer
    key: SignPublicKey,
    /// For how long: a number of seconds, or with m, h or d behind it [default: for ever]
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    time: Option<u64>,
    #[command(flatten)]
    reach: Reach,
}

/// Let a peer in again, and forget what it did
///
/// A peer that the config bans (blacklist, whitelist) stays banned.
#[derive(Debug, clap::Args)]
pub struct UnbanWords {
    /// Public key of the peer
    key: SignPublicKey,
    #[command(flatten)]
    reach: Reach,
}

/// List who is not let in: key, time left, reason
#[derive(Debug, clap::Args)]
pub struct BansWords {
    #[command(flatten)]
    reach: Reach,
}

/// A time as people write it: `90`, `90s`, `5m`, `2h`, `1d`.
fn seconds(word: &str) -> Result<u64, String> {
    let (number, unit) = match UNITS.iter().find(|(letter, _)| word.ends_with(*letter)) {
        Some((letter, unit)) => (word.trim_end_matches(*letter), *unit),
        None => (word, 1),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    seconds
        .filter(|seconds| (1..=BAN_SECONDS_MAX).contains(seconds))
        .ok_or_else(|| "not a time such as 90s, 5m, 2h or 1d".to_owned())
}

/// Runs `ban`.
///
/// # Errors
/// No peer answers.
pub fn ban(words: &BanWords) -> Result<(), Failure> {
    Daemon::reach(&words.reach)?.ask::<Ban>(&(words.key, words.time))
}

/// Runs `unban`.
///
/// # Errors
/// No peer answers, or the peer is not banned.
pub fn unban(words: &UnbanWords) -> Result<(), Failure> {
    Daemon::reach(&words.reach)?.ask::<Unban>(&words.key)
}

/// Runs `bans`.
///
/// # Errors
/// No peer answers.
pub fn bans(words: &BansWords, voice: &mut Voice) -> Result<(), Failure> {
    for ban in Daemon::reach(&words.reach)?.ask::<Bans>(&())? {
        let left =
            ban.seconds_left.map_or_else(|| "for ever".to_owned(), |left| span(left.saturating_mul(1000)));
        voice.line(format_args!("{:<44} {left:<12} {}", ban.key.to_string(), ban.reason))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_a_unit_or_in_seconds() {
        for (word, expected) in [("90", 90), ("90s", 90), ("5m", 300), ("2h", 7200), ("1d", 86_400)] {
            assert_eq!(seconds(word), Ok(expected));
        }
        for word in ["", "h", "0", "-1", "1w", "1.5h", "99999999999999999999d", "4000d"] {
            assert!(seconds(word).is_err(), "{word}");
        }
    }
}
