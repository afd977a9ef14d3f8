//! A text as lines of words: rules, policies, tables.
//!
//! `peer allow all` and `(peer allow "all")` are the same line. What the words mean is for the reader to say.

use crate::syntax::{Form, Place, SyntaxError, Value, parse};

/// Why a text is not lines of words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinesError {
    /// It cannot be read at all.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// A line has brackets within.
    #[error("{place}: a word is expected here, not a list")]
    Nested {
        /// Where.
        place: Place,
    },
}

/// The lines of a text. Numbers are words as they are written; strings have no quotes any more.
///
/// # Errors
/// The first thing that is wrong.
pub fn lines(text: &str) -> Result<Vec<Vec<String>>, LinesError> {
    let parsed = parse(text);
    if let Some(error) = parsed.errors.into_iter().next() {
        return Err(error.into());
    }
    let line = |form: &Form| match form.as_list() {
        Some(words) => words.iter().map(|word| word_of(text, word)).collect(),
        None => word_of(text, form).map(|word| vec![word]),
    };
    parsed.forms.iter().map(line).collect()
}

fn word_of(text: &str, form: &Form) -> Result<String, LinesError> {
    match &form.value {
        Value::List(_) => Err(LinesError::Nested { place: Place::of(text, form.span.start) }),
        Value::Text(word) | Value::Symbol(word) => Ok(word.clone()),
        Value::Integer(_) | Value::Real(_) | Value::Bool(_) => {
            Ok(text.get(form.span.start..form.span.end).unwrap_or_default().to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_and_quotes_around_a_line_do_not_matter() {
        let expected =
            vec![vec!["peer".to_owned(), "allow".into(), "all".into()], vec!["wait".into(), "10".into()]];
        assert_eq!(lines("(peer allow \"all\")\n; remark\nwait 10\n"), Ok(expected.clone()));
        assert_eq!(lines("peer allow all\n(wait 10)"), Ok(expected));
    }

    #[test]
    fn a_list_within_a_line_is_refused_with_its_place() {
        let error = lines("a\nb (c)").unwrap_err();
        assert!(error.to_string().starts_with("line 2"), "{error}");
        assert!(matches!(lines("(a"), Err(LinesError::Syntax(_))));
    }
}
