//! Lists of rows, each with its key first.

use crate::datum::Datum;
use crate::error::Raised;
use crate::machine::Machine;
use crate::word::{Args, Outcome, Word};

pub(super) fn words<W>() -> Vec<Word<W>> {
    vec![
        Word::form("dict", "PAIR…", dict)
            .brief("a list of pairs, written as pairs")
            .text("A pair is (KEY VALUE): the key as it is written, the value evaluated. Anything else is evaluated.")
            .returns("a list of pairs")
            .example("(dict (a 1) (b (inc 1)))", "((a 1) (b 2))"),
        Word::form("kw", "X…", kw)
            .brief("a list of pairs, written one after another")
            .text("A key that is a symbol is taken as it is written; everything else is evaluated.")
            .returns("a list of pairs")
            .example("(kw a 1 b (inc 1))", "((a 1) (b 2))"),
        Word::call("assoc", "K L", |m, a| Ok(row(m, a.at(0), 0, &a, 1)?.cloned().unwrap_or(Datum::Nil)))
            .brief("the first row with a key")
            .returns("the row, or nil")
            .example("(assoc b '((a 1) (b 2 3)))", "(b 2 3)"),
        Word::call("assoc:nth", "N K L", |m, a| {
            let place = a.size_at(0)?;
            Ok(row(m, a.at(1), place, &a, 2)?.cloned().unwrap_or(Datum::Nil))
        })
        .brief("the first row whose item N is a key")
        .returns("the row, or nil")
        .example("(assoc:nth 1 2 '((a 1) (b 2)))", "(b 2)"),
        Word::call("lookup", "K L", |m, a| {
            let rest = rest(m, &a)?;
            m.list(rest)
        })
        .brief("what follows the key in the first row with it")
        .returns("a list; nil when there is no row")
        .example("(lookup b '((a 1) (b 2 3)))", "(2 3)"),
        Word::call("lookup:uw", "K L", |m, a| {
            let mut rest = rest(m, &a)?;
            if rest.len() == 1 { Ok(rest.remove(0)) } else { m.list(rest) }
        })
        .also(&["@?"])
        .brief("what follows the key in the first row with it, by itself when it is one value")
        .returns("a value or a list; nil when there is no row")
        .example("(lookup:uw a '((a 1) (b 2 3)))", "1"),
        Word::call("cli:split", "DEFS ARGS", split)
            .brief("options and other arguments of a command line")
            .text("DEFS is a list of (OPTION N): an option and how many values follow it. The word -- ends the options.")
            .returns("a list of two: rows (OPTION VALUE…), and the other arguments")
            .example("(cli:split '((-o 1) (-v 0)) '(-v a -o x b))", "(((-v) (-o x)) (a b))"),
    ]
}

/// A symbol that names a word was meant as a name.
fn key<W>(m: &mut Machine<W>, datum: &Datum) -> Outcome {
    match datum {
        Datum::Word(word) => m.symbol(word.name()),
        other => Ok(other.clone()),
    }
}

fn row<'a, W>(
    m: &mut Machine<W>,
    wanted: &Datum,
    place: usize,
    a: &Args<'a>,
    table: usize,
) -> Result<Option<&'a Datum>, Raised> {
    let wanted = key(m, wanted)?;
    m.walk(&wanted)?;
    let rows = a.list_at(table)?;
    m.pay(rows.len() as u64 / 16)?;
    let has = |row: &&Datum| row.as_list().and_then(|row| row.get(place)) == Some(&wanted);
    Ok(rows.iter().find(has))
}

fn rest<W>(m: &mut Machine<W>, a: &Args<'_>) -> Result<Vec<Datum>, Raised> {
    let row = row(m, a.at(0), 0, a, 1)?.and_then(Datum::as_list);
    Ok(row.map_or_else(Vec::new, |row| row[1..].to_vec()))
}

fn dict<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    let mut rows = Vec::with_capacity(a.count());
    for pair in a.all() {
        rows.push(match pair.as_list() {
            Some([key @ Datum::Symbol(name), value]) if !is_quote(name) => {
                let value = m.eval(value)?;
                m.list(vec![key.clone(), value])?
            }
            _ => m.eval(pair)?,
        });
    }
    m.list(rows)
}

fn is_quote(name: &str) -> bool {
    matches!(name, "'" | "`" | "quot" | "quasiquot")
}

fn kw<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    let mut rows = Vec::with_capacity(a.count() / 2);
    for pair in a.all().chunks(2) {
        let [key, value] = pair else { return Err(a.bad("(kw KEY VALUE KEY VALUE …)")) };
        let key = match key {
            Datum::Symbol(name) if !name.starts_with(':') => key.clone(),
            other => m.eval(other)?,
        };
        let value = m.eval(value)?;
        rows.push(m.list(vec![key, value])?);
    }
    m.list(rows)
}

fn split<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    let mut counts = Vec::new();
    for def in a.list_at(0)? {
        match def.as_list() {
            Some([option, Datum::Int(count)]) if option.as_word().is_some() && *count >= 0 => {
                counts.push((
                    option.as_word().unwrap_or_default(),
                    usize::try_from(*count).unwrap_or(usize::MAX),
                ));
            }
            _ => return Err(a.wrong(0, "a list of (OPTION N)")),
        }
    }
    let (mut options, mut rest) = (Vec::new(), Vec::new());
    let mut args = a.list_at(1)?.iter();
    while let Some(arg) = args.next() {
        let shown = arg.display();
        if shown == "--" {
            rest.extend(args.by_ref().cloned());
        } else if let Some((_, count)) = counts.iter().find(|(option, _)| *option == shown) {
            let mut option = vec![arg.clone()];
            option.extend(args.by_ref().take(*count).cloned());
            options.push(m.list(option)?);
        } else {
            rest.push(arg.clone());
        }
    }
    let both = vec![m.list(options)?, m.list(rest)?];
    m.list(both)
}
