//! `hbs2 completion SHELL [PROGRAM]`: what a shell completes.
//!
//! For a program with a table there is one script a shell, which walks over the words before the cursor: options with
//! their values, then a command and its arguments, then perhaps `and` and another one. What may stand where is filled in
//! from its [`Grammar`].

use std::collections::BTreeMap;

use clap_complete::Shell;

use super::grammar::{Choice, Grammar, Kind, Place};
use super::{Explained, Table, explained, names};
use crate::error::Failure;
use crate::line::JOINTS;
use crate::voice::Voice;

/// Print what a shell needs to complete commands
///
/// Put the output where the shell looks, one file a program, or read all of it when the shell starts.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  eval \"$(hbs2 completion bash)\"            in ~/.bashrc
  eval \"$(hbs2 completion zsh)\"             in ~/.zshrc, after compinit
  hbs2 completion fish | source             in ~/.config/fish/config.fish")]
pub struct Words {
    /// The shell
    #[arg(value_name = "SHELL", value_parser = ["bash", "zsh", "fish"])]
    shell: String,
    /// One program only
    #[arg(value_name = "PROGRAM", value_parser = clap::builder::PossibleValuesParser::new(names()))]
    program: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// Stdout cannot be written.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let shell = match &*words.shell {
        "zsh" => Shell::Zsh,
        "fish" => Shell::Fish,
        _ => Shell::Bash,
    };
    for name in names().filter(|name| words.program.as_ref().is_none_or(|wanted| wanted == name)) {
        voice.out().write_all(script(shell, name).as_bytes())?;
    }
    Ok(())
}

/// The script for one program.
fn script(shell: Shell, name: &'static str) -> String {
    match explained(name) {
        Some(Explained::Clap(mut command)) => {
            let mut bytes = Vec::new();
            clap_complete::generate(shell, &mut command, name, &mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        }
        Some(Explained::Table(table)) => Dialect::of(shell).script(&table, name),
        None => String::new(),
    }
}

/// How a shell writes things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Bash,
    Zsh,
    Fish,
}

impl Dialect {
    fn of(shell: Shell) -> Self {
        match shell {
            Shell::Zsh => Self::Zsh,
            Shell::Fish => Self::Fish,
            _ => Self::Bash,
        }
    }

    /// The script of a program with a table.
    fn script(self, table: &Table, name: &str) -> String {
        let template = match self {
            Self::Bash => include_str!("completion/table.bash"),
            Self::Zsh => include_str!("completion/table.zsh"),
            Self::Fish => include_str!("completion/table.fish"),
        };
        let grammar = Grammar::of(table, name);
        let is_dashed = |choice: &&Choice| choice.word.starts_with('-');
        let (dashed_first, first): (Vec<&Choice>, Vec<&Choice>) =
            grammar.options.iter().chain(&grammar.first).partition(is_dashed);
        let (dashed, commands): (Vec<&Choice>, Vec<&Choice>) = grammar.commands.iter().partition(is_dashed);
        let [and, then] = JOINTS;
        let marks = [
            ("FUNCTION", name.replace('-', "_")),
            ("PROGRAM", name.to_owned()),
            ("LANGUAGE", if table.is_language { "yes" } else { "no" }.to_owned()),
            ("AND", and.to_owned()),
            ("THEN", then.to_owned()),
            ("AND_ITEM", self.item(and, "begins another command")),
            ("DASHED_FIRST", self.items(&dashed_first, " ")),
            ("FIRST", self.items(&first, " ")),
            ("DASHED", self.items(&dashed, " ")),
            ("COMMANDS", self.items(&commands, if self == Self::Fish { " \\\n" } else { "\n" })),
            ("VALUES", self.values(&grammar)),
            ("OPTIONS", self.options(&grammar)),
            ("PLACES", self.places(&grammar)),
        ];
        marks
            .iter()
            .fold(template.to_owned(), |text, (mark, filling)| text.replace(&format!("@{mark}@"), filling))
    }

    /// Which options take which values.
    fn values(self, grammar: &Grammar) -> String {
        let mut cases = Cases::default();
        for ((command, option), kinds) in &grammar.values {
            let letters: String = kinds.iter().copied().map(letter).collect();
            let effect = match self {
                Self::Fish if letters.is_empty() => "true".to_owned(),
                Self::Fish => format!("echo {}", self.quoted(&letters)),
                _ => format!("want={letters}"),
            };
            cases.add(effect, self.quoted(&format!("{command} {option}")));
        }
        cases.written(self)
    }

    /// The options of each command.
    fn options(self, grammar: &Grammar) -> String {
        let mut cases = Cases::default();
        for (command, shape) in grammar.shapes.iter().filter(|(_, shape)| !shape.options.is_empty()) {
            let items: Vec<String> = shape.options.iter().map(|option| self.item(option, "")).collect();
            cases.add(self.list(&items), self.quoted(command));
        }
        cases.written(self)
    }

    /// What each argument of each command may be.
    fn places(self, grammar: &Grammar) -> String {
        // A case for all arguments stands behind those for one.
        let (mut single, mut other) = (Cases::default(), Cases::default());
        for (command, shape) in &grammar.shapes {
            for (at, place) in shape.places.iter().enumerate() {
                single.add(self.place(place), self.quoted(&format!("{command} {at}")));
            }
            if let Some(rest) = &shape.rest {
                let pattern = match self {
                    Self::Fish => self.quoted(&format!("{command} *")),
                    _ => self.quoted(&format!("{command} ")) + "*",
                };
                other.add(self.place(rest), pattern);
            }
        }
        [single.written(self), other.written(self)].join("\n")
    }

    fn place(self, place: &Place) -> String {
        let items: Vec<String> = place.words.iter().map(|word| self.item(word, "")).collect();
        let list = (!items.is_empty()).then(|| self.list(&items));
        let kind = (place.kind != Kind::Free).then(|| match self {
            Self::Fish => format!("set kind {}", letter(place.kind)),
            _ => format!("kind={}", letter(place.kind)),
        });
        kind.into_iter().chain(list).collect::<Vec<_>>().join("; ")
    }

    fn list(self, items: &[String]) -> String {
        match self {
            Self::Fish => format!("set list {}", items.join(" ")),
            _ => format!("list=({})", items.join(" ")),
        }
    }

    fn items(self, choices: &[&Choice], gap: &str) -> String {
        let items: Vec<String> =
            choices.iter().map(|choice| self.item(&choice.word, &choice.brief)).collect();
        items.join(gap)
    }

    /// A word to choose, with what it does where the shell shows it.
    fn item(self, word: &str, brief: &str) -> String {
        self.quoted(&match self {
            Self::Bash => word.to_owned(),
            Self::Zsh if brief.is_empty() => word.replace(':', "\\:"),
            Self::Zsh => format!("{}:{brief}", word.replace(':', "\\:")),
            Self::Fish if brief.is_empty() => word.to_owned(),
            Self::Fish => format!("{word}\t{brief}"),
        })
    }

    /// In single quotes.
    fn quoted(self, text: &str) -> String {
        match self {
            Self::Fish => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
            _ => format!("'{}'", text.replace('\'', "'\\''")),
        }
    }
}

/// The cases of a choice in a script: what is done, and for what.
#[derive(Debug, Default)]
struct Cases(BTreeMap<String, Vec<String>>);

impl Cases {
    fn add(&mut self, effect: String, pattern: String) {
        self.0.entry(effect).or_default().push(pattern);
    }

    fn written(&self, dialect: Dialect) -> String {
        let case = |(effect, patterns): (&String, &Vec<String>)| match dialect {
            Dialect::Fish if effect.is_empty() => format!("            case {}", patterns.join(" ")),
            Dialect::Bash => format!("        {}) {effect} ;;", patterns.join(" | ")),
            Dialect::Zsh => format!("        ({}) {effect} ;;", patterns.join("|")),
            Dialect::Fish => format!("            case {}\n                {effect}", patterns.join(" ")),
        };
        self.0.iter().map(case).collect::<Vec<_>>().join("\n")
    }
}

/// How the scripts name a kind of value.
fn letter(kind: Kind) -> char {
    match kind {
        Kind::Free => '-',
        Kind::Dir => 'd',
        Kind::File => 'f',
        Kind::Command => 'c',
    }
}
