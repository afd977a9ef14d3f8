//! `cargo xtask tidy`: the rules of the house that a machine can check.
//!
//! The documents are the source of the rules where they can be: the allowed arrows and the nouns are read from the
//! tables of ARCHITECTURE.md, so that the text and the code cannot drift apart.

mod arrows;
mod nouns;
mod pages;
mod sources;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// What one check found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Breaches of the rule; any makes the check fail.
    pub(crate) faults: Vec<String>,
    /// Things that are allowed and not good.
    pub(crate) warnings: Vec<String>,
}

impl Findings {
    fn fault(&mut self, text: impl Into<String>) {
        self.faults.push(text.into());
    }

    fn warn(&mut self, text: impl Into<String>) {
        self.warnings.push(text.into());
    }
}

/// The files of the project that the checks look at, read once.
pub(crate) struct Tree {
    root: PathBuf,
    files: Vec<File>,
}

/// A text file.
pub(crate) struct File {
    /// Below the root, with `/` between the parts.
    path: String,
    text: String,
}

impl Tree {
    /// Reads the text files below `root`, except what is built or fetched.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        let mut open = vec![root.to_owned()];
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(&dir).with_context(|| format!("cannot list {}", dir.display()))? {
                let path = entry?.path();
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if path.is_dir() {
                    let skipped = ["target", ".git", "vectors"].contains(&name) && dir == root;
                    if !skipped && !path.is_symlink() {
                        open.push(path);
                    }
                } else if is_text(name) {
                    let text = fs::read_to_string(&path)
                        .with_context(|| format!("cannot read {}", path.display()))?;
                    let below = path.strip_prefix(root).expect("it was found below the root");
                    files.push(File { path: below.to_string_lossy().into_owned(), text });
                }
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { root: root.to_owned(), files })
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    fn with_end<'a>(&'a self, end: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.path.ends_with(end))
    }

    fn exists(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }
}

fn is_text(name: &str) -> bool {
    [".rs", ".md", ".toml", ".sh"].iter().any(|end| name.ends_with(end)) || name == "run"
}

type Check = fn(&Tree) -> Findings;

const CHECKS: [(&str, Check); 9] = [
    ("crates import only what ARCHITECTURE.md allows", arrows::check),
    ("each noun has its page, its code and its vectors", nouns::check),
    ("no source file is too long to be read once", sources::sizes),
    ("each source file begins with its story", sources::heads),
    ("nothing is left open in the code", sources::unfinished),
    ("each source file is named by what it is about", sources::names),
    ("links and paths in documents lead somewhere", pages::links),
    ("nothing names a place on one machine", pages::places),
    ("chores and programs named in documents exist", pages::commands),
];

pub(crate) fn run(root: &Path) -> Result<()> {
    let tree = Tree::read(root)?;
    let mut failed = 0;
    for (rule, check) in CHECKS {
        let found = check(&tree);
        failed += usize::from(!found.faults.is_empty());
        println!("{} {rule}", if found.faults.is_empty() { "ok   " } else { "FAIL " });
        for fault in &found.faults {
            println!("      {fault}");
        }
        for warning in &found.warnings {
            println!("      warning: {warning}");
        }
    }
    println!("tidy: {} checks passed, {failed} failed", CHECKS.len() - failed);
    if failed > 0 {
        bail!("{failed} of the house rules are broken");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree of files that exist only in memory.
    pub(crate) fn tree(files: &[(&str, &str)]) -> Tree {
        let files =
            files.iter().map(|(path, text)| File { path: (*path).into(), text: (*text).into() }).collect();
        Tree { root: PathBuf::from("/nowhere"), files }
    }

    #[test]
    fn this_project_keeps_its_own_rules() {
        let tree = Tree::read(&crate::build::project_root()).unwrap();
        let broken: Vec<_> =
            CHECKS.iter().map(|(_, check)| check(&tree).faults).filter(|f| !f.is_empty()).collect();
        assert!(broken.is_empty(), "{broken:#?}");
    }
}
