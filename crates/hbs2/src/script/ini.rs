//! Words that read settings in the INI shape.

use std::path::Path;

use hbs2_script::{Datum, Machine, Outcome, Word};

use super::World;
use super::around::{path_at, text_of};

pub(super) fn words<W: World>() -> Vec<Word<W>> {
    const SHAPE: &str = "Lines '[section]', 'key = value' and comments that begin with ; or #. What stands before the first \
                         section belongs to the section with the empty name.";
    vec![
        Word::call("ini:file", "FILE", |m: &mut Machine<W>, a| {
            let path = path_at(m, a, 0)?;
            read(m, Some(&path))
        })
        .brief("the settings of a file in the INI shape")
        .text(SHAPE)
        .returns("a list of (SECTION ((KEY VALUE)…))"),
        Word::call("ini:stdin", "", |m: &mut Machine<W>, _| read(m, None))
            .brief("the settings of stdin in the INI shape")
            .text(SHAPE)
            .returns("a list of (SECTION ((KEY VALUE)…))"),
    ]
}

fn read<W: World>(m: &mut Machine<W>, path: Option<&Path>) -> Outcome {
    let text = text_of(m, path)?;
    let mut sections: Vec<(String, Vec<Datum>)> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with([';', '#']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            sections.push((name.trim().to_owned(), Vec::new()));
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        let pair = vec![m.symbol(key.trim())?, m.text(value.trim())?];
        let pair = m.list(pair)?;
        if sections.is_empty() {
            sections.push((String::new(), Vec::new()));
        }
        if let Some((_, pairs)) = sections.last_mut() {
            pairs.push(pair);
        }
    }
    let mut rows = Vec::with_capacity(sections.len());
    for (name, pairs) in sections {
        let row = vec![m.text(name)?, m.list(pairs)?];
        rows.push(m.list(row)?);
    }
    m.list(rows)
}
