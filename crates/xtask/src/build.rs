//! Calls of cargo, and where things lie.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// How the binary is compiled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quick to build; the hot dependencies are optimised all the same.
    Dev,
    /// What users run.
    Release,
}

impl Profile {
    fn directory(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

/// The directory of the workspace.
pub(crate) fn project_root() -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate lies in crates/");
    crates.parent().expect("crates/ lies in the project").to_owned()
}

/// A call of the cargo that called us, in the project.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(project_root());
    cargo
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> PathBuf {
    let set = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    project_root().join(set.unwrap_or_else(|| "target".into()))
}

/// Builds the one binary and says where it is.
pub(crate) fn binary(profile: Profile) -> Result<PathBuf> {
    let mut call = cargo();
    call.args(["build", "--package", "hbs2"]);
    if profile == Profile::Release {
        call.arg("--release");
    }
    let status = call.status().context("cannot start cargo")?;
    ensure!(status.success(), "cargo build failed ({status})");
    Ok(target_dir().join(profile.directory()).join("hbs2"))
}
