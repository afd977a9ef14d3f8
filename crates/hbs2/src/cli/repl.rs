//! The prompt: a person types forms and sees their values.
//!
//! A line goes on while a bracket or a string is open. Tab completes the names of words; what was typed is kept in a
//! file that only its owner reads.

use std::cell::RefCell;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::rc::Rc;

use hbs2_script::syntax::{Fault as Syntax, parse};
use hbs2_script::{Datum, Fault, Machine, help};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Config, Context, Editor, Helper};

use super::world::Cli;
use crate::config::places;
use crate::error::{self, Failure};
use crate::line::Options;
use crate::voice::Voice;

/// Lines of the history, at most.
const HISTORY_LINES_MAX: usize = 10_000;

/// Runs the prompt until its end (Ctrl-D), or until the script ends itself.
///
/// # Errors
/// The terminal cannot be used; the script ended itself with a code.
pub fn run(options: Options, voice: &mut Voice) -> Result<(), Failure> {
    let mut machine = super::machine(options, voice)?;
    let names = Rc::new(RefCell::new(all_names(&machine)));
    let config = Config::builder().max_history_size(HISTORY_LINES_MAX).map_err(Failure::Terminal)?;
    let config = config.history_ignore_space(true).auto_add_history(true).build();
    let mut editor: Editor<Prompt, DefaultHistory> =
        Editor::with_config(config).map_err(Failure::Terminal)?;
    editor.set_helper(Some(Prompt { names: Rc::clone(&names) }));
    let history = history_file();
    if let Some(file) = &history {
        // A history that cannot be read is an empty one.
        let _ = editor.load_history(file);
    }
    machine.world().voice.talk().note("type (help) for all words, Ctrl-D to end");
    let outcome = converse(&mut editor, &mut machine, &names);
    if let Some(file) = &history {
        // Nothing is lost that matters.
        let _ = editor.save_history(file);
    }
    outcome
}

fn converse(
    editor: &mut Editor<Prompt, DefaultHistory>,
    machine: &mut Machine<Cli<'_>>,
    names: &RefCell<Vec<String>>,
) -> Result<(), Failure> {
    loop {
        let line = match editor.readline("hbs2> ") {
            Ok(line) => line,
            Err(ReadlineError::Eof) => return Ok(()),
            Err(ReadlineError::Interrupted) => continue,
            Err(error) => return Err(Failure::Terminal(error)),
        };
        let outcome = match machine.run("prompt", &line) {
            Ok(Datum::Nil) => Ok(()),
            Ok(value) => {
                machine.world().voice.line(value.display().trim_end_matches('\n')).map_err(Failure::Output)
            }
            Err(script) if matches!(*script.fault, Fault::Quit(_) | Fault::Died(_)) => {
                return Err(Failure::Script(script));
            }
            Err(script) => Err(Failure::Script(script)),
        };
        error::finish(outcome, machine.world().voice);
        *names.borrow_mut() = all_names(machine);
    }
}

fn all_names(machine: &Machine<Cli<'_>>) -> Vec<String> {
    let words = help::names(machine.words(), "").into_iter();
    let mut names: Vec<String> = words.chain(machine.bound_names()).map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The file of the history, made private.
fn history_file() -> Option<PathBuf> {
    let dir = places().data_home?.join("hbs2-cli");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).ok()?;
    let file = dir.join("history");
    OpenOptions::new().create(true).append(true).mode(0o600).open(&file).ok()?;
    Some(file)
}

/// Completes names and sees whether a line goes on.
struct Prompt {
    names: Rc<RefCell<Vec<String>>>,
}

impl Completer for Prompt {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let (start, begun) = begun(&line[..pos]);
        let names = self.names.borrow();
        let fitting = names.iter().filter(|name| name.starts_with(begun)).cloned().collect();
        Ok((start, fitting))
    }
}

/// The word that is being typed, and where it begins.
fn begun(line: &str) -> (usize, &str) {
    let ends = |c: char| {
        c.is_whitespace() || matches!(c, '(' | '[' | '{' | ')' | ']' | '}' | '\'' | '`' | '"' | ';')
    };
    let start = line.rfind(ends).map_or(0, |at| at + line[at..].chars().next().map_or(0, char::len_utf8));
    (start, &line[start..])
}

impl Validator for Prompt {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        Ok(match goes_on(context.input()) {
            true => ValidationResult::Incomplete,
            false => ValidationResult::Valid(None),
        })
    }
}

/// Whether nothing is wrong with the text but that it has not ended.
fn goes_on(text: &str) -> bool {
    let errors = parse(text).errors;
    let open = |fault: Syntax| matches!(fault, Syntax::Unclosed | Syntax::UnclosedText);
    !errors.is_empty() && errors.iter().all(|error| open(error.fault))
}

impl Helper for Prompt {}
impl Highlighter for Prompt {}
impl Hinter for Prompt {
    type Hint = String;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_on_while_something_is_open() {
        assert!(goes_on("(list 1"));
        assert!(goes_on("print \"a"));
        assert!(!goes_on("list 1"));
        assert!(!goes_on("list 1)"));
        assert!(!goes_on("(list ]"));
    }

    #[test]
    fn the_word_that_is_typed_begins_after_a_bracket_or_a_blank() {
        assert_eq!(begun("(map hbs2:ha"), (5, "hbs2:ha"));
        assert_eq!(begun("[hbs2:"), (1, "hbs2:"));
        assert_eq!(begun("hb"), (0, "hb"));
    }
}
