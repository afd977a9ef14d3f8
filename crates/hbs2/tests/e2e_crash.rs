//! Power cuts and restarts, with the real daemon.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use hbs2_testkit::{KitError, Person, Repo, noise, until};

type Outcome = Result<(), KitError>;

fn alice_and_bob() -> Result<[Person; 2], KitError> {
    Person::row(["alice", "bob"], Path::new(env!("CARGO_BIN_EXE_hbs2")))
}

#[test]
fn a_clone_goes_on_after_its_daemon_was_killed_in_the_middle() -> Outcome {
    let [alice, mut bob] = alice_and_bob()?;
    let work = Repo::init(&alice.home, "work")?;
    for n in 0..8 {
        work.commit(&format!("{n}.bin"), noise(n, 8 << 20), "more")?;
    }
    let remote = work.publish()?;
    work.git("push --quiet").args([&remote.name, "main"]).ok()?;

    let clone = bob.line("git clone --quiet").args([&remote.url, "copy"]).start()?;
    let storage = bob.home.join(".local/share/hbs2");
    until("some of the data has arrived", || Ok(bytes_below(&storage) > 4 << 20))?;
    bob.peer.kill();
    // Whether the clone itself fails or was just done with the daemon, a second one must succeed.
    clone.wait()?;
    fs::remove_dir_all(bob.home.join("copy")).ok();
    bob.peer.restart()?;
    let copy = Repo::clone(&bob.home, &remote.url, "copy")?;
    assert_eq!(copy.id("HEAD")?, work.id("main")?);
    copy.fsck()
}

/// Size of all files below `dir`; files that vanish while we look do not count.
fn bytes_below(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(facts) if facts.is_dir() => bytes_below(&entry.path()),
        Ok(facts) => facts.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

#[test]
fn a_download_under_way_is_taken_up_after_a_restart_without_being_asked() -> Outcome {
    let [mut alice, mut bob] = alice_and_bob()?;
    let content = noise(99, 24 << 20);
    let hash = alice.line("hbs2 store").stdin(content.clone()).ok()?.text();
    alice.peer.stop()?;
    bob.line("hbs2-peer fetch").arg(&hash).ok()?;
    bob.peer.restart()?;
    alice.peer.restart()?;
    until("the tree is complete", || {
        let seen = bob.line("hbs2 cat").arg(&hash).run()?;
        Ok(seen.status.success() && seen.stdout == content)
    })?;
    Ok(())
}

#[test]
fn fetch_works_after_both_sides_were_restarted() -> Outcome {
    let [mut alice, mut bob] = alice_and_bob()?;
    let work = Repo::init(&alice.home, "work")?;
    work.commit("a.txt", "a", "first")?;
    let remote = work.publish()?;
    work.git("push --quiet").args([&remote.name, "main"]).ok()?;
    let copy = Repo::clone(&bob.home, &remote.url, "copy")?;
    alice.peer.kill();
    bob.peer.stop()?;
    alice.peer.restart()?;
    work.commit("b.txt", "b", "second")?;
    work.git("push --quiet").args([&remote.name, "main"]).ok()?;
    bob.peer.restart()?;
    let tip = work.id("main")?;
    until("news arrive after the restart", || {
        copy.git("fetch --quiet origin").ok()?;
        Ok(copy.id("origin/main")? == tip)
    })?;
    copy.fsck()
}

#[test]
fn a_push_that_was_acknowledged_survives_a_power_cut() -> Outcome {
    let [mut alice, bob] = alice_and_bob()?;
    let work = Repo::init(&alice.home, "work")?;
    work.commit("a.txt", "a", "first")?;
    let remote = work.publish()?;
    for round in 0..3 {
        work.commit("a.txt", format!("{round}"), "again")?;
        work.git("push --quiet").args([&remote.name, "main"]).ok()?;
        alice.peer.kill();
        alice.peer.restart()?;
        let refs = work.remote_refs(&remote.name)?;
        assert_eq!(refs.get("refs/heads/main"), Some(&work.id("main")?), "round {round}");
    }
    let copy = Repo::clone(&bob.home, &remote.url, "copy")?;
    assert_eq!(copy.id("HEAD")?, work.id("main")?);
    Ok(())
}

#[test]
fn sigterm_ends_a_busy_daemon_within_two_seconds() -> Outcome {
    let [alice, mut bob] = alice_and_bob()?;
    let hash = alice.line("hbs2 store").stdin(noise(5, 48 << 20)).ok()?.text();
    bob.line("hbs2-peer fetch").arg(&hash).ok()?;
    thread::sleep(Duration::from_millis(50));
    let took = bob.peer.stop()?;
    assert!(took < Duration::from_secs(2), "it took {took:?}");
    Ok(())
}
