//! Evaluation (spec: cli 2.5).
//!
//! A [`Machine`] has words, a dictionary and the world of its host. Symbols stand for what is bound to them, or
//! for themselves; a list is a call. Scope is dynamic: a call binds its arguments in the common dictionary and
//! puts everything back at its end. What a program may cost is bounded by [`Limits`]: how deep calls nest, how
//! many steps it takes, how many bytes it holds.

use std::collections::{BTreeSet, HashMap};

use crate::datum::{Blob, Datum, Function, FunctionKind, ITEM_BYTES, List, Meter, Origin, Text, WordRef};
use crate::error::{Fault, Raised, ScriptError};
use crate::nearest::closest;
use crate::scope::{Fixed, Scope};
use crate::source::Source;
use crate::syntax::{DEPTH_MAX, Form, Value, parse};
use crate::word::{Args, Kind, Outcome, Word, summary};

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

/// Bytes of a value that a word walks through for the price of one step.
const WALK_BYTES_PER_STEP: usize = 1024;

/// Names that nobody knows and that are told, at most.
const UNBOUND_NAMES_MAX: usize = 64;

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

    // ---- making values -------------------------------------------------------------------------------------

    /// A string.
    ///
    /// # Errors
    /// There is no room.
    pub fn text(&mut self, text: impl Into<Box<str>>) -> Outcome {
        let text = Text::new(text, &self.meter);
        self.room(0)?;
        Ok(Datum::Text(text))
    }

    /// A symbol.
    ///
    /// # Errors
    /// There is no room.
    pub fn symbol(&mut self, name: impl Into<Box<str>>) -> Outcome {
        let name = Text::new(name, &self.meter);
        self.room(0)?;
        Ok(Datum::Symbol(name))
    }

    /// A list.
    ///
    /// # Errors
    /// There is no room, or it is nested too deep.
    pub fn list(&mut self, items: Vec<Datum>) -> Outcome {
        self.list_from(items, None)
    }

    /// A list of strings.
    ///
    /// # Errors
    /// There is no room.
    pub fn texts<T: Into<Box<str>>>(&mut self, texts: impl IntoIterator<Item = T>) -> Outcome {
        let texts: Vec<_> = texts.into_iter().map(|text| self.text(text)).collect::<Result<_, _>>()?;
        self.list(texts)
    }

    /// A form `(name value…)`.
    ///
    /// # Errors
    /// There is no room.
    pub fn tagged(&mut self, name: &str, values: Vec<Datum>) -> Outcome {
        let mut items = vec![self.symbol(name)?];
        items.extend(values);
        self.list(items)
    }

    fn list_from(&mut self, items: Vec<Datum>, origin: Option<Origin>) -> Outcome {
        if items.is_empty() {
            return Ok(Datum::Nil);
        }
        let list = Datum::List(List::new(items, origin, &self.meter));
        self.admit(list)
    }

    /// A byte string.
    ///
    /// # Errors
    /// There is no room.
    pub fn bytes(&mut self, bytes: Vec<u8>) -> Outcome {
        self.blobs += 1;
        let blob = Blob::new(bytes, self.blobs, &self.meter);
        self.room(0)?;
        Ok(Datum::Bytes(blob))
    }

    /// A real number.
    ///
    /// # Errors
    /// It is not finite.
    pub fn real(&mut self, number: f64) -> Outcome {
        match number.is_finite() {
            true => Ok(Datum::Real(number)),
            false => Err(Fault::failed("the result is not a finite number").into()),
        }
    }

    pub(crate) fn function(&mut self, kind: FunctionKind) -> Outcome {
        let function = Datum::Function(Function::new(kind, &self.meter));
        self.admit(function)
    }

    fn admit(&self, datum: Datum) -> Outcome {
        let measure = datum.measure();
        if measure.depth > DEPTH_MAX {
            return Err(Fault::TooNested(DEPTH_MAX).into());
        }
        // Shared parts count each time: whoever prints or compares it walks through all of them.
        if measure.bytes > self.limits.bytes {
            return Err(Fault::TooLarge(self.limits.bytes).into());
        }
        self.room(0)?;
        Ok(datum)
    }

    /// Asks whether `bytes` more may be held. To be asked before something large is made.
    ///
    /// # Errors
    /// They may not.
    pub fn room(&self, bytes: usize) -> Result<(), Raised> {
        match self.meter.bytes().saturating_add(bytes) > self.limits.bytes {
            true => Err(Fault::TooLarge(self.limits.bytes).into()),
            false => Ok(()),
        }
    }

    /// Asks whether a list of `count` items may be made.
    ///
    /// # Errors
    /// It may not.
    pub fn room_for_items(&self, count: usize) -> Result<(), Raised> {
        self.room(count.saturating_mul(ITEM_BYTES))
    }

    /// Bytes that may still be held.
    #[must_use]
    pub fn room_left(&self) -> usize {
        self.limits.bytes.saturating_sub(self.meter.bytes())
    }

    /// Pays for walking through a value: before it is printed, compared or copied in depth.
    ///
    /// # Errors
    /// The program has taken too many steps.
    pub fn walk(&mut self, datum: &Datum) -> Result<(), Raised> {
        self.pay((datum.measure().bytes / WALK_BYTES_PER_STEP) as u64)
    }

    /// Pays for work.
    ///
    /// # Errors
    /// The program has taken too many steps.
    pub fn pay(&mut self, steps: u64) -> Result<(), Raised> {
        self.steps = self.steps.saturating_add(steps);
        match self.steps > self.limits.steps {
            true => Err(Fault::TooLong(self.limits.steps).into()),
            false => Ok(()),
        }
    }

    // ---- names ---------------------------------------------------------------------------------------------

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

    // ---- evaluating ----------------------------------------------------------------------------------------

    /// The value of a form.
    ///
    /// # Errors
    /// It fails.
    pub fn eval(&mut self, form: &Datum) -> Outcome {
        match form {
            Datum::Symbol(name) => self.name(name, form),
            Datum::List(list) => self.form(list),
            other => Ok(other.clone()),
        }
    }

    /// The value of the last of several forms.
    ///
    /// # Errors
    /// One of them fails.
    pub fn eval_all(&mut self, forms: &[Datum]) -> Outcome {
        let mut value = Datum::Nil;
        for form in forms {
            value = self.eval(form)?;
        }
        Ok(value)
    }

    /// The value of the last of several forms while names are bound; afterwards everything is as before.
    ///
    /// # Errors
    /// One of them fails.
    pub fn within(&mut self, names: Vec<(Text, Datum)>, forms: &[Datum]) -> Outcome {
        let mark = self.scope.enter();
        for (name, value) in names {
            self.scope.bind(name, value);
        }
        let outcome = self.eval_all(forms);
        self.scope.leave(&mark);
        outcome
    }

    /// Calls a function with values.
    ///
    /// # Errors
    /// It is no function, or the call fails.
    pub fn apply(&mut self, function: &Datum, args: &[Datum]) -> Outcome {
        self.enter()?;
        let outcome = match function {
            Datum::Function(function) => self.invoke(function, args),
            Datum::Word(word) => self.apply_word(*word, args),
            other => Err(Fault::NotFunction { what: summary(other) }.into()),
        };
        self.depth -= 1;
        outcome
    }

    fn name(&mut self, name: &Text, form: &Datum) -> Outcome {
        if let Some(rest) = name.strip_prefix(':').filter(|rest| !rest.is_empty()) {
            return self.symbol(rest);
        }
        if let Some(value) = self.scope.get(name) {
            return Ok(value.clone());
        }
        match self.table.get(&**name) {
            Some(index) => self.word_value(*index),
            None => Ok(self.unbound(name).unwrap_or_else(|| form.clone())),
        }
    }

    /// Nil for a name that nobody knows, where that is its meaning.
    fn unbound(&mut self, name: &str) -> Option<Datum> {
        if self.unbound == Unbound::Itself {
            return None;
        }
        if self.unbound_names.len() < UNBOUND_NAMES_MAX {
            self.unbound_names.insert(name.to_owned());
        }
        Some(Datum::Nil)
    }

    fn word_value(&mut self, index: u32) -> Outcome {
        let word = &self.words[index as usize];
        match word.kind {
            Kind::Constant(run) => run(self, Args::new(word.name, &[])),
            _ => Ok(Datum::Word(WordRef { index, name: word.name })),
        }
    }

    fn enter(&mut self) -> Result<(), Raised> {
        if self.depth >= self.limits.depth {
            return Err(Fault::TooDeep(self.limits.depth).into());
        }
        self.pay(1)?;
        self.depth += 1;
        Ok(())
    }

    fn form(&mut self, list: &List) -> Outcome {
        self.enter().map_err(|raised| raised.at(list.origin()))?;
        let outcome = self.call(list.items());
        self.depth -= 1;
        outcome.map_err(|raised| raised.at(list.origin()))
    }

    fn call(&mut self, items: &[Datum]) -> Outcome {
        if let [a, Datum::Symbol(dot), b] = items
            && &**dot == "."
        {
            return self.list(vec![a.clone(), b.clone()]);
        }
        let (head, args) = items.split_first().expect("the empty list is not a list with items");
        match head {
            Datum::Symbol(name) => {
                if let Some(value) = self.scope.get(name) {
                    let value = value.clone();
                    return self.call_value(&value, args);
                }
                match self.table.get(&**name) {
                    Some(index) => self.call_word(*index, args),
                    None if &**name == ":" => self.list(args.to_vec()),
                    None => self.unbound(name).ok_or_else(|| self.not_bound(name)),
                }
            }
            Datum::List(list) => {
                let function = self.form(list)?;
                self.call_value(&function, args)
            }
            other => self.call_value(other, args),
        }
    }

    fn call_value(&mut self, function: &Datum, args: &[Datum]) -> Outcome {
        match function {
            Datum::Function(function) => {
                let values = self.eval_each(args)?;
                self.invoke(function, &values)
            }
            Datum::Word(word) => self.call_word(word.index, args),
            // A name that stands for the name of a function.
            Datum::Symbol(name) => match self.table.get(&**name) {
                Some(index) => self.call_word(*index, args),
                None => Err(Fault::NotFunction { what: summary(function) }.into()),
            },
            other => Err(Fault::NotFunction { what: summary(other) }.into()),
        }
    }

    fn call_word(&mut self, index: u32, args: &[Datum]) -> Outcome {
        let word = &self.words[index as usize];
        let name = word.name;
        if !word.arity.fits(args.len()) {
            return Err(arity(word, args.len()));
        }
        match word.kind {
            Kind::Form(run) | Kind::Constant(run) => run(self, Args::new(name, args)),
            Kind::Call(run) => {
                let values = self.eval_each(args)?;
                run(self, Args::new(name, &values))
            }
        }
    }

    /// A word with values for arguments. One that wants forms gets forms that stand for the values.
    fn apply_word(&mut self, word: WordRef, args: &[Datum]) -> Outcome {
        let Word { kind, arity: wanted, name, .. } = &self.words[word.index as usize];
        if !wanted.fits(args.len()) {
            return Err(arity(&self.words[word.index as usize], args.len()));
        }
        match *kind {
            Kind::Call(run) | Kind::Constant(run) => run(self, Args::new(name, args)),
            Kind::Form(run) => {
                let name = *name;
                let forms: Vec<_> = args.iter().map(|arg| self.quoted(arg)).collect::<Result<_, _>>()?;
                run(self, Args::new(name, &forms))
            }
        }
    }

    /// A form whose value is `datum`.
    pub(crate) fn quoted(&mut self, datum: &Datum) -> Outcome {
        match datum {
            Datum::Symbol(_) | Datum::List(_) => self.list(vec![self.quote.clone(), datum.clone()]),
            other => Ok(other.clone()),
        }
    }

    fn eval_each(&mut self, forms: &[Datum]) -> Result<Vec<Datum>, Raised> {
        let mut values = Vec::with_capacity(forms.len());
        for form in forms {
            values.push(self.eval(form)?);
        }
        Ok(values)
    }

    fn invoke(&mut self, function: &Function, args: &[Datum]) -> Outcome {
        match function.kind() {
            FunctionKind::Lambda { params, rest, body, is_macro } => {
                self.check_params(params, rest.is_some(), args)?;
                let mark = self.scope.enter();
                let outcome = self.body(params, rest.as_ref(), body, args);
                self.scope.leave(&mark);
                match is_macro {
                    true => self.eval(&outcome?),
                    false => outcome,
                }
            }
            FunctionKind::Chain(functions) => {
                let Some((last, before)) = functions.split_last() else {
                    return Ok(args.first().cloned().unwrap_or(Datum::Nil));
                };
                let first = self.apply(last, args)?;
                before.iter().rev().try_fold(first, |value, function| self.apply(function, &[value]))
            }
            FunctionKind::Partial { function, given, last } => {
                let all = if *last { [args, given].concat() } else { [given, args].concat() };
                self.apply(function, &all)
            }
        }
    }

    fn check_params(&self, params: &[Text], more: bool, args: &[Datum]) -> Result<(), Raised> {
        if args.len() == params.len() || (more && args.len() > params.len()) {
            return Ok(());
        }
        let count = params.len();
        let least = if more { "at least " } else { "" };
        let plural = if count == 1 { "argument" } else { "arguments" };
        Err(Fault::Arity {
            word: "lambda".to_owned(),
            wanted: format!("{least}{count} {plural}"),
            found: args.len(),
            args: params.iter().map(|param| &**param).collect::<Vec<_>>().join(" "),
        }
        .into())
    }

    fn body(&mut self, params: &[Text], rest: Option<&Text>, body: &[Datum], args: &[Datum]) -> Outcome {
        for (param, arg) in params.iter().zip(args) {
            self.scope.bind(param.clone(), arg.clone());
        }
        if let Some(rest) = rest {
            let others = self.list(args[params.len()..].to_vec())?;
            self.scope.bind(rest.clone(), others);
        }
        self.eval_all(body)
    }

    fn not_bound(&self, name: &str) -> Raised {
        let known = self.table.keys().copied().chain(self.scope.names());
        let closest = closest(name, known).map(str::to_owned);
        Fault::NotBound { name: name.to_owned(), closest }.into()
    }
}

fn is_quote(head: &Datum) -> bool {
    matches!(head.as_symbol(), Some("'" | "`"))
}

fn arity<W>(word: &Word<W>, found: usize) -> Raised {
    Fault::Arity {
        word: word.name.to_owned(),
        wanted: word.arity.wanted(),
        found,
        args: word.args.to_owned(),
    }
    .into()
}
