//! A word and all there is to know about it: its function and its manual page are one definition.

use crate::datum::{Datum, List};
use crate::error::{Fault, Raised};
use crate::machine::Machine;

/// What a word gives.
pub type Outcome = Result<Datum, Raised>;

/// A function of a word. `W` is the world of the host, which the language itself never touches.
pub type Run<W> = fn(&mut Machine<W>, Args<'_>) -> Outcome;

/// A word of the language or of the host.
pub struct Word<W> {
    /// Its name.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// Its arguments as a pattern: `X` one, `[X]` none or one, `X…` any number. Calls are checked against it.
    pub args: &'static str,
    /// What it does, in a few words.
    pub brief: &'static str,
    /// What else is to know, in sentences.
    pub text: &'static str,
    /// What it gives.
    pub returns: &'static str,
    /// Programs and what they display. Those of the language itself are run by a test.
    pub examples: Vec<(&'static str, &'static str)>,
    /// The part of the reference it belongs to.
    pub group: &'static str,
    pub(crate) kind: Kind<W>,
    pub(crate) arity: Arity,
}

pub(crate) enum Kind<W> {
    /// Takes values.
    Call(Run<W>),
    /// Takes forms, and evaluates what it wants.
    Form(Run<W>),
    /// Stands for a value.
    Constant(Run<W>),
}

/// How many arguments a word takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arity {
    pub(crate) min: usize,
    pub(crate) max: Option<usize>,
}

/// The arguments of one call. Their number fits the pattern of the word.
#[derive(Debug, Clone, Copy)]
pub struct Args<'a> {
    word: &'static str,
    all: &'a [Datum],
}

impl<W> Word<W> {
    /// A word that takes values.
    #[must_use]
    pub fn call(name: &'static str, args: &'static str, run: Run<W>) -> Self {
        Self::new(name, args, Kind::Call(run))
    }

    /// A word that takes its arguments as they are written, and evaluates what it wants of them.
    #[must_use]
    pub fn form(name: &'static str, args: &'static str, run: Run<W>) -> Self {
        Self::new(name, args, Kind::Form(run))
    }

    /// A word that stands for a value.
    #[must_use]
    pub fn constant(name: &'static str, run: Run<W>) -> Self {
        Self::new(name, "", Kind::Constant(run))
    }

    fn new(name: &'static str, args: &'static str, kind: Kind<W>) -> Self {
        Self {
            name,
            aliases: &[],
            args,
            brief: "",
            text: "",
            returns: "",
            examples: Vec::new(),
            group: "",
            kind,
            arity: Arity::of(args),
        }
    }

    /// Adds other names.
    #[must_use]
    pub fn also(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Says what it does, in a few words.
    #[must_use]
    pub fn brief(mut self, brief: &'static str) -> Self {
        self.brief = brief;
        self
    }

    /// Says what else is to know.
    #[must_use]
    pub fn text(mut self, text: &'static str) -> Self {
        self.text = text;
        self
    }

    /// Says what it gives.
    #[must_use]
    pub fn returns(mut self, returns: &'static str) -> Self {
        self.returns = returns;
        self
    }

    /// Adds a program and what it displays.
    #[must_use]
    pub fn example(mut self, program: &'static str, shown: &'static str) -> Self {
        self.examples.push((program, shown));
        self
    }

    /// Whether it takes its arguments as they are written.
    #[must_use]
    pub fn is_form(&self) -> bool {
        matches!(self.kind, Kind::Form(_))
    }

    /// Whether it stands for a value.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        matches!(self.kind, Kind::Constant(_))
    }
}

/// Puts words into a part of the reference.
#[must_use]
pub fn group<W>(title: &'static str, words: Vec<Word<W>>) -> Vec<Word<W>> {
    words.into_iter().map(|word| Word { group: title, ..word }).collect()
}

impl Arity {
    fn of(args: &str) -> Self {
        let mut arity = Self { min: 0, max: Some(0) };
        for arg in args.split_whitespace() {
            if arg.ends_with('…') {
                arity.max = None;
            } else {
                arity.max = arity.max.map(|max| max + 1);
                arity.min += usize::from(!arg.starts_with('['));
            }
        }
        arity
    }

    pub(crate) fn fits(self, count: usize) -> bool {
        count >= self.min && self.max.is_none_or(|max| count <= max)
    }

    pub(crate) fn wanted(self) -> String {
        let plural = |count: usize| if count == 1 { "argument" } else { "arguments" };
        match (self.min, self.max) {
            (0, Some(0)) => "no arguments".to_owned(),
            (min, None) => format!("at least {min} {}", plural(min)),
            (min, Some(max)) if min == max => format!("{min} {}", plural(min)),
            (min, Some(max)) => format!("{min} to {max} arguments"),
        }
    }
}

impl<'a> Args<'a> {
    pub(crate) fn new(word: &'static str, all: &'a [Datum]) -> Self {
        Self { word, all }
    }

    /// The word that was called.
    #[must_use]
    pub fn word(&self) -> &'static str {
        self.word
    }

    /// All arguments.
    #[must_use]
    pub fn all(&self) -> &'a [Datum] {
        self.all
    }

    /// Their number.
    #[must_use]
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// An argument that the pattern promises.
    #[must_use]
    pub fn at(&self, index: usize) -> &'a Datum {
        &self.all[index]
    }

    /// An argument that may be there.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'a Datum> {
        self.all.get(index)
    }

    /// A string or a symbol.
    ///
    /// # Errors
    /// It is something else.
    pub fn word_at(&self, index: usize) -> Result<&'a str, Raised> {
        self.at(index).as_word().ok_or_else(|| self.wrong(index, "a string or a symbol"))
    }

    /// A list.
    ///
    /// # Errors
    /// It is something else.
    pub fn list_at(&self, index: usize) -> Result<&'a [Datum], Raised> {
        self.at(index).as_list().ok_or_else(|| self.wrong(index, "a list"))
    }

    /// A whole number.
    ///
    /// # Errors
    /// It is something else.
    pub fn int_at(&self, index: usize) -> Result<i128, Raised> {
        match self.at(index) {
            Datum::Int(number) => Ok(*number),
            _ => Err(self.wrong(index, "a whole number")),
        }
    }

    /// A number of things: a whole number that is not negative. What is beyond all memory is the largest.
    ///
    /// # Errors
    /// It is something else.
    pub fn size_at(&self, index: usize) -> Result<usize, Raised> {
        let number = self.int_at(index)?;
        if number < 0 {
            return Err(self.wrong(index, "a whole number from 0"));
        }
        Ok(usize::try_from(number).unwrap_or(usize::MAX))
    }

    /// A number.
    ///
    /// # Errors
    /// It is something else.
    pub fn real_at(&self, index: usize) -> Result<f64, Raised> {
        match self.at(index) {
            Datum::Int(number) => Ok(*number as f64),
            Datum::Real(number) => Ok(*number),
            _ => Err(self.wrong(index, "a number")),
        }
    }

    /// A byte string, or the bytes of a string or symbol.
    ///
    /// # Errors
    /// It is something else.
    pub fn bytes_at(&self, index: usize) -> Result<&'a [u8], Raised> {
        let datum = self.at(index);
        datum
            .as_bytes()
            .or_else(|| datum.as_word().map(str::as_bytes))
            .ok_or_else(|| self.wrong(index, "a byte string or a string"))
    }

    /// The list at `index`, shared, when it has items.
    #[must_use]
    pub fn shared_list_at(&self, index: usize) -> Option<&'a List> {
        match self.at(index) {
            Datum::List(list) => Some(list),
            _ => None,
        }
    }

    /// The error that an argument is of the wrong kind.
    #[must_use]
    pub fn wrong(&self, index: usize, expected: &'static str) -> Raised {
        let found = self.get(index).map_or_else(|| "nothing".to_owned(), summary);
        Fault::Kind { word: self.word, position: index + 1, expected, found }.into()
    }

    /// The error that a form is not written as it must be.
    #[must_use]
    pub fn bad(&self, usage: &'static str) -> Raised {
        Fault::BadForm { word: self.word, usage }.into()
    }
}

/// Letters of a value that an error shows, at most.
const SUMMARY_LETTERS_MAX: usize = 40;

/// A value in an error: its kind, and what it is when that is short. Bytes are never shown.
pub(crate) fn summary(datum: &Datum) -> String {
    let kind = datum.kind();
    let article = if matches!(kind, "int") { "an" } else { "a" };
    if datum.measure().bytes > SUMMARY_LETTERS_MAX * size_of::<Datum>() {
        return format!("{article} {kind}");
    }
    let shown = datum.to_form().to_string();
    match shown.chars().count() <= SUMMARY_LETTERS_MAX && !datum.is_function() {
        true => format!("the {kind} {shown}"),
        false => format!("{article} {kind}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_of_the_arguments_is_their_number() {
        let check = |args: &str, min, max| assert_eq!(Arity::of(args), Arity { min, max }, "{args}");
        check("", 0, Some(0));
        check("X", 1, Some(1));
        check("N [X]", 1, Some(2));
        check("F X…", 1, None);
        assert_eq!(Arity::of("X [Y]").wanted(), "1 to 2 arguments");
        assert_eq!(Arity::of("X Y…").wanted(), "at least 1 argument");
    }
}
