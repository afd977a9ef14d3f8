//! Writing the forms of [`cbor`](super): one for each shape.

use super::{ARRAY, BREAK, BYTES, MAP, NEGATIVE, TEXT, UINT};
use crate::Hash;

/// Appends CBOR forms to a buffer.
#[derive(Debug, Default)]
pub struct Encoder {
    out: Vec<u8>,
}

impl Encoder {
    /// An empty encoder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty encoder with room for `bytes` bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes) }
    }

    /// Makes room for `bytes` more bytes.
    pub fn reserve(&mut self, bytes: usize) {
        self.out.reserve(bytes);
    }

    /// What has been written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// An unsigned integer, shortest form.
    pub fn uint(&mut self, value: u64) {
        self.head(UINT, value);
    }

    /// A Haskell `Integer`: shortest form, bignum beyond 64 bits.
    pub fn integer(&mut self, value: i128) {
        let (major, magnitude) = if value < 0 { (NEGATIVE, !value as u128) } else { (UINT, value as u128) };
        match u64::try_from(magnitude) {
            Ok(small) => self.head(major, small),
            Err(_) => {
                self.out.push(0xc2 | major);
                let bytes = magnitude.to_be_bytes();
                self.bytes(&bytes[(magnitude.leading_zeros() / 8) as usize..]);
            }
        }
    }

    /// A strict byte string.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.head(BYTES, bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    /// A lazy byte string of one chunk; `5f ff` when empty.
    pub fn lazy_bytes(&mut self, bytes: &[u8]) {
        self.lazy_bytes_parts(if bytes.is_empty() { &[] } else { std::slice::from_ref(&bytes) });
    }

    /// A lazy byte string with one chunk for each part.
    pub fn lazy_bytes_parts(&mut self, parts: &[&[u8]]) {
        self.out.push(0x5f);
        for part in parts {
            self.bytes(part);
        }
        self.out.push(BREAK);
    }

    /// A text.
    pub fn text(&mut self, text: &str) {
        self.head(TEXT, text.len() as u64);
        self.out.extend_from_slice(text.as_bytes());
    }

    /// A boolean.
    pub fn bool(&mut self, value: bool) {
        self.out.push(if value { 0xf5 } else { 0xf4 });
    }

    /// The unit value `()`.
    pub fn null(&mut self) {
        self.out.push(0xf6);
    }

    /// The head of a definite array (tuple, set) of `items` items.
    pub fn array(&mut self, items: usize) {
        self.head(ARRAY, items as u64);
    }

    /// The head of a definite map of `pairs` pairs.
    pub fn map(&mut self, pairs: usize) {
        self.head(MAP, pairs as u64);
    }

    /// The head of constructor `tag` with `fields` fields, which the caller writes next.
    pub fn variant(&mut self, tag: u64, fields: usize) {
        self.array(fields + 1);
        self.uint(tag);
    }

    /// A Haskell list: `80` when empty, indefinite otherwise.
    pub fn list<T>(&mut self, items: impl IntoIterator<Item = T>, mut each: impl FnMut(&mut Self, T)) {
        let mut items = items.into_iter().peekable();
        if items.peek().is_none() {
            self.array(0);
            return;
        }
        self.out.push(0x9f);
        for item in items {
            each(self, item);
        }
        self.out.push(BREAK);
    }

    /// A `Maybe`: `80` or `81 x`.
    pub fn maybe<T>(&mut self, value: Option<T>, each: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.array(0),
            Some(value) => {
                self.array(1);
                each(self, value);
            }
        }
    }

    /// A bare `Hash` (36 bytes), as tree nodes and annotations hold it. Most places hold a `HashRef`, which is
    /// [`Hash::encode`](super::Encode::encode).
    pub fn inner_hash(&mut self, hash: &Hash) {
        self.variant(0, 1);
        self.bytes(hash.as_bytes());
    }

    /// A value that is CBOR already.
    pub fn raw(&mut self, cbor: &[u8]) {
        self.out.extend_from_slice(cbor);
    }

    fn head(&mut self, major: u8, value: u64) {
        let major = major << 5;
        if value < 24 {
            self.out.push(major | value as u8);
        } else if let Ok(value) = u8::try_from(value) {
            self.out.extend_from_slice(&[major | 24, value]);
        } else if let Ok(value) = u16::try_from(value) {
            self.out.push(major | 25);
            self.out.extend_from_slice(&value.to_be_bytes());
        } else if let Ok(value) = u32::try_from(value) {
            self.out.push(major | 26);
            self.out.extend_from_slice(&value.to_be_bytes());
        } else {
            self.out.push(major | 27);
            self.out.extend_from_slice(&value.to_be_bytes());
        }
    }
}
