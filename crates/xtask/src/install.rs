//! `cargo xtask install`: one binary, many names.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use hbs2_testkit::PROGRAMS;

use crate::build::{self, Profile};

/// `~/.local`, whose `bin` most systems have in PATH.
pub(crate) fn default_root() -> PathBuf {
    std::env::home_dir().unwrap_or_else(|| "/usr/local".into()).join(".local")
}

pub(crate) fn run(root: &Path) -> Result<()> {
    let built = build::binary(Profile::Release)?;
    let bin = root.join("bin");
    place(&built, &bin)?;
    println!("install: {} programs in {}", PROGRAMS.len(), bin.display());
    explain(&bin.join("hbs2"), &root.join("share"))?;
    println!(
        "install: manual pages and completions for bash, zsh and fish in {}",
        root.join("share").display()
    );
    let in_path = std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|p| p == bin));
    if !in_path {
        println!("hint: this directory is not in PATH; add it with: export PATH=\"{}:$PATH\"", bin.display());
    }
    Ok(())
}

/// Copies `built` to `bin/hbs2` and links the other names to it. The old binary may be running: it is replaced,
/// not written over.
fn place(built: &Path, bin: &Path) -> Result<()> {
    fs::create_dir_all(bin).with_context(|| format!("cannot make {}", bin.display()))?;
    let fresh = bin.join(".hbs2.new");
    fs::copy(built, &fresh)
        .with_context(|| format!("cannot copy {} to {}", built.display(), fresh.display()))?;
    fs::rename(&fresh, bin.join("hbs2")).with_context(|| format!("cannot replace {}/hbs2", bin.display()))?;
    for name in PROGRAMS.iter().filter(|name| **name != "hbs2") {
        let link = bin.join(name);
        if link.symlink_metadata().is_ok() {
            fs::remove_file(&link).with_context(|| format!("cannot replace {}", link.display()))?;
        }
        symlink("hbs2", &link).with_context(|| format!("cannot link {}", link.display()))?;
    }
    Ok(())
}

/// Where a shell looks for what completes a program: below `share`, and what stands before and after the name.
const COMPLETIONS: [(&str, &str, &str, &str); 3] = [
    ("bash", "bash-completion/completions", "", ""),
    ("zsh", "zsh/site-functions", "_", ""),
    ("fish", "fish/vendor_completions.d", "", ".fish"),
];

/// Lets the installed program write its manual pages and completions.
fn explain(program: &Path, share: &Path) -> Result<()> {
    let told = |words: &[&str]| -> Result<Vec<u8>> {
        let output = Command::new(program).args(words).output();
        let output = output.with_context(|| format!("cannot run {}", program.display()))?;
        ensure!(
            output.status.success(),
            "hbs2 {}: {}",
            words.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(output.stdout)
    };
    told(&["man-pages", &share.join("man/man1").display().to_string()])?;
    for (shell, dir, before, after) in COMPLETIONS {
        let dir = share.join(dir);
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        for name in PROGRAMS.iter().filter(|name| !name.starts_with("git-remote-")) {
            let path = dir.join(format!("{before}{name}{after}"));
            let script = told(&["completion", shell, name])?;
            fs::write(&path, script).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_to_the_binary_and_a_second_install_replaces_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let (built, bin) = (dir.path().join("built"), dir.path().join("root/bin"));
        for content in ["old", "new"] {
            fs::write(&built, content).unwrap();
            place(&built, &bin).unwrap();
            for name in PROGRAMS {
                assert_eq!(fs::read_to_string(bin.join(name)).unwrap(), content, "{name}");
            }
        }
    }
}
