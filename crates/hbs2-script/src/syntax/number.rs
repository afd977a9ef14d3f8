//! Which words are numbers.

use super::{Fault, Value};

/// The number a word is, if it is one.
pub(super) fn number(word: &str) -> Option<Result<Value, Fault>> {
    let (negative, digits) = match word.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    let (radix, digits) = match digits.get(..2) {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        _ => (10, digits),
    };
    if !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix)) {
        let number = i128::from_str_radix(digits, radix).map_err(|_| Fault::TooLarge);
        return Some(number.map(|n| Value::Integer(if negative { -n } else { n })));
    }
    is_real(word)
        .then(|| word.parse::<f64>().ok().filter(|n| n.is_finite()))
        .flatten()
        .map(|n| Ok(Value::Real(n)))
}

/// `[+-] digits [. digits] [e [+-] digits]`, the whole word.
fn is_real(word: &str) -> bool {
    fn digits(text: &str) -> Option<&str> {
        let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
        (rest.len() < text.len()).then_some(rest)
    }
    let Some(mut rest) = digits(word.strip_prefix(['+', '-']).unwrap_or(word)) else { return false };
    if let Some(fraction) = rest.strip_prefix('.') {
        match digits(fraction) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        match digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.is_empty()
}
