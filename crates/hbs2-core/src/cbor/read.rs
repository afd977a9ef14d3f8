//! Reading the forms of [`cbor`](super): strict about definite and indefinite, lenient about integer width.

use std::borrow::Cow;

use super::{ARRAY, BREAK, BYTES, DecodeError, MAP, NEGATIVE, TEXT, UINT};
use crate::Hash;

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

    /// A bare `Hash` of 32 bytes; see [`Encoder::inner_hash`](super::Encoder::inner_hash).
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
