//! Git for real: Alice pushes through her peer, Bob clones and fetches through his.
//!
//! Every test has two homes, two daemons, the real binary under all its names, and the real git.

use std::path::Path;

use hbs2_testkit::{KitError, Person, Remote, Repo, until};

type Outcome = Result<(), KitError>;

fn alice_and_bob() -> Result<[Person; 2], KitError> {
    Person::row(["alice", "bob"], Path::new(env!("CARGO_BIN_EXE_hbs2")))
}

/// A repository of Alice with one commit, published and pushed.
fn published(alice: &Person) -> Result<(Repo<'_>, Remote), KitError> {
    let work = Repo::init(&alice.home, "work")?;
    work.commit("readme.txt", "hello\n", "first")?;
    let remote = work.publish()?;
    work.git("push --quiet").args([&remote.name, "main"]).ok()?;
    Ok((work, remote))
}

fn push(work: &Repo<'_>, remote: &Remote, what: &[&str]) -> Outcome {
    work.git("push --quiet").arg(&remote.name).args(what).ok().map(drop)
}

/// Fetches until the remote-tracking branches are those of `work`, and the tags too.
fn follow(work: &Repo<'_>, copy: &Repo<'_>) -> Outcome {
    let (heads, tags) = (work.refs("refs/heads")?, work.refs("refs/tags")?);
    until("alice's push shows at bob's", || {
        copy.git("fetch --quiet --prune --prune-tags --force --tags origin").ok()?;
        let mut tracked = copy.refs("refs/remotes/origin")?;
        tracked.remove("HEAD");
        Ok(tracked == heads && copy.refs("refs/tags")? == tags)
    })?;
    copy.fsck()
}

/// Number of checkpoints of the repository.
fn checkpoints(work: &Repo<'_>, remote: &Remote) -> Result<usize, KitError> {
    let list = work.git("hbs2 repo:tx:list --checkpoints").arg(&remote.name).ok()?.text();
    Ok(list.lines().filter(|line| line.starts_with("C ")).count())
}

#[test]
fn branches_and_tags_of_all_kinds_arrive_with_a_clone() -> Outcome {
    let [alice, bob] = alice_and_bob()?;
    let (work, remote) = published(&alice)?;
    work.git("tag light").ok()?;
    work.git("tag --annotate --message 'a note' v1.0").ok()?;
    work.git("tag --annotate --message nested again v1.0").ok()?;
    let signed = format!(
        "object {}\ntype commit\ntag signed\ntagger a <a@example.org> 1704067200 +0000\n\nnote\n\
         -----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAQ==\n-----END SSH SIGNATURE-----\n",
        work.id("HEAD")?
    );
    let signed = work.git("hash-object -t tag -w --stdin").stdin(signed).ok()?.text();
    work.git("update-ref refs/tags/signed").arg(&signed).ok()?;
    work.git("switch --quiet --create feature/deep").ok()?;
    work.commit("deep/er/file.txt", "x", "second")?;
    push(&work, &remote, &["--all"])?;
    push(&work, &remote, &["--tags"])?;

    let copy = Repo::clone(&bob.home, &remote.url, "copy")?;
    assert_eq!(copy.read("readme.txt")?, b"hello\n");
    follow(&work, &copy)?;
    assert_eq!(copy.git("cat-file -t v1.0").ok()?.text(), "tag");
    assert_eq!(copy.git("cat-file -t light").ok()?.text(), "commit");
    assert_eq!(copy.id("refs/tags/signed")?, signed);
    Ok(())
}

#[test]
fn several_references_in_one_push_make_one_checkpoint() -> Outcome {
    let [alice, bob] = alice_and_bob()?;
    let (work, remote) = published(&alice)?;
    for branch in ["one", "two", "three"] {
        work.git("branch").arg(branch).ok()?;
    }
    work.git("tag v1").ok()?;
    let before = checkpoints(&work, &remote)?;
    push(&work, &remote, &["one", "two", "three", "v1"])?;
    assert_eq!(checkpoints(&work, &remote)?, before + 1);
    let copy = Repo::clone(&bob.home, &remote.url, "copy")?;
    follow(&work, &copy)
}

#[test]
fn deletion_and_force_reach_the_other_side() -> Outcome {
    let [alice, bob] = alice_and_bob()?;
    let (work, remote) = published(&alice)?;
    work.git("branch gone").ok()?;
    work.git("tag old").ok()?;
    push(&work, &remote, &["gone", "old"])?;
    let copy = Repo::clone(&bob.home, &remote.url, "copy")?;
    follow(&work, &copy)?;

    work.git("branch --quiet --delete --force gone").ok()?;
    work.git("tag --delete old").ok()?;
    push(&work, &remote, &["--delete", "gone", "old"])?;
    follow(&work, &copy)?;

    work.write("readme.txt", "another start\n")?;
    work.git("commit --quiet --all --amend --message other").ok()?;
    work.git("push --quiet").args([&remote.name, "main"]).fails()?.says("non-fast-forward")?;
    push(&work, &remote, &["--force", "main"])?;
    follow(&work, &copy)?;

    work.git("branch gone HEAD").ok()?;
    push(&work, &remote, &["gone"])?;
    follow(&work, &copy)
}

#[test]
fn an_empty_repository_is_cloned_and_filled_later() -> Outcome {
    let [alice, bob] = alice_and_bob()?;
    let work = Repo::init(&alice.home, "work")?;
    let remote = work.publish()?;
    let shown = work.git("remote show").arg(&remote.name).ok()?;
    assert!(shown.text().contains("HEAD branch: (unknown)"), "{shown}");

    let copy = Repo::clone(&bob.home, &remote.url, "copy")?;
    assert!(copy.remote_refs("origin")?.is_empty());
    work.commit("a.txt", "a", "first")?;
    push(&work, &remote, &["main"])?;
    follow(&work, &copy)?;
    let shown = copy.git("remote show origin").ok()?;
    assert!(shown.text().contains("HEAD branch: main"), "{shown}");
    Ok(())
}

#[test]
fn gitlinks_of_submodules_are_kept_and_not_followed() -> Outcome {
    let [alice, bob] = alice_and_bob()?;
    let part = Repo::init(&alice.home, "part")?;
    part.commit("part.txt", "part", "part")?;
    let (work, remote) = published(&alice)?;
    work.git("submodule --quiet add ../part sub").ok()?;
    work.git("commit --quiet --message 'add a submodule'").ok()?;
    push(&work, &remote, &["main"])?;
    let copy = Repo::clone(&bob.home, &remote.url, "copy")?;
    assert_eq!(copy.git("ls-tree HEAD sub").ok()?.text(), work.git("ls-tree HEAD sub").ok()?.text());
    assert!(copy.git("ls-tree HEAD sub").ok()?.text().starts_with("160000 commit"));
    copy.fsck()
}

#[test]
fn bare_repositories_and_worktrees_push_and_fetch() -> Outcome {
    let [alice, bob] = alice_and_bob()?;
    let (work, remote) = published(&alice)?;
    work.git("worktree add --quiet ../tree -b side").ok()?;
    let tree = Repo::open(&alice.home, "tree");
    tree.commit("side.txt", "side", "from a worktree")?;
    push(&tree, &remote, &["side"])?;
    alice.line("git clone --quiet --bare work bare.git").ok()?;
    let bare = Repo::open(&alice.home, "bare.git");
    bare.git("update-ref refs/heads/from-bare HEAD~0").ok()?;
    bare.git("push --quiet").args([&remote.url, "from-bare"]).ok()?;

    bob.line("git clone --quiet --mirror").args([&remote.url, "mirror.git"]).ok()?;
    let mirror = Repo::open(&bob.home, "mirror.git");
    let mut heads = work.refs("refs/heads")?;
    heads.insert("from-bare".into(), work.id("main")?);
    assert_eq!(mirror.refs("refs/heads")?, heads);
    mirror.fsck()?;
    assert!(
        !work.path().join(".hbs2-git3").exists(),
        "state lies in the git directory, not in the work tree"
    );
    assert!(work.git("status --porcelain").ok()?.text().is_empty());
    Ok(())
}

#[test]
fn binary_files_and_odd_names_survive() -> Outcome {
    let [alice, bob] = alice_and_bob()?;
    let (work, remote) = published(&alice)?;
    let bytes: Vec<u8> = (0..300_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    work.write("every byte.bin", &bytes)?;
    work.write("leer/é ü 漢.txt", "ü")?;
    work.write("empty", "")?;
    work.write("run.sh", "#!/bin/sh\n")?;
    work.git("add --all").ok()?;
    work.git("update-index --chmod=+x run.sh").ok()?;
    work.git("commit --quiet --message odd").ok()?;
    let names = ["a-b.c_d", "feature/ü-漢字", "x@y", "#1", "100%", "it's"];
    for name in names {
        work.git("branch").arg(name).ok()?;
    }
    push(&work, &remote, &["--all"])?;
    let copy = Repo::clone(&bob.home, &remote.url, "copy")?;
    follow(&work, &copy)?;
    assert_eq!(copy.read("every byte.bin")?, bytes);
    assert_eq!(copy.git("ls-tree -r HEAD").ok()?.text(), work.git("ls-tree -r HEAD").ok()?.text());
    Ok(())
}

#[test]
fn a_dry_run_posts_nothing() -> Outcome {
    let [alice, _bob] = alice_and_bob()?;
    let (work, remote) = published(&alice)?;
    let before = (work.remote_refs(&remote.name)?, checkpoints(&work, &remote)?);
    work.commit("readme.txt", "more\n", "second")?;
    work.git("push --dry-run").args([&remote.name, "main"]).ok()?;
    assert_eq!((work.remote_refs(&remote.name)?, checkpoints(&work, &remote)?), before);
    Ok(())
}

#[test]
fn options_of_git_for_progress_and_talk_are_taken() -> Outcome {
    let [alice, bob] = alice_and_bob()?;
    let (work, remote) = published(&alice)?;
    for options in ["--quiet", "--verbose", "--progress", "--porcelain"] {
        work.commit("readme.txt", options, options)?;
        work.git("push").args([options, &remote.name, "main"]).ok()?;
    }
    bob.line("git clone --progress").args([&remote.url, "copy"]).ok()?;
    let copy = Repo::open(&bob.home, "copy");
    copy.git("fetch --verbose --progress").ok()?;
    let quiet = copy.git("fetch --quiet").ok()?;
    assert!(quiet.talk().is_empty(), "a quiet fetch says something: {quiet}");
    Ok(())
}

#[test]
fn state_in_the_git_directory_may_be_deleted_at_any_time() -> Outcome {
    let [alice, bob] = alice_and_bob()?;
    let (work, remote) = published(&alice)?;
    let copy = Repo::clone(&bob.home, &remote.url, "copy")?;
    for repo in [&work, &copy] {
        let state = repo.path().join(".git/hbs2");
        std::fs::remove_dir_all(&state).map_err(KitError::io("cannot remove", state))?;
    }
    work.commit("readme.txt", "more\n", "second")?;
    push(&work, &remote, &["main"])?;
    follow(&work, &copy)
}

#[test]
fn shallow_and_sha256_repositories_are_refused_by_name() -> Outcome {
    let [alice, _bob] = alice_and_bob()?;
    let (work, remote) = published(&alice)?;
    work.commit("readme.txt", "more\n", "second")?;
    alice.line("git clone --quiet --depth 1 --no-local work shallow").ok()?;
    let shallow = Repo::open(&alice.home, "shallow");
    shallow.git("push --quiet").args([&remote.url, "HEAD:refs/heads/s"]).fails()?.says("shallow")?;
    alice.line("git init --quiet --object-format=sha256 long").ok()?;
    let long = Repo::open(&alice.home, "long");
    long.commit("a.txt", "a", "first")?;
    long.git("push --quiet").args([&remote.url, "main"]).fails()?.says("sha256")?;
    Ok(())
}

#[test]
fn only_the_owner_can_push() -> Outcome {
    let [alice, bob] = alice_and_bob()?;
    let (_work, remote) = published(&alice)?;
    let copy = Repo::clone(&bob.home, &remote.url, "copy")?;
    copy.commit("readme.txt", "mine now\n", "second")?;
    copy.git("push --quiet origin main").fails()?.says("key")?;
    Ok(())
}

/// Gives Bob the keys of Alice: the same owner at a second machine, with another peer.
fn share_keys(alice: &Person, bob: &Person) -> Outcome {
    bob.line("mkdir -p .hbs2-keyman").ok()?;
    bob.line("cp -r").arg(alice.home.join(".hbs2-keyman/keys")).arg(".hbs2-keyman/").ok()?;
    bob.line("hbs2-keyman update").ok().map(drop)
}

#[test]
fn a_push_is_refused_when_the_reference_moved_after_git_had_looked() -> Outcome {
    let [alice, bob] = alice_and_bob()?;
    let (work, remote) = published(&alice)?;
    share_keys(&alice, &bob)?;
    let other = Repo::clone(&bob.home, &remote.url, "work")?;
    work.commit("here.txt", "here\n", "from here")?;
    other.commit("there.txt", "there\n", "from there")?;
    // git calls this hook after it has asked for the remote's references and before it sends the push.
    let hook = "#!/bin/sh\ntouch ../looked\nwhile [ ! -e ../go ]; do sleep 0.02; done\n";
    other.write(".git/hooks/pre-push", hook)?;
    bob.line("chmod +x work/.git/hooks/pre-push").ok()?;
    let late = other.git("push origin main").start()?;
    until("git has looked", || Ok(bob.home.join("looked").exists()))?;
    push(&work, &remote, &["main"])?;
    until("the other push shows here", || {
        let refs = bob.line("git ls-remote --refs").arg(&remote.url).ok()?;
        Ok(refs.text().contains(&work.id("main")?))
    })?;
    bob.line("touch go").ok()?;
    let refused = late.wait()?.must_fail()?;
    assert!(refused.talk().contains("rejected"), "{refused}");
    let refs = bob.line("git ls-remote --refs").arg(&remote.url).ok()?;
    assert!(refs.text().contains(&work.id("main")?), "{refs}");
    Ok(())
}

#[test]
fn of_two_writers_the_second_is_refused_and_nothing_is_lost() -> Outcome {
    let [alice, bob] = alice_and_bob()?;
    let (work, remote) = published(&alice)?;
    share_keys(&alice, &bob)?;
    let other = Repo::clone(&bob.home, &remote.url, "work")?;

    work.commit("here.txt", "here\n", "from here")?;
    other.commit("there.txt", "there\n", "from there")?;
    push(&work, &remote, &["main"])?;
    until("the first push shows at the second machine", || {
        Ok(other.remote_refs("origin")?.get("refs/heads/main") == Some(&work.id("main")?))
    })?;
    let refused = other.git("push origin main").fails()?;
    assert!(refused.talk().contains("rejected"), "{refused}");

    other.git("pull --quiet --rebase origin main").ok()?;
    other.git("push --quiet origin main").ok()?;
    let merged = other.id("main")?;
    until("the second push shows at the first machine", || {
        Ok(work.remote_refs(&remote.name)?.get("refs/heads/main") == Some(&merged))
    })?;
    work.git("pull --quiet").args([&remote.name, "main"]).ok()?;
    assert_eq!((work.read("here.txt")?, work.read("there.txt")?), (b"here\n".to_vec(), b"there\n".to_vec()));
    Ok(())
}
