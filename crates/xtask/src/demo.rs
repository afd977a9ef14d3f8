//! `cargo xtask demo`: the whole program at work, in front of the reader.
//!
//! Alice and Bob have a home and a peer each, on the loopback interface. Alice publishes a real git history through
//! her peer; Bob clones it from his, sees her next commit and the end of a branch. Every command is printed as a
//! user types it, with its time; then both sides are compared reference by reference and object by object. The
//! commands are run for real: what fails here fails for a user.
//!
//! The development build is the default: a newcomer waits for one build only, because this program shares it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hbs2_testkit::{Call, Daemon, Done, Home, KitError, Remote, Repo, free_address, until};

use crate::build;

mod sealed;

/// Commits of the history that is made when this project brings none.
const MADE_COMMITS: usize = 40;

/// Columns for a command before its time.
const COLUMNS: usize = 72;

/// Which story is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Story {
    /// A repository that everybody may read.
    Open,
    /// One that strangers carry and only members read.
    Sealed,
}

pub(crate) fn run(story: Story, binary: &Path, keep: Option<&Path>) -> Result<()> {
    let stage = Stage::open(keep)?;
    let (played, moral) = match story {
        Story::Open => {
            (play(&stage.root, binary), "pushed through one peer, cloned and verified from another")
        }
        Story::Sealed => (
            sealed::play(&stage.root, binary),
            "carried by a peer that cannot read it, read by members alone",
        ),
    };
    match (&played, keep) {
        (_, Some(keep)) => println!("demo: everything is kept in {}", keep.display()),
        (Err(_), None) => {
            println!("demo: failed; with `--keep DIR` everything is kept for a look")
        }
        (Ok(()), None) => {}
    }
    played?;
    println!("demo: passed; {moral}");
    Ok(())
}

/// The directory in which everything happens.
struct Stage {
    root: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

impl Stage {
    fn open(keep: Option<&Path>) -> Result<Self> {
        let Some(keep) = keep else {
            let temporary = tempfile::Builder::new().prefix("hbs2-demo-").tempdir()?;
            return Ok(Self { root: temporary.path().to_owned(), _temporary: Some(temporary) });
        };
        fs::create_dir_all(keep).with_context(|| format!("cannot make {}", keep.display()))?;
        let root = fs::canonicalize(keep)?;
        ensure!(
            fs::read_dir(&root)?.next().is_none(),
            "{} is not empty; name a new directory",
            root.display()
        );
        Ok(Self { root, _temporary: None })
    }
}

fn play(root: &Path, binary: &Path) -> Result<()> {
    let alice = Home::at("alice", root.join("alice"), binary)?;
    let bob = Home::at("bob", root.join("bob"), binary)?;

    title("Two peers, each with a home, keys and storage of its own, linked over TCP");
    let (at_alice, at_bob) = (free_address()?, free_address()?);
    let peer_of_alice = raise(&alice, Daemon::start_at(&alice, at_alice, &[at_bob], ""))?;
    let peer_of_bob = raise(&bob, Daemon::start_at(&bob, at_bob, &[at_alice], ""))?;
    shown(&alice, alice.line("hbs2-peer poke"))?;

    title("Alice publishes a git history");
    let (work, commits) = history(&alice)?;
    println!("       ({commits} commits in {})", short(root, work.path()));
    let Remote { name: remote, url } = Remote::named_in(&shown(&alice, work.git("hbs2 init --new"))?)?;
    work.git("branch topic HEAD~1").ok()?;
    shown(&alice, work.git(&format!("push {remote} --all")))?;
    shown(&alice, work.git(&format!("push {remote} --tags")))?;
    shown(&alice, work.git(&format!("hbs2 repo:manifest {remote}")))?;

    title("Bob clones it from his own peer");
    shown(&bob, bob.line(&format!("git clone {url} project")))?;
    let copy = Repo::open(&bob, "project");
    same(&work, &copy, &remote)?;
    shown(&bob, copy.git("fsck --full --strict --no-dangling --no-progress"))?;

    title("Alice commits again, Bob fetches");
    work.write("hello.txt", "hello from alice\n")?;
    shown(&alice, work.git("add hello.txt"))?;
    shown(&alice, work.git("commit --quiet --message 'say hello'"))?;
    shown(&alice, work.git(&format!("push {remote} main")))?;
    let tip = work.id("main")?;
    until_seen(&bob, &copy, "git fetch", || Ok(copy.refs("refs/remotes/origin")?.get("main") == Some(&tip)))?;
    shown(&bob, copy.git("merge --ff-only --quiet origin/main"))?;
    ensure!(
        copy.read("hello.txt")? == b"hello from alice\n",
        "the file of the new commit is not what was pushed"
    );

    title("Alice deletes a branch, Bob sees it go");
    shown(&alice, work.git("branch --quiet -D topic"))?;
    shown(&alice, work.git(&format!("push {remote} --delete topic")))?;
    until_seen(&bob, &copy, "git fetch --prune", || {
        Ok(!copy.refs("refs/remotes/origin")?.contains_key("topic"))
    })?;

    title("Both sides compared");
    same(&work, &copy, &remote)?;
    copy.fsck()?;
    work.fsck()?;
    println!(
        "       `git ls-remote` and `git for-each-ref` agree, `git fsck --full --strict` is content on both sides"
    );
    for (home, mut peer) in [(&alice, peer_of_alice), (&bob, peer_of_bob)] {
        let peak = peer.memory_kib("VmHWM")?;
        told(home, "kill $(pidof hbs2-peer)", peer.stop()?);
        println!("       ({} MiB of memory at most)", peak.div_ceil(1024));
    }
    Ok(())
}

fn title(text: &str) {
    println!("\n# {text}");
}

/// Prints a command with its time, as a user would type it.
fn told(home: &Home, line: &str, took: Duration) {
    println!("{:>5}$ {line:<COLUMNS$} {:>7.2} s", home.name(), took.as_secs_f64());
}

/// Runs a command that must succeed, prints it and the first lines of what it says.
fn shown(home: &Home, call: Call) -> Result<Done> {
    let line = call.line();
    Ok(tell(home, &line, call.run()?).must_succeed()?)
}

/// Prints a command that has ended and the first lines of what it said.
fn tell(home: &Home, line: &str, done: Done) -> Done {
    const LINES: usize = 8;
    told(home, line, done.took);
    let said = format!("{}\n{}", done.text(), done.talk());
    let lines: Vec<&str> = said.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    for line in lines.iter().take(LINES) {
        println!("       {line}");
    }
    if lines.len() > LINES {
        println!("       … {} more lines", lines.len() - LINES);
    }
    done
}

fn raise(home: &Home, started: Result<Daemon, KitError>) -> Result<Daemon> {
    let daemon = started?;
    told(home, "hbs2-peer run &", daemon.started_in());
    Ok(daemon)
}

/// The history Alice publishes: this project's own, or one made here when there is none or it is cut short.
fn history(alice: &Home) -> Result<(Repo<'_>, usize)> {
    let own = build::project_root();
    let git = |line: &str| alice.line(&format!("git {line}")).env("GIT_DIR", own.join(".git")).run();
    let whole = git("rev-parse --is-shallow-repository")?.text() == "false";
    let count = git("rev-list --count HEAD")?.text().parse::<usize>().unwrap_or(0);
    if whole && count >= 2 {
        // The owner of the project's files may be another user than the one who looks at the demo.
        let trust =
            [("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "safe.directory"), ("GIT_CONFIG_VALUE_0", "*")];
        let clone = alice.call("git").args(["clone", "--quiet", "--no-local"]).arg(&own).arg("project");
        let cloned = trust.iter().fold(clone, |call, (key, value)| call.env(key, value)).run()?;
        if cloned.status.success() {
            let work = Repo::open(alice, "project");
            work.git("checkout --quiet -B main").ok()?;
            work.git("remote remove origin").ok()?;
            work.git("tag --force demo HEAD~1").ok()?;
            return Ok((work, count));
        }
    }
    let work = Repo::init(alice, "project")?;
    for n in 0..MADE_COMMITS {
        let content: String =
            (0..200).map(|line| format!("{}\n", (line * 7919 + n * line % 31) % 1000)).collect();
        work.commit(&format!("chapter-{}.txt", n % 7), content, &format!("write chapter {n}"))?;
    }
    work.git("tag --annotate --message 'the first' v1 HEAD~1").ok()?;
    Ok((work, MADE_COMMITS))
}

/// Repeats a fetch until `seen`; Bob's peer learns of a push by gossip, a moment after Alice's push has ended.
fn until_seen(
    bob: &Home,
    copy: &Repo<'_>,
    line: &str,
    seen: impl Fn() -> Result<bool, KitError>,
) -> Result<()> {
    let words = line.strip_prefix("git ").expect("it is a git command");
    let mut took = Duration::ZERO;
    let waited = until(&format!("bob's `{line}` shows what alice pushed"), || {
        took = copy.git(words).ok()?.took;
        seen()
    })?;
    told(bob, line, took);
    println!("       (seen {:.2} s after the push)", waited.as_secs_f64());
    Ok(())
}

/// Branches and tags of Alice's repository, of the remote as Bob sees it, and of his clone must be equal.
fn same(work: &Repo<'_>, copy: &Repo<'_>, remote: &str) -> Result<()> {
    let (heads, tags) = (work.refs("refs/heads")?, work.refs("refs/tags")?);
    ensure!(!heads.is_empty(), "alice has no branch");
    let mut tracked = copy.refs("refs/remotes/origin")?;
    tracked.remove("HEAD");
    ensure!(heads == tracked, "branches differ: alice {heads:?}, bob {tracked:?}");
    let copied = copy.refs("refs/tags")?;
    ensure!(tags == copied, "tags differ: alice {tags:?}, bob {copied:?}");
    let (here, there) = (work.remote_refs(remote)?, copy.remote_refs("origin")?);
    ensure!(here == there, "`git ls-remote` differs: alice {here:?}, bob {there:?}");
    ensure!(here.len() == heads.len() + tags.len(), "the remote has other references than alice: {here:?}");
    Ok(())
}

fn short(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_to_keep_must_be_new_or_empty() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Stage::open(Some(&dir.path().join("new"))).is_ok());
        assert!(Stage::open(Some(dir.path())).is_err());
    }
}
