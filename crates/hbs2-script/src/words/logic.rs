//! True and false, and comparing.

use std::cmp::Ordering;

use crate::datum::Datum;
use crate::error::Raised;
use crate::machine::Machine;
use crate::word::{Args, Outcome, Word};

pub(super) fn words<W>() -> Vec<Word<W>> {
    vec![
        Word::form("and", "X…", |m, a| until(m, a, Datum::Bool(true), false))
            .brief("whether all are true")
            .text("Evaluates from left to right, up to the first that is false.")
            .returns("the last value, or the first false one")
            .example("(and #t (gt? 2 1))", "#t"),
        Word::form("or", "X…", |m, a| until(m, a, Datum::Bool(false), true))
            .brief("whether one is true")
            .text("Evaluates from left to right, up to the first that is true.")
            .returns("the first true value, or the last one")
            .example("(or #f 5)", "5"),
        Word::call("not", "X", |_, a| Ok(Datum::Bool(!a.at(0).is_true())))
            .also(&["false?"])
            .brief("whether a value is false")
            .returns("#t for #f and the empty list, otherwise #f")
            .example("(list (not 1) (not '()))", "(#f #t)"),
        Word::call("true?", "X", |_, a| Ok(Datum::Bool(a.at(0).is_true())))
            .brief("whether a value is true")
            .returns("#f for #f and the empty list, otherwise #t")
            .example("(true? 0)", "#t"),
        Word::call("nil?", "X", |_, a| Ok(Datum::Bool(matches!(a.at(0), Datum::Nil))))
            .brief("whether a value is the empty list")
            .returns("#t or #f")
            .example("(nil? (tail '(1)))", "#t"),
        Word::call("eq?", "A B", |m, a| compare(m, a, |order| order == Ordering::Equal))
            .also(&["is"])
            .brief("whether two values are equal")
            .text("A symbol and a string are never equal; numbers are compared as numbers.")
            .returns("#t or #f")
            .example("(list (eq? '(1 a) '(1 a)) (eq? a \"a\"))", "(#t #f)"),
        Word::call("le?", "A B", |m, a| compare(m, a, |order| order == Ordering::Less))
            .brief("whether A is less than B")
            .text("Numbers by value, symbols and strings letter by letter, lists item by item.")
            .returns("#t or #f")
            .example("(le? 1 2)", "#t"),
        Word::call("gt?", "A B", |m, a| compare(m, a, |order| order == Ordering::Greater))
            .brief("whether A is greater than B")
            .returns("#t or #f")
            .example("(gt? 1 2)", "#f"),
        Word::call("leq?", "A B", |m, a| compare(m, a, |order| order != Ordering::Greater))
            .brief("whether A is less than B or equal")
            .returns("#t or #f")
            .example("(leq? 2 2)", "#t"),
        Word::call("gte?", "A B", |m, a| compare(m, a, |order| order != Ordering::Less))
            .brief("whether A is greater than B or equal")
            .returns("#t or #f")
            .example("(gte? 2 2)", "#t"),
    ]
}

fn until<W>(m: &mut Machine<W>, a: Args<'_>, empty: Datum, stop: bool) -> Outcome {
    let mut value = empty;
    for form in a.all() {
        value = m.eval(form)?;
        if value.is_true() == stop {
            break;
        }
    }
    Ok(value)
}

fn compare<W>(m: &mut Machine<W>, a: Args<'_>, is: impl Fn(Ordering) -> bool) -> Outcome {
    let walk: Result<(), Raised> = a.all().iter().try_for_each(|value| m.walk(value));
    walk?;
    Ok(Datum::Bool(is(a.at(0).cmp(a.at(1)))))
}
