//! What the metadata of a tree says to the web: what its content is, where else to look, and its parts.
//!
//! Keys that count, each on a line of its own: `mime-type`, `file-name`, `content-encoding`, `web:redirect URL`,
//! `web:root NAME` (the part that is shown when none is named) and `web:bind NAME tree HASH`, `… ref KEY` or
//! `… redirect URL` (a part). A key may have a colon at its end, a line may be a list, a value may be quoted.

use hbs2_core::tree::meta;
use hbs2_core::{Hash, SignPublicKey};
use hbs2_script::{Config, Form, Value};

/// What a tree is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Site {
    /// The kind of its content.
    pub(crate) mime: Option<String>,
    /// The name of its file.
    pub(crate) file_name: Option<String>,
    /// How its content is packed.
    pub(crate) encoding: Option<String>,
    /// Where to go instead.
    pub(crate) redirect: Option<String>,
    /// The part that is shown when none is named.
    pub(crate) root: Option<String>,
    parts: Vec<(String, Target)>,
}

/// What a part is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A tree.
    Tree(Hash),
    /// The tree that a reference points at.
    Ref(SignPublicKey),
    /// Another place.
    Redirect(String),
}

impl Site {
    /// Reads metadata. Lines that are not understood say nothing.
    pub(crate) fn read(text: &str) -> Self {
        let bare = |line: &str| {
            let line = line.trim();
            let inner = line.strip_prefix('(').and_then(|line| line.strip_suffix(')'));
            inner.unwrap_or(line).to_owned()
        };
        let lines: Vec<String> = text.lines().map(bare).collect();
        let whole = lines.join("\n");
        let value = |key: &str| meta::value(&whole, key).filter(|value| !value.is_empty()).map(str::to_owned);
        Self {
            mime: value("mime-type"),
            file_name: value("file-name"),
            encoding: value("content-encoding"),
            redirect: value("web:redirect").or_else(|| word(&lines, &["web:redirect"])),
            root: value("web:root").or_else(|| word(&lines, &["web:root", "webroot"])),
            parts: lines.iter().filter_map(|line| part(line)).collect(),
        }
    }

    /// The part with this name.
    pub(crate) fn part(&self, name: &str) -> Option<&Target> {
        self.parts.iter().find(|(part, _)| part == name).map(|(_, target)| target)
    }
}

/// The only value of the first line that begins with one of `keys`.
fn word(lines: &[String], keys: &[&str]) -> Option<String> {
    lines.iter().find_map(|line| match words(line)?.as_slice() {
        [key, value] if keys.contains(&key.as_str()) => Some(value.clone()),
        _ => None,
    })
}

fn part(line: &str) -> Option<(String, Target)> {
    if !line.starts_with("web:bind") {
        return None;
    }
    let mut words = words(line)?;
    // The writer of metadata that takes pairs makes one quoted value of all.
    if let [_, all] = words.as_slice() {
        words = std::iter::once("web:bind").chain(all.split_whitespace()).map(str::to_owned).collect();
    }
    let [key, name, kind, value] = words.as_slice() else { return None };
    let target = match (key.as_str(), kind.as_str()) {
        ("web:bind", "tree") => Target::Tree(value.parse().ok()?),
        ("web:bind", "ref") => Target::Ref(value.parse().ok()?),
        ("web:bind", "redirect") => Target::Redirect(value.clone()),
        _ => return None,
    };
    Some((name.clone(), target))
}

/// The words of a line, those of inner lists among them; the key without the colons at its end.
fn words(line: &str) -> Option<Vec<String>> {
    let config = Config::parse("metadata", line).ok()?;
    let [form] = config.forms() else { return None };
    let mut words = Vec::new();
    flatten(form, &mut words);
    let key = words.first_mut()?;
    key.truncate(key.trim_end_matches(':').len());
    Some(words)
}

fn flatten(form: &Form, words: &mut Vec<String>) {
    match &form.value {
        Value::List(items) => items.iter().for_each(|item| flatten(item, words)),
        _ => words.extend(form.as_word().map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "DDHdMB3Vn7ZsWBZeyQSd7AUpsdUaNK3q62LM8H3v51hi";
    const KEY: &str = "BTThPdHKF8XnEq4m6wzbKHKA6geLFK4ydYhBXAqBdHSP";

    #[test]
    fn content_is_described_by_plain_lines() {
        let site = Site::read(
            "file-name: \"a \"b\".html\"\nmime-type: \"text/html; charset=utf-8\"\ncontent-encoding:: gzip",
        );
        assert_eq!(site.file_name.as_deref(), Some("a \"b\".html"));
        assert_eq!(site.mime.as_deref(), Some("text/html; charset=utf-8"));
        assert_eq!(site.encoding.as_deref(), Some("gzip"));
        assert_eq!(site.redirect, None);
        assert_eq!(Site::read("(mime-type: \"text/css\")\n").mime.as_deref(), Some("text/css"));
    }

    #[test]
    fn parts_are_read_in_every_spelling() {
        let tree = Target::Tree(HASH.parse().unwrap());
        for line in [
            format!("web:bind a.css tree {HASH}"),
            format!("web:bind \"a.css\" tree \"{HASH}\""),
            format!("web:bind a.css (tree {HASH})"),
            format!("web:bind: a.css (tree \"{HASH}\")"),
            format!("(web:bind a.css (tree \"{HASH}\"))"),
            format!("web:bind: \"a.css tree {HASH}\""),
        ] {
            assert_eq!(Site::read(&line).part("a.css"), Some(&tree), "{line}");
        }
        let site =
            Site::read(&format!("web:bind me ref {KEY}\nweb:bind up redirect \"https://example.org/\"\n"));
        assert_eq!(site.part("me"), Some(&Target::Ref(KEY.parse().unwrap())));
        assert_eq!(site.part("up"), Some(&Target::Redirect("https://example.org/".into())));
        assert_eq!(site.part("other"), None);
    }

    #[test]
    fn root_and_redirect_are_read_with_and_without_a_colon() {
        for line in ["web:root: \"index\"", "web:root index", "webroot index", "(web:root index)"] {
            assert_eq!(Site::read(line).root.as_deref(), Some("index"), "{line}");
        }
        for line in ["web:redirect: \"/x\"", "web:redirect /x", "(web:redirect \"/x\")"] {
            assert_eq!(Site::read(line).redirect.as_deref(), Some("/x"), "{line}");
        }
    }

    #[test]
    fn what_is_not_understood_says_nothing() {
        for line in [
            "web:bind",
            "web:bind a tree nothing",
            "web:bind a blob x",
            "web:bind ((((",
            "web:binder a tree x",
        ] {
            assert_eq!(Site::read(line), Site::default(), "{line}");
        }
    }
}
