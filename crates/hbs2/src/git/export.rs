//! `reflog:export`: publish revisions under any names.

use hbs2_git::export::{ExportRequest, RefUpdate};
use hbs2_git::gitdir::Revision;
use hbs2_git::{Error, GitDir, RefName, remotes};

use super::session::Session;
use super::words::Args;
use crate::error::Failure;

/// `reflog:export [REV] [--to REPO] [--ref NAME]… [--set NAME REV2]… [--del NAME]…`
///
/// # Errors
/// A revision does not exist, the repository is not ours, or no peer answers.
pub fn export(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let git = session.git_required()?;
    let (plan, repo) = plan(Args::new("reflog:export", args), &git)?;
    let repo = match repo {
        Some(repo) => repo,
        None => only_remote(session)?,
    };
    let updates = updates(&git, &plan)?;
    let request = ExportRequest { updates, seen: None, atomic: false };
    let exported = session.with(&repo, |repository| repository.export(&request))?;
    let refused = exported.results.iter().find_map(|(name, refusal)| Some((name, (*refusal)?)));
    if let Some((name, refusal)) = refused {
        return Err(Failure::Refused { name: name.to_string(), refusal });
    }
    session.voice.talk().detail(format_args!("{} objects exported", exported.objects));
    Ok(())
}

/// A name and the revision it shall have; none deletes it.
type Planned = (RefName, Option<String>);

fn plan(mut args: Args<'_>, git: &GitDir) -> Result<(Vec<Planned>, Option<String>), Failure> {
    let repo = args.option::<1>("--to")?.map(|[repo]| repo.to_owned());
    let (mut names, mut plan) = (Vec::new(), Vec::new());
    while let Some([name]) = args.option("--ref")? {
        names.push(full_name(name)?);
    }
    while let Some([name, revision]) = args.option("--set")? {
        plan.push((full_name(name)?, Some(revision.to_owned())));
    }
    while let Some([name]) = args.option("--del")? {
        plan.push((full_name(name)?, None));
    }
    let revision = args.maybe_word()?.unwrap_or("HEAD").to_owned();
    if names.is_empty() && plan.is_empty() {
        let branch = current_branch(git).ok_or_else(|| args.wrong("missing: --ref NAME".to_owned()))?;
        names.push(branch);
    }
    args.end()?;
    plan.extend(names.into_iter().map(|name| (name, Some(revision.clone()))));
    Ok((plan, repo))
}

/// A short name means a branch.
fn full_name(name: &str) -> Result<RefName, Failure> {
    let full = if name == "HEAD" || name.starts_with("refs/") {
        name.to_owned()
    } else {
        format!("refs/heads/{name}")
    };
    full.parse().map_err(|_| Failure::RefName { name: name.to_owned() })
}

fn current_branch(git: &GitDir) -> Option<RefName> {
    let head = std::fs::read_to_string(git.dir().join("HEAD")).ok()?;
    head.trim_end().strip_prefix("ref: ")?.parse().ok()
}

fn updates(git: &GitDir, plan: &[Planned]) -> Result<Vec<RefUpdate>, Failure> {
    let wanted: Vec<&str> = plan.iter().filter_map(|(_, revision)| revision.as_deref()).collect();
    let mut found = git.revisions(&wanted)?.into_iter();
    let mut update = |(name, revision): &Planned| -> Result<RefUpdate, Failure> {
        let to: Option<Revision> = match revision {
            Some(revision) => {
                let found = found.next().flatten();
                Some(found.ok_or_else(|| Error::NoRevision { name: revision.clone() })?)
            }
            None => None,
        };
        Ok(RefUpdate { name: name.clone(), to, force: true, lease: None })
    };
    plan.iter().map(&mut update).collect()
}

fn only_remote(session: &mut Session<'_>) -> Result<String, Failure> {
    let names: Vec<String> = remotes::list(session.config()?).into_iter().map(|remote| remote.name).collect();
    match names.as_slice() {
        [name] => Ok(name.clone()),
        _ => Err(Failure::WhichRemote { count: names.len() }),
    }
}
