//! Writing forms (spec: cli 2.6).
//!
//! A list stands on one line when it fits [`WIDTH_COLUMNS`], otherwise every item after the first has a line
//! of its own, one column further in than the bracket. Reading what was written gives the same forms.

use std::fmt;

use crate::syntax::{Form, Value};

/// Width of a printed line, in columns.
pub const WIDTH_COLUMNS: usize = 80;

/// The form, pretty printed, no newline at the end.
#[must_use]
pub fn print(form: &Form) -> String {
    let mut out = String::new();
    pretty(form, 0, 0, &mut out);
    out
}

/// All forms, each on lines of its own.
#[must_use]
pub fn print_all(forms: &[Form]) -> String {
    forms.iter().map(|form| print(form) + "\n").collect()
}

/// `text` as a string in double quotes.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// On one line, whatever its length.
impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// On one line, whatever its length.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Symbol(name) => f.write_str(name),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Integer(number) => write!(f, "{number}"),
            // The debug form always has a point or an exponent, so it is read as a real again.
            Self::Real(number) => write!(f, "{number:?}"),
            Self::Bool(true) => f.write_str("#t"),
            Self::Bool(false) => f.write_str("#f"),
            Self::List(items) => {
                if let Some((sign, item)) = quotation(items) {
                    return write!(f, "{sign}{item}");
                }
                f.write_str("(")?;
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        f.write_str(" ")?;
                    }
                    item.fmt(f)?;
                }
                f.write_str(")")
            }
        }
    }
}

/// Writes `form` starting in column `column`; `closing` brackets will follow on its last line.
fn pretty(form: &Form, column: usize, closing: usize, out: &mut String) {
    let flat = form.to_string();
    let items = match &form.value {
        Value::List(items) if column + flat.chars().count() + closing > WIDTH_COLUMNS => items,
        _ => return out.push_str(&flat),
    };
    if let Some((sign, item)) = quotation(items) {
        out.push_str(sign);
        return pretty(item, column + sign.len(), closing, out);
    }
    out.push('(');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', column + 1));
        }
        let last = i + 1 == items.len();
        pretty(item, column + 1, if last { closing + 1 } else { 0 }, out);
    }
    out.push(')');
}

/// The quote sign and what it quotes, when the items are a quotation.
fn quotation(items: &[Form]) -> Option<(&str, &Form)> {
    let [sign, item] = items else { return None };
    match (sign.as_symbol()?, item.as_symbol()) {
        // `,` before `@x` would be read as `,@` before `x`.
        (",", Some(name)) if name.starts_with('@') => Some((", ", item)),
        (sign @ ("'" | "`" | "," | ",@"), _) => Some((sign, item)),
        _ => None,
    }
}
