//! The command line of `hbs2-git3`: several commands in one call, joined by `and` or `then` (spec: git3 11.1).
//!
//! One word of the shell is one word here, so names with blanks, brackets or quotes need no second quoting.

use std::ffi::OsString;

use crate::error::Failure;
use crate::line::{self, Options};

/// Names of the option that says more; the original has the others.
const VERBOSE: [&str; 5] = [line::VERBOSE, "-t", "--trace", "-d", "--debug"];

/// A command and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Name of the command.
    pub name: String,
    /// Its arguments.
    pub args: Vec<String>,
}

/// Reads all words.
///
/// # Errors
/// A word is no UTF-8 text; an option is unknown or lacks its value.
pub fn read(words: &[OsString]) -> Result<(Options, Vec<Step>), Failure> {
    let (options, words) = line::read(words, &VERBOSE)?;
    if let Some(word) = words.first().filter(|word| is_option(word)) {
        return Err(line::wrong(format!("unknown option '{word}'")));
    }
    let step = |words: &[String]| {
        let (name, args) = words.split_first()?;
        Some(Step { name: name.clone(), args: args.to_vec() })
    };
    Ok((options, line::commands(&words).filter_map(step).collect()))
}

/// Everything that starts with a minus is an option, but for the words that ask for help.
fn is_option(word: &str) -> bool {
    word.starts_with('-') && !super::help::WORDS.contains(&word)
}

/// The arguments of one command, taken one after another.
#[derive(Debug)]
pub struct Args<'a> {
    command: &'static str,
    rest: Vec<&'a str>,
}

impl<'a> Args<'a> {
    /// The arguments of `command`.
    #[must_use]
    pub fn new(command: &'static str, args: &'a [String]) -> Self {
        Self { command, rest: args.iter().map(String::as_str).collect() }
    }

    /// Takes a switch; whether it was there.
    pub fn switch(&mut self, name: &str) -> bool {
        let before = self.rest.len();
        self.rest.retain(|word| *word != name);
        self.rest.len() < before
    }

    /// Takes the next option of this name with the values after it; none when there is none.
    ///
    /// # Errors
    /// Fewer values follow.
    pub fn option<const N: usize>(&mut self, name: &str) -> Result<Option<[&'a str; N]>, Failure> {
        let Some(at) = self.rest.iter().position(|word| *word == name) else { return Ok(None) };
        let values: Vec<&str> = self.rest.iter().skip(at + 1).take(N).copied().collect();
        let values = values.try_into().map_err(|_| self.wrong(format!("{name} needs {N} value(s)")))?;
        self.rest.drain(at..=at + N);
        Ok(Some(values))
    }

    /// Takes the next word, which `what` names in the help.
    ///
    /// # Errors
    /// There is none, or it looks like an option.
    pub fn word(&mut self, what: &str) -> Result<&'a str, Failure> {
        match self.maybe_word()? {
            Some(word) => Ok(word),
            None => Err(self.wrong(format!("missing: {what}"))),
        }
    }

    /// Takes the next word, if there is one.
    ///
    /// # Errors
    /// It looks like an option.
    pub fn maybe_word(&mut self) -> Result<Option<&'a str>, Failure> {
        match self.rest.first().copied() {
            Some(word) if word.starts_with('-') => Err(self.wrong(format!("unknown option '{word}'"))),
            Some(word) => {
                self.rest.remove(0);
                Ok(Some(word))
            }
            None => Ok(None),
        }
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// There is.
    pub fn end(self) -> Result<(), Failure> {
        match self.rest.first() {
            Some(word) if word.starts_with('-') => Err(self.wrong(format!("unknown option '{word}'"))),
            Some(word) => Err(self.wrong(format!("one word too many: '{word}'"))),
            None => Ok(()),
        }
    }

    /// The error of a wrong use of this command.
    #[must_use]
    pub fn wrong(&self, message: String) -> Failure {
        Failure::Usage { message, command: Some(self.command) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::Tone;

    fn all(words: &[&str]) -> Result<(Options, Vec<Step>), Failure> {
        read(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    fn step(words: &[&str]) -> Step {
        Step { name: words[0].to_owned(), args: words[1..].iter().map(|word| (*word).to_owned()).collect() }
    }

    #[test]
    fn and_and_then_join_commands_and_words_keep_their_blanks() {
        let (_, steps) = all(&["compression", "4", "and", "reflog:export", "a b", "then", "quiet"]).unwrap();
        assert_eq!(steps, [step(&["compression", "4"]), step(&["reflog:export", "a b"]), step(&["quiet"])]);
    }

    #[test]
    fn options_stand_before_the_first_command() {
        let (options, steps) = all(&["--socket", "/s", "-t", "-c=/d", "repo:refs", "-x"]).unwrap();
        assert_eq!((options.config, options.tone), (Some("/d".into()), Tone::Verbose));
        assert_eq!(steps, [step(&["repo:refs", "-x"])]);
        assert!(all(&["--nonsense", "repo:refs"]).is_err());
        assert!(all(&["--socket"]).is_err());
    }

    #[test]
    fn help_is_a_command() {
        assert_eq!(all(&["--help", "repo"]).unwrap().1, [step(&["--help", "repo"])]);
    }

    #[test]
    fn arguments_are_taken_by_name_and_by_place() {
        let words: Vec<String> = ["--set", "a", "b", "HEAD", "--new"].map(str::to_owned).to_vec();
        let mut args = Args::new("reflog:export", &words);
        assert!(args.switch("--new"));
        assert_eq!(args.option::<2>("--set").unwrap(), Some(["a", "b"]));
        assert_eq!(args.option::<1>("--del").unwrap(), None);
        assert_eq!(args.word("REV").unwrap(), "HEAD");
        assert!(args.end().is_ok());
        assert!(Args::new("x", &words).word("REV").is_err());
    }
}
