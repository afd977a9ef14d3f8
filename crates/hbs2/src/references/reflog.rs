//! `hbs2 reflog`: logs, as the storage has them.

use clap::Subcommand;
use hbs2_core::{RefKind, SignPublicKey};
use hbs2_rpc::api::reflog::Fetch;

use super::anyref;
use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::store::blocks::{Blocks, Place, Purpose};
use crate::voice::Voice;

/// Read logs of signed entries; 'hbs2-peer reflog' also extends them
#[derive(Debug, Subcommand)]
pub(crate) enum Words {
    Get(GetWords),
    Fetch(FetchWords),
}

/// Print the root hash of a log
///
/// 'hbs2 cat -H ROOT' lists its entries.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Exit status: 0 printed; 1 it has no value, or the storage cannot be read.")]
pub(crate) struct GetWords {
    /// Public key of the log
    key: SignPublicKey,
    #[command(flatten)]
    place: Place,
}

/// Ask other peers for a log now; returns at once
#[derive(Debug, clap::Args)]
pub(crate) struct FetchWords {
    /// Public key of the log
    key: SignPublicKey,
    #[command(flatten)]
    reach: Reach,
}

/// Runs the command.
///
/// # Errors
/// The storage cannot be read, no peer answers; or there is no value, which the exit code says without a word.
pub(crate) fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    match words {
        Words::Get(words) => {
            let blocks = Blocks::open(&words.place, Purpose::Read, voice)?;
            anyref::print(RefKind::Reflog, &words.key, &blocks, voice)
        }
        Words::Fetch(words) => Daemon::reach(&words.reach)?.ask::<Fetch>(&words.key),
    }
}
