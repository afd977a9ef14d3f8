//! An encrypted repository among four peers: its owner, a relay without keys that carries everything, a member and an
//! outsider. What the relay and the outsider have is searched for plaintext, byte by byte.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use hbs2_store::{DiskStore, Store};
use hbs2_testkit::{GroupFile, KitError, Person, Remote, Repo, encryption_key, until};

type Outcome = Result<(), KitError>;

/// With this begins every text that must not be seen: lines of files, names of files and branches, messages.
const MARK: &str = "xylograph-";

/// Texts in the first push.
const TEXTS: usize = 200;

/// How a zstd frame begins.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Bytes of a frame that are looked at.
const FRAME_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How long a refusal may take: it waits for nothing, but four daemons share this machine with other tests.
const AT_ONCE: Duration = Duration::from_secs(10);

/// The people. The relay is linked with everybody, the others only with it.
struct Cast {
    owner: Person,
    member: Person,
    outsider: Person,
    relay: Person,
}

impl Cast {
    fn new() -> Result<Self, KitError> {
        let binary = Path::new(env!("CARGO_BIN_EXE_hbs2"));
        let relay = Person::new("relay", binary, &[])?;
        let at = relay.peer.address();
        let person = |name| Person::new(name, binary, &[at]);
        Ok(Self { owner: person("owner")?, member: person("member")?, outsider: person("outsider")?, relay })
    }
}

fn text(number: usize) -> String {
    format!("{MARK}{number:03}")
}

/// A history with 200 texts: 20 files of 8 lines, their names, 10 messages, 10 branches.
fn history(owner: &Person) -> Result<Repo<'_>, KitError> {
    let mut texts = (0..).map(text);
    let mut next = || texts.next().expect("numbers do not end");
    let work = Repo::init(&owner.home, "work")?;
    for _ in 0..10 {
        for _ in 0..2 {
            let lines: String = (0..8).map(|_| format!("{} and more of it\n", next())).collect();
            work.write(&format!("{}.txt", next()), lines)?;
        }
        work.git("add --all").ok()?;
        work.git("commit --quiet --message").arg(next()).ok()?;
        work.git("branch").arg(next()).ok()?;
    }
    assert_eq!(next(), text(TEXTS));
    Ok(work)
}

fn push(work: &Repo<'_>, remote: &Remote) -> Outcome {
    work.git("push --quiet --all").arg(&remote.name).ok().map(drop)
}

/// Lets the relay fetch everything that the owner has published so far.
fn carry(relay: &Person, work: &Repo<'_>, remote: &Remote) -> Outcome {
    let ask = |command: &str| work.git(&format!("hbs2 {command} {}", remote.name)).ok();
    let (listed, head) = (ask("repo:tx:list")?.text(), ask("repo:head")?.text());
    let relays = |command: &str| relay.line(&format!("hbs2-git3 {command} {}", remote.key())).ok();
    until("the relay has the last push", || {
        relays("repo:wait")?;
        Ok(relays("repo:tx:list")?.text() == listed && relays("repo:head")?.text() == head)
    })
    .map(drop)
}

/// Clones, which must be refused for want of this group key, and soon.
fn refused(person: &Person, remote: &Remote, group: &str) -> Outcome {
    let began = Instant::now();
    let said = person.line("git clone").args([&remote.url, "refused"]).fails()?;
    let said = said.says(&format!("no access to group key {group} "))?;
    said.says("hint: only members of the group read this repository")?;
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    Ok(())
}

fn refs_without_head(copy: &Repo<'_>) -> Result<std::collections::BTreeMap<String, String>, KitError> {
    let mut tracked = copy.refs("refs/remotes/origin")?;
    tracked.remove("HEAD");
    Ok(tracked)
}

/// Whether any text is in `bytes`, as it is or in a zstd frame that begins anywhere.
fn shows(bytes: &[u8]) -> bool {
    let holds = |bytes: &[u8]| bytes.windows(MARK.len()).any(|window| window == MARK.as_bytes());
    let unpacked = |at: usize| {
        let mut content = Vec::new();
        if let Ok(decoder) = zstd::Decoder::new(&bytes[at..]) {
            // What comes before a fault has been read when it shows.
            let _ = decoder.take(FRAME_BYTES_MAX).read_to_end(&mut content);
        }
        content
    };
    let frames = bytes.windows(ZSTD.len()).enumerate().filter(|(_, window)| *window == ZSTD);
    holds(bytes) || frames.into_iter().any(|(at, _)| holds(&unpacked(at)))
}

/// All files below a directory.
fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&entry.path())),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found
}

/// No file of the home and no block of its store shows any text. Gives the number of blocks.
fn check_blind(person: &mut Person) -> Result<usize, KitError> {
    person.peer.stop()?;
    for file in files(person.home.path()) {
        let bytes = fs::read(&file).map_err(KitError::io("cannot read", &file))?;
        assert!(!shows(&bytes), "{} shows a text", file.display());
        assert!(!file.to_string_lossy().contains(MARK), "{}", file.display());
    }
    let mut hashes = BTreeSet::new();
    {
        let store = DiskStore::open(&person.home.join(".local/share/hbs2")).expect("the peer is off");
        let mut each = |hash, _| {
            hashes.insert(hash);
            ControlFlow::Continue(())
        };
        store.hashes(&mut each).expect("the store can be listed");
        for hash in &hashes {
            let block = store.get(hash).expect("the store can be read").unwrap_or_default();
            assert!(!shows(&block), "block {hash} shows a text");
            let frame = block.starts_with(&ZSTD);
            assert!(!frame || block.len() < 20, "block {hash} is a zstd frame, and not an empty one");
        }
    }
    person.peer.restart()?;
    Ok(hashes.len())
}

#[test]
fn the_search_finds_what_is_there() {
    let hidden = zstd::encode_all(format!("some {MARK}007 text").as_bytes(), 3).expect("memory is enough");
    assert!(shows(format!("..{MARK}..").as_bytes()));
    assert!(shows(&[&b"before"[..], &hidden, &b"after"[..]].concat()));
    let other = zstd::encode_all(&b"nothing to see"[..], 3).expect("memory is enough");
    assert!(!shows(&other) && !shows(b""));
}

#[test]
fn a_relay_carries_what_only_members_read_while_members_come_and_go() -> Outcome {
    let Cast { mut owner, member, mut outsider, mut relay } = Cast::new()?;
    let [of_owner, of_member, of_outsider] =
        [encryption_key(&owner.home)?, encryption_key(&member.home)?, encryption_key(&outsider.home)?];
    let first = GroupFile::new(&owner.home, "first.gk", 1, &[&of_owner, &of_member])?;
    let (remote, tip, heads) = {
        let work = history(&owner)?;
        let remote = Remote::named_in(&work.git("hbs2 init --new --encrypted ../first.gk").ok()?)?;
        push(&work, &remote)?;
        relay.line("hbs2-git3 repo:relay-only").arg(remote.key()).ok()?;
        let polls = relay.line("hbs2-peer poll list").ok()?.text();
        assert!(
            polls.contains(remote.key()) && polls.contains("lwwref") && polls.contains("reflog"),
            "{polls}"
        );
        carry(&relay, &work, &remote)?;
        // The files that are searched below are no empty ones: the owner's show everything.
        assert!(files(work.path()).iter().any(|file| fs::read(file).is_ok_and(|bytes| shows(&bytes))));
        (remote, work.id("main")?, work.refs("refs/heads")?)
    };

    owner.peer.stop()?;
    let copy = Repo::clone(&member.home, &remote.url, "copy")?;
    assert_eq!((copy.id("HEAD")?, refs_without_head(&copy)?), (tip, heads));
    copy.fsck()?;
    refused(&outsider, &remote, &first.hash)?;
    assert!(check_blind(&mut relay)? > 10);
    check_blind(&mut outsider)?;

    // Somebody is added, and reads what was written before he came.
    owner.peer.restart()?;
    let work = Repo::open(&owner.home, "work");
    let second = GroupFile::new(&owner.home, "second.gk", 2, &[&of_owner, &of_member, &of_outsider])?;
    let updated = work.git("hbs2 repo:gk:update").args([&remote.name, "../second.gk"]).ok()?.text();
    let lines: Vec<&str> = updated.lines().collect();
    assert_eq!(lines[0], format!("gk {} {}", first.hash, first.id));
    assert_eq!(lines[1], format!("new gk {}", second.hash));
    assert!(lines[2].starts_with("new gk ") && lines.len() == 3, "{updated}");
    until("the new member is let in", || {
        Ok(outsider.line("git clone --quiet").args([&remote.url, "copy"]).run()?.status.success())
    })?;
    let late = Repo::open(&outsider.home, "copy");
    assert_eq!(refs_without_head(&late)?, work.refs("refs/heads")?);
    late.fsck()?;
    work.commit("after.txt", format!("{MARK}after"), "for all three")?;
    push(&work, &remote)?;
    for copy in [&copy, &late] {
        until("the push shows", || {
            copy.git("fetch --quiet").ok()?;
            Ok(refs_without_head(copy)? == work.refs("refs/heads")?)
        })?;
    }

    // Somebody is removed, and reads nothing of what is written from then on.
    let third = GroupFile::new(&owner.home, "third.gk", 3, &[&of_owner, &of_outsider])?;
    work.git("hbs2 repo:gk:update").args([&remote.name, "../third.gk"]).ok()?;
    let before = copy.id("origin/main")?;
    work.commit("closed.txt", format!("{MARK}closed"), "not for everybody")?;
    push(&work, &remote)?;
    until("the one who stays reads on", || {
        late.git("fetch --quiet").ok()?;
        Ok(late.id("origin/main")? == work.id("main")?)
    })?;
    until("the one who went is refused", || {
        let fetched = copy.git("fetch").run()?;
        Ok(!fetched.status.success()
            && fetched.talk().contains(&format!("no access to group key {} ", third.hash)))
    })?;
    assert_eq!(copy.id("origin/main")?, before);
    assert!(check_blind(&mut relay)? > 20);
    Ok(())
}
