//! What may stand where on the command line of a program with a table: read out of its usage and of the patterns of its
//! commands, which people read, too.
//!
//! `Usage:` names what can only come first, `Options` the options before the first command, `Commands:` further forms of
//! commands. In a pattern a word in capitals stands for something, `[…]` may be missing, `|` separates alternatives, `…`
//! repeats. What ends in `FILE` or is a `PATH` is a file, a `DIR` is a directory.

use std::collections::{BTreeMap, BTreeSet};

use super::Table;

/// What may stand where.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Grammar {
    /// Options before the first command.
    pub(super) options: Vec<Choice>,
    /// What can only come first, such as `stdin`.
    pub(super) first: Vec<Choice>,
    /// The commands.
    pub(super) commands: Vec<Choice>,
    /// What follows a command, or a word that comes first.
    pub(super) shapes: BTreeMap<String, Shape>,
    /// Options that take values, and of which kinds: by their command, which is empty for those before the first one.
    pub(super) values: BTreeMap<(String, String), Vec<Kind>>,
}

/// A word to choose, and what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) word: String,
    pub(super) brief: String,
}

/// What follows a command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// Its options.
    pub(super) options: BTreeSet<String>,
    /// Its arguments in their order.
    pub(super) places: Vec<Place>,
    /// What all others are, when there may be any number.
    pub(super) rest: Option<Place>,
}

/// What an argument may be.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// One of these words.
    pub(super) words: BTreeSet<String>,
    /// Something of this kind.
    pub(super) kind: Kind,
}

/// What a value may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Nothing that can be listed.
    #[default]
    Free,
    /// A directory.
    Dir,
    /// A file.
    File,
    /// The name of a command.
    Command,
}

/// Commands whose argument is a command.
const HELP: [&str; 3] = ["help", "--help", "--help-all"];

impl Grammar {
    /// That of the program `name`.
    pub(super) fn of(table: &Table, name: &str) -> Self {
        let mut grammar = Self::default();
        for line in paragraph(&table.usage, "Options") {
            grammar.add_option(line);
        }
        for line in paragraph(&table.usage, "Usage:") {
            let form = line.strip_prefix("Usage:").unwrap_or(line).trim_start();
            let form = form.strip_prefix(name).and_then(|form| form.strip_prefix(" [OPTIONS] "));
            if let Some((word, args, brief)) = form.and_then(command_line) {
                grammar.first.push(choice(word, brief));
                grammar.add_shape(word, args);
            }
        }
        for entry in table.entries.iter().filter(|entry| is_typed(entry.name)) {
            grammar.commands.push(choice(entry.name, entry.brief));
            grammar.add_shape(entry.name, entry.args);
        }
        for line in paragraph(&table.usage, "Commands:") {
            if let Some((word, args, _)) = command_line(line.trim_start()) {
                grammar.add_shape(word, args);
            }
        }
        if !table.entries.iter().any(|entry| entry.name == "--help") {
            grammar.first.push(choice("--help", "explain a command"));
            grammar.add_shape("--help", "[COMMAND]");
        }
        grammar
    }

    /// Reads a line such as `-c, --config DIR   directory of the peer's config`.
    fn add_option(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let names = words.iter().take_while(|word| word.starts_with('-')).count();
        let values: Vec<Kind> =
            words[names..].iter().take_while(|word| is_placeholder(word)).map(|word| kind(word)).collect();
        let brief = words[names + values.len()..].join(" ");
        for name in &words[..names] {
            let name = name.trim_end_matches(',');
            self.options.push(choice(name, &brief));
            self.values.insert((String::new(), name.to_owned()), values.clone());
        }
    }

    fn add_shape(&mut self, command: &str, args: &str) {
        let mut reading = Reading { tokens: tokens(args), options: BTreeMap::new() };
        let mut read = reading.alternatives();
        if HELP.contains(&command) {
            read.places.iter_mut().for_each(|place| place.kind = Kind::Command);
        }
        let shape = self.shapes.entry(command.to_owned()).or_default();
        shape.merge(read);
        for (option, values) in reading.options {
            shape.options.insert(option.clone());
            self.values.insert((command.to_owned(), option), values);
        }
    }
}

impl Shape {
    fn merge(&mut self, other: Self) {
        for (at, place) in other.places.into_iter().enumerate() {
            self.add(at, place);
        }
        if let Some(rest) = other.rest {
            self.rest.get_or_insert_default().merge(rest);
        }
    }

    fn add(&mut self, at: usize, place: Place) {
        if self.places.len() <= at {
            self.places.resize(at + 1, Place::default());
        }
        self.places[at].merge(place);
    }
}

impl Place {
    fn of(word: &str) -> Self {
        match is_placeholder(word) {
            true => Self { words: BTreeSet::new(), kind: kind(word) },
            false => Self { words: [word.to_owned()].into(), kind: Kind::Free },
        }
    }

    fn merge(&mut self, other: Self) {
        self.words.extend(other.words);
        self.kind = self.kind.max(other.kind);
    }
}

/// A pattern being read from its end: the next token is the last one.
struct Reading<'a> {
    tokens: Vec<Token<'a>>,
    options: BTreeMap<String, Vec<Kind>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    /// Begins a group; whether it may be missing.
    Open(bool),
    Close,
    Or,
    Repeat,
}

impl Reading<'_> {
    /// Reads up to the end of a group or of the pattern.
    fn alternatives(&mut self) -> Shape {
        let mut all = Shape::default();
        loop {
            all.merge(self.sequence());
            if self.tokens.pop() != Some(Token::Or) {
                return all;
            }
        }
    }

    /// Reads one alternative; what ends it is left.
    fn sequence(&mut self) -> Shape {
        let mut shape = Shape::default();
        // The next place, and how many before it may be missing.
        let (mut next, mut missing) = (0, 0);
        while let Some(token) = self.tokens.pop_if(|token| !matches!(token, Token::Or | Token::Close)) {
            let (group, is_optional) = match token {
                Token::Word(option) if option.starts_with('-') && option.len() > 1 => {
                    self.option(option);
                    continue;
                }
                Token::Word(word) => (Shape { places: vec![Place::of(word)], ..Shape::default() }, false),
                Token::Open(is_optional) => (self.alternatives(), is_optional),
                _ => continue,
            };
            if self.tokens.pop_if(|token| *token == Token::Repeat).is_some() {
                for place in &group.places {
                    shape.rest.get_or_insert_default().merge(place.clone());
                }
            }
            for place in group.places {
                for at in next - missing..=next {
                    shape.add(at, place.clone());
                }
                next += 1;
                missing += usize::from(is_optional);
            }
            if let Some(rest) = group.rest {
                shape.rest.get_or_insert_default().merge(rest);
            }
        }
        shape
    }

    /// Takes the values of an option: the placeholders after it that are not in a group of their own.
    fn option(&mut self, option: &str) {
        let mut values = Vec::new();
        while let Some(Token::Word(word)) =
            self.tokens.pop_if(|token| matches!(token, Token::Word(word) if is_placeholder(word)))
        {
            values.push(kind(word));
        }
        self.options.insert(option.to_owned(), values);
    }
}

/// The tokens of a pattern, the first one last.
fn tokens(pattern: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for mut word in pattern.split_whitespace() {
        while let Some(rest) = word.strip_prefix(['[', '(']) {
            tokens.push(Token::Open(word.starts_with('[')));
            word = rest;
        }
        let bare = word.trim_end_matches([']', ')', '…']);
        match bare {
            "" => {}
            "|" => tokens.push(Token::Or),
            _ => tokens.push(Token::Word(bare)),
        }
        tokens.extend(word[bare.len()..].chars().map(|sign| match sign {
            '…' => Token::Repeat,
            _ => Token::Close,
        }));
    }
    tokens.reverse();
    tokens
}

/// The lines of a usage text from the one that begins with `head` to the next empty one. A heading of its own is not
/// among them.
fn paragraph<'a>(usage: &'a str, head: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = usage.lines().skip_while(move |line| !line.starts_with(head));
    lines.take_while(|line| !line.is_empty()).filter(|line| !line.ends_with(':'))
}

/// The name, the arguments and the brief of a line such as `sync [DIR]    make the folder equal`.
fn command_line(line: &str) -> Option<(&str, &str, &str)> {
    let (form, brief) = line.split_once("  ").unwrap_or((line, ""));
    let (name, args) = form.split_once(' ').unwrap_or((form, ""));
    (!name.is_empty() && !is_placeholder(name)).then(|| (name, args, brief.trim_start()))
}

fn choice(word: &str, brief: &str) -> Choice {
    Choice { word: word.to_owned(), brief: brief.to_owned() }
}

/// Whether people type this name as it is: what a shell takes for a sign of its own, they do not.
fn is_typed(name: &str) -> bool {
    let is_plain = |sign: char| sign.is_ascii_alphanumeric() || ":_./+?!=@-".contains(sign);
    name.chars().all(is_plain) && name.contains(|sign: char| sign.is_ascii_alphanumeric())
}

/// Whether a word of a pattern stands for something.
fn is_placeholder(word: &str) -> bool {
    word.starts_with(|sign: char| sign.is_ascii_uppercase())
        && !word.contains(|sign: char| sign.is_ascii_lowercase())
}

fn kind(placeholder: &str) -> Kind {
    match placeholder {
        "PATH" | "GK" => Kind::File,
        "DIR" => Kind::Dir,
        "COMMAND" => Kind::Command,
        file if file.ends_with("FILE") => Kind::File,
        _ => Kind::Free,
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::line;
    use crate::pages::{Explained, explained};

    fn grammar(name: &'static str) -> Grammar {
        let Some(Explained::Table(table)) = explained(name) else { panic!("{name} has a table") };
        Grammar::of(&table, name)
    }

    /// A place in short: its words, and the kind of what else may be there.
    fn shown(place: &Place) -> String {
        let words: Vec<&str> = place.words.iter().map(String::as_str).collect();
        format!("{} {:?}", words.join(" "), place.kind).trim().to_owned()
    }

    #[test]
    fn patterns_say_what_may_stand_where() {
        let check = |args: &str, places: &[&str], rest: &str, options: &[&str]| {
            let mut grammar = Grammar::default();
            grammar.add_shape("x", args);
            let shape = &grammar.shapes["x"];
            let found: Vec<String> = shape.places.iter().map(shown).collect();
            assert_eq!(found, places, "{args}");
            assert_eq!(shape.rest.as_ref().map(shown).unwrap_or_default(), rest, "{args}");
            let found: Vec<String> =
                grammar.values.iter().map(|((_, option), values)| format!("{option} {values:?}")).collect();
            assert_eq!(found, options, "{args}");
        };
        check("", &[], "", &[]);
        check("CHAN PATH", &["Free", "File"], "", &[]);
        check("[--watch] [DIR]", &["Dir"], "", &["--watch []"]);
        check("SYM [EACH] FILE", &["Free", "File", "File"], "", &[]);
        check("FILE…", &["File"], "File", &[]);
        check("[N | best]", &["best Free"], "", &[]);
        check("A B | --refchan CHAN", &["Free", "Free"], "", &["--refchan [Free]"]);
        check(
            "[show] [--full] [REPO] | update LWWREF GK-FILE",
            &["show update Free", "Free", "File"],
            "",
            &["--full []"],
        );
        check(
            "[REV] [--ref NAME]… [--set NAME REV2]…",
            &["Free"],
            "",
            &["--ref [Free]", "--set [Free, Free]"],
        );
        check(
            "update (-f FILE | --stdin) [--new [--encrypted GK-FILE]] LWWREF",
            &["update Free", "Free"],
            "",
            &["--encrypted [File]", "--new []", "--stdin []", "-f [File]"],
        );
    }

    #[test]
    fn programs_are_read_from_their_usage() {
        let sync = grammar("hbs2-sync");
        let first: Vec<&str> = sync.first.iter().map(|choice| &*choice.word).collect();
        assert_eq!(first, ["--watch", "--help"]);
        assert_eq!(sync.shapes["--watch"].places.iter().map(shown).collect::<Vec<_>>(), ["Dir"]);
        assert!(sync.shapes["init"].options.contains("--refchan"));
        assert_eq!(sync.values[&("init".into(), "--refchan".into())], [Kind::Free]);
        assert_eq!(shown(&sync.shapes["help"].places[0]), "Command");
        let cli = grammar("hbs2-cli");
        let first: Vec<&str> = cli.first.iter().map(|choice| &*choice.word).collect();
        assert_eq!(first, ["file", "stdin", "--help"]);
        assert_eq!(shown(&cli.shapes["file"].places[0]), "File");
        assert!(cli.commands.iter().all(|choice| choice.word != "'"));
    }

    #[test]
    fn the_options_of_a_usage_are_those_that_are_read() {
        for name in ["hbs2-cli", "hbs2-sync", "hbs2-git3"] {
            let grammar = grammar(name);
            assert!(grammar.options.len() > 6, "{name}");
            for option in &grammar.options {
                let values = &grammar.values[&(String::new(), option.word.clone())];
                let words: Vec<OsString> = [&*option.word, "5"].map(OsString::from).to_vec();
                let (_, rest) = line::read(&words, &[line::VERBOSE]).unwrap();
                assert_eq!(rest.len(), 1 - values.len(), "{name} {}", option.word);
            }
        }
    }
}
