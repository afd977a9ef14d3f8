//! The recorded outputs of the original's `hbs2`: for the same words we print the same.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use hbs2_testkit::vectors;
use kit::home;

/// Samples that need nothing but the text `hello` in the store. The others need files of the recording, or are about
/// help, versions and absent blocks, where we differ and say so.
const COMPARED: [&str; 11] = [
    "hbs2 hash",
    "hbs2 store",
    "hbs2 cat ArdzKVNBiUhHsDqKZwpNinzdNhuQefCFZqNyVubpbW8g",
    "hbs2 cat -H ArdzKVNBiUhHsDqKZwpNinzdNhuQefCFZqNyVubpbW8g",
    "hbs2 cat 4PNCZERNLKAqwSYHhZpb7B4GE34eiYDPXGgeNKWNNaBp",
    "hbs2 deps ArdzKVNBiUhHsDqKZwpNinzdNhuQefCFZqNyVubpbW8g",
    "hbs2 fsck",
    "hbs2 metadata dump ArdzKVNBiUhHsDqKZwpNinzdNhuQefCFZqNyVubpbW8g",
    "hbs2 anyref get 7rCNRqcv4ZBHhjE3ChA9XrJdRCr2KH9jKKQyug29Qrek",
    "hbs2 anyref set 7rCNRqcv4ZBHhjE3ChA9XrJdRCr2KH9jKKQyug29Qrek ArdzKVNBiUhHsDqKZwpNinzdNhuQefCFZqNyVubpbW8g",
    "hbs2 groupkey from-keys",
];

#[test]
fn commands_print_what_the_original_prints() {
    let home = home("alice");
    let manifest = vectors::json("cli/samples.json").unwrap();
    let mut checked = std::collections::BTreeSet::new();
    for sample in manifest["samples"].as_array().unwrap() {
        let words: Option<Vec<&str>> =
            sample["cmd"].as_array().and_then(|cmd| cmd.iter().map(serde_json::Value::as_str).collect());
        let line = words.unwrap_or_default().join(" ");
        let Some(compared) = COMPARED.iter().find(|compared| **compared == line) else { continue };
        // A peer ran for all samples but one, which has no stdin of its own.
        let input = sample["stdin"].as_str().unwrap_or("hello");
        let done = home.line(&line).stdin(input).run().unwrap();
        assert_eq!(done.status.code().map(i64::from), sample["rc"].as_i64(), "{done}");
        assert_eq!(done.stdout, sample["stdout"].as_str().unwrap().as_bytes(), "{done}");
        checked.insert(compared);
    }
    assert_eq!(checked.len(), COMPARED.len(), "{checked:?}");
}
