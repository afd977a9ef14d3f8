//! From text to forms, sign by sign, without recursion.

use super::number::number;
use super::{DEPTH_MAX, ERRORS_MAX, Fault, Form, Parsed, Place, Span, SyntaxError, Value};

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

pub(super) struct Reader<'t> {
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
    pub(super) fn new(text: &'t str) -> Self {
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

    pub(super) fn read(mut self) -> Parsed {
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
        Parsed { forms: self.forms, errors: self.errors }
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
