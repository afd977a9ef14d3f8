//! Repositories of version 2 as the original wrote them: cloned, fetched, and refused with reasons.

use std::fs;
use std::time::Instant;

use hbs2_core::{Decode, Hash, ReflogUpdate, SignPublicKey};
use hbs2_git::link::Link;
use hbs2_git::v2::SnapshotRef;
use hbs2_git::{Generation, GitDir, adopt};
use hbs2_testkit::vectors;

use crate::world::{Site, World, facts};

/// A site with the storage of a vector and these key files of it.
pub(crate) fn site<'w>(
    world: &'w World,
    name: &'static str,
    folder: &str,
    keys: &[&str],
) -> (Site<'w>, SignPublicKey) {
    let site = world.site_of(name, folder);
    let key: SignPublicKey = facts(folder)["lwwref"].as_str().unwrap().parse().unwrap();
    fs::create_dir_all(site.path("keys")).unwrap();
    for file in keys {
        let to = if *file == "lwwref.key" { format!("{key}-lwwref.key") } else { (*file).to_owned() };
        fs::copy(vectors::path(folder).join(file), site.path("keys").join(to)).unwrap();
    }
    (site, key)
}

/// All objects that the references reach, sorted.
pub(crate) fn objects(site: &Site<'_>, dir: &str) -> Vec<String> {
    let listed = site.git(dir, &["rev-list", "--objects", "--no-object-names", "--all"]);
    let mut ids: Vec<String> = listed.lines().map(str::to_owned).collect();
    ids.sort_unstable();
    ids
}

/// The newest transaction of a vector.
fn newest(site: &Site<'_>, folder: &str) -> (Hash, SnapshotRef) {
    let root: Hash = facts(folder)["reflog_root"].as_str().unwrap().parse().unwrap();
    let read = |id: Hash| {
        let block = site.folder().get(&[id]).unwrap().remove(0).unwrap();
        (id, SnapshotRef::read(ReflogUpdate::from_bytes(&block).unwrap().data()).unwrap())
    };
    let all = site.folder().leaves(&root).unwrap().hashes;
    all.into_iter().map(read).max_by_key(|(_, names)| names.rank).unwrap()
}

#[test]
fn a_clone_has_the_references_and_objects_of_the_original() {
    for (folder, keys) in
        [("git2-plain", &[][..]), ("git2-encrypted", &["reader.key"]), ("git2-encrypted", &["reader2.key"])]
    {
        let world = World::new();
        let (site, key) = site(&world, "alice", folder, keys);
        let facts = facts(folder);
        site.git(
            ".",
            &["clone", "-q", &vectors::path(folder).join("repo.bundle").display().to_string(), "expected"],
        );
        for scheme in ["hbs2", "hbs21", "hbs23"] {
            site.git(".", &["clone", "-q", &format!("{scheme}://{key}"), scheme]);
            assert_eq!(site.git(scheme, &["for-each-ref"]), facts["clone_refs"]["stdout"].as_str().unwrap());
            assert_eq!(objects(&site, scheme), objects(&site, "expected"));
            site.git(scheme, &["fsck", "--full", "--strict"]);
            assert_eq!(site.git(scheme, &["status", "--porcelain"]), "");
        }
        let listed = site.git("hbs2", &["ls-remote", "origin"]);
        assert_eq!(listed, facts["ls_remote"]["stdout"].as_str().unwrap());
        let shown = site.git("hbs2", &["remote", "show", "origin"]);
        assert!(shown.contains("HEAD branch: master"), "{shown}");
    }
}

#[test]
fn an_import_makes_a_mirror_with_the_references_of_the_original() {
    for (folder, keys) in [("git2-plain", &[][..]), ("git2-encrypted", &["reader2.key"])] {
        let world = World::new();
        let (site, key) = site(&world, "alice", folder, keys);
        let bundle = vectors::path(folder).join("repo.bundle");
        site.git(".", &["clone", "-q", "--mirror", &bundle.display().to_string(), "expected"]);
        site.git(".", &["init", "-q", "--bare", "-b", "other", "mirror.git"]);
        // The second time nothing is new, and nothing changes.
        for _ in 0..2 {
            site.with_context(|ctx| {
                let git = GitDir::open(&site.path("mirror.git")).unwrap();
                let repo = Generation::open(ctx, key, Some(git.clone())).unwrap();
                adopt::adopt(ctx, &git, &repo.refs().unwrap()).unwrap();
            });
            let shown = ["show-ref", "--heads", "--tags"];
            assert_eq!(site.git("mirror.git", &shown), site.git("expected", &shown));
            assert_eq!(objects(&site, "mirror.git"), objects(&site, "expected"));
            assert_eq!(site.git("mirror.git", &["symbolic-ref", "HEAD"]).trim(), "refs/heads/master");
        }
        assert!(site.path("mirror.git/.hbs2-git").is_dir());
        assert!(!site.path(".hbs2-git").exists());
        site.git("mirror.git", &["fsck", "--full", "--strict"]);
    }
}

#[test]
fn the_state_may_be_deleted_and_lost_objects_come_back() {
    let world = World::new();
    let (site, key) = site(&world, "alice", "git2-plain", &[]);
    site.git(".", &["clone", "-q", "--bare", &format!("hbs2://{key}"), "copy.git"]);
    assert!(site.path("copy.git/.hbs2-git/state").is_dir());
    fs::remove_dir_all(site.path("copy.git/.hbs2-git")).unwrap();
    site.git("copy.git", &["fetch", "-q", "origin"]);
    let before = objects(&site, "copy.git");
    for dir in fs::read_dir(site.path("copy.git/objects")).unwrap() {
        let dir = dir.unwrap().path();
        fs::remove_dir_all(&dir).unwrap();
        fs::create_dir_all(&dir).unwrap();
    }
    site.git("copy.git", &["update-ref", "-d", "refs/heads/master"]);
    site.git("copy.git", &["update-ref", "-d", "refs/tags/v0.1"]);
    site.git("copy.git", &["fetch", "-q", "origin", "refs/*:refs/*"]);
    assert_eq!(objects(&site, "copy.git"), before);
}

#[test]
fn who_has_no_key_is_told_which_at_once() {
    let world = World::new();
    let (site, key) = site(&world, "alice", "git2-encrypted", &[]);
    let said = site.try_git(".", &["clone", &format!("hbs2://{key}"), "copy"]);
    let (transaction, _) = newest(&site, "git2-encrypted");
    let group = "43KYXTjG7hzcUDFgg77eHAcURvBVFu7mcmRC8Bg9bM4r";
    assert!(!said.ok);
    assert!(said.err.contains(&format!("can not apply tx {transaction} ")), "{}", said.err);
    assert!(said.err.contains(&format!("group key {group} ")), "{}", said.err);
    assert!(said.err.contains("hbs2-keyman"), "{}", said.err);
}

#[test]
fn an_incomplete_transaction_is_named_with_its_blocks_and_an_older_one_is_shown() {
    let world = World::new();
    let (site, key) = site(&world, "alice", "git2-plain", &[]);
    let (transaction, names) = newest(&site, "git2-plain");
    let pack = *site.folder().leaves(&names.bundles).unwrap().hashes.last().unwrap();
    let chunk = site.folder().leaves(&pack).unwrap().hashes[0];
    site.folder().remove(&chunk).unwrap();
    let said = site.try_git(".", &["clone", &format!("hbs2://{key}"), "copy"]);
    assert!(said.ok, "{}", said.err);
    let start =
        format!("warning: transaction {transaction} is incomplete: 1 blocks did not arrive within 1 s");
    assert!(said.err.contains(&start) && said.err.contains(&chunk.to_string()), "{}", said.err);
    assert_eq!(site.rev("copy", "HEAD"), "0632a5db35e772eedf6ed3fa23b116c7a81ded46");

    let first = site.folder().leaves(&names.bundles).unwrap().hashes[0];
    site.folder().remove(&first).unwrap();
    let said = site.try_git(".", &["clone", &format!("hbs2://{key}"), "other"]);
    assert!(
        !said.ok && said.err.contains(&format!("transaction {transaction} is incomplete")),
        "{}",
        said.err
    );
    assert!(
        said.err.contains("peers were asked for") && said.err.contains("; no peer is connected"),
        "{}",
        said.err
    );
}

#[test]
fn an_unknown_repository_is_refused_within_the_time() {
    let world = World::new();
    let site = world.site("alice");
    let key = SignPublicKey::from_bytes([7; 32]);
    let start = Instant::now();
    let said = site.try_git(".", &["clone", &format!("hbs2://{key}"), "copy"]);
    assert!(!said.ok && said.err.contains(&format!("repository {key} has no value here")), "{}", said.err);
    // The limit of a site is one second; what is over is the start of git and of the helper on a busy machine.
    assert!(start.elapsed().as_secs() < 20);
}

#[test]
fn fsck_checks_every_pack_of_the_last_transaction() {
    let world = World::new();
    let (site, key) = site(&world, "alice", "git2-encrypted", &["reader.key"]);
    let mut kinds = Vec::new();
    site.with_second(key, None, |repo| repo.check(|kind, _| kinds.push(kind.to_owned()))).unwrap();
    assert_eq!(kinds, ["transaction", "head", "pack", "pack", "pack", "pack"]);
    let heads = site.with_second(key, None, |repo| repo.heads().unwrap());
    assert_eq!(heads.last().unwrap().0.to_string(), "CbrWzCtZH2jkPjvJrVPo3KiBzNoiwo2uCGvqqDaMmtLp");
    assert_eq!(heads.last().unwrap().1.time, 1_795_313_922);
}
