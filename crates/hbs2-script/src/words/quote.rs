//! Forms as values.

use crate::datum::Datum;
use crate::error::Raised;
use crate::machine::Machine;
use crate::word::{Args, Outcome, Word};

pub(super) fn words<W>() -> Vec<Word<W>> {
    vec![
        Word::form("quot", "X", quote)
            .also(&["'"])
            .brief("the form as it is written, in short 'X")
            .text("A quoted string is a symbol.")
            .returns("the form")
            .example("'(a (b 1))", "(a (b 1))")
            .example("(type '\"a b\")", "symbol"),
        Word::form("quasiquot", "X", |m, a| quasi(m, a.at(0), 1))
            .also(&["`"])
            .brief("the form as it is written, in short `X, but for what is marked")
            .text("Within it ,X is the value of X, and ,@X the items of the list that is the value of X.")
            .returns("the form")
            .example("(begin (local x 1) (local l '(2 3)) `(x ,x ,@l))", "(x 1 2 3)"),
        Word::form(",", "X", outside).brief("the value of X within a quasi-quotation").returns("the value"),
        Word::form(",@", "X", outside)
            .brief("the items of the value of X within a quasi-quotation")
            .returns("the items"),
        Word::call("eval", "X…", |m, a| m.eval_all(a.all()))
            .brief("evaluate a value as a form")
            .returns("the value of the last form")
            .example("(eval '(inc 1))", "2"),
    ]
}

fn quote<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    match a.at(0) {
        Datum::Text(text) => m.symbol(&**text),
        other => Ok(other.clone()),
    }
}

fn outside<W>(_: &mut Machine<W>, a: Args<'_>) -> Outcome {
    Err(a.bad("`(… ,X ,@X …): it has a meaning within a quasi-quotation only"))
}

/// `depth` is the number of quasi-quotations around.
fn quasi<W>(m: &mut Machine<W>, form: &Datum, depth: usize) -> Outcome {
    let Datum::List(list) = form else { return Ok(form.clone()) };
    if let [Datum::Symbol(sign), inner] = list.items() {
        match (&**sign, depth) {
            ("," | ",@", 1) => return m.eval(inner),
            ("," | ",@", _) => return rebuild(m, list.items(), depth - 1),
            ("`" | "quasiquot", _) => return rebuild(m, list.items(), depth + 1),
            _ => {}
        }
    }
    rebuild(m, list.items(), depth)
}

fn rebuild<W>(m: &mut Machine<W>, items: &[Datum], depth: usize) -> Outcome {
    m.pay(1)?;
    let mut built = Vec::with_capacity(items.len());
    for item in items {
        match spliced(item).filter(|_| depth == 1) {
            Some(inner) => built.extend(splice(m, inner)?),
            None => built.push(quasi(m, item, depth)?),
        }
    }
    m.list(built)
}

fn spliced(item: &Datum) -> Option<&Datum> {
    match item.as_list()? {
        [Datum::Symbol(sign), inner] if &**sign == ",@" => Some(inner),
        _ => None,
    }
}

fn splice<W>(m: &mut Machine<W>, inner: &Datum) -> Result<Vec<Datum>, Raised> {
    let value = m.eval(inner)?;
    Ok(value.as_list().map_or_else(|| vec![value.clone()], <[Datum]>::to_vec))
}
