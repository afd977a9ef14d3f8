//! Repositories of version 2 that we write: exported, pushed, given to another group, migrated.

use std::collections::BTreeSet;
use std::fs;

use hbs2_core::groupkey::{GroupKey, GroupSecret};
use hbs2_core::{EncryptPublicKey, EncryptSecretKey, Hash, Keyring, SignPublicKey, SignSecretKey};
use hbs2_git::link::Link;
use hbs2_git::v2::migrate::migrate;
use hbs2_git::v2::{Privacy, RepoHead, Wish};
use hbs2_git::{Error, groupkey};

use crate::v2_read::{objects, site};
use crate::world::{Site, World};

fn wish(privacy: Privacy) -> Wish {
    Wish { create: true, privacy, ..Wish::default() }
}

/// A repository of Alice with one commit, not exported yet.
fn work(alice: &Site<'_>) -> SignPublicKey {
    alice.git("work", &["init", "-q"]);
    alice.commit("work", "readme", "hello\n");
    let secret = SignSecretKey::from_seed(&[40; 32]);
    alice.add_key(&secret);
    alice.git("work", &["remote", "add", "origin", &format!("hbs2://{}", secret.public())]);
    secret.public()
}

/// Gives a person an encryption key.
fn encryption_key(site: &Site<'_>, seed: u8) -> EncryptPublicKey {
    let keyring = Keyring::new(&[seed; 32], &[[seed; 32]]);
    fs::create_dir_all(site.path("keys")).unwrap();
    fs::write(site.path("keys").join(format!("{seed}.key")), keyring.to_text().as_bytes()).unwrap();
    keyring.encrypt[0].public()
}

/// Stores a group key with the secret of this seed.
fn group(site: &Site<'_>, seed: u8, members: &[EncryptPublicKey]) -> Hash {
    let members: BTreeSet<_> = members.iter().copied().collect();
    let mut number = 0;
    let once = || {
        number += 1;
        EncryptSecretKey::from_bytes([number; 32])
    };
    let key = GroupKey::generate(&GroupSecret::from_bytes([seed; 32]), &members, 5, once).unwrap();
    site.with_context(|ctx| groupkey::store(ctx, &key)).unwrap()
}

fn export(alice: &Site<'_>, key: SignPublicKey, privacy: Privacy) -> u64 {
    alice.with_second(key, Some("work/.git"), |repo| repo.export(&wish(privacy))).unwrap().objects
}

fn head(site: &Site<'_>, key: SignPublicKey) -> RepoHead {
    site.with_second(key, None, |repo| repo.newest_head()).unwrap().unwrap()
}

fn names(head: &RepoHead) -> Vec<String> {
    head.existing().map(|(name, _)| name.to_string()).collect()
}

#[test]
fn a_repository_is_exported_pushed_cloned_and_fetched() {
    let world = World::new();
    let (alice, bob) = (world.site("alice"), world.site("bob"));
    let key = work(&alice);
    assert_eq!(export(&alice, key, Privacy::Public), 3);
    assert_eq!(export(&alice, key, Privacy::Keep), 0, "nothing is new");
    assert_eq!(alice.folder().lwwref(&key).unwrap().unwrap().seq, 1);
    assert_eq!(alice.git("work", &["status", "--porcelain"]), "");
    let said = alice.try_git("work", &["fetch", "origin"]);
    assert!(said.ok && said.err.contains("* [new branch]      master     -> origin/master"), "{}", said.err);

    bob.folder().copy_from(&alice.folder()).unwrap();
    bob.git(".", &["clone", "-q", &format!("hbs21://{key}"), "copy"]);
    alice.commit("work", "more", "more");
    alice.git("work", &["tag", "-a", "v1", "-m", "note"]);
    alice.git("work", &["branch", "side"]);
    alice.git("work", &["push", "-q", "origin", "master", "side", "v1"]);
    bob.folder().copy_from(&alice.folder()).unwrap();
    bob.git("copy", &["fetch", "-q", "--tags", "origin"]);
    assert_eq!(bob.rev("copy", "origin/side"), alice.rev("work", "HEAD"));
    assert_eq!(bob.git("copy", &["cat-file", "-t", "v1"]).trim(), "tag");
    bob.git("copy", &["fsck", "--full", "--strict"]);

    alice.git("work", &["branch", "-q", "-D", "side"]);
    alice.git("work", &["push", "-q", "origin", ":side", ":v1"]);
    alice.git("work", &["tag", "-d", "v1"]);
    assert_eq!(names(&head(&alice, key)), ["HEAD", "refs/heads/master"]);
    let first = alice.rev("work", "HEAD");
    alice.git("work", &["commit", "-q", "--amend", "-m", "other"]);
    let said = alice.try_git("work", &["push", "origin", "master"]);
    assert!(!said.ok && said.err.contains("non-fast-forward"), "{}", said.err);
    alice.git("work", &["push", "-q", "--force", "origin", "master"]);
    assert_ne!(alice.rev("work", "origin/master"), first);
    let said = bob.try_git("copy", &["push", "origin", "master"]);
    assert!(!said.ok, "{}", said.err);
}

#[test]
fn the_config_says_what_goes_beside_what_is_pushed() {
    let world = World::new();
    let alice = world.site("alice");
    let key = work(&alice);
    for branch in ["main", "topic", "feature/x"] {
        alice.git("work", &["branch", branch]);
    }
    alice.git("work", &["tag", "v1"]);
    export(&alice, key, Privacy::Public);
    let usual = ["HEAD", "refs/heads/feature/x", "refs/heads/main", "refs/heads/master", "refs/tags/v1"];
    assert_eq!(names(&head(&alice, key)), usual);
    let config = fs::read_to_string(alice.path("work/.hbs2-git/config")).unwrap();
    assert!(config.contains("export include \"refs/heads/master\"") && config.ends_with("export tags\n"));

    let other = SignSecretKey::from_seed(&[41; 32]);
    alice.add_key(&other);
    fs::write(alice.path("work/.hbs2-git/config"), "export exclude \"refs/heads/**\"\n").unwrap();
    export(&alice, other.public(), Privacy::Public);
    assert_eq!(names(&head(&alice, other.public())), ["HEAD", "refs/heads/master"]);
    alice.git("work", &["push", "-q", &format!("hbs2://{}", other.public()), "topic"]);
    assert_eq!(names(&head(&alice, other.public())), ["HEAD", "refs/heads/master", "refs/heads/topic"]);

    fs::write(alice.path("work/.hbs2-git/config"), "export everything\n").unwrap();
    let failed = alice.with_second(key, Some("work/.git"), |repo| repo.export(&wish(Privacy::Keep)));
    assert!(failed.is_err());
}

#[test]
fn a_stale_branch_does_not_take_back_what_was_published() {
    let world = World::new();
    let alice = world.site("alice");
    let key = work(&alice);
    export(&alice, key, Privacy::Public);
    alice.git(".", &["clone", "-q", &format!("hbs2://{key}"), "stale"]);
    let newer = alice.commit("work", "b", "b");
    alice.git("work", &["push", "-q", "origin", "master"]);
    alice.git("stale", &["switch", "-q", "-c", "topic"]);
    alice.commit("stale", "c", "c");
    let said = alice.try_git("stale", &["push", "origin", "topic"]);
    assert!(said.ok, "{}", said.err);
    assert_eq!(head(&alice, key).id(&"refs/heads/master".parse().unwrap()).unwrap().to_string(), newer);
}

#[test]
fn the_manifest_is_that_of_the_file_or_else_the_last() {
    let world = World::new();
    let alice = world.site("alice");
    let key = work(&alice);
    export(&alice, key, Privacy::Public);
    assert_eq!((head(&alice, key).name.as_str(), head(&alice, key).brief.as_str()), ("work", "n/a"));
    let text = "name: \"project\"\nbrief: \"about\"\n\nmore\n";
    fs::write(alice.path("work/.hbs2-git/manifest"), text).unwrap();
    export(&alice, key, Privacy::Keep);
    fs::remove_file(alice.path("work/.hbs2-git/manifest")).unwrap();
    alice.commit("work", "b", "b");
    alice.git("work", &["push", "-q", "origin", "master"]);
    let last = head(&alice, key);
    assert_eq!((last.name.as_str(), last.brief.as_str()), ("project", "about"));
    assert_eq!(last.manifest.as_deref(), Some(text));
    fs::write(alice.path("work/.hbs2-git/manifest"), vec![b'x'; 256 * 1024 + 1]).unwrap();
    let failed = alice.with_second(key, Some("work/.git"), |repo| repo.export(&wish(Privacy::Keep)));
    assert!(failed.unwrap_err().to_string().contains("262144 bytes"));
}

#[test]
fn an_encrypted_repository_is_for_its_group_and_changes_with_it() {
    let world = World::new();
    let (alice, bob, carol) = (world.site("alice"), world.site("bob"), world.site("carol"));
    let (a, b, c) = (encryption_key(&alice, 1), encryption_key(&bob, 2), encryption_key(&carol, 3));
    let key = work(&alice);
    let url = format!("hbs2://{key}");
    let old = group(&alice, 91, &[a, b]);
    assert_eq!(export(&alice, key, Privacy::Group(old)), 3);
    assert_eq!(head(&alice, key).group, Some(old));
    let failed = alice.with_second(key, Some("work/.git"), |repo| repo.export(&wish(Privacy::Public)));
    assert!(failed.unwrap_err().to_string().contains("is encrypted"));
    for site in [&bob, &carol] {
        site.folder().copy_from(&alice.folder()).unwrap();
    }
    bob.git(".", &["clone", "-q", &url, "copy"]);
    assert!(!carol.try_git(".", &["clone", "-q", &url, "copy"]).ok);

    // Bob goes, Carol comes: she reads everything, he what was there.
    let new = group(&alice, 92, &[a, c]);
    assert_eq!(export(&alice, key, Privacy::Group(new)), 0);
    alice.commit("work", "secret", "for carol");
    alice.git("work", &["push", "-q", "origin", "master"]);
    assert_eq!(head(&alice, key).group, Some(new));
    for site in [&bob, &carol] {
        site.folder().copy_from(&alice.folder()).unwrap();
    }
    carol.git(".", &["clone", "-q", &url, "copy"]);
    assert_eq!(carol.rev("copy", "HEAD"), alice.rev("work", "HEAD"));
    let said = bob.try_git("copy", &["fetch", "origin"]);
    assert!(!said.ok && said.err.contains("can not apply tx"), "{}", said.err);

    // Carol was given the first secret with the old packs.
    let known = group(&alice, 91, &[a]);
    let refused = alice.with_second(key, Some("work/.git"), |repo| repo.export(&wish(Privacy::Group(known))));
    assert!(matches!(refused, Err(Error::SameSecret { member, .. }) if member == c), "{refused:?}");
    assert_eq!(head(&alice, key).group, Some(new));
}

#[test]
fn a_public_repository_that_becomes_encrypted_is_sealed_anew() {
    let world = World::new();
    let (alice, bob) = (world.site("alice"), world.site("bob"));
    let (a, b) = (encryption_key(&alice, 1), encryption_key(&bob, 2));
    let key = work(&alice);
    export(&alice, key, Privacy::Public);
    export(&alice, key, Privacy::Group(group(&alice, 9, &[a, b])));
    bob.folder().copy_from(&alice.folder()).unwrap();
    bob.git(".", &["clone", "-q", &format!("hbs2://{key}"), "copy"]);
    assert_eq!(bob.rev("copy", "HEAD"), alice.rev("work", "HEAD"));
}

#[test]
fn the_repository_of_a_vector_is_pushed_to_by_its_owner() {
    for (folder, keys) in
        [("git2-plain", &["lwwref.key"][..]), ("git2-encrypted", &["lwwref.key", "reader.key"])]
    {
        let world = World::new();
        let (alice, key) = site(&world, "alice", folder, keys);
        let (bob, _) = site(&world, "bob", folder, &keys[1..]);
        alice.git(".", &["clone", "-q", &format!("hbs2://{key}"), "work"]);
        bob.git(".", &["clone", "-q", &format!("hbs2://{key}"), "copy"]);
        alice.commit("work", "ours", "ours");
        alice.git("work", &["push", "-q", "origin", "master"]);
        bob.folder().copy_from(&alice.folder()).unwrap();
        bob.git("copy", &["pull", "-q"]);
        assert_eq!(bob.rev("copy", "HEAD"), alice.rev("work", "HEAD"));
    }
}

#[test]
fn two_pushes_at_once_keep_both() {
    let world = World::new();
    let alice = world.site("alice");
    let key = work(&alice);
    export(&alice, key, Privacy::Public);
    let url = format!("hbs2://{key}");
    for copy in ["one", "two"] {
        alice.git(".", &["clone", "-q", &url, copy]);
        alice.git(copy, &["switch", "-q", "-c", copy]);
        alice.commit(copy, copy, copy);
    }
    let push = |copy: &str| alice.command("git", copy).args(["push", "-q", "origin", copy]).spawn().unwrap();
    for mut child in [push("one"), push("two")] {
        assert!(child.wait().unwrap().success());
    }
    let names = names(&head(&alice, key));
    assert!(
        names.contains(&"refs/heads/one".into()) && names.contains(&"refs/heads/two".into()),
        "{names:?}"
    );
}

#[test]
fn what_cannot_be_copied_whole_is_not_switched() {
    let world = World::new();
    let (alice, key) = site(&world, "alice", "git2-plain", &["lwwref.key"]);
    let before = alice.folder().lwwref(&key).unwrap();
    let last = alice.with_second(key, None, |repo| repo.import()).unwrap().unwrap();
    let pack = *last.packs.last().unwrap();
    let chunk = alice.folder().leaves(&pack).unwrap().hashes[0];
    alice.folder().remove(&chunk).unwrap();
    for in_place in [true, false] {
        let failed = alice.with_context(|ctx| migrate(ctx, key, in_place)).unwrap_err();
        assert!(failed.to_string().contains(&format!("transaction {} is incomplete", last.id)), "{failed}");
    }
    assert_eq!(alice.folder().lwwref(&key).unwrap(), before);
    assert_eq!(fs::read_dir(alice.path("keys")).unwrap().count(), 1, "no key is left behind");
}

#[test]
fn a_repository_is_migrated_under_a_new_key_and_in_place() {
    for (folder, keys) in
        [("git2-plain", &["lwwref.key"][..]), ("git2-encrypted", &["lwwref.key", "reader.key"])]
    {
        let world = World::new();
        let (alice, key) = site(&world, "alice", folder, keys);
        let (bob, _) = site(&world, "bob", folder, &keys[1..]);
        alice.git(".", &["clone", "-q", &format!("hbs2://{key}"), "old"]);
        let before = alice.ls_remote("old", "origin");

        let moved = alice.with_context(|ctx| migrate(ctx, key, false)).unwrap();
        assert_ne!(moved.key, key);
        assert_eq!(moved.group.is_some(), folder == "git2-encrypted");
        assert_eq!(alice.ls_remote("old", "origin"), before);
        bob.folder().copy_from(&alice.folder()).unwrap();
        bob.git(".", &["clone", "-q", &format!("hbs23://{}", moved.key), "new"]);
        assert_eq!(objects(&bob, "new"), objects(&alice, "old"));
        assert_eq!(alice.with_repo(moved.key, None, |repo| repo.group()).unwrap(), moved.group);

        let stays = alice.with_context(|ctx| migrate(ctx, key, true)).unwrap();
        assert_eq!((stays.key, stays.objects), (key, moved.objects));
        bob.folder().copy_from(&alice.folder()).unwrap();
        for scheme in ["hbs2", "hbs23"] {
            bob.git(".", &["clone", "-q", &format!("{scheme}://{key}"), scheme]);
            assert_eq!(objects(&bob, scheme), objects(&alice, "old"));
        }
        // A clone of the old one goes on.
        alice.commit("old", "after", "after");
        alice.git("old", &["push", "-q", "origin", "master"]);
        bob.folder().copy_from(&alice.folder()).unwrap();
        bob.git("hbs2", &["pull", "-q"]);
        assert_eq!(bob.rev("hbs2", "HEAD"), alice.rev("old", "HEAD"));
        assert!(alice.with_context(|ctx| migrate(ctx, key, true)).is_err(), "it is of version 3 already");
    }
}
