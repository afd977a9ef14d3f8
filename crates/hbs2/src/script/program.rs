//! Words that run other programs of the language.

use std::path::Path;

use hbs2_script::{Datum, Machine, Outcome, Raised, Word};

use super::around::{path_at, text_of, tidy};
use super::{World, WorldError};

pub(super) fn words<W: World>() -> Vec<Word<W>> {
    vec![
        Word::call("import", "FILE", |m: &mut Machine<W>, a| {
            let path = tidy(&path_at(m, a, 0)?);
            import(m, &path)
        })
        .brief("take the definitions of another program")
        .text(
            "Of FILE the forms import, define, local with a function, and define-macro are evaluated, the others are \
             not. A file is read once.",
        )
        .returns("nil"),
        Word::call("top:file:run", "FILE ARGS", |m: &mut Machine<W>, a| {
            let path = path_at(m, a, 0)?;
            let text = text_of(m, Some(&path))?;
            let mut args = vec![m.text(path.display().to_string())?];
            args.extend_from_slice(a.list_at(1)?);
            bind_args(m, &args)?;
            m.load(&path.display().to_string(), &without_hash_bang(&text))
        })
        .brief("run another program")
        .text("It finds its file and ARGS as $1, $2 and so on, and all of them as *args and $*.")
        .returns("the value of its last form"),
    ]
}

fn import<W: World>(m: &mut Machine<W>, path: &Path) -> Outcome {
    let real = path.canonicalize();
    let real = real.map_err(|source| WorldError::File { doing: "read", path: path.to_owned(), source })?;
    if !m.world().around().imported.insert(real) {
        return Ok(Datum::Nil);
    }
    let text = text_of(m, Some(path))?;
    for form in m.read_program(&path.display().to_string(), &without_hash_bang(&text))? {
        let head = form.as_list().and_then(<[_]>::first).and_then(Datum::as_symbol);
        if matches!(head, Some("import" | "define" | "define-macro" | "local")) {
            m.eval(&form)?;
        }
    }
    Ok(Datum::Nil)
}

/// Gives a program its arguments, the first of which is its own name.
///
/// # Errors
/// There is no room.
pub fn bind_args<W>(m: &mut Machine<W>, args: &[Datum]) -> Result<(), Raised> {
    let all = m.list(args.to_vec())?;
    m.define("*args", all.clone())?;
    m.define("$*", all)?;
    for (number, arg) in (1..).zip(args) {
        m.define(&format!("${number}"), arg.clone())?;
    }
    Ok(())
}

/// A program without the line that tells the system how to run it. Places stay as they are.
#[must_use]
pub fn without_hash_bang(text: &str) -> String {
    match text.strip_prefix("#!") {
        Some(rest) => format!(";;{rest}"),
        None => text.to_owned(),
    }
}
