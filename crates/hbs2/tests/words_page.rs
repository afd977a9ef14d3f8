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

#[test]
fn the_page_of_words_is_made_from_their_definitions() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/words.md");
    let expected = format!("{HEAD}{}", reference(&hbs2::cli::all_words()));
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&page, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(found == expected, "write the page anew with: {WRITE}=1 cargo test -p hbs2 --test words_page");
}
