//! Repositories made by the original are cloned, and what they hold is what they should.

use hbs2_testkit::vectors;

use crate::world::{World, facts};

#[test]
fn a_storage_of_the_original_is_cloned_with_all_refs_and_objects() {
    let world = World::new();
    let alice = world.site_of("alice", "git3-plain");
    let expected = facts("git3-plain");
    let url = expected["url"].as_str().unwrap();
    alice.git(".", &["clone", "-q", url, "clone"]);
    alice.git("clone", &["fsck", "--full", "--strict"]);

    let listed = expected["ls_remote"]["stdout"].as_str().unwrap();
    let mut listed: Vec<(String, String)> = listed
        .lines()
        .map(|line| line.split_once('\t').unwrap())
        .map(|(id, name)| (name.into(), id.into()))
        .collect();
    listed.sort();
    let mut ours = alice.ls_remote("clone", "origin");
    ours.sort();
    assert_eq!(ours, listed);

    // Every object of the bundle is in the clone.
    alice.git(
        ".",
        &["clone", "-q", "--mirror", vectors::path("git3-plain/repo.bundle").to_str().unwrap(), "bundle"],
    );
    let all = ["cat-file", "--batch-all-objects", "--batch-check"];
    let (bundle, clone) = (alice.git("bundle", &all), alice.git("clone", &all));
    let clone: Vec<_> = clone.lines().collect();
    for object in bundle.lines() {
        assert!(clone.contains(&object), "{object}");
    }
    assert_eq!(alice.rev("clone", "refs/tags/v0.1"), alice.rev("bundle", "refs/tags/v0.1"));
    assert_eq!(alice.rev("clone", "HEAD"), alice.rev("bundle", "refs/heads/master"));
}

#[test]
fn the_transactions_of_the_original_are_listed_in_its_order() {
    let world = World::new();
    let alice = world.site_of("alice", "git3-plain");
    let expected = facts("git3-plain");
    let key = expected["lwwref"].as_str().unwrap().parse().unwrap();
    let (transactions, manifest, reflog) = alice.with_repo(key, None, |repo| {
        (repo.transactions().unwrap(), repo.manifest().unwrap(), repo.reflog().unwrap())
    });
    let ids: Vec<String> = transactions.iter().map(|tx| tx.id.to_string()).collect();
    let listed: Vec<&str> =
        expected["reflog_cat_H"].as_str().unwrap().lines().filter(|l| !l.is_empty()).collect();
    assert_eq!(ids, listed);
    assert_eq!(manifest.to_text(), expected["manifest_texts"][0]["text"].as_str().unwrap());
    assert_eq!(reflog.to_string(), expected["reflog"].as_str().unwrap());
}
