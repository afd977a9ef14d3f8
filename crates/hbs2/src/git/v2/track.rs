//! `track`: announcements of repositories in a channel (docs/spec/git2.md).

use hbs2_core::refchan::VerifiedUpdate;
use hbs2_core::{ChanUpdate, Decode, Hash, SignPublicKey};
use hbs2_git::announcement::Announcement;

use super::only_remote;
use crate::error::Failure;
use crate::git::session::Session;
use crate::git::words::Args;
use crate::peer::refchan;
use crate::store::blocks::Blocks;

/// `track send-repo-notify [-n] CHAN [REPO]`, `track show-repo-notify HASH`, `track gen-repo-index LWWREF`
///
/// # Errors
/// The repository does not arrive or is not ours; the channel does not take what we write; no announcement.
pub fn track(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let wrong = |message: String| Args::new("track", &[]).wrong(message);
    match args.split_first() {
        Some((word, rest)) if word == "send-repo-notify" => send(session, rest),
        Some((word, rest)) if word == "show-repo-notify" => show(session, rest),
        Some((word, rest)) if word == "gen-repo-index" => index(session, rest),
        Some((word, _)) => Err(wrong(format!("there is no word '{word}'"))),
        None => Err(wrong("missing: send-repo-notify, show-repo-notify or gen-repo-index".to_owned())),
    }
}

fn send(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let mut args = Args::new("track", args);
    let dry = args.switch("-n");
    let word = args.word("CHAN")?;
    let chan: SignPublicKey = word.parse().map_err(|_| args.wrong(format!("'{word}' is no key")))?;
    let repo = args.maybe_word()?.map(str::to_owned);
    args.end()?;
    let repo = repo.map_or_else(|| only_remote(session), Ok)?;
    let announcement = announcement(session, &repo)?;
    let text = announcement.to_text();
    if dry {
        return Ok(session.voice.line(text.trim_end())?);
    }
    let daemon = session.daemon()?;
    refchan::propose(&daemon, chan, announcement.repository, text.into(), session.voice.talk())
}

fn show(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let mut args = Args::new("track", args);
    let word = args.word("HASH")?;
    let id: Hash = word.parse().map_err(|_| args.wrong(format!("'{word}' is no hash")))?;
    args.end()?;
    let block = Blocks::behind(session.daemon()?).get(&id)?.ok_or(Failure::MissedBlock { hash: id })?;
    let other = |why: String| Failure::told(format!("block {id} is no announcement of a repository: {why}"));
    let update = ChanUpdate::from_bytes(&block).map_err(|error| other(error.to_string()))?;
    let verified = update.verify().map_err(|error| other(error.to_string()))?;
    let VerifiedUpdate::Propose { author, payload, .. } = verified else {
        return Err(other("it accepts something else".to_owned()));
    };
    let announcement = Announcement::parse(&payload).map_err(|error| other(error.to_string()))?;
    if announcement.repository != author {
        return Err(other(format!(
            "it is signed by {author} and not by repository {}",
            announcement.repository
        )));
    }
    Ok(session.voice.line(announcement.to_text().trim_end())?)
}

fn index(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let mut args = Args::new("track", args);
    let repo = args.word("LWWREF")?;
    args.end()?;
    let text = announcement(session, repo)?.to_text();
    Ok(session.voice.line(text.trim_end())?)
}

fn announcement(session: &mut Session<'_>, repo: &str) -> Result<Announcement, Failure> {
    session.with_any(repo, None, |_, repository| repository.announcement())
}
