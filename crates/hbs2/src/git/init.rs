//! `init`: a new repository (spec: git3 4).

use super::group::group_key;
use super::session::Session;
use super::words::Args;
use crate::error::Failure;

/// `init [--new] [--encrypted GK]`
///
/// # Errors
/// git fails, no peer answers, or the key cannot be kept. GK is no group key, or one that we cannot open.
pub fn init(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let mut args = Args::new("init", args);
    // A repository is always new here: each call makes a key of its own.
    args.switch("--new");
    let named = args.option::<1>("--encrypted")?;
    args.end()?;
    let group = named.map(|[named]| group_key(session, named)).transpose()?;
    let here = std::env::current_dir().map_err(Failure::NoDirectory)?;
    let new = session.within(|context| hbs2_git::init::init(context, &here, group))?;
    Ok(session.voice.line(format_args!("added git remote {} {}", new.remote, new.url))?)
}
