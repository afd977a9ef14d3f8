//! Commands that wait for a repository: `repo:wait`, `repo:import`, `repo:relay-only`.

use super::session::Session;
use super::words::Args;
use crate::error::Failure;

/// `repo:wait REPO`
///
/// # Errors
/// Something does not arrive in time.
pub fn wait(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let mut args = Args::new("repo:wait", args);
    let repo = args.word("REPO")?;
    args.end()?;
    let manifest = session.with(repo, |repository| repository.wait())?;
    Ok(session.voice.line(manifest.pretty())?)
}

/// `repo:import REPO`
///
/// # Errors
/// There is no git repository here, or something does not arrive in time.
pub fn import(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let mut args = Args::new("repo:import", args);
    let repo = args.word("REPO")?;
    args.end()?;
    session.git_required()?;
    match session.with(repo, |repository| repository.import())? {
        Some(checkpoint) => {
            session.voice.talk().detail(format_args!("imported checkpoint {}", checkpoint.id));
        }
        None => session.voice.talk().note("nothing has been pushed to this repository yet"),
    }
    Ok(())
}

/// `repo:relay-only KEY`
///
/// # Errors
/// The repository does not arrive within ten seconds; the subscription stays.
pub fn relay_only(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let mut args = Args::new("repo:relay-only", args);
    let repo = args.word("KEY")?;
    args.end()?;
    session.with(repo, |repository| repository.relay_only())
}
