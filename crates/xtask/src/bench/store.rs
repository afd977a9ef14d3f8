//! Files into the store and out again, beside `cp` and `cat`.

use anyhow::{Result, ensure};
use hbs2_testkit::{Daemon, Home};

use super::figures::{Bar, Row, median, speed};
use super::{World, bounded, plain, watched};

/// The size of the file, in bytes.
const FILE_BYTES: u64 = 256 << 20;

/// The size in a quick run, in bytes.
const QUICK_FILE_BYTES: u64 = 32 << 20;

pub(crate) fn run(world: &World) -> Result<Vec<Row>> {
    let alone = world.home("store-alone")?;
    let mut rows = measure(world, &alone, "no daemon", 0)?;
    let served = world.home("store-served")?;
    let mut daemon = Daemon::start(&served, &[])?;
    rows.extend(measure(world, &served, "through the daemon", 1000)?);
    rows.push(Row::new("the daemon meanwhile", super::peak_mib(&daemon)?, "MiB", Bar::AtMost(100.0)));
    daemon.stop()?;
    Ok(rows)
}

fn measure(world: &World, home: &Home, how: &str, seeds: u64) -> Result<Vec<Row>> {
    let bytes = if world.quick { QUICK_FILE_BYTES } else { FILE_BYTES };
    let (file, copy) = (world.path("store-file"), world.path("store-copy"));
    let [mut stored, mut copied, mut shown, mut read, mut store_mib, mut cat_mib] = [const { Vec::new() }; 6];
    for round in 0..world.rounds {
        plain::make_file(&file, bytes, seeds + round as u64)?;
        let (done, mib) = watched(home.call("hbs2").arg("store").arg(&file))?;
        stored.push(speed(bytes, done.took));
        store_mib.push(mib);
        copied.push(speed(bytes, plain::copy(&file, &copy)?));

        let hash = done.text();
        let (cat, mib) = watched(home.call("sh").args(["-c", &format!("exec hbs2 cat {hash} >/dev/null")]))?;
        shown.push(speed(bytes, cat.took));
        cat_mib.push(mib);
        read.push(speed(bytes, plain::read(&file)?));
        let same = format!("hbs2 cat {hash} | cmp - {}", file.display());
        ensure!(
            bounded(home.call("sh").args(["-c", &same])).run()?.status.success(),
            "`hbs2 cat {hash}` differs from what was stored"
        );
    }
    let mib = bytes >> 20;
    Ok(vec![
        Row::new(format!("store a file of {mib} MiB, {how}"), median(&stored), "MB/s", Bar::AtLeast(250.0))
            .beside("cp and fsync", median(&copied)),
        Row::new(format!("memory of store, {how}"), median(&store_mib), "MiB", Bar::AtMost(40.0)),
        Row::new(format!("cat it, {how}"), median(&shown), "MB/s", Bar::AtLeast(500.0))
            .beside("cat", median(&read)),
        Row::new(format!("memory of cat, {how}"), median(&cat_mib), "MiB", Bar::None),
    ])
}
