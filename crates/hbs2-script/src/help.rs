//! Manual pages, made from the definitions of the words (spec: cli 2.8).

use crate::word::Word;

/// Columns of a line of a page, without its indent.
const PAGE_COLUMNS: usize = 74;

/// All names that begin with `prefix`, sorted. Signs that are written before a form are left out.
#[must_use]
pub fn names<W>(words: &[Word<W>], prefix: &str) -> Vec<&'static str> {
    let mut names: Vec<_> = words
        .iter()
        .flat_map(|word| word.aliases.iter().chain([&word.name]).copied())
        .filter(|name| name.starts_with(prefix) && !matches!(*name, "'" | "`" | "," | ",@"))
        .collect();
    names.sort_unstable();
    names
}

/// The manual page of a word.
#[must_use]
pub fn page<W>(word: &Word<W>) -> String {
    page_of(word, synopsis(word), word.returns)
}

/// The manual page of a word that people type as a command of `program`.
#[must_use]
pub fn command_page<W>(word: &Word<W>, program: &str) -> String {
    let synopsis = format!("{program} {} {}", word.name, word.args);
    let returns = match word.returns.strip_prefix("nil; ") {
        Some(printed) => printed,
        None if word.returns == "nil" => "nothing",
        None => word.returns,
    };
    page_of(word, synopsis.trim_end().to_owned(), returns)
}

fn page_of<W>(word: &Word<W>, synopsis: String, returns: &str) -> String {
    let mut sections = vec![("NAME", format!("{} - {}", word.name, word.brief)), ("SYNOPSIS", synopsis)];
    let mut text = wrap(word.text, PAGE_COLUMNS);
    if !word.aliases.is_empty() {
        let gap = if text.is_empty() { "" } else { "\n" };
        text.push_str(&format!("{gap}Other names: {}", word.aliases.join(" ")));
    }
    if text.is_empty() {
        text = word.brief.to_owned();
    }
    sections.push(("DESCRIPTION", text));
    sections.push(("RETURN VALUE", returns.to_owned()));
    if !word.examples.is_empty() {
        sections.push(("EXAMPLES", examples(word)));
    }
    let indented = |body: &str| body.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let sections: Vec<_> =
        sections.iter().map(|(head, body)| format!("{head}\n{}", indented(body))).collect();
    sections.join("\n")
}

/// How a word is written.
#[must_use]
pub fn synopsis<W>(word: &Word<W>) -> String {
    match (word.is_constant(), word.args) {
        (true, _) => word.name.to_owned(),
        (false, "") => format!("({})", word.name),
        (false, args) => format!("({} {args})", word.name),
    }
}

/// The reference of all words, in Markdown: a table for each group, in the order of the words.
#[must_use]
pub fn reference<W>(words: &[Word<W>]) -> String {
    let mut text = String::new();
    let mut group = "";
    for word in words {
        if word.group != group {
            group = word.group;
            text.push_str(&format!("\n## {group}\n"));
        }
        text.push_str(&entry(word));
    }
    text
}

fn entry<W>(word: &Word<W>) -> String {
    let names: Vec<_> = word.aliases.iter().map(|name| code(name)).collect();
    let also = if names.is_empty() { String::new() } else { format!(", also {}", names.join(" ")) };
    let mut text = format!(
        "\n### {}\n\n{}{also}: {}.\n",
        word.name.replace(['<', '>'], ""),
        code(&synopsis(word)),
        word.brief
    );
    if !word.text.is_empty() {
        text.push_str(&format!("{}\n", escape(word.text)));
    }
    if !word.returns.is_empty() {
        text.push_str(&format!("\nGives {}.\n", escape(word.returns)));
    }
    if !word.examples.is_empty() {
        text.push_str(&format!("\n```\n{}\n```\n", examples(word).trim_end()));
    }
    text
}

/// In code marks that fit what is in it.
fn code(text: &str) -> String {
    match text.contains('`') {
        true => format!("`` {text} ``"),
        false => format!("`{text}`"),
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('*', "\\*").replace('_', "\\_").replace('`', "\\`").replace('<', "\\<")
}

fn examples<W>(word: &Word<W>) -> String {
    let example = |(program, shown): &(&str, &str)| match shown.is_empty() {
        true => format!("{program}\n"),
        false => format!("{program}\n{}\n", shown.trim_end()),
    };
    word.examples.iter().map(example).collect()
}

fn wrap(text: &str, columns: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}
