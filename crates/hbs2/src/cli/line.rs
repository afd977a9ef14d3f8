//! From the words of the command line to a program (spec: cli 2.7).

use std::ffi::OsString;

use hbs2_script::print::quoted;
use hbs2_script::syntax::{Value, parse};

use crate::error::Failure;
use crate::line::{self, Options};

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

/// Reads the words.
///
/// # Errors
/// A word is no text, an option lacks its value.
pub fn read(words: &[OsString]) -> Result<(Options, Task), Failure> {
    let (options, words) = line::read(words, &[line::VERBOSE])?;
    Ok((options, task(&words)?))
}

fn task(words: &[String]) -> Result<Task, Failure> {
    Ok(match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => Task::Nothing,
        ["stdin" | "--run"] => Task::Stdin,
        ["--run" | "file", path, ..] => Task::File { path: (*path).to_owned(), args: words[2..].to_vec() },
        ["file"] => return Err(line::wrong("file: the name of a program is missing".to_owned())),
        ["--help"] => Task::Help(String::new()),
        ["--help", prefix] => Task::Help((*prefix).to_owned()),
        ["--help", _, more, ..] => return Err(line::wrong(format!("one word too many: '{more}'"))),
        ["-h"] => Task::Usage,
        ["version" | "--version"] => Task::Version,
        _ => Task::Forms(line::program(words, argument)),
    })
}

/// A word of the shell that is not the first of its line. One that would fall apart in the language – a name with
/// blanks, an address with an at sign – stays one string; words with brackets or quotes are taken as they are.
#[must_use]
pub fn argument(word: &str) -> String {
    if is_written(word) { word.to_owned() } else { quoted(word) }
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
        assert_eq!(task_of(words), Task::Forms(expected.to_owned()));
    }

    fn task_of(words: &[&str]) -> Task {
        read(&words.iter().map(OsString::from).collect::<Vec<_>>()).unwrap().1
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
    fn help_and_files_are_no_forms() {
        assert_eq!(task_of(&["--help", "hbs2:"]), Task::Help("hbs2:".to_owned()));
        assert_eq!(
            task_of(&["-q", "file", "a.scm", "x", "y z"]),
            Task::File { path: "a.scm".to_owned(), args: vec!["x".to_owned(), "y z".to_owned()] }
        );
        assert_eq!(task_of(&[]), Task::Nothing);
    }
}
