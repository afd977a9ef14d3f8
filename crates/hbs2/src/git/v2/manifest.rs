//! `manifest list | show | update`: what a project says about itself.

use std::io::Read;
use std::path::Path;

use hbs2_core::Hash;
use hbs2_git::v2::files::Files;
use hbs2_git::v2::head::MANIFEST_BYTES_MAX;
use hbs2_git::v2::{Privacy, Wish, read_head};

use crate::error::Failure;
use crate::git::group::group_key;
use crate::git::session::Session;
use crate::git::show;
use crate::git::words::Args;

/// `manifest list LWWREF`, `manifest show HASH`, `manifest update (-f FILE | --stdin) [--new [--encrypted GK-FILE]]
/// LWWREF`; with any other word the manifest of a version 3 repository, as `repo:manifest`.
///
/// # Errors
/// The repository does not arrive, is not ours, or the text is too long.
pub fn manifest(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    match args.split_first() {
        Some((word, rest)) if word == "list" => list(session, rest),
        Some((word, rest)) if word == "show" => show_one(session, rest),
        Some((word, rest)) if word == "update" => update(session, rest),
        _ => show::manifest(session, args),
    }
}

/// The heads in which the manifest changed, oldest first.
fn list(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let mut args = Args::new("manifest", args);
    let repo = args.word("LWWREF")?;
    args.end()?;
    let heads = session.with_second(repo, |repository| repository.heads())?;
    let mut last = None;
    for (tree, head) in heads.iter().rev() {
        let text = head.manifest.clone().unwrap_or_default();
        if last.as_ref() != Some(&text) {
            session.voice.line(format_args!("{} {tree} (manifest length {})", head.time, text.len()))?;
            last = Some(text);
        }
    }
    Ok(())
}

fn show_one(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let mut args = Args::new("manifest", args);
    let word = args.word("HASH")?;
    let tree: Hash = word.parse().map_err(|_| args.wrong(format!("'{word}' is no hash")))?;
    args.end()?;
    let head = session
        .within(|context| read_head(context, &format!("head {tree}"), tree, context.settings.timeout))?;
    Ok(session.voice.line(head.manifest.unwrap_or_default().trim_end())?)
}

fn update(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let mut args = Args::new("manifest", args);
    let (stdin, create) = (args.switch("--stdin"), args.switch("--new"));
    let group = args.option::<1>("--encrypted")?.map(|[file]| file.to_owned());
    let file = args.option::<1>("-f")?.map(|[file]| file.to_owned());
    let repo = args.word("LWWREF")?.to_owned();
    if stdin == file.is_some() {
        return Err(args.wrong("one of -f FILE and --stdin is expected".to_owned()));
    }
    if group.is_some() && !create {
        return Err(
            args.wrong("--encrypted needs --new; for another group key: export --encrypted".to_owned())
        );
    }
    args.end()?;
    let git = session.git_required()?;
    let privacy = match group {
        Some(file) => Privacy::Group(group_key(session, &file)?),
        None => Privacy::Keep,
    };
    let text = match file {
        Some(file) => read(&file, std::fs::File::open(&file).map_err(|source| unread(&file, source))?)?,
        None => read("stdin", session.voice.take_input())?,
    };
    Files::of(&git).keep_manifest(&text)?;
    let wish = Wish { create, privacy, manifest: Some(text), ..Wish::default() };
    session.with_second(&repo, |repository| repository.export(&wish).map(drop))
}

fn read(name: &str, from: impl Read) -> Result<String, Failure> {
    let mut text = String::new();
    let mut limited = from.take(MANIFEST_BYTES_MAX as u64 + 1);
    limited.read_to_string(&mut text).map_err(|source| unread(name, source))?;
    match text.len() {
        0..=MANIFEST_BYTES_MAX => Ok(text),
        _ => Err(Failure::TooLong { what: name.to_owned(), bytes_max: MANIFEST_BYTES_MAX }),
    }
}

fn unread(name: &str, source: std::io::Error) -> Failure {
    Failure::File { path: Path::new(name).to_owned(), source }
}
