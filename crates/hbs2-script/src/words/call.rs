//! Calling functions, and joining them.

use crate::datum::{Datum, FunctionKind};
use crate::error::Fault;
use crate::machine::Machine;
use crate::word::{Args, Outcome, Word};

pub(super) fn words<W>() -> Vec<Word<W>> {
    vec![
        Word::call("apply", "F L", |m, a| m.apply(a.at(0), a.list_at(1)?))
            .brief("call a function with the items of a list")
            .returns("what F gives")
            .example("(apply list '(1 2))", "(1 2)"),
        Word::call("@", "F… [X]", chain)
            .brief("call functions one after another, the last one first")
            .text("(@ f g x) is (f (g x)). When the last argument is a function too, the result is a function.")
            .returns("a value or a function")
            .example("(@ head reverse '(1 2 3))", "3")
            .example("(map (@ inc inc) '(1 2))", "(3 4)"),
        Word::call("id", "X", |_, a| Ok(a.at(0).clone()))
            .brief("the value itself")
            .returns("X")
            .example("(id 5)", "5"),
        Word::call("void", "X…", |_, _| Ok(Datum::Nil)).brief("evaluate, and forget the values").returns("nil"),
        Word::call("curry", "F X…", |m, a| partial(m, a, false))
            .brief("a function that has its first arguments already")
            .returns("a function")
            .example("(map (curry list 1) '(2 3))", "((1 2) (1 3))"),
        Word::call("rcurry", "F X…", |m, a| partial(m, a, true))
            .brief("a function that has its last arguments already")
            .returns("a function")
            .example("(map (rcurry list 1) '(2 3))", "((2 1) (3 1))"),
        Word::form("fallback", "DEFAULT FORM", fallback)
            .brief("a value for the case that an evaluation fails")
            .text(
                "A quoted FORM is evaluated too. What exceeds the limits of an evaluation is not caught, nor is \
                 the end of the program.",
            )
            .returns("the value of FORM, or that of DEFAULT when it fails")
            .example("(fallback 0 '(int \"five\"))", "0")
            .example("(fallback 0 '(int \"5\"))", "5"),
        Word::call("die", "X…", die)
            .brief("end the program with a message on stderr and exit code 1")
            .returns("nothing"),
        Word::call("quit", "[N]", quit)
            .also(&["exit"])
            .brief("end the program with exit code N, or 0")
            .returns("nothing"),
    ]
}

fn chain<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    match a.all() {
        [functions @ .., value] if !value.is_function() => {
            functions.iter().rev().try_fold(value.clone(), |value, function| m.apply(function, &[value]))
        }
        functions => m.function(FunctionKind::Chain(functions.to_vec())),
    }
}

fn partial<W>(m: &mut Machine<W>, a: Args<'_>, last: bool) -> Outcome {
    let (function, given) = a.all().split_first().ok_or_else(|| a.wrong(0, "a function"))?;
    if !function.is_function() {
        return Err(a.wrong(0, "a function"));
    }
    m.function(FunctionKind::Partial { function: function.clone(), given: given.to_vec(), last })
}

fn fallback<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    let is_call = match a.at(1).as_list() {
        Some([Datum::Symbol(name), ..]) => !matches!(&**name, "'" | "`" | "quot" | "quasiquot"),
        Some([]) | None => false,
        Some(_) => true,
    };
    let value = m.eval(a.at(1)).and_then(|value| if is_call { Ok(value) } else { m.eval(&value) });
    match value {
        Err(raised) if raised.fault().may_be_caught() => m.eval(a.at(0)),
        other => other,
    }
}

fn die<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    for value in a.all() {
        m.walk(value)?;
    }
    let message = a.all().iter().map(Datum::display).collect::<Vec<_>>().join(" ");
    Err(Fault::Died(message).into())
}

fn quit<W>(_: &mut Machine<W>, a: Args<'_>) -> Outcome {
    let code = match a.get(0) {
        None => 0,
        Some(_) => u8::try_from(a.int_at(0)?).map_err(|_| a.wrong(0, "a number from 0 to 255"))?,
    };
    Err(Fault::Quit(code).into())
}
