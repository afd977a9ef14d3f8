//! Every help text in one snapshot: a change of words, options or defaults shows in review.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use hbs2_testkit::Home;
use kit::home;

const PROGRAMS: [&str; 5] = ["hbs2", "hbs2-peer", "hbs2-keyman", "hbs2-fixer", "hbs2-git-subscribe"];

/// The help of `line` and of all commands that it lists.
fn collect(home: &Home, line: &str, all: &mut String) {
    let done = home.line(&format!("{line} --help")).ok().unwrap();
    assert_eq!(done.talk(), "", "{line}");
    let text = done.text();
    all.push_str(&format!("$ {line} --help\n{text}\n\n"));
    let commands = text.lines().skip_while(|l| *l != "Commands:").skip(1).take_while(|l| !l.is_empty());
    for command in commands.filter(|line| line.starts_with("  ") && !line.starts_with("    ")) {
        let name = command.split_whitespace().next().unwrap();
        collect(home, &format!("{line} {name}"), all);
    }
}

#[test]
fn help_texts_are_these() {
    let home = home("alice");
    let mut all = String::new();
    for program in PROGRAMS {
        collect(&home, program, &mut all);
    }
    for line in ["hbs2-git3 --help", "hbs2-git3 --help-all", "hbs2-git3 help"] {
        all.push_str(&format!("$ {line}\n{}\n\n", home.line(line).ok().unwrap().text()));
    }
    for name in home.line("hbs2-git3 --help").ok().unwrap().text().lines() {
        let line = format!("hbs2-git3 --help {name}");
        all.push_str(&format!("$ {line}\n{}\n\n", home.line(&line).ok().unwrap().text()));
    }
    all.push_str(&format!("$ hbs2-sync --help\n{}\n\n", home.line("hbs2-sync --help").ok().unwrap().text()));
    for name in hbs2::sync::own_words().iter().map(|word| word.name) {
        let line = format!("hbs2-sync --help {name}");
        all.push_str(&format!("$ {line}\n{}\n\n", home.line(&line).ok().unwrap().text()));
    }
    let line = "git-remote-hbs23 --help";
    all.push_str(&format!("$ {line}\n{}\n", home.line(line).ok().unwrap().text()));
    insta::assert_snapshot!("help", all);
}

#[test]
fn help_is_the_same_for_both_of_its_options() {
    let home = home("alice");
    for line in ["hbs2", "hbs2-peer", "hbs2-peer poll add", "hbs2-keyman", "hbs2 cat"] {
        let short = home.line(&format!("{line} -h")).ok().unwrap().text();
        assert_eq!(short, home.line(&format!("{line} --help")).ok().unwrap().text(), "{line}");
    }
}

#[test]
fn help_lines_fit_100_columns() {
    let home = home("alice");
    let mut all = String::new();
    for program in PROGRAMS {
        collect(&home, program, &mut all);
    }
    all.push_str(&home.line("hbs2-git3 help").ok().unwrap().text());
    for line in all.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn a_wrong_use_is_explained_on_stderr_with_the_help_and_exit_code_1() {
    let home = home("alice");
    for (line, says) in [
        ("hbs2", "hbs2: error: a command is missing"),
        ("hbs2 hsah", "hint: did you mean 'hash'?"),
        ("hbs2 store --groupkeys gk file", "hbs2: error: unknown option '--groupkeys'"),
        ("hbs2 groupkey from-kes", "hint: did you mean 'from-keys'?"),
        ("hbs2 cat", "hbs2: error: missing: HASH"),
        ("hbs2 cat abc", "hbs2: error: HASH is 'abc': "),
        ("hbs2 hash a b", "hbs2: error: one word too many: 'b'"),
        ("hbs2-peer", "hbs2-peer: error: a command is missing"),
        ("hbs2-peer pok", "hint: did you mean 'poke'?"),
        ("hbs2-peer poll add nokey reflog 3", "hbs2-peer: error: KEY is 'nokey': "),
        (
            "hbs2-peer poll add Dn9xPBUXJFekp781C1MnMWkiXGJ3aB3H5Cca37nUWBSp badtype 3",
            "hbs2-peer: error: TYPE is 'badtype', not one of: reflog, lwwref",
        ),
        ("hbs2-peer ping nonsense", "hbs2-peer: error: ADDR is 'nonsense': "),
        ("hbs2-keyman lst", "hint: did you mean 'list'?"),
    ] {
        let done = home.line(line).fails().unwrap().says(says).unwrap();
        assert_eq!(done.status.code(), Some(1), "{line}");
        assert_eq!(done.text(), "", "{line}");
        assert!(done.talk().contains("Usage: "), "{line}");
    }
}

#[test]
fn every_program_is_reached_by_its_name_and_as_a_word_of_hbs2() {
    let home = home("alice");
    for program in hbs2_testkit::PROGRAMS {
        let direct = home.line(&format!("{program} --help")).ok().unwrap();
        let inner = home.line(&format!("hbs2 {program} --help")).ok().unwrap();
        if program != "hbs2" {
            assert_eq!(direct.text(), inner.text(), "{program}");
        }
    }
    let peer = home.line("hbs2-peer --help").ok().unwrap().text();
    assert_eq!(home.line("hbs2 peer --help").ok().unwrap().text(), peer);
}
