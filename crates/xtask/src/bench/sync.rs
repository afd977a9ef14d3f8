//! A folder of many small files from one peer to another, through a channel in which both accept.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hbs2_testkit::{Home, Random, until};

use super::figures::{Bar, Row, median};
use super::{World, bounded, peak_mib};

/// Files of the folder, and in how many directories they lie.
const FILES: usize = 10_000;
const DIRS: usize = 100;

/// Size of a file, in bytes: as much as the source file of a program.
const FILE_BYTES: usize = 4096;

pub(crate) fn run(world: &World) -> Result<Vec<Row>> {
    let files = if world.quick { FILES / 20 } else { FILES };
    let [mut posted, mut fetched, mut whole, mut idle, mut changed] = [const { Vec::new() }; 5];
    let mut peaks = (0.0_f64, 0.0_f64);
    for round in 0..world.rounds {
        let [(has, has_daemon), (wants, wants_daemon)] = world.pair(&format!("sync-{round}"))?;
        channel(&has, &wants)?;
        fill(&has.join("folder"), files, round as u64)?;
        let began = Instant::now();
        posted.push(sync(&has)?.as_secs_f64());
        let mut seconds = 0.0;
        // One run takes what has come; more of it may be on its way.
        for _ in 0..10 {
            seconds += sync(&wants)?.as_secs_f64();
            if count(&wants.join("folder"))? == files {
                break;
            }
        }
        whole.push(began.elapsed().as_secs_f64());
        fetched.push(seconds);
        compare(&has, &wants)?;
        idle.push(sync(&has)?.as_secs_f64());
        fs::write(has.join("folder/0/0"), "changed")?;
        let began = Instant::now();
        sync(&has)?;
        sync(&wants)?;
        changed.push(began.elapsed().as_secs_f64());
        compare(&has, &wants)?;
        peaks = (peaks.0.max(peak_mib(&has_daemon)?), peaks.1.max(peak_mib(&wants_daemon)?));
    }
    let row = |what: &str, figures: &[f64], bar| Row::new(what, median(figures), "s", bar);
    Ok(vec![
        row(
            &format!("a folder of {files} files, first time, one after the other"),
            &whole,
            Bar::AtMost(15.0),
        ),
        row("of which posting", &posted, Bar::None),
        row("of which fetching and writing", &fetched, Bar::None),
        row("a run with nothing to do", &idle, Bar::None),
        row("one changed file, both runs", &changed, Bar::None),
        Row::new("the posting daemon", peaks.0, "MiB", Bar::AtMost(100.0)),
        Row::new("the fetching daemon", peaks.1, "MiB", Bar::AtMost(100.0)),
    ])
}

fn sync(home: &Home) -> Result<Duration> {
    Ok(bounded(home.call("hbs2-sync").arg("sync").arg(home.join("folder"))).ok()?.took)
}

/// Makes keys, a channel whose head names both, and a folder of it at each.
fn channel(has: &Home, wants: &Home) -> Result<()> {
    let mut members = String::new();
    let mut keys = Vec::new();
    for home in [has, wants] {
        fs::create_dir_all(home.join(".hbs2-keyman/keys"))?;
        fs::create_dir_all(home.join("folder"))?;
        let file = home.join(".hbs2-keyman/keys/author.key");
        fs::write(&file, home.line("hbs2 keyring-new -n1").ok()?.text())?;
        let listing = home.call("hbs2").arg("keyring-list").arg(&file).ok()?.text();
        let mut words = listing.split_whitespace();
        let author = words.nth(1).context("a keyring has a signing key")?.to_owned();
        let reader = words.next_back().context("a keyring has an encryption key")?.to_owned();
        let listing = home.line("hbs2 keyring-list .config/hbs2-peer/default.key").ok()?.text();
        let peer = listing.split_whitespace().nth(1).context("a peer has a key")?.to_owned();
        members.push_str(&format!("peer \"{peer}\" 1\nauthor \"{author}\"\nreader \"{reader}\"\n"));
        keys.push((author, reader));
    }
    let (author, reader) = &keys[0];
    let made = has.call("hbs2-sync").args(["init", author, reader]).dir(has.join("folder")).ok()?.text();
    let chan = made.lines().find_map(|line| line.strip_prefix("refchan created: "));
    let chan = chan.context("init tells the channel")?.to_owned();
    fs::write(has.join("head.txt"), format!("version 2\nquorum 1\nwait 10\n{members}"))?;
    let signed = has.call("hbs2-peer").args(["refchan", "head", "gen", "head.txt", &chan]).ok()?.stdout;
    let hash = has.line("hbs2 store").stdin(signed).ok()?.text();
    has.call("hbs2-peer").args(["refchan", "head", "post", &hash]).ok()?;
    wants.call("hbs2-peer").args(["poll", "add", &chan, "refchan", "1"]).ok()?;
    until("the head is at both", || {
        let head = wants.call("hbs2-peer").args(["refchan", "head", "get", &chan]).run()?;
        Ok(head.text() == hash)
    })?;
    wants.call("hbs2-sync").args(["init", "--refchan", &chan]).dir(wants.join("folder")).ok()?;
    Ok(())
}

fn fill(dir: &Path, files: usize, seed: u64) -> Result<()> {
    let mut noise = Random::new(seed);
    for at in 0..files {
        let dir = dir.join((at % DIRS).to_string());
        fs::create_dir_all(&dir)?;
        let content = noise.bytes(FILE_BYTES);
        fs::write(dir.join((at / DIRS).to_string()), content)?;
    }
    Ok(())
}

fn count(dir: &Path) -> Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && entry.file_name() != ".hbs2-sync" {
            count += fs::read_dir(entry.path())?.count();
        }
    }
    Ok(count)
}

fn compare(has: &Home, wants: &Home) -> Result<()> {
    let done =
        has.call("diff").args(["-r", "-x", ".hbs2-sync"]).arg(has.join("folder")).arg(wants.join("folder"));
    ensure!(bounded(done).run()?.status.success(), "the folders differ");
    Ok(())
}
