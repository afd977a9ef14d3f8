//! Numbers.

use crate::datum::Datum;
use crate::error::{Fault, Raised};
use crate::machine::Machine;
use crate::syntax;
use crate::word::{Args, Outcome, Run, Word};

pub(super) fn words<W>() -> Vec<Word<W>> {
    let round =
        |name: &'static str, brief: &'static str, run: Run<W>, program: &'static str, shown: &'static str| {
            Word::call(name, "X", run).brief(brief).returns("a whole number").example(program, shown)
        };
    vec![
        Word::call("inc", "N", |m, a| add(m, a, 1))
            .brief("one more")
            .returns("a number")
            .example("(inc 1)", "2"),
        Word::call("dec", "N", |m, a| add(m, a, -1))
            .brief("one less")
            .returns("a number")
            .example("(dec 1)", "0"),
        Word::call("mod", "A B", |_, a| {
            let by = a.int_at(1)?;
            let rest = a.int_at(0)?.checked_rem(by).ok_or_else(|| a.wrong(1, "a number other than 0"))?;
            // The rest has the sign of the divisor.
            let rest = if rest != 0 && (rest < 0) != (by < 0) { rest + by } else { rest };
            Ok(Datum::Int(rest))
        })
        .also(&["%"])
        .brief("what is left of A when it is divided by B")
        .returns("a whole number")
        .example("(list (mod 7 3) (mod -7 3))", "(1 2)"),
        Word::call("sum", "L", sum)
            .brief("the sum of a list")
            .returns("a number")
            .example("(sum '(1 2 3))", "6"),
        Word::call("int", "X", int)
            .brief("a whole number from a string, a symbol or another number")
            .text("A number with a fraction is rounded to the nearest one; half of it to the even one.")
            .returns("a whole number")
            .example("(list (int \"12\") (int 2.6) (int \"0x10\"))", "(12 3 16)"),
        round(
            "floor",
            "the largest whole number that is not greater",
            |m, a| whole(m, a, f64::floor),
            "(floor 1.7)",
            "1",
        ),
        round(
            "ceiling",
            "the smallest whole number that is not less",
            |m, a| whole(m, a, f64::ceil),
            "(ceiling 1.2)",
            "2",
        ),
        round(
            "round",
            "the nearest whole number; half of it to the even one",
            |m, a| whole(m, a, f64::round_ties_even),
            "(round 2.5)",
            "2",
        ),
        Word::call("fixed", "N X", fixed)
            .brief("a number with N digits after the point")
            .returns("a string")
            .example("(fixed 2 3.14159)", "3.14"),
        Word::call("stat:avg", "L", average)
            .also(&["avg"])
            .brief("the average of a list of numbers")
            .returns("a real number; nil for an empty list")
            .example("(avg '(1 2 4 5))", "3.0"),
        Word::call("stat:median", "L", median)
            .also(&["median"])
            .brief("the number in the middle of a list of numbers")
            .returns("a real number; nil for an empty list")
            .example("(list (median '(5 1 3)) (median '(1 2)))", "(3.0 1.5)"),
    ]
}

fn too_large() -> Raised {
    Fault::failed("the result is too large").into()
}

fn add<W>(m: &mut Machine<W>, a: Args<'_>, by: i8) -> Outcome {
    match a.at(0) {
        Datum::Real(number) => m.real(number + f64::from(by)),
        _ => a.int_at(0)?.checked_add(i128::from(by)).map(Datum::Int).ok_or_else(too_large),
    }
}

fn sum<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    let (mut whole, mut real, mut is_real) = (0_i128, 0.0, false);
    for item in a.list_at(0)? {
        match item {
            Datum::Int(number) => whole = whole.checked_add(*number).ok_or_else(too_large)?,
            Datum::Real(number) => {
                real += number;
                is_real = true;
            }
            _ => return Err(a.wrong(0, "a list of numbers")),
        }
    }
    if is_real { m.real(whole as f64 + real) } else { Ok(Datum::Int(whole)) }
}

fn int<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    match a.at(0) {
        Datum::Real(_) => return whole(m, a, f64::round_ties_even),
        Datum::Int(number) => return Ok(Datum::Int(*number)),
        _ => {}
    }
    let text = a.at(0).as_word().ok_or_else(|| a.wrong(0, "a number or a text that is one"))?;
    match syntax::read_number(text.trim()) {
        Some(syntax::Value::Integer(number)) => Ok(Datum::Int(number)),
        Some(syntax::Value::Real(number)) => to_whole(number),
        _ => Err(a.wrong(0, "a number or a text that is one")),
    }
}

fn whole<W>(_: &mut Machine<W>, a: Args<'_>, round: fn(f64) -> f64) -> Outcome {
    match a.at(0) {
        Datum::Int(number) => Ok(Datum::Int(*number)),
        _ => to_whole(round(a.real_at(0)?)),
    }
}

fn to_whole(number: f64) -> Outcome {
    let number = number.round_ties_even();
    // Beyond this a real has no place for all digits anyway.
    if number.abs() >= i128::MAX as f64 { Err(too_large()) } else { Ok(Datum::Int(number as i128)) }
}

/// Digits after the point, at most: more than a real number has.
const DIGITS_MAX: usize = 30;

fn fixed<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    let digits = a.size_at(0)?;
    if digits > DIGITS_MAX {
        return Err(a.wrong(0, "a whole number up to 30"));
    }
    let number = a.real_at(1)?;
    m.text(format!("{number:.digits$}"))
}

fn numbers(a: &Args<'_>) -> Result<Vec<f64>, Raised> {
    let number = |item: &Datum| match item {
        Datum::Int(number) => Ok(*number as f64),
        Datum::Real(number) => Ok(*number),
        _ => Err(a.wrong(0, "a list of numbers")),
    };
    a.list_at(0)?.iter().map(number).collect()
}

fn average<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    let numbers = numbers(&a)?;
    if numbers.is_empty() {
        Ok(Datum::Nil)
    } else {
        m.real(numbers.iter().sum::<f64>() / numbers.len() as f64)
    }
}

fn median<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    let mut numbers = numbers(&a)?;
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.len() {
        0 => Ok(Datum::Nil),
        count if count % 2 == 1 => m.real(numbers[middle]),
        _ => m.real(f64::midpoint(numbers[middle - 1], numbers[middle])),
    }
}
