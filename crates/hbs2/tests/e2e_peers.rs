//! More than two peers, peers that are off, and peers that nobody answers.

use std::path::Path;
use std::time::Duration;

use hbs2_testkit::{Daemon, Home, KitError, Person, Repo, free_address, until};

type Outcome = Result<(), KitError>;

fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_hbs2"))
}

#[test]
fn a_file_stored_here_is_fetched_and_shown_there() -> Outcome {
    let [alice, bob] = Person::row(["alice", "bob"], binary())?;
    let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    let hash = alice.line("hbs2 store").stdin(bytes.clone()).ok()?.text();
    assert!(!bob.line("hbs2 has").arg(&hash).run()?.status.success());
    bob.line("hbs2-peer fetch -p").arg(&hash).ok()?;
    assert!(bob.line("hbs2 cat").arg(&hash).ok()?.stdout == bytes, "the content differs");
    assert_eq!(bob.line("hbs2 cat -H").arg(&hash).ok()?.text().lines().count(), 12);
    Ok(())
}

#[test]
fn a_clone_comes_through_a_peer_in_the_middle_while_the_owner_is_off() -> Outcome {
    let [mut alice, bob, carol] = Person::row(["alice", "bob", "carol"], binary())?;
    let work = Repo::init(&alice.home, "work")?;
    work.commit("a.txt", "a".repeat(100_000), "first")?;
    let remote = work.publish()?;
    work.git("push --quiet").args([&remote.name, "main"]).ok()?;
    // Bob keeps the repository for others; he has no git repository of it.
    bob.line("git hbs2 repo:relay-only").arg(remote.key()).ok()?;
    let tip = work.id("main")?;
    until("the relay has the push", || {
        let refs = bob.line("git ls-remote --refs").arg(&remote.url).ok()?;
        Ok(refs.text().contains(&tip))
    })?;
    alice.peer.stop()?;
    let copy = Repo::clone(&carol.home, &remote.url, "copy")?;
    assert_eq!(copy.id("HEAD")?, tip);
    copy.fsck()?;
    // Alice comes back with news; they travel through Bob to Carol.
    alice.peer.restart()?;
    work.commit("b.txt", "b", "second")?;
    work.git("push --quiet").args([&remote.name, "main"]).ok()?;
    let tip = work.id("main")?;
    until("news pass through the relay", || {
        copy.git("fetch --quiet origin").ok()?;
        Ok(copy.id("origin/main")? == tip)
    })?;
    Ok(())
}

#[test]
fn peers_that_list_each_other_are_linked_whoever_starts_first() -> Outcome {
    let [alice, bob] = Person::row(["alice", "bob"], binary())?;
    for person in [&alice, &bob] {
        until("a peer is linked", || Ok(!person.line("hbs2-peer peers").ok()?.text().is_empty()))?;
    }
    Ok(())
}

#[test]
fn a_clone_of_what_nobody_has_ends_with_its_name_and_what_to_do() -> Outcome {
    let [alice, bob] = Person::row(["alice", "bob"], binary())?;
    let work = Repo::init(&alice.home, "work")?;
    let remote = work.publish()?;
    drop(alice);
    let clone = bob.line("git -c hbs2.timeout=2 clone --quiet").args([&remote.url, "copy"]);
    let failed = clone.deadline(Duration::from_secs(30)).fails()?;
    assert!(failed.talk().contains(remote.key()) && failed.talk().contains("hint: "), "{failed}");
    Ok(())
}

#[test]
fn without_a_daemon_each_program_says_how_to_start_it() -> Outcome {
    let home = Home::new("alice", binary())?;
    let work = Repo::init(&home, "work")?;
    work.git("hbs2 init --new").fails()?.says("hbs2-peer run")?;
    let url = "hbs23://CRciezyozQDQjbNbjc77eQHbXugELveRhCTDWmWpenV6";
    home.line("git clone --quiet").args([url, "copy"]).fails()?.says("hbs2-peer run")?;
    home.line("hbs2-peer fetch 3XgC98VY46WhfBbkngM3vPLpFc5pai6FuEZ7PjTzkqzC")
        .fails()?
        .says("hbs2-peer run")?;
    let poke = home.line("hbs2-peer poke").fails()?;
    assert!(poke.stdout.is_empty() && poke.status.code() == Some(1), "{poke}");
    Ok(())
}

#[test]
fn the_store_is_open_to_commands_with_and_without_a_daemon() -> Outcome {
    let home = Home::new("alice", binary())?;
    let before = home.line("hbs2 store").stdin("before").ok()?.text();
    let mut peer = Daemon::start(&home, &[])?;
    let during = home.line("hbs2 store").stdin("during").ok()?.text();
    assert_eq!(home.line("hbs2 cat").arg(&before).ok()?.text(), "before");
    peer.stop()?;
    assert_eq!(home.line("hbs2 cat").arg(&during).ok()?.text(), "during");
    Ok(())
}

#[test]
fn a_second_daemon_of_the_same_home_is_refused() -> Outcome {
    let home = Home::new("alice", binary())?;
    let peer = Daemon::start(&home, &[])?;
    let second = home.line("hbs2-peer run").deadline(Duration::from_secs(20)).fails()?;
    assert!(second.talk().contains("error: "), "{second}");
    assert!(
        home.line("hbs2-peer poke").run()?.status.success(),
        "the first one answers still\n{}",
        peer.log()
    );
    Ok(())
}

#[test]
fn a_broken_config_is_named_with_its_line() -> Outcome {
    let home = Home::new("alice", binary())?;
    let mut peer = Daemon::start_at(&home, free_address()?, &[], "")?;
    peer.stop()?;
    let config = peer.config();
    std::fs::write(&config, "key \"./default.key\"\nlisten-tcp (\n")
        .map_err(KitError::io("cannot write", &config))?;
    let failed = home.line("hbs2-peer run").deadline(Duration::from_secs(20)).fails()?;
    assert!(failed.talk().contains("config") && failed.talk().contains('2'), "{failed}");
    Ok(())
}
