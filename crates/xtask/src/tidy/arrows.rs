//! Which crate may import which: the table "Crates" of ARCHITECTURE.md against every Cargo.toml.

use std::collections::{BTreeMap, BTreeSet};

use super::{Findings, Tree, table};

/// What every crate may have among its dev-dependencies, besides what it may import anyway.
const FOR_TESTS: &str = "hbs2-testkit";

/// Packages that only tests may use; `xtask` is one long test of the whole.
const TEST_ONLY_FOR_ALL_BUT: &str = "xtask";

pub(crate) fn check(tree: &Tree) -> Findings {
    let mut found = Findings::default();
    let Some(allowed) = tree.text("ARCHITECTURE.md").and_then(allowed) else {
        found.fault("ARCHITECTURE.md has no table below the heading `Crates`");
        return found;
    };
    let manifests: Vec<_> = tree
        .with_end("/Cargo.toml")
        .filter_map(|file| Some((file.path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?, file)))
        .collect();
    for (name, file) in &manifests {
        let Some(may) = allowed.get(*name) else {
            found.fault(format!("crate {name} has no row in the table of ARCHITECTURE.md"));
            continue;
        };
        for Dependency { name: other, section } in dependencies(&file.text) {
            // A crate names itself to switch on features of its own in its tests.
            let ours = allowed.contains_key(other) && other != *name;
            let only_tests = other == FOR_TESTS && *name != TEST_ONLY_FOR_ALL_BUT;
            let fits = match section {
                Section::Dev => may.contains(other) || other == FOR_TESTS,
                Section::Normal => may.contains(other) && !only_tests,
            };
            if ours && !fits {
                found.fault(format!("{}: {name} may not import {other}", file.path));
            }
        }
    }
    for name in allowed.keys().filter(|name| !manifests.iter().any(|(there, _)| there == *name)) {
        found.fault(format!("ARCHITECTURE.md lists the crate {name}, which does not exist"));
    }
    found
}

/// Crate name → what it may import, from the columns `crate` (the first quoted name) and the last one.
fn allowed(page: &str) -> Option<BTreeMap<String, BTreeSet<String>>> {
    let rows = table::rows(page, "Crates")?;
    let names: BTreeSet<String> =
        rows.iter().filter_map(|row| table::quoted(&row.join(" ")).next().map(str::to_owned)).collect();
    let row = |row: &Vec<String>| {
        let name = table::quoted(&row.join(" ")).next()?.to_owned();
        let may = row.last()?;
        let may = if may == "all" { names.clone() } else { table::quoted(may).map(str::to_owned).collect() };
        Some((name, may))
    };
    rows.iter().map(row).collect()
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Section {
    Normal,
    Dev,
}

#[derive(PartialEq, Eq, Debug)]
struct Dependency<'a> {
    name: &'a str,
    section: Section,
}

/// The dependencies that a manifest names. Reads the two spellings `name = …` and `name.workspace = true` in the
/// dependency sections, and `[dependencies.name]`.
fn dependencies(manifest: &str) -> Vec<Dependency<'_>> {
    let mut section = None;
    let mut found = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(head) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            let (kind, name) = head.split_once("ependencies").unwrap_or((head, "none"));
            section = match (kind.rsplit('.').next(), name) {
                (_, "none") => None,
                (Some("dev-d"), _) => Some(Section::Dev),
                _ => Some(Section::Normal),
            };
            if let (Some(section), Some(name)) = (section, name.strip_prefix('.')) {
                found.push(Dependency { name, section });
            }
        } else if let (Some(section), Some((name, _))) = (section, line.split_once(['.', '=', ' ']))
            && !name.is_empty()
            && !name.starts_with('#')
        {
            found.push(Dependency { name, section });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tests::tree;

    const PAGE: &str = "## Crates\n| floor | crate | holds | may import |\n|---|---|---|---|\n| 0 | `hbs2-core` | bytes | – |\n\
                        | 1 | `hbs2-proto` | decisions | `hbs2-core` |\n| – | `hbs2-testkit` | tests | all |\n";

    fn check_proto(manifest: &str) -> Vec<String> {
        let core = "[package]\nname = \"hbs2-core\"\n";
        check(&tree(&[
            ("ARCHITECTURE.md", PAGE),
            ("crates/hbs2-core/Cargo.toml", core),
            ("crates/hbs2-proto/Cargo.toml", manifest),
            ("crates/hbs2-testkit/Cargo.toml", "[dependencies]\nhbs2-proto = { path = \"x\" }\n"),
        ]))
        .faults
    }

    #[test]
    fn an_allowed_arrow_and_outside_crates_pass() {
        assert!(check_proto("[dependencies]\nhbs2-core.workspace = true\nbytes = \"1\"\n").is_empty());
    }

    #[test]
    fn an_arrow_that_the_table_lacks_is_a_fault() {
        let up = "[dependencies]\nhbs2-testkit.workspace = true\n";
        assert_eq!(check_proto(up), ["crates/hbs2-proto/Cargo.toml: hbs2-proto may not import hbs2-testkit"]);
        let core = tree(&[
            ("ARCHITECTURE.md", "## Crates\n| crate | may |\n|---|---|\n| `a` | – |\n| `b` | – |\n"),
            ("crates/a/Cargo.toml", "[dependencies.b]\npath = \"../b\"\n"),
            ("crates/b/Cargo.toml", ""),
        ]);
        assert_eq!(check(&core).faults, ["crates/a/Cargo.toml: a may not import b"]);
    }

    #[test]
    fn the_test_kit_is_for_tests_only() {
        assert!(check_proto("[dev-dependencies]\nhbs2-testkit.workspace = true\n").is_empty());
    }

    #[test]
    fn a_crate_without_a_row_and_a_row_without_a_crate_are_faults() {
        let found = check(&tree(&[("ARCHITECTURE.md", PAGE), ("crates/new/Cargo.toml", "")])).faults;
        assert!(found.iter().any(|fault| fault.contains("crate new has no row")), "{found:?}");
        assert!(found.iter().any(|fault| fault.contains("hbs2-proto, which does not exist")), "{found:?}");
    }

    #[test]
    fn sections_and_spellings_of_a_manifest_are_told_apart() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\n# note\nb = \"1\"\n[dev-dependencies]\nc = \"1\"\n[lints]\nworkspace = true\n\
                        [target.'cfg(unix)'.dependencies]\nd = \"1\"\n";
        let names: Vec<_> = dependencies(manifest).into_iter().map(|d| (d.name, d.section)).collect();
        assert_eq!(
            names,
            [("a", Section::Normal), ("b", Section::Normal), ("c", Section::Dev), ("d", Section::Normal)]
        );
    }
}
