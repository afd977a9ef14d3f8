//! `hbs2-git3`: commands about the readers of an encrypted repository, and what they print.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use hbs2_testkit::{Daemon, Done, GroupFile, Repo, encryption_key};
use kit::home;

#[test]
fn the_commands_of_group_keys_have_their_shapes() {
    let home = home("alice");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    let key = encryption_key(&home).unwrap();
    let stranger = "8RFn9dtRS9R7nJeC37LuHvCr4cHjGTwcSwQpAb5bMket";
    let first = GroupFile::new(&home, "first.gk", 1, &[&key]).unwrap();
    let repo = Repo::init(&home, "work").unwrap();
    let made = repo.git("hbs2 init --new --encrypted ../first.gk").ok().unwrap().text();
    let words: Vec<&str> = made.split(' ').collect();
    assert_eq!((words.len(), &words[..3]), (5, &["added", "git", "remote"][..]));
    let remote = words[3];
    let call = |command: &str, args: &[&str]| repo.git(&format!("hbs2 {command} {remote}")).args(args);
    let run = |command: &str, args: &[&str]| call(command, args).ok().unwrap().text();
    let fails = |done: Done, words: &str| assert!(done.talk().contains(words), "{done}");

    let manifest = run("repo:manifest", &[]);
    assert!(manifest.ends_with(&format!("\n (gk {}))", first.hash)), "{manifest}");
    assert_eq!(run("repo:gk", &[]), format!("(gk {})", first.hash));
    assert_eq!(run("repo:gk:journal", &[]), first.hash);
    assert_eq!(run("repo:gk:journal:imported", &[]), "()");
    assert_eq!(run("repo:gk:journal:import", &[]), "");
    let imported = run("repo:gk:journal:imported", &[]);
    assert_eq!(home.line("hbs2 cat -H").arg(&imported).ok().unwrap().text(), first.hash);

    // A hash does as well as a file, and what was added once is not added again.
    assert_eq!(run("repo:gk:update", &[&first.hash]), format!("gk {} {}", first.hash, first.id));
    let second = GroupFile::new(&home, "second.gk", 2, &[&key, stranger]).unwrap();
    let updated = run("repo:gk:update", &["../second.gk"]);
    let lines: Vec<&str> = updated.lines().collect();
    assert_eq!(lines[..2], [format!("gk {} {}", first.hash, first.id), format!("new gk {}", second.hash)]);
    let wrapped = lines[2].strip_prefix("new gk ").unwrap();
    let mut journal = vec![first.hash.as_str(), &second.hash, wrapped];
    let listed = run("repo:gk:journal", &[]);
    let mut listed: Vec<&str> = listed.lines().collect();
    journal.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, journal);

    let extra = GroupFile::new(&home, "extra.gk", 3, &[stranger]).unwrap();
    assert_eq!(run("repo:gk:add:extra:keys", &["../extra.gk", &first.hash]), "");
    assert_eq!(run("repo:gk:journal", &[]).lines().count(), 4);
    assert_eq!(run("repo:gk", &[]), format!("(gk {})", second.hash));

    let absent = "5JWjVxUaRtJaf7hTL5kB2Q2Mw9KJgoEhQdHdDg83rFxD";
    fails(
        call("repo:gk:add:extra:keys", &[absent]).fails().unwrap(),
        &format!("error: no group key {absent}\n"),
    );
    fails(
        call("repo:gk:update", &[&extra.hash]).fails().unwrap(),
        &format!("no access to group key {}", extra.hash),
    );
    fails(repo.git("hbs2 init --new --encrypted").arg(absent).fails().unwrap(), "group key not found");
    fails(repo.git("hbs2 init --new --encrypted ../work").fails().unwrap(), "work");
    fails(repo.git("hbs2 init --new --encrypted ../.gitconfig").fails().unwrap(), "is not a group key");
    assert_eq!(repo.git("hbs2 repo:remotes").ok().unwrap().text().lines().count(), 1, "nothing was made");
}

#[test]
fn a_repository_in_the_clear_has_no_group_keys() {
    let home = home("alice");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    let repo = Repo::init(&home, "work").unwrap();
    let remote = repo.publish().unwrap();
    let run = |command: &str| repo.git(&format!("hbs2 {command} {}", remote.name)).ok().unwrap().text();
    assert_eq!(run("repo:gk"), "");
    assert_eq!(run("repo:gk:journal"), "");
    assert_eq!(run("repo:gk:journal:import"), "");
    assert_eq!(run("repo:gk:journal:imported"), "()");
}
