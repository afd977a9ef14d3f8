//! Reading text (spec: cli 2.1–2.3).
//!
//! A text is cut into words, strings, numbers and brackets. At the top level a line is a form: `key a b` is the
//! list `(key a b)`; a line goes on while a bracket is open; a line that is one bracketed list is that list.
//!
//! Better than the original: an empty string is kept, two strings side by side stay two, and a string without
//! its closing quote is an error.

use std::fmt;

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
    let mut reader = Reader::new(text);
    reader.run();
    Parsed { forms: reader.forms, errors: reader.errors }
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

/// What is open around the place of reading.
struct Open {
    kind: Opener,
    start: usize,
    items: Vec<Form>,
}

enum Opener {
    /// One of `(`, `[`, `{`; holds the bracket that closes it.
    Bracket(char),
    /// One of `'`, `` ` ``, `,`, `,@`: closed by the next item.
    Quote(&'static str),
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    open: Vec<Open>,
    /// Items of the present top-level line, and whether the first is a bracketed list.
    line: Vec<Form>,
    line_is_bracketed: bool,
    forms: Vec<Form>,
    errors: Vec<SyntaxError>,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            open: Vec::new(),
            line: Vec::new(),
            line_is_bracketed: false,
            forms: Vec::new(),
            errors: Vec::new(),
        }
    }

    fn run(&mut self) {
        while let Some(c) = self.peek() {
            let start = self.at;
            match c {
                ' ' | '\t' | '\r' => self.at += 1,
                '\n' => {
                    self.at += 1;
                    self.newline();
                }
                ';' => self.at += self.rest().find('\n').unwrap_or(self.rest().len()),
                '(' => self.open_bracket(')'),
                '[' => self.open_bracket(']'),
                '{' => self.open_bracket('}'),
                ')' | ']' | '}' => self.close_bracket(c),
                '\'' => self.open_quote("'"),
                '`' => self.open_quote("`"),
                ',' if self.rest().starts_with(",@") => self.open_quote(",@"),
                ',' => self.open_quote(","),
                '"' => {
                    let text = self.string();
                    self.item(Value::Text(text), start);
                }
                _ => {
                    let value = self.word();
                    self.item(value, start);
                }
            }
        }
        self.finish();
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn fault(&mut self, fault: Fault, span: Span) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(SyntaxError { fault, span, place: Place::of(self.text, span.start) });
        }
    }

    fn open_bracket(&mut self, closing: char) {
        self.push_open(Opener::Bracket(closing), 1);
    }

    fn open_quote(&mut self, sign: &'static str) {
        self.push_open(Opener::Quote(sign), sign.len());
    }

    fn push_open(&mut self, kind: Opener, len: usize) {
        let start = self.at;
        self.at += len;
        if self.open.len() == DEPTH_MAX {
            // One error is enough; what follows cannot be read sensibly.
            self.fault(Fault::TooDeep, Span { start, end: self.at });
            self.at = self.text.len();
            self.open.clear();
            self.line.clear();
            return;
        }
        self.open.push(Open { kind, start, items: Vec::new() });
    }

    fn close_bracket(&mut self, found: char) {
        let span = Span { start: self.at, end: self.at + 1 };
        self.at += 1;
        self.drop_empty_quotes();
        let Some(open) = self.open.pop() else {
            self.fault(Fault::Stray, span);
            return;
        };
        if !matches!(open.kind, Opener::Bracket(wanted) if wanted == found) {
            self.fault(Fault::Mismatched, span);
        }
        self.list(open);
    }

    /// A list is complete.
    fn list(&mut self, open: Open) {
        if self.open.is_empty() && self.line.is_empty() {
            self.line_is_bracketed = true;
        }
        self.item(Value::List(open.items), open.start);
    }

    /// An item is complete: it goes into what is open, or into the line.
    fn item(&mut self, value: Value, start: usize) {
        let mut form = Form { value, span: Span { start, end: self.at } };
        while let Some(Open { kind: Opener::Quote(sign), start, .. }) =
            self.open.pop_if(|open| matches!(open.kind, Opener::Quote(_)))
        {
            let span = Span { start, end: self.at };
            let sign_form =
                Form { value: Value::Symbol(sign.to_owned()), span: Span { start, end: start + sign.len() } };
            form = Form { value: Value::List(vec![sign_form, form]), span };
        }
        match self.open.last_mut() {
            Some(open) => open.items.push(form),
            None => self.line.push(form),
        }
    }

    /// A quote sign followed by a closing bracket, a line end or the end of the text quotes nothing.
    fn drop_empty_quotes(&mut self) {
        while let Some(open) = self.open.pop_if(|open| matches!(open.kind, Opener::Quote(_))) {
            self.fault(Fault::NothingQuoted, Span { start: open.start, end: open.start + 1 });
        }
    }

    fn newline(&mut self) {
        if self.open.iter().any(|open| matches!(open.kind, Opener::Bracket(_))) {
            return;
        }
        self.drop_empty_quotes();
        let (Some(first), Some(last)) = (self.line.first(), self.line.last()) else { return };
        let span = Span { start: first.span.start, end: last.span.end };
        let mut items = std::mem::take(&mut self.line);
        let form = if items.len() == 1 && self.line_is_bracketed {
            items.remove(0)
        } else {
            Form { value: Value::List(items), span }
        };
        self.line_is_bracketed = false;
        self.forms.push(form);
    }

    fn finish(&mut self) {
        self.drop_empty_quotes();
        while let Some(open) = self.open.pop() {
            self.fault(Fault::Unclosed, Span { start: open.start, end: open.start + 1 });
            // Closed as if the bracket stood at the end, so that the form can be looked at.
            self.list(open);
            self.drop_empty_quotes();
        }
        self.newline();
        self.errors.sort_by_key(|error| error.span.start);
    }

    /// The string at the opening quote.
    fn string(&mut self) -> String {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        while let Some(c) = self.peek() {
            let place = self.at;
            self.at += c.len_utf8();
            match c {
                '"' => return text,
                '\\' => match self.escape(place) {
                    Some(c) => text.push(c),
                    None => break,
                },
                c => text.push(c),
            }
        }
        self.fault(Fault::UnclosedText, Span { start, end: start + 1 });
        text
    }

    /// The character of the escape whose backslash stands at `place`; none at the end of the text.
    fn escape(&mut self, place: usize) -> Option<char> {
        let c = self.peek()?;
        if c.is_ascii_digit() {
            return Some(self.numbered(place, 10));
        }
        self.at += c.len_utf8();
        Some(match c {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'x' if self.peek().is_some_and(|c| c.is_ascii_hexdigit()) => self.numbered(place, 16),
            other => other,
        })
    }

    fn numbered(&mut self, place: usize, radix: u32) -> char {
        let digits = self.rest().len() - self.rest().trim_start_matches(|c: char| c.is_digit(radix)).len();
        let number = u32::from_str_radix(&self.rest()[..digits], radix).ok();
        self.at += digits;
        number.and_then(char::from_u32).unwrap_or_else(|| {
            self.fault(Fault::Character, Span { start: place, end: self.at });
            char::REPLACEMENT_CHARACTER
        })
    }

    /// The word here: a number, a boolean or a symbol.
    fn word(&mut self) -> Value {
        let start = self.at;
        // An at sign starts a word and ends the one before it.
        let first = self.peek().map_or(0, char::len_utf8);
        let len = self.rest()[first..].find(ends_word).map_or(self.rest().len(), |more| first + more);
        let word = &self.rest()[..len];
        self.at += len;
        match word {
            "#t" => Value::Bool(true),
            "#f" => Value::Bool(false),
            _ => match number(word) {
                Some(Ok(value)) => value,
                Some(Err(fault)) => {
                    self.fault(fault, Span { start, end: self.at });
                    Value::Symbol(word.to_owned())
                }
                None => Value::Symbol(word.to_owned()),
            },
        }
    }
}

fn ends_word(c: char) -> bool {
    matches!(
        c,
        ' ' | '\t' | '\r' | '\n' | ';' | '(' | ')' | '[' | ']' | '{' | '}' | '\'' | '`' | ',' | '@' | '"'
    )
}

/// The number a word is, if it is one.
fn number(word: &str) -> Option<Result<Value, Fault>> {
    let (negative, digits) = match word.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    let (radix, digits) = match digits.get(..2) {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        _ => (10, digits),
    };
    if !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix)) {
        let number = i128::from_str_radix(digits, radix).map_err(|_| Fault::TooLarge);
        return Some(number.map(|n| Value::Integer(if negative { -n } else { n })));
    }
    is_real(word)
        .then(|| word.parse::<f64>().ok().filter(|n| n.is_finite()))
        .flatten()
        .map(|n| Ok(Value::Real(n)))
}

/// `[+-] digits [. digits] [e [+-] digits]`, the whole word.
fn is_real(word: &str) -> bool {
    fn digits(text: &str) -> Option<&str> {
        let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
        (rest.len() < text.len()).then_some(rest)
    }
    let Some(mut rest) = digits(word.strip_prefix(['+', '-']).unwrap_or(word)) else { return false };
    if let Some(fraction) = rest.strip_prefix('.') {
        match digits(fraction) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        match digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.is_empty()
}
