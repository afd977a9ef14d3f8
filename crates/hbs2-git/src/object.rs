//! The names of git things: object ids, object kinds, reference names.
//!
//! Only SHA-1 repositories exist here; the format of segments has room for 20-byte ids alone (spec: git3 6).

use std::fmt;
use std::str::FromStr;

use sha1::{Digest, Sha1};

/// Length of a reference name we accept, in bytes. git itself stops at the length of a path (4096).
pub const REF_NAME_BYTES_MAX: usize = 4096;

/// The SHA-1 id of a git object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId([u8; 20]);

/// A text that is not an object id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an object id of 40 hex digits")]
pub struct ObjectIdError {
    /// The text.
    pub text: String,
}

impl ObjectId {
    /// Length of an id, in bytes.
    pub const BYTES: usize = 20;

    /// Forty zeros: in a reference record it says that the reference is gone.
    pub const NULL: Self = Self([0; 20]);

    /// The id of an object with this kind and content.
    #[must_use]
    pub fn of(kind: ObjectKind, content: &[u8]) -> Self {
        let mut state = Sha1::new();
        state.update(kind.name());
        state.update(b" ");
        let mut digits = [0; 20];
        state.update(decimal(content.len(), &mut digits));
        state.update([0]);
        state.update(content);
        Self(state.finalize().into())
    }

    /// An id from its raw bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// An id from the first 20 bytes of `bytes`, if there are so many.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk().map(|id| Self(*id))
    }

    /// The raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// Whether this is [`ObjectId::NULL`].
    #[must_use]
    pub fn is_null(&self) -> bool {
        *self == Self::NULL
    }
}

/// The decimal digits of `value`, without an allocation: this runs once per object.
fn decimal(mut value: usize, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return &digits[at..];
        }
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for ObjectId {
    type Err = ObjectIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut id = [0; 20];
        hex::decode_to_slice(text, &mut id).map_err(|_| ObjectIdError { text: text.to_owned() })?;
        Ok(Self(id))
    }
}

/// The four kinds of git objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// A commit.
    Commit,
    /// A tree.
    Tree,
    /// A blob.
    Blob,
    /// An annotated tag.
    Tag,
}

impl ObjectKind {
    /// The word git uses, also in the hashed header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
            Self::Tag => "tag",
        }
    }
}

/// The full name of a reference, `refs/heads/x` or `HEAD`. Any bytes but controls and spaces: git does not
/// ask for UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName(Vec<u8>);

/// A text that git does not take as the full name of a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a reference name")]
pub struct RefNameError {
    /// The text.
    pub name: String,
}

impl RefName {
    /// A name, if it keeps the rules of git-check-ref-format(1).
    ///
    /// # Errors
    /// The name breaks a rule or is longer than [`REF_NAME_BYTES_MAX`].
    pub fn new(name: impl Into<Vec<u8>>) -> Result<Self, RefNameError> {
        let name = name.into();
        let valid = name == b"HEAD" || (name.starts_with(b"refs/") && follows_the_rules(&name));
        if valid && name.len() <= REF_NAME_BYTES_MAX {
            Ok(Self(name))
        } else {
            Err(RefNameError { name: String::from_utf8_lossy(&name).into_owned() })
        }
    }

    /// The reference `HEAD`.
    #[must_use]
    pub fn head() -> Self {
        Self(b"HEAD".to_vec())
    }

    /// The raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is a branch, `refs/heads/…`.
    #[must_use]
    pub fn is_branch(&self) -> bool {
        self.0.starts_with(b"refs/heads/")
    }
}

/// The rules of git-check-ref-format(1) for a name with at least one slash.
fn follows_the_rules(name: &[u8]) -> bool {
    let bad_byte = |b: &u8| *b <= b' ' || b"~^:?*[\\\x7f".contains(b);
    let bad_part = |part: &[u8]| part.is_empty() || part.starts_with(b".") || part.ends_with(b".lock");
    !name.iter().any(bad_byte)
        && !name.windows(2).any(|pair| pair == b".." || pair == b"@{")
        && !name.ends_with(b".")
        && !name.split(|b| *b == b'/').any(bad_part)
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

impl FromStr for RefName {
    type Err = RefNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_git() {
        let id = ObjectId::of(ObjectKind::Blob, b"hello\n");
        assert_eq!(id.to_string(), "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(
            ObjectId::of(ObjectKind::Tree, b"").to_string(),
            "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
        );
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("ce01".parse::<ObjectId>().is_err());
    }

    #[test]
    fn names_follow_git_check_ref_format() {
        for good in
            ["HEAD", "refs/heads/master", "refs/heads/a;b\"'`(@,", "refs/tags/ü", "refs/notes/a.b", "refs/x"]
        {
            assert!(RefName::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "refs/",
            "master",
            "refs/heads/a b",
            "refs/heads/.a",
            "refs/heads/a..b",
            "refs/heads/a.lock",
            "refs/heads/a/",
            "refs//a",
            "refs/heads/a\n",
            "refs/heads/a~1",
            "refs/heads/@{u}",
            "refs/heads/a.",
        ] {
            assert!(RefName::new(bad).is_err(), "{bad}");
        }
        assert!(RefName::new(format!("refs/heads/{}", "x".repeat(REF_NAME_BYTES_MAX))).is_err());
    }
}
