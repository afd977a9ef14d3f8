//! Shell completions and manual pages of all programs, from the definitions that also give `--help`.
//!
//! Programs of `clap` are laid out by its generators. `hbs2-git3` and `hbs2-cli` have tables of their own, of commands
//! and words whose names have colons: [`completion`] and [`man`] write those themselves, from what [`grammar`] reads out
//! of their help.

use clap::Command;
use hbs2_script::{Word, help};

use crate::names::{LINKS, Program};
use crate::{base, cli, fixer, git, keyman, peer, sync};

pub mod completion;
mod grammar;
pub mod man;

/// A program as it explains itself.
pub(crate) enum Explained {
    /// By its definition for `clap`.
    Clap(Box<Command>),
    /// By a table of names.
    Table(Table),
}

/// A program with a table of commands or words.
pub(crate) struct Table {
    /// What the program does, in a few words.
    pub(crate) brief: String,
    /// What `-h` says.
    pub(crate) usage: String,
    /// Whether arguments may be forms in brackets.
    pub(crate) is_language: bool,
    /// Names with what they do, and their pages.
    pub(crate) entries: Vec<Entry>,
}

/// A command or word.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    /// Its arguments, as a pattern.
    pub(crate) args: &'static str,
    pub(crate) brief: &'static str,
    pub(crate) page: String,
}

/// The names of all programs that are started by people.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let by_people = |program: &Program| !matches!(program, Program::RemoteHelper);
    LINKS.iter().filter(move |(_, program)| by_people(program)).map(|(name, _)| *name)
}

/// How the program with this name explains itself; none when there is no such program.
pub(crate) fn explained(name: &'static str) -> Option<Explained> {
    let (_, program) = LINKS.iter().find(|(link, _)| *link == name)?;
    Some(match program {
        Program::Hbs2 => Explained::Clap(Box::new(base::command())),
        Program::Peer => Explained::Clap(Box::new(peer::command())),
        Program::Keyman => Explained::Clap(Box::new(keyman::command())),
        Program::Fixer => Explained::Clap(Box::new(fixer::command())),
        Program::GitSubscribe => Explained::Clap(Box::new(git::v2::subscribe::command())),
        Program::Cli => {
            let table = Table::of_words(cli::usage::TEXT, &cli::all_words(), help::page);
            Explained::Table(Table { is_language: true, ..table })
        }
        Program::Sync => {
            let page = |word: &Word<_>| help::command_page(word, name);
            Explained::Table(Table::of_words(sync::usage::TEXT, &sync::own_words(), page))
        }
        Program::Git3 => {
            let usage = git::help::overview_text(name);
            let entries = git::table::COMMANDS
                .iter()
                .map(|command| Entry {
                    name: command.name,
                    args: command.args,
                    brief: command.brief,
                    page: git::help::page(command, name),
                })
                .collect();
            let (brief, is_language) = (first_line(&usage), false);
            Explained::Table(Table { brief, usage, is_language, entries })
        }
        Program::RemoteHelper => return None,
    })
}

impl Table {
    /// That of a program whose names are words of the language.
    fn of_words<W>(usage: &str, words: &[Word<W>], page: impl Fn(&Word<W>) -> String) -> Self {
        let entry =
            |word: &Word<W>| Entry { name: word.name, args: word.args, brief: word.brief, page: page(word) };
        let entries = words.iter().map(entry).collect();
        Self { brief: first_line(usage), usage: usage.to_owned(), is_language: false, entries }
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
