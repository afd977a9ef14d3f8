//! `hbs2-fixer` for real: Alice pushes, Bob's fixer keeps a mirror in step; and what it does with its program.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hbs2_testkit::{Home, KitError, Person, Remote, Repo, Running, until};

type Outcome = Result<(), KitError>;

/// The key in the program of the manual and in the examples.
const KEY: &str = "BTThPdHKF8XnEq4m6wzbKHKA6geLFK4ydYhBXAqBdHSP";

/// Longest life of a fixer in a test, in seconds.
const LIFE_SECONDS: u64 = 240;

fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_hbs2"))
}

fn write(home: &Home, name: &str, text: &str) -> Result<PathBuf, KitError> {
    let path = home.join(name);
    fs::write(&path, text).map_err(KitError::io("cannot write", path.as_path()))?;
    Ok(path)
}

fn start(home: &Home, program: &str) -> Result<Running, KitError> {
    write(home, "program.scm", program)?;
    home.line("hbs2-fixer -c program.scm").deadline(Duration::from_secs(LIFE_SECONDS)).start()
}

fn says(fixer: &Running, text: &str) -> Outcome {
    let seen = until(&format!("'{text}' is said"), || Ok(fixer.stdout_so_far().contains(text)));
    if seen.is_err() {
        eprintln!("{}{}", fixer.stdout_so_far(), fixer.stderr_so_far());
    }
    seen.map(drop)
}

fn times(fixer: &Running, line: &str) -> usize {
    fixer.stdout_so_far().lines().filter(|said| *said == line).count()
}

/// The program of the manual, for this repository.
fn manual(key: &str) -> String {
    include_str!("fixer/manual.scm").replace(KEY, key)
}

/// A repository of Alice with one commit, pushed.
fn published(alice: &Person) -> Result<(Repo<'_>, Remote), KitError> {
    let work = Repo::init(&alice.home, "work")?;
    work.commit("readme.txt", "hello\n", "first")?;
    let remote = work.publish()?;
    push(&work, &remote)?;
    Ok((work, remote))
}

fn push(work: &Repo<'_>, remote: &Remote) -> Outcome {
    work.git("push --quiet").args([&remote.name, "main"]).ok().map(drop)
}

/// Waits until the mirror has what Alice has.
fn in_step(work: &Repo<'_>, bob: &Person, fixer: &Running, key: &str) -> Outcome {
    let mirror = Repo::open(&bob.home, &format!(".local/share/hbs2-git-repos/0.24.1/{key}"));
    let wanted = work.id("main")?;
    let seen = until("the mirror has the last commit", || {
        if !mirror.path().is_dir() {
            return Ok(false);
        }
        let has = mirror.git("rev-parse --verify --quiet refs/heads/main").run()?;
        Ok(has.status.success() && has.text() == wanted)
    });
    if seen.is_err() {
        eprintln!("{}{}", fixer.stdout_so_far(), fixer.stderr_so_far());
    }
    seen.map(drop)
}

#[test]
fn the_program_of_the_manual_keeps_a_mirror_in_step() -> Outcome {
    let [alice, mut bob] = Person::row(["alice", "bob"], binary())?;
    let (work, remote) = published(&alice)?;
    let key = remote.key().to_owned();
    let fixer = start(&bob.home, &manual(&key))?;
    in_step(&work, &bob, &fixer, &key)?;
    says(&fixer, "GIT REFLOG CHANGED BY WATCH")?;
    assert_eq!(times(&fixer, "()"), 1, "an unbound name is nil: {}", fixer.stdout_so_far());

    work.commit("readme.txt", "hello again\n", "second")?;
    push(&work, &remote)?;
    in_step(&work, &bob, &fixer, &key)?;
    says(&fixer, "GIT REFLOG CHANGED BY LISTENER")?;

    // A daemon that goes away is waited for, and all begins anew.
    bob.peer.stop()?;
    says(&fixer, "[warn]")?;
    work.commit("readme.txt", "once more\n", "third")?;
    push(&work, &remote)?;
    bob.peer.restart()?;
    in_step(&work, &bob, &fixer, &key)?;
    says(&fixer, &format!("Updated {key} OK"))
}

#[test]
fn the_program_of_the_manual_works_with_repositories_of_version_2() -> Outcome {
    let [alice, bob] = Person::row(["alice", "bob"], binary())?;
    let keys = alice.home.join(".hbs2-keyman/keys");
    fs::create_dir_all(&keys).map_err(KitError::io("cannot make", keys.as_path()))?;
    let keyring = alice.line("hbs2 keyring-new").ok()?.stdout;
    fs::write(keys.join("repo.key"), keyring).map_err(KitError::io("cannot write", keys.as_path()))?;
    alice.line("hbs2-keyman update").ok()?;
    let listing = alice.line("hbs2 keyring-list .hbs2-keyman/keys/repo.key").ok()?.text();
    let key = listing.split_whitespace().nth(1).expect("a listing begins with the signing key").to_owned();
    let work = Repo::init(&alice.home, "work")?;
    work.commit("readme.txt", "hello\n", "first")?;
    work.git(&format!("hbs2 export --new --public {key}")).ok()?;

    let fixer = start(&bob.home, &manual(&key))?;
    in_step(&work, &bob, &fixer, &key)?;
    work.commit("readme.txt", "hello again\n", "second")?;
    work.git(&format!("hbs2 export {key}")).ok()?;
    in_step(&work, &bob, &fixer, &key)
}

#[test]
fn a_changed_program_is_loaded_again_and_a_broken_one_is_not() -> Outcome {
    let bob = Person::new("bob", binary(), &[])?;
    let program = |text: &str| format!("(watch-config 1)\n(on-start (display \"started\"))\n{text}\n");
    let fixer = start(&bob.home, &program(&format!("(watch 60 (reflog \"{KEY}\") (display \"x\"))")))?;
    says(&fixer, "started")?;
    until("the log is polled", || Ok(bob.line("hbs2-peer poll list").ok()?.text().contains(KEY)))?;
    write(&bob.home, "program.scm", &program("(display \"again\")\n(run \"echo $PWD\")"))?;
    says(&fixer, "again")?;
    says(&fixer, bob.home.path().to_str().expect("homes have names of text"))?;
    write(&bob.home, "program.scm", "(display \"broken\"")?;
    says(&fixer, "line 1, column 1: this bracket is never closed")?;
    write(&bob.home, "program.scm", &program("(display \"mended\")\n(exit 7)"))?;
    let done = fixer.wait()?;
    assert_eq!(done.status.code(), Some(7), "{}", done.text());
    assert_eq!(done.text().lines().filter(|line| *line == "started").count(), 1);
    assert!(done.text().contains("[debug] nobody") || done.text().contains("[debug] run: echo $PWD"));
    Ok(())
}

#[test]
fn commands_run_in_their_order_and_the_end_waits_for_them() -> Outcome {
    let bob = Person::new("bob", binary(), &[])?;
    let program = "(debug off)
        (mkdir \"below\")
        (run (list opts (cwd \"below\")) \"sleep 0.2;\" \"echo one > list\")
        (run \"exit 3\")
        (run (list (timeout 1)) \"sleep 60\")
        (run \"echo two >> below/list; cat below/list\")
        (exit)";
    let done = start(&bob.home, program)?.wait()?;
    let text = "[error] exit status: 3: exit 3\n[error] ended after 1 s: sleep 60\none\ntwo".to_owned();
    assert_eq!((done.text(), done.talk()), (text, String::new()));
    assert_eq!(done.status.code(), Some(0));
    Ok(())
}

#[test]
fn what_a_command_prints_comes_after_the_line_that_says_that_it_runs() -> Outcome {
    let bob = Person::new("bob", binary(), &[])?;
    let runs: String = (0..10).map(|number| format!("(run \"echo {number}\")\n")).collect();
    let text = start(&bob.home, &format!("{runs}(exit)"))?.wait()?.must_succeed()?.text();
    // The commands begin while the program is still evaluated: only these two are in step.
    let mut lines = text.lines().filter(|line| !line.contains("queue:") && !line.contains("done in"));
    for number in 0..10 {
        assert_eq!(lines.next(), Some(&*format!("[debug] run: echo {number}")), "{text}");
        assert_eq!(lines.next(), Some(&*number.to_string()), "{text}");
    }
    Ok(())
}

#[test]
fn a_program_that_cannot_be_read_is_told_with_its_place() -> Outcome {
    let bob = Person::new("bob", binary(), &[])?;
    let done = start(&bob.home, "(display 1)\n(watch 0 (lwwref \"x\"))\n")?.wait()?.must_fail()?;
    assert!(done.talk().contains("program.scm, line 2, column 1"), "{}", done.talk());
    assert!(done.talk().contains("a number of seconds, from 1"), "{}", done.talk());
    Ok(())
}

#[test]
fn without_a_peer_it_waits_and_says_so_once() -> Outcome {
    let home = Home::new("bob", binary())?;
    let fixer = start(&home, "(display 1)")?;
    says(&fixer, "no hbs2-peer answers")
}

#[test]
fn every_example_can_be_loaded() -> Outcome {
    let bob = Person::new("bob", binary(), &[])?;
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/fixer");
    let mut tried = 0;
    for entry in fs::read_dir(&dir).map_err(KitError::io("cannot read", dir.as_path()))? {
        let path = entry.map_err(KitError::io("cannot read", dir.as_path()))?.path();
        let text = fs::read_to_string(&path).map_err(KitError::io("cannot read", path.as_path()))?;
        let done = start(&bob.home, &format!("{text}\n(exit)"))?.wait()?.must_succeed()?;
        assert!(!done.text().contains("[error]"), "{}: {}", path.display(), done.text());
        tried += 1;
    }
    assert!(tried >= 4);
    Ok(())
}
