//! The text form of small secret or public things: comments, then base58 in lines of 60 (docs/spec/armour.md).
//!
//! Keyrings, group keys and sigils share it. The reader is as strict as the original's: lines end in `\n`
//! alone, nothing is trimmed, comments stand only before the body.

use zeroize::Zeroizing;

use crate::base58::{self, Base58Error};

/// Characters of base58 in one line of text.
const LINE_CHARS: usize = 60;

/// The text of `bytes` under `head`, without a newline at the end. It is wiped when dropped, because most of
/// what is armoured is secret.
#[must_use]
pub fn to_text(head: &str, bytes: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(base58::encode(bytes));
    // Room for all of it at once: a string that grows would leave copies behind.
    let mut text =
        Zeroizing::new(String::with_capacity(head.len() + body.len() + body.len() / LINE_CHARS + 1));
    text.push_str(head);
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(LINE_CHARS));
        text.push_str(line);
        if !more.is_empty() {
            text.push('\n');
        }
        rest = more;
    }
    text
}

/// The bytes in an armoured `text`: leading lines that are empty or start with `#` are dropped, then all empty
/// lines; the rest is one base58 text. A text without a body holds no bytes.
///
/// # Errors
/// A character that is not base58 (a space, a carriage return and a late comment count as such), or a body
/// that is too long.
pub fn parse(text: &str) -> Result<Zeroizing<Vec<u8>>, Base58Error> {
    let lines = || text.split('\n').skip_while(|line| line.is_empty() || line.starts_with('#'));
    let mut body = Zeroizing::new(String::with_capacity(lines().map(str::len).sum()));
    lines().for_each(|line| body.push_str(line));
    base58::decode(&body).map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&[u8]>) {
        assert_eq!(parse(text).ok().as_ref().map(|bytes| bytes.as_slice()), expected, "{text:?}");
    }

    #[test]
    fn comments_stand_before_the_body_only() {
        check("# a\n\n#b\n112\n", Some(&[0, 0, 1]));
        check("1\n\n12", Some(&[0, 0, 1]));
        check("11\n# a\n2", None);
        check("", Some(&[]));
    }

    #[test]
    fn nothing_is_trimmed() {
        check("# a\r\n112\r\n", None);
        check(" 112", None);
    }

    #[test]
    fn lines_have_sixty_characters() {
        let text = to_text("# head\n", &[0; 120]);
        assert_eq!(*text, format!("# head\n{0}\n{0}", "1".repeat(60)));
        check(&text, Some(&[0; 120]));
    }
}
