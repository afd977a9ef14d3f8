//! The command line of programs whose commands are words of a language or of a table: options first, then commands
//! that `and` or `then` join.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::Failure;
use crate::voice::Tone;

/// Words that begin another command.
pub const JOINTS: [&str; 2] = ["and", "then"];

/// The option that says more on stderr.
pub const VERBOSE: &str = "--verbose";

/// What stands before the first command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Directory of the peer's config.
    pub config: Option<PathBuf>,
    /// Socket of the running peer.
    pub socket: Option<PathBuf>,
    /// Longest wait, of what the program says.
    pub timeout: Option<Duration>,
    /// How much to say.
    pub tone: Tone,
}

/// Reads all words: the options, and what follows them. `verbose` are the names of the option that says more.
///
/// # Errors
/// A word is no UTF-8 text; an option lacks its value, or has a wrong one.
pub fn read(words: &[OsString], verbose: &[&str]) -> Result<(Options, Vec<String>), Failure> {
    let text = |word: &OsString| word.clone().into_string().map_err(|word| Failure::NotText { word });
    let words: Vec<String> = words.iter().map(text).collect::<Result<_, _>>()?;
    let mut words = words.into_iter().peekable();
    let mut options = Options::default();
    while let Some(word) = words.next_if(|word| Kind::of(word, verbose).is_some()) {
        let kind = Kind::of(&word, verbose).expect("it was one when it was taken");
        let mut value = || {
            let inline = word.split_once('=').map(|(_, value)| value.to_owned());
            inline.or_else(|| words.next()).ok_or_else(|| wrong(format!("{word} needs a value")))
        };
        match kind {
            Kind::Config => options.config = Some(value()?.into()),
            Kind::Socket => options.socket = Some(value()?.into()),
            Kind::Timeout => options.timeout = Some(seconds(&value()?)?),
            Kind::Quiet => options.tone = Tone::Quiet,
            Kind::Verbose if options.tone == Tone::Quiet => {}
            Kind::Verbose => options.tone = Tone::Verbose,
        }
    }
    Ok((options, words.collect()))
}

/// The words of each command.
pub fn commands(words: &[String]) -> impl Iterator<Item = &[String]> {
    words.split(|word| JOINTS.contains(&word.as_str()))
}

/// The commands as a program of the language: a line each, in which the first word stands as it is and the others as
/// `argument` writes them.
pub fn program(words: &[String], argument: impl Fn(&str) -> String) -> String {
    let line = |words: &[String]| {
        let (name, args) = words.split_first()?;
        let args = args.iter().map(|word| format!(" {}", argument(word)));
        Some(std::iter::once(name.clone()).chain(args).collect::<String>())
    };
    commands(words).filter_map(line).collect::<Vec<_>>().join("\n")
}

/// The error of a wrong use of the program.
#[must_use]
pub fn wrong(message: String) -> Failure {
    Failure::Usage { message, command: None }
}

/// What an option is about.
enum Kind {
    Config,
    Socket,
    Timeout,
    Quiet,
    Verbose,
}

impl Kind {
    fn of(word: &str, verbose: &[&str]) -> Option<Self> {
        match word.split_once('=').map_or(word, |(name, _)| name) {
            "-c" | "--config" => Some(Self::Config),
            "-r" | "--socket" => Some(Self::Socket),
            "--timeout" => Some(Self::Timeout),
            "-q" | "--quiet" => Some(Self::Quiet),
            name if verbose.contains(&name) => Some(Self::Verbose),
            _ => None,
        }
    }
}

fn seconds(value: &str) -> Result<Duration, Failure> {
    match value.parse() {
        Ok(seconds @ 1..) => Ok(Duration::from_secs(seconds)),
        _ => Err(wrong(format!("--timeout is '{value}', not a number of seconds"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(words: &[&str]) -> Result<(Options, Vec<String>), Failure> {
        read(&words.iter().map(OsString::from).collect::<Vec<_>>(), &[VERBOSE])
    }

    #[test]
    fn options_stand_before_the_first_command() {
        let (options, rest) =
            all(&["-c", "/d", "--socket=/s", "--timeout", "5", "-q", "--verbose", "ls", "-q"]).unwrap();
        assert_eq!((options.config, options.socket), (Some("/d".into()), Some("/s".into())));
        assert_eq!((options.timeout, options.tone), (Some(Duration::from_secs(5)), Tone::Quiet));
        assert_eq!(rest, ["ls", "-q"]);
        assert_eq!(all(&["--verbose"]).unwrap().0.tone, Tone::Verbose);
    }

    #[test]
    fn an_option_without_its_value_is_an_error() {
        for words in [&["--socket"][..], &["--timeout", "0"], &["--timeout=soon"]] {
            assert!(matches!(all(words), Err(Failure::Usage { .. })), "{words:?}");
        }
    }

    #[test]
    fn and_and_then_join_commands() {
        let (_, words) = all(&["a", "b c", "and", "d", "then", "e"]).unwrap();
        assert_eq!(commands(&words).collect::<Vec<_>>(), [&["a", "b c"][..], &["d"], &["e"]]);
        assert_eq!(program(&words, |word| format!("<{word}>")), "a <b c>\nd\ne");
    }
}
