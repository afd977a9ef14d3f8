//! Making values, within what a program may cost.

use super::Machine;
use crate::datum::{Blob, Datum, Function, FunctionKind, ITEM_BYTES, List, Origin, Text};
use crate::error::{Fault, Raised};
use crate::syntax::DEPTH_MAX;
use crate::word::Outcome;

/// Bytes of a value that a word walks through for the price of one step.
const WALK_BYTES_PER_STEP: usize = 1024;

impl<W> Machine<W> {
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

    pub(super) fn list_from(&mut self, items: Vec<Datum>, origin: Option<Origin>) -> Outcome {
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
}
