//! The exact CBOR dialect of the formats (docs/spec/cbor.md).
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

mod read;
mod write;

pub use read::Decoder;
pub use write::Encoder;

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
