//! Manual pages and completions: all programs have them, and shells can read them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use std::fs;
use std::process::Command;

use hbs2_testkit::PROGRAMS;
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

#[test]
fn bash_completes_commands_and_names_with_colons() {
    let home = home("alice");
    let script = home.line("hbs2 completion bash").ok().unwrap().stdout;
    fs::write(home.join("completion"), script).unwrap();
    if Command::new("bash").arg("--version").output().is_err() {
        println!("skipped: there is no bash here");
        return;
    }
    let ask = |line: &str, words: &str, at: usize, function: &str, program: &str| {
        let last = line.rsplit(' ').next().unwrap();
        let test = format!(
            "source ./completion\nCOMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; COMP_WORDS=({words}); COMP_CWORD={at}\n\
             {function} {program} '{last}' {program}; echo \"${{COMPREPLY[@]}}\""
        );
        let done =
            Command::new("bash").args(["--norc", "-c", &test]).current_dir(home.path()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(ask("hbs2-peer pol", "hbs2-peer pol", 1, "_hbs2__peer", "hbs2-peer"), "poll");
    let names = ask("hbs2-git3 repo:gk:j", "hbs2-git3 repo : gk : j", 5, "_hbs2_git3", "hbs2-git3");
    assert_eq!(names, "journal journal:import journal:imported");
    assert_eq!(ask("git-hbs2 repo:man", "git-hbs2 repo : man", 3, "_git_hbs2", "git-hbs2"), "manifest");
}

#[test]
fn the_other_shells_get_every_name() {
    let home = home("alice");
    for shell in ["zsh", "fish"] {
        let script = home.line(&format!("hbs2 completion {shell}")).ok().unwrap().text();
        for name in ["hbs2-fixer", "keyring-new", "refchan", "hbs2-keyman"] {
            assert!(script.contains(name), "{shell}: {name}");
        }
        let journal = if shell == "zsh" { "repo\\:gk\\:journal:" } else { "'repo:gk:journal' -d" };
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
