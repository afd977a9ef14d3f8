//! Reading settings (spec: cli 2.4).
//!
//! A setting is a form that starts with its key: `listen "0.0.0.0:7351"`. Of a single setting the last one
//! wins; a list setting takes all. Values may be quoted or not. Unknown keys are nobody's business here.
//! Everything that is wrong is a [`ConfigError`] that shows the file, the place and the line.

use std::borrow::Cow;
use std::fmt;

use crate::source::{Source, Spot};
use crate::syntax::{Form, Place, Span, Value, parse};

/// Largest text read as a configuration, in bytes. A person writes a few KiB; a program that lists keys a few
/// hundred.
pub const CONFIG_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A configuration that was read without an error.
#[derive(Debug, Clone, Default)]
pub struct Config {
    source: Source,
    forms: Vec<Form>,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'c> {
    config: &'c Config,
    form: &'c Form,
    values: &'c [Form],
}

/// Something wrong in a configuration. Its text has several lines: the place and what is wrong, the line, and
/// a caret below the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Name of the file, as given.
    pub file: String,
    /// Where in the file.
    pub place: Place,
    /// The line at that place.
    pub line: String,
    /// What is wrong, or what is expected.
    pub message: String,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spot = Spot { file: self.file.clone(), place: self.place, line: self.line.clone() };
        spot.show(&self.message, f)
    }
}

impl Config {
    /// Reads the text of the file `file`, which is named in errors only.
    ///
    /// # Errors
    /// The first thing wrong in the text.
    pub fn parse(file: impl Into<String>, text: impl Into<String>) -> Result<Self, ConfigError> {
        let (file, text) = (file.into(), text.into());
        if text.len() > CONFIG_BYTES_MAX {
            let message = format!("the file is larger than {CONFIG_BYTES_MAX} bytes");
            return Err(ConfigError {
                file,
                place: Place { line: 1, column: 1 },
                line: String::new(),
                message,
            });
        }
        let parsed = parse(&text);
        let config = Self { source: Source { name: file, text }, forms: parsed.forms };
        match parsed.errors.first() {
            None => Ok(config),
            Some(error) => Err(config.error(error.span, error.fault.to_string())),
        }
    }

    /// Name of the file, as given.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.source.name
    }

    /// All forms, settings or not.
    #[must_use]
    pub fn forms(&self) -> &[Form] {
        &self.forms
    }

    /// All settings with this key, in order.
    #[must_use]
    pub fn all(&self, key: &str) -> Vec<Entry<'_>> {
        self.entries().filter(|(found, _)| *found == key).map(|(_, entry)| entry).collect()
    }

    /// The last setting with this key.
    #[must_use]
    pub fn last(&self, key: &str) -> Option<Entry<'_>> {
        self.entries().filter(|(found, _)| *found == key).last().map(|(_, entry)| entry)
    }

    /// The only value of the last setting with this key, quoted or not.
    ///
    /// # Errors
    /// The setting has no value, or more than one.
    pub fn text(&self, key: &str) -> Result<Option<Cow<'_, str>>, ConfigError> {
        self.last(key).map(|entry| entry.text()).transpose()
    }

    /// The only values of all settings with this key, quoted or not.
    ///
    /// # Errors
    /// One of the settings has no value, or more than one.
    pub fn texts(&self, key: &str) -> Result<Vec<Cow<'_, str>>, ConfigError> {
        self.all(key).iter().map(Entry::text).collect()
    }

    /// The only value of the last setting with this key as a whole number.
    ///
    /// # Errors
    /// It is not one.
    pub fn integer(&self, key: &str) -> Result<Option<i128>, ConfigError> {
        self.last(key).map(|entry| entry.integer()).transpose()
    }

    /// The last setting with this key as a switch: `on` is on, anything else is off, none is none.
    #[must_use]
    pub fn switch(&self, key: &str) -> Option<bool> {
        self.last(key).map(|entry| entry.values.first().and_then(Form::as_word) == Some("on"))
    }

    fn entries(&self) -> impl Iterator<Item = (&str, Entry<'_>)> {
        self.forms.iter().filter_map(|form| {
            let (key, values) = form.as_call()?;
            Some((key, Entry { config: self, form, values }))
        })
    }

    fn error(&self, span: Span, message: impl Into<String>) -> ConfigError {
        let Spot { file, place, line } = self.source.spot(span);
        ConfigError { file, place, line, message: message.into() }
    }
}

impl<'c> Entry<'c> {
    /// The values after the key.
    #[must_use]
    pub fn values(&self) -> &'c [Form] {
        self.values
    }

    /// The only value, quoted or not.
    ///
    /// # Errors
    /// No value, more than one, or a list.
    pub fn text(&self) -> Result<Cow<'c, str>, ConfigError> {
        match self.values {
            [one] => self.word(one),
            [] => Err(self.error("a value is missing")),
            [first, second, ..] if first.span.end == second.span.start => {
                Err(self.error_at(second, "this sign ends a word: write the value in double quotes"))
            }
            [_, second, ..] => Err(self.error_at(second, "only one value is expected")),
        }
    }

    /// All values as words, quoted or not.
    ///
    /// # Errors
    /// One of them is a list.
    pub fn words(&self) -> Result<Vec<Cow<'c, str>>, ConfigError> {
        self.values.iter().map(|value| self.word(value)).collect()
    }

    /// The only value as a whole number.
    ///
    /// # Errors
    /// It is not one.
    pub fn integer(&self) -> Result<i128, ConfigError> {
        let text = self.text()?;
        match self.values[0].value {
            Value::Integer(number) => Ok(number),
            _ => text.parse().map_err(|_| self.error_at(&self.values[0], "a whole number is expected")),
        }
    }

    /// An error about this setting, to be shown at its key.
    #[must_use]
    pub fn error(&self, message: impl Into<String>) -> ConfigError {
        self.config.error(self.form.span, message)
    }

    /// An error about one of the values of this setting.
    #[must_use]
    pub fn error_at(&self, value: &Form, message: impl Into<String>) -> ConfigError {
        self.config.error(value.span, message)
    }

    /// A number or a boolean where a word is wanted is taken as it was written: a file may be called `007`.
    fn word(&self, value: &'c Form) -> Result<Cow<'c, str>, ConfigError> {
        match &value.value {
            Value::Symbol(word) | Value::Text(word) => Ok(Cow::Borrowed(word)),
            Value::List(_) => Err(self.error_at(value, "a word is expected, not a list")),
            _ => Ok(Cow::Borrowed(&self.config.source.text[value.span.start..value.span.end])),
        }
    }
}
