//! What can go wrong in an evaluation, and where.

use std::error::Error;
use std::fmt;

use crate::datum::Origin;
use crate::source::Spot;
use crate::syntax;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The text cannot be read.
    #[error(transparent)]
    Syntax(syntax::Fault),
    /// A function is called that nobody has defined.
    #[error("no word is named '{name}'{}", closest.as_ref().map(|c| format!("; did you mean '{c}'?")).unwrap_or_default())]
    NotBound {
        /// The name.
        name: String,
        /// The closest name there is, when it is close.
        closest: Option<String>,
    },
    /// Too many or too few arguments.
    #[error("'{word}' takes {wanted}, not {found}: ({word}{}{args})", if args.is_empty() { "" } else { " " })]
    Arity {
        /// The word.
        word: String,
        /// How many it takes.
        wanted: String,
        /// How many there are.
        found: usize,
        /// Its arguments as a pattern.
        args: String,
    },
    /// Something is called that is no function.
    #[error("{what} is not a function")]
    NotFunction {
        /// What it is.
        what: String,
    },
    /// An argument has the wrong kind.
    #[error("argument {position} of '{word}' must be {expected}, not {found}")]
    Kind {
        /// The word.
        word: &'static str,
        /// Which argument, from 1.
        position: usize,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A special form is not written as it must be.
    #[error("'{word}' is written: {usage}")]
    BadForm {
        /// The word.
        word: &'static str,
        /// How it is written.
        usage: &'static str,
    },
    /// A word cannot do what it was asked.
    #[error("{0}")]
    Failed(String),
    /// The program ended itself with this message.
    #[error("{0}")]
    Died(String),
    /// The program ended itself with this exit code; not a failure.
    #[error("the program ended itself")]
    Quit(u8),
    /// Calls within calls.
    #[error("calls are nested deeper than {0} levels")]
    TooDeep(usize),
    /// Too much work.
    #[error("the program takes more than {0} steps")]
    TooLong(u64),
    /// Too much memory.
    #[error("the program holds more than {0} bytes")]
    TooLarge(usize),
    /// Lists within lists.
    #[error("lists are nested deeper than {0} levels")]
    TooNested(usize),
    /// A word of the host failed.
    #[error(transparent)]
    Host(Box<dyn Error + Send + Sync>),
}

/// A fault on its way out of an evaluation. Small, because every step may return one.
#[derive(Debug)]
pub struct Raised(Box<(Fault, Option<Origin>, Option<Spot>)>);

/// A fault with its place: what a program tells its user.
#[derive(Debug)]
pub struct ScriptError {
    /// What went wrong.
    pub fault: Box<Fault>,
    /// Where, when that is known.
    pub spot: Option<Box<Spot>>,
}

impl Fault {
    /// A failure described by a sentence.
    #[must_use]
    pub fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }

    /// Whether a program may go on after it: not after a limit, and not when it wanted to end.
    #[must_use]
    pub fn may_be_caught(&self) -> bool {
        !matches!(
            self,
            Self::Quit(_) | Self::Died(_) | Self::TooDeep(_) | Self::TooLong(_) | Self::TooLarge(_)
        )
    }
}

impl Raised {
    /// A failure of the host.
    #[must_use]
    pub fn host(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Fault::Host(error.into()).into()
    }

    /// What went wrong.
    #[must_use]
    pub fn fault(&self) -> &Fault {
        &self.0.0
    }

    /// Remembers where it happened; the innermost place stays.
    pub(crate) fn at(mut self, origin: Option<Origin>) -> Self {
        if self.0.1.is_none() && self.0.2.is_none() {
            self.0.1 = origin;
        }
        self
    }

    pub(crate) fn at_spot(fault: Fault, spot: Spot) -> Self {
        Self(Box::new((fault, None, Some(spot))))
    }

    pub(crate) fn settle(self, spot: impl FnOnce(Origin) -> Option<Spot>) -> ScriptError {
        let (fault, origin, known) = *self.0;
        ScriptError { fault: Box::new(fault), spot: known.or_else(|| origin.and_then(spot)).map(Box::new) }
    }
}

impl From<Fault> for Raised {
    fn from(fault: Fault) -> Self {
        Self(Box::new((fault, None, None)))
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.spot {
            Some(spot) => spot.show(&self.fault, f),
            None => self.fault.fmt(f),
        }
    }
}

impl Error for ScriptError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &*self.fault {
            // The text of the failure is shown as our own.
            Fault::Host(error) => error.source(),
            _ => None,
        }
    }
}
