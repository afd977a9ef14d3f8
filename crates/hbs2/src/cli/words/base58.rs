//! Hashes, base58, and what the program looks like.

use hbs2_core::cbor::Encoder;
use hbs2_core::{Hash, base58};
use hbs2_script::{Args, Datum, Machine, Outcome, Raised, Word};

use crate::cli::world::Cli;
use crate::error::Failure;
use crate::script::around::{path_at, read, read_stdin};

pub(super) fn words<'v>() -> Vec<Word<Cli<'v>>> {
    vec![
        Word::call("hbs2:hash", "FILE…", hash)
            .brief("the hash of a file, of bytes, or of stdin")
            .text("It is the name the content has as one block: BLAKE2b-256.")
            .returns("the hash; for several files a list of hashes")
            .example("hbs2:hash (blob \"hello\")", "4PNCZERNLKAqwSYHhZpb7B4GE34eiYDPXGgeNKWNNaBp"),
        Word::call("base58:encode", "B", |m: &mut Machine<Cli<'v>>, a| {
            let text = m.text(base58::encode(a.bytes_at(0)?))?;
            m.tagged("blob:base58", vec![text])
        })
        .brief("bytes or a string in base58")
        .returns("a form (blob:base58 \"…\"), whose value is the bytes")
        .example("base58:encode \"hello\"", "(blob:base58 \"Cn8eVZg\")"),
        Word::call("blob:base58", "S", |m: &mut Machine<Cli<'v>>, a| decode(m, a))
            .brief("the bytes that a text in base58 stands for")
            .returns("a byte string")
            .example("bytes:decode (blob:base58 Cn8eVZg)", "hello"),
        Word::call("base58:decode", "X", |m: &mut Machine<Cli<'v>>, a| decode(m, a))
            .brief("the bytes that a text in base58 stands for")
            .text("X is a text, or what base58:encode gives.")
            .returns("a byte string")
            .example("bytes:decode (base58:decode (base58:encode \"hello\"))", "hello"),
        Word::call("base58:put", "X", |m: &mut Machine<Cli<'v>>, a| {
            let decoded = decode(m, a)?;
            let bytes = decoded.as_bytes().unwrap_or_default();
            m.world().voice.out().write_all(bytes).map_err(Failure::Output)?;
            Ok(Datum::Nil)
        })
        .brief("write the bytes that a text in base58 stands for to stdout")
        .returns("nil"),
        Word::call("cbor:base58", "X", |m: &mut Machine<Cli<'v>>, a| {
            let mut encoder = Encoder::new();
            match a.at(0) {
                Datum::Bytes(bytes) => encoder.bytes(bytes),
                _ => encoder.text(a.word_at(0)?),
            }
            m.text(base58::encode(&encoder.into_bytes()))
        })
        .brief("a string or bytes as one item of CBOR, in base58")
        .returns("a string")
        .example("cbor:base58 \"a\"", "8Qp"),
        Word::call("debug:cli:show", "", |m: &mut Machine<Cli<'v>>, _| {
            let program = m.world().program.clone();
            let forms = m.read_data("command line", &program)?;
            m.list(forms)
        })
        .brief("the program of the command line as it was understood")
        .returns("a list of forms"),
    ]
}

/// A byte string is taken as it is; a form `(blob:base58 "…")` for its text.
fn decode<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    if let Datum::Bytes(_) = a.at(0) {
        return Ok(a.at(0).clone());
    }
    let text = match a.at(0).as_list() {
        Some([head, text]) if head.as_symbol() == Some("blob:base58") => text.as_word(),
        _ => a.at(0).as_word(),
    };
    let text = text.ok_or_else(|| a.wrong(0, "a text in base58"))?;
    let bytes = base58::decode(text).map_err(Raised::host)?;
    m.bytes(bytes)
}

fn hash(m: &mut Machine<Cli<'_>>, a: Args<'_>) -> Outcome {
    if a.count() == 0 {
        let bytes = read_stdin(m)?;
        return m.text(Hash::of(&bytes).to_string());
    }
    let mut hashes = Vec::with_capacity(a.count());
    for (index, value) in a.all().iter().enumerate() {
        hashes.push(match value {
            Datum::Bytes(bytes) => Hash::of(bytes),
            _ => {
                let path = path_at(m, a, index)?;
                Hash::of(&read(m, &path)?)
            }
        });
    }
    match hashes.as_slice() {
        [only] => m.text(only.to_string()),
        _ => m.texts(hashes.iter().map(Hash::to_string)),
    }
}
