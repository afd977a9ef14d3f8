//! Words that explain words.

use hbs2_script::nearest::closest;
use hbs2_script::{Datum, Machine, Outcome, Raised, Word, help};

use super::World;
use crate::error::Failure;

pub(super) fn words<W: World>() -> Vec<Word<W>> {
    vec![
        Word::form("help", "[NAME] [PREFIX]", |m: &mut Machine<W>, a| {
            let words: Vec<&str> =
                (0..a.count()).map(|index| a.word_at(index)).collect::<Result<_, Raised>>()?;
            let prefix = match words.as_slice() {
                [] => None,
                ["--documented"] => Some(""),
                ["--documented", prefix] | [prefix] => Some(*prefix),
                _ => return Err(a.bad("(help), (help NAME), (help PREFIX) or (help --documented [PREFIX])")),
            };
            show(m, prefix)
        })
        .brief("explain a word, or list words")
        .text(
            "Without an argument all words with what they do; with a name its page; with a prefix the names.",
        )
        .returns("nil"),
    ]
}

/// Writes the page of a word, the names that begin with a prefix, or all words with what they do.
///
/// # Errors
/// No word begins so; stdout cannot be written.
pub fn show<W: World>(m: &mut Machine<W>, prefix: Option<&str>) -> Outcome {
    let text = match prefix {
        Some(name) => explain(m.words(), name)?,
        None => overview(m.words()),
    };
    m.world().voice().out().write_all(text.as_bytes()).map_err(Failure::Output)?;
    Ok(Datum::Nil)
}

/// The page of the word with this name, or the names that begin so, one a line.
///
/// # Errors
/// There are none.
pub fn explain<W>(words: &[Word<W>], name: &str) -> Result<String, Failure> {
    match words.iter().find(|word| word.name == name || word.aliases.contains(&name)) {
        Some(word) => Ok(help::page(word)),
        None => names(words, name),
    }
}

/// The names that begin with a prefix, one a line.
///
/// # Errors
/// There are none.
pub fn names<W>(words: &[Word<W>], prefix: &str) -> Result<String, Failure> {
    let names = help::names(words, prefix);
    if names.is_empty() {
        let closest = closest(prefix, help::names(words, "")).map(str::to_owned);
        return Err(Failure::UnknownWord { name: prefix.to_owned(), closest });
    }
    Ok(names.into_iter().map(|name| format!("{name}\n")).collect())
}

/// Columns of a name in the overview. Longer ones push their text to the right.
const NAME_COLUMNS: usize = 24;

fn overview<W>(words: &[Word<W>]) -> String {
    let mut text = String::new();
    let mut group = "";
    for word in words {
        if word.group != group {
            let gap = if group.is_empty() { "" } else { "\n" };
            group = word.group;
            text.push_str(&format!("{gap}{group}\n"));
        }
        text.push_str(&format!("  {:<NAME_COLUMNS$}  {}\n", word.name, word.brief));
    }
    text
}
