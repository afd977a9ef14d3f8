//! The page of all words is what the words say about themselves.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::path::Path;

use hbs2_script::help::reference;

/// If set, the page is written instead of compared.
const WRITE: &str = "HBS2_WRITE_PAGES";

const HEAD: &str = "\
# Words

Every word of the language, as [`hbs2-cli`](script.md) has them; other programs have the general ones and words of their own. This page is made
from the definitions of the words, as are the pages that `hbs2-cli --help NAME` shows. An argument `X…` may come any number of times, `[X]` need
not come. An example is a program and what it displays.
";

/// Compares a page of the guide, or writes it.
fn check(name: &str, expected: impl FnOnce(&str) -> String) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide").join(name);
    let found = std::fs::read_to_string(&page).unwrap_or_default();
    let expected = expected(&found);
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&page, &expected).unwrap();
        return;
    }
    assert!(found == expected, "write {name} anew with: {WRITE}=1 cargo test -p hbs2 --test words_page");
}

#[test]
fn the_page_of_words_is_made_from_their_definitions() {
    check("words.md", |_| format!("{HEAD}{}", reference(&hbs2::cli::all_words())));
}

#[test]
fn the_words_of_the_fixer_are_made_from_their_definitions() {
    let mut table = "| word | what it does | gives |\n|---|---|---|\n".to_owned();
    for word in hbs2::fixer::words::own() {
        let gap = if word.args.is_empty() { "" } else { " " };
        let what = [word.brief, word.text].map(str::trim).join(". ");
        let what = what.trim_end_matches(". ");
        table.push_str(&format!("| `({}{gap}{})` | {what} | {} |\n", word.name, word.args, word.returns));
    }
    check("fixer.md", |page| {
        let (before, rest) = page.split_once("## Words\n").unwrap();
        let (intro, rest) = rest.trim_start().split_once("\n\n").unwrap();
        let (_, after) = rest.split_once("## As a service").unwrap();
        format!("{before}## Words\n\n{intro}\n\n{table}\n## As a service{after}")
    });
}
