//! Words that write to stdout and read from stdin.

use std::io::Read;

use hbs2_script::{Args, Datum, Machine, Outcome, Word};

use super::{World, WorldError, around};
use crate::error::Failure;

pub(super) fn words<W: World>() -> Vec<Word<W>> {
    vec![
        Word::call("print", "X…", |m: &mut Machine<W>, a| write(m, a, false))
            .also(&["display"])
            .brief("write values to stdout, strings as they are")
            .text("No line end is added.")
            .returns("nil")
            .example("print \"a b\" 1", "a b1"),
        Word::call("println", "X…", |m: &mut Machine<W>, a| write(m, a, true))
            .brief("write values to stdout, strings as they are, and a line end")
            .returns("nil")
            .example("println [list 1 \"b\"]", "(1 \"b\")"),
        Word::call("newline", "", |m: &mut Machine<W>, a| write(m, a, true))
            .brief("write a line end to stdout")
            .returns("nil"),
        Word::call("str:put", "S", |m: &mut Machine<W>, a| {
            a.word_at(0)?;
            write(m, a, false)
        })
        .brief("write a string to stdout")
        .returns("nil"),
        Word::call("flush:stdout", "", |m: &mut Machine<W>, _| {
            m.world().voice().flush().map_err(Failure::Output)?;
            Ok(Datum::Nil)
        })
        .brief("write out now what was written to stdout")
        .returns("nil"),
        Word::call("str:stdin", "", |m: &mut Machine<W>, _| {
            let text = around::text_of(m, None)?;
            m.text(text)
        })
        .brief("all of stdin")
        .returns("a string"),
        Word::call("str:getchar:stdin", "", |m: &mut Machine<W>, _| getchar(m))
            .brief("the next letter of stdin")
            .returns("a string of one letter; nil at the end"),
    ]
}

fn write<W: World>(m: &mut Machine<W>, a: Args<'_>, line_end: bool) -> Outcome {
    for value in a.all() {
        m.walk(value)?;
        let shown = value.display();
        m.world().voice().out().write_all(shown.as_bytes()).map_err(Failure::Output)?;
    }
    if line_end {
        m.world().voice().out().write_all(b"\n").map_err(Failure::Output)?;
    }
    Ok(Datum::Nil)
}

/// Byte by byte, so that nothing is taken that another reader wants.
fn getchar<W: World>(m: &mut Machine<W>) -> Outcome {
    let mut input = m.world().voice().take_input();
    let mut letter = Vec::new();
    let outcome = loop {
        let mut byte = [0];
        match input.read(&mut byte) {
            Ok(0) if letter.is_empty() => break Ok(None),
            Ok(0) => break Err(WorldError::NotText { name: "stdin".to_owned() }),
            Ok(_) => letter.push(byte[0]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => break Err(WorldError::Stdin(error)),
        }
        match str::from_utf8(&letter) {
            Ok(text) => break Ok(Some(text.to_owned())),
            Err(error) if error.error_len().is_none() => {}
            Err(_) => break Err(WorldError::NotText { name: "stdin".to_owned() }),
        }
    };
    m.world().voice().give_back_input(input);
    match outcome? {
        Some(text) => m.text(text),
        None => Ok(Datum::Nil),
    }
}
