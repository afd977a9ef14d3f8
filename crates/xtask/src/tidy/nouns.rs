//! One noun, three homes: its page in `docs/spec/`, its code, its vectors.
//!
//! The table "Nouns" of ARCHITECTURE.md lists them with the columns noun, code, vectors, note. A noun whose code
//! file has another name, or that has no vectors, says why in the note.

use super::{Findings, Tree, table};

pub(crate) fn check(tree: &Tree) -> Findings {
    let mut found = Findings::default();
    let Some(rows) = tree.text("ARCHITECTURE.md").and_then(|page| table::rows(page, "Nouns")) else {
        found.fault("ARCHITECTURE.md has no table below the heading `Nouns`");
        return found;
    };
    let mut nouns = Vec::new();
    for row in &rows {
        let [noun, code, vectors, note] = row.as_slice() else {
            found.fault(format!(
                "a row of the table of nouns has {} cells instead of 4: {}",
                row.len(),
                row.join(" ")
            ));
            continue;
        };
        let noun = noun.trim_matches('`');
        nouns.push(noun);
        let mut must_exist = vec![format!("docs/spec/{noun}.md")];
        must_exist.extend(table::quoted(code).chain(table::quoted(vectors)).map(str::to_owned));
        for path in must_exist.iter().filter(|path| !tree.exists(path)) {
            found.fault(format!("noun {noun}: {path} does not exist"));
        }
        let named_alike = table::quoted(code).any(|path| path.ends_with(&format!("/{noun}.rs")));
        let has_vectors = table::quoted(vectors).next().is_some();
        if note.is_empty() && !(named_alike && has_vectors) {
            found.fault(format!(
                "noun {noun}: no code file of that name or no vectors, and no note that says why"
            ));
        }
    }
    for page in tree.with_end(".md") {
        let Some(noun) = page.path.strip_prefix("docs/spec/").and_then(|path| path.strip_suffix(".md"))
        else {
            continue;
        };
        if noun != "README" && !nouns.contains(&noun) {
            found.fault(format!("{} has no row in the table of nouns of ARCHITECTURE.md", page.path));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tests::tree;
    use crate::tidy::{File, Tree};
    use std::fs;

    const HEAD: &str = "## Nouns\n| noun | code | vectors | note |\n|---|---|---|---|\n";

    fn on_disk(row: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        for path in ["docs/spec", "vectors/hash", "src"] {
            fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        for path in ["docs/spec/hash.md", "src/hash.rs", "src/cas.rs"] {
            fs::write(dir.path().join(path), "").unwrap();
        }
        let file = |path: &str, text: String| File { path: path.into(), text };
        let files =
            vec![file("ARCHITECTURE.md", format!("{HEAD}{row}\n")), file("docs/spec/hash.md", String::new())];
        check(&Tree { root: dir.path().to_owned(), files }).faults
    }

    #[test]
    fn a_noun_with_page_code_and_vectors_passes() {
        assert!(on_disk("| hash | `src/hash.rs` | `vectors/hash` | |").is_empty());
    }

    #[test]
    fn an_exception_needs_a_note() {
        assert!(on_disk("| hash | `src/cas.rs` | – | a formula has no vectors |").is_empty());
        assert_eq!(on_disk("| hash | `src/cas.rs` | – | |").len(), 1);
        assert_eq!(on_disk("| hash | `src/hash.rs` | – | |").len(), 1);
    }

    #[test]
    fn a_path_that_does_not_exist_is_a_fault() {
        assert_eq!(
            on_disk("| hash | `src/hash.rs` | `vectors/sigil` | |"),
            ["noun hash: vectors/sigil does not exist"]
        );
    }

    #[test]
    fn a_page_without_a_row_is_a_fault() {
        let page = format!("{HEAD}| x | `y` | – | why |\n");
        let found = check(&tree(&[
            ("ARCHITECTURE.md", &page),
            ("docs/spec/hash.md", ""),
            ("docs/spec/README.md", ""),
        ]))
        .faults;
        assert!(
            found.contains(
                &"docs/spec/hash.md has no row in the table of nouns of ARCHITECTURE.md".to_owned()
            ),
            "{found:?}"
        );
        assert!(!found.iter().any(|fault| fault.contains("README")), "{found:?}");
    }
}
