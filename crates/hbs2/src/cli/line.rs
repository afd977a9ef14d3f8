//! From the words of the command line to a program (spec: cli 2.7).

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use hbs2_script::print::quoted;
use hbs2_script::syntax::{Value, parse};

use crate::error::Failure;
use crate::voice::Tone;

/// What stands before the program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Directory of the peer's config.
    pub config: Option<PathBuf>,
    /// Socket of the running peer.
    pub socket: Option<PathBuf>,
    /// Longest wait for an answer of the peer.
    pub answer: Option<Duration>,
    quiet: bool,
    verbose: bool,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Run the program that the words are.
    Forms(String),
    /// Run the program on stdin.
    Stdin,
    /// Run a program file with its arguments.
    File {
        /// The file.
        path: String,
        /// Its arguments.
        args: Vec<String>,
    },
    /// Explain the word of this name, or list names that begin so.
    Help(String),
    /// Explain the program.
    Usage,
    /// Tell the version.
    Version,
    /// There are no words.
    Nothing,
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

/// Reads the words.
///
/// # Errors
/// A word is no text, an option lacks its value.
pub fn read(words: &[OsString]) -> Result<(Options, Task), Failure> {
    let words: Vec<&str> = words
        .iter()
        .map(|word| word.to_str().ok_or_else(|| Failure::NotText { word: word.clone() }))
        .collect::<Result<_, _>>()?;
    let (options, rest) = options(&words)?;
    Ok((options, task(rest)?))
}

fn options<'w, 'a>(words: &'w [&'a str]) -> Result<(Options, &'w [&'a str]), Failure> {
    let mut options = Options::default();
    let mut rest = words;
    while let Some((word, after)) = rest.split_first() {
        let (name, inline) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value)),
            _ => (*word, None),
        };
        if !matches!(
            name,
            "-c" | "--config" | "-r" | "--socket" | "--timeout" | "-q" | "--quiet" | "--verbose"
        ) {
            break;
        }
        rest = after;
        if matches!(name, "-q" | "--quiet") {
            options.quiet = true;
            continue;
        }
        if name == "--verbose" {
            options.verbose = true;
            continue;
        }
        let value = match (inline, rest.split_first()) {
            (Some(value), _) => value,
            (None, Some((value, after))) => {
                rest = after;
                value
            }
            (None, None) => return Err(usage(format!("{name} needs a value"))),
        };
        match name {
            "-c" | "--config" => options.config = Some(value.into()),
            "-r" | "--socket" => options.socket = Some(value.into()),
            _ => match value.parse() {
                Ok(seconds @ 1..) => options.answer = Some(Duration::from_secs(seconds)),
                _ => return Err(usage(format!("--timeout is '{value}', not a number of seconds"))),
            },
        }
    }
    Ok((options, rest))
}

fn usage(message: String) -> Failure {
    Failure::Usage { message, command: None }
}

fn task(words: &[&str]) -> Result<Task, Failure> {
    let own = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect();
    Ok(match words {
        [] => Task::Nothing,
        ["stdin" | "--run"] => Task::Stdin,
        ["--run" | "file", path, args @ ..] => Task::File { path: (*path).to_owned(), args: own(args) },
        ["file"] => return Err(usage("file: the name of a program is missing".to_owned())),
        ["--help"] => Task::Help(String::new()),
        ["--help", prefix] => Task::Help((*prefix).to_owned()),
        ["--help", _, more, ..] => return Err(usage(format!("one word too many: '{more}'"))),
        ["-h"] => Task::Usage,
        ["version" | "--version"] => Task::Version,
        words => Task::Forms(program(words)),
    })
}

/// The words as a program: one line, which `and` and `then` end. A word of the shell that is not the first of its line
/// and would fall apart in the language – a name with blanks, an address with an at sign – stays one string; words with
/// brackets or quotes are taken as they are.
#[must_use]
pub fn program(words: &[&str]) -> String {
    let mut text = String::new();
    let mut is_first = true;
    for word in words {
        if matches!(*word, "and" | "then") {
            text.push('\n');
            is_first = true;
            continue;
        }
        if !is_first {
            text.push(' ');
        }
        if is_first || is_written(word) {
            text.push_str(word);
        } else {
            text.push_str(&quoted(word));
        }
        is_first = false;
    }
    text
}

/// Whether a word of the shell is meant as it is written: it is one word of the language, or has signs of it.
fn is_written(word: &str) -> bool {
    if word.contains(['(', ')', '[', ']', '{', '}', '"', '\'', '`', ';']) || word.starts_with(',') {
        return true;
    }
    let parsed = parse(word);
    match (parsed.errors.as_slice(), parsed.forms.as_slice()) {
        ([], [form]) => form.as_list().is_some_and(|items| match items {
            [only] => !matches!(only.value, Value::List(_)),
            _ => false,
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[&str], expected: &str) {
        assert_eq!(program(words), expected);
    }

    #[test]
    fn words_are_one_line_and_joints_begin_another() {
        check(&["print", "1", "and", "print", "2"], "print 1\nprint 2");
        check(&["[f", "[g", "a]", "b]"], "[f [g a] b]");
        check(&["println [list 1 2]"], "println [list 1 2]");
        check(&["f", "and", "g", "then", "h"], "f\ng\nh");
    }

    #[test]
    fn a_word_of_the_shell_stays_one_word() {
        check(&["print", "a b"], "print \"a b\"");
        check(&["print", "\"a b\""], "print \"a b\"");
        check(&["print", "a@b", "x,y", ""], "print \"a@b\" \"x,y\" \"\"");
        check(&["print", "5", "@?", "#t", "/a/**/*.key"], "print 5 @? #t /a/**/*.key");
        check(&["print", "don't"], "print don't");
    }

    #[test]
    fn options_stand_before_the_program() {
        let read = |words: &[&str]| read(&words.iter().map(OsString::from).collect::<Vec<_>>()).unwrap();
        let (options, task) = read(&["-c", "/d", "--socket=/s", "--timeout", "5", "-q", "print", "-q"]);
        assert_eq!((options.config, options.socket), (Some("/d".into()), Some("/s".into())));
        assert_eq!((options.answer, options.quiet), (Some(Duration::from_secs(5)), true));
        assert_eq!(task, Task::Forms("print -q".to_owned()));
        assert_eq!(read(&["--help", "hbs2:"]).1, Task::Help("hbs2:".to_owned()));
        assert_eq!(
            read(&["file", "a.scm", "x", "y z"]).1,
            Task::File { path: "a.scm".to_owned(), args: vec!["x".to_owned(), "y z".to_owned()] }
        );
        assert_eq!(read(&[]).1, Task::Nothing);
    }
}
