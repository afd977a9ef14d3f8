//! What a document must be: its links lead somewhere, its paths and commands exist, it holds on every machine.

use clap::CommandFactory;
use hbs2_testkit::PROGRAMS;

use super::{File, Findings, Tree, table};

/// First parts of paths of this project, by which a path in a text is recognised.
const OWN_PATHS: [&str; 4] = ["crates/", "docs/", "vectors/", ".ci/"];

/// Places that exist on one machine only. Put together from parts, so that this file does not contain them.
const MACHINE_PLACES: [&str; 5] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("../sha", "red"),
    concat!("/tmp/tar", "get"),
];

fn documents(tree: &Tree) -> impl Iterator<Item = &File> {
    tree.with_end(".md")
}

pub(crate) fn links(tree: &Tree) -> Findings {
    let mut found = Findings::default();
    for page in documents(tree) {
        let here = page.path.rsplit_once('/').map_or("", |(dir, _)| dir);
        for (at, line) in prose(&page.text) {
            for target in link_targets(line) {
                let path = target.split('#').next().unwrap_or_default();
                if !path.is_empty() && !tree.exists(&join(here, path)) {
                    found.fault(format!("{}:{at} links to {target} which does not exist", page.path));
                }
            }
            for path in table::quoted(line).filter(|text| is_own_path(text)) {
                if !tree.exists(path) {
                    found.fault(format!("{}:{at} names {path} which does not exist", page.path));
                }
            }
        }
    }
    found
}

pub(crate) fn places(tree: &Tree) -> Findings {
    let mut found = Findings::default();
    for file in &tree.files {
        for (at, line) in file.text.lines().enumerate() {
            for place in MACHINE_PLACES.iter().filter(|place| line.contains(*place)) {
                found.fault(format!("{}:{} names {place}", file.path, at + 1));
            }
        }
    }
    found
}

/// Every line of a code block that calls `cargo xtask` names a chore, and every quoted or typed `hbs2-…` program
/// is one that gets installed. Their words are compared with `--help` in the tests of the binary.
pub(crate) fn commands(tree: &Tree) -> Findings {
    let mut found = Findings::default();
    let chores = crate::Arguments::command();
    for page in documents(tree) {
        for (at, line) in page.text.lines().enumerate() {
            for after in line.split("cargo xtask ").skip(1) {
                let chore =
                    after.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next().unwrap_or_default();
                if !chore.is_empty() && chores.find_subcommand(chore).is_none() {
                    found.fault(format!("{}:{}: there is no `cargo xtask {chore}`", page.path, at + 1));
                }
            }
        }
    }
    for (page, at, line) in typed(tree) {
        let program = line.split_whitespace().next().unwrap_or_default();
        let ours = program.starts_with("hbs2") || program.starts_with("git-");
        if ours && !PROGRAMS.contains(&program) {
            found.fault(format!("{}:{at}: there is no program {program}", page.path));
        }
    }
    found
}

/// The commands of all code blocks of README.md: what a newcomer types.
fn typed(tree: &Tree) -> Vec<(&File, usize, &str)> {
    let mut lines = Vec::new();
    for page in documents(tree).filter(|page| page.path == "README.md") {
        let mut inside = false;
        for (at, line) in page.text.lines().enumerate() {
            if line.starts_with("```") {
                inside = !inside;
            } else if inside {
                lines.push((page, at + 1, line.trim_start_matches("$ ")));
            }
        }
    }
    lines
}

/// The lines outside code blocks, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        (!inside && !fence).then_some((at + 1, line))
    })
}

/// The targets of `[text](target)` that lie in the project.
fn link_targets(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
}

fn is_own_path(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    OWN_PATHS.iter().any(|start| text.starts_with(start)) && text.chars().all(plain)
}

/// `path` as seen from directory `here`, with `..` resolved.
fn join(here: &str, path: &str) -> String {
    let mut parts: Vec<&str> = here.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tests::tree;

    #[test]
    fn links_are_resolved_from_the_directory_of_the_page() {
        assert_eq!(join("docs/spec", "../README.md"), "docs/README.md");
        assert_eq!(join("", "./docs/a.md"), "docs/a.md");
        let targets: Vec<_> = link_targets("[a](b.md#c) and [d](https://e.f) and [g](h)").collect();
        assert_eq!(targets, ["b.md#c", "h"]);
    }

    #[test]
    fn dead_links_and_paths_are_found_with_their_line_and_code_blocks_are_not_read() {
        let page =
            "[x](gone.md)\n`crates/none/src/x.rs` and `crates/<name>/src`\n```\n[y](also-gone.md)\n```\n";
        let found = links(&tree(&[("docs/a.md", page)])).faults;
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("docs/a.md:1 links to gone.md"), "{found:?}");
        assert!(found[1].starts_with("docs/a.md:2 names crates/none/src/x.rs"), "{found:?}");
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        let text = format!("see {}main\n", MACHINE_PLACES[0]);
        assert_eq!(places(&tree(&[("a.rs", &text)])).faults.len(), 1);
        assert_eq!(places(&tree(&[("a.rs", "see ~/keys and /tmp/hbs2-rpc.socket\n")])).faults.len(), 0);
    }

    #[test]
    fn chores_and_programs_that_do_not_exist_are_found() {
        let page = "`cargo xtask demo`, `cargo xtask fly`\n```\n$ hbs2-peer run\nhbs2-plane run\n```\n";
        let found = commands(&tree(&[("README.md", page)])).faults;
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
