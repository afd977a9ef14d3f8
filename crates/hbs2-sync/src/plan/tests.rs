use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::entry::{Facts, Kind};

fn path(text: &str) -> RelPath {
    RelPath::parse(text).unwrap()
}

fn hash(text: &str) -> Hash {
    Hash::of(text.as_bytes())
}

fn local(content: &str, modified: u64) -> Local {
    Local { content: hash(content), executable: false, modified }
}

fn entry(at: &str, name: &str, time: u64, content: &str, after: &[&str]) -> Entry {
    let kind = match content {
        "" => Kind::Tomb,
        _ => Kind::File { content: Some(hash(content)), executable: Some(false) },
    };
    let after = Some(after.iter().map(|name| hash(name)).collect());
    Entry {
        id: hash(name),
        time,
        tree: hash("tree"),
        facts: Facts { path: path(at), kind, after, same: None },
    }
}

fn base(name: &str, content: &str) -> Base {
    Base { id: hash(name), content: hash(content), executable: false }
}

/// Plans for the path `f`.
fn check(here: Option<Local>, was: Option<Base>, entries: Vec<Entry>, expected: &[Action]) {
    let mut snapshot = Snapshot::default();
    snapshot.files.extend(here.map(|local| (path("f"), local)));
    let bases = was.into_iter().map(|base| (path("f"), base)).collect();
    let history = History::new(entries);
    assert_eq!(planned(&snapshot, &history, &bases).actions, expected);
}

fn planned(snapshot: &Snapshot, history: &History, bases: &BTreeMap<RelPath, Base>) -> Plan {
    plan(&World { snapshot, history, bases, covers: &|_| true, writes: true })
}

fn post(after: &[&str]) -> Action {
    Action::Post { path: path("f"), after: after.iter().map(|name| hash(name)).collect() }
}

fn write(name: &str, over: Over) -> Action {
    Action::Write { path: path("f"), id: hash(name), over }
}

#[test]
fn a_change_on_one_side_goes_to_the_other() {
    let one = || vec![entry("f", "1", 10, "x", &[])];
    let two = || vec![entry("f", "1", 10, "x", &[]), entry("f", "2", 20, "y", &["1"])];
    check(Some(local("x", 5)), None, vec![], &[post(&[])]);
    check(None, None, one(), &[write("1", Over::Nothing)]);
    check(Some(local("x", 5)), None, one(), &[Action::Adopt { path: path("f"), id: hash("1") }]);
    check(Some(local("x", 5)), Some(base("1", "x")), one(), &[]);
    check(Some(local("z", 5)), Some(base("1", "x")), one(), &[post(&["1"])]);
    check(Some(local("x", 99)), Some(base("1", "x")), two(), &[write("2", Over::File)]);
}

#[test]
fn a_file_that_was_here_whole_and_is_gone_is_deleted_everywhere_and_another_one_is_fetched() {
    let one = || vec![entry("f", "1", 10, "x", &[])];
    check(None, Some(base("1", "x")), one(), &[Action::Tomb { path: path("f"), after: vec![hash("1")] }]);
    check(None, None, one(), &[write("1", Over::Nothing)]);
    let gone = vec![entry("f", "1", 10, "x", &[]), entry("f", "t", 20, "", &["1"])];
    check(Some(local("x", 5)), Some(base("1", "x")), gone.clone(), &[Action::Delete { path: path("f") }]);
    check(None, Some(base("1", "x")), gone, &[Action::Forget { path: path("f") }]);
}

#[test]
fn a_change_beats_a_deletion() {
    let gone = || vec![entry("f", "1", 10, "x", &[]), entry("f", "t", 20, "", &["1"])];
    check(Some(local("y", 5)), Some(base("1", "x")), gone(), &[post(&["t"])]);
    check(Some(local("y", 5)), None, gone(), &[post(&["t"])]);
    let edited = vec![entry("f", "1", 10, "x", &[]), entry("f", "2", 20, "y", &["1"])];
    check(None, Some(base("1", "x")), edited, &[write("2", Over::Nothing)]);
}

#[test]
fn of_two_changes_the_newer_keeps_the_name_and_the_other_one_becomes_a_copy() {
    let two = || vec![entry("f", "1", 10, "x", &[]), entry("f", "2", 20, "y", &["1"])];
    let copy = |content: &str| path(&format!("f.conflict-{}", &hash(content).to_string()[..8]));
    let (mine, theirs) = (copy("z"), copy("y"));
    check(
        Some(local("z", 15)),
        Some(base("1", "x")),
        two(),
        &[
            Action::Move { path: path("f"), to: mine.clone() },
            write("2", Over::Nothing),
            Action::Post { path: mine, after: vec![] },
        ],
    );
    check(
        Some(local("z", 25)),
        Some(base("1", "x")),
        two(),
        &[Action::Copy { to: theirs, path: path("f"), id: hash("2") }, post(&["2"])],
    );
}

#[test]
fn a_version_that_lost_is_posted_as_a_copy_once() {
    let lost = vec![entry("f", "1", 10, "x", &[]), entry("f", "2", 20, "y", &[])];
    let to = path(&format!("f.conflict-{}", &hash("x").to_string()[..8]));
    let copy = Action::Copy { to: to.clone(), path: path("f"), id: hash("1") };
    check(Some(local("y", 5)), Some(base("2", "y")), lost.clone(), &[copy]);
    let mut kept = lost;
    kept.push(entry(to.as_str(), "3", 30, "", &[]));
    check(Some(local("y", 5)), Some(base("2", "y")), kept, &[]);
}

#[test]
fn an_old_version_without_a_base_is_no_change() {
    let two = vec![entry("f", "1", 10, "x", &[]), entry("f", "2", 20, "y", &["1"])];
    check(Some(local("x", 99)), None, two, &[write("2", Over::File)]);
}

#[test]
fn what_was_not_seen_whole_is_neither_deleted_nor_written() {
    let snapshot = Snapshot { unseen: BTreeSet::from([path("d"), path("f")]), ..Snapshot::default() };
    let bases = BTreeMap::from([(path("f"), base("1", "x")), (path("d/g"), base("2", "x"))]);
    let known = vec![entry("f", "1", 10, "x", &[]), entry("d/g", "2", 10, "x", &[])];
    assert_eq!(planned(&snapshot, &History::new(known.clone()), &bases), Plan::default());
    let news = known.into_iter().chain([entry("f", "3", 20, "y", &["1"]), entry("d/g", "4", 20, "", &["2"])]);
    let plan = planned(&snapshot, &History::new(news), &bases);
    assert_eq!(plan.actions, []);
    assert_eq!(plan.held, [(path("d/g"), Held::Unseen), (path("f"), Held::Unseen)]);
}

#[test]
fn a_path_that_the_masks_leave_out_is_left_alone() {
    let bases = BTreeMap::from([(path("f"), base("1", "x"))]);
    let history = History::new([entry("f", "2", 20, "y", &["1"]), entry("g", "3", 20, "y", &[])]);
    let snapshot = Snapshot::default();
    let world =
        World { snapshot: &snapshot, history: &history, bases: &bases, covers: &|_| false, writes: true };
    assert_eq!(plan(&world), Plan::default());
}

#[test]
fn in_backup_mode_nothing_is_written_or_deleted_here() {
    let gone = [entry("f", "1", 10, "x", &[]), entry("f", "t", 20, "", &["1"])];
    let history = History::new(gone.into_iter().chain([entry("g", "2", 10, "y", &[])]));
    let snapshot = Snapshot { files: BTreeMap::from([(path("f"), local("x", 5))]), ..Snapshot::default() };
    let bases = BTreeMap::from([(path("f"), base("1", "x"))]);
    let world =
        World { snapshot: &snapshot, history: &history, bases: &bases, covers: &|_| true, writes: false };
    assert_eq!(plan(&world).actions, []);
}

#[test]
fn a_file_gives_way_to_a_directory_of_its_name() {
    let snapshot = Snapshot { files: BTreeMap::from([(path("f"), local("x", 5))]), ..Snapshot::default() };
    let history = History::new([entry("f/g", "1", 10, "y", &[])]);
    let to = path(&format!("f~{}", &hash("x").to_string()[..4]));
    let expected = [
        Action::Move { path: path("f"), to: to.clone() },
        Action::Write { path: path("f/g"), id: hash("1"), over: Over::Nothing },
        Action::Post { path: to, after: vec![] },
    ];
    assert_eq!(planned(&snapshot, &history, &BTreeMap::new()).actions, expected);
}

#[test]
fn an_entry_whose_content_is_not_known_is_looked_into_before_it_is_called_a_conflict() {
    let mut silent = entry("f", "1", 10, "x", &[]);
    silent.facts.kind = Kind::File { content: None, executable: None };
    silent.facts.after = None;
    let snapshot = Snapshot { files: BTreeMap::from([(path("f"), local("x", 5))]), ..Snapshot::default() };
    let plan = planned(&snapshot, &History::new([silent]), &BTreeMap::new());
    assert_eq!((plan.actions, plan.learn), (vec![], vec![(path("f"), hash("1"))]));
}

/// Numbers that depend on the seed alone.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }
}

/// A folder in memory whose owner edits, and which obeys plans.
struct Peer {
    files: BTreeMap<RelPath, Local>,
    bases: BTreeMap<RelPath, Base>,
    /// Entries of the channel that have come here.
    seen: BTreeSet<usize>,
    /// How wrong its clock is, in seconds.
    skew: u64,
}

struct Channel {
    entries: Vec<Entry>,
    now: u64,
}

impl Channel {
    fn post(&mut self, peer: &mut Peer, at: &RelPath, kind: Kind, after: Vec<Hash>) -> Hash {
        let id = hash(&format!("entry {}", self.entries.len()));
        peer.seen.insert(self.entries.len());
        let facts = Facts { path: at.clone(), kind, after: Some(after), same: None };
        self.entries.push(Entry { id, time: self.now + peer.skew, tree: id, facts });
        id
    }

    fn entry(&self, id: &Hash) -> Entry {
        self.entries.iter().find(|entry| entry.id == *id).unwrap().clone()
    }
}

const PATHS: [&str; 7] = ["a", "b.txt", "a/x", "a/y.txt", "c/d", "c/d/e", "c"];

impl Peer {
    fn new(skew: u64) -> Self {
        Self { files: BTreeMap::new(), bases: BTreeMap::new(), seen: BTreeSet::new(), skew }
    }

    fn snapshot(&self) -> Snapshot {
        let dirs = self.files.keys().flat_map(RelPath::ancestors).collect();
        Snapshot { files: self.files.clone(), dirs, unseen: BTreeSet::new() }
    }

    /// The owner writes or deletes something; `retired` are contents that somebody has knowingly replaced.
    fn edit(&mut self, dice: &mut Dice, channel: &Channel, number: usize, retired: &mut BTreeSet<Hash>) {
        let names: Vec<RelPath> = self.files.keys().cloned().collect();
        let here = |dice: &mut Dice| (!names.is_empty()).then(|| names[dice.roll(names.len())].clone());
        let modified = channel.now + self.skew;
        match dice.roll(5) {
            0 => {
                if let Some(at) = here(dice) {
                    retired.extend(self.files.remove(&at).map(|local| local.content));
                }
            }
            1 => {
                if let Some(at) = here(dice) {
                    let old = self.files.insert(at, Local { modified, ..local(&format!("{number}"), 0) });
                    retired.extend(old.map(|local| local.content));
                }
            }
            2 => {
                // A rename: the content stays in the world.
                let to = path(&format!("{}r", PATHS[dice.roll(2)]));
                if let Some(at) = here(dice).filter(|_| !self.files.contains_key(&to)) {
                    let moved = self.files.remove(&at).unwrap();
                    self.files.insert(to, moved);
                }
            }
            _ => {
                let at = path(PATHS[dice.roll(PATHS.len())]);
                let (from, to) = at.below();
                let blocked = at.ancestors().any(|dir| self.files.contains_key(&dir))
                    || self.files.range(from..to).next().is_some();
                if !blocked {
                    let executable = dice.roll(4) == 0;
                    let new = Local { modified, executable, ..local(&format!("{number}"), 0) };
                    retired.extend(self.files.insert(at, new).map(|local| local.content));
                }
            }
        }
    }

    /// One synchronisation; how many actions it took.
    fn sync(&mut self, channel: &mut Channel) -> usize {
        let history = History::new(self.seen.iter().map(|at| channel.entries[*at].clone()));
        let plan = planned(&self.snapshot(), &history, &self.bases);
        assert_eq!(plan.learn, []);
        let count = plan.actions.len();
        for action in plan.actions {
            self.obey(channel, action);
        }
        count
    }

    fn obey(&mut self, channel: &mut Channel, action: Action) {
        match action {
            Action::Tomb { path, after } => {
                channel.post(self, &path, Kind::Tomb, after);
                self.bases.remove(&path);
            }
            Action::Delete { path } => {
                self.files.remove(&path).expect("the file to delete is here");
                self.bases.remove(&path);
            }
            Action::Move { path, to } => {
                let moved = self.files.remove(&path).expect("the file to move is here");
                assert!(self.files.insert(to, moved).is_none(), "nothing is written over");
                self.bases.remove(&path);
            }
            Action::Adopt { path, id } => {
                let local = self.files[&path];
                let base = Base { id, content: local.content, executable: local.executable };
                self.bases.insert(path, base);
            }
            Action::Forget { path } => drop(self.bases.remove(&path)),
            Action::Copy { to, id, .. } => {
                let kind = channel.entry(&id).facts.kind;
                channel.post(self, &to, kind, vec![]);
            }
            Action::Write { path, id, over } => {
                let entry = channel.entry(&id);
                assert_eq!(self.files.contains_key(&path), over == Over::File, "{path}");
                assert!(path.ancestors().all(|dir| !self.files.contains_key(&dir)), "{path}");
                let (from, to) = path.below();
                assert!(self.files.range(from..to).next().is_none(), "{path}");
                let (content, executable) = (entry.content().unwrap(), entry.executable().unwrap());
                self.files.insert(path.clone(), Local { content, executable, modified: entry.time });
                self.bases.insert(path, Base { id, content, executable });
            }
            Action::Post { path, after } => {
                let local = self.files[&path];
                let kind = Kind::File { content: Some(local.content), executable: Some(local.executable) };
                let id = channel.post(self, &path, kind, after);
                let base = Base { id, content: local.content, executable: local.executable };
                self.bases.insert(path, base);
            }
        }
    }

    fn contents(&self) -> BTreeMap<&RelPath, (Hash, bool)> {
        self.files.iter().map(|(path, local)| (path, (local.content, local.executable))).collect()
    }
}

/// Rounds in which everybody sees everything until nobody has anything to do, at most.
const ROUNDS_MAX: usize = 30;

fn check_seed(seed: u64, people: usize, steps: usize) {
    let mut dice = Dice(seed);
    let mut channel = Channel { entries: Vec::new(), now: 1000 };
    let mut peers: Vec<Peer> = (0..people).map(|_| Peer::new(dice.roll(100) as u64)).collect();
    let mut retired = BTreeSet::new();
    let mut written = BTreeSet::new();
    for step in 0..steps {
        let peer = &mut peers[dice.roll(people)];
        channel.now += dice.roll(20) as u64;
        match dice.roll(10) {
            0..5 => {
                peer.edit(&mut dice, &channel, step, &mut retired);
                written.extend(peer.files.values().map(|local| local.content));
            }
            5..8 => {
                for at in 0..channel.entries.len() {
                    if dice.roll(3) > 0 {
                        peer.seen.insert(at);
                    }
                }
                peer.sync(&mut channel);
            }
            8 => drop(peer.sync(&mut channel)),
            _ if dice.roll(6) == 0 => peer.bases.clear(),
            _ => {}
        }
    }
    let mut quiet = false;
    for _ in 0..ROUNDS_MAX {
        channel.now += 10;
        let mut count = 0;
        for peer in &mut peers {
            peer.seen = (0..channel.entries.len()).collect();
            count += peer.sync(&mut channel);
        }
        quiet = count == 0;
        if quiet {
            break;
        }
    }
    assert!(quiet, "seed {seed}: no end after {ROUNDS_MAX} rounds");
    let first = peers[0].contents();
    for peer in &peers {
        assert_eq!(peer.contents(), first, "seed {seed}: folders differ");
    }
    let kept: BTreeSet<Hash> = first.values().map(|(content, _)| *content).collect();
    let lost: Vec<&Hash> =
        written.iter().filter(|content| !retired.contains(*content) && !kept.contains(*content)).collect();
    assert!(lost.is_empty(), "seed {seed}: {} contents are lost", lost.len());
}

#[test]
fn folders_become_equal_and_no_change_is_lost_whatever_the_seed() {
    for seed in 0..400 {
        check_seed(seed, 2 + (seed % 3) as usize, 40);
    }
}
