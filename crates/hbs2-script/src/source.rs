//! Texts with a name, and the places in them that errors show.

use std::fmt;

use crate::syntax::{Place, Span};

/// Columns of the line that an error shows, at most.
const SHOWN_COLUMNS_MAX: usize = 200;

/// A text that was read: a file, a command line, a line typed by a person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// Its name, for people.
    pub name: String,
    /// The text.
    pub text: String,
}

/// A place in a source, with all that is shown of it: the name, the numbers, the line and a caret below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// Name of the source.
    pub file: String,
    /// Where in it.
    pub place: Place,
    /// The line at that place.
    pub line: String,
}

impl Source {
    /// The place at which `span` starts.
    #[must_use]
    pub fn spot(&self, span: Span) -> Spot {
        let place = Place::of(&self.text, span.start);
        let line = self.text.lines().nth(place.line - 1).unwrap_or_default();
        // A tab would move the line against its caret.
        let line =
            line.chars().take(SHOWN_COLUMNS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
        Spot { file: self.name.clone(), place, line }
    }
}

impl Spot {
    /// Writes what is wrong at this place: the place and the message, the line, the caret.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn show(&self, message: &dyn fmt::Display, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { line, column } = self.place;
        writeln!(f, "{}, line {line}, column {column}: {message}", self.file)?;
        writeln!(f, "  {}", self.line)?;
        write!(f, "  {:>1$}", '^', column.min(SHOWN_COLUMNS_MAX))
    }
}
