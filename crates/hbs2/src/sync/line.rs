//! From the words of the command line to a program.

use std::ffi::OsString;

use hbs2_script::print::quoted;

use crate::error::Failure;
use crate::line::{self, Options};

/// The program without words.
const DEFAULT: &str = "run-config";

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
    let (options, words) = line::read(words, &[line::VERBOSE])?;
    Ok((options, task(&words)?))
}

fn task(words: &[String]) -> Result<Task, Failure> {
    Ok(match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => Task::Forms(DEFAULT.to_owned()),
        ["-h" | "--help"] => Task::Usage,
        ["--help", prefix] => Task::Help((*prefix).to_owned()),
        ["--help", _, more, ..] => return Err(line::wrong(format!("one word too many: '{more}'"))),
        ["--watch", ..] => Task::Forms(program(&[&["watch".to_owned()], &words[1..]].concat())),
        _ => Task::Forms(program(words)),
    })
}

/// The words as a program, in which all but names are strings, whatever signs they have.
fn program(words: &[String]) -> String {
    line::program(words, quoted)
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
