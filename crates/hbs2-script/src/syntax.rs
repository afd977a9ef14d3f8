//! Reading text (spec: cli 2.1–2.3).
//!
//! A text is cut into words, strings, numbers and brackets. At the top level a line is a form: `key a b` is the
//! list `(key a b)`; a line goes on while a bracket is open; a line that is one bracketed list is that list.
//!
//! Better than the original: an empty string is kept, two strings side by side stay two, and a string without
//! its closing quote is an error.

use std::fmt;

mod number;
mod reader;

use reader::Reader;

/// Brackets and quotes within each other, at most. Nobody nests by hand beyond a dozen; the limit keeps every
/// function that follows the nesting within its stack.
pub const DEPTH_MAX: usize = 200;

/// Errors that are recorded, at most. People mend the first one; each costs a look at the whole text.
const ERRORS_MAX: usize = 64;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub struct Form {
    /// What it is.
    pub value: Value,
    /// Where it stands in the text.
    pub span: Span,
}

/// The kinds of values.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A bare word: `listen`, `*`, `/home/u/**/*.key`, a base58 key.
    Symbol(String),
    /// A string in double quotes.
    Text(String),
    /// A whole number.
    Integer(i128),
    /// A number with a point or an exponent, or with a plus sign. Always finite.
    Real(f64),
    /// `#t` or `#f`.
    Bool(bool),
    /// A list. `'x` is the list of the symbol `'` and `x`; so are `` ` ``, `,` and `,@`.
    List(Vec<Form>),
}

/// A stretch of the text, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
}

/// A place for people: both numbers start at 1; the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Character within the line.
    pub column: usize,
}

/// What was found in a text.
#[derive(Debug, Clone, Default)]
pub struct Parsed {
    /// The top-level forms, each a list.
    pub forms: Vec<Form>,
    /// What is wrong, in the order of the text. The forms are a best guess when there is anything.
    pub errors: Vec<SyntaxError>,
}

/// Something wrong in a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct SyntaxError {
    /// What is wrong.
    pub fault: Fault,
    /// Where, in bytes.
    pub span: Span,
    /// Where, for people.
    pub place: Place,
}

/// The ways a text can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A bracket is never closed.
    #[error("this bracket is never closed")]
    Unclosed,
    /// A closing bracket without an opening one.
    #[error("nothing is open that this bracket could close")]
    Stray,
    /// A closing bracket of another kind than the opening one.
    #[error("this bracket closes one of another kind")]
    Mismatched,
    /// A string without its closing quote.
    #[error("this string is never closed")]
    UnclosedText,
    /// A character number that is no character.
    #[error("no character has this number")]
    Character,
    /// An integer beyond 127 bits.
    #[error("this number is too large")]
    TooLarge,
    /// A quote sign with nothing behind it.
    #[error("nothing follows this quote sign")]
    NothingQuoted,
    /// Too many brackets within each other.
    #[error("brackets are nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
}

/// Reads `text`.
#[must_use]
pub fn parse(text: &str) -> Parsed {
    Reader::new(text).read()
}

/// The number that a word is, if it is one that can be held.
#[must_use]
pub fn read_number(word: &str) -> Option<Value> {
    number::number(word).and_then(Result::ok)
}

impl Place {
    /// The place of byte `offset` of `text`.
    #[must_use]
    pub fn of(text: &str, offset: usize) -> Self {
        let before = &text.as_bytes()[..offset.min(text.len())];
        let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |newline| newline + 1);
        // Bytes that start a character; continuation bytes of UTF-8 begin with 10.
        let column = 1 + before[line_start..].iter().filter(|b| **b & 0xc0 != 0x80).count();
        let line = 1 + before.iter().filter(|b| **b == b'\n').count();
        Self { line, column }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

impl Form {
    /// A form that stands nowhere: made, not read.
    #[must_use]
    pub fn new(value: Value) -> Self {
        Self { value, span: Span::default() }
    }

    /// A symbol.
    #[must_use]
    pub fn symbol(name: &str) -> Self {
        Self::new(Value::Symbol(name.to_owned()))
    }

    /// A string.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::new(Value::Text(text.to_owned()))
    }

    /// A list.
    #[must_use]
    pub fn list(items: Vec<Form>) -> Self {
        Self::new(Value::List(items))
    }

    /// The name, when this is a symbol.
    #[must_use]
    pub fn as_symbol(&self) -> Option<&str> {
        match &self.value {
            Value::Symbol(name) => Some(name),
            _ => None,
        }
    }

    /// The word, when this is a symbol or a string: most settings may be written either way.
    #[must_use]
    pub fn as_word(&self) -> Option<&str> {
        match &self.value {
            Value::Symbol(word) | Value::Text(word) => Some(word),
            _ => None,
        }
    }

    /// The number, when this is an integer.
    #[must_use]
    pub fn as_integer(&self) -> Option<i128> {
        match self.value {
            Value::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// The items, when this is a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Form]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The first symbol and the other items, when this is a list that starts with a symbol.
    #[must_use]
    pub fn as_call(&self) -> Option<(&str, &[Form])> {
        let (head, rest) = self.as_list()?.split_first()?;
        Some((head.as_symbol()?, rest))
    }
}

/// Two forms are equal when their values are, wherever they stand.
impl PartialEq for Form {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}
