//! Which name means what. One dictionary for all; a call undoes at its end what it bound.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::BuildHasherDefault;

use crate::datum::{Datum, Text};

/// Hashing without a random start, so that every run is the same.
pub(crate) type Fixed = BuildHasherDefault<DefaultHasher>;

#[derive(Debug, Default)]
pub(crate) struct Scope {
    names: HashMap<Text, Slot, Fixed>,
    /// What calls under way have changed, oldest first.
    undo: Vec<(Text, Option<Slot>)>,
    /// Calls under way.
    frame: usize,
}

#[derive(Debug)]
struct Slot {
    value: Datum,
    /// The call that bound it.
    frame: usize,
}

/// The state before a call.
#[derive(Debug)]
pub(crate) struct Mark(usize);

impl Scope {
    pub(crate) fn get(&self, name: &str) -> Option<&Datum> {
        self.names.get(name).map(|slot| &slot.value)
    }

    pub(crate) fn bind(&mut self, name: Text, value: Datum) {
        let frame = self.frame;
        match self.names.get_mut(&name) {
            // A second change within one call needs no second note.
            Some(slot) if slot.frame == frame => slot.value = value,
            Some(slot) => {
                let old = std::mem::replace(slot, Slot { value, frame });
                self.undo.push((name, Some(old)));
            }
            None => {
                if frame > 0 {
                    self.undo.push((name.clone(), None));
                }
                self.names.insert(name, Slot { value, frame });
            }
        }
    }

    /// Begins a call.
    pub(crate) fn enter(&mut self) -> Mark {
        self.frame += 1;
        Mark(self.undo.len())
    }

    /// Ends it: everything is as it was at `mark`.
    pub(crate) fn leave(&mut self, mark: &Mark) {
        self.frame -= 1;
        for (name, old) in self.undo.drain(mark.0..).rev() {
            match old {
                Some(slot) => {
                    self.names.insert(name, slot);
                }
                None => {
                    self.names.remove(&name);
                }
            }
        }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(|name| &**name)
    }
}
