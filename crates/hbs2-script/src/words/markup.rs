//! Text for terminals and browsers.

use crate::datum::Datum;
use crate::error::Raised;
use crate::machine::Machine;
use crate::word::{Args, Outcome, Word};

pub(super) fn words<W>() -> Vec<Word<W>> {
    vec![
        Word::call("ansi", "FG [BG] X", ansi)
            .brief("a text in colour, for a terminal")
            .text(
                "Colours: black, red, green, yellow, blue, magenta, cyan, white; bright ones unless a tilde stands \
                 before the name; _ is none.",
            )
            .returns("a string")
            .example("(length (ansi ~red x))", "10"),
        Word::call("css", "SEL KW", css)
            .brief("a rule of a style sheet")
            .text("KW is a list of pairs, as kw makes it.")
            .returns("a string")
            .example("(css body (kw color red))", "body { color: red; }"),
        Word::call("html", "TAG KW X…", html)
            .brief("an element of a page")
            .text(
                "KW is a list of pairs, as kw makes it; their values are escaped. The content is taken as it is, \
                 so that elements may stand in it.",
            )
            .returns("a string")
            .example("(html a (kw href \"/x\") \"link\")", "<a href=\"/x\">link</a>"),
    ]
}

const COLOURS: [&str; 8] = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

/// The number of a colour, from `base` when it is dull; none for `_`.
fn colour(name: &str, base: usize) -> Option<Option<usize>> {
    const BRIGHT: usize = 60;
    if name == "_" {
        return Some(None);
    }
    let (name, bright) = name.strip_prefix('~').map_or((name, BRIGHT), |name| (name, 0));
    let place = COLOURS.iter().position(|known| *known == name)?;
    Some(Some(base + bright + place))
}

fn ansi<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    const FOREGROUND: usize = 30;
    const BACKGROUND: usize = 40;
    let front = colour(a.word_at(0)?, FOREGROUND).ok_or_else(|| a.wrong(0, "a colour"))?;
    let back = match a.count() {
        3 => colour(a.word_at(1)?, BACKGROUND).ok_or_else(|| a.wrong(1, "a colour"))?,
        _ => None,
    };
    let value = a.at(a.count() - 1);
    m.walk(value)?;
    let codes: Vec<_> = [front, back].into_iter().flatten().map(|code| code.to_string()).collect();
    let text = value.display();
    m.text(if codes.is_empty() { text } else { format!("\x1b[{}m{text}\x1b[0m", codes.join(";")) })
}

fn pairs<W>(m: &mut Machine<W>, a: &Args<'_>) -> Result<Vec<(String, String)>, Raised> {
    m.walk(a.at(1))?;
    let pair = |row: &Datum| match row.as_list() {
        Some([key, value]) => Ok((key.display(), value.display())),
        _ => Err(a.wrong(1, "a list of pairs")),
    };
    a.list_at(1)?.iter().map(pair).collect()
}

fn css<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    let rules = pairs(m, &a)?.into_iter().map(|(key, value)| format!("{key}: {value}; ")).collect::<String>();
    m.walk(a.at(0))?;
    m.text(format!("{} {{ {rules}}}", a.at(0).display()))
}

fn html<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    let tag = a.word_at(0)?;
    let escape = |text: &str| text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
    let pairs = pairs(m, &a)?.into_iter();
    let attributes: String = pairs.map(|(key, value)| format!(" {key}=\"{}\"", escape(&value))).collect();
    let mut text = format!("<{tag}{attributes}>");
    for content in &a.all()[2..] {
        m.walk(content)?;
        m.room(text.len())?;
        text.push_str(&content.display());
    }
    text.push_str(&format!("</{tag}>"));
    m.text(text)
}
