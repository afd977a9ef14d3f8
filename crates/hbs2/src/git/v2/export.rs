//! `export`, `import`, `fsck`, `migrate`: what is done with a whole repository.

use hbs2_git::v2::migrate::{self, Migrated};
use hbs2_git::v2::{Privacy, Wish};
use hbs2_git::{RepoUrl, adopt, init};

use crate::error::Failure;
use crate::git::group::group_key;
use crate::git::session::Session;
use crate::git::words::Args;

/// `export [--new] [--public | --encrypted GK-FILE] LWWREF`
///
/// # Errors
/// The repository is not ours, is not there, or no peer answers.
pub fn export(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let mut args = Args::new("export", args);
    let (create, public) = (args.switch("--new"), args.switch("--public"));
    let group = args.option::<1>("--encrypted")?.map(|[file]| file);
    if public && group.is_some() {
        return Err(args.wrong("--public and --encrypted exclude each other".to_owned()));
    }
    if create && !public && group.is_none() {
        return Err(args.wrong("with --new, one of --public and --encrypted GK-FILE is expected".to_owned()));
    }
    let repo = args.word("LWWREF")?.to_owned();
    args.end()?;
    session.git_required()?;
    let privacy = match group {
        Some(file) => Privacy::Group(group_key(session, file)?),
        None if public => Privacy::Public,
        None => Privacy::Keep,
    };
    let wish = Wish { create, privacy, ..Wish::default() };
    let exported = session.with_second(&repo, |repository| repository.export(&wish))?;
    session.voice.talk().detail(format_args!("{} objects exported", exported.objects));
    Ok(())
}

/// `import LWWREF`
///
/// # Errors
/// There is no git repository here, or something does not arrive in time.
pub fn import(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let mut args = Args::new("import", args);
    let repo = args.word("LWWREF")?;
    args.end()?;
    let git = session.git_required()?;
    session.with_any(repo, Some(git.clone()), |context, repository| {
        adopt::adopt(context, &git, &repository.refs()?)
    })
}

/// `fsck LWWREF`
///
/// # Errors
/// A block does not arrive, or a pack is broken or sealed for others.
pub fn fsck(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let mut args = Args::new("fsck", args);
    let repo = args.word("LWWREF")?;
    args.end()?;
    let mut lines = Vec::new();
    let checked = session.with_second(repo, |repository| {
        repository.check(|kind, hash| lines.push(format!("{kind} {hash} ok")))
    });
    for line in lines {
        session.voice.line(line)?;
    }
    checked
}

/// `migrate LWWREF [--in-place]`
///
/// # Errors
/// The repository does not arrive, is sealed for others or not ours, or the copy differs; nothing was switched then.
pub fn migrate(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let mut args = Args::new("migrate", args);
    let in_place = args.switch("--in-place");
    let repo = args.word("LWWREF")?.to_owned();
    args.end()?;
    let key = session.resolve(&repo)?;
    let Migrated { key, references, objects, .. } =
        session.within(|context| migrate::migrate(context, key, in_place))?;
    let url = RepoUrl { key };
    match session.git()?.filter(|_| !in_place) {
        Some(git) => {
            let name = init::add_remote(&git, url)?;
            session.voice.line(format_args!("added git remote {name} {url}"))?;
        }
        None => session.voice.line(url)?,
    }
    session
        .voice
        .talk()
        .note(format_args!("{references} references and {objects} objects, compared one by one"));
    Ok(())
}
