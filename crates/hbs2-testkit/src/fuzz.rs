//! Throwing bytes at readers: inputs are changed at random, and what is answered in a new way is changed further.
//!
//! A target is a test that calls [`fuzz`] with seeds, mostly vectors, and a reader that tells in a word how it took the
//! bytes. In the ordinary test run each target takes the same few thousand inputs; `cargo xtask fuzz TARGET --minutes N`
//! goes on for as long as it is told, each time with other inputs. An input at which the reader panics is written to a
//! file and printed; it then becomes a case of its own in the tests of that reader.

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::random::Random;
use crate::vectors;

/// Seconds that a target goes on; without it, [`ROUNDS`] inputs.
pub const SECONDS_VARIABLE: &str = "HBS2_FUZZ_SECONDS";

/// Inputs of a target in an ordinary test run: a second, more or less.
const ROUNDS: u64 = 4000;

/// Inputs that are kept to be changed further, at most.
const CORPUS_MAX: usize = 4096;

/// Longest input, in bytes. Longer ones say nothing new and take longer.
const INPUT_BYTES_MAX: usize = 16 * 1024;

/// Changes made to one input, at most.
const CHANGES_MAX: usize = 6;

/// Bytes that mean something to CBOR, to greetings and to lengths.
const TELLING: [u8; 20] = [
    0x00, 0x01, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x3b, 0x40, 0x58, 0x5b, 0x5f, 0x7f, 0x80, 0x82, 0x9b, 0x9f,
    0xbf, 0xf6, 0xff,
];

/// Throws changed `seeds` at `reader`, which tells how it took them.
///
/// # Panics
/// The reader panics; the message has the input.
pub fn fuzz(target: &str, seeds: Vec<Vec<u8>>, mut reader: impl FnMut(&[u8]) -> String) {
    assert!(!seeds.is_empty(), "{target} has no seeds");
    let time = std::env::var(SECONDS_VARIABLE).ok().and_then(|seconds| seconds.parse().ok());
    let end = time.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = if end.is_some() { now.as_nanos() as u64 } else { 1 };
    let mut random = Random::new(seed);
    let mut corpus: Vec<Vec<u8>> = seeds.into_iter().filter(|seed| seed.len() <= INPUT_BYTES_MAX).collect();
    let mut seen = BTreeSet::new();
    for input in &corpus {
        seen.insert(judged(target, input, &mut reader));
    }
    let mut rounds = 0;
    while end.map_or(rounds < ROUNDS, |end| Instant::now() < end) {
        rounds += 1;
        let input = changed(&corpus, &mut random);
        let taken = judged(target, &input, &mut reader);
        if seen.len() < CORPUS_MAX && seen.insert(taken) {
            corpus.push(input);
        }
    }
    eprintln!("{target}: {rounds} inputs from seed {seed}, taken in {} ways", seen.len());
}

/// How the reader takes an input.
fn judged(target: &str, input: &[u8], reader: &mut impl FnMut(&[u8]) -> String) -> String {
    match catch_unwind(AssertUnwindSafe(|| reader(input))) {
        Ok(taken) => taken,
        Err(reason) => {
            let path: PathBuf = std::env::temp_dir().join(format!("hbs2-fuzz-{target}.bin"));
            let kept = std::fs::write(&path, input).is_ok();
            let place = if kept { format!("; written to {}", path.display()) } else { String::new() };
            panic!("{target} panics: {}{place}; the input: {}", told(&*reason), hex::encode(input));
        }
    }
}

fn told(reason: &(dyn Any + Send)) -> &str {
    let text = reason.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| reason.downcast_ref::<&str>().copied()).unwrap_or("without a word")
}

/// One of the inputs, changed in some places.
fn changed(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = corpus[random.below(corpus.len())].clone();
    for _ in 0..1 + random.below(CHANGES_MAX) {
        let len = input.len();
        let at = random.below(len + 1);
        let end = at + random.below((len - at).min(32) + 1);
        match random.below(9) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..end)),
            2 => {
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece);
            }
            3 => {
                let count = 1 + random.below(8);
                let bytes = random.bytes(count);
                input.splice(at..at, bytes);
            }
            4 => {
                let other = &corpus[random.below(corpus.len())];
                let from = random.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            5 if at < len => input[at] ^= 1 << random.below(8),
            6 if at < len => input[at] = random.number() as u8,
            7 if at < len => input[at] = input[at].wrapping_add(if random.one_in(2) { 1 } else { 255 }),
            _ if at < len => input[at] = TELLING[random.below(TELLING.len())],
            _ => input.push(TELLING[random.below(TELLING.len())]),
        }
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}

/// All byte strings that a vector file has in fields with this name, as hexadecimal digits; each once.
///
/// # Panics
/// There is no such vector file.
#[must_use]
pub fn hex_fields(name: &str, field: &str) -> Vec<Vec<u8>> {
    let vectors = vectors::json(name).expect("the vector file is there");
    let mut found = BTreeSet::new();
    collect(&vectors, field, &mut found);
    found.into_iter().collect()
}

fn collect(value: &Value, field: &str, found: &mut BTreeSet<Vec<u8>>) {
    match value {
        Value::Object(entries) => {
            if let Some(bytes) =
                entries.get(field).and_then(Value::as_str).and_then(|text| hex::decode(text).ok())
            {
                found.insert(bytes);
            }
            entries.values().for_each(|entry| collect(entry, field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, field, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_at_which_the_reader_panics_is_told() {
        let picky = |bytes: &[u8]| {
            assert!(bytes.first() != Some(&0xff), "no such byte");
            String::new()
        };
        let error = catch_unwind(|| fuzz("picky", vec![vec![0; 4]], picky)).unwrap_err();
        let text = told(&*error);
        assert!(text.contains("picky panics: no such byte") && text.contains("the input: ff"), "{text}");
    }

    #[test]
    fn vectors_become_seeds() {
        assert!(hex_fields("wire/wire.json", "hex").len() > 20);
        assert!(hex_fields("wire/wire.json", "no such field").is_empty());
    }
}
