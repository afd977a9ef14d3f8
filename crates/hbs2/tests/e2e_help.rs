//! What the documents say exists: every command in README.md is known to its program.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use hbs2_testkit::{Home, KitError, PROGRAMS};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");

fn home() -> Result<Home, KitError> {
    Home::new("reader", Path::new(env!("CARGO_BIN_EXE_hbs2")))
}

/// The commands of all code blocks: program and subcommand. Options, forms and comments are none.
fn commands(page: &str) -> BTreeSet<(String, String)> {
    let mut inside = false;
    let mut found = BTreeSet::new();
    for line in page.lines() {
        inside ^= line.starts_with("```");
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["git", "hbs2", command, ..] if inside => {
                found.insert(("git-hbs2".to_owned(), (*command).to_owned()))
            }
            [program, command, ..]
                if inside && PROGRAMS.contains(program) && command.starts_with(char::is_alphabetic) =>
            {
                found.insert(((*program).to_owned(), (*command).to_owned()))
            }
            _ => false,
        };
    }
    found
}

#[test]
fn every_name_of_the_binary_answers_help() -> Result<(), KitError> {
    let home = home()?;
    for program in PROGRAMS {
        let done = home.call(program).arg("--help").ok()?;
        assert!(!done.text().is_empty(), "{program} --help prints nothing");
    }
    Ok(())
}

#[test]
fn every_command_in_the_readme_is_in_the_help_of_its_program() -> Result<(), KitError> {
    let home = home()?;
    let page = fs::read_to_string(README).map_err(KitError::io("cannot read", README))?;
    let commands = commands(&page);
    assert!(commands.len() >= 8, "the readme shows few commands: {commands:?}");
    for (program, command) in commands {
        let help = home.call(&program).arg("--help").ok()?.text();
        let known = help.lines().any(|line| line.split_whitespace().next() == Some(command.as_str()));
        assert!(known, "README.md shows `{program} {command}`, which is not in `{program} --help`:\n{help}");
    }
    Ok(())
}

#[test]
fn links_of_install_and_names_of_the_binary_are_the_same() {
    let names: Vec<&str> = hbs2::names::LINKS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, PROGRAMS);
}
