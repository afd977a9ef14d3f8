//! The metadata text of annotated trees: lines `key: "value"` (docs/spec/tree.md).

/// The text of `pairs` in the given order: one line each, no newline at the end. Values stand as they are,
/// without escapes, as in the original.
#[must_use]
pub fn text<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    pairs.into_iter().map(|(key, value)| format!("{key}: \"{value}\"")).collect::<Vec<_>>().join("\n")
}

/// The value of the first line of `text` that has `key`. Both `key: "value"` and `key: value` are read, and so is
/// the doubled colon that some writers leave.
#[must_use]
pub fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let rest = line.trim().strip_prefix(key)?.strip_prefix(':')?;
        let rest = rest.strip_prefix(':').unwrap_or(rest).trim();
        Some(rest.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(rest))
    })
}

/// The text that `store --short-meta-base58` makes of raw bytes: each byte is one Latin-1 character.
#[must_use]
pub fn from_latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_line_for_each_pair() {
        let pairs = [("file-name", "a \"b\".txt"), ("mime-type", "text/plain")];
        let whole = text(pairs);
        assert_eq!(whole, "file-name: \"a \"b\".txt\"\nmime-type: \"text/plain\"");
        for (key, expected) in pairs {
            assert_eq!(value(&whole, key), Some(expected));
        }
        assert_eq!(value(&whole, "file"), None);
        assert_eq!(text([]), "");
    }

    #[test]
    fn a_doubled_colon_and_a_bare_value_are_read() {
        assert_eq!(value("file-name:: \"x\"", "file-name"), Some("x"));
        assert_eq!(value("size: 7", "size"), Some("7"));
    }

    #[test]
    fn bytes_above_127_become_two_bytes_of_utf8() {
        assert_eq!(from_latin1(b"caf\xe9"), "café");
    }
}
