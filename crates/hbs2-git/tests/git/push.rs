//! What users push, and what others then see.

use std::fs;

use hbs2_testkit::noise;

use crate::world::{Site, World};

/// A site with a git repository `work`, one commit on master, and an empty remote `hbs`.
fn alice(world: &World) -> (Site<'_>, hbs2_core::SignPublicKey) {
    let alice = world.site("alice");
    let key = alice.new_repo("work");
    alice.commit("work", "README", "hello\n");
    (alice, key)
}

/// Clones the remote of `key` into `clone` and checks it.
fn clone(site: &Site<'_>, key: hbs2_core::SignPublicKey, name: &str) {
    site.git(".", &["clone", "-q", &format!("hbs23://{key}"), name]);
    site.git(name, &["fsck", "--full"]);
}

#[test]
fn a_pushed_branch_is_cloned() {
    let world = World::new();
    let (alice, key) = alice(&world);
    let said = alice.try_git("work", &["push", "hbs", "master"]);
    assert!(said.ok && said.err.contains("published checkpoint 20"), "{}", said.err);
    clone(&alice, key, "clone");
    assert_eq!(alice.rev("clone", "HEAD"), alice.rev("work", "HEAD"));
    assert_eq!(fs::read_to_string(alice.path("clone/README")).unwrap(), "hello\n");
    assert_eq!(
        alice.git("clone", &["symbolic-ref", "refs/remotes/origin/HEAD"]).trim(),
        "refs/remotes/origin/master"
    );
}

#[test]
fn several_references_make_one_checkpoint() {
    let world = World::new();
    let (alice, key) = alice(&world);
    alice.git("work", &["branch", "one"]);
    alice.git("work", &["checkout", "-q", "-b", "two"]);
    alice.commit("work", "two", "2");
    alice.git("work", &["tag", "light"]);
    alice.git("work", &["push", "-q", "hbs", "master", "one", "two", "light"]);
    assert_eq!(alice.checkpoints(key), 1);
    let names: Vec<_> = alice.ls_remote("work", "hbs").into_iter().map(|(name, _)| name).collect();
    let expected = ["HEAD", "refs/heads/master", "refs/heads/one", "refs/heads/two", "refs/tags/light"];
    let mut names: Vec<_> = names.iter().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, expected);
}

#[test]
fn later_pushes_carry_only_what_is_new() {
    let world = World::new();
    let (alice, key) = alice(&world);
    alice.commit("work", "big", "x".repeat(100_000));
    for i in 0..20 {
        fs::create_dir_all(alice.path(&format!("work/dir{i}"))).unwrap();
        fs::write(alice.path(&format!("work/dir{i}/file")), format!("{i}")).unwrap();
    }
    alice.commit("work", "many", "many");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    let before = alice.folder().blocks().unwrap().len();
    alice.commit("work", "dir3/file", "changed");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    let contents = alice.new_segments(key);
    // One commit, the root, one directory, one file.
    assert_eq!(contents.last().unwrap(), &vec!['B', 'C', 'R', 'T', 'T']);
    let grown = alice.folder().blocks().unwrap().len() - before;
    assert!(grown <= 6, "{grown} blocks");
    clone(&alice, key, "clone");
    assert_eq!(fs::read_to_string(alice.path("clone/dir3/file")).unwrap(), "changed");
}

#[test]
fn nothing_to_push_posts_nothing() {
    let world = World::new();
    let (alice, key) = alice(&world);
    alice.git("work", &["push", "-q", "hbs", "master"]);
    let said = alice.try_git("work", &["push", "hbs", "master"]);
    assert!(said.ok && said.err.contains("Everything up-to-date"), "{}", said.err);
    assert_eq!(alice.checkpoints(key), 1);
}

#[test]
fn a_deleted_branch_is_gone_for_all() {
    let world = World::new();
    let (alice, key) = alice(&world);
    alice.git("work", &["push", "-q", "hbs", "master", "master:refs/heads/gone"]);
    clone(&alice, key, "clone");
    alice.rev("clone", "refs/remotes/origin/gone");
    alice.git("work", &["push", "-q", "hbs", ":gone"]);
    alice.git("clone", &["fetch", "-q", "--prune"]);
    assert!(!alice.try_git("clone", &["rev-parse", "-q", "--verify", "refs/remotes/origin/gone"]).ok);
    // And it can come back, within the same second.
    alice.git("work", &["push", "-q", "hbs", "master:gone"]);
    alice.git("clone", &["fetch", "-q", "--prune"]);
    alice.rev("clone", "refs/remotes/origin/gone");
}

#[test]
fn history_is_rewritten_only_by_force() {
    let world = World::new();
    let (alice, key) = alice(&world);
    alice.commit("work", "a", "1");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    alice.git("work", &["reset", "-q", "--hard", "HEAD~1"]);
    let other = alice.commit("work", "b", "2");
    let said = alice.try_git("work", &["push", "hbs", "master"]);
    assert!(!said.ok && said.err.contains("non-fast-forward"), "{}", said.err);
    alice.git("work", &["push", "-q", "--force", "hbs", "master"]);
    clone(&alice, key, "clone");
    assert_eq!(alice.rev("clone", "HEAD"), other);
    alice.git("work", &["reset", "-q", "--hard", "HEAD~1"]);
    let third = alice.commit("work", "c", "3");
    alice.git("work", &["push", "-q", "hbs", "+master"]);
    alice.git("clone", &["fetch", "-q"]);
    assert_eq!(alice.rev("clone", "origin/master"), third);
}

#[test]
fn a_lease_holds_only_from_its_place() {
    let world = World::new();
    let (alice, _) = alice(&world);
    let first = alice.rev("work", "HEAD");
    let second = alice.commit("work", "a", "1");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    alice.git("work", &["reset", "-q", "--hard", &first]);
    alice.commit("work", "b", "2");
    let lease = |id: &str| format!("--force-with-lease=master:{id}");
    let said = alice.try_git("work", &["push", "hbs", &lease(&first), "master"]);
    assert!(!said.ok && said.err.contains("stale info"), "{}", said.err);
    alice.git("work", &["push", "-q", "hbs", &lease(&second), "master"]);
}

#[test]
fn tags_light_annotated_signed_and_nested_travel() {
    let world = World::new();
    let (alice, key) = alice(&world);
    alice.git("work", &["tag", "light"]);
    alice.git("work", &["tag", "-a", "-m", "a tag", "annotated"]);
    alice.git("work", &["tag", "-a", "-m", "a tag of a tag", "nested", "annotated"]);
    alice.git("work", &["tag", "-a", "-m", "a tag of a tree", "tree", "HEAD^{tree}"]);
    alice.git("work", &["tag", "blob", "HEAD:README"]);
    let head = alice.rev("work", "HEAD");
    let signed = format!(
        "object {head}\ntype commit\ntag signed\ntagger A <a@b> 1700000000 +0000\n\nhi\n-----BEGIN PGP SIGNATURE-----\n\niQEz\n-----END PGP SIGNATURE-----\n"
    );
    fs::write(alice.path("signed"), signed).unwrap();
    let made = alice.git("work", &["hash-object", "-t", "tag", "-w", "../signed"]);
    alice.git("work", &["update-ref", "refs/tags/signed", made.trim()]);
    alice.git("work", &["push", "-q", "hbs", "master", "--tags"]);
    assert_eq!(alice.checkpoints(key), 1);
    clone(&alice, key, "clone");
    for tag in ["light", "annotated", "nested", "tree", "blob", "signed"] {
        let name = format!("refs/tags/{tag}");
        assert_eq!(alice.rev("clone", &name), alice.rev("work", &name), "{tag}");
    }
    assert_eq!(alice.git("clone", &["cat-file", "-t", "signed"]).trim(), "tag");
}

#[test]
fn a_tag_of_old_commits_carries_the_tag_alone() {
    let world = World::new();
    let (alice, key) = alice(&world);
    alice.git("work", &["push", "-q", "hbs", "master"]);
    alice.git("work", &["tag", "-a", "-m", "t", "t"]);
    alice.git("work", &["push", "-q", "hbs", "t"]);
    assert_eq!(alice.new_segments(key).last().unwrap(), &vec!['G', 'R']);
}

#[test]
fn merges_and_several_roots_travel() {
    let world = World::new();
    let (alice, key) = alice(&world);
    alice.git("work", &["checkout", "-q", "-b", "side"]);
    alice.commit("work", "side/a", "a");
    alice.git("work", &["checkout", "-q", "master"]);
    alice.commit("work", "main/b", "b");
    alice.git("work", &["merge", "-q", "-m", "merge", "side"]);
    alice.git("work", &["checkout", "-q", "--orphan", "root2"]);
    alice.commit("work", "other", "o");
    alice.git("work", &["checkout", "-q", "master"]);
    alice.git("work", &["merge", "-q", "-m", "merge2", "--allow-unrelated-histories", "root2"]);
    alice.git("work", &["push", "-q", "hbs", "master"]);
    clone(&alice, key, "clone");
    assert_eq!(alice.rev("clone", "HEAD^{tree}"), alice.rev("work", "HEAD^{tree}"));
}

#[test]
fn a_directory_that_comes_back_is_complete() {
    let world = World::new();
    let (alice, key) = alice(&world);
    alice.commit("work", "dir/deep/same", "s");
    let before = alice.commit("work", "dir/deep/other", "1");
    alice.commit("work", "dir/deep/other", "2");
    alice.commit("work", "elsewhere", "x");
    alice.git("work", &["checkout", "-q", &before, "--", "dir"]);
    alice.commit("work", "end", "the directory is what it was");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    clone(&alice, key, "clone");
    assert_eq!(alice.rev("clone", "HEAD:dir"), alice.rev("work", &format!("{before}:dir")));
}

#[test]
fn commits_with_clocks_that_ran_backwards_are_complete() {
    let world = World::new();
    let (alice, key) = alice(&world);
    for (step, time) in
        [1_600_000_000u64, 1_800_000_000, 1_500_000_000, 1_700_000_000].into_iter().enumerate()
    {
        fs::create_dir_all(alice.path("work/d")).unwrap();
        fs::write(alice.path("work/d/file"), format!("{}", step % 2)).unwrap();
        fs::write(alice.path(&format!("work/d/{step}")), "x").unwrap();
        alice.git("work", &["add", "-A"]);
        let mut commit = alice.command("git", "work");
        commit.env("GIT_COMMITTER_DATE", format!("{time} +0000")).args(["commit", "-q", "-m", "step"]);
        assert!(commit.status().unwrap().success());
    }
    alice.git("work", &["push", "-q", "hbs", "master"]);
    clone(&alice, key, "clone");
}

#[test]
fn submodules_are_kept_and_not_followed() {
    let world = World::new();
    let (alice, key) = alice(&world);
    alice.git("sub", &["init", "-q"]);
    let inner = alice.commit("sub", "inner", "i");
    alice.git("work", &["submodule", "--quiet", "add", alice.path("sub").to_str().unwrap(), "lib"]);
    alice.commit("work", "with-sub", "x");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    clone(&alice, key, "clone");
    let entry = alice.git("clone", &["ls-tree", "HEAD", "lib"]);
    assert!(entry.starts_with(&format!("160000 commit {inner}")), "{entry}");
    assert!(!alice.try_git("clone", &["cat-file", "-e", &inner]).ok);
}

#[test]
fn bare_repositories_and_worktrees_push_and_fetch() {
    let world = World::new();
    let (alice, key) = alice(&world);
    alice.git("work", &["worktree", "add", "-q", "-b", "tree", "../tree"]);
    let id = alice.commit("tree", "from-worktree", "w");
    alice.git("tree", &["push", "-q", "hbs", "HEAD"]);
    assert!(alice.path("work/.git/hbs2").is_dir());
    assert!(!alice.path("work/.git/worktrees/tree/hbs2").exists());
    alice.git(".", &["clone", "-q", "--bare", &format!("hbs23://{key}"), "bare.git"]);
    assert_eq!(alice.rev("bare.git", "refs/heads/tree"), id);
    assert!(alice.path("bare.git/hbs2").is_dir() && !alice.path("hbs2").exists());
    alice.git("bare.git", &["branch", "from-bare", "tree"]);
    alice.git("bare.git", &["push", "-q", "origin", "from-bare"]);
    alice.git(".", &["clone", "-q", "--mirror", &format!("hbs23://{key}"), "mirror.git"]);
    assert_eq!(alice.rev("mirror.git", "refs/heads/from-bare"), id);
    let status = alice.git("tree", &["status", "--porcelain"]);
    assert_eq!(status, "");
}

#[test]
fn binary_files_and_odd_reference_names_survive() {
    let world = World::new();
    let (alice, key) = alice(&world);
    let noise: Vec<u8> = (0..200_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    fs::write(alice.path("work/empty"), b"").unwrap();
    alice.commit("work", "dir with space/ü.bin", &noise);
    let odd = [
        "refs/heads/a;b\"(c)'`,@x",
        "refs/heads/ü/ß",
        "refs/tags/1.0+rc#2",
        "refs/notes/commits",
        "refs/heads/-x",
    ];
    let specs: Vec<String> = odd.iter().map(|name| format!("HEAD:{name}")).collect();
    let mut args = vec!["push", "-q", "hbs", "master"];
    args.extend(specs.iter().map(String::as_str));
    alice.git("work", &args);
    alice.git(".", &["clone", "-q", "--mirror", &format!("hbs23://{key}"), "mirror"]);
    for name in odd {
        assert_eq!(alice.rev("mirror", name), alice.rev("work", "HEAD"), "{name}");
    }
    clone(&alice, key, "clone");
    assert_eq!(fs::read(alice.path("clone/dir with space/ü.bin")).unwrap(), noise);
    assert_eq!(fs::read(alice.path("clone/empty")).unwrap(), b"");
}

#[test]
fn sources_may_be_any_revision() {
    let world = World::new();
    let (alice, _) = alice(&world);
    let first = alice.rev("work", "HEAD");
    alice.commit("work", "a", "1");
    alice.git("work", &["push", "-q", "hbs", "HEAD~1:refs/heads/old", &format!("{first}:refs/heads/id")]);
    let refs = alice.ls_remote("work", "hbs");
    assert!(refs.contains(&("refs/heads/old".into(), first.clone())), "{refs:?}");
    assert!(refs.contains(&("refs/heads/id".into(), first)), "{refs:?}");
}

#[test]
fn a_dry_run_posts_nothing() {
    let world = World::new();
    let (alice, key) = alice(&world);
    let said = alice.try_git("work", &["push", "--dry-run", "hbs", "master"]);
    assert!(said.ok && said.err.contains("[new branch]"), "{}", said.err);
    assert_eq!(alice.checkpoints(key), 0);
    assert_eq!(alice.ls_remote("work", "hbs"), []);
}

#[test]
fn head_is_symbolic_and_follows_the_rules() {
    let world = World::new();
    let (alice, key) = alice(&world);
    alice.git("work", &["push", "-q", "hbs", "master:dev"]);
    clone(&alice, key, "one");
    assert_eq!(alice.git("one", &["symbolic-ref", "HEAD"]).trim(), "refs/heads/dev");
    alice.git("work", &["push", "-q", "hbs", "master:main"]);
    clone(&alice, key, "two");
    assert_eq!(alice.git("two", &["symbolic-ref", "HEAD"]).trim(), "refs/heads/main");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    clone(&alice, key, "three");
    assert_eq!(alice.git("three", &["symbolic-ref", "HEAD"]).trim(), "refs/heads/master");
    let listed = alice.git("work", &["ls-remote", "--symref", "hbs", "HEAD"]);
    assert!(listed.starts_with("ref: refs/heads/master\tHEAD"), "{listed}");
}

#[test]
fn an_empty_repository_can_be_shown_and_cloned() {
    let world = World::new();
    let alice = world.site("alice");
    let key = alice.new_repo("work");
    let said = alice.try_git("work", &["remote", "show", "hbs"]);
    assert!(said.ok, "{}", said.err);
    assert!(said.out.contains("HEAD branch: (unknown)"), "{}", said.out);
    assert!(said.err.contains("use git fetch to get the latest versions"), "{}", said.err);
    let said = alice.try_git(".", &["clone", &format!("hbs23://{key}"), "clone"]);
    assert!(said.ok && said.err.contains("empty repository"), "{}", said.err);
}

#[test]
fn remote_show_knows_branches() {
    let world = World::new();
    let (alice, _) = alice(&world);
    alice.git("work", &["push", "-q", "-u", "hbs", "master"]);
    let shown = alice.git("work", &["remote", "show", "hbs"]);
    assert!(shown.contains("HEAD branch: master"), "{shown}");
    assert!(shown.contains("master pushes to master (up to date)"), "{shown}");
}

#[test]
fn the_local_state_can_be_deleted() {
    let world = World::new();
    let (alice, key) = alice(&world);
    alice.git("work", &["push", "-q", "hbs", "master"]);
    fs::remove_dir_all(alice.path("work/.git/hbs2")).unwrap();
    alice.commit("work", "more", "more");
    alice.git("work", &["push", "-q", "hbs", "master"]);
    assert_eq!(alice.new_segments(key).last().unwrap(), &vec!['B', 'C', 'R', 'T']);
    clone(&alice, key, "clone");
    // The pusher's own objects were not imported a second time.
    assert_eq!(
        alice.git("work", &["count-objects", "-v"]).lines().find(|l| l.starts_with("packs:")),
        Some("packs: 0")
    );
}

#[test]
fn objects_removed_by_gc_are_imported_again() {
    let world = World::new();
    let (alice, key) = alice(&world);
    alice.git("work", &["push", "-q", "hbs", "master"]);
    alice.git("other", &["init", "-q"]);
    alice.git("other", &["remote", "add", "hbs", &format!("hbs23://{key}")]);
    // `ls-remote` imports, but nothing refers to the objects yet.
    alice.ls_remote("other", "hbs");
    alice.git("other", &["gc", "-q", "--prune=now"]);
    assert!(!alice.try_git("other", &["cat-file", "-e", &alice.rev("work", "HEAD")]).ok);
    alice.git("other", &["fetch", "-q", "hbs"]);
    assert_eq!(alice.rev("other", "hbs/master"), alice.rev("work", "HEAD"));
}

#[test]
fn small_segments_split_a_large_push() {
    let world = World::new();
    let (alice, key) = alice(&world);
    for i in 0..24 {
        fs::write(alice.path(&format!("work/noise{i}")), noise(i, 1 << 20)).unwrap();
    }
    alice.commit("work", "end", "end");
    alice.git("work", &["-c", "hbs2.segment=4000000", "push", "-q", "hbs", "master"]);
    let segments = alice.new_segments(key);
    // Six of 4 MiB, and the one with the reference. Small segments are compressed by one thread, which holds nothing back.
    assert_eq!(segments.len(), 7, "{segments:?}");
    assert_eq!(segments.iter().flatten().filter(|letter| **letter == 'R').count(), 1);
    assert_eq!(alice.checkpoints(key), 1);
    clone(&alice, key, "clone");
}

#[test]
fn shallow_and_sha256_repositories_are_refused_clearly() {
    let world = World::new();
    let (alice, key) = alice(&world);
    alice.commit("work", "a", "1");
    let from = format!("file://{}", alice.path("work").display());
    alice.git(".", &["clone", "-q", "--depth", "1", &from, "shallow"]);
    let said = alice.try_git("shallow", &["push", &format!("hbs23://{key}"), "HEAD:refs/heads/x"]);
    assert!(!said.ok && said.err.contains("shallow repository"), "{}", said.err);
    alice.git("new", &["init", "-q", "--object-format=sha256"]);
    alice.commit("new", "a", "1");
    let said = alice.try_git("new", &["push", &format!("hbs23://{key}"), "HEAD:refs/heads/x"]);
    assert!(!said.ok && said.err.contains("sha256 repository"), "{}", said.err);
}

#[test]
fn only_the_owner_can_push() {
    let world = World::new();
    let (alice, key) = alice(&world);
    alice.git("work", &["push", "-q", "hbs", "master"]);
    fs::remove_dir_all(alice.path("keys")).unwrap();
    alice.commit("work", "a", "1");
    let said = alice.try_git("work", &["push", "hbs", "master"]);
    assert!(
        !said.ok && said.err.contains(&format!("no secret key of repository {key} is known")),
        "{}",
        said.err
    );
    assert!(said.err.contains("hint: "), "{}", said.err);
}

#[test]
fn replaced_objects_are_pushed_as_they_are() {
    let world = World::new();
    let (alice, key) = alice(&world);
    let (a, b) = (alice.commit("work", "a", "1"), alice.commit("work", "b", "2"));
    alice.git("work", &["replace", &b, &a]);
    alice.git("work", &["push", "-q", "hbs", "master"]);
    clone(&alice, key, "clone");
    assert_eq!(alice.rev("clone", "HEAD"), b);
    assert!(alice.path("clone/b").exists());
}

#[test]
fn objects_of_alternates_are_pushed() {
    let world = World::new();
    let (alice, key) = alice(&world);
    alice.git(".", &["clone", "-q", "--shared", "work", "shared"]);
    alice.git("shared", &["push", "-q", &format!("hbs23://{key}"), "master"]);
    clone(&alice, key, "clone");
}

#[test]
fn a_repository_made_by_init_is_ready() {
    let world = World::new();
    let alice = world.site("alice");
    let mut command = alice.command(env!("CARGO_BIN_EXE_git-remote-folder"), "fresh");
    let said = crate::world::said(command.arg("init").output().unwrap());
    assert!(said.ok, "{}", said.err);
    let words: Vec<_> = said.out.split_whitespace().collect();
    assert_eq!(&words[..3], ["added", "git", "remote"]);
    let key = words[4].strip_prefix("hbs23://").unwrap().parse().unwrap();
    assert_eq!(words[3], hbs2_git::petname::petname(&key));
    alice.commit("fresh", "a", "1");
    alice.git("fresh", &["push", "-q", words[3], "master"]);
    clone(&alice, key, "clone");
    let polls = fs::read_to_string(alice.path("storage/polls")).unwrap();
    assert!(polls.contains(&format!("{key} 31 Lww")), "{polls}");
    assert!(polls.contains(" 17 Reflog"), "{polls}");
}
