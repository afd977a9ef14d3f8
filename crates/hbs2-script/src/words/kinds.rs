//! What a value is, and making one kind from another.

use crate::datum::Datum;
use crate::machine::Machine;
use crate::word::{Args, Outcome, Run, Word};

pub(super) fn words<W>() -> Vec<Word<W>> {
    let is = |name: &'static str, brief: &'static str, run: Run<W>, program: &'static str| {
        Word::call(name, "X", run).brief(brief).returns("#t or #f").example(program, "(#t #f)")
    };
    vec![
        Word::call("type", "X", |m, a| m.symbol(a.at(0).kind()))
            .brief("the kind of a value")
            .returns("list, symbol, string, int, real, bool, bytes or function")
            .example("(map type (list 1 1.5 \"a\" 'a #t '()))", "(int real string symbol bool list)"),
        is(
            "int?",
            "whether it is a whole number",
            |_, a| Ok(Datum::Bool(matches!(a.at(0), Datum::Int(_)))),
            "(map int? '(1 1.5))",
        ),
        is(
            "real?",
            "whether it is a number with a fraction",
            |_, a| Ok(Datum::Bool(matches!(a.at(0), Datum::Real(_)))),
            "(map real? '(1.5 1))",
        ),
        is(
            "str?",
            "whether it is a string",
            |_, a| Ok(Datum::Bool(matches!(a.at(0), Datum::Text(_)))),
            "(map str? '(\"a\" b))",
        ),
        is(
            "sym?",
            "whether it is a symbol",
            |_, a| Ok(Datum::Bool(matches!(a.at(0), Datum::Symbol(_)))),
            "(map sym? '(a \"b\"))",
        ),
        is(
            "bool?",
            "whether it is #t or #f",
            |_, a| Ok(Datum::Bool(matches!(a.at(0), Datum::Bool(_)))),
            "(map bool? '(#f 1))",
        ),
        is(
            "list?",
            "whether it is a list",
            |_, a| Ok(Datum::Bool(a.at(0).as_list().is_some())),
            "(map list? '(() 1))",
        ),
        Word::call("str", "X…", str)
            .brief("values as one string, each as it is displayed")
            .returns("a string")
            .example("(str a 1 \"b\" '(c \"d\"))", "a1b(c \"d\")"),
        Word::call("sym", "X", sym)
            .also(&["atom"])
            .brief("a symbol with the letters of a value")
            .returns("a symbol")
            .example("(type (sym \"a\"))", "symbol"),
    ]
}

fn str<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    let mut text = String::new();
    for value in a.all() {
        m.walk(value)?;
        m.room(text.len())?;
        text.push_str(&value.display());
    }
    m.text(text)
}

fn sym<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    m.walk(a.at(0))?;
    m.symbol(a.at(0).display())
}
