//! The exact CBOR dialect of the formats (spec: formats 1).
//!
//! The bytes are the contract: the original's encoder has one form for each shape, its decoder is strict about
//! definite and indefinite lengths and lenient about integer width and trailing bytes. No general crate has
//! these rules, so this is a small reader and writer of our own:
//!
//! * a constructor is a definite array `[tag, field…]` ([`Encoder::variant`], [`Decoder::variant`]);
//! * a list is `80` when empty and an indefinite array otherwise; both forms are read ([`Encoder::list`]);
//! * `Maybe` is `80` or `81 x`; tuples, sets and maps are definite;
//! * strict bytes and text are definite only; lazy bytes are indefinite only ([`Encoder::lazy_bytes`]);
//! * integers are written shortest and read in any width;
//! * bytes after the value are ignored ([`Decode::from_bytes`]).

use std::borrow::Cow;
use std::fmt;

use crate::Hash;

/// A value with one exact CBOR form.
pub trait Encode {
    /// Appends the form to `e`.
    fn encode(&self, e: &mut Encoder);

    /// The form as bytes.
    fn to_bytes(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        self.encode(&mut e);
        e.into_bytes()
    }
}

/// A value that can be read from its CBOR form.
pub trait Decode: Sized {
    /// Reads the value at the decoder's place.
    ///
    /// # Errors
    /// The bytes are not this value; the error says what was expected and where.
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError>;

    /// Reads the value at the start of `bytes`; trailing bytes are ignored, as the original does.
    ///
    /// # Errors
    /// As [`Decode::decode`].
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode(&mut Decoder::new(bytes))
    }
}

/// Why bytes are not the expected value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// Offset in bytes at which reading stopped.
    pub at: usize,
    /// What was expected there.
    pub expected: Cow<'static, str>,
}

impl DecodeError {
    /// An error at offset `at`.
    pub fn new(at: usize, expected: impl Into<Cow<'static, str>>) -> Self {
        Self { at, expected: expected.into() }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed CBOR: expected {} at byte {}", self.expected, self.at)
    }
}

impl std::error::Error for DecodeError {}

const UINT: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const BREAK: u8 = 0xff;

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
    /// [`Hash::encode`](Encode::encode).
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

/// Reads CBOR forms from a slice.
#[derive(Debug, Clone)]
pub struct Decoder<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Decoder<'a> {
    /// A decoder at the start of `input`.
    #[must_use]
    pub fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0 }
    }

    /// Offset of the next byte.
    #[must_use]
    pub fn at(&self) -> usize {
        self.at
    }

    /// The bytes not yet read.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        &self.input[self.at..]
    }

    /// The bytes between offset `start` and here: the exact form of what has been read since.
    #[must_use]
    pub fn since(&self, start: usize) -> &'a [u8] {
        &self.input[start..self.at]
    }

    /// An error at the place of the next byte.
    pub fn error(&self, expected: impl Into<Cow<'static, str>>) -> DecodeError {
        DecodeError::new(self.at, expected)
    }

    /// An unsigned integer of any width.
    ///
    /// # Errors
    /// Something else stands here.
    pub fn uint(&mut self) -> Result<u64, DecodeError> {
        self.definite(UINT, "an unsigned integer")
    }

    /// An unsigned integer that fits 32 bits.
    ///
    /// # Errors
    /// Something else stands here, or the value is too large.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        let start = self.at;
        u32::try_from(self.uint()?).map_err(|_| DecodeError::new(start, "an integer below 2^32"))
    }

    /// An unsigned integer that fits 16 bits.
    ///
    /// # Errors
    /// Something else stands here, or the value is too large.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        let start = self.at;
        u16::try_from(self.uint()?).map_err(|_| DecodeError::new(start, "an integer below 65536"))
    }

    /// A Haskell `Integer`, up to 127 bits.
    ///
    /// # Errors
    /// Something else stands here, or the value needs more than 127 bits.
    pub fn integer(&mut self) -> Result<i128, DecodeError> {
        let start = self.at;
        if let Some((negative, digits)) = self.bignum()? {
            let digits = &digits[digits.iter().take_while(|b| **b == 0).count()..];
            let magnitude = digits.iter().fold(0u128, |sum, b| (sum << 8) | u128::from(*b));
            let value = i128::try_from(magnitude)
                .ok()
                .filter(|_| digits.len() <= 16)
                .ok_or_else(|| DecodeError::new(start, "an integer of at most 127 bits"))?;
            return Ok(if negative { -1 - value } else { value });
        }
        match self.any_head("an integer")? {
            (UINT, Some(value)) => Ok(i128::from(value)),
            (NEGATIVE, Some(value)) => Ok(-1 - i128::from(value)),
            _ => Err(DecodeError::new(start, "an integer")),
        }
    }

    /// The sign and the digits of a bignum, if one stands here: tag 2 or 3 in its shortest form, then bytes.
    pub(crate) fn bignum(&mut self) -> Result<Option<(bool, &'a [u8])>, DecodeError> {
        match self.peek() {
            Some(tag @ (0xc2 | 0xc3)) => {
                self.at += 1;
                Ok(Some((tag == 0xc3, self.bytes()?)))
            }
            _ => Ok(None),
        }
    }

    /// A strict byte string.
    ///
    /// # Errors
    /// Something else stands here, or the input ends within.
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.definite(BYTES, "a byte string")?;
        self.take(len, "the rest of a byte string")
    }

    /// A byte string of exactly `N` bytes.
    ///
    /// # Errors
    /// Something else stands here, or another length.
    pub fn byte_array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let start = self.at;
        self.bytes()?.try_into().map_err(|_| DecodeError::new(start, format!("a byte string of {N} bytes")))
    }

    /// A lazy byte string. Borrowed when it has at most one chunk.
    ///
    /// # Errors
    /// Something else stands here; a definite byte string is refused, as the original does.
    pub fn lazy_bytes(&mut self) -> Result<Cow<'a, [u8]>, DecodeError> {
        self.eat(0x5f, "an indefinite byte string")?;
        let mut whole: Cow<'a, [u8]> = Cow::Borrowed(&[]);
        while !self.eat_break() {
            let chunk = self.bytes()?;
            if whole.is_empty() {
                whole = Cow::Borrowed(chunk);
            } else {
                whole.to_mut().extend_from_slice(chunk);
            }
        }
        Ok(whole)
    }

    /// A text.
    ///
    /// # Errors
    /// Something else stands here, or it is not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        let start = self.at;
        let len = self.definite(TEXT, "a text")?;
        std::str::from_utf8(self.take(len, "the rest of a text")?)
            .map_err(|_| DecodeError::new(start, "a text in UTF-8"))
    }

    /// A boolean.
    ///
    /// # Errors
    /// Something else stands here.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        match self.peek() {
            Some(byte @ (0xf4 | 0xf5)) => {
                self.at += 1;
                Ok(byte == 0xf5)
            }
            _ => Err(self.error("a boolean")),
        }
    }

    /// The unit value.
    ///
    /// # Errors
    /// Something else stands here.
    pub fn null(&mut self) -> Result<(), DecodeError> {
        self.eat(0xf6, "null")
    }

    /// The number of items of a definite array.
    ///
    /// # Errors
    /// Something else stands here; an indefinite array is refused.
    pub fn array(&mut self) -> Result<u64, DecodeError> {
        self.definite(ARRAY, "a definite array")
    }

    /// A definite array of exactly `items` items (a tuple).
    ///
    /// # Errors
    /// Something else stands here, or another count.
    pub fn tuple(&mut self, items: u64) -> Result<(), DecodeError> {
        let start = self.at;
        if self.array()? == items {
            Ok(())
        } else {
            Err(DecodeError::new(start, format!("an array of {items}")))
        }
    }

    /// The number of pairs of a definite map.
    ///
    /// # Errors
    /// Something else stands here; an indefinite map is refused.
    pub fn map(&mut self) -> Result<u64, DecodeError> {
        self.definite(MAP, "a definite map")
    }

    /// The head of a constructor: its tag and the number of its fields.
    ///
    /// # Errors
    /// Not a definite array that starts with an unsigned integer.
    pub fn variant(&mut self) -> Result<(u64, u64), DecodeError> {
        let start = self.at;
        let items = self.array()?;
        if items == 0 {
            return Err(DecodeError::new(start, "a constructor"));
        }
        Ok((self.uint()?, items - 1))
    }

    /// The head of the only constructor of a type, with exactly `fields` fields.
    ///
    /// # Errors
    /// Another constructor or another number of fields.
    pub fn record(&mut self, fields: u64) -> Result<(), DecodeError> {
        let start = self.at;
        match self.variant()? {
            (0, found) if found == fields => Ok(()),
            _ => Err(DecodeError::new(start, format!("constructor 0 with {fields} fields"))),
        }
    }

    /// A Haskell list, definite or indefinite, of at most `max` items.
    ///
    /// # Errors
    /// Something else stands here, too many items, or `each` fails.
    pub fn list<T>(
        &mut self,
        max: usize,
        each: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        self.list_into(Vec::new(), max, each)
    }

    /// As [`Decoder::list`], into an empty vector whose room the caller has chosen.
    ///
    /// # Errors
    /// As [`Decoder::list`].
    pub fn list_into<T>(
        &mut self,
        mut items: Vec<T>,
        max: usize,
        mut each: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let start = self.at;
        let too_long = || DecodeError::new(start, format!("a list of at most {max} items"));
        match self.list_head()? {
            Some(count) => {
                if count > max as u64 {
                    return Err(too_long());
                }
                for _ in 0..count {
                    items.push(each(self)?);
                }
            }
            None => {
                while !self.eat_break() {
                    if items.len() == max {
                        return Err(too_long());
                    }
                    items.push(each(self)?);
                }
            }
        }
        Ok(items)
    }

    /// The head of a Haskell list: the number of its items, or none when a break ends it.
    pub(crate) fn list_head(&mut self) -> Result<Option<u64>, DecodeError> {
        if self.eat(0x9f, "a list").is_ok() { Ok(None) } else { self.definite(ARRAY, "a list").map(Some) }
    }

    /// A `Maybe`.
    ///
    /// # Errors
    /// Not a definite array of none or one, or `each` fails.
    pub fn maybe<T>(
        &mut self,
        each: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        let start = self.at;
        match self.array()? {
            0 => Ok(None),
            1 => each(self).map(Some),
            _ => Err(DecodeError::new(start, "an optional value")),
        }
    }

    /// A bare `Hash` of 32 bytes; see [`Encoder::inner_hash`].
    ///
    /// # Errors
    /// Something else stands here, or a hash of another length.
    pub fn inner_hash(&mut self) -> Result<Hash, DecodeError> {
        if let Some(hash) = self.array_after(&[0x82, 0x00, 0x58, 0x20]) {
            return Ok(Hash::from_bytes(hash));
        }
        self.record(1)?;
        self.byte_array().map(Hash::from_bytes)
    }

    /// The `N` bytes after `head`, when the input goes on with exactly that: the usual form of a hash in one
    /// comparison, for lists of thousands. Takes nothing otherwise.
    pub(crate) fn array_after<const N: usize>(&mut self, head: &[u8]) -> Option<[u8; N]> {
        let array = *self.rest().strip_prefix(head)?.first_chunk()?;
        self.at += head.len() + N;
        Some(array)
    }

    /// Whether all input has been read.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.at == self.input.len()
    }

    /// The next byte, not taken.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8, expected: &'static str) -> Result<(), DecodeError> {
        if self.peek() != Some(byte) {
            return Err(self.error(expected));
        }
        self.at += 1;
        Ok(())
    }

    /// Takes the break of an indefinite list, if it stands here.
    pub(crate) fn eat_break(&mut self) -> bool {
        self.eat(BREAK, "break").is_ok()
    }

    fn take(&mut self, len: u64, expected: &'static str) -> Result<&'a [u8], DecodeError> {
        let end = usize::try_from(len).ok().and_then(|len| self.at.checked_add(len));
        let taken = end.and_then(|end| self.input.get(self.at..end)).ok_or_else(|| self.error(expected))?;
        self.at += taken.len();
        Ok(taken)
    }

    fn definite(&mut self, major: u8, expected: &'static str) -> Result<u64, DecodeError> {
        let start = self.at;
        match self.any_head(expected) {
            Ok((found, Some(value))) if found == major => Ok(value),
            _ => {
                self.at = start;
                Err(self.error(expected))
            }
        }
    }

    /// Major type and argument; no argument for an indefinite length.
    fn any_head(&mut self, expected: &'static str) -> Result<(u8, Option<u64>), DecodeError> {
        let first = self.peek().ok_or_else(|| self.error(expected))?;
        let wide = match first & 0x1f {
            small @ 0..24 => {
                self.at += 1;
                return Ok((first >> 5, Some(u64::from(small))));
            }
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            31 => {
                self.at += 1;
                return Ok((first >> 5, None));
            }
            _ => return Err(self.error(expected)),
        };
        let digits = self.input.get(self.at + 1..self.at + 1 + wide).ok_or_else(|| self.error(expected))?;
        self.at += 1 + wide;
        Ok((first >> 5, Some(digits.iter().fold(0, |sum, b| (sum << 8) | u64::from(*b)))))
    }
}
