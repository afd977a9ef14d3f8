//! Who may read an encrypted repository: `repo:gk` and its kind (spec: git3 10.5).

use std::path::Path;

use hbs2_core::Hash;
use hbs2_git::groupkey;

use super::session::Session;
use super::words::Args;
use crate::error::Failure;

/// The group key that `named` means: the hash of one in the store, or the file of one, which is stored.
///
/// # Errors
/// It is neither, or no peer answers.
pub fn group_key(session: &mut Session<'_>, named: &str) -> Result<Hash, Failure> {
    if let Ok(hash) = named.parse() {
        return Ok(hash);
    }
    let group = crate::groupkey::read(Some(Path::new(named)), session.voice)?;
    session.within(|context| groupkey::store(context, &group))
}

/// `repo:gk REPO`
///
/// # Errors
/// The repository does not arrive.
pub fn show(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let repo = only_repo("repo:gk", args)?;
    match session.with(repo, |repository| repository.group())? {
        Some(group) => Ok(session.voice.line(format_args!("(gk {group})"))?),
        None => Ok(()),
    }
}

/// `repo:gk:journal REPO`
///
/// # Errors
/// The repository does not arrive.
pub fn journal(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let repo = only_repo("repo:gk:journal", args)?;
    for group in session.with(repo, |repository| repository.group_journal())? {
        session.voice.line(group)?;
    }
    Ok(())
}

/// `repo:gk:journal:import REPO`
///
/// # Errors
/// The repository does not arrive, or the key index fails.
pub fn journal_import(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let repo = only_repo("repo:gk:journal:import", args)?;
    session.with(repo, |repository| repository.import_group_journal())
}

/// `repo:gk:journal:imported REPO`
///
/// # Errors
/// The local state cannot be read.
pub fn journal_imported(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let repo = only_repo("repo:gk:journal:imported", args)?;
    let journal = session.with(repo, |repository| repository.imported_group_journal())?;
    Ok(session.voice.line(journal.map_or_else(|| "()".to_owned(), |journal| journal.to_string()))?)
}

/// `repo:gk:add:extra:keys REPO GK…`
///
/// # Errors
/// The repository is not ours, or a GK is no group key.
pub fn add(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let mut args = Args::new("repo:gk:add:extra:keys", args);
    let repo = args.word("REPO")?;
    let mut groups = vec![group_key(session, args.word("GK")?)?];
    while let Some(named) = args.maybe_word()? {
        groups.push(group_key(session, named)?);
    }
    session.with(repo, |repository| repository.add_group_keys(&groups))
}

/// `repo:gk:update REPO GK`
///
/// # Errors
/// The repository is not ours, GK is no group key, or one that does not fit.
pub fn update(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let mut args = Args::new("repo:gk:update", args);
    let (repo, named) = (args.word("REPO")?, args.word("GK")?);
    args.end()?;
    let group = group_key(session, named)?;
    let updated = session.with(repo, |repository| repository.update_group(group))?;
    for (group, id) in updated.known {
        let id = id.map(|id| id.to_string()).unwrap_or_default();
        session.voice.line(format!("gk {group} {id}").trim_end())?;
    }
    for group in updated.added {
        session.voice.line(format_args!("new gk {group}"))?;
    }
    Ok(())
}

/// Takes the only argument, REPO.
fn only_repo<'a>(command: &'static str, args: &'a [String]) -> Result<&'a str, Failure> {
    let mut args = Args::new(command, args);
    let repo = args.word("REPO")?;
    args.end()?;
    Ok(repo)
}
