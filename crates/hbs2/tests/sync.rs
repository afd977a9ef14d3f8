//! `hbs2-sync` over real daemons: one folder, two and three of them, random changes, hostile entries.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hbs2_testkit::{Done, Person, until};
use kit::{new_key, peer_key};

fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_hbs2"))
}

/// The public keys of an author and of a reader.
type Keys = (String, String);

/// A person with a folder of a channel.
struct Owner {
    person: Person,
    dir: PathBuf,
}

impl Owner {
    fn at(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Sets the time at which a file was changed, so many seconds from now.
    fn touch(&self, name: &str, seconds: i64) {
        let now = SystemTime::now();
        let shift = Duration::from_secs(seconds.unsigned_abs());
        let time = if seconds < 0 { now - shift } else { now + shift };
        fs::File::options().append(true).open(self.at(name)).unwrap().set_modified(time).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap()
    }

    fn call(&self, words: &str) -> Done {
        let call = self.person.line(&format!("hbs2-sync --timeout 20 {words}")).dir(&self.dir);
        call.deadline(Duration::from_secs(120)).ok().unwrap()
    }

    fn sync(&self) -> Done {
        self.call("sync")
    }

    /// The files of the folder and what is in them.
    fn files(&self) -> BTreeMap<String, String> {
        fn walk(dir: &Path, at: &str, found: &mut BTreeMap<String, String>) {
            for entry in fs::read_dir(dir).unwrap() {
                let entry = entry.unwrap();
                let name = format!("{at}{}", entry.file_name().to_string_lossy());
                if name == ".hbs2-sync" {
                    continue;
                }
                if entry.file_type().unwrap().is_dir() {
                    walk(&entry.path(), &format!("{name}/"), found);
                } else if entry.file_type().unwrap().is_file() {
                    found.insert(name, fs::read_to_string(entry.path()).unwrap());
                }
            }
        }
        let mut found = BTreeMap::new();
        walk(&self.dir, "", &mut found);
        found
    }
}

/// People in a row, each with an author and a reader key and with a folder of one channel in which all write and read.
/// The quorum is one: each peer may accept by itself.
fn folders<const N: usize>(names: [&str; N]) -> (String, Vec<Owner>) {
    let (chan, owners, _) = folders_and_keys(names);
    (chan, owners)
}

/// The same with the keys of each person.
fn folders_and_keys<const N: usize>(names: [&str; N]) -> (String, Vec<Owner>, Vec<Keys>) {
    let people = Person::row(names, binary()).unwrap();
    let owners: Vec<Owner> = people
        .into_iter()
        .map(|person| {
            let dir = person.home.join("folder");
            fs::create_dir(&dir).unwrap();
            Owner { person, dir }
        })
        .collect();
    let keys: Vec<Keys> = owners.iter().map(|owner| new_key(&owner.person.home, "author")).collect();
    let (author, reader) = &keys[0];
    let made = owners[0].call(&format!("init {author} {reader}"));
    let chan =
        made.text().lines().find_map(|line| line.strip_prefix("refchan created: ")).unwrap().to_owned();
    post_head(&owners, &chan, 2, &keys);
    let root = owners[0].person.line(&format!("hbs2-peer refchan head get {chan}")).ok().unwrap().text();
    for (owner, (author, _)) in owners.iter().zip(&keys).skip(1) {
        owner.person.line(&format!("hbs2-peer poll add {chan} refchan 1")).ok().unwrap();
        until("the head is everywhere", || {
            owner.person.line(&format!("hbs2-peer refchan head fetch {chan}")).run()?;
            let head = owner.person.line(&format!("hbs2-peer refchan head get {chan}")).run()?;
            Ok(head.text() == root)
        })
        .unwrap();
        owner.call(&format!("init --refchan {chan}"));
        let config = fs::read_to_string(owner.at(".hbs2-sync/config")).unwrap();
        assert!(config.contains(&format!("sign \"{author}\"")), "{config}");
    }
    (chan, owners, keys)
}

fn post_head(owners: &[Owner], chan: &str, version: u32, keys: &[Keys]) {
    let mut head = format!("version {version}\nquorum 1\nwait 10\n");
    for owner in owners {
        head.push_str(&format!("peer \"{}\" 1\n", peer_key(&owner.person.home)));
    }
    for (author, reader) in keys {
        head.push_str(&format!("author \"{author}\"\nreader \"{reader}\"\n"));
    }
    kit::post_head(&owners[0].person.home, chan, &head);
}

/// Synchronises everybody until all folders have the same files.
fn settle(owners: &[Owner], what: &str) -> BTreeMap<String, String> {
    for _ in 0..12 {
        for owner in owners {
            owner.sync();
        }
        let first = owners[0].files();
        if owners.iter().all(|owner| owner.files() == first) {
            return first;
        }
    }
    for owner in owners {
        eprintln!("{:?}\n{}", owner.files().keys(), owner.call("history").text());
    }
    panic!("{what}: the folders stay different");
}

#[test]
fn a_new_folder_is_made_once_and_shows_what_it_has() {
    let [person] = Person::row(["alice"], binary()).unwrap();
    let dir = person.home.join("folder");
    fs::create_dir_all(dir.join("a/b")).unwrap();
    let alice = Owner { person, dir };
    let made = alice.call("init").text();
    let heads: Vec<&str> = made.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(heads[..3], ["author key created", "reader key created", "refchan created"], "{made}");
    assert!(made.ends_with("/folder/.hbs2-sync/config created"), "{made}");
    let again = alice.person.line("hbs2-sync init").dir(alice.at("a/b")).fails().unwrap();
    assert!(again.talk().contains("there is a config already: "), "{again}");
    alice.write("a/b/x.txt", "hello");
    alice.write("y", "world");
    alice.write(".hidden", "not kept");
    let said = alice.sync().text();
    assert!(said.contains("post tree tx a/b/x.txt ") && said.contains("post tree tx y "), "{said}");
    assert_eq!(alice.sync().text(), "", "a second run has nothing to do");
    assert_eq!(alice.call("ls").text(), "a\na/b\na/b/x.txt\ny");
    let history = alice.call("history").text();
    assert_eq!(history.lines().count(), 2, "{history}");
    assert!(history.lines().all(|line| line.starts_with("F 20") && line.contains("Z ")), "{history}");
    let config = alice.call("dir:config:show").text();
    assert!(config.starts_with("exclude \"**/.*\"\ninclude \"**\"\nsign \""), "{config}");
    let chan = config.lines().last().unwrap().trim_start_matches("refchan ").trim_matches('"').to_owned();
    assert_eq!(alice.call(&format!("cat {chan} a/b/x.txt")).text(), "hello");
    assert!(alice.call("dir:state:local:show F").text().contains("\") \"y\")"));
    assert!(alice.call("dir:state:remote:show D").text().lines().count() == 2);
    // An old version comes back, a deletion goes through.
    let first =
        history.lines().find(|line| line.ends_with(" y")).unwrap().split(' ').nth(2).unwrap().to_owned();
    alice.write("y", "world, changed");
    alice.sync();
    assert_eq!(alice.call(&format!("revert {first}")).text(), "entry reverted");
    alice.sync();
    assert_eq!(alice.read("y"), "world");
    assert_eq!(
        alice.call("tomb a/b/x.txt and dir:state:merged:show").text(),
        "deleted a/b/x.txt\n(D \"a/b/x.txt\" 0)"
    );
    assert_eq!(alice.sync().text(), "deleted locally a/b/x.txt");
    assert!(!alice.at("a").exists(), "directories that a deletion has left empty go with it");
    assert_eq!(alice.call("deleted").text(), "a/b/x.txt");
    fs::create_dir_all(alice.at("empty/inner")).unwrap();
    assert_eq!(alice.call("prune").text(), "empty/inner\nempty");
    assert_eq!(
        alice.files(),
        BTreeMap::from([(".hidden".into(), "not kept".into()), ("y".into(), "world".into())])
    );
}

#[test]
fn changes_deletions_and_conflicts_travel_between_two() {
    let (_, owners) = folders(["alice", "bob"]);
    let [alice, bob] = &owners[..] else { unreachable!() };
    alice.write("notes/one.txt", "1");
    alice.write("run.sh", "#!/bin/sh");
    fs::set_permissions(alice.at("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("run.sh", alice.at("link")).unwrap();
    let said = alice.sync().talk();
    assert!(said.contains("not kept: link symbolic links are not kept"), "{said}");
    bob.write("two.txt", "2");
    settle(&owners, "first files");
    assert_eq!(bob.read("notes/one.txt"), "1");
    assert_eq!(alice.read("two.txt"), "2");
    let mode = fs::metadata(bob.at("run.sh")).unwrap().permissions().mode();
    assert!(mode & 0o100 != 0, "{mode:o}");
    assert!(!bob.at("link").exists());
    // A change and a deletion.
    bob.write("notes/one.txt", "1, changed by bob");
    fs::remove_file(bob.at("two.txt")).unwrap();
    let said = bob.sync().text();
    assert!(said.contains("deleted two.txt"), "{said}");
    settle(&owners, "a change and a deletion");
    assert_eq!(alice.read("notes/one.txt"), "1, changed by bob");
    assert!(!alice.at("two.txt").exists());
    // Both change one file. Bob's is newer by the times of the files, and alice has posted hers before.
    alice.write("notes/one.txt", "by alice");
    alice.sync();
    bob.write("notes/one.txt", "by bob");
    bob.touch("notes/one.txt", 60);
    let files = settle(&owners, "a conflict");
    assert_eq!(files["notes/one.txt"], "by bob");
    let copies: Vec<&String> = files.keys().filter(|name| name.starts_with("notes/one.conflict-")).collect();
    assert_eq!(copies.len(), 1, "{files:?}");
    assert!(copies[0].ends_with(".txt") && files[copies[0]] == "by alice", "{files:?}");
    // The other way round: bob's is older, so it becomes the copy.
    alice.write("notes/one.txt", "later by alice");
    alice.sync();
    bob.write("notes/one.txt", "earlier by bob");
    bob.touch("notes/one.txt", -3600);
    let files = settle(&owners, "another conflict");
    assert_eq!(files["notes/one.txt"], "later by alice");
    assert!(files.values().any(|text| text == "earlier by bob"), "{files:?}");
    // A change beats a deletion.
    fs::remove_file(alice.at("notes/one.txt")).unwrap();
    alice.sync();
    bob.write("notes/one.txt", "still needed");
    let files = settle(&owners, "a change against a deletion");
    assert_eq!(files["notes/one.txt"], "still needed");
    // A file becomes a directory.
    fs::remove_file(alice.at("run.sh")).unwrap();
    alice.write("run.sh/inner", "x");
    let files = settle(&owners, "a directory in the place of a file");
    assert_eq!(files["run.sh/inner"], "x");
}

#[test]
fn what_is_not_seen_whole_is_not_deleted_elsewhere() {
    let (_, owners) = folders(["alice", "bob"]);
    let [alice, bob] = &owners[..] else { unreachable!() };
    for name in ["a", "dir/b", "c.log"] {
        alice.write(name, name);
    }
    settle(&owners, "first files");
    // What the masks leave out now, what a link hides, and a folder whose state is lost.
    let config = fs::read_to_string(bob.at(".hbs2-sync/config")).unwrap();
    fs::write(bob.at(".hbs2-sync/config"), format!("{config}exclude \"*.log\"\n")).unwrap();
    fs::remove_file(bob.at("c.log")).unwrap();
    fs::rename(bob.at("dir"), bob.person.home.join("moved")).unwrap();
    symlink(bob.person.home.join("moved"), bob.at("dir")).unwrap();
    bob.sync();
    fs::remove_dir_all(bob.at(".hbs2-sync/state")).unwrap();
    fs::remove_file(bob.at("a")).unwrap();
    bob.sync();
    alice.sync();
    assert_eq!(alice.files().keys().collect::<Vec<_>>(), ["a", "c.log", "dir/b"]);
    assert_eq!(bob.read("a"), "a", "without a memory a missing file is fetched again");
    assert_eq!(fs::read_to_string(bob.person.home.join("moved/b")).unwrap(), "dir/b");
}

#[test]
fn a_reader_who_joins_later_can_read_what_was_there_before() {
    let (chan, owners, keys) = folders_and_keys(["alice", "bob"]);
    let [alice, bob] = &owners[..] else { unreachable!() };
    let [alices, bobs] = &keys[..] else { unreachable!() };
    let (_, other) = new_key(&alice.person.home, "other");
    // A head without bob's key, then one with it again.
    let without = [alices.clone(), (bobs.0.clone(), other)];
    let with = [alices.clone(), bobs.clone()];
    post_head(&owners, &chan, 3, &without);
    for number in 0..8 {
        alice.write(&format!("secret{number}.txt"), "for alice");
    }
    alice.write("secret.txt", "for alice");
    alice.sync();
    let said = bob.sync();
    assert!(!bob.at("secret.txt").exists() && said.talk().contains("no access to group key"), "{said}");
    post_head(&owners, &chan, 4, &with);
    let said = alice.sync().text();
    assert!(said.contains("update group key secret.txt"), "{said}");
    assert_eq!(said.lines().count(), 9, "each is posted once: {said}");
    assert_eq!(alice.sync().text(), "");
    settle(&owners, "the entry for the new reader");
    assert_eq!(bob.read("secret.txt"), "for alice");
}

#[test]
fn a_reader_who_has_left_cannot_read_what_comes_later() {
    let (chan, owners, keys) = folders_and_keys(["alice", "bob"]);
    let [alice, bob] = &owners[..] else { unreachable!() };
    let [alices, bobs] = &keys[..] else { unreachable!() };
    let alone = [alices.clone()];
    let both = [alices.clone(), bobs.clone()];
    // The secret of a time before bob is sealed once more for him when he joins.
    post_head(&owners, &chan, 3, &alone);
    alice.write("before", "1");
    alice.sync();
    post_head(&owners, &chan, 4, &both);
    alice.write("with", "2");
    settle(&owners, "two readers");
    assert_eq!((bob.read("before"), bob.read("with")), ("1".to_owned(), "2".to_owned()));
    // So the group key of that time, which does not name him, is not to be taken again.
    post_head(&owners, &chan, 5, &alone);
    alice.write("after", "3");
    assert!(alice.sync().text().contains("post tree tx after "));
    let said = bob.sync();
    assert!(!bob.at("after").exists() && said.talk().contains("no access to group key"), "{said}");
    // What comes then has the same secret, and it is good for whoever joins again.
    alice.write("later", "4");
    assert!(alice.sync().text().contains("post tree tx later "));
    let key = |path: &str| {
        let history = alice.call("history").text();
        let line = history.lines().find(|line| line.ends_with(&format!(" {path}"))).unwrap().to_owned();
        let tree = line.split_whitespace().nth(2).unwrap();
        let word = format!("hbs2-cli hbs2:tree:metadata:get-gk {tree}");
        alice.person.line(&word).ok().unwrap().text()
    };
    assert_eq!(key("after"), key("later"));
    post_head(&owners, &chan, 6, &both);
    settle(&owners, "bob is back");
    assert_eq!((bob.read("after"), bob.read("later")), ("3".to_owned(), "4".to_owned()));
    // The old secrets are sealed once more for whoever comes in his place, and must not be taken for what is new either.
    let instead = [alices.clone(), new_key(&alice.person.home, "carol")];
    post_head(&owners, &chan, 7, &instead);
    assert!(alice.sync().text().contains("update group key before"));
    alice.write("last", "5");
    assert!(alice.sync().text().contains("post tree tx last "));
    let said = bob.sync();
    assert!(!bob.at("last").exists() && said.talk().contains("no access to group key"), "{said}");
}

#[test]
fn large_files_empty_files_and_odd_names_arrive_as_they_are() {
    let (_, owners) = folders(["alice", "bob"]);
    let [alice, bob] = &owners[..] else { unreachable!() };
    let large: Vec<u8> = (0..3_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    fs::write(alice.at("large.bin"), &large).unwrap();
    for name in ["empty", "with blank and ü.txt", "\"quoted\"", "back\\slash", "don't (really) [yes]; #1"] {
        alice.write(name, if name == "empty" { "" } else { name });
    }
    fs::write(alice.at("bad\nname"), "not kept").unwrap();
    let said = alice.sync().talk();
    assert!(said.contains("its name cannot be kept"), "{said}");
    bob.sync();
    assert!(fs::read(bob.at("large.bin")).unwrap() == large, "the large file differs");
    for name in ["with blank and ü.txt", "\"quoted\"", "back\\slash", "don't (really) [yes]; #1"] {
        assert_eq!(bob.read(name), name);
    }
    assert_eq!(bob.read("empty"), "");
    assert!(!bob.at("bad\nname").exists());
}

#[test]
fn a_backup_writes_nothing_here() {
    let (_, owners) = folders(["alice", "bob"]);
    let [alice, bob] = &owners[..] else { unreachable!() };
    let config = fs::read_to_string(alice.at(".hbs2-sync/config")).unwrap();
    fs::write(alice.at(".hbs2-sync/config"), format!("{config}backup-mode\n")).unwrap();
    alice.write("mine", "1");
    alice.sync();
    bob.sync();
    assert_eq!(bob.read("mine"), "1");
    bob.write("theirs", "2");
    fs::remove_file(bob.at("mine")).unwrap();
    bob.sync();
    alice.sync();
    assert_eq!(alice.files().keys().collect::<Vec<_>>(), ["mine"]);
}

#[test]
fn a_watch_posts_and_writes_as_things_happen() {
    let (_, owners) = folders(["alice", "bob"]);
    let [alice, bob] = &owners[..] else { unreachable!() };
    let watch = |owner: &Owner| {
        let call = owner.person.line("hbs2-sync --watch").dir(&owner.dir).deadline(Duration::from_secs(300));
        call.start().unwrap()
    };
    let watches = [watch(alice), watch(bob)];
    for watch in &watches {
        until("the watch has begun", || Ok(watch.stderr_so_far().contains("watching "))).unwrap();
    }
    alice.write("deep/a", "1");
    until("a file arrives", || Ok(bob.at("deep/a").exists())).unwrap();
    bob.write("deep/a", "2");
    until("a change arrives", || Ok(alice.read("deep/a") == "2")).unwrap();
    fs::remove_file(alice.at("deep/a")).unwrap();
    until("a deletion arrives", || Ok(!bob.at("deep/a").exists())).unwrap();
    let busy = alice.person.line("hbs2-sync sync").dir(&alice.dir).fails().unwrap();
    assert!(busy.talk().contains("another hbs2-sync works in "), "{busy}");
}

#[test]
fn what_goes_wrong_is_said_in_one_line() {
    let [person] = Person::row(["alice"], binary()).unwrap();
    for (line, says) in [
        ("hbs2-sync sync", "no refchan set for "),
        ("hbs2-sync history", "no refchan set for "),
        ("hbs2-sync", "there is no "),
        ("hbs2-sync snyc", "did you mean 'sync'?"),
        ("hbs2-sync init a", "init AUTHOR READER"),
        ("hbs2-sync tomb ../x", "it has a step that is no name"),
        ("hbs2-sync dir:state:local:show X", "F or D"),
    ] {
        let done = person.line(line).fails().unwrap();
        assert!(done.talk().contains(says), "{done}");
    }
    fs::create_dir(person.home.join(".hbs2-sync")).unwrap();
    fs::write(person.home.join(".hbs2-sync/config"), "refchan abc\n").unwrap();
    person.line("hbs2-sync sync").fails().unwrap().says("this is no public signing key").unwrap();
    let chan = "BTThPdHKF8XnEq4m6wzbKHKA6geLFK4ydYhBXAqBdHSP";
    fs::write(person.home.join(".hbs2-sync/config"), format!("refchan {chan}\n")).unwrap();
    person.line("hbs2-sync sync").fails().unwrap().says("no refchan head found for ").unwrap();
}

/// Numbers that depend on the seed alone.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// Somebody changes a folder at random.
fn edit(owner: &Owner, dice: &mut Dice, text: &str) {
    const NAMES: [&str; 6] = ["a.txt", "b", "d/x", "d/y.txt", "e/f/g", "d"];
    let name = NAMES[dice.roll(NAMES.len())];
    let path = owner.at(name);
    match dice.roll(4) {
        0 if path.is_file() => fs::remove_file(&path).unwrap(),
        1 if path.is_file() => {
            let to = owner.at(&format!("{name}-moved"));
            fs::rename(&path, to).unwrap();
        }
        _ => {
            let is_free =
                path.ancestors().skip(1).take_while(|dir| *dir != owner.dir).all(|dir| !dir.is_file());
            if is_free && !path.is_dir() {
                owner.write(name, text);
                owner.touch(name, dice.roll(200) as i64 - 100);
            }
        }
    }
}

fn random_edits(seed: u64, names: &[&str]) {
    eprintln!("seed {seed}");
    let (_, owners) = match names {
        [a, b] => folders([*a, *b]),
        [a, b, c] => folders([*a, *b, *c]),
        _ => unreachable!(),
    };
    let mut dice = Dice(seed);
    for step in 0..18 {
        let owner = &owners[dice.roll(owners.len())];
        for number in 0..=dice.roll(3) {
            edit(owner, &mut dice, &format!("{step}.{number} of seed {seed}"));
        }
        if dice.roll(3) == 0 {
            owner.sync();
        }
    }
    settle(&owners, &format!("seed {seed}"));
}

#[test]
fn two_folders_with_random_changes_become_equal() {
    random_edits(1, &["alice", "bob"]);
}

#[test]
fn three_folders_with_random_changes_become_equal() {
    random_edits(2, &["alice", "bob", "carol"]);
}
