//! The friendly name of a repository: two words from its key, such as `crater-stamp` (spec: git3 4.3).

use hbs2_core::SignPublicKey;

/// The English word list of BIP-39, one word a line, 2048 words.
const WORDS: &str = include_str!("petname_words.en.txt");

/// Bytes of the key that are skipped before the words are read.
const SKIPPED_BYTES: usize = 4;

/// Bits that choose one word: the list has 2^11.
const WORD_BITS: u32 = 11;

/// The petname of the repository `key`: bits 32..43 and 43..54 of the key choose the two words.
#[must_use]
pub fn petname(key: &SignPublicKey) -> String {
    let bytes = key.as_bytes()[SKIPPED_BYTES..].first_chunk().expect("a key has 28 bytes more");
    let bits = u32::from_be_bytes(*bytes);
    let first = bits >> (32 - WORD_BITS);
    let second = (bits >> (32 - 2 * WORD_BITS)) & ((1 << WORD_BITS) - 1);
    format!("{}-{}", word(first), word(second))
}

fn word(number: u32) -> &'static str {
    WORDS.lines().nth(number as usize).expect("the list has a word for each 11-bit number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn petnames_are_those_of_the_spec() {
        for (key, name) in [
            ("CRciezyozQDQjbNbjc77eQHbXugELveRhCTDWmWpenV6", "crater-stamp"),
            ("95EKVZ5wuZjZnc4FdytjhytdnDyApnrXpqetE7yG9bfr", "debris-flush"),
            ("3XgC98VY46WhfBbkngM3vPLpFc5pai6FuEZ7PjTzkqzC", "phrase-demise"),
            ("9eMYp1VWgN4vuMCD1TkqSJNWBPV9XmpWUvem8aLUK2CY", "candy-swap"),
            ("86e71ccNV1Usa6Ptiz7TvMHPjY3eVLZEnAyXyHxZggJr", "tank-equal"),
            ("D8DvLiGnhNF3kpkARXEswJGAPGLvp7uejGmP4YqbN4Kk", "october-crash"),
            ("7rguTJz8Rr1fJbXMLRPCo5VtGR8ThoP7PYNb6gkNJfLK", "danger-parent"),
            ("AmMnnm27R2axLDL3QgKQLncNZX6mBdjT4bPFodLDHf8R", "whale-romance"),
        ] {
            assert_eq!(petname(&key.parse().unwrap()), name, "{key}");
        }
    }

    #[test]
    fn the_list_is_complete_and_sorted() {
        let words: Vec<_> = WORDS.lines().collect();
        assert_eq!(words.len(), 1 << WORD_BITS);
        assert!(words.is_sorted());
        assert_eq!((words[0], words[2047]), ("abandon", "zoo"));
    }
}
