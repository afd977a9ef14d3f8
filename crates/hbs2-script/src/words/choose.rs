//! Conditions and matching.

use super::pattern;
use crate::datum::Datum;
use crate::machine::Machine;
use crate::word::{Args, Outcome, Word};

pub(super) fn words<W>() -> Vec<Word<W>> {
    vec![
        Word::form("if", "C A [B]", |m, a| {
            let truth = m.eval(a.at(0))?.is_true();
            let chosen = if truth { Some(a.at(1)) } else { a.get(2) };
            chosen.map_or(Ok(Datum::Nil), |form| m.eval(form))
        })
        .brief("one of two forms")
        .text("Only #f and the empty list are false.")
        .returns("the value of A when C is true, otherwise that of B or nil")
        .example("(if (gt? 2 1) yes no)", "yes"),
        Word::form("unless", "C A…", |m, a| match m.eval(a.at(0))?.is_true() {
            true => Ok(Datum::Nil),
            false => m.eval_all(&a.all()[1..]),
        })
        .brief("forms that are evaluated when C is false")
        .returns("the last value, or nil")
        .example("(unless #f 1)", "1"),
        Word::form("when", "C A…", |m, a| match m.eval(a.at(0))?.is_true() {
            true => m.eval_all(&a.all()[1..]),
            false => Ok(Datum::Nil),
        })
        .brief("forms that are evaluated when C is true")
        .returns("the last value, or nil")
        .example("(when #t 1)", "1"),
        Word::form("cond", "CLAUSE…", cond)
            .brief("the first of several forms whose condition is true")
            .text("A clause is (CONDITION FORM…). The condition _ is always true.")
            .returns("the value of the clause, or nil when none is true")
            .example("(cond ((gt? 1 2) a) ((gt? 2 1) b) (_ c))", "b"),
        Word::form("match", "X CLAUSE…", matching)
            .brief("the first of several forms whose pattern fits a value")
            .text(
                "A clause is (PATTERN FORM…). Patterns: _ fits everything; a name fits everything and is bound to \
                 it; a number, string or truth value fits its equal, 'x the symbol x; [int? P], [str? P], \
                 [real? P], [bool? P] fit a value of that kind that fits P; [sym? x] fits the symbol x, [sym? _] \
                 every symbol; [? name P] fits what P fits and binds it; (list? P Q) fits a list of two items, \
                 and ... or . rest at its end binds the other items.",
            )
            .returns("the value of the clause; no pattern that fits is an error")
            .example("(match '(1 2 3) ((list? [int? a] . rest) rest) (_ none))", "(2 3)")
            .example("(match 'x ([sym? y] 1) ([? it [sym? _]] it))", "x"),
        Word::call("matched?", "F X", matched)
            .brief("whether a value fits")
            .text("F is a function that gives true or false, or a quoted pattern as in match. A failure is #f.")
            .returns("#t or #f")
            .example("(matched? '(list? [int? _] _) '(1 a))", "#t")
            .example("(matched? int? a)", "#f"),
        Word::form("coalesce", "X…", |m, a| {
            for form in a.all() {
                let value = m.eval(form)?;
                if value != Datum::Nil {
                    return Ok(value);
                }
            }
            Ok(Datum::Nil)
        })
        .also(&["nvl"])
        .brief("the first value that is not nil")
        .returns("a value; nil when all are")
        .example("(coalesce (head '()) 5)", "5"),
    ]
}

fn cond<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    for clause in a.all() {
        let Some((condition, forms)) = clause.as_list().and_then(<[_]>::split_first) else {
            return Err(a.bad("(cond (CONDITION FORM…)…)"));
        };
        if condition.as_symbol() == Some("_") || m.eval(condition)?.is_true() {
            return m.eval_all(forms);
        }
    }
    Ok(Datum::Nil)
}

fn matching<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    let value = m.eval(a.at(0))?;
    for clause in &a.all()[1..] {
        let Some((wanted, forms)) = clause.as_list().and_then(<[_]>::split_first) else {
            return Err(a.bad("(match X (PATTERN FORM…)…)"));
        };
        let mut found = Vec::new();
        if pattern::fits(m, wanted, &value, &mut found)? {
            return m.within(found, forms);
        }
    }
    Err(a.wrong(0, "a value that fits one of the patterns"))
}

fn matched<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    let fits = match a.at(0).is_function() {
        true => m.apply(a.at(0), &a.all()[1..]).map(|value| value.is_true()),
        false => pattern::fits(m, a.at(0), a.at(1), &mut Vec::new()),
    };
    match fits {
        Ok(fits) => Ok(Datum::Bool(fits)),
        Err(raised) if raised.fault().may_be_caught() => Ok(Datum::Bool(false)),
        Err(raised) => Err(raised),
    }
}
