//! `run`: words that the original evaluates as scripts; here each is a command that has another name too.

use super::{export, tools};
use crate::error::Failure;
use crate::git::session::Session;
use crate::git::show;
use crate::git::table::Run;
use crate::git::words::Args;

/// The words, with their arguments and what they do.
const WORDS: [(&str, &str, Run); 4] = [
    ("help", "", help),
    ("lww:fsck", "LWWREF", export::fsck),
    ("remote:hbs2:show", "", show::remotes),
    ("remote:refs:show", "[REMOTE]", tools::show_ref),
];

/// `run help | lww:fsck LWWREF | remote:hbs2:show | remote:refs:show [REMOTE]`
///
/// # Errors
/// There is no such word; those of the command behind it.
pub fn run(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let wrong = |message: String| Args::new("run", &[]).wrong(message);
    let Some((word, rest)) = args.split_first() else {
        return Err(wrong("missing: a word, such as help".to_owned()));
    };
    match WORDS.iter().find(|(name, _, _)| name == word) {
        Some((_, _, run)) => run(session, rest),
        None => Err(wrong(format!("there is no word '{word}'"))),
    }
}

fn help(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    Args::new("run", args).end()?;
    for (name, args, _) in WORDS {
        session.voice.line(format!("{name} {args}").trim_end())?;
    }
    Ok(())
}
