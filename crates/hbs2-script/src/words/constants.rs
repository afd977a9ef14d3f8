//! Words that stand for a value.

use crate::datum::Datum;
use crate::word::{Run, Word};

pub(super) fn words<W>() -> Vec<Word<W>> {
    let constant = |name: &'static str, brief: &'static str, run: Run<W>, returns: &'static str| {
        Word::constant(name, run).brief(brief).returns(returns)
    };
    vec![
        constant("true", "the truth", |_, _| Ok(Datum::Bool(true)), "#t"),
        constant("false", "the opposite of the truth", |_, _| Ok(Datum::Bool(false)), "#f"),
        constant("space", "a blank", |m, _| m.text(" "), "a string"),
        constant("chr:space", "a blank", |m, _| m.text(" "), "a string"),
        constant("chr:semi", "a semicolon", |m, _| m.text(";"), "a string"),
        constant("chr:tilda", "a tilde", |m, _| m.text("~"), "a string"),
        constant("chr:colon", "a colon", |m, _| m.text(":"), "a string"),
        constant("chr:comma", "a comma", |m, _| m.text(","), "a string"),
        constant("chr:q", "a single quote", |m, _| m.text("'"), "a string"),
        constant("chr:minus", "a minus sign", |m, _| m.text("-"), "a string"),
        constant("chr:dq", "a double quote", |m, _| m.text("\""), "a string"),
        constant("chr:lf", "a line feed", |m, _| m.text("\n"), "a string"),
        constant("chr:cr", "a carriage return", |m, _| m.text("\r"), "a string"),
        constant("chr:tab", "a tab", |m, _| m.text("\t"), "a string"),
    ]
}
