//! Which references an export takes besides those that are pushed: the file `.hbs2-git/config`
//! (docs/guide/git2.md).
//!
//! A reference goes when some `include` matches it, or no `exclude` does.

use hbs2_script::{Config, ConfigError};

use super::SecondError;
use crate::object::RefName;

/// The config of a new repository.
pub const USUAL: &str = "\
;; hbs2-git config file
; those branches will be replicated by default
export include \"refs/heads/master\"
export include \"refs/heads/main\"
export exclude \"refs/heads/*\"
export tags
";

/// What the config says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    include: Vec<String>,
    exclude: Vec<String>,
    tags: bool,
}

impl Rules {
    /// Reads the text of the config `file`.
    ///
    /// # Errors
    /// A line is none of `export include MASK`, `export exclude MASK` and `export tags`.
    pub fn parse(file: &str, text: String) -> Result<Self, SecondError> {
        let config = Config::parse(file, text)?;
        let mut rules = Self::default();
        for entry in config.all("export") {
            let words = entry.words()?;
            match words.iter().map(AsRef::as_ref).collect::<Vec<&str>>().as_slice() {
                ["include", mask] => rules.include.push((*mask).to_owned()),
                ["exclude", mask] => rules.exclude.push((*mask).to_owned()),
                ["tags"] => rules.tags = true,
                _ => return Err(wrong(&entry)),
            }
        }
        Ok(rules)
    }

    /// Whether a local reference is exported without being pushed.
    #[must_use]
    pub fn take(&self, name: &RefName) -> bool {
        let name = name.as_bytes();
        let kind = name.starts_with(b"refs/heads/") || (self.tags && name.starts_with(b"refs/tags/"));
        let any = |masks: &[String]| masks.iter().any(|mask| matches(mask.as_bytes(), name));
        kind && (any(&self.include) || !any(&self.exclude))
    }
}

fn wrong(entry: &hbs2_script::config::Entry<'_>) -> SecondError {
    let error: ConfigError = entry.error("'include' or 'exclude' with a mask, or 'tags', is expected");
    error.into()
}

/// Whether `name` has the form of `mask`: `*` stands for any bytes but a slash, `**` for any, `?` for one.
fn matches(mask: &[u8], name: &[u8]) -> bool {
    match mask {
        [] => name.is_empty(),
        [b'*', b'*', rest @ ..] => (0..=name.len()).any(|at| matches(rest, &name[at..])),
        [b'*', rest @ ..] => {
            let part = name.iter().position(|byte| *byte == b'/').unwrap_or(name.len());
            (0..=part).any(|at| matches(rest, &name[at..]))
        }
        [b'?', rest @ ..] => name.first().is_some_and(|byte| *byte != b'/') && matches(rest, &name[1..]),
        [first, rest @ ..] => name.first() == Some(first) && matches(rest, &name[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(config: &str) -> Vec<&'static str> {
        let rules = Rules::parse("config", config.to_owned()).unwrap();
        let names =
            ["refs/heads/master", "refs/heads/x", "refs/heads/feature/x", "refs/tags/v1", "refs/notes/c"];
        names.into_iter().filter(|name| rules.take(&name.parse().unwrap())).collect()
    }

    #[test]
    fn an_include_beats_an_exclude() {
        assert_eq!(taken(USUAL), ["refs/heads/master", "refs/heads/feature/x", "refs/tags/v1"]);
        assert_eq!(taken("export exclude \"refs/heads/**\"\nexport include refs/heads/x"), ["refs/heads/x"]);
    }

    #[test]
    fn what_nothing_excludes_goes_and_tags_go_when_asked() {
        assert_eq!(taken(""), ["refs/heads/master", "refs/heads/x", "refs/heads/feature/x"]);
        assert_eq!(taken("export exclude \"**\"\nexport tags"), [""; 0]);
        assert_eq!(taken("export exclude \"refs/heads/**\""), [""; 0]);
    }

    #[test]
    fn a_wrong_line_is_named() {
        for text in ["export", "export include", "export tags now", "export all"] {
            let error = Rules::parse("config", text.to_owned()).unwrap_err();
            assert!(matches!(error, SecondError::Config { .. }), "{text}");
        }
        assert_eq!(taken("something else"), taken(""));
    }

    #[test]
    fn a_star_stays_within_its_part() {
        assert!(matches(b"refs/*/x", b"refs/heads/x"));
        assert!(!matches(b"refs/*", b"refs/heads/x"));
        assert!(matches(b"refs/**x", b"refs/heads/a/x"));
        assert!(matches(b"v?", b"v1") && !matches(b"v?", b"v"));
    }
}
