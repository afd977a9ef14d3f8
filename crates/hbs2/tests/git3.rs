//! `hbs2-git3`: each command on a repository that was pushed to.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use hbs2_testkit::{Daemon, Home, Repo};
use kit::home;

/// A home with a running peer and a repository with one pushed branch; gives its remote and its key.
struct World<'h> {
    home: &'h Home,
    repo: Repo<'h>,
    remote: String,
    key: String,
    _daemon: Daemon,
}

impl<'h> World<'h> {
    fn new(home: &'h Home) -> Self {
        let daemon = Daemon::start(home, &[]).unwrap();
        let repo = Repo::init(home, "work").unwrap();
        let added = home.line("git hbs2 init --new").dir(repo.path()).ok().unwrap();
        let words: Vec<String> = added.text().split(' ').map(str::to_owned).collect();
        assert_eq!(words[..3], ["added", "git", "remote"]);
        let key = words[4].strip_prefix("hbs23://").unwrap().to_owned();
        assert_eq!(words.len(), 5);
        std::fs::write(repo.path().join("file"), "hello\n").unwrap();
        repo.git("add file").ok().unwrap();
        repo.git("commit -m first").ok().unwrap();
        repo.git(&format!("push {} main", words[3])).ok().unwrap();
        Self { home, repo, remote: words[3].clone(), key, _daemon: daemon }
    }

    fn run(&self, line: &str) -> String {
        let done = self.home.line(&format!("hbs2-git3 {line}")).dir(self.repo.path()).ok().unwrap();
        String::from_utf8(done.stdout).unwrap()
    }
}

#[test]
fn init_makes_a_remote_with_a_name_of_two_words_and_keeps_the_key_private() {
    let home = home("alice");
    let world = World::new(&home);
    assert_eq!(world.remote.split('-').count(), 2, "{}", world.remote);
    let file = home.join(format!(".hbs2-keyman/keys/{}-lwwref.key", world.key));
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let listed = home.line("hbs2-keyman list").ok().unwrap().text();
    assert_eq!(listed, format!("{:<44} sign       {}", world.key, file.display()));
    let polls = home.line("hbs2-peer poll list").ok().unwrap().text();
    let reflog = world.run(&format!("repo:reflog {}", world.remote));
    assert_eq!(polls, format!("{:<44} 31  lwwref\n{:<44} 17  reflog", world.key, reflog.trim_end()));
    assert_eq!(world.run("repo:remotes"), format!("{:<44} {}\n", world.key, world.remote));
    assert_eq!(world.run("remotes"), world.run("repo:remotes"));
}

#[test]
fn a_repository_is_named_by_key_address_or_remote_and_prints_its_manifest() {
    let home = home("alice");
    let world = World::new(&home);
    let manifest = world.run(&format!("repo:manifest {}", world.remote));
    assert!(manifest.starts_with("(manifest\n (hbs2-git 3)\n (seed "), "{manifest}");
    assert!(manifest.contains(")\n (public)\n (reflog "), "{manifest}");
    assert!(manifest.ends_with("))\n"), "{manifest}");
    for name in [world.key.clone(), format!("hbs23://{}", world.key), format!("hbs2://{}", world.key)] {
        assert_eq!(world.run(&format!("repo:manifest {name}")), manifest, "{name}");
    }
    assert_eq!(world.run(&format!("manifest {}", world.remote)), manifest);
    assert_eq!(world.run(&format!("repo:wait {}", world.remote)), manifest);
    let outside = home.line(&format!("hbs2-git3 repo:manifest {}", world.key)).ok().unwrap();
    assert_eq!(outside.stdout, manifest.as_bytes());
    let value = home.line(&format!("hbs2-peer lwwref get {}", world.key)).ok().unwrap().stdout;
    assert_eq!(world.run(&format!("repo:head {}", world.remote)).as_bytes(), value);
    // As the seed document shows: the value lists the manifest, whose text can be printed.
    let value = String::from_utf8(value).unwrap();
    let value = value.split('"').nth(1).unwrap();
    let tree = home.line(&format!("hbs2 cat -H {value}")).ok().unwrap().text();
    let text = home.line(&format!("hbs2 cat {tree}")).ok().unwrap().text();
    assert!(text.starts_with("(hbs2-git 3)\n(seed "), "{text}");
}

#[test]
fn transactions_and_references_are_listed_in_their_shapes() {
    let home = home("alice");
    let world = World::new(&home);
    let remote = &world.remote;
    let all = world.run(&format!("repo:tx:list {remote}"));
    assert_eq!(all.lines().count(), 3, "the empty segment, a segment, a checkpoint: {all}");
    assert_eq!(world.run(&format!("reflog:tx:list {remote}")), all);
    for line in all.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let columns = format!("{} {:<44} {:<44}", words[0], words[1], words[2]);
        match words[0] {
            "S" => assert_eq!(line, columns),
            "C" => assert_eq!(line, format!("{columns} {}", words[3])),
            other => panic!("{other}"),
        }
    }
    let only = |switch: &str| world.run(&format!("repo:tx:list {remote} {switch}"));
    assert_eq!(only("--checkpoints").lines().count(), 1);
    assert_eq!(only("--segments").lines().count(), 2);
    let id = world.repo.git("rev-parse HEAD").ok().unwrap().text();
    assert_eq!(world.run(&format!("repo:refs {remote}")), format!("{id} refs/heads/main\n"));
    let raw = world.run(&format!("repo:refs:raw {remote}"));
    assert!(raw.starts_with("(R\n ") && raw.ends_with(&format!("\n {id}\n refs/heads/main)\n")), "{raw}");
    let checkpoint = only("--checkpoints").split_whitespace().nth(2).unwrap().to_owned();
    assert_eq!(world.run(&format!("repo:imported {remote}")), format!("{checkpoint}\n"));
    assert_eq!(world.run(&format!("repo:import {remote}")), "");
    let reflog = world.run(&format!("repo:reflog {remote}"));
    assert_eq!(
        world.run(&format!("repo:credentials {remote}")),
        format!("(matched {})\n", reflog.trim_end())
    );
}

#[test]
fn reflog_export_publishes_sets_and_deletes_names() {
    let home = home("alice");
    let world = World::new(&home);
    let refs = || world.run(&format!("repo:refs {}", world.remote));
    let id = world.repo.git("rev-parse HEAD").ok().unwrap().text();
    world.run("compression 9 and segment 1000000 and reflog:export HEAD --ref other --ref refs/tags/t");
    assert_eq!(refs(), format!("{id} refs/heads/main\n{id} refs/heads/other\n{id} refs/tags/t\n"));
    std::fs::write(world.repo.path().join("file"), "more\n").unwrap();
    world.repo.git("commit -a -m second").ok().unwrap();
    let second = world.repo.git("rev-parse HEAD").ok().unwrap().text();
    world.run("reflog:export");
    world.run("reflog:export --del other --set refs/tags/t HEAD");
    assert_eq!(refs(), format!("{second} refs/heads/main\n{second} refs/tags/t\n"));
    let fails = |line: &str, says: &str| {
        home.line(&format!("hbs2-git3 {line}")).dir(world.repo.path()).fails().unwrap().says(says).unwrap();
    };
    fails("reflog:export nosuch --ref main", "\"nosuch\" names no local object");
    fails("reflog:export --ref 'a b'", "'a b' is no name of a reference");
    fails("reflog:export --ref", "--ref needs 1 value(s)");
    fails("reflog:export --to nobody", "remote key not resolved: \"nobody\"");
}

#[test]
fn settings_are_printed_and_hold_for_the_rest_of_the_call() {
    let home = home("alice");
    let run = |line: &str| home.line(&format!("hbs2-git3 {line}")).ok().unwrap().text();
    assert_eq!(run("compression 7 then compression and compression best and compression"), "7\n22");
    assert_eq!(run("segment and segment 1000 and segment"), "52428800\n1000");
    let done = home.line("hbs2-git3 compression high").fails().unwrap();
    assert!(
        done.talk().starts_with("hbs2-git3: error: the level is 'high', not 1 to 22 or best\n"),
        "{done}"
    );
    home.line("hbs2-git3 segment x").fails().unwrap().says("not a number of bytes").unwrap();
}

#[test]
fn wrong_use_names_the_closest_command_or_shows_its_page() {
    let home = home("alice");
    for (line, says) in [
        ("", "hbs2-git3: error: a command is missing"),
        ("repo:manifets x", "error: unknown command 'repo:manifets'\nhint: did you mean 'repo:manifest'?"),
        ("repo:manifest", "error: missing: REPO\n\nNAME\n    repo:manifest - "),
        ("repo:manifest a b", "error: one word too many: 'b'"),
        ("repo:tx:list --foo x", "error: unknown option '--foo'"),
        ("--nonsense repo:remotes", "error: unknown option '--nonsense'"),
        ("init --encrypted", "error: --encrypted needs 1 value(s)"),
        ("init --encrypted no-such-file", "error: cannot read no-such-file"),
        ("repo:manifest nosuchremote", "error: remote key not resolved: \"nosuchremote\""),
        ("quiet and nosuchcommand", "error: unknown command 'nosuchcommand'"),
        ("--help nosuchcommand", "error: unknown command 'nosuchcommand'"),
    ] {
        let done = home.line(&format!("hbs2-git3 {line}")).fails().unwrap().says(says).unwrap();
        assert_eq!((done.status.code(), done.text().as_str()), (Some(1), ""), "{line}");
    }
}

#[test]
fn without_a_peer_the_error_says_what_to_start() {
    let home = home("alice");
    let repo = Repo::init(&home, "work").unwrap();
    let key = "95EKVZ5wuZjZnc4FdytjhytdnDyApnrXpqetE7yG9bfr";
    for line in [format!("hbs2-git3 repo:manifest {key}"), format!("git ls-remote hbs23://{key}")] {
        let done = home.line(&line).dir(repo.path()).fails().unwrap();
        assert!(done.talk().contains("error: no hbs2-peer answers at "), "{done}");
        assert!(done.talk().contains("hint: start the peer with: hbs2-peer run"), "{done}");
    }
    let _daemon = Daemon::start(&home, &[]).unwrap();
    let call = home.line(&format!("git -c hbs2.timeout=1 ls-remote hbs23://{key}"));
    let done = call.dir(repo.path()).fails().unwrap();
    assert!(done.talk().contains(key) && done.talk().contains("hint: "), "{done}");
}
