//! Sealed trees: the library on one core, and the programs beside the same without sealing.

use std::fs;

use anyhow::{Context, Result, ensure};
use hbs2_testkit::Home;

use super::figures::{Bar, Row, median, speed};
use super::{World, bounded, plain, watched};
use crate::build;

/// The size of the file, in bytes.
const FILE_BYTES: u64 = 256 << 20;

/// The size in a quick run, in bytes.
const QUICK_FILE_BYTES: u64 = 32 << 20;

/// Lines of the library's own bench with a bar: how they begin, and what they are about.
const LIBRARY: [(&str, &str); 2] = [
    ("seal a tree: nonce string, boxes, names", "seal a tree of 256 MiB, one core"),
    ("open a tree ", "open it, one core"),
];

pub(crate) fn run(world: &World) -> Result<Vec<Row>> {
    let mut rows = if world.builds { library()? } else { Vec::new() };
    rows.extend(programs(world)?);
    Ok(rows)
}

/// Runs the bench of the library, which measures the time of its own thread, and reads its lines.
fn library() -> Result<Vec<Row>> {
    let call = build::cargo().args(["bench", "--package", "hbs2-core", "--bench", "sealed"]).output();
    let output = call.context("cannot start cargo")?;
    ensure!(
        output.status.success(),
        "the bench of hbs2-core failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout);
    let row = |(start, what): (&str, &str)| {
        let line = text.lines().find(|line| line.starts_with(start));
        let figure = line.and_then(|line| line.split_whitespace().rev().nth(1)?.parse().ok());
        let figure = figure.with_context(|| format!("the bench of hbs2-core says nothing of: {start}"))?;
        Ok(Row::new(what, figure, "MB/s", Bar::AtLeast(400.0)))
    };
    LIBRARY.into_iter().map(row).collect()
}

fn programs(world: &World) -> Result<Vec<Row>> {
    let home = world.home("seal")?;
    group(&home)?;
    let bytes = if world.quick { QUICK_FILE_BYTES } else { FILE_BYTES };
    let file = world.path("seal-file");
    let [mut sealed, mut stored, mut opened, mut shown, mut memory] = [const { Vec::new() }; 5];
    for round in 0..world.rounds {
        plain::make_file(&file, bytes, 2000 + round as u64)?;
        let store = |options: &[&str]| watched(home.call("hbs2").arg("store").args(options).arg(&file));
        let (seal, mib) = store(&["-g", "gk", "-k", "kr"])?;
        sealed.push(speed(bytes, seal.took));
        memory.push(mib);
        let (store, _) = store(&[])?;
        stored.push(speed(bytes, store.took));
        let cat = |words: String| {
            let script = format!("exec hbs2 cat {words} >/dev/null");
            Ok::<_, anyhow::Error>(speed(bytes, bounded(home.call("sh").args(["-c", &script])).ok()?.took))
        };
        opened.push(cat(format!("-k kr {}", seal.text()))?);
        shown.push(cat(store.text())?);
        let same = format!("hbs2 cat -k kr {} | cmp - {}", seal.text(), file.display());
        let same = bounded(home.call("sh").args(["-c", &same])).run()?.status.success();
        ensure!(same, "the sealed tree {} opens to something else", seal.text());
    }
    let mib = bytes >> 20;
    Ok(vec![
        Row::new(format!("seal and store a file of {mib} MiB"), median(&sealed), "MB/s", Bar::None)
            .beside("store", median(&stored)),
        Row::new("memory of sealing", median(&memory), "MiB", Bar::AtMost(40.0)),
        Row::new("cat it", median(&opened), "MB/s", Bar::None).beside("cat of the plain one", median(&shown)),
    ])
}

/// A keyring `kr` and a group key `gk` for it.
fn group(home: &Home) -> Result<()> {
    fs::write(home.join("kr"), home.line("hbs2 keyring-new -n1").ok()?.stdout)?;
    let listing = home.line("hbs2 keyring-list kr").ok()?.stdout;
    fs::write(home.join("gk"), home.line("hbs2 groupkey-new").stdin(listing).ok()?.stdout)?;
    Ok(())
}
