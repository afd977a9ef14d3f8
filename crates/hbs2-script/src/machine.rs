//! Evaluation (spec: cli 2.5).
//!
//! A [`Machine`] has words, a dictionary and the world of its host. Symbols stand for what is bound to them, or
//! for themselves; a list is a call. Scope is dynamic: a call binds its arguments in the common dictionary and
//! puts everything back at its end. What a program may cost is bounded by [`Limits`]: how deep calls nest, how
//! many steps it takes, how many bytes it holds.

use std::collections::{BTreeSet, HashMap};

mod eval;
mod values;

use crate::datum::{Datum, Meter, Origin, Text};
use crate::error::{Fault, Raised, ScriptError};
use crate::scope::{Fixed, Scope};
use crate::source::Source;
use crate::syntax::{Form, Value, parse};
use crate::word::{Outcome, Word};

/// What a program may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Calls within calls. Each takes about [`CALL_STACK_BYTES`] of the stack of its thread.
    pub depth: usize,
    /// Calls, and a part of a call for what a word walks through.
    pub steps: u64,
    /// Bytes of all values that are held at one time; also of one value as it would be printed.
    pub bytes: usize,
}

/// Stack that one level of calls takes at most, in bytes. The worst of the words takes 1.5 KiB in the profile in which
/// our tests run; builds without any optimisation take a few times that.
pub const CALL_STACK_BYTES: usize = 8 * 1024;

/// For settings and small programs: 200 levels fit the 2 MiB of any thread, ten million steps are seconds, and
/// 64 MiB is more than any config needs.
impl Default for Limits {
    fn default() -> Self {
        Self { depth: 200, steps: 10_000_000, bytes: 64 * 1024 * 1024 }
    }
}

/// What a name means that is neither bound nor a word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unbound {
    /// A symbol is itself; a call of it is an error.
    #[default]
    Itself,
    /// Nil, and so is a call of it. The host may ask for [such names](Machine::take_unbound).
    Nil,
}

/// Runs programs.
pub struct Machine<W> {
    world: W,
    words: Vec<Word<W>>,
    table: HashMap<&'static str, u32, Fixed>,
    scope: Scope,
    limits: Limits,
    meter: Meter,
    depth: usize,
    steps: u64,
    blobs: u64,
    sources: Vec<Source>,
    quote: Datum,
    unbound: Unbound,
    unbound_names: BTreeSet<String>,
}

impl<W> Machine<W> {
    /// A machine with these words. Those of the language itself are [`crate::words::all`].
    ///
    /// # Panics
    /// Two words have one name: a mistake of the host.
    #[must_use]
    pub fn new(world: W, words: Vec<Word<W>>, limits: Limits) -> Self {
        let mut table = HashMap::default();
        for (index, word) in (0..).zip(&words) {
            for name in word.aliases.iter().chain([&word.name]) {
                assert!(table.insert(*name, index).is_none(), "two words are named {name}");
            }
        }
        let meter = Meter::default();
        let quote = Datum::Symbol(Text::new("'", &meter));
        Self {
            world,
            words,
            table,
            scope: Scope::default(),
            limits,
            meter,
            depth: 0,
            steps: 0,
            blobs: 0,
            sources: Vec::new(),
            quote,
            unbound: Unbound::default(),
            unbound_names: BTreeSet::new(),
        }
    }

    /// With this meaning of names that nobody knows.
    #[must_use]
    pub fn with_unbound(mut self, unbound: Unbound) -> Self {
        self.unbound = unbound;
        self
    }

    /// Names that were nil because nobody knows them, since the last time.
    pub fn take_unbound(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.unbound_names)
    }

    /// The world of the host.
    pub fn world(&mut self) -> &mut W {
        &mut self.world
    }

    /// Ends; gives the world back.
    #[must_use]
    pub fn into_world(self) -> W {
        self.world
    }

    /// All words.
    #[must_use]
    pub fn words(&self) -> &[Word<W>] {
        &self.words
    }

    /// The word with this name.
    #[must_use]
    pub fn word(&self, name: &str) -> Option<&Word<W>> {
        self.table.get(name).map(|index| &self.words[*index as usize])
    }

    /// Names that the program has bound.
    pub fn bound_names(&self) -> impl Iterator<Item = &str> {
        self.scope.names()
    }

    /// Reads and evaluates a text; the value of its last form. `name` is for errors. The steps are counted from
    /// here.
    ///
    /// # Errors
    /// The text cannot be read, in which case nothing is evaluated, or a form fails.
    pub fn run(&mut self, name: &str, text: &str) -> Result<Datum, ScriptError> {
        self.steps = 0;
        let value = self.load(name, text);
        value.map_err(|raised| self.settle(raised))
    }

    /// Evaluates forms that an earlier run has kept; the value of the last one. The steps are counted from here.
    ///
    /// # Errors
    /// One of them fails.
    pub fn run_forms(&mut self, forms: &[Datum]) -> Result<Datum, ScriptError> {
        self.steps = 0;
        let value = self.eval_all(forms);
        value.map_err(|raised| self.settle(raised))
    }

    /// As [`Machine::run`], within a run.
    ///
    /// # Errors
    /// As [`Machine::run`].
    pub fn load(&mut self, name: &str, text: &str) -> Outcome {
        let forms = self.read_program(name, text)?;
        let mut value = Datum::Nil;
        for form in &forms {
            value = self.top(form)?;
        }
        Ok(value)
    }

    /// Finds the place of an error in the texts that were read.
    #[must_use]
    pub fn settle(&self, raised: Raised) -> ScriptError {
        raised.settle(|origin| {
            let source = self.sources.get(origin.source as usize)?;
            Some(source.spot(origin.span))
        })
    }

    /// A form of a program. A line that is a single word and names a value is that value.
    ///
    /// # Errors
    /// It fails.
    pub fn top(&mut self, form: &Datum) -> Outcome {
        match form.as_list() {
            Some([Datum::Symbol(name)]) => match self.scope.get(name) {
                Some(value) if !value.is_function() => Ok(value.clone()),
                _ => self.eval(form),
            },
            Some([single @ (Datum::Int(_) | Datum::Real(_) | Datum::Text(_) | Datum::Bool(_))]) => {
                Ok(single.clone())
            }
            Some([Datum::List(quoted)]) if quoted.items().first().is_some_and(is_quote) => self.form(quoted),
            _ => self.eval(form),
        }
    }

    /// Reads the forms of a program, with their places.
    ///
    /// # Errors
    /// The text is wrong, or there is no room.
    pub fn read_program(&mut self, name: &str, text: &str) -> Result<Vec<Datum>, Raised> {
        let source = Source { name: name.to_owned(), text: text.to_owned() };
        let index = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        let forms = self.read_forms(&source, Some(index))?;
        self.sources.push(source);
        Ok(forms)
    }

    /// Reads the forms of a text that is data.
    ///
    /// # Errors
    /// The text is wrong, or there is no room.
    pub fn read_data(&mut self, name: &str, text: &str) -> Result<Vec<Datum>, Raised> {
        self.read_forms(&Source { name: name.to_owned(), text: text.to_owned() }, None)
    }

    fn read_forms(&mut self, source: &Source, index: Option<u32>) -> Result<Vec<Datum>, Raised> {
        self.room(source.text.len())?;
        let parsed = parse(&source.text);
        if let Some(error) = parsed.errors.first() {
            return Err(Raised::at_spot(Fault::Syntax(error.fault), source.spot(error.span)));
        }
        parsed.forms.iter().map(|form| self.datum_of(form, index)).collect()
    }

    /// A form as a value.
    ///
    /// # Errors
    /// There is no room.
    pub fn datum(&mut self, form: &Form) -> Outcome {
        self.datum_of(form, None)
    }

    fn datum_of(&mut self, form: &Form, source: Option<u32>) -> Outcome {
        Ok(match &form.value {
            Value::Symbol(name) => self.symbol(name.as_str())?,
            Value::Text(text) => self.text(text.as_str())?,
            Value::Integer(number) => Datum::Int(*number),
            Value::Real(number) => Datum::Real(*number),
            Value::Bool(truth) => Datum::Bool(*truth),
            Value::List(items) => {
                let items: Vec<_> =
                    items.iter().map(|item| self.datum_of(item, source)).collect::<Result<_, _>>()?;
                self.list_from(items, source.map(|source| Origin { source, span: form.span }))?
            }
        })
    }

    /// Binds a name.
    ///
    /// # Errors
    /// There is no room.
    pub fn define(&mut self, name: &str, value: Datum) -> Result<(), Raised> {
        let name = Text::new(name, &self.meter);
        self.room(0)?;
        self.scope.bind(name, value);
        Ok(())
    }

    /// What is bound to a name by the program.
    #[must_use]
    pub fn bound(&self, name: &str) -> Option<&Datum> {
        self.scope.get(name)
    }
}

fn is_quote(head: &Datum) -> bool {
    matches!(head.as_symbol(), Some("'" | "`"))
}
