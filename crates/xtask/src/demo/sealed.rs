//! The story of an encrypted repository: strangers carry it, members read it, and members come and go.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use hbs2_testkit::{Daemon, Done, Home, KitError, Remote, Repo, free_address, listed_key, until};

use super::{raise, same, shown, tell, title, told};

/// What nobody but the members may see.
const PLAN: &str = "the treasure lies under the old oak\n";

pub(super) fn play(root: &Path, binary: &Path) -> Result<()> {
    let home = |name: &str| Home::at(name, root.join(name), binary);
    let (alice, relay, bob, carol) = (home("alice")?, home("relay")?, home("bob")?, home("carol")?);

    title("Four peers. Only the relay is linked with all; the others meet through it");
    let at_relay = free_address()?;
    let mut peer_of_relay = raise(&relay, Daemon::start_at(&relay, at_relay, &[], ""))?;
    let mut peer_of_alice = raise(&alice, Daemon::start(&alice, &[at_relay]))?;
    let _peer_of_bob = raise(&bob, Daemon::start(&bob, &[at_relay]))?;
    let _peer_of_carol = raise(&carol, Daemon::start(&carol, &[at_relay]))?;

    title("Alice, Bob and Carol each make an encryption key; Bob and Carol send theirs to Alice");
    let keys = [&alice, &bob, &carol].map(|home| -> Result<String> {
        shell(home, "mkdir -p .hbs2-keyman/keys && umask 077")?;
        shell(home, "hbs2 keyring-new -n 1 > .hbs2-keyman/keys/me.key")?;
        shell(home, "hbs2-keyman update")?;
        let key = listed_key(home)?;
        println!("       {key}");
        Ok(key)
    });
    let [of_alice, of_bob, of_carol] = keys;
    let (of_alice, of_bob, of_carol) = (of_alice?, of_bob?, of_carol?);

    title("Alice publishes a repository for herself and Bob");
    shell(&alice, &format!("echo {of_alice} {of_bob} | hbs2 groupkey from-keys > team.gk"))?;
    let work = Repo::init(&alice, "project")?;
    work.write("plan.txt", PLAN)?;
    work.git("add plan.txt").ok()?;
    work.git("commit --quiet --message 'write the plan'").ok()?;
    let made = shown(&alice, work.git("hbs2 init --new --encrypted ../team.gk"))?;
    let remote = Remote::named_in(&made)?;
    shown(&alice, work.git(&format!("push {} main", remote.name)))?;
    shown(&alice, work.git(&format!("hbs2 repo:gk {}", remote.name)))?;

    title("The relay keeps and spreads it, without any key; then Alice's peer goes off");
    shown(&relay, relay.line("hbs2-git3 repo:relay-only").arg(remote.key()))?;
    let waited = until("the relay has the push", || {
        let done = relay.line("hbs2-git3 repo:wait").arg(remote.key()).ok()?;
        let (here, there) = (transactions(&work, &remote)?, transactions_at(&relay, &remote)?);
        Ok(done.status.success() && here == there)
    })?;
    println!("       (everything is here {:.2} s later)", waited.as_secs_f64());
    told(&alice, "kill $(pidof hbs2-peer)", peer_of_alice.stop()?);

    title("Bob is a member: he clones it from the relay");
    shown(&bob, bob.line(&format!("git clone {} project", remote.url)))?;
    let of_bob_now = Repo::open(&bob, "project");
    ensure!(of_bob_now.read("plan.txt")? == PLAN.as_bytes(), "bob reads another plan");
    shown(&bob, of_bob_now.git("show --stat --format=%s HEAD"))?;

    title("Carol is none, and the relay cannot read what it carries");
    let clone = format!("git clone {} project", remote.url);
    refused(&carol, &clone, carol.line(&clone).run()?)?;
    peer_of_relay.stop()?;
    let search = "grep --recursive --text --files-with-matches -e oak -e 'the plan' -e plan.txt .";
    let found = tell(&relay, search, sh(&relay, search)?);
    ensure!(found.text().is_empty(), "the relay holds plaintext: {}", found.text());
    println!("       (nothing in its home, its storage included)");
    peer_of_relay.restart()?;

    title("Alice adds Carol, who then reads all that was written before");
    peer_of_alice.restart()?;
    told(&alice, "hbs2-peer run &", peer_of_alice.started_in());
    shell(&alice, &format!("echo {of_alice} {of_bob} {of_carol} | hbs2 groupkey from-keys > three.gk"))?;
    shown(&alice, work.git(&format!("hbs2 repo:gk:update {} ../three.gk", remote.name)))?;
    let mut cloned = None;
    until("carol may read", || {
        let done = carol.line(&clone).run()?;
        let ok = done.status.success();
        cloned = Some(done);
        Ok(ok)
    })?;
    tell(&carol, &clone, cloned.expect("it was tried"));
    let of_carol_now = Repo::open(&carol, "project");
    same(&work, &of_carol_now, &remote.name)?;
    println!("       (branches and objects are those of alice)");

    title("Alice removes Bob, who does not read what is pushed from now on");
    shell(&alice, &format!("echo {of_alice} {of_carol} | hbs2 groupkey from-keys > two.gk"))?;
    shown(&alice, work.git(&format!("hbs2 repo:gk:update {} ../two.gk", remote.name)))?;
    work.write("plan.txt", "we dig it up on sunday\n")?;
    shown(&alice, work.git("commit --quiet --all --message 'change the plan'"))?;
    shown(&alice, work.git(&format!("push {} main", remote.name)))?;
    let tip = work.id("main")?;
    repeat(&carol, &of_carol_now, |_| Ok(of_carol_now.id("origin/main")? == tip))?;
    repeat(&bob, &of_bob_now, |done| Ok(!done.status.success()))?;
    ensure!(of_bob_now.id("origin/main")? != tip, "bob has the new commit");
    println!("       (bob keeps what he had; carol has the new commit)");
    Ok(())
}

/// Repeats `git fetch` until `seen`, and prints the last one: what is pushed arrives a moment later.
fn repeat(home: &Home, copy: &Repo<'_>, seen: impl Fn(&Done) -> Result<bool, KitError>) -> Result<()> {
    let mut last = None;
    until("the push shows", || {
        let done = copy.git("fetch").run()?;
        let is_seen = seen(&done)?;
        last = Some(done);
        Ok(is_seen)
    })?;
    tell(home, "git fetch", last.expect("it was tried"));
    Ok(())
}

fn transactions(work: &Repo<'_>, remote: &Remote) -> Result<String, KitError> {
    Ok(work.git("hbs2 repo:tx:list").arg(&remote.name).ok()?.text())
}

fn transactions_at(home: &Home, remote: &Remote) -> Result<String, KitError> {
    Ok(home.line("hbs2-git3 repo:tx:list").arg(remote.key()).ok()?.text())
}

/// Prints a command that must have been refused for want of access, and soon.
fn refused(home: &Home, line: &str, done: Done) -> Result<()> {
    let done = tell(home, line, done).must_fail()?.says("no access to group key")?;
    ensure!(done.took < Duration::from_secs(10), "the refusal took {:.1} s", done.took.as_secs_f64());
    Ok(())
}

/// Runs a line of the shell and prints it.
fn shell(home: &Home, line: &str) -> Result<Done> {
    Ok(tell(home, line, sh(home, line)?).must_succeed()?)
}

fn sh(home: &Home, line: &str) -> Result<Done, KitError> {
    // Each line is a shell of its own; what the first one set holds for all.
    home.call("sh").arg("-c").arg(format!("umask 077; {line}")).run()
}
