//! Transcripts: what a person types and what the programs answer, one after another in one home.
//!
//! In `transcripts/*.txt` a line `$ COMMAND` is given to a shell. The lines after it are what it prints; those that
//! begin with `! ` go to stderr, and `? CODE` is an exit code other than 0. `<name>` stands for a word that is not known
//! beforehand: where it comes first it takes what is there, later it must be the same; in a command it is what was
//! taken. `<home>` is the home directory, `<_>` any text. A line `## ...` is a remark.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hbs2_script::Word;
use hbs2_testkit::{Daemon, Home};
use kit::home;

/// Width of a column of hashes.
const HASH_COLUMN: usize = 44;

/// Longest time for one command: some wait for each other.
const COMMAND: Duration = Duration::from_secs(120);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts")
}

fn read(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

/// A command and what it shall say.
struct Step<'t> {
    command: &'t str,
    said: Vec<&'t str>,
}

fn steps(text: &str) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with("## ")) {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step { command, said: Vec::new() }),
            (None, Some(step)) => step.said.push(line),
            (None, None) => assert_eq!(line, "", "a transcript begins with a command"),
        }
    }
    for step in &mut steps {
        while step.said.last().is_some_and(|line| line.is_empty()) {
            step.said.pop();
        }
    }
    steps
}

/// What is known of the words that are not known beforehand.
#[derive(Default)]
struct Known(BTreeMap<String, String>);

/// The text before a name in angle brackets, the name, and the text after it.
fn name_in(text: &str) -> Option<(&str, &str, &str)> {
    let mut at = 0;
    loop {
        let open = at + text[at..].find('<')?;
        let close = open + text[open..].find('>')?;
        let name = &text[open + 1..close];
        if !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        {
            return Some((&text[..open], name, &text[close + 1..]));
        }
        at = open + 1;
    }
}

impl Known {
    /// A command with its names filled in.
    fn fill(&self, text: &str) -> String {
        match name_in(text) {
            Some((before, name, after)) => format!("{before}{}{}", self.0[name], self.fill(after)),
            None => text.to_owned(),
        }
    }

    /// Whether a line is as expected; learns the names in it. A hash may be padded to the width of its column: one in
    /// twenty is shorter than the others.
    fn matches(&mut self, expected: &str, line: &str) -> bool {
        let Some((before, name, after)) = name_in(expected) else { return line == expected };
        let Some(rest) = line.strip_prefix(before) else { return false };
        let literal = name_in(after).map_or(after, |(literal, _, _)| literal);
        let ends = match (literal, self.0.get(name)) {
            (_, Some(known)) => vec![known.len(), HASH_COLUMN],
            ("", None) => vec![rest.len()],
            (literal, None) => rest.match_indices(literal).map(|(at, _)| at).collect(),
        };
        ends.into_iter().any(|end| {
            let Some((value, tail)) = rest.split_at_checked(end) else { return false };
            let value = if value.len() == HASH_COLUMN { value.trim_end_matches(' ') } else { value };
            if self.0.get(name).is_some_and(|known| known != value) {
                return false;
            }
            let is_new = name != "_" && self.0.insert(name.to_owned(), value.to_owned()).is_none();
            let fits = self.matches(after, tail);
            if is_new && !fits {
                self.0.remove(name);
            }
            fits
        })
    }
}

/// Plays a transcript in a home.
fn play(name: &str, home: &Home) {
    let mut known = Known::default();
    known.0.insert("home".to_owned(), home.path().display().to_string());
    for Step { command, said } in steps(&read(name)) {
        let filled = known.fill(command);
        let done = home.call("sh").args(["-c", &filled]).deadline(COMMAND).run().unwrap();
        let mut lines: Vec<String> = done.text().lines().map(str::to_owned).collect();
        lines.extend(done.talk().lines().map(|line| format!("! {line}").trim_end().to_owned()));
        match done.status.code() {
            Some(0) => {}
            code => lines.push(format!("? {}", code.unwrap_or(-1))),
        }
        let fits = lines.len() == said.len()
            && said.iter().zip(&lines).all(|(expected, line)| known.matches(expected, line));
        let (said, lines) = (said.join("\n"), lines.join("\n"));
        assert!(fits, "{name}\n$ {filled}\nexpected:\n{said}\nfound:\n{lines}\nnames: {:#?}", known.0);
    }
}

#[test]
fn words_of_the_language_and_of_the_machine() {
    play("words.txt", &home("alice"));
}

#[test]
fn words_of_a_peer() {
    let home = home("alice");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    play("peer-words.txt", &home);
}

#[test]
fn a_folder_and_its_channel() {
    let home = home("alice");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    play("sync.txt", &home);
}

#[test]
fn programs_that_follow_references() {
    let home = home("alice");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    play("follow.txt", &home);
}

/// All commands of the transcripts.
fn commands() -> String {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let texts: Vec<String> = files.map(|path| fs::read_to_string(path).unwrap()).collect();
    texts.iter().flat_map(|text| steps(text)).map(|step| format!("{}\n", step.command)).collect()
}

/// Whether `name` stands in `text` as a word of its own.
fn has_word(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || "-:?!*_".contains(c);
    text.match_indices(name).any(|(at, _)| {
        let (before, after) = (text[..at].chars().next_back(), text[at + name.len()..].chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[test]
fn every_command_of_hbs2_sync_has_a_transcript() {
    let commands = commands();
    let lines: BTreeSet<&str> = commands.lines().filter(|line| line.contains("hbs2-sync")).collect();
    let without: Vec<&str> = hbs2::sync::own_words()
        .iter()
        .map(|word| word.name)
        .filter(|name| !lines.iter().any(|line| has_word(line, name)))
        .collect();
    assert_eq!(without, Vec::<&str>::new());
}

/// Programs in the sources of tests, and the examples of manual pages that a test compares.
fn programs_of_tests() -> String {
    let mut all = commands();
    for dir in ["tests", "../hbs2-script/tests"] {
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(dir)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                all.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let compared = |word: Word<_>| word.examples.into_iter().filter(|(_, shown)| !shown.is_empty());
    for (program, _) in hbs2::cli::all_words().into_iter().flat_map(compared) {
        all.push_str(&format!("{program}\n"));
    }
    all
}

#[test]
fn every_word_of_hbs2_cli_is_used_by_a_test() {
    let programs = programs_of_tests();
    let words = hbs2::cli::all_words();
    let names = words.iter().flat_map(|word| word.aliases.iter().chain([&word.name]).copied());
    let without: Vec<&str> = names.filter(|name| !has_word(&programs, name)).collect();
    assert_eq!(without, Vec::<&str>::new());
}
