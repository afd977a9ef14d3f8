//! The S-expression language of the configuration files, manifests and command lines (spec: cli 2).
//!
//! * [`syntax`] reads text: it never fails and never panics; what is wrong comes out beside the forms, each
//!   error with its place;
//! * [`mod@print`] writes forms so that reading them again gives the same forms;
//! * [`config`] reads settings and says where a wrong one stands.
//!
//! Text in, values out: this crate opens no file.

pub mod config;
pub mod print;
pub mod syntax;

pub use config::{Config, ConfigError, Entry};
pub use syntax::{Form, Parsed, Place, Span, SyntaxError, Value, parse};
