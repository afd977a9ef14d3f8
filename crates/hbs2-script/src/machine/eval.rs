//! The value of a form, and calls.

use super::{Machine, Unbound};
use crate::datum::{Datum, Function, FunctionKind, List, Text, WordRef};
use crate::error::{Fault, Raised};
use crate::nearest::closest;
use crate::word::{Args, Kind, Outcome, Word, summary};

/// Names that nobody knows and that are told, at most.
const UNBOUND_NAMES_MAX: usize = 64;

impl<W> Machine<W> {
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

    pub(super) fn form(&mut self, list: &List) -> Outcome {
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

fn arity<W>(word: &Word<W>, found: usize) -> Raised {
    Fault::Arity {
        word: word.name.to_owned(),
        wanted: word.arity.wanted(),
        found,
        args: word.args.to_owned(),
    }
    .into()
}
