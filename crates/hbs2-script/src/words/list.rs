//! Making lists and taking them apart; many words take strings too.

use crate::datum::Datum;
use crate::error::Raised;
use crate::machine::Machine;
use crate::word::{Args, Outcome, Word};

pub(super) fn words<W>() -> Vec<Word<W>> {
    vec![
        Word::call("list", "X…", |m, a| m.list(a.all().to_vec()))
            .brief("a list of the arguments")
            .returns("a list")
            .example("(list 1 a \"b\")", "(1 a \"b\")"),
        Word::call("cons", "X L", |m, a| {
            let items = a.list_at(1)?;
            m.room_for_items(items.len())?;
            m.list([std::slice::from_ref(a.at(0)), items].concat())
        })
        .brief("a list with one more item in front")
        .returns("a list")
        .example("(cons 1 '(2 3))", "(1 2 3)"),
        Word::call("append", "X…", append)
            .brief("lists joined to one")
            .text("What is not a list is taken as a list of itself.")
            .returns("a list")
            .example("(append '(1) 2 '(3 4))", "(1 2 3 4)"),
        Word::call("head", "L", |m, a| pick(m, a, 0, 0))
            .also(&["car"])
            .brief("the first item of a list, or the first letter of a string")
            .returns("the item, the letter as a symbol, or nil when there is none")
            .example("(list (head '(1 2)) (head \"ab\"))", "(1 a)"),
        Word::call("tail", "L", |m, a| part(m, a, 0, |count| 1.min(count)..count))
            .also(&["cdr"])
            .brief("what follows the first item, or the first letter")
            .returns("a list or a string")
            .example("(tail '(1 2 3))", "(2 3)"),
        Word::call("last", "L", |m, a| pick(m, a, 0, -1))
            .brief("the last item of a list, or the last letter of a string")
            .returns("the item, the letter as a symbol, or nil when there is none")
            .example("(last '(1 2))", "2"),
        Word::call("nth", "N L", |m, a| pick(m, a, 1, a.int_at(0)?))
            .brief("an item by its number")
            .text("Numbers start at 0. A negative one counts from the end.")
            .returns("the item, the letter as a symbol, or nil when there is none")
            .example("(list (nth 1 '(a b c)) (nth -1 '(a b c)))", "(b c)"),
        Word::call("take", "N L", |m, a| {
            let wanted = a.size_at(0)?;
            part(m, a, 1, |count| 0..wanted.min(count))
        })
        .brief("the first N items or letters")
        .returns("a list or a string")
        .example("(list (take 2 '(1 2 3)) (take 2 \"abc\"))", "((1 2) \"ab\")"),
        Word::call("drop", "N L", |m, a| {
            let wanted = a.size_at(0)?;
            part(m, a, 1, |count| wanted.min(count)..count)
        })
        .brief("without the first N items or letters")
        .returns("a list or a string")
        .example("(drop 2 '(1 2 3))", "(3)"),
        Word::call("reverse", "L", reverse)
            .brief("from the end to the start")
            .returns("a list or a string")
            .example("(list (reverse '(1 2)) (reverse \"ab\"))", "((2 1) \"ba\")"),
        Word::call("length", "L", length)
            .brief("the number of items, letters or bytes")
            .returns("a whole number")
            .example("(list (length '(1 2)) (length \"abc\"))", "(2 3)"),
        Word::call("flatten", "L", |m, a| {
            let mut flat = Vec::new();
            flatten(m, a.list_at(0)?, &mut flat)?;
            m.list(flat)
        })
        .brief("the items of a list and of all lists in it")
        .returns("a list without lists in it")
        .example("(flatten '(1 (2 (3)) ()))", "(1 2 3)"),
        Word::call("zip", "A B", |m, a| {
            let pairs = a.list_at(0)?.iter().zip(a.list_at(1)?);
            let pairs: Vec<_> =
                pairs.map(|(x, y)| m.list(vec![x.clone(), y.clone()])).collect::<Result<_, _>>()?;
            m.list(pairs)
        })
        .brief("pairs of the items of two lists, as long as the shorter one")
        .returns("a list of pairs")
        .example("(zip '(1 2) '(a b c))", "((1 a) (2 b))"),
        Word::call("map", "F L", |m, a| map(m, a.at(0), a.list_at(1)?))
            .brief("what a function gives for each item")
            .returns("a list")
            .example("(map inc '(1 2))", "(2 3)"),
        Word::call("for", "L F", |m, a| map(m, a.at(1), a.list_at(0)?))
            .brief("the same as map, the list first")
            .returns("a list")
            .example("(for '(1 2) (fn 1 (inc _1)))", "(2 3)"),
        Word::call("iterate", "F L", |m, a| {
            for item in a.list_at(1)? {
                m.apply(a.at(0), std::slice::from_ref(item))?;
            }
            Ok(Datum::Nil)
        })
        .brief("call a function with each item, for its effect")
        .returns("nil"),
        Word::call("filter", "F L", |m, a| {
            let mut kept = Vec::new();
            for item in a.list_at(1)? {
                if m.apply(a.at(0), std::slice::from_ref(item))?.is_true() {
                    kept.push(item.clone());
                }
            }
            m.list(kept)
        })
        .brief("the items for which a function is true")
        .returns("a list")
        .example("(filter (fn 1 (gt? _1 1)) '(1 2 3))", "(2 3)"),
        Word::call("replicate", "N X", |m, a| {
            let count = a.size_at(0)?;
            m.room_for_items(count)?;
            m.list(vec![a.at(1).clone(); count])
        })
        .brief("a list of N times the same")
        .returns("a list")
        .example("(replicate 3 a)", "(a a a)"),
        Word::call("repeat", "N F", |m, a| {
            for _ in 0..a.size_at(0)? {
                m.apply(a.at(1), &[])?;
            }
            Ok(Datum::Nil)
        })
        .brief("call a function N times without arguments, for its effect")
        .returns("nil"),
        Word::call("list:chunks", "N L", |m, a| {
            let size = a.size_at(0)?;
            if size == 0 {
                return Err(a.wrong(0, "a whole number from 1"));
            }
            let chunks = a.list_at(1)?.chunks(size);
            let chunks: Vec<_> = chunks.map(|chunk| m.list(chunk.to_vec())).collect::<Result<_, _>>()?;
            m.list(chunks)
        })
        .brief("a list cut into lists of N items")
        .returns("a list of lists; the last one may be shorter")
        .example("(list:chunks 2 '(1 2 3))", "((1 2) (3))"),
        Word::call("unwrap", "X", |_, a| {
            Ok(match a.list_at(0) {
                Ok([only]) => only.clone(),
                _ => a.at(0).clone(),
            })
        })
        .also(&["unw"])
        .brief("the only item of a list")
        .returns("the item; anything else as it is")
        .example("(unwrap '(5))", "5"),
        Word::call("grep", "S L", |m, a| {
            let (wanted, items) = (a.word_at(0)?, a.list_at(1)?);
            let mut kept = Vec::new();
            for item in items {
                m.walk(item)?;
                if item.display().contains(wanted) {
                    kept.push(item.clone());
                }
            }
            m.list(kept)
        })
        .brief("the items whose text contains a text")
        .returns("a list")
        .example("(grep a '(bar foo \"cat\"))", "(bar \"cat\")"),
    ]
}

fn append<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    m.room_for_items(a.all().iter().filter_map(Datum::as_list).map(<[_]>::len).sum())?;
    let mut all = Vec::new();
    for value in a.all() {
        match value.as_list() {
            Some(items) => all.extend_from_slice(items),
            None => all.push(value.clone()),
        }
    }
    m.list(all)
}

/// The item or letter `number` of argument `index`; negative numbers count from the end.
fn pick<W>(m: &mut Machine<W>, a: Args<'_>, index: usize, number: i128) -> Outcome {
    let place = |count: usize| {
        let place = if number < 0 { number.checked_add(i128::try_from(count).ok()?)? } else { number };
        usize::try_from(place).ok()
    };
    if let Some(items) = a.at(index).as_list() {
        return Ok(place(items.len()).and_then(|at| items.get(at)).cloned().unwrap_or(Datum::Nil));
    }
    let text = a.at(index).as_word().ok_or_else(|| a.wrong(index, "a list or a string"))?;
    let count = if number < 0 { text.chars().count() } else { 0 };
    match place(count).and_then(|at| text.chars().nth(at)) {
        Some(letter) => m.symbol(letter.to_string()),
        None => Ok(Datum::Nil),
    }
}

/// The stretch of argument `index` that `range` names when told how many items or letters there are.
fn part<W>(
    m: &mut Machine<W>,
    a: Args<'_>,
    index: usize,
    range: impl Fn(usize) -> std::ops::Range<usize>,
) -> Outcome {
    match a.at(index) {
        Datum::Text(text) | Datum::Symbol(text) => {
            let range = range(text.chars().count());
            let text: String = text.chars().skip(range.start).take(range.len()).collect();
            m.text(text)
        }
        Datum::Bytes(bytes) => m.bytes(bytes[range(bytes.len())].to_vec()),
        other => match other.as_list() {
            Some(items) => m.list(items[range(items.len())].to_vec()),
            None => Err(a.wrong(index, "a list or a string")),
        },
    }
}

fn reverse<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    match a.at(0) {
        Datum::Text(text) | Datum::Symbol(text) => m.text(text.chars().rev().collect::<String>()),
        other => {
            let items = other.as_list().ok_or_else(|| a.wrong(0, "a list or a string"))?;
            m.list(items.iter().rev().cloned().collect())
        }
    }
}

fn length<W>(_: &mut Machine<W>, a: Args<'_>) -> Outcome {
    let count = match a.at(0) {
        Datum::Text(text) | Datum::Symbol(text) => text.chars().count(),
        Datum::Bytes(bytes) => bytes.len(),
        other => other.as_list().ok_or_else(|| a.wrong(0, "a list or a string"))?.len(),
    };
    Ok(Datum::Int(count as i128))
}

fn flatten<W>(m: &mut Machine<W>, items: &[Datum], flat: &mut Vec<Datum>) -> Result<(), Raised> {
    m.pay(1)?;
    m.room_for_items(flat.len())?;
    for item in items {
        match item.as_list() {
            Some(inner) => flatten(m, inner, flat)?,
            None => flat.push(item.clone()),
        }
    }
    Ok(())
}

fn map<W>(m: &mut Machine<W>, function: &Datum, items: &[Datum]) -> Outcome {
    let mut results = Vec::with_capacity(items.len());
    for item in items {
        results.push(m.apply(function, std::slice::from_ref(item))?);
    }
    m.list(results)
}
