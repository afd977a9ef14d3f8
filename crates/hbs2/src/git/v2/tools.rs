//! `tools`: a look at references, remotes and packs.

use std::io::Read;

use hbs2_git::Generation;
use hbs2_git::remotes::Remote;
use hbs2_git::v2::container;

use super::{Known, known_remotes, only_remote};
use crate::error::Failure;
use crate::git::session::Session;
use crate::git::words::Args;

/// `tools show-ref [REMOTE]`, `tools show-remotes`, `tools dump-pack [--info-only | --objects | --pack]`
///
/// # Errors
/// The repository does not arrive, or stdin is no pack.
pub fn tools(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let wrong = |message: String| Args::new("tools", &[]).wrong(message);
    match args.split_first() {
        Some((word, rest)) if word == "show-ref" => show_ref(session, rest),
        Some((word, rest)) if word == "show-remotes" => show_remotes(session, rest),
        Some((word, rest)) if word == "dump-pack" => dump_pack(session, rest),
        Some((word, _)) => Err(wrong(format!("there is no tool '{word}'"))),
        None => Err(wrong("missing: show-ref, show-remotes or dump-pack".to_owned())),
    }
}

/// `tools show-ref [REMOTE]`: the published references.
///
/// # Errors
/// The repository does not arrive.
pub fn show_ref(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let mut args = Args::new("tools", args);
    let repo = args.maybe_word()?.map(str::to_owned);
    args.end()?;
    let repo = repo.map_or_else(|| only_remote(session), Ok)?;
    let git = session.git()?;
    let refs = session.with_any(&repo, git, |_, repository| match repository {
        Generation::Second(second) => {
            let head = second.newest_head()?;
            Ok(head.iter().flat_map(|head| head.existing().collect::<Vec<_>>()).collect::<Vec<_>>())
        }
        Generation::Third(third) => {
            let refs = third.refs()?;
            Ok(refs.existing().map(|(name, id)| (name.clone(), id)).collect())
        }
    })?;
    for (name, id) in refs {
        session.voice.line(format_args!("{id} {name}"))?;
    }
    Ok(())
}

fn show_remotes(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    Args::new("tools", args).end()?;
    for (Remote { key, name }, known) in known_remotes(session)? {
        match known {
            Some(Known { seq, reflog }) => session.voice.line(format_args!("{seq:<4} {key} {reflog}"))?,
            None => {
                session.voice.talk().note(format_args!("remote {name} is not here yet: git fetch {name}"));
            }
        }
    }
    Ok(())
}

fn dump_pack(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let mut args = Args::new("tools", args);
    args.switch("--info-only");
    let (objects, pack) = (args.switch("--objects"), args.switch("--pack"));
    args.end()?;
    let mut input = session.voice.take_input();
    let ids = container::read_index(&mut input).map_err(|source| Failure::Pack(Box::new(source)))?;
    if pack {
        std::io::copy(&mut input, session.voice.out())?;
    } else if objects {
        for id in ids {
            session.voice.line(id)?;
        }
    } else {
        let size = container::write_index(&ids).len() - container::HEAD_BYTES;
        session.voice.line("version: 1")?;
        session.voice.line(format_args!("index size: {size}"))?;
        session.voice.line(format_args!("objects: {}", ids.len()))?;
    }
    // A writer that is not read to its end would fail.
    std::io::copy(&mut input.by_ref(), &mut std::io::sink()).map_err(Failure::Input)?;
    Ok(())
}
