//! `key`: the group key of an encrypted repository.

use hbs2_git::groupkey;

use super::{known_remotes, only_remote};
use crate::error::Failure;
use crate::git::group::group_key;
use crate::git::session::Session;
use crate::git::words::Args;

/// `key [show] [--full] [REPO]`, or `key update LWWREF GK-FILE`
///
/// # Errors
/// The repository or its group key does not arrive in time.
pub fn key(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    match args.split_first() {
        Some((word, rest)) if word == "update" => update(session, rest),
        Some((word, rest)) if word == "show" => show(session, rest),
        _ => show(session, args),
    }
}

fn show(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let mut args = Args::new("key", args);
    let full = args.switch("--full");
    let repo = args.maybe_word()?.map(str::to_owned);
    args.end()?;
    let repo = repo.map_or_else(|| only_remote(session), Ok)?;
    let head = session.with_second(&repo, |repository| repository.newest_head())?;
    let Some(group) = head.and_then(|head| head.group) else {
        session.voice.talk().note("this repository is not encrypted");
        return Ok(());
    };
    if !full {
        return Ok(session.voice.line(group)?);
    }
    let key = session.within(|context| groupkey::load(context, group, context.settings.timeout))?;
    let dump = key.dump();
    // Its first line says what the line above it says.
    let lines = dump.lines().filter(|line| !line.starts_with(';'));
    session.voice.line(format_args!(";; group key {group}\n"))?;
    for line in lines {
        session.voice.line(line)?;
    }
    Ok(())
}

/// Makes a group key the one of the next export. The original takes the key of the reflog here; both are understood.
fn update(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let mut args = Args::new("key", args);
    let repo = args.word("LWWREF")?.to_owned();
    let file = args.word("GK-FILE")?.to_owned();
    args.end()?;
    session.git_required()?;
    let of_reflog = known_remotes(session)?
        .into_iter()
        .find(|(_, known)| known.as_ref().is_some_and(|known| known.reflog.to_string() == repo));
    let repo = of_reflog.map_or(repo, |(remote, _)| remote.name);
    let group = group_key(session, &file)?;
    let planned = session.with_second(&repo, |repository| repository.plan_group(group));
    match planned {
        Ok(()) => Ok(session.voice.line(group)?),
        Err(failure) => {
            session.voice.line("not added")?;
            Err(failure)
        }
    }
}
