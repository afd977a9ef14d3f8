//! Repositories of version 2 for real: the transcripts of the manual and the README of 0.24.1, between two peers.
//!
//! Alice makes keys, repositories and groups with the commands of those texts; Bob reads through his own peer.

use std::fs;
use std::path::Path;

use hbs2_testkit::{KitError, Person, Repo, until};

type Outcome = Result<(), KitError>;

/// Alice and Bob, each with a peer.
fn alice_and_bob() -> Result<[Person; 2], KitError> {
    row(["alice", "bob"])
}

/// People whose key index looks for `*.key` in their homes; the peer of each knows that of the one before.
fn row<const N: usize>(names: [&str; N]) -> Result<[Person; N], KitError> {
    let people = Person::row(names, Path::new(env!("CARGO_BIN_EXE_hbs2")))?;
    for person in &people {
        let dir = person.home.join(".config/hbs2-keyman");
        fs::create_dir_all(&dir).map_err(KitError::io("cannot make", dir.as_path()))?;
        write(
            person,
            ".config/hbs2-keyman/config",
            format!("key-files \"{}/*.key\"\n", person.home.path().display()),
        )?;
    }
    Ok(people)
}

fn write(person: &Person, file: &str, text: impl AsRef<[u8]>) -> Outcome {
    let path = person.home.join(file);
    fs::write(&path, text).map_err(KitError::io("cannot write", path.as_path()))
}

/// Runs a line and keeps what it prints in a file of the home.
fn into_file(person: &Person, line: &str, file: &str) -> Outcome {
    let printed = person.line(line).ok()?.stdout;
    write(person, file, printed)
}

/// Makes a keyring file with `count` encryption keys; gives the signing key and those.
fn keyring(person: &Person, file: &str, count: usize) -> Result<Vec<String>, KitError> {
    into_file(person, &format!("hbs2 keyring-new -n{count}"), file)?;
    person.line("hbs2-keyman update").ok()?;
    let listing = person.line(&format!("hbs2 keyring-list {file}")).ok()?.text();
    let keys: Vec<String> =
        listing.lines().filter_map(|line| line.split_whitespace().nth(1)).map(str::to_owned).collect();
    assert_eq!(keys.len(), count + 1, "{listing}");
    let known = person.line("hbs2-keyman list").ok()?.text();
    assert!(keys.iter().all(|key| known.contains(key.as_str())), "{known}");
    Ok(keys)
}

/// A repository with one commit of a file README.
fn repository<'h>(person: &'h Person, name: &str, text: &str) -> Result<Repo<'h>, KitError> {
    let work = Repo::init(&person.home, name)?;
    work.git("symbolic-ref HEAD refs/heads/master").ok()?;
    work.commit("README", format!("{text}\n"), "init")?;
    Ok(work)
}

fn clone<'h>(person: &'h Person, url: &str, name: &str) -> Result<Repo<'h>, KitError> {
    until(&format!("{url} is cloned"), || {
        Ok(person.line(&format!("git clone --quiet {url} {name}")).run()?.status.success())
    })?;
    Ok(Repo::open(&person.home, name))
}

#[test]
fn the_public_repository_of_the_manual() -> Outcome {
    let [alice, bob] = alice_and_bob()?;
    let key = keyring(&alice, "newrepo111.key", 0)?.remove(0);
    let work = repository(&alice, "newrepo111", "HI")?;
    work.git(&format!("hbs2 export --new --public {key}")).ok()?;
    work.git(&format!("remote add origin hbs21://{key}")).ok()?;
    work.git("fetch origin").ok()?.says("master     -> origin/master")?;
    assert!(work.git("status --porcelain").ok()?.text().is_empty());

    let remotes = work.git("hbs2 tools show-remotes").ok()?.text();
    let fields: Vec<&str> = remotes.split_whitespace().collect();
    let [seq, shown, reflog] = fields.as_slice() else { panic!("{remotes}") };
    assert_eq!((*seq, *shown), ("1", key.as_str()));
    assert!(remotes.starts_with(&format!("1    {key} ")), "{remotes}");
    let lwwref = alice.line(&format!("hbs2-peer lwwref get {key}")).ok()?.text();
    assert!(lwwref.starts_with("(lwwref\n  (seq 1)\n  (value \""), "{lwwref}");
    let root = alice.line(&format!("hbs2-peer reflog get {reflog}")).ok()?.text();
    assert_eq!(alice.line(&format!("hbs2 cat -H {root}")).ok()?.text().lines().count(), 1);
    let head = work.id("HEAD")?;
    let refs = work.git("hbs2 tools show-ref").ok()?.text();
    assert_eq!(refs, format!("{head} HEAD\n{head} refs/heads/master"));
    assert!(work.git("hbs2 key").ok()?.text().is_empty());

    let copy = clone(&bob, &format!("hbs2://{key}"), "copy")?;
    assert_eq!(copy.read("README")?, b"HI\n");
    work.commit("more", "more", "second")?;
    work.git("push --quiet origin master").ok()?;
    let newest = work.id("HEAD")?;
    until("alice's push shows at bob's", || {
        copy.git("fetch --quiet origin").ok()?;
        Ok(copy.id("origin/master")? == newest)
    })?;
    copy.fsck()?;
    work.git(&format!("hbs2 fsck {key}")).ok()?;
    let polls = bob.line("hbs2-peer poll list").ok()?.text();
    assert!(polls.contains(&format!("{key:<44} 17  lwwref")), "{polls}");
    assert!(polls.contains(&format!("{reflog:<44} 13  reflog")), "{polls}");
    Ok(())
}

#[test]
fn the_repository_of_the_readme_and_its_mirror() -> Outcome {
    let [alice, bob] = alice_and_bob()?;
    let key = keyring(&alice, "new.key", 0)?.remove(0);
    let work = repository(&alice, "dir", "hello")?;
    work.git(&format!("hbs2 export --public --new {key}")).ok()?;
    // As for anybody who publishes what he already has somewhere.
    work.git("remote add origin ../elsewhere").ok()?;
    work.git(&format!("remote add mynerepo hbs2://{key}")).ok()?;
    work.commit("more", "more", "second")?;
    work.git("push mynerepo").ok()?;
    bob.line("git init --quiet --bare mirror.git").ok()?;
    let mirror = Repo::open(&bob.home, "mirror.git");
    let newest = work.id("HEAD")?;
    until("bob's mirror follows", || {
        let imported = mirror.git(&format!("hbs2 import {key}")).run()?;
        Ok(imported.status.success() && mirror.id("refs/heads/master").is_ok_and(|id| id == newest))
    })?;
    bob.line("git clone --quiet mirror.git from-mirror").ok()?;
    assert_eq!(Repo::open(&bob.home, "from-mirror").id("HEAD")?, newest);
    assert!(bob.home.join("mirror.git/.hbs2-git/state").is_dir());
    Ok(())
}

#[test]
fn the_encrypted_repository_of_the_manual() -> Outcome {
    let [alice, bob] = alice_and_bob()?;
    let key = keyring(&alice, "newrepo222.key", 0)?.remove(0);
    let mine = keyring(&alice, "mykeys.key", 2)?;
    let bobs = keyring(&bob, "bob.key", 1)?;
    let work = repository(&alice, "encrypted", "ENCRYPTED")?;
    let members = format!("{}\n{}\n", mine[2], mine[1]);
    let group = alice.line("hbs2 groupkey from-keys").stdin(members).ok()?.stdout;
    write(&alice, "encrypted/gk0.key", group)?;
    work.git(&format!("hbs2 export --new --encrypted ./gk0.key {key}")).ok()?;
    work.git(&format!("remote add origin hbs2://{key}")).ok()?;
    work.git("fetch origin").ok()?.says("master     -> origin/master")?;
    let group = work.git("hbs2 key").ok()?.text();
    let full = work.git("hbs2 key --full").ok()?.text();
    assert!(full.starts_with(&format!(";; group key {group}\n\n")), "{full}");
    assert!(mine[1..].iter().all(|member| full.contains(&format!("member \"{member}\""))), "{full}");

    // Bob is no member yet, and is told so at once.
    until("bob is told that he is no member", || {
        let said = bob.line(&format!("git clone --quiet hbs2://{key} none")).run()?;
        assert!(!said.status.success());
        Ok(said.talk().contains("can not apply tx ") && said.talk().contains("group key "))
    })?;

    // Both send their sigils, and the group key is made from these.
    into_file(&alice, &format!("hbs2 sigil create -k mykeys.key {}", mine[1]), "alice.sigil")?;
    into_file(&bob, &format!("hbs2 sigil create -k bob.key {}", bobs[1]), "bob.sigil")?;
    let sigil = fs::read(bob.home.join("bob.sigil")).map_err(KitError::io("cannot read", "bob.sigil"))?;
    write(&alice, "bob.sigil", sigil)?;
    let checked = alice.line("hbs2 sigil check bob.sigil").ok()?.text();
    assert!(checked.contains(&bobs[1]), "{checked}");
    into_file(&alice, "hbs2 groupkey from-sigils alice.sigil bob.sigil", "encrypted/gk-new.key")?;
    work.git(&format!("hbs2 export --encrypted ./gk-new.key {key}")).ok()?;
    assert_ne!(work.git("hbs2 key").ok()?.text(), group);

    let url = format!("hbs2://{key}");
    let copy = clone(&bob, &url, "copy")?;
    assert_eq!(copy.read("README")?, b"ENCRYPTED\n");
    work.commit("more", "more", "second")?;
    work.git("push --quiet origin master").ok()?;
    let newest = work.id("HEAD")?;
    until("what is written with the new key shows at bob's", || {
        copy.git("fetch --quiet origin").ok()?;
        Ok(copy.id("origin/master")? == newest)
    })?;
    work.git(&format!("hbs2 export --public {key}")).fails()?.says("is encrypted")?;

    // The secret of the first group key was given to Bob as well, so it does not keep him out; a new one does.
    work.git(&format!("hbs2 export --encrypted ./gk0.key {key}")).fails()?.says("would keep nobody out")?;
    let full = work.git("hbs2 key --full").ok()?.text();
    let without: Vec<&str> = full.lines().filter(|line| !line.contains(&bobs[1])).collect();
    write(&alice, "members", without.join("\n"))?;
    into_file(&alice, "hbs2 groupkey gen members", "encrypted/gk3.key")?;
    let remotes = work.git("hbs2 tools show-remotes").ok()?.text();
    let reflog = remotes.split_whitespace().last().unwrap_or_default();
    let planned = work.git(&format!("hbs2 key update {reflog} ./gk3.key")).ok()?.text();
    assert_eq!(work.git(&format!("hbs2 key update {key} ./gk3.key")).ok()?.text(), planned);
    work.commit("after", "without bob", "third")?;
    work.git("push --quiet origin master").ok()?;
    assert_eq!(work.git("hbs2 key").ok()?.text(), planned);
    until("bob is told that he is no member any more", || {
        Ok(copy.git("fetch --quiet origin").run()?.talk().contains("can not apply tx "))
    })?;
    Ok(())
}

#[test]
fn what_does_not_arrive_is_named_in_time_with_who_was_asked() -> Outcome {
    let [alice, bob] = alice_and_bob()?;
    let clone = |key: &str, dir: &str| {
        bob.line(&format!("git -c hbs2.timeout=3 clone --quiet hbs2://{key} {dir}")).fails()
    };
    let nobody = keyring(&alice, "nobody.key", 0)?.remove(0);
    clone(&nobody, "none")?.says(&format!("repository {nobody} has no value here"))?.says("within 3 s")?;

    let key = keyring(&alice, "new.key", 0)?.remove(0);
    let work = repository(&alice, "dir", "hello")?;
    work.git(&format!("hbs2 export --new --public {key}")).ok()?;
    let checked = work.git(&format!("hbs2 fsck {key}")).ok()?.text();
    let named = |kind: &str| {
        let line = checked.lines().find(|line| line.starts_with(kind)).unwrap_or_default();
        line.split_whitespace().nth(1).unwrap_or_default().to_owned()
    };
    let (transaction, pack) = (named("transaction"), named("pack"));
    let chunk = alice.line(&format!("hbs2 cat -H {pack}")).ok()?.text();
    alice.line(&format!("hbs2 del --yes {chunk}")).ok()?;
    let said = clone(&key, "copy")?.says(&format!("transaction {transaction} is incomplete: 1 blocks"))?;
    said.says(&chunk)?.says("1 peers were asked")?.says("connected are ")?.says("127.0.0.1:")?;
    Ok(())
}

#[test]
fn packs_are_dumped_and_the_words_of_run_are_commands() -> Outcome {
    let [alice, _bob] = alice_and_bob()?;
    let key = keyring(&alice, "new.key", 0)?.remove(0);
    let mine = keyring(&alice, "mykeys.key", 1)?;
    let group = alice.line("hbs2 groupkey from-keys").stdin(mine[1].as_str()).ok()?.stdout;
    write(&alice, "group.gk", group)?;
    let work = repository(&alice, "dir", "hello")?;
    work.git(&format!("hbs2 export --new --encrypted ../group.gk {key}")).ok()?;
    let checked = work.git(&format!("hbs2 run lww:fsck {key}")).ok()?.text();
    let pack = checked.lines().last().and_then(|line| line.split_whitespace().nth(1)).unwrap_or_default();
    let content = alice.line(&format!("hbs2 cat {pack}")).ok()?.stdout;
    let dump = |switch: &str| work.git(&format!("hbs2 tools dump-pack {switch}")).stdin(content.clone()).ok();
    assert_eq!(dump("--info-only")?.text(), dump("")?.text());
    let info = dump("")?.text();
    assert!(info.starts_with("version: 1\nindex size: ") && info.ends_with("\nobjects: 3"), "{info}");
    let mut ids: Vec<String> = dump("--objects")?.text().lines().map(str::to_owned).collect();
    let mut expected: Vec<String> = ["HEAD", "HEAD^{tree}", "HEAD:README"]
        .into_iter()
        .map(|name| work.id(name))
        .collect::<Result<_, _>>()?;
    ids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ids, expected);
    alice.line("git init --quiet --bare other").ok()?;
    let other = Repo::open(&alice.home, "other");
    other.git("unpack-objects -q").stdin(dump("--pack")?.stdout).ok()?;
    for id in &expected {
        other.git(&format!("cat-file -e {id}")).ok()?;
    }
    work.git("hbs2 tools dump-pack").stdin("no pack").fails()?.says("stdin is no pack")?;

    work.git(&format!("remote add origin hbs2://{key}")).ok()?;
    assert_eq!(work.git("hbs2 run remote:hbs2:show").ok()?.text(), format!("{key:<44} origin"));
    let shown = work.git("hbs2 run remote:refs:show origin").ok()?.text();
    assert_eq!(shown, work.git("hbs2 tools show-ref").ok()?.text());
    assert!(work.git("hbs2 run help").ok()?.text().lines().any(|line| line == "lww:fsck LWWREF"));
    work.git("hbs2 run nonsense").fails()?.says("there is no word 'nonsense'")?;
    Ok(())
}

#[test]
fn a_relay_subscribes_to_either_version_and_hands_both_on() -> Outcome {
    let [alice, bob, carol] = row(["alice", "bob", "carol"])?;
    let key = keyring(&alice, "new.key", 0)?.remove(0);
    let work = repository(&alice, "dir", "hello")?;
    work.git(&format!("hbs2 export --new --public {key}")).ok()?;
    let remote = work.publish()?;
    work.git(&format!("push --quiet {} master", remote.name)).ok()?;
    for (key, lww, log) in [(key.as_str(), "17", "13"), (remote.key(), "31", "17")] {
        bob.line(&format!("hbs2-git-subscribe {key}")).ok()?;
        let polls = bob.line("hbs2-peer poll list").ok()?.text();
        assert!(polls.contains(&format!("{key:<44} {lww}  lwwref")), "{polls}");
        assert!(polls.lines().any(|line| line.ends_with(&format!(" {log}  reflog"))), "{polls}");
        // Carol is linked with Bob only, who never touched git.
        let copy = clone(&carol, &format!("hbs2://{key}"), lww)?;
        assert_eq!(copy.id("HEAD")?, work.id("HEAD")?);
    }
    bob.line("hbs2-git-subscribe nonsense").fails()?.says("not resolved")?;
    Ok(())
}

#[test]
fn a_relay_waits_a_while_for_the_repository_and_stays_subscribed() -> Outcome {
    let [alice, bob] = alice_and_bob()?;
    let key = keyring(&alice, "new.key", 0)?.remove(0);
    let socket = bob.line("hbs2-peer poke").ok()?.text();
    let socket = socket.lines().find_map(|line| line.strip_prefix("rpc: ")).unwrap_or_default();
    let line = format!("hbs2-git-subscribe -s {} {key}", socket.trim_matches('"'));
    bob.line(&line).fails()?.says(&format!("repository {key} has no value here"))?.says("within 20 s")?;
    assert!(bob.line("hbs2-peer poll list").ok()?.text().contains(&format!("{key:<44} 17  lwwref")));
    let waiting = bob.line(&line).start()?;
    repository(&alice, "dir", "hello")?.git(&format!("hbs2 export --new --public {key}")).ok()?;
    waiting.wait()?.must_succeed()?;
    assert_eq!(bob.line("hbs2-peer poll list").ok()?.text().lines().count(), 2);
    Ok(())
}

#[test]
fn repositories_are_announced_in_a_channel() -> Outcome {
    let [alice, bob] = alice_and_bob()?;
    let key = keyring(&alice, "new.key", 0)?.remove(0);
    let chan = keyring(&alice, "chan.key", 0)?.remove(0);
    let work = repository(&alice, "dir", "hello")?;
    work.git(&format!("hbs2 export --new --public {key}")).ok()?;
    work.git(&format!("remote add origin hbs2://{key}")).ok()?;
    let dry = work.git(&format!("hbs2 track send-repo-notify -n {chan}")).ok()?.text();
    assert!(dry.starts_with(&format!("(hbs2-git-announcement 1)\n(repository {key})\n(reflog ")), "{dry}");
    assert!(dry.ends_with("(name \"dir\")\n(brief \"n/a\")"), "{dry}");
    assert_eq!(work.git(&format!("hbs2 track gen-repo-index {key}")).ok()?.text(), dry);
    let send = format!("hbs2 track send-repo-notify {chan} origin");
    work.git(&send).fails()?.says(&format!("no head is known of refchan {chan}"))?;

    let mut peers = String::new();
    for person in [&alice, &bob] {
        person.line(&format!("hbs2-peer poll add {chan} refchan 1")).ok()?;
        let poke = person.line("hbs2-peer poke").ok()?.text();
        let peer = poke.lines().find_map(|line| line.strip_prefix("peer-key: ")).unwrap_or_default();
        peers += &format!("peer {peer} 1\n");
    }
    write(&alice, "head.txt", format!("version 1\nquorum 1\nwait 10\n{peers}author \"{key}\"\n"))?;
    into_file(&alice, &format!("hbs2-peer refchan head gen head.txt {chan}"), "head.box")?;
    let head = alice.line("hbs2 store head.box").ok()?.text();
    alice.line(&format!("hbs2-peer refchan head post {head}")).ok()?;
    work.git(&send).ok()?;
    until("the announcement is in the channel at bob's", || {
        let said = bob.line(&format!("hbs2-peer refchan cat {chan}")).run()?;
        Ok(said.text() == dry)
    })?;
    let root = bob.line(&format!("hbs2-peer refchan get {chan}")).ok()?.text();
    let updates = bob.line(&format!("hbs2 cat -H {root}")).ok()?.text();
    let shown: Vec<String> = updates
        .lines()
        .map(|id| Ok(bob.line(&format!("hbs2-git3 track show-repo-notify {id}")).run()?.text()))
        .collect::<Result<_, KitError>>()?;
    assert_eq!(shown.iter().filter(|text| **text == dry).count(), 1, "{shown:?}");
    bob.line(&format!("hbs2-git3 track show-repo-notify {root}")).fails()?.says("no announcement")?;
    Ok(())
}

#[test]
fn a_manifest_is_listed_shown_and_updated() -> Outcome {
    let [alice, _bob] = alice_and_bob()?;
    let key = keyring(&alice, "new.key", 0)?.remove(0);
    let work = repository(&alice, "dir", "hello")?;
    work.git(&format!("hbs2 export --new --public {key}")).ok()?;
    work.git(&format!("hbs2 manifest update --stdin {key}")).stdin("brief: \"words\"\n").ok()?;
    let list = work.git(&format!("hbs2 manifest list {key}")).ok()?.text();
    let lines: Vec<&str> = list.lines().collect();
    assert!(
        lines[0].ends_with("(manifest length 0)") && lines[1].ends_with("(manifest length 15)"),
        "{list}"
    );
    let hash = lines[1].split_whitespace().nth(1).unwrap_or_default();
    assert_eq!(work.git(&format!("hbs2 manifest show {hash}")).ok()?.text(), "brief: \"words\"");
    write(&alice, "dir/.hbs2-git/manifest", "brief: \"of the file\"\n")?;
    work.git(&format!("hbs2 export {key}")).ok()?;
    assert_eq!(work.git(&format!("hbs2 manifest list {key}")).ok()?.text().lines().count(), 3);
    work.git(&format!("hbs2 manifest update {key}")).fails()?.says("-f FILE")?;
    work.git(&format!("hbs2 export --new {key}")).fails()?.says("--public")?;
    alice.line("git init --quiet --object-format=sha256 sha256").ok()?;
    let long = Repo::open(&alice.home, "sha256");
    long.git(&format!("hbs2 export --new --public {key}"))
        .fails()?
        .says("cannot work with a sha256 repository")?;

    let other = keyring(&alice, "other.key", 0)?.remove(0);
    work.git(&format!("hbs2 manifest update --stdin --new {other}")).stdin("name: \"other\"\n").ok()?;
    assert_eq!(work.git(&format!("hbs2 tools show-ref {other}")).ok()?.text().lines().count(), 2);
    Ok(())
}

#[test]
fn a_migrated_repository_is_cloned_by_its_readers() -> Outcome {
    let [alice, bob] = alice_and_bob()?;
    let key = keyring(&alice, "new.key", 0)?.remove(0);
    let work = repository(&alice, "dir", "hello")?;
    work.git("tag --annotate --message note v1").ok()?;
    work.git(&format!("hbs2 export --new --public {key}")).ok()?;
    let copy = clone(&bob, &format!("hbs2://{key}"), "before")?;
    let added = work.git(&format!("hbs2 migrate {key}")).ok()?.text();
    let url = added.split_whitespace().last().unwrap_or_default().to_owned();
    assert!(added.starts_with("added git remote ") && url.starts_with("hbs23://"), "{added}");
    let moved = clone(&bob, &url, "moved")?;
    assert_eq!(moved.refs("refs/tags")?, work.refs("refs/tags")?);

    assert_eq!(work.git(&format!("hbs2 migrate {key} --in-place")).ok()?.text(), format!("hbs23://{key}"));
    work.commit("more", "more", "after")?;
    work.git(&format!("push --quiet hbs2://{key} master")).ok()?;
    let newest = work.id("HEAD")?;
    until("bob's old clone follows", || {
        copy.git("fetch --quiet origin").ok()?;
        Ok(copy.id("origin/master")? == newest)
    })?;
    work.git(&format!("hbs2 export {key}")).fails()?.says("of version 3")?;
    Ok(())
}
