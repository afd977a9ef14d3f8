//! From the words of the command line to a program.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use hbs2_script::print::quoted;

use crate::error::Failure;
use crate::voice::Tone;

/// Words that begin another form.
const JOINTS: [&str; 2] = ["and", "then"];

/// The program without words.
const DEFAULT: &str = "run-config";

/// What stands before the program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Directory of the peer's config.
    pub config: Option<PathBuf>,
    /// Socket of the running peer.
    pub socket: Option<PathBuf>,
    /// Longest wait without news of what is awaited.
    pub answer: Option<Duration>,
    quiet: bool,
    verbose: bool,
}

impl Options {
    /// How much to say.
    #[must_use]
    pub fn tone(&self) -> Tone {
        match (self.quiet, self.verbose) {
            (true, _) => Tone::Quiet,
            (_, true) => Tone::Verbose,
            _ => Tone::Normal,
        }
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Run this program.
    Forms(String),
    /// Explain the word of this name, or list names that begin so.
    Help(String),
    /// Explain the program.
    Usage,
}

/// Reads the words.
///
/// # Errors
/// A word is no text, an option lacks its value.
pub fn read(words: &[OsString]) -> Result<(Options, Task), Failure> {
    let text = |word: &OsString| word.clone().into_string().map_err(|word| Failure::NotText { word });
    let words: Vec<String> = words.iter().map(text).collect::<Result<_, _>>()?;
    let mut options = Options::default();
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next_if(|word| is_option(word)) {
        let (name, inline) = match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word, None),
        };
        if matches!(name.as_str(), "-q" | "--quiet") {
            options.quiet = true;
            continue;
        }
        if name == "--verbose" {
            options.verbose = true;
            continue;
        }
        let value = inline.or_else(|| words.next()).ok_or_else(|| usage(format!("{name} needs a value")))?;
        match name.as_str() {
            "-c" | "--config" => options.config = Some(value.into()),
            "-r" | "--socket" => options.socket = Some(value.into()),
            _ => match value.parse() {
                Ok(seconds @ 1..) => options.answer = Some(Duration::from_secs(seconds)),
                _ => return Err(usage(format!("--timeout is '{value}', not a number of seconds"))),
            },
        }
    }
    Ok((options, task(&words.collect::<Vec<_>>())?))
}

fn is_option(word: &str) -> bool {
    let name = word.split_once('=').map_or(word, |(name, _)| name);
    matches!(name, "-c" | "--config" | "-r" | "--socket" | "--timeout" | "-q" | "--quiet" | "--verbose")
}

fn usage(message: String) -> Failure {
    Failure::Usage { message, command: None }
}

fn task(words: &[String]) -> Result<Task, Failure> {
    Ok(match words {
        [] => Task::Forms(DEFAULT.to_owned()),
        [help] if help == "-h" || help == "--help" => Task::Usage,
        [help, prefix] if help == "--help" => Task::Help(prefix.clone()),
        [help, _, more, ..] if help == "--help" => {
            return Err(usage(format!("one word too many: '{more}'")));
        }
        [watch, rest @ ..] if watch == "--watch" => Task::Forms(program(rest, "watch")),
        words => Task::Forms(program(words, "")),
    })
}

/// The words as a program: the first of each form is its name, the others are strings, whatever signs they have.
fn program(words: &[String], first: &str) -> String {
    let mut text = first.to_owned();
    for word in words {
        if JOINTS.contains(&word.as_str()) {
            text.push('\n');
        } else if text.is_empty() || text.ends_with('\n') {
            text.push_str(word);
        } else {
            text.push(' ');
            text.push_str(&quoted(word));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[&str], task: Task) {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        assert_eq!(read(&words).unwrap().1, task);
    }

    #[test]
    fn words_are_one_form_and_joints_begin_another() {
        check(&[], Task::Forms("run-config".into()));
        check(&["sync"], Task::Forms("sync".into()));
        check(&["dir", "a b", "and", "tomb", "don't"], Task::Forms("dir \"a b\"\ntomb \"don't\"".into()));
        check(&["--watch", "dir"], Task::Forms("watch \"dir\"".into()));
        check(&["-q", "init", "--refchan", "K"], Task::Forms("init \"--refchan\" \"K\"".into()));
    }

    #[test]
    fn help_is_no_form() {
        check(&["--help"], Task::Usage);
        check(&["-h"], Task::Usage);
        check(&["--help", "dir"], Task::Help("dir".into()));
    }
}
