//! `hbs2-fixer`: runs code when references change (spec: cli 9).
//!
//! A program in the language of all our files says what is watched and what is done then: import a repository, publish
//! a page, send a mail. [`words`] are its words, [`rules`] what it has registered, [`jobs`] its commands on their way,
//! [`log`] what it says, [`engine`] the loop that joins them with the peer. When the peer goes away, all is begun anew as
//! soon as it is there again.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::config::places;
use crate::daemon::{Daemon, Reach};
use crate::error::{Failure, chain};
use crate::names::Call;
use crate::usage;
use crate::voice::Voice;

pub mod engine;
pub mod jobs;
pub mod log;
pub mod rules;
pub mod words;
pub mod world;

use engine::Ended;
use log::Log;

/// Wait before the peer is looked for again.
const AGAIN: Duration = Duration::from_secs(5);

const AFTER_HELP: &str = "\
The program file is in the language of all hbs2 files; hbs2-cli --help explains its words.
Beside them there are:
  (watch SECONDS REF FORM...)   run forms when the reference has another value. REF is
                                (lwwref \"KEY\"), (reflog \"KEY\") or, in the code of a watched
                                lwwref, (lwwref:get-hbs2-git-reflog): the log of that repository
  (listen REF FORM...)          run forms when the peer tells that a log has changed
  (run-config FORM...)          in such code: what it watches replaces what it watched before
  (on-start FORM...)            forms for the first load only
  (run [(list opts (cwd DIR) (timeout SECONDS))] COMMAND...)
                                a shell command; one runs after another
  (watch-config SECONDS)        time between two readings of this file [default: 30]
  (debug on|off)                say what is done [default: on]
  (display X) (mkdir DIR...) (getenv \"NAME\") (string-append X...) (local NAME X) (exit [N])

A name that nobody knows is nil. Output and log go to stdout; lines of the log begin with
[debug], [warn] or [error].

Example, a mirror of a repository:
  (local key  \"BTThPdHKF8XnEq4m6wzbKHKA6geLFK4ydYhBXAqBdHSP\")
  (local path (string-append (getenv \"HOME\") \"/mirror.git\"))
  (on-start (run \"git init --bare\" path))
  (watch 60 (lwwref key)
    (run-config
      (watch 300 (lwwref:get-hbs2-git-reflog)
        (run (list opts (cwd path)) \"git hbs2 import\" key))))

Files:
  ~/.config/hbs2-fixer/config   the program (under $XDG_CONFIG_HOME if set)

Exit status: that of (exit N); 1 when the program cannot be read or fails when it is first loaded.";

/// Run code when references change
///
/// Subscribes the running peer to references, waits for their changes and runs what the program says. The file is
/// loaded again when it changes. When the peer goes away everything begins anew once it is there again.
#[derive(Debug, clap::Parser)]
#[command(disable_version_flag = true, after_long_help = AFTER_HELP)]
struct Words {
    /// The program [default: ~/.config/hbs2-fixer/config]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Socket of the running peer [default: as its config says]
    #[arg(short = 'r', long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// What the program explains of itself.
pub(crate) fn command() -> clap::Command {
    <Words as clap::CommandFactory>::command()
}

/// Runs the program. Its exit code is that of the code if it ends itself.
pub fn run(call: &Call, voice: &mut Voice) -> u8 {
    usage::run(call, voice, follow)
}

fn follow(words: Words, voice: &mut Voice) -> Result<(), Failure> {
    let file = match words.config {
        Some(file) => file,
        None => default_file()?,
    };
    let reach = Reach::new(None, words.socket);
    let log = Log::new(voice.share_out());
    let mut told = String::new();
    loop {
        let ended = match Daemon::reach(&reach) {
            Ok(daemon) => engine::run(&file, &daemon, &reach, &log, voice)?,
            Err(failure @ Failure::Peer(_)) => Ended::PeerGone(failure),
            Err(failure) => return Err(failure),
        };
        let failure = match ended {
            Ended::Exit(code) => return Err(Failure::Quit { code }),
            Ended::PeerGone(failure) => failure,
        };
        let text = chain(&failure).join(": ");
        // Once, not every five seconds.
        if text != told {
            log.write("warn", format_args!("{text}; looking for it every {} s", AGAIN.as_secs()))?;
            told = text;
        }
        thread::sleep(AGAIN);
    }
}

/// The file in the default place, made empty when it is not there.
fn default_file() -> Result<PathBuf, Failure> {
    let dir = places().config_home.ok_or(Failure::NoHome)?.join("hbs2-fixer");
    let file = dir.join("config");
    let make = || {
        fs::create_dir_all(&dir)?;
        fs::OpenOptions::new().create(true).append(true).open(&file)
    };
    make().map_err(|source| Failure::File { path: file.clone(), source })?;
    Ok(file)
}
