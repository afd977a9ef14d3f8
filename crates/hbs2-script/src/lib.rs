//! The S-expression language of the configuration files, manifests, scripts and command lines (spec: cli 2).
//!
//! * [`syntax`] reads text: it never fails and never panics; what is wrong comes out beside the forms, each
//!   error with its place;
//! * [`mod@print`] writes forms so that reading them again gives the same forms;
//! * [`config`] reads settings and says where a wrong one stands;
//! * [`machine`] evaluates: [`datum`] are its values, [`words`] the words of the language, each with its manual
//!   page beside its function ([`word`]), of which [`help`] makes pages and the reference;
//! * [`mod@lines`] reads a text as lines of words; [`nearest`] finds the name that somebody may have meant;
//! * [`calendar`] gives dates to numbers of seconds.
//!
//! Text in, values out: this crate opens no file, asks no clock and draws no random number. A program that has
//! a world gives it to its [`Machine`], with the words that use it:
//!
//! ```
//! use hbs2_script::{Limits, Machine, Word, words};
//!
//! struct World {
//!     said: Vec<String>,
//! }
//! let mut all = words::all::<World>();
//! all.push(Word::call("say", "X", |m, a| {
//!     let text = a.at(0).display();
//!     m.world().said.push(text);
//!     Ok(a.at(0).clone())
//! }));
//! let mut machine = Machine::new(World { said: Vec::new() }, all, Limits::default());
//! machine.run("example", "say (inc 1)")?;
//! assert_eq!(machine.world().said, ["2"]);
//! # Ok::<(), hbs2_script::ScriptError>(())
//! ```

pub mod calendar;
pub mod config;
pub mod datum;
mod error;
pub mod help;
pub mod lines;
pub mod machine;
pub mod nearest;
pub mod print;
mod scope;
mod source;
pub mod syntax;
pub mod word;
pub mod words;

pub use config::{Config, ConfigError, Entry};
pub use datum::Datum;
pub use error::{Fault, Raised, ScriptError};
pub use lines::{LinesError, lines};
pub use machine::{Limits, Machine, Unbound};
pub use source::{Source, Spot};
pub use syntax::{Form, Parsed, Place, Span, SyntaxError, Value, parse};
pub use word::{Args, Outcome, Word};
pub use words::wrap_forms;
