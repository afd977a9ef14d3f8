//! Words that read YAML.
//!
//! A library cuts the text into events; the values are made here, so that an alias shares what it repeats and is
//! counted, and a small text cannot become a huge value.

use std::collections::BTreeMap;
use std::path::Path;

use hbs2_script::syntax::{self, DEPTH_MAX};
use hbs2_script::{Datum, Machine, Outcome, Raised, Word};
use saphyr_parser::{Event, Parser, ScalarStyle};

use super::around::{name_of, path_at, text_of};
use super::{World, WorldError};

pub(super) fn words<W: World>() -> Vec<Word<W>> {
    const SHAPE: &str =
        "A mapping becomes a list of pairs, null the empty list. Of several documents the first is read.";
    vec![
        Word::call("yaml:file", "FILE", |m: &mut Machine<W>, a| {
            let path = path_at(m, a, 0)?;
            read(m, Some(&path))
        })
        .brief("the value of a file in YAML")
        .text(SHAPE)
        .returns("a value"),
        Word::call("yaml:stdin", "", |m: &mut Machine<W>, _| read(m, None))
            .brief("the value of stdin in YAML")
            .text(SHAPE)
            .returns("a value"),
    ]
}

/// What is open around the place of reading.
struct Open {
    anchor: usize,
    is_mapping: bool,
    items: Vec<Datum>,
}

fn read<W: World>(m: &mut Machine<W>, path: Option<&Path>) -> Outcome {
    let text = text_of(m, path)?;
    let wrong = |text: String| {
        Raised::from(WorldError::Format { what: "YAML", from: name_of(path), source: text.into() })
    };
    let mut open: Vec<Open> = Vec::new();
    let mut anchors: BTreeMap<usize, Datum> = BTreeMap::new();
    for event in Parser::new_from_str(&text) {
        let (event, _) = event.map_err(|error| wrong(error.to_string()))?;
        m.pay(1)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => (scalar(m, &text, style)?, anchor),
            Event::Alias(anchor) => {
                let known = anchors.get(&anchor).cloned();
                (known.ok_or_else(|| wrong("a value contains itself".to_owned()))?, 0)
            }
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                if open.len() == DEPTH_MAX {
                    return Err(wrong(format!("lists are nested deeper than {DEPTH_MAX} levels")));
                }
                let is_mapping = matches!(event, Event::MappingStart(..));
                open.push(Open { anchor, is_mapping, items: Vec::new() });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(closed) => (close(m, closed.is_mapping, closed.items)?, closed.anchor),
                None => continue,
            },
            Event::DocumentEnd => break,
            _ => continue,
        };
        if anchor != 0 {
            anchors.insert(anchor, value.clone());
        }
        match open.last_mut() {
            Some(around) => around.items.push(value),
            None => return Ok(value),
        }
    }
    Ok(Datum::Nil)
}

fn close<W>(m: &mut Machine<W>, is_mapping: bool, items: Vec<Datum>) -> Outcome {
    if !is_mapping {
        return m.list(items);
    }
    let mut rows = Vec::with_capacity(items.len() / 2);
    for pair in items.chunks(2) {
        let mut row = pair.to_vec();
        // Keys are names, as in JSON.
        if let Some(Datum::Text(name)) = row.first() {
            row[0] = m.symbol(&**name)?;
        }
        rows.push(m.list(row)?);
    }
    m.list(rows)
}

/// A plain word is what it looks like; everything in quotes is a string.
fn scalar<W>(m: &mut Machine<W>, text: &str, style: ScalarStyle) -> Outcome {
    if style != ScalarStyle::Plain {
        return m.text(text);
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Ok(Datum::Nil),
        "true" | "True" | "TRUE" => Ok(Datum::Bool(true)),
        "false" | "False" | "FALSE" => Ok(Datum::Bool(false)),
        _ => match syntax::read_number(text) {
            Some(syntax::Value::Integer(number)) => Ok(Datum::Int(number)),
            Some(syntax::Value::Real(number)) => m.real(number),
            _ => m.text(text),
        },
    }
}
