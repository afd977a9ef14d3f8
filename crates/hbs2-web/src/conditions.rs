//! What a request with an entity tag or a range gets (RFC 9110, sections 13 and 14).
//!
//! Everything that is served is named by its hash, so the hash is its entity tag, and a strong one.

use axum::http::{HeaderMap, HeaderName, header};
use hbs2_core::Hash;

/// What the conditions of a request come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Answer.
    Go,
    /// The client has it already.
    Unchanged,
    /// The client wants something else than what is here.
    Failed,
}

/// The entity tag of what has this hash.
pub(crate) fn tag(hash: &Hash) -> String {
    format!("\"{hash}\"")
}

/// Whether the request wants what has this tag.
pub(crate) fn verdict(headers: &HeaderMap, tag: &str) -> Verdict {
    if lists(headers, &header::IF_MATCH).is_some_and(|mut tags| !tags.any(|one| one == "*" || one == tag)) {
        return Verdict::Failed;
    }
    // Weak tags count here: what a proxy has packed anew is still the same to us.
    let known = |one: &str| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag;
    let has = lists(headers, &header::IF_NONE_MATCH).is_some_and(|mut tags| tags.any(known));
    if has { Verdict::Unchanged } else { Verdict::Go }
}

/// The items of a header that is a list; none without the header.
fn lists<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<impl Iterator<Item = &'h str>> {
    headers.contains_key(name).then(|| {
        let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        lines.flat_map(|line| line.split(',')).map(str::trim)
    })
}

/// Which bytes a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    /// All of them.
    Whole,
    /// Those from `from` on and before `to`, one at least.
    Part {
        /// Offset of the first byte.
        from: u64,
        /// Offset of the byte after the last one.
        to: u64,
    },
    /// Some that are not there.
    Outside,
}

/// Which of `bytes` bytes with this tag the request wants. Several ranges in one request, and what cannot be
/// understood, are answered with everything, as the RFC allows.
pub(crate) fn span(headers: &HeaderMap, tag: &str, bytes: u64) -> Span {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let fresh = text(header::IF_RANGE).is_none_or(|known| known.trim() == tag);
    let range = text(header::RANGE).and_then(|range| range.trim().strip_prefix("bytes="));
    match range {
        Some(range) if fresh => part(range.trim(), bytes).unwrap_or(Span::Whole),
        _ => Span::Whole,
    }
}

/// One range, if it is one.
fn part(range: &str, bytes: u64) -> Option<Span> {
    let (first, last) = range.split_once('-')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A number too large for us is larger than anything that is served.
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let (from, to) = if first.is_empty() {
        let count = number(last)?;
        (bytes.saturating_sub(count), if count == 0 { 0 } else { bytes })
    } else {
        let from = number(first)?;
        let last = if last.is_empty() { u64::MAX } else { number(last)? };
        if last < from {
            return None;
        }
        (from, last.saturating_add(1).min(bytes))
    };
    Some(if from < to { Span::Part { from, to } } else { Span::Outside })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const TAG: &str = "\"abc\"";

    fn headers(lines: &[(HeaderName, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_client_that_names_the_tag_has_it_already() {
        for (line, expected) in [
            ("\"abc\"", Verdict::Unchanged),
            ("W/\"abc\"", Verdict::Unchanged),
            ("\"x\", \"abc\"", Verdict::Unchanged),
            ("*", Verdict::Unchanged),
            ("\"x\"", Verdict::Go),
            ("abc", Verdict::Go),
        ] {
            assert_eq!(verdict(&headers(&[(header::IF_NONE_MATCH, line)]), TAG), expected, "{line}");
        }
        assert_eq!(verdict(&HeaderMap::new(), TAG), Verdict::Go);
    }

    #[test]
    fn a_client_that_wants_another_tag_gets_nothing() {
        for (line, expected) in [
            ("\"abc\"", Verdict::Go),
            ("*", Verdict::Go),
            ("\"x\"", Verdict::Failed),
            ("W/\"abc\"", Verdict::Failed),
        ] {
            assert_eq!(verdict(&headers(&[(header::IF_MATCH, line)]), TAG), expected, "{line}");
        }
    }

    #[test]
    fn one_range_is_cut_to_what_is_there() {
        let part = |from, to| Span::Part { from, to };
        for (line, expected) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=2-5", part(2, 6)),
            ("bytes=2-", part(2, 10)),
            ("bytes=2-99999999999999999999999", part(2, 10)),
            ("bytes=-3", part(7, 10)),
            ("bytes=-99", part(0, 10)),
            ("bytes=10-", Span::Outside),
            ("bytes=99999999999999999999999-", Span::Outside),
            ("bytes=-0", Span::Outside),
            ("bytes=5-2", Span::Whole),
            ("bytes=-", Span::Whole),
            ("bytes=+1-2", Span::Whole),
            ("bytes=0-1,4-5", Span::Whole),
            ("lines=0-1", Span::Whole),
        ] {
            assert_eq!(span(&headers(&[(header::RANGE, line)]), TAG, 10), expected, "{line}");
        }
        assert_eq!(span(&headers(&[(header::RANGE, "bytes=0-")]), TAG, 0), Span::Outside);
        assert_eq!(span(&HeaderMap::new(), TAG, 10), Span::Whole);
    }

    #[test]
    fn a_range_of_another_version_gets_the_whole() {
        let range = |tag| headers(&[(header::RANGE, "bytes=0-0"), (header::IF_RANGE, tag)]);
        assert_eq!(span(&range("\"abc\""), TAG, 10), Span::Part { from: 0, to: 1 });
        for other in ["\"x\"", "W/\"abc\"", "Sun, 22 Nov 2026 10:00:00 GMT"] {
            assert_eq!(span(&range(other), TAG, 10), Span::Whole, "{other}");
        }
    }
}
