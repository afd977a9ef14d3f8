//! Paths inside a folder: what a channel may name and a folder may hold.
//!
//! A [`RelPath`] never leads out of its folder: no `..`, nothing absolute, no NUL, nothing of our own. Whatever a peer
//! writes becomes one or is refused, before any file is touched. That no symbolic link leads out either is the business
//! of [`Root`](crate::root::Root).

use std::fmt;

/// The directory of ours in a folder, and the start of the names of our temporary files.
pub const OWN: &str = ".hbs2-sync";

/// Longest name of a file or directory, in bytes: that of Linux.
pub const NAME_BYTES_MAX: usize = 255;

/// Longest path, in bytes: that of Linux.
pub const PATH_BYTES_MAX: usize = 4095;

/// Names in one path, at most. Each open directory on the way takes a descriptor while a folder is scanned.
pub const PATH_NAMES_MAX: usize = 128;

/// Why a text is no path of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing.
    #[error("it is empty")]
    Empty,
    /// It starts with a slash.
    #[error("it is absolute")]
    Absolute,
    /// `.`, `..`, or nothing between two slashes.
    #[error("it has a step that is no name")]
    Step,
    /// A newline, a NUL or its like, which the text of an entry cannot carry.
    #[error("it has a control character")]
    Control,
    /// It would be a file of ours.
    #[error("{OWN} belongs to the program")]
    Own,
    /// More than a file system takes.
    #[error("it is too long")]
    TooLong,
}

/// A path from the folder downwards: names joined by slashes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(String);

impl RelPath {
    /// The path in a text.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.is_empty() {
            return Err(PathError::Empty);
        }
        if text.starts_with('/') {
            return Err(PathError::Absolute);
        }
        if text.len() > PATH_BYTES_MAX || text.split('/').count() > PATH_NAMES_MAX {
            return Err(PathError::TooLong);
        }
        text.split('/').try_for_each(check_name)?;
        Ok(Self(text.to_owned()))
    }

    /// The path of `name` in the directory `dir`, or in the folder itself.
    ///
    /// # Errors
    /// It is no name, or the path becomes too long.
    pub fn within(dir: Option<&Self>, name: &str) -> Result<Self, PathError> {
        check_name(name)?;
        match dir {
            None => Self::parse(name),
            Some(dir) => Self::parse(&format!("{dir}/{name}")),
        }
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().expect("a path has a name")
    }

    /// The directory it is in; none for the folder itself.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(dir, _)| Self(dir.to_owned()))
    }

    /// The directories above it, the nearest first.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(self.parent(), Self::parent)
    }

    /// The names from the folder downwards.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// What every path below this one starts with, and the first text after all of those.
    #[must_use]
    pub(crate) fn below(&self) -> (Self, Self) {
        // '0' is the character after '/'.
        (Self(format!("{}/", self.0)), Self(format!("{}0", self.0)))
    }

    /// The path beside this one whose last name is made of its own: `stem`, `tag`, and the extension if `keep` says so.
    /// A name that gets too long loses the end of its stem.
    #[must_use]
    pub(crate) fn beside(&self, tag: &str, keep: Extension) -> Self {
        let name = self.name();
        let dot = name.rfind('.').filter(|at| *at > 0 && keep == Extension::Last);
        let (stem, extension) = name.split_at(dot.unwrap_or(name.len()));
        let (extension, room) = match NAME_BYTES_MAX.checked_sub(tag.len() + extension.len()) {
            Some(room) => (extension, room),
            None => ("", NAME_BYTES_MAX.saturating_sub(tag.len())),
        };
        let stem = &stem[..stem.floor_char_boundary(room.min(stem.len()))];
        let name = format!("{stem}{tag}{extension}");
        match self.parent() {
            None => Self(name),
            Some(dir) => Self(format!("{dir}/{name}")),
        }
    }
}

/// What becomes of the extension of a name that gets a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extension {
    /// It stays last, so that programs know the file.
    Last,
    /// The tag is last.
    Before,
}

fn check_name(name: &str) -> Result<(), PathError> {
    if name.is_empty() || name == "." || name == ".." || name.contains('/') {
        return Err(PathError::Step);
    }
    if name.chars().any(char::is_control) {
        return Err(PathError::Control);
    }
    // Some file systems know no case.
    if name.get(..OWN.len()).is_some_and(|start| start.eq_ignore_ascii_case(OWN)) {
        return Err(PathError::Own);
    }
    if name.len() > NAME_BYTES_MAX { Err(PathError::TooLong) } else { Ok(()) }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_out_of_the_folder_is_no_path() {
        for (text, error) in [
            ("", PathError::Empty),
            ("/etc/passwd", PathError::Absolute),
            ("..", PathError::Step),
            ("a/../../b", PathError::Step),
            ("./a", PathError::Step),
            ("a//b", PathError::Step),
            ("a/", PathError::Step),
            ("a\0b", PathError::Control),
            ("a\nb", PathError::Control),
            (".hbs2-sync/config", PathError::Own),
            ("a/.HBS2-Sync", PathError::Own),
            (".hbs2-sync-temporary", PathError::Own),
        ] {
            assert_eq!(RelPath::parse(text), Err(error), "{text:?}");
        }
        assert_eq!(RelPath::parse(&"a".repeat(256)), Err(PathError::TooLong));
        assert_eq!(RelPath::parse(&"a/".repeat(128)), Err(PathError::TooLong));
        for text in ["a", "a/b c/ü.txt", "..a", "a...", "\"quoted\"", "a\\b", "~", ".hidden"] {
            assert_eq!(RelPath::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn a_path_knows_its_directories() {
        let path = RelPath::parse("a/b/c.txt").unwrap();
        assert_eq!(path.name(), "c.txt");
        let above: Vec<String> = path.ancestors().map(|dir| dir.to_string()).collect();
        assert_eq!(above, ["a/b", "a"]);
        let (from, to) = RelPath::parse("a/b").unwrap().below();
        assert!(from < path && path < to);
        assert!(RelPath::parse("a/b.txt").unwrap() < from || RelPath::parse("a/b.txt").unwrap() > to);
    }

    #[test]
    fn a_tag_goes_before_the_extension_and_the_name_stays_short_enough() {
        let beside = |text: &str, keep| RelPath::parse(text).unwrap().beside(".x", keep).to_string();
        assert_eq!(beside("d/a.tar.gz", Extension::Last), "d/a.tar.x.gz");
        assert_eq!(beside("d/a.tar.gz", Extension::Before), "d/a.tar.gz.x");
        assert_eq!(beside(".profile", Extension::Last), ".profile.x");
        assert_eq!(beside(&"ü".repeat(127), Extension::Last).len(), 254);
        assert_eq!(beside(&format!("a.{}", "b".repeat(253)), Extension::Last), "a.x");
    }
}
