//! What a source file must be: short, introduced, finished, named by its subject.

use super::{File, Findings, Tree};

/// More lines than a reader keeps in mind.
const LINES_MAX: usize = 700;

/// From here on a file should be split.
const LINES_WARN: usize = 500;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 8] = ["util", "utils", "common", "helpers", "manager", "internal", "types", "misc"];

/// What unfinished code looks like. Put together from parts, so that this file does not contain it.
const LEFT_OPEN: [&str; 5] = [
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("db", "g!("),
    concat!("#[ig", "nore"),
    concat!("FIX", "ME"),
];

fn sources(tree: &Tree) -> impl Iterator<Item = &File> {
    tree.with_end(".rs")
}

pub(crate) fn sizes(tree: &Tree) -> Findings {
    let mut found = Findings::default();
    for file in sources(tree) {
        let lines = file.text.lines().count();
        if lines > LINES_MAX {
            found.fault(format!("{} has {lines} lines; {LINES_MAX} are the most", file.path));
        } else if lines >= LINES_WARN {
            found.warn(format!("{} has {lines} lines; think of splitting it", file.path));
        }
    }
    found
}

/// A module of tests beside its subject is introduced by the subject.
pub(crate) fn heads(tree: &Tree) -> Findings {
    let mut found = Findings::default();
    let introduced = |file: &File| file.text.starts_with("//! ") || file.path.ends_with("/tests.rs");
    for file in sources(tree).filter(|file| !introduced(file)) {
        found.fault(format!("{} does not begin with `//!` and what the file is about", file.path));
    }
    found
}

pub(crate) fn unfinished(tree: &Tree) -> Findings {
    let mut found = Findings::default();
    for file in sources(tree) {
        for (at, line) in file.text.lines().enumerate() {
            if let Some(word) = LEFT_OPEN.iter().find(|word| line.contains(*word)) {
                found.fault(format!("{}:{} contains `{word}`", file.path, at + 1));
            }
        }
    }
    found
}

pub(crate) fn names(tree: &Tree) -> Findings {
    let mut found = Findings::default();
    for file in sources(tree) {
        let stem = file.path.rsplit('/').next().and_then(|name| name.strip_suffix(".rs")).unwrap_or_default();
        if EMPTY_NAMES.contains(&stem) {
            found.fault(format!("{}: `{stem}` does not say what is inside", file.path));
        }
        // Only below tests/ must it be mod.rs: cargo would take tests/kit.rs for a test of its own.
        if stem == "mod" && !file.path.contains("/tests/") {
            found.fault(format!("{}: a module lies beside its directory, not inside as mod.rs", file.path));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tests::tree;

    fn faults(check: fn(&Tree) -> Findings, path: &str, text: &str) -> usize {
        check(&tree(&[(path, text)])).faults.len()
    }

    #[test]
    fn long_files_are_warned_about_and_longer_ones_refused() {
        let found = |lines: usize| sizes(&tree(&[("a.rs", &"x\n".repeat(lines))]));
        assert_eq!(found(499), Findings::default());
        assert_eq!((found(500).faults.len(), found(500).warnings.len()), (0, 1));
        assert_eq!((found(701).faults.len(), found(701).warnings.len()), (1, 0));
    }

    #[test]
    fn a_file_begins_with_its_story() {
        assert_eq!(faults(heads, "a.rs", "//! What it is.\n"), 0);
        assert_eq!(faults(heads, "a.rs", "use std::fs;\n"), 1);
        assert_eq!(faults(heads, "a.md", "# page\n"), 0);
    }

    #[test]
    fn open_ends_are_found_with_their_line() {
        let text = format!("//! x\n{}\n", LEFT_OPEN[0]);
        let found = unfinished(&tree(&[("a.rs", &text)])).faults;
        assert!(found[0].starts_with("a.rs:2 "), "{found:?}");
    }

    #[test]
    fn names_without_meaning_are_refused() {
        assert_eq!(faults(names, "crates/x/src/utils.rs", ""), 1);
        assert_eq!(faults(names, "crates/x/src/tree/mod.rs", ""), 1);
        assert_eq!(faults(names, "crates/x/src/tree.rs", ""), 0);
        assert_eq!(faults(names, "crates/x/tests/kit/mod.rs", ""), 0);
    }
}
