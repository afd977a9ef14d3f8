//! `cargo xtask fuzz`: throws changed vectors at a reader for some minutes.
//!
//! The targets are tests named `fuzz_…`, which the ordinary test run takes as well, with few inputs. Here they go on for
//! as long as they are told; see `hbs2_testkit::fuzz`.

use anyhow::{Context, Result, bail, ensure};
use hbs2_testkit::fuzz::SECONDS_VARIABLE;

use crate::build;

/// The targets and their crates.
const TARGETS: [(&str, &str); 7] = [
    ("messages", "hbs2-proto"),
    ("hey", "hbs2-proto"),
    ("bypass", "hbs2-proto"),
    ("node", "hbs2-proto"),
    ("rpc", "hbs2-rpc"),
    ("config", "hbs2-node"),
    ("script", "hbs2-script"),
];

/// What the caller wants.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Which readers: messages, hey, bypass, node, rpc, config, script; all by default, one after another
    targets: Vec<String>,
    /// How long each of them
    #[arg(long, default_value_t = 10)]
    minutes: u64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    for name in &options.targets {
        ensure!(TARGETS.iter().any(|(known, _)| known == name), "there is no target {name}; see --help");
    }
    let mut failed = Vec::new();
    for (target, package) in TARGETS {
        if !options.targets.is_empty() && !options.targets.iter().any(|wanted| wanted == target) {
            continue;
        }
        println!("\n# {target}, {} minutes", options.minutes);
        let test = format!("fuzz_{target}");
        let status = build::cargo()
            .args([
                "test",
                "--quiet",
                "--package",
                package,
                "--test",
                "fuzz",
                "--",
                "--exact",
                &test,
                "--nocapture",
            ])
            .env(SECONDS_VARIABLE, (options.minutes * 60).to_string())
            .status()
            .context("cannot start cargo")?;
        if !status.success() {
            failed.push(target);
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("found something in {}", failed.join(", ")) }
}
