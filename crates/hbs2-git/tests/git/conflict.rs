//! Two pushes at the same time: none is lost.

use hbs2_git::export::{ExportRequest, RefUpdate, Refusal};
use hbs2_git::gitdir::Revision;
use hbs2_git::{ObjectKind, RefName};

use crate::world::{Site, World};

fn update(site: &Site<'_>, dir: &str, rev: &str, name: &str) -> RefUpdate {
    let id = site.rev(dir, rev).parse().unwrap();
    let to = Some(Revision { id, kind: ObjectKind::Commit });
    RefUpdate { name: RefName::new(name).unwrap(), to, force: false, lease: None }
}

/// Two clones of one repository at one peer, `one` and `two`, each with a commit of its own on master.
fn two_clones<'w>(world: &'w World) -> (Site<'w>, hbs2_core::SignPublicKey) {
    let alice = world.site("alice");
    let key = alice.new_repo("work");
    alice.commit("work", "a", "1");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    for name in ["one", "two"] {
        alice.git(".", &["clone", "-q", &format!("hbs23://{key}"), name]);
        alice.commit(name, name, name);
    }
    (alice, key)
}

#[test]
fn a_reference_that_moved_after_it_was_listed_is_refused() {
    let world = World::new();
    let (alice, key) = two_clones(&world);
    let seen = alice.with_repo(key, Some("two/.git"), |repo| repo.refs().unwrap());
    // Between the list and the push of `two`, `one` pushes.
    alice.git("one", &["push", "-q", "origin", "master"]);
    let request = ExportRequest {
        updates: vec![
            update(&alice, "two", "HEAD", "refs/heads/master"),
            update(&alice, "two", "HEAD", "refs/heads/new"),
        ],
        seen: Some(seen),
        atomic: false,
    };
    let exported = alice.with_repo(key, Some("two/.git"), |repo| repo.export(&request).unwrap());
    let refusals: Vec<_> = exported.results.iter().map(|(_, refusal)| *refusal).collect();
    assert_eq!(refusals, [Some(Refusal::FetchFirst), None]);
    let refs = alice.ls_remote("two", "origin");
    assert!(refs.contains(&("refs/heads/master".into(), alice.rev("one", "HEAD"))), "{refs:?}");
    assert!(refs.contains(&("refs/heads/new".into(), alice.rev("two", "HEAD"))), "{refs:?}");
}

#[test]
fn an_atomic_push_moves_all_or_none() {
    let world = World::new();
    let (alice, key) = two_clones(&world);
    let seen = alice.with_repo(key, Some("two/.git"), |repo| repo.refs().unwrap());
    alice.git("one", &["push", "-q", "origin", "master"]);
    let checkpoints = alice.checkpoints(key);
    let request = ExportRequest {
        updates: vec![
            update(&alice, "two", "HEAD", "refs/heads/master"),
            update(&alice, "two", "HEAD", "refs/heads/new"),
        ],
        seen: Some(seen),
        atomic: true,
    };
    let exported = alice.with_repo(key, Some("two/.git"), |repo| repo.export(&request).unwrap());
    let refusals: Vec<_> = exported.results.iter().map(|(_, refusal)| *refusal).collect();
    assert_eq!(refusals, [Some(Refusal::FetchFirst), Some(Refusal::Atomic)]);
    assert_eq!((exported.checkpoint, alice.checkpoints(key)), (None, checkpoints));
}

#[test]
fn a_fast_forward_of_the_moved_reference_goes_through() {
    let world = World::new();
    let (alice, key) = two_clones(&world);
    let seen = alice.with_repo(key, Some("two/.git"), |repo| repo.refs().unwrap());
    alice.git("one", &["push", "-q", "origin", "master"]);
    // `two` has the commit of `one` by another way and builds on it.
    alice.git("two", &["fetch", "-q", "../one", "master"]);
    alice.git("two", &["merge", "-q", "-m", "merge", "FETCH_HEAD"]);
    let updates = vec![update(&alice, "two", "HEAD", "refs/heads/master")];
    let request = ExportRequest { updates, seen: Some(seen), atomic: false };
    let exported = alice.with_repo(key, Some("two/.git"), |repo| repo.export(&request).unwrap());
    assert_eq!(exported.results[0].1, None);
    assert!(
        alice.ls_remote("one", "origin").contains(&("refs/heads/master".into(), alice.rev("two", "HEAD")))
    );
}

#[test]
fn git_says_fetch_first_when_the_remote_is_ahead() {
    let world = World::new();
    let (alice, _) = two_clones(&world);
    alice.git("one", &["push", "-q", "origin", "master"]);
    let said = alice.try_git("two", &["push", "origin", "master"]);
    assert!(!said.ok && said.err.contains("rejected"), "{}", said.err);
    alice.git("two", &["pull", "-q", "--no-rebase", "--no-edit"]);
    alice.git("two", &["push", "-q", "origin", "master"]);
    assert!(
        alice.ls_remote("one", "origin").contains(&("refs/heads/master".into(), alice.rev("two", "HEAD")))
    );
}

#[test]
fn pushes_of_two_hosts_meet_and_the_later_sees_both() {
    let world = World::new();
    let (alice, bob) = (world.site("alice"), world.site("bob"));
    let key = alice.new_repo("work");
    alice.commit("work", "a", "1");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    bob.folder().copy_from(&alice.folder()).unwrap();
    bob.add_key(&alice.secret(key));
    bob.git(".", &["clone", "-q", &format!("hbs23://{key}"), "work"]);
    // Both push without knowing of each other.
    let ours = alice.commit("work", "alice", "a");
    alice.git("work", &["push", "-q", "hbs", "HEAD:refs/heads/alice"]);
    let theirs = bob.commit("work", "bob", "b");
    bob.git("work", &["push", "-q", "origin", "HEAD:refs/heads/bob"]);
    bob.folder().copy_from(&alice.folder()).unwrap();
    alice.folder().copy_from(&bob.folder()).unwrap();
    // The next checkpoint covers both.
    bob.git("work", &["push", "-q", "origin", "HEAD:refs/heads/next"]);
    alice.folder().copy_from(&bob.folder()).unwrap();
    for (site, dir, remote) in [(&alice, "work", "hbs"), (&bob, "work", "origin")] {
        let refs = site.ls_remote(dir, remote);
        assert!(refs.contains(&("refs/heads/alice".into(), ours.clone())), "{refs:?}");
        assert!(refs.contains(&("refs/heads/bob".into(), theirs.clone())), "{refs:?}");
    }
}

#[test]
fn a_clock_that_runs_backwards_loses_nothing() {
    let world = World::new();
    let alice = world.site("alice");
    alice.new_repo("work");
    for (step, now) in [2_000_000_000u64, 2_000_000_000, 1_000, 1_900_000_000].into_iter().enumerate() {
        *world.now.borrow_mut() = Some(now);
        let head = alice.commit("work", &format!("file{step}"), "x");
        alice.git("work", &["push", "-q", "hbs", "master"]);
        assert!(alice.ls_remote("work", "hbs").contains(&("refs/heads/master".into(), head)), "step {step}");
    }
    alice.git("work", &["push", "-q", "hbs", "master:other"]);
    alice.git("work", &["push", "-q", "hbs", ":other"]);
    assert_eq!(alice.ls_remote("work", "hbs").len(), 2);
}

#[test]
fn a_segment_whose_checkpoint_was_never_posted_is_used_by_the_next_push() {
    let world = World::new();
    let alice = world.site("alice");
    let key = alice.new_repo("work");
    let first = alice.commit("work", "a", "1");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    let head = alice.commit("work", "b", "2");
    // The push stops between the segment and the checkpoint.
    alice.post_segment_only(key, &head, "refs/heads/lost");
    let refs = alice.ls_remote("work", "hbs");
    assert!(refs.len() == 2 && refs.iter().all(|(_, id)| *id == first), "{refs:?}");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    let refs = alice.ls_remote("work", "hbs");
    assert!(refs.contains(&("refs/heads/lost".into(), head.clone())), "{refs:?}");
    assert!(refs.contains(&("refs/heads/master".into(), head)), "{refs:?}");
}

#[test]
fn refused_references_show_what_stood_in_their_way() {
    let world = World::new();
    let alice = world.site("alice");
    let key = alice.new_repo("work");
    alice.commit("work", "a", "1");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    alice.commit("work", "b", "2");
    let lost = alice.rev("work", "HEAD");
    // A push of these objects that stopped before its checkpoint, and then the commit was amended.
    alice.git("work", &["push", "-q", "hbs", "master:objects"]);
    alice.post_segment_only(key, &lost, "refs/heads/master");
    alice.git("work", &["commit", "-q", "--amend", "-m", "b again"]);
    let said = alice.try_git("work", &["push", "hbs", "master"]);
    assert!(!said.ok && said.err.contains("fetch first"), "{}", said.err);
    alice.git("work", &["fetch", "-q", "hbs"]);
    assert_eq!(alice.rev("work", "hbs/master"), lost);
    alice.git("work", &["push", "-q", "--force", "hbs", "master"]);
    assert!(
        alice.ls_remote("work", "hbs").contains(&("refs/heads/master".into(), alice.rev("work", "HEAD")))
    );
}

#[test]
fn many_pushes_at_once_lose_nothing() {
    let world = World::new();
    let alice = world.site("alice");
    let key = alice.new_repo("work");
    alice.commit("work", "a", "1");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    let names = ["one", "two", "three", "four"];
    for name in names {
        alice.git(".", &["clone", "-q", &format!("hbs23://{key}"), name]);
        alice.commit(name, name, name);
    }
    let push = |name: &str| {
        let mut push = alice.command("git", name);
        push.args(["-c", "hbs2.timeout=60", "push", "-q", "origin", &format!("HEAD:refs/heads/{name}")]);
        push.spawn().unwrap()
    };
    let pushes: Vec<_> = names.into_iter().map(push).collect();
    for mut push in pushes {
        assert!(push.wait().unwrap().success());
    }
    let refs = alice.ls_remote("work", "hbs");
    for name in names {
        assert!(refs.contains(&(format!("refs/heads/{name}"), alice.rev(name, "HEAD"))), "{refs:?}");
    }
}
