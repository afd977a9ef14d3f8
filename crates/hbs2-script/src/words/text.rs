//! Text.

use crate::datum::Datum;
use crate::error::Raised;
use crate::machine::Machine;
use crate::word::{Args, Outcome, Word};

pub(super) fn words<W>() -> Vec<Word<W>> {
    vec![
        Word::call("concat", "X…", |m, a| {
            let items = single_list(&a);
            join(m, "", items)
        })
        .brief("values joined to one string")
        .text("A single argument that is a list stands for its items.")
        .returns("a string")
        .example("(concat a \"b\" 1)", "ab1"),
        Word::call("join", "SEP L", |m, a| join(m, &a.at(0).display(), a.list_at(1)?))
            .brief("the items of a list joined with something between them")
            .returns("a string")
            .example("(join \", \" '(a b))", "a, b"),
        Word::call("split", "SEP S", |m, a| {
            let (between, text) = (a.word_at(0)?, a.word_at(1)?);
            if between.is_empty() {
                return Err(a.wrong(0, "a text that is not empty"));
            }
            m.room_for_items(text.matches(between).count())?;
            m.texts(text.split(between))
        })
        .brief("the parts of a text between a separator")
        .returns("a list of strings")
        .example("(split \":\" \"a:b:\")", "(\"a\" \"b\" \"\")"),
        Word::call("words", "S", |m, a| m.texts(a.word_at(0)?.split_whitespace()))
            .brief("the words of a text")
            .returns("a list of strings")
            .example("(words \" a  b \")", "(\"a\" \"b\")"),
        Word::call("unwords", "L", |m, a| join(m, " ", a.list_at(0)?))
            .brief("the items of a list joined with blanks")
            .returns("a string")
            .example("(unwords '(a b))", "a b"),
        Word::call("lines", "S", |m, a| m.texts(a.word_at(0)?.lines()))
            .brief("the lines of a text")
            .returns("a list of strings")
            .example("(lines \"a\\nb\\n\")", "(\"a\" \"b\")"),
        Word::call("unlines", "L", |m, a| {
            let mut text = joined(m, "\n", a.list_at(0)?)?;
            if !text.is_empty() {
                text.push('\n');
            }
            m.text(text)
        })
        .brief("the items of a list as lines")
        .returns("a string")
        .example("(unlines '(a b))", "a\nb\n"),
        Word::call("upper", "S", |m, a| m.text(a.word_at(0)?.to_uppercase()))
            .brief("in capital letters")
            .returns("a string")
            .example("(upper \"abc\")", "ABC"),
        Word::call("lower", "S", |m, a| m.text(a.word_at(0)?.to_lowercase()))
            .brief("in small letters")
            .returns("a string")
            .example("(lower \"ABC\")", "abc"),
        Word::call("align", "N [FILL] X", align)
            .brief("a text filled up to N letters")
            .text("A positive N fills at the end, a negative one at the start. FILL is a blank unless it is given.")
            .returns("a string")
            .example("(list (align 3 a) (align -3 \"0\" 7))", "(\"a  \" \"007\")"),
        Word::call("str:cut", "N S", cut)
            .brief("columns of a line")
            .text("Columns are separated by blanks and counted from 1. N is a number or a list of numbers.")
            .returns("a string, or a list of strings; a column that is not there is empty")
            .example("(list (str:cut 2 \"a b c\") (str:cut '(3 1) \"a b c\"))", "(\"b\" (\"c\" \"a\"))"),
        Word::call("top:string", "S", |m, a| {
            let forms = m.read_data("the string", a.word_at(0)?)?;
            m.list(forms)
        })
        .brief("the forms of a text in this language")
        .returns("a list of forms")
        .example("(top:string \"a 1\\nb 2\")", "((a 1) (b 2))"),
        Word::call("parse:top:string", "SYM [EACH] S", |m, a| {
            let text = a.word_at(a.count() - 1)?;
            wrap(m, &a, "the string", text)
        })
        .brief("the forms of a text in this language, as one list that begins with a symbol")
        .text("EACH is a symbol that is set before each form.")
        .returns("a list")
        .example("(parse:top:string all \"a 1\\nb 2\")", "(all (a 1) (b 2))"),
    ]
}

fn single_list<'a>(a: &Args<'a>) -> &'a [Datum] {
    match a.all() {
        [only] => only.as_list().unwrap_or(a.all()),
        all => all,
    }
}

fn join<W>(m: &mut Machine<W>, between: &str, items: &[Datum]) -> Outcome {
    let text = joined(m, between, items)?;
    m.text(text)
}

fn joined<W>(m: &mut Machine<W>, between: &str, items: &[Datum]) -> Result<String, Raised> {
    let mut text = String::new();
    for (at, item) in items.iter().enumerate() {
        m.walk(item)?;
        m.room(text.len().saturating_add(between.len()))?;
        if at > 0 {
            text.push_str(between);
        }
        match item.as_word() {
            Some(word) => text.push_str(word),
            None => text.push_str(&item.display()),
        }
    }
    Ok(text)
}

fn align<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    let width = a.int_at(0)?;
    let fill = if a.count() == 3 { a.at(1).display() } else { " ".to_owned() };
    let fill = match fill.chars().next() {
        Some(letter) => letter,
        None => return Err(a.wrong(1, "a letter")),
    };
    let value = a.at(a.count() - 1);
    m.walk(value)?;
    let text = value.display();
    let wanted = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX);
    let missing = wanted.saturating_sub(text.chars().count());
    m.room(missing.saturating_mul(fill.len_utf8()))?;
    let filling: String = std::iter::repeat_n(fill, missing).collect();
    m.text(if width < 0 { filling + &text } else { text + &filling })
}

fn cut<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    let columns: Vec<&str> = a.word_at(1)?.split_whitespace().collect();
    let column = |number: &Datum| match number {
        Datum::Int(number) if *number > 0 => {
            let place = usize::try_from(*number - 1).ok();
            Ok(place.and_then(|place| columns.get(place)).copied().unwrap_or_default())
        }
        _ => Err(a.wrong(0, "a number from 1, or a list of them")),
    };
    match a.at(0).as_list() {
        Some(numbers) => {
            let texts: Vec<_> = numbers.iter().map(column).collect::<Result<_, _>>()?;
            m.texts(texts)
        }
        None => m.text(column(a.at(0))?),
    }
}

/// The forms of `text` after the symbol that is the first argument, each after the second one if there are three.
///
/// # Errors
/// The text cannot be read; `name` is what the error calls it.
pub fn wrap<W>(m: &mut Machine<W>, a: &Args<'_>, name: &str, text: &str) -> Outcome {
    let mut all = vec![a.at(0).clone()];
    for form in m.read_data(name, text)? {
        all.push(match (a.count(), form.as_list()) {
            (3, Some(items)) => m.list([std::slice::from_ref(a.at(1)), items].concat())?,
            _ => form,
        });
    }
    m.list(all)
}
