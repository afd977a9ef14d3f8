//! Binding names and making functions.

use crate::datum::{Datum, FunctionKind, Text};
use crate::error::Raised;
use crate::machine::Machine;
use crate::word::{Args, Outcome, Word};

pub(super) fn words<W>() -> Vec<Word<W>> {
    vec![
        Word::form("define", "NAME VALUE…", define)
            .also(&["local"])
            .brief("bind a name to a value, or make a named function")
            .text(
                "(define NAME VALUE) binds the name. (define (NAME ARG…) BODY…) makes a function; a dot before \
                 the last argument collects the rest. What is bound inside a call is undone at its end.",
            )
            .returns("nil")
            .example("(begin (define x 5) (inc x))", "6")
            .example("(begin (define (twice f x) (f (f x))) (twice inc 1))", "3")
            .example("(begin (define (rest a . more) more) (rest 1 2 3))", "(2 3)"),
        Word::form("set!", "NAME VALUE", define)
            .brief("bind a name to another value")
            .returns("nil")
            .example("(begin (local x 1) (set! x 2) x)", "2"),
        Word::form("lambda", "ARGS BODY…", lambda)
            .brief("a function")
            .text("ARGS is a list of names; a dot before the last one collects the rest.")
            .returns("a function")
            .example("((lambda (a b) (list b a)) 1 2)", "(2 1)")
            .example("(map (lambda (x . _) (inc x)) (list 1 2))", "(2 3)"),
        Word::form("fn", "ARGS… BODY", short)
            .brief("a function, in short")
            .text(
                "(fn N BODY) names its N arguments _1, _2 and so on. (fn a b . BODY) names them, and (fn a b BODY) \
                 is the same when the body is a list.",
            )
            .returns("a function")
            .example("(map (fn 1 (inc _1)) (list 1 2))", "(2 3)")
            .example("(map (fn x . (inc x)) (list 1 2))", "(2 3)"),
        Word::form("fn1", "BODY", |m, a| {
            let params = numbered(m, 1)?;
            make(m, params, None, a.all(), false)
        })
            .brief("a function of one argument that is named _1")
            .returns("a function")
            .example("(map (fn1 (list _1 _1)) (list 1 2))", "((1 1) (2 2))"),
        Word::form("define-macro", "HEAD BODY…", define_macro)
            .brief("make a function whose result is evaluated again")
            .text("HEAD is (NAME ARG…), as in define. The arguments are evaluated before.")
            .returns("nil")
            .example("(begin (define-macro (swap a b) `(list ,b ,a)) (swap 1 2))", "(2 1)"),
        Word::form("bound?", "NAME", bound)
            .brief("whether a name is bound or is a word")
            .returns("#t or #f")
            .example("(list (bound? head) (bound? nobody))", "(#t #f)"),
        Word::form("begin", "FORM…", |m, a| m.eval_all(a.all()))
            .brief("evaluate in order")
            .returns("the last value")
            .example("(begin 1 2 3)", "3"),
    ]
}

fn define<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    const USAGE: &str = "(define NAME VALUE) or (define (NAME ARG…) BODY…)";
    let (head, body) = a.all().split_first().ok_or_else(|| a.bad(USAGE))?;
    match (head, body) {
        (Datum::Symbol(name), [value]) => {
            let value = m.eval(value)?;
            m.define(name, value)?;
        }
        (Datum::List(_), [_, ..]) => {
            let (name, function) = named(m, &a, head, body, false, USAGE)?;
            m.define(&name, function)?;
        }
        _ => return Err(a.bad(USAGE)),
    }
    Ok(Datum::Nil)
}

fn define_macro<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    const USAGE: &str = "(define-macro (NAME ARG…) BODY…)";
    let (head, body) = a.all().split_first().ok_or_else(|| a.bad(USAGE))?;
    let (name, function) = named(m, &a, head, body, true, USAGE)?;
    m.define(&name, function)?;
    Ok(Datum::Nil)
}

fn named<W>(
    m: &mut Machine<W>,
    a: &Args<'_>,
    head: &Datum,
    body: &[Datum],
    is_macro: bool,
    usage: &'static str,
) -> Result<(Text, Datum), Raised> {
    match head.as_list() {
        Some([Datum::Symbol(name), params @ ..]) if !body.is_empty() => {
            let (params, rest) = parameters(params).ok_or_else(|| a.bad(usage))?;
            Ok((name.clone(), make(m, params, rest, body, is_macro)?))
        }
        _ => Err(a.bad(usage)),
    }
}

fn lambda<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    const USAGE: &str = "(lambda (ARG…) BODY…)";
    let (head, body) = a.all().split_first().ok_or_else(|| a.bad(USAGE))?;
    let params = head.as_list().and_then(parameters);
    match (params, body) {
        (Some((params, rest)), [_, ..]) => make(m, params, rest, body, false),
        _ => Err(a.bad(USAGE)),
    }
}

fn short<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    const USAGE: &str = "(fn N BODY) or (fn ARG… . BODY)";
    let is_dot = |datum: &Datum| datum.as_symbol() == Some(".");
    match a.all() {
        [Datum::Int(count), body @ ..] if !body.is_empty() => {
            let count = usize::try_from(*count).ok().filter(|count| *count <= NUMBERED_MAX);
            let params = numbered(m, count.ok_or_else(|| a.bad(USAGE))?)?;
            make(m, params, None, body, false)
        }
        [head @ (Datum::List(_) | Datum::Nil), body @ ..] if !body.is_empty() => {
            let (params, rest) = head.as_list().and_then(parameters).ok_or_else(|| a.bad(USAGE))?;
            make(m, params, rest, body, false)
        }
        all => {
            let dot = all.iter().position(is_dot);
            let (params, body) = match dot {
                Some(at) => (&all[..at], &all[at + 1..]),
                None => all.split_at(all.len().saturating_sub(1)),
            };
            match parameters(params) {
                Some((params, None)) if !body.is_empty() => make(m, params, None, body, false),
                _ => Err(a.bad(USAGE)),
            }
        }
    }
}

fn bound<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    let name = a.word_at(0)?;
    Ok(Datum::Bool(m.bound(name).is_some() || m.word(name).is_some()))
}

/// Arguments of `(fn N BODY)`, at most. Nobody counts further by hand.
const NUMBERED_MAX: usize = 32;

fn numbered<W>(m: &mut Machine<W>, count: usize) -> Result<Vec<Text>, Raised> {
    let name = |number| match m.symbol(format!("_{number}"))? {
        Datum::Symbol(name) => Ok(name),
        _ => unreachable!("a symbol was asked for"),
    };
    (1..=count).map(name).collect()
}

/// Names, and after a dot the name of the rest.
fn parameters(names: &[Datum]) -> Option<(Vec<Text>, Option<Text>)> {
    let name = |datum: &Datum| match datum {
        Datum::Symbol(name) => Some(name.clone()),
        _ => None,
    };
    let (names, rest) = match names {
        [before @ .., Datum::Symbol(dot), rest] if &**dot == "." => (before, Some(name(rest)?)),
        _ => (names, None),
    };
    Some((names.iter().map(name).collect::<Option<_>>()?, rest))
}

fn make<W>(
    m: &mut Machine<W>,
    params: Vec<Text>,
    rest: Option<Text>,
    body: &[Datum],
    is_macro: bool,
) -> Outcome {
    m.function(FunctionKind::Lambda { params, rest, body: body.to_vec(), is_macro })
}
