//! The words of the language itself: those that need nothing but their arguments (spec: cli 2.9, 2.10).
//!
//! One file is one group. In it stand, side by side, the manual page of each word and its function. Words that
//! need the world – files, processes, the clock – come from the host.

use crate::word::{Word, group};

mod bytes;
mod call;
mod choose;
mod constants;
mod forms;
mod kinds;
mod list;
mod logic;
mod markup;
mod number;
mod order;
mod path;
mod pattern;
mod quote;
mod table;
mod text;
mod time;

pub use text::wrap as wrap_forms;

/// All words of the language.
#[must_use]
pub fn all<W>() -> Vec<Word<W>> {
    [
        group("Names and functions", forms::words()),
        group("Quoting", quote::words()),
        group("Calling", call::words()),
        group("Choosing", choose::words()),
        group("Truth and comparison", logic::words()),
        group("Kinds", kinds::words()),
        group("Lists", list::words()),
        group("Lists in order", order::words()),
        group("Tables", table::words()),
        group("Numbers", number::words()),
        group("Text", text::words()),
        group("Markup", markup::words()),
        group("Paths", path::words()),
        group("Time", time::words()),
        group("Bytes", bytes::words()),
        group("Constants", constants::words()),
    ]
    .into_iter()
    .flatten()
    .collect()
}
