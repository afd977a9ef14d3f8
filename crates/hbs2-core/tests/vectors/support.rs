//! Reading the vector files.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;

use bytes::Bytes;
use hbs2_core::{Decode, Encode, Hash};
pub(crate) use serde_json::Value;

fn place(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors")).join(path)
}

/// Blocks by name.
#[derive(Debug, Default, Clone)]
pub(crate) struct Blocks(pub(crate) BTreeMap<Hash, Bytes>);

impl Blocks {
    /// All blocks in a folder below `vectors/`. Their names are checked; a file in a folder of one letter has that
    /// letter at the head of its name.
    pub(crate) fn of(folder: &str) -> Self {
        let mut blocks = Self::default();
        for entry in std::fs::read_dir(place(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.len() == 1 {
                let inner = std::fs::read_dir(place(folder).join(&name)).unwrap();
                for rest in inner {
                    let rest = rest.unwrap().file_name().into_string().unwrap();
                    blocks.put(&format!("{name}{rest}"), file(&format!("{folder}/{name}/{rest}")));
                }
            } else {
                blocks.put(&name, file(&format!("{folder}/{name}")));
            }
        }
        assert!(!blocks.0.is_empty(), "{folder} has blocks");
        blocks
    }

    fn put(&mut self, name: &str, block: Vec<u8>) {
        let hash = Hash::of(&block);
        assert_eq!(hash.to_string(), name);
        self.0.insert(hash, block.into());
    }

    pub(crate) fn get(&self, hash: &Hash) -> Result<Option<Bytes>, Infallible> {
        Ok(self.0.get(hash).cloned())
    }

    /// The value in the block `hash`, which is written again byte by byte.
    pub(crate) fn value<T: Encode + Decode>(&self, hash: &Hash) -> T {
        round_trip(&self.0[hash])
    }
}

/// The bytes `i mod 251`, as the original's fixtures have them.
pub(crate) fn pat(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (i % 251) as u8).collect()
}

/// The bytes of a file below `vectors/`.
pub(crate) fn file(path: &str) -> Vec<u8> {
    let whole = place(path);
    std::fs::read(&whole).unwrap_or_else(|error| panic!("{}: {error}", whole.display()))
}

/// A JSON file below `vectors/`.
pub(crate) fn json(path: &str) -> Value {
    serde_json::from_slice(&file(path)).unwrap()
}

/// The cases in list `list` of a JSON file. There is at least one.
pub(crate) fn cases(path: &str, list: &str) -> Vec<Value> {
    let cases = json(path)[list].as_array().unwrap_or_else(|| panic!("{path} has no list {list}")).clone();
    assert!(!cases.is_empty(), "{path} has cases in {list}");
    cases
}

pub(crate) trait Fields {
    fn text(&self, key: &str) -> &str;
    fn hex(&self, key: &str) -> Vec<u8>;
    fn number(&self, key: &str) -> u64;
    fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(&self, key: &str) -> T;
}

impl Fields for Value {
    fn text(&self, key: &str) -> &str {
        self[key].as_str().unwrap_or_else(|| panic!("no text {key} in {self}"))
    }

    fn hex(&self, key: &str) -> Vec<u8> {
        hex::decode(self.text(key)).unwrap()
    }

    fn number(&self, key: &str) -> u64 {
        self[key].as_u64().unwrap_or_else(|| panic!("no number {key} in {self}"))
    }

    fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(&self, key: &str) -> T {
        self.text(key).parse().unwrap()
    }
}

/// The CBOR case `name` of the noun `noun`: checks that its hash is right, that it can be read, and that it is
/// written again byte by byte.
pub(crate) fn value<T: Encode + Decode>(noun: &str, name: &str) -> T {
    let cases = cases(&format!("{noun}/format.json"), "cbor");
    let case =
        cases.iter().find(|case| case.text("name") == name).unwrap_or_else(|| panic!("no case {name}"));
    let bytes = case.hex("hex");
    assert_eq!(Hash::of(&bytes), case.parsed("hash_b58"), "hash of {name}");
    round_trip(&bytes)
}

/// Reads `bytes` to their end and writes them again.
pub(crate) fn round_trip<T: Encode + Decode>(bytes: &[u8]) -> T {
    let mut d = hbs2_core::cbor::Decoder::new(bytes);
    let value = T::decode(&mut d).unwrap_or_else(|error| panic!("{}: {error}", hex::encode(bytes)));
    assert!(d.is_at_end(), "{} is read to its end", hex::encode(bytes));
    assert_eq!(hex::encode(value.to_bytes()), hex::encode(bytes));
    value
}

/// The hash of 32 zero bytes' own value, as the original's fixtures have it.
pub(crate) const H0: Hash = Hash::from_bytes([0; 32]);

/// The bytes 0 to 31 as a hash.
pub(crate) fn h1() -> Hash {
    Hash::from_bytes(std::array::from_fn(|i| i as u8))
}
