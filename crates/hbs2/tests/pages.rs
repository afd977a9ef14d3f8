//! Manual pages and completions: all programs have them, and shells can read them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use std::fs;
use std::process::Command;

use hbs2_testkit::{Home, PROGRAMS};
use kit::home;

#[test]
fn every_program_and_command_has_a_manual_page() {
    let home = home("alice");
    home.line("hbs2 man-pages man/man1").ok().unwrap();
    let page = |name: &str| fs::read_to_string(home.join(format!("man/man1/{name}.1"))).unwrap();
    for name in PROGRAMS.iter().filter(|name| !name.starts_with("git-remote-")) {
        let text = page(name);
        assert!(text.contains(".SH NAME") || text.starts_with(".so man1/"), "{name}: {text}");
    }
    assert_eq!(page("git-hbs2"), ".so man1/hbs2-git3.1\n");
    let poll = page("hbs2-peer-poll-add");
    assert!(poll.contains("change its interval") && poll.contains("Exit status"), "{poll}");
    assert!(page("hbs2-git3").contains(".SS repo:gk:journal\n"));
    assert!(page("hbs2-cli").contains("hbs2:tree:read"));
}

/// A bash that has read the completions of all programs.
struct Bash(Home);

impl Bash {
    /// None when there is no bash here.
    fn start() -> Option<Self> {
        let home = home("alice");
        let script = home.line("hbs2 completion bash").ok().unwrap().stdout;
        fs::write(home.join("completion"), script).unwrap();
        is_here("bash").then_some(Self(home))
    }

    /// What `function` offers at the end of a line, and what it says of files and directories.
    fn ask(&self, function: &str, line: &str) -> (String, String) {
        let words = broken(line);
        let test = format!(
            "source ./completion\n\
             compopt() {{ said+=(\"$@\"); }}\n\
             COMP_LINE='{line}' COMP_POINT={} COMP_WORDS=({}) COMP_CWORD={}\n\
             {function} program last before; echo \"${{COMPREPLY[*]}}|${{said[*]}}\"",
            line.len(),
            words.iter().map(|word| format!("'{word}' ")).collect::<String>(),
            words.len() - 1,
        );
        let bash = Command::new("bash").args(["--norc", "-c", &test]).current_dir(self.0.path()).output();
        let done = bash.unwrap();
        assert!(done.status.success() && done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
        let text = String::from_utf8(done.stdout).unwrap();
        let (words, files) = text.trim_end().split_once('|').unwrap();
        (words.to_owned(), files.to_owned())
    }
}

fn is_here(shell: &str) -> bool {
    let is_here = Command::new(shell).arg("--version").output().is_ok();
    if !is_here {
        println!("skipped: there is no {shell} here");
    }
    is_here
}

/// A line as bash hands it out: broken at blanks, colons and equal signs.
fn broken(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = 'a';
    for sign in line.chars() {
        let is_break = |sign: char| ":=".contains(sign);
        if sign == ' ' || (is_break(sign) != is_break(before) && before != ' ') {
            words.push(String::new());
        }
        words.last_mut().unwrap().extend(Some(sign).filter(|sign| *sign != ' '));
        before = sign;
    }
    words
}

/// What bash is told when files, directories or neither are expected.
const FILES: &str = "-o default";
const DIRS: &str = "+o default -o dirnames";
const NONE: &str = "+o default";

#[test]
fn bash_completes_commands_and_names_with_colons() {
    let Some(bash) = Bash::start() else { return };
    assert_eq!(bash.ask("_hbs2__peer hbs2-peer pol", "hbs2-peer pol").0, "poll");
    let names = bash.ask("_hbs2_git3", "hbs2-git3 repo:gk:j");
    assert_eq!(names, ("journal journal:import journal:imported".into(), NONE.into()));
    assert_eq!(bash.ask("_git_hbs2", "git-hbs2 repo:man").0, "manifest");
    assert_eq!(bash.ask("_git_hbs2", "git -C dir hbs2 repo:man").0, "manifest");
}

#[test]
fn bash_offers_what_may_stand_at_a_place() {
    let Some(bash) = Bash::start() else { return };
    let check = |line: &str, words: &str, files: &str| {
        let function = format!("_{}", line.split(' ').next().unwrap().replace('-', "_"));
        assert_eq!(bash.ask(&function, line), (words.to_owned(), files.to_owned()), "{line}");
    };
    // Options stand before the first command, and take files, directories or something else.
    check("hbs2-sync --c", "--config", NONE);
    check("hbs2-sync --w", "--watch", NONE);
    check("hbs2-sync -c ", "", DIRS);
    check("hbs2-sync --config=", "", DIRS);
    check("hbs2-sync -c dir --socket ", "", FILES);
    check("hbs2-sync --timeout ", "", NONE);
    check("hbs2-sync sync --c", "", NONE);
    // Names stand where a command is expected, and nowhere else.
    check("hbs2-sync hi", "history", NONE);
    check("hbs2-sync --timeout 5 -q hi", "history", NONE);
    check("hbs2-sync --socket=/s hi", "history", NONE);
    check("hbs2-sync dir x and hi", "history", NONE);
    check("hbs2-sync history hi", "", NONE);
    check("hbs2-sync help hi", "history", NONE);
    check("hbs2-sync --help hi", "history", NONE);
    check("hbs2-sync history ", "and", NONE);
    check("hbs2-sync dir x ", "and", NONE);
    // Commands have options and arguments.
    check("hbs2-sync sync ", "", DIRS);
    check("hbs2-sync sync --", "--watch", NONE);
    check("hbs2-sync sync --watch ", "", DIRS);
    check("hbs2-sync --watch ", "", DIRS);
    check("hbs2-sync init --", "--refchan", NONE);
    check("hbs2-sync init --refchan ", "", NONE);
    check("hbs2-sync timestamp ", "", FILES);
    check("hbs2-sync revert ", "", NONE);
    check("hbs2-git3 manifest up", "update", NONE);
    check("hbs2-git3 manifest update -f ", "", FILES);
    check("hbs2-git3 reflog:export --set HEAD main --t", "--to", NONE);
    // A word of the language takes forms, which begin with a word.
    check("hbs2-cli fil", "file filter file:size", NONE);
    check("hbs2-cli print 1 and fil", "filter file:size", NONE);
    check("hbs2-cli file ", "", FILES);
    check("hbs2-cli mkdir a ", "", DIRS);
    check("hbs2-cli hbs2:keyring:sh", "show", NONE);
    check("hbs2-cli hbs2:keyring:show ", "", FILES);
    check("hbs2-cli print hbs2:keyring:sh", "", NONE);
    check("hbs2-cli print [hbs2:keyring:sh", "show", NONE);
    check("hbs2-cli print [mkdi", "[mkdir", NONE);
    check("hbs2-cli print [str:file ", "", FILES);
    check("hbs2-cli print [str:file x] str:f", "", NONE);
}

#[test]
fn zsh_and_fish_can_read_their_scripts() {
    let home = home("alice");
    for shell in ["zsh", "fish"] {
        let script = home.line(&format!("hbs2 completion {shell}")).ok().unwrap().stdout;
        fs::write(home.join(shell), script).unwrap();
        if is_here(shell) {
            let done = Command::new(shell).args(["-n", shell]).current_dir(home.path()).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
    }
    if !is_here("fish") {
        return;
    }
    let ask = |line: &str| {
        let test = format!("source ./fish; complete -C '{line}'");
        let fish = Command::new("fish")
            .args(["-c", &test])
            .env("HOME", home.path())
            .current_dir(home.path())
            .output()
            .unwrap();
        let text = String::from_utf8(fish.stdout).unwrap();
        text.lines().map(|line| line.split('\t').next().unwrap()).collect::<Vec<_>>().join(" ")
    };
    fs::create_dir(home.join("folder")).unwrap();
    for (line, words) in [
        ("hbs2-sync --conf", "--config"),
        ("hbs2-sync --config=fold", "--config=folder/"),
        ("hbs2-sync -c fold", "folder/"),
        ("hbs2-sync dir x and hist", "history"),
        ("hbs2-sync history hist", ""),
        ("hbs2-sync sync --", "--watch"),
        ("hbs2-sync sync fold", "folder/"),
        ("hbs2-git3 repo:gk:journal:imported", "repo:gk:journal:imported"),
        ("hbs2-cli print [mkdi", "[mkdir"),
        ("hbs2-cli print [str:file fis", "fish"),
    ] {
        assert_eq!(ask(line), words, "{line}");
    }
}

#[test]
fn the_other_shells_get_every_name() {
    let home = home("alice");
    for shell in ["zsh", "fish"] {
        let script = home.line(&format!("hbs2 completion {shell}")).ok().unwrap().text();
        for name in ["hbs2-fixer", "keyring-new", "refchan", "hbs2-keyman"] {
            assert!(script.contains(name), "{shell}: {name}");
        }
        let journal = if shell == "zsh" { "'repo\\:gk\\:journal:" } else { "'repo:gk:journal\t" };
        assert!(script.contains(journal), "{shell}");
    }
    let done = home.line("hbs2 completion csh").fails().unwrap();
    assert!(done.talk().contains("bash, zsh, fish"), "{}", done.talk());
    for program in PROGRAMS.iter().filter(|name| !name.starts_with("git-remote-")) {
        let script = home.line(&format!("hbs2 completion bash {program}")).ok().unwrap().text();
        assert!(
            script.contains(&format!(" {program}\n")) || script.ends_with(&format!(" {program}")),
            "{program}"
        );
    }
}
