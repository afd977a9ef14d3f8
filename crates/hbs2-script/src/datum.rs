//! What an evaluation works with: cheap to copy, never changed, counted.
//!
//! A [`Datum`] is what a [`Form`] becomes when it is evaluated: the same kinds, and beside them byte strings and
//! functions. Lists, texts and bytes are shared; each tells its size to the meter of its machine when it is
//! made and when the last holder lets go, so that a machine knows at any time how much it holds.

use std::borrow::Borrow;
use std::cell::Cell;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::rc::Rc;

use crate::print;
use crate::syntax::{Form, Span, Value};

/// A value of the running program.
#[derive(Debug, Clone)]
pub enum Datum {
    /// The empty list. With `#f` it is all that counts as false.
    Nil,
    /// A bare word.
    Symbol(Text),
    /// A string.
    Text(Text),
    /// A whole number.
    Int(i128),
    /// A number with a fraction. Always finite.
    Real(f64),
    /// `#t` or `#f`.
    Bool(bool),
    /// A list with at least one item.
    List(List),
    /// A byte string.
    Bytes(Blob),
    /// A function of the program.
    Function(Function),
    /// A word of the language or of the host.
    Word(WordRef),
}

/// Letters, shared.
#[derive(Debug, Clone)]
pub struct Text(Rc<Letters>);

#[derive(Debug)]
struct Letters {
    letters: Box<str>,
    _held: Held,
}

/// Items, shared; at least one.
#[derive(Debug, Clone)]
pub struct List(Rc<Items>);

#[derive(Debug)]
struct Items {
    items: Box<[Datum]>,
    origin: Option<Origin>,
    measure: Measure,
    _held: Held,
}

/// Bytes, shared.
#[derive(Debug, Clone)]
pub struct Blob(Rc<BlobBytes>);

#[derive(Debug)]
struct BlobBytes {
    bytes: Vec<u8>,
    number: u64,
    _held: Held,
}

/// A function that a program made.
#[derive(Debug, Clone)]
pub struct Function(Rc<Code>);

#[derive(Debug)]
struct Code {
    kind: FunctionKind,
    measure: Measure,
    _held: Held,
}

/// The kinds of functions.
#[derive(Debug)]
pub enum FunctionKind {
    /// Parameters and what is evaluated with them.
    Lambda {
        /// Names of the first arguments.
        params: Vec<Text>,
        /// Name of the list of the others, if others may come.
        rest: Option<Text>,
        /// Evaluated in order; the last value is the result.
        body: Vec<Datum>,
        /// Whether the result is evaluated again.
        is_macro: bool,
    },
    /// `(@ f g)`: the last one first.
    Chain(Vec<Datum>),
    /// A function with its first arguments, or its last ones.
    Partial {
        /// The function.
        function: Datum,
        /// The arguments it has already.
        given: Vec<Datum>,
        /// Whether they come after the others.
        last: bool,
    },
}

/// A word of the table.
#[derive(Debug, Clone, Copy)]
pub struct WordRef {
    pub(crate) index: u32,
    pub(crate) name: &'static str,
}

/// Where a list was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    pub(crate) source: u32,
    pub(crate) span: Span,
}

/// Depth and size of a value, as if nothing of it were shared: a bound for whoever walks or prints it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Measure {
    /// Lists within lists.
    pub(crate) depth: usize,
    /// Bytes.
    pub(crate) bytes: usize,
}

/// How many bytes are held.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter(Rc<Cell<usize>>);

/// Counted for as long as it lives.
#[derive(Debug)]
struct Held {
    meter: Meter,
    bytes: usize,
}

/// What a shared value costs besides its content, in bytes: its counters, its length, its place.
const NODE_BYTES: usize = 64;

/// What an item costs in a list, in bytes.
pub(crate) const ITEM_BYTES: usize = size_of::<Datum>();

impl Meter {
    /// Bytes held now.
    pub(crate) fn bytes(&self) -> usize {
        self.0.get()
    }

    fn hold(&self, bytes: usize) -> Held {
        self.0.set(self.0.get().saturating_add(bytes));
        Held { meter: self.clone(), bytes }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.meter.0.set(self.meter.0.get().saturating_sub(self.bytes));
    }
}

impl Text {
    pub(crate) fn new(letters: impl Into<Box<str>>, meter: &Meter) -> Self {
        let letters = letters.into();
        let held = meter.hold(NODE_BYTES + letters.len());
        Self(Rc::new(Letters { letters, _held: held }))
    }
}

impl List {
    pub(crate) fn new(items: Vec<Datum>, origin: Option<Origin>, meter: &Meter) -> Self {
        let measure = measure(items.iter());
        let held = meter.hold(NODE_BYTES + items.len() * ITEM_BYTES);
        Self(Rc::new(Items { items: items.into(), origin, measure, _held: held }))
    }

    /// The items.
    #[must_use]
    pub fn items(&self) -> &[Datum] {
        &self.0.items
    }

    /// Where it was written, when it was not made by a program.
    #[must_use]
    pub fn origin(&self) -> Option<Origin> {
        self.0.origin
    }
}

impl Blob {
    pub(crate) fn new(bytes: Vec<u8>, number: u64, meter: &Meter) -> Self {
        let held = meter.hold(NODE_BYTES + bytes.len());
        Self(Rc::new(BlobBytes { bytes, number, _held: held }))
    }
}

impl Function {
    pub(crate) fn new(kind: FunctionKind, meter: &Meter) -> Self {
        let measure = match &kind {
            FunctionKind::Lambda { body, .. } => measure(body.iter()),
            FunctionKind::Chain(functions) => measure(functions.iter()),
            FunctionKind::Partial { function, given, .. } => measure(given.iter().chain([function])),
        };
        let held = meter.hold(NODE_BYTES + measure.bytes.min(NODE_BYTES));
        Self(Rc::new(Code { kind, measure, _held: held }))
    }

    /// What it does.
    #[must_use]
    pub fn kind(&self) -> &FunctionKind {
        &self.0.kind
    }
}

impl WordRef {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }
}

fn measure<'d>(parts: impl Iterator<Item = &'d Datum>) -> Measure {
    let none = Measure { depth: 0, bytes: NODE_BYTES };
    let all = parts.map(Datum::measure).fold(none, |all, part| Measure {
        depth: all.depth.max(part.depth),
        bytes: all.bytes.saturating_add(part.bytes),
    });
    Measure { depth: all.depth + 1, ..all }
}

impl Datum {
    /// The items of a list; none for everything else but the empty list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Datum]> {
        match self {
            Self::Nil => Some(&[]),
            Self::List(list) => Some(list.items()),
            _ => None,
        }
    }

    /// The letters of a string or a symbol.
    #[must_use]
    pub fn as_word(&self) -> Option<&str> {
        match self {
            Self::Symbol(text) | Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The name of a symbol.
    #[must_use]
    pub fn as_symbol(&self) -> Option<&str> {
        match self {
            Self::Symbol(name) => Some(name),
            _ => None,
        }
    }

    /// The bytes of a byte string.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(blob) => Some(blob),
            _ => None,
        }
    }

    /// Whether it is neither `#f` nor the empty list.
    #[must_use]
    pub fn is_true(&self) -> bool {
        !matches!(self, Self::Nil | Self::Bool(false))
    }

    /// Whether it can be called.
    #[must_use]
    pub fn is_function(&self) -> bool {
        matches!(self, Self::Function(_) | Self::Word(_))
    }

    /// The name of its kind, as the word `type` gives it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Nil | Self::List(_) => "list",
            Self::Symbol(_) => "symbol",
            Self::Text(_) => "string",
            Self::Int(_) => "int",
            Self::Real(_) => "real",
            Self::Bool(_) => "bool",
            Self::Bytes(_) => "bytes",
            Self::Function(_) | Self::Word(_) => "function",
        }
    }

    pub(crate) fn measure(&self) -> Measure {
        match self {
            Self::List(list) => list.0.measure,
            Self::Function(function) => function.0.measure,
            Self::Symbol(text) | Self::Text(text) => Measure { depth: 0, bytes: ITEM_BYTES + text.len() },
            Self::Bytes(blob) => Measure { depth: 0, bytes: ITEM_BYTES + blob.len() },
            _ => Measure { depth: 0, bytes: ITEM_BYTES },
        }
    }

    /// As a form, for printing: bytes and functions become symbols that name them.
    #[must_use]
    pub fn to_form(&self) -> Form {
        let value = match self {
            Self::Nil => Value::List(Vec::new()),
            Self::Symbol(name) => Value::Symbol(name.to_string()),
            Self::Text(text) => Value::Text(text.to_string()),
            Self::Int(number) => Value::Integer(*number),
            Self::Real(number) => Value::Real(*number),
            Self::Bool(truth) => Value::Bool(*truth),
            Self::List(list) => Value::List(list.items().iter().map(Self::to_form).collect()),
            Self::Bytes(blob) => Value::Symbol(format!("#opaque:ByteString:{}", blob.0.number)),
            Self::Function(_) => Value::Symbol("#opaque:Function".to_owned()),
            Self::Word(word) => Value::Symbol(word.name.to_owned()),
        };
        Form::new(value)
    }

    /// As it is printed: strings in quotes, long lists over several lines.
    #[must_use]
    pub fn print(&self) -> String {
        match self {
            // The most common values need no form.
            Self::Symbol(name) => name.to_string(),
            _ => print::print(&self.to_form()),
        }
    }

    /// As it is shown to people: a string as it is, everything else as it is printed.
    #[must_use]
    pub fn display(&self) -> String {
        match self {
            Self::Text(text) => text.to_string(),
            other => other.print(),
        }
    }
}

/// A total order: truth values, numbers, symbols, strings, bytes, lists, functions.
impl Ord for Datum {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Nil, Self::Nil) => Ordering::Equal,
            (Self::Symbol(a), Self::Symbol(b)) | (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Real(a), Self::Real(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
            (Self::Int(a), Self::Real(b)) => (*a as f64).partial_cmp(b).unwrap_or(Ordering::Equal),
            (Self::Real(a), Self::Int(b)) => a.partial_cmp(&(*b as f64)).unwrap_or(Ordering::Equal),
            (Self::Bytes(a), Self::Bytes(b)) => a.deref().cmp(b.deref()),
            (Self::List(a), Self::List(b)) if Rc::ptr_eq(&a.0, &b.0) => Ordering::Equal,
            (Self::List(a), Self::List(b)) => a.items().cmp(b.items()),
            (Self::Function(a), Self::Function(b)) => Rc::as_ptr(&a.0).cmp(&Rc::as_ptr(&b.0)),
            (Self::Word(a), Self::Word(b)) => a.index.cmp(&b.index),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl Datum {
    fn rank(&self) -> u8 {
        match self {
            Self::Bool(_) => 0,
            Self::Int(_) | Self::Real(_) => 1,
            Self::Symbol(_) => 2,
            Self::Text(_) => 3,
            Self::Bytes(_) => 4,
            Self::Nil => 5,
            Self::List(_) => 6,
            Self::Function(_) => 7,
            Self::Word(_) => 8,
        }
    }
}

impl PartialOrd for Datum {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Datum {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Datum {}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0.letters
    }
}

impl Deref for Blob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.deref().hash(state);
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.deref() == other.deref()
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.deref().cmp(other.deref())
    }
}
