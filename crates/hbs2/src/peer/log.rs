//! `hbs2-peer log`: how much the running peer says.

use clap::ValueEnum;
use hbs2_rpc::api::peer::{LogLevel, SetLogging};

use crate::daemon::{Daemon, Reach};
use crate::error::Failure;

/// Let the running peer log more or less, until it ends
///
/// The config says how much it logs from its start on: debug on, trace on.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  hbs2-peer log debug on")]
pub struct Words {
    /// debug: what happens to links, peers and trees; trace: everything
    #[arg(value_enum)]
    what: What,
    /// on or off
    #[arg(value_parser = ["on", "off"], value_name = "on|off")]
    switch: String,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    Debug,
    Trace,
}

/// Runs the command.
///
/// # Errors
/// No peer answers.
pub fn run(words: &Words) -> Result<(), Failure> {
    let on = words.switch == "on";
    let switch = match words.what {
        What::Debug => SetLogging::Debug(on),
        What::Trace => SetLogging::Trace(on),
    };
    Daemon::reach(&words.reach)?.ask::<LogLevel>(&switch)
}
