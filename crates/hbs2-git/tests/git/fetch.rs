//! What others see when they fetch, with storage folders that meet now and then.

use std::fs;

use crate::world::World;

#[test]
fn two_peers_exchange_commits_through_fetch() {
    let world = World::new();
    let (alice, bob) = (world.site("alice"), world.site("bob"));
    let key = alice.new_repo("work");
    alice.commit("work", "a", "1");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    bob.folder().copy_from(&alice.folder()).unwrap();
    bob.git(".", &["clone", "-q", &format!("hbs23://{key}"), "clone"]);
    let next = alice.commit("work", "b", "2");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    let said = bob.try_git("clone", &["fetch"]);
    assert!(said.ok && bob.rev("clone", "origin/master") != next);
    bob.folder().copy_from(&alice.folder()).unwrap();
    let said = bob.try_git("clone", &["pull"]);
    assert!(said.ok && said.err.contains("fetched from checkpoint 20"), "{}", said.err);
    assert_eq!(bob.rev("clone", "HEAD"), next);
    bob.git("clone", &["fsck", "--full"]);
}

#[test]
fn a_fetch_with_nothing_new_writes_nothing() {
    let world = World::new();
    let alice = world.site("alice");
    let key = alice.new_repo("work");
    alice.commit("work", "a", "1");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    alice.git(".", &["clone", "-q", &format!("hbs23://{key}"), "clone"]);
    let list = || {
        let mut files: Vec<_> =
            fs::read_dir(alice.path("clone/.git/objects/pack")).unwrap().map(|f| f.unwrap().path()).collect();
        files.sort();
        files
    };
    let before = list();
    assert_eq!(before.len(), 2);
    alice.git("clone", &["fetch", "-q"]);
    assert_eq!(list(), before);
}

#[test]
fn tags_follow_fetched_branches() {
    let world = World::new();
    let alice = world.site("alice");
    let key = alice.new_repo("work");
    alice.commit("work", "a", "1");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    alice.git(".", &["clone", "-q", &format!("hbs23://{key}"), "clone"]);
    alice.commit("work", "b", "1");
    alice.git("work", &["tag", "-a", "-m", "t", "t"]);
    alice.git("work", &["push", "-q", "--follow-tags", "hbs", "master"]);
    alice.git("clone", &["fetch", "-q"]);
    assert_eq!(alice.rev("clone", "t"), alice.rev("work", "t"));
}

#[test]
fn ls_remote_works_outside_of_any_repository() {
    let world = World::new();
    let alice = world.site("alice");
    let key = alice.new_repo("work");
    let head = alice.commit("work", "a", "1");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    let listed = alice.ls_remote("nowhere", &format!("hbs23://{key}"));
    assert_eq!(listed.len(), 2);
    assert!(listed.contains(&("refs/heads/master".into(), head)));
    assert_eq!(fs::read_dir(alice.path("nowhere")).unwrap().count(), 0);
}

#[test]
fn other_spellings_of_the_url_work() {
    let world = World::new();
    let alice = world.site("alice");
    let key = alice.new_repo("work");
    alice.commit("work", "a", "1");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    for url in [format!("hbs2://{key}"), format!("hbs23::{key}"), format!("hbs23://{key}/")] {
        assert_eq!(alice.ls_remote("nowhere", &url).len(), 2, "{url}");
    }
}

#[test]
fn a_checkpoint_that_is_not_complete_gives_way_to_the_one_before() {
    let world = World::new();
    let (alice, bob) = (world.site("alice"), world.site("bob"));
    let key = alice.new_repo("work");
    let first = alice.commit("work", "a", "1");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    let known = alice.folder().blocks().unwrap();
    alice.commit("work", "b", "2");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    bob.folder().copy_from(&alice.folder()).unwrap();
    // The content of the new segment has not arrived yet.
    let segment = bob.last_segment(key);
    for chunk in hbs2_git::Link::leaves(&bob.folder(), &segment).unwrap().hashes {
        assert!(!known.contains(&chunk));
        bob.folder().remove(&chunk).unwrap();
    }
    let said = bob.try_git(".", &["clone", &format!("hbs23://{key}"), "clone"]);
    assert!(said.ok && said.err.contains("warning: block "), "{}", said.err);
    assert_eq!(bob.rev("clone", "HEAD"), first);
    bob.add_key(&alice.secret(key));
    // Who writes must know the present state.
    bob.commit("clone", "c", "3");
    let said = bob.try_git("clone", &["push", "origin", "HEAD:refs/heads/new"]);
    assert!(!said.ok && said.err.contains("did not arrive within 1 s"), "{}", said.err);
    // When the block comes, the state is the newest, although the reflog is the same.
    bob.folder().copy_from(&alice.folder()).unwrap();
    bob.git("clone", &["fetch", "-q"]);
    assert_eq!(bob.rev("clone", "origin/master"), alice.rev("work", "HEAD"));
}

#[test]
fn two_fetches_at_once_into_one_repository_both_succeed() {
    let world = World::new();
    let alice = world.site("alice");
    let key = alice.new_repo("work");
    alice.commit("work", "a", "1");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    alice.git("clone", &["init", "-q"]);
    let fetch = |name: &str| {
        let mut fetch = alice.command("git", "clone");
        let spec = format!("refs/heads/*:refs/remotes/{name}/*");
        fetch.args([
            "-c",
            "hbs2.timeout=60",
            "fetch",
            "-q",
            "--no-write-fetch-head",
            &format!("hbs23://{key}"),
            &spec,
        ]);
        fetch.spawn().unwrap()
    };
    let (mut one, mut two) = (fetch("one"), fetch("two"));
    assert!(one.wait().unwrap().success() && two.wait().unwrap().success());
    for name in ["one", "two"] {
        assert_eq!(alice.rev("clone", &format!("refs/remotes/{name}/master")), alice.rev("work", "HEAD"));
    }
    alice.git("clone", &["fsck", "--full"]);
}
