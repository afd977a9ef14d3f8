//! What names a repository on the command line: a key, a URL, or the name of a git remote (spec: git3 11.2).

use std::fmt;
use std::str::FromStr;

use hbs2_core::SignPublicKey;

/// URL schemes of repositories; the first is the one we write.
const SCHEMES: [&str; 3] = ["hbs23://", "hbs2://", "hbs21://"];

/// A repository by its published key, shown as `hbs23://KEY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoUrl {
    /// The key of the repository's lwwref.
    pub key: SignPublicKey,
}

/// A text that names no repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is neither hbs23://KEY nor a key")]
pub struct RepoUrlError {
    /// The text.
    pub text: String,
}

impl RepoUrl {
    /// Whether `text` has the scheme of a repository URL, whatever follows.
    #[must_use]
    pub fn has_scheme(text: &str) -> bool {
        SCHEMES.iter().any(|scheme| text.starts_with(scheme))
    }
}

impl fmt::Display for RepoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}{}", SCHEMES[0], self.key))
    }
}

impl FromStr for RepoUrl {
    type Err = RepoUrlError;

    /// Reads `hbs23://KEY`, `hbs2://KEY`, `hbs21://KEY` or the bare key; a slash at the end is forgiven.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let key = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
        let key = key.strip_suffix('/').unwrap_or(key);
        key.parse().map(|key| Self { key }).map_err(|_| RepoUrlError { text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_names_the_same_repository() {
        let key = "CRciezyozQDQjbNbjc77eQHbXugELveRhCTDWmWpenV6";
        let expected: RepoUrl = key.parse().unwrap();
        for scheme in SCHEMES {
            assert_eq!(format!("{scheme}{key}").parse(), Ok(expected));
            assert_eq!(format!("{scheme}{key}/").parse(), Ok(expected));
        }
        assert_eq!(expected.to_string(), format!("hbs23://{key}"));
        assert!("origin".parse::<RepoUrl>().is_err());
        assert!("https://example.com".parse::<RepoUrl>().is_err());
    }
}
