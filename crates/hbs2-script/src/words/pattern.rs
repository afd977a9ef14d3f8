//! Whether a value fits a pattern, and what the names of the pattern stand for.

use crate::datum::{Datum, Text};
use crate::error::{Fault, Raised};
use crate::machine::Machine;

/// Adds the names of `pattern` and what they stand for to `found` when `value` fits.
pub(super) fn fits<W>(
    m: &mut Machine<W>,
    pattern: &Datum,
    value: &Datum,
    found: &mut Vec<(Text, Datum)>,
) -> Result<bool, Raised> {
    m.pay(1)?;
    let items = match pattern {
        Datum::Symbol(name) => {
            if &**name != "_" {
                found.push((name.clone(), value.clone()));
            }
            return Ok(true);
        }
        Datum::List(list) => list.items(),
        literal => return Ok(literal == value),
    };
    let Some((Datum::Symbol(head), inner)) = items.split_first() else { return Err(unknown(pattern)) };
    match (&**head, inner) {
        ("'" | "quot", [literal]) => Ok(literal == value),
        ("?", [Datum::Symbol(name), inner]) => {
            found.push((name.clone(), value.clone()));
            fits(m, inner, value, found)
        }
        ("sym?", [Datum::Symbol(name)]) => match value {
            Datum::Symbol(symbol) => Ok(&**name == "_" || name == symbol),
            Datum::Word(word) => Ok(&**name == "_" || &**name == word.name()),
            _ => Ok(false),
        },
        ("list?", inner) => match value.as_list() {
            Some(values) => items_fit(m, inner, values, found),
            None => Ok(false),
        },
        (kind, [inner]) => match kind_fits(kind, value) {
            Some(true) => fits(m, inner, value, found),
            Some(false) => Ok(false),
            None => Err(unknown(pattern)),
        },
        _ => Err(unknown(pattern)),
    }
}

fn items_fit<W>(
    m: &mut Machine<W>,
    patterns: &[Datum],
    values: &[Datum],
    found: &mut Vec<(Text, Datum)>,
) -> Result<bool, Raised> {
    let is = |datum: &Datum, name: &str| datum.as_symbol() == Some(name);
    let (patterns, rest) = match patterns {
        [before @ .., dots @ Datum::Symbol(name)] if is(dots, "...") => (before, Some(name)),
        [before @ .., dot, Datum::Symbol(name)] if is(dot, ".") => (before, Some(name)),
        _ => (patterns, None),
    };
    let count_fits = match rest {
        Some(_) => values.len() >= patterns.len(),
        None => values.len() == patterns.len(),
    };
    if !count_fits {
        return Ok(false);
    }
    for (pattern, value) in patterns.iter().zip(values) {
        if !fits(m, pattern, value, found)? {
            return Ok(false);
        }
    }
    if let Some(name) = rest {
        let others = m.list(values[patterns.len()..].to_vec())?;
        found.push((name.clone(), others));
    }
    Ok(true)
}

fn kind_fits(kind: &str, value: &Datum) -> Option<bool> {
    Some(match kind {
        "int?" => matches!(value, Datum::Int(_)),
        "str?" => matches!(value, Datum::Text(_)),
        "real?" => matches!(value, Datum::Real(_)),
        "bool?" => matches!(value, Datum::Bool(_)),
        "sym?" => matches!(value, Datum::Symbol(_)),
        _ => return None,
    })
}

fn unknown(pattern: &Datum) -> Raised {
    Fault::failed(format!("{} is not a pattern", crate::word::summary(pattern))).into()
}
