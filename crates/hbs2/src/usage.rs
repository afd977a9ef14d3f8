//! Reading the words of a command: help on stdout, a wrong use explained on stderr.
//!
//! The definitions of commands and their help are one (`clap`). A wrong use says what is wrong in the voice of
//! the house, names the closest right word, and shows the short help of the command concerned (spec: cli 1.3).

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::Command;

use crate::error::{DONE, FAILED};
use crate::voice::Voice;

/// Reads `words` as the program `C` under the name in `voice`. `Err` is the exit code after help was shown.
///
/// # Errors
/// [`DONE`] when help was asked for, [`FAILED`] when the words make no command.
pub fn read<C: clap::Parser>(words: &[OsString], voice: &mut Voice) -> Result<C, u8> {
    let name = voice.program();
    let mut command = C::command().name(name).bin_name(name);
    command.build();
    let all = std::iter::once(OsString::from(name)).chain(words.iter().cloned());
    let matches = command.try_get_matches_from_mut(all).and_then(|mut matches| {
        C::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
    });
    matches.map_err(|error| explain(&error, concerned(&mut command, words), voice))
}

/// The innermost command that `words` name.
fn concerned<'a>(command: &'a mut Command, words: &[OsString]) -> &'a mut Command {
    let known = |command: &Command, word: &str| command.find_subcommand(word).is_some();
    let next = words.iter().enumerate().find_map(|(at, word)| {
        let word = word.to_str()?;
        known(command, word).then(|| (at, word.to_owned()))
    });
    match next {
        Some((at, word)) => {
            let inner = command.find_subcommand_mut(&word).expect("the command was found above");
            concerned(inner, &words[at + 1..])
        }
        None => command,
    }
}

fn explain(error: &clap::Error, command: &mut Command, voice: &mut Voice) -> u8 {
    if !error.use_stderr() {
        // Help that nobody reads to its end is no failure.
        let _ = write!(voice.out(), "{error}");
        let _ = voice.flush();
        return DONE;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        voice.talk().error("a command is missing");
    } else {
        voice.talk().error(complaint(error));
        if let Some(hint) = suggestion(error) {
            voice.talk().hint(hint);
        }
    }
    let help = command.render_help();
    voice.talk().raw(format_args!("\n{help}"));
    FAILED
}

fn complaint(error: &clap::Error) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(" "),
        _ => String::new(),
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => format!("unknown command '{}'", text(ContextKind::InvalidSubcommand)),
        ErrorKind::UnknownArgument => {
            let word = text(ContextKind::InvalidArg);
            let what = if word.starts_with('-') { "unknown option" } else { "one word too many:" };
            format!("{what} '{word}'")
        }
        ErrorKind::MissingRequiredArgument => format!("missing: {}", text(ContextKind::InvalidArg)),
        ErrorKind::MissingSubcommand => "a command is missing".to_owned(),
        _ => first_line(error),
    }
}

/// The first line of clap's own text, without its prefix: it names value, argument and reason.
fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

fn suggestion(error: &clap::Error) -> Option<String> {
    let kinds = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue];
    kinds.into_iter().find_map(|kind| match error.get(kind)? {
        ContextValue::String(word) => Some(format!("did you mean '{word}'?")),
        ContextValue::Strings(words) => words.first().map(|word| format!("did you mean '{word}'?")),
        _ => None,
    })
}

/// The word of `known` that is closest to `word`, when it is close enough to be a slip of the finger.
#[must_use]
pub fn closest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = word.chars().count() / 3 + 1;
    known.map(|candidate| (distance(word, candidate), candidate)).filter(|(d, _)| *d <= allowed).min().map(|(_, c)| c)
}

/// Levenshtein distance, in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_word() {
        let known = ["repo:manifest", "repo:refs", "init"];
        assert_eq!(closest("repo:manifets", known.into_iter()), Some("repo:manifest"));
        assert_eq!(closest("inti", known.into_iter()), Some("init"));
        assert_eq!(closest("clone", known.into_iter()), None);
    }
}
