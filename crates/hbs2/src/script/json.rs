//! Words that read and write JSON.

use std::fmt;
use std::path::Path;

use hbs2_script::print::quoted;
use hbs2_script::{Datum, Machine, Outcome, Raised, Word};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::around::{name_of, path_at, text_of};
use super::{World, WorldError};

pub(super) fn words<W: World>() -> Vec<Word<W>> {
    const SHAPE: &str = "An object becomes a list of pairs, null the empty list.";
    vec![
        Word::call("json", "X", |m: &mut Machine<W>, a| {
            m.walk(a.at(0))?;
            let mut out = String::new();
            write(a.at(0), &mut out);
            m.text(out)
        })
        .brief("a value as JSON")
        .text(
            "A list of pairs whose keys are symbols or strings, each once, becomes an object, the empty list null, any other \
             list an array, a symbol a string.",
        )
        .returns("a string")
        .example("json (kw a 1 b (list 1 \"x\"))", "{\"a\":1,\"b\":[1,\"x\"]}"),
        Word::call("json:string", "S", |m: &mut Machine<W>, a| read(m, a.word_at(0)?, || "the string".to_owned()))
            .brief("the value of a text in JSON")
            .text(SHAPE)
            .returns("a value")
            .example("json:string \"{\\\"a\\\": [1, true]}\"", "((a (1 #t)))"),
        Word::call("json:file", "FILE", |m: &mut Machine<W>, a| {
            let path = path_at(m, a, 0)?;
            read_from(m, Some(&path))
        })
        .brief("the value of a file in JSON")
        .text(SHAPE)
        .returns("a value"),
        Word::call("json:stdin", "", |m: &mut Machine<W>, _| read_from(m, None))
            .brief("the value of stdin in JSON")
            .text(SHAPE)
            .returns("a value"),
    ]
}

/// A value of JSON. The pairs of an object keep their order.
enum Json {
    Null,
    Bool(bool),
    Int(i128),
    Real(f64),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

fn read_from<W: World>(m: &mut Machine<W>, path: Option<&Path>) -> Outcome {
    let text = text_of(m, path)?;
    read(m, &text, || name_of(path))
}

/// What one value of JSON costs while it is read, in bytes: the shortest, `0,`, becomes one of [`Json`].
const VALUE_BYTES: usize = size_of::<Json>() / 2;

fn read<W>(m: &mut Machine<W>, text: &str, from: impl FnOnce() -> String) -> Outcome {
    m.room(text.len().saturating_mul(VALUE_BYTES))?;
    let json: Json = serde_json::from_str(text).map_err(|source| WorldError::Format {
        what: "JSON",
        from: from(),
        source: source.into(),
    })?;
    datum(m, json)
}

fn datum<W>(m: &mut Machine<W>, json: Json) -> Outcome {
    Ok(match json {
        Json::Null => Datum::Nil,
        Json::Bool(truth) => Datum::Bool(truth),
        Json::Int(number) => Datum::Int(number),
        Json::Real(number) => m.real(number)?,
        Json::Text(text) => m.text(text)?,
        Json::Array(items) => {
            let items: Vec<_> =
                items.into_iter().map(|item| datum(m, item)).collect::<Result<_, Raised>>()?;
            m.list(items)?
        }
        Json::Object(pairs) => {
            let mut rows = Vec::with_capacity(pairs.len());
            for (key, value) in pairs {
                let row = vec![m.symbol(key)?, datum(m, value)?];
                rows.push(m.list(row)?);
            }
            m.list(rows)?
        }
    })
}

fn write(datum: &Datum, out: &mut String) {
    match datum {
        Datum::Nil => out.push_str("null"),
        Datum::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Datum::Int(number) => out.push_str(&number.to_string()),
        Datum::Real(number) => out.push_str(&format!("{number:?}")),
        Datum::Text(text) | Datum::Symbol(text) => text_to(text, out),
        Datum::List(list) => match pairs(list.items()) {
            Some(pairs) => {
                out.push('{');
                for (at, (key, value)) in pairs.into_iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    text_to(key, out);
                    out.push(':');
                    write(value, out);
                }
                out.push('}');
            }
            None => {
                out.push('[');
                for (at, item) in list.items().iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    write(item, out);
                }
                out.push(']');
            }
        },
        other => text_to(&other.print(), out),
    }
}

/// The keys and values of a list of pairs, if it is one.
fn pairs(items: &[Datum]) -> Option<Vec<(&str, &Datum)>> {
    let pair = |item: &'_ Datum| match item {
        Datum::List(pair) => match pair.items() {
            [key, _] => key.as_word().is_some(),
            _ => false,
        },
        _ => false,
    };
    if !items.iter().all(pair) {
        return None;
    }
    let pairs = items.iter().filter_map(|item| match item.as_list() {
        Some([key, value]) => Some((key.as_word()?, value)),
        _ => None,
    });
    let pairs: Vec<_> = pairs.collect();
    let keys: std::collections::BTreeSet<_> = pairs.iter().map(|(key, _)| *key).collect();
    (keys.len() == pairs.len()).then_some(pairs)
}

fn text_to(text: &str, out: &mut String) {
    match serde_json::to_string(text) {
        Ok(json) => out.push_str(&json),
        // A text cannot fail to be written; this is as close as our own quotes come.
        Err(_) => out.push_str(&quoted(text)),
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Json, E> {
        Ok(Json::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Int(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Int(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Json, E> {
        if number.is_finite() { Ok(Json::Real(number)) } else { Err(E::custom("a number is not finite")) }
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        while let Some((key, value)) = pairs.next_entry::<String, Json>()? {
            object.push((key, value));
        }
        Ok(Json::Object(object))
    }
}
