//! `hbs2-git-subscribe LWWREF`: keep and spread a repository without its git data (spec: git3 14.9).

use std::path::PathBuf;
use std::time::Duration;

use crate::daemon::Reach;
use crate::error::Failure;
use crate::git::session::Session;
use crate::names::Call;
use crate::usage;
use crate::voice::Voice;

/// How long the program waits for the repository, in seconds: as long as the original.
const WAIT_SECONDS: u64 = 20;

/// Keep and spread a repository without reading it
///
/// Subscribes the peer to the lwwref and the reflog of a repository, of whatever version, so that it fetches what is
/// new and gives it to others. No git repository is needed or touched.
#[derive(Debug, clap::Parser)]
#[command(
    disable_version_flag = true,
    after_long_help = "\
Examples:
  hbs2-git-subscribe BTThPdHKF8XnEq4m6wzbKHKA6geLFK4ydYhBXAqBdHSP
  hbs2-peer poll list                  shows both references afterwards

Exit status: 0 subscribed; 1 the repository did not arrive within 20 seconds. The subscription
to its lwwref stays then."
)]
struct Words {
    /// Socket of the running peer [default: as its config says]
    #[arg(short, long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Directory of the peer's config [default: ~/.config/hbs2-peer]
    #[arg(short, long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// The repository: its key, or hbs2://KEY
    #[arg(value_name = "LWWREF")]
    repository: String,
}

/// What the program explains of itself.
pub(crate) fn command() -> clap::Command {
    <Words as clap::CommandFactory>::command()
}

/// Runs the program.
pub fn run(call: &Call, voice: &mut Voice) -> u8 {
    usage::run(call, voice, subscribe)
}

fn subscribe(words: Words, voice: &mut Voice) -> Result<(), Failure> {
    let mut session = Session::new(voice, Reach::new(words.config, words.socket));
    session.settings()?.timeout = Duration::from_secs(WAIT_SECONDS);
    let reflog = session.with_any(&words.repository, None, |context, repository| {
        repository.subscribe(context)?;
        repository.reflog()
    })?;
    let lwwref = session.resolve(&words.repository)?;
    session.voice.talk().note(format_args!("subscribed to lwwref {lwwref} and its reflog {reflog}"));
    Ok(())
}
