//! `init`: a new repository (spec: git3 4).

use super::session::Session;
use super::words::Args;
use crate::error::Failure;

/// `init [--new]`
///
/// # Errors
/// git fails, no peer answers, or the key cannot be kept.
pub fn init(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let mut args = Args::new("init", args);
    // A repository is always new here: each call makes a key of its own.
    args.switch("--new");
    args.end()?;
    let here = std::env::current_dir().map_err(Failure::NoDirectory)?;
    let new = session.within(|context| hbs2_git::init::init(context, &here))?;
    Ok(session.voice.line(format_args!("added git remote {} {}", new.remote, new.url))?)
}
