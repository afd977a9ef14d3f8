//! The head of a channel as people write it: lines of words.
//!
//! Whoever reads the lines out of a text is not known here: brackets and quotes are the business of the script
//! language. A line is its words, the name first.

use std::fmt;

use super::ChanHead;
use super::head::{listed, listed_readers};
use crate::Hash;

/// Why lines make no head.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeadTextError {
    /// A line that must be there is not.
    #[error("the head has no line ({name} N)")]
    Missing {
        /// Its name.
        name: &'static str,
    },
    /// A line has other words than its name asks for.
    #[error("the head has a line ({line}), expected ({expected})")]
    Line {
        /// Its words.
        line: String,
        /// The words there should be.
        expected: &'static str,
    },
    /// No line has this name.
    #[error("a head has no line of the name {name:?}")]
    Name {
        /// The first word.
        name: String,
    },
}

impl ChanHead {
    /// Reads a head from its lines. Of several lines with a number of one name the last counts.
    ///
    /// # Errors
    /// A line is wrong, or one of `version`, `quorum` and `wait` is missing.
    pub fn from_lines<W: AsRef<str>>(lines: &[Vec<W>]) -> Result<Self, HeadTextError> {
        let mut head = Self::default();
        let (mut version, mut quorum, mut wait) = (None, None, None);
        let mut disclosed = Vec::new();
        for line in lines {
            let words: Vec<&str> = line.iter().map(AsRef::as_ref).collect();
            match words.as_slice() {
                [] => {}
                ["version", rest @ ..] => version = Some(one(&words, rest, "version N")?),
                ["quorum", rest @ ..] => quorum = Some(one(&words, rest, "quorum N")?),
                ["wait", rest @ ..] => wait = Some(one(&words, rest, "wait SECONDS")?),
                ["peer", rest @ ..] => {
                    let expected = "peer KEY WEIGHT";
                    let [key, weight] = rest else { return Err(wrong(&words, expected)) };
                    head.peers.insert(parse(&words, key, expected)?, parse(&words, weight, expected)?);
                }
                ["author", rest @ ..] => drop(head.authors.insert(one(&words, rest, "author KEY")?)),
                ["reader", rest @ ..] => drop(head.readers.insert(one(&words, rest, "reader KEY")?)),
                ["notifier", rest @ ..] => drop(head.notifiers.insert(one(&words, rest, "notifier KEY")?)),
                ["disclosed", rest @ ..] => disclosed.push(one::<Hash>(&words, rest, "disclosed HASH")?),
                [name, ..] => return Err(HeadTextError::Name { name: (*name).to_owned() }),
            }
        }
        head.version = version.ok_or(HeadTextError::Missing { name: "version" })?;
        head.quorum = quorum.ok_or(HeadTextError::Missing { name: "quorum" })?;
        head.wait = wait.ok_or(HeadTextError::Missing { name: "wait" })?;
        head.disclose(&disclosed);
        Ok(head)
    }
}

/// The only value of a line.
fn one<T: std::str::FromStr>(
    line: &[&str],
    rest: &[&str],
    expected: &'static str,
) -> Result<T, HeadTextError> {
    match rest {
        [word] => parse(line, word, expected),
        _ => Err(wrong(line, expected)),
    }
}

fn parse<T: std::str::FromStr>(
    line: &[&str],
    word: &str,
    expected: &'static str,
) -> Result<T, HeadTextError> {
    word.parse().map_err(|_| wrong(line, expected))
}

fn wrong(line: &[&str], expected: &'static str) -> HeadTextError {
    HeadTextError::Line { line: line.join(" "), expected }
}

/// The lines of a head in the order of the original, with a remark on the extensions at the end.
impl fmt::Display for ChanHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "(version {})\n(quorum {})\n(wait {})", self.version, self.quorum, self.wait)?;
        for (key, weight) in self.listed_peers() {
            writeln!(f, "(peer \"{key}\" {weight})")?;
        }
        for key in listed(&self.authors) {
            writeln!(f, "(author \"{key}\")")?;
        }
        for key in listed_readers(&self.readers) {
            writeln!(f, "(reader \"{key}\")")?;
        }
        for key in listed(&self.notifiers) {
            writeln!(f, "(notifier \"{key}\")")?;
        }
        for hash in self.disclosed() {
            writeln!(f, "(disclosed \"{hash}\")")?;
        }
        write!(f, "; (head-extensions: (count: {}) (size {}))", self.extensions(), self.extension.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<Vec<&str>> {
        text.lines().map(|line| line.split_whitespace().collect()).collect()
    }

    #[test]
    fn the_last_number_of_a_name_counts_and_all_three_are_needed() {
        let head = ChanHead::from_lines(&lines("version 1\nquorum 2\nwait 3\nversion 7")).unwrap();
        assert_eq!((head.version, head.quorum, head.wait), (7, 2, 3));
        let missing = ChanHead::from_lines(&lines("version 1\nwait 3"));
        assert_eq!(missing, Err(HeadTextError::Missing { name: "quorum" }));
    }

    #[test]
    fn a_wrong_line_is_named() {
        for wrong in ["author x", "peer 1", "quorum -1", "wait 1 2", "auhtor x"] {
            let error = ChanHead::from_lines(&lines(wrong)).unwrap_err();
            assert!(error.to_string().contains(wrong.split(' ').next().unwrap()), "{error}");
        }
    }
}
