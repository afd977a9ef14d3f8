//! Byte strings.

use crate::datum::Datum;
use crate::machine::Machine;
use crate::word::{Args, Outcome, Word};

pub(super) fn words<W>() -> Vec<Word<W>> {
    vec![
        Word::form("blob", "S", blob)
            .brief("a byte string, written as a text")
            .text("Each letter is one byte, so only letters up to \\xFF may stand in it.")
            .returns("a byte string")
            .example("(length (blob \"a\\xff\"))", "2"),
        Word::call("bytes:decode", "B", |m, a| {
            let text = str::from_utf8(a.bytes_at(0)?).map_err(|_| a.wrong(0, "text in UTF-8"))?;
            m.text(text)
        })
        .brief("the text of a byte string")
        .returns("a string")
        .example("(bytes:decode (blob \"abc\"))", "abc"),
    ]
}

fn blob<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    if let Datum::Bytes(_) = a.at(0) {
        return Ok(a.at(0).clone());
    }
    let bytes: Option<Vec<u8>> = a.word_at(0)?.chars().map(|letter| u8::try_from(letter).ok()).collect();
    m.bytes(bytes.ok_or_else(|| a.wrong(0, "a text of letters up to \\xFF"))?)
}
