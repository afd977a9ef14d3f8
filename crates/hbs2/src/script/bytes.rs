//! Words that move bytes through stdin and stdout.

use hbs2_script::{Datum, Machine, Word};

use super::{World, around};
use crate::error::Failure;

pub(super) fn words<W: World>() -> Vec<Word<W>> {
    vec![
        Word::call("bytes:stdin", "", |m: &mut Machine<W>, _| {
            let bytes = around::read_stdin(m)?;
            m.bytes(bytes)
        })
        .also(&["blob:read-stdin"])
        .brief("the bytes of stdin")
        .returns("a byte string"),
        Word::call("bytes:put", "B", |m: &mut Machine<W>, a| {
            let bytes = a.bytes_at(0)?;
            m.world().voice().out().write_all(bytes).map_err(Failure::Output)?;
            Ok(Datum::Nil)
        })
        .also(&["blob:put"])
        .brief("write bytes to stdout")
        .returns("nil"),
    ]
}
