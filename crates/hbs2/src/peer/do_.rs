//! `hbs2-peer do`: commands inside the running peer.

use std::time::Duration;

use hbs2_rpc::api::peer::RunScript;

use crate::cli::line::argument;
use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::line::program;
use crate::voice::Voice;

/// Longest `-w`, in seconds: an hour.
const WAIT_SECONDS_MAX: f64 = 3600.0;

/// Run commands inside the running peer and print their answers
///
/// The words make one form; 'and' begins another. An answer is a form too; one that begins with error fails the command.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Forms:
  hey                                         (hey)
  peer-info                                   what is known of each linked peer
  request-block-size SEC HASH                 who has this block, asked of all peers for SEC seconds
  query-block-size-from-peer HASH ADDR        how long this peer says it is
  query-block-from-peer HASH ADDR             fetch the block from this peer
  query-block-from-peer:rec HASH ADDR         and everything it refers to
  tcp:peer:kick ADDR                          end the link with this peer; it may come back
  reset                                       end all links and make them anew
  system:capabilities                         how many threads can run at once

Examples:
  hbs2-peer do peer-info
  hbs2-peer do -w 5 request-block-size 1.5 HASH
  hbs2-peer do '(hey)' '(peer-info)'

Exit status: 0 done; 1 an answer is an error, or nobody answered.")]
pub struct Words {
    /// Longest wait for the answers, in seconds [default: that of --timeout]
    #[arg(short, long, value_name = "SEC", value_parser = seconds)]
    wait: Option<Duration>,
    /// Form, its words joined by blanks
    #[arg(value_name = "FORM", required = true, trailing_var_arg = true)]
    forms: Vec<String>,
    #[command(flatten)]
    reach: Reach,
}

fn seconds(word: &str) -> Result<Duration, String> {
    match word.parse::<f64>() {
        Ok(seconds) if (0.001..=WAIT_SECONDS_MAX).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(format!("not a number of seconds up to {WAIT_SECONDS_MAX}")),
    }
}

/// Runs the command.
///
/// # Errors
/// No peer answers; a form cannot be read; an answer is an error.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let daemon = Daemon::reach(&words.reach)?;
    let text = program(&words.forms, argument);
    let answer = match words.wait {
        Some(wait) => daemon.client().call::<RunScript>(&text, wait)?,
        None => daemon.ask::<RunScript>(&text)?,
    };
    voice.line(answer.trim_end())?;
    let parsed = hbs2_script::parse(&answer);
    let is_error = |form: &hbs2_script::Form| {
        let name = form.as_call().map(|(name, _)| name).or(form.as_symbol());
        name.is_some_and(|name| name == "error" || name.starts_with("error:"))
    };
    if parsed.forms.iter().any(is_error) {
        return Err(Failure::told("the peer could not do all of it".to_owned()));
    }
    Ok(())
}
