//! What a repository says about itself in a channel of announcements (docs/spec/git2.md).
//!
//! The payload of a refchan update, signed with the key of the repository; a text of one form a line. Clauses we do not
//! know are left out.

use hbs2_core::{Hash, SignPublicKey};
use hbs2_script::print::quoted;
use hbs2_script::syntax::{self, Form};

/// The version we write and read.
const VERSION: i128 = 1;

/// Longest announcement, in bytes: a name and a brief come from the first 1024 characters of a manifest, the rest is
/// keys and numbers.
pub const ANNOUNCEMENT_BYTES_MAX: usize = 16 * 1024;

/// An announcement of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The key of the repository.
    pub repository: SignPublicKey,
    /// The key of its reflog.
    pub reflog: SignPublicKey,
    /// When it was written last, in seconds since 1970.
    pub time: u64,
    /// The group key, of an encrypted repository.
    pub group: Option<Hash>,
    /// What the project is called, if that is known.
    pub name: Option<String>,
    /// What it is, if that is known.
    pub brief: Option<String>,
}

/// Why a text is no announcement.
#[derive(Debug, thiserror::Error)]
pub enum AnnouncementError {
    /// Too long, no text, not a list of forms, or of another version.
    #[error("it is no announcement of a repository")]
    Other,
    /// A clause that is needed is not there, or of another kind.
    #[error("it has no usable clause ({clause} …)")]
    Missing {
        /// The first word of the clause.
        clause: &'static str,
    },
}

impl Announcement {
    /// The text: one clause a line.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "(hbs2-git-announcement {VERSION})\n(repository {})\n(reflog {})\n(time {})\n",
            self.repository, self.reflog, self.time
        );
        if let Some(group) = self.group {
            text += &format!("(gk {group})\n");
        }
        for (clause, value) in [("name", &self.name), ("brief", &self.brief)] {
            if let Some(value) = value {
                text += &format!("({clause} {})\n", quoted(value));
            }
        }
        text
    }

    /// Reads the text of an announcement.
    ///
    /// # Errors
    /// It is none, or a clause is missing.
    pub fn parse(text: &[u8]) -> Result<Self, AnnouncementError> {
        let text = std::str::from_utf8(text).map_err(|_| AnnouncementError::Other)?;
        let parsed = syntax::parse(if text.len() <= ANNOUNCEMENT_BYTES_MAX { text } else { "" });
        let value = |clause: &str| {
            parsed.forms.iter().find_map(|form| match form.as_call() {
                Some((word, [value])) if word == clause => Some(value),
                _ => None,
            })
        };
        let version = value("hbs2-git-announcement").and_then(Form::as_integer);
        if !parsed.errors.is_empty() || version != Some(VERSION) {
            return Err(AnnouncementError::Other);
        }
        let word = |clause: &str| value(clause).and_then(Form::as_word);
        let key = |clause| {
            let key = word(clause).and_then(|word| word.parse().ok());
            key.ok_or(AnnouncementError::Missing { clause })
        };
        let time = value("time").and_then(Form::as_integer).and_then(|time| u64::try_from(time).ok());
        let group = match word("gk") {
            Some(word) => Some(word.parse().map_err(|_| AnnouncementError::Missing { clause: "gk" })?),
            None => None,
        };
        Ok(Self {
            repository: key("repository")?,
            reflog: key("reflog")?,
            time: time.ok_or(AnnouncementError::Missing { clause: "time" })?,
            group,
            name: word("name").map(str::to_owned),
            brief: word("brief").map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn example() -> Announcement {
        Announcement {
            repository: SignPublicKey::from_bytes([1; 32]),
            reflog: SignPublicKey::from_bytes([2; 32]),
            time: 1_795_313_685,
            group: Some(Hash::of(b"group")),
            name: Some("project".into()),
            brief: None,
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for name in [None, Some(""), Some("a \"b\" (c) ; d\n\\")] {
            let announcement = Announcement { name: name.map(str::to_owned), group: None, ..example() };
            assert_eq!(Announcement::parse(announcement.to_text().as_bytes()).unwrap(), announcement);
        }
        assert_eq!(Announcement::parse(example().to_text().as_bytes()).unwrap(), example());
    }

    #[test]
    fn what_is_missing_or_of_another_kind_is_named() {
        let text = example().to_text();
        let without = |start: &str| {
            let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with(start)).collect();
            Announcement::parse(lines.join("\n").as_bytes()).unwrap_err().to_string()
        };
        assert_eq!(without("(hbs2-git-"), AnnouncementError::Other.to_string());
        assert_eq!(without("(reflog"), "it has no usable clause (reflog …)");
        assert_eq!(without("(time"), "it has no usable clause (time …)");
        let later = text.replace("announcement 1", "announcement 2");
        assert!(Announcement::parse(later.as_bytes()).is_err());
        let long = format!("{text}(more \"{}\")", "x".repeat(ANNOUNCEMENT_BYTES_MAX));
        assert!(Announcement::parse(long.as_bytes()).is_err());
        assert!(Announcement::parse(format!("{text}(more x)").as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Announcement::parse(&bytes);
        }
    }
}
