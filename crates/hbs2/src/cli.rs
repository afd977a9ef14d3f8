//! `hbs2-cli`: scripts (spec: cli 2.7, 2.8, 6).
//!
//! The words of a command line, stdin, a file or what a person types become programs of the language, with the words
//! of [`crate::script`] for the world and those of [`words`] for HBS2. A program is evaluated once, from its first
//! form to its last; the peer is asked for when the first word needs it.

use std::thread;

use hbs2_script::machine::CALL_STACK_BYTES;
use hbs2_script::{Datum, Limits, Machine, ScriptError, Word};

use crate::base;
use crate::error::{self, FAILED, Failure};
use crate::line::Options;
use crate::names::Call;
use crate::script::{self, around};
use crate::voice::Voice;

pub mod line;
pub mod repl;
pub mod usage;
pub mod words;
pub mod world;

use line::Task;
use world::Cli;

/// What a script may cost: recursion as deep as in other languages, about an hour of work, a quarter of the memory of a
/// small machine.
const LIMITS: Limits = Limits { depth: 10_000, steps: 10_000_000_000, bytes: 1024 * 1024 * 1024 };

/// Stack beside that of the calls, in bytes: what the deepest word needs by itself, and the command around it.
const BASE_STACK_BYTES: usize = 8 * 1024 * 1024;

/// Runs the program. Its exit code is that of the script if it ends itself.
pub fn run(call: &Call, voice: &mut Voice) -> u8 {
    // Pages of the stack are taken when they are used first: a script that does not nest needs few of them.
    let stack = LIMITS.depth * CALL_STACK_BYTES + BASE_STACK_BYTES;
    let ended = thread::scope(|scope| {
        let work = thread::Builder::new().stack_size(stack).spawn_scoped(scope, || start(call, voice));
        work.map(thread::ScopedJoinHandle::join)
    });
    match ended {
        Ok(Ok(code)) => code,
        // The thread has told about its panic already.
        Ok(Err(_)) => FAILED,
        Err(source) => {
            let outcome = Err(Failure::Thread(source));
            error::finish(outcome, voice)
        }
    }
}

fn start(call: &Call, voice: &mut Voice) -> u8 {
    let outcome = line::read(&call.words).and_then(|(options, task)| {
        voice.set_tone(options.tone);
        obey(options, task, voice)
    });
    error::finish(outcome, voice)
}

fn obey(options: Options, task: Task, voice: &mut Voice) -> Result<(), Failure> {
    match task {
        Task::Version => return base::version(voice),
        Task::Usage => return Ok(voice.out().write_all(usage::TEXT.as_bytes())?),
        Task::Nothing if voice.is_conversation() => return repl::run(options, voice),
        _ => {}
    }
    let mut machine = machine(options, voice)?;
    let value = match task {
        Task::Help(name) => {
            script::help::show(&mut machine, Some(&name)).map_err(|raised| machine.settle(raised))?;
            return Ok(());
        }
        Task::Forms(text) => {
            machine.world().program.clone_from(&text);
            machine.run("command line", &text)?
        }
        Task::Nothing | Task::Stdin => {
            let outcome = around::text_of(&mut machine, None);
            let text = settled(&machine, outcome)?;
            if text.trim().is_empty() && matches!(task, Task::Nothing) {
                return Ok(machine.world().voice.out().write_all(usage::TEXT.as_bytes())?);
            }
            machine.run("stdin", &script::program::without_hash_bang(&text))?
        }
        Task::File { path, args } => file(&mut machine, &path, &args)?,
        Task::Version | Task::Usage => return Ok(()),
    };
    show(&value, machine.world().voice)
}

/// All words a script of `hbs2-cli` may use.
#[must_use]
pub fn all_words<'v>() -> Vec<Word<Cli<'v>>> {
    let own = words::all();
    hbs2_script::words::all().into_iter().chain(script::words()).chain(own).collect()
}

fn machine(options: Options, voice: &mut Voice) -> Result<Machine<Cli<'_>>, Failure> {
    Ok(Machine::new(Cli::new(options, voice)?, all_words(), LIMITS))
}

fn settled<T>(machine: &Machine<Cli<'_>>, outcome: Result<T, hbs2_script::Raised>) -> Result<T, ScriptError> {
    outcome.map_err(|raised| machine.settle(raised))
}

fn file(machine: &mut Machine<Cli<'_>>, path: &str, args: &[String]) -> Result<Datum, Failure> {
    let at = machine.world().around.path(path);
    let outcome = around::text_of(machine, Some(&at));
    let text = settled(machine, outcome)?;
    let mut values = Vec::with_capacity(args.len() + 1);
    for arg in std::iter::once(path).chain(args.iter().map(String::as_str)) {
        let outcome = machine.text(arg);
        values.push(settled(machine, outcome)?);
    }
    let outcome = script::program::bind_args(machine, &values);
    settled(machine, outcome)?;
    Ok(machine.run(path, &script::program::without_hash_bang(&text))?)
}

/// The value of a program: a string as it is, everything else as it is printed, nil not at all.
fn show(value: &Datum, voice: &mut Voice) -> Result<(), Failure> {
    match value {
        Datum::Nil => Ok(()),
        Datum::Text(text) if text.ends_with('\n') => Ok(voice.out().write_all(text.as_bytes())?),
        other => Ok(voice.bare(other.display())?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_one_name_and_a_page() {
        let machine = Machine::new((), hbs2_script::words::all(), LIMITS);
        assert!(machine.word("list").is_some());
        let words = all_words();
        let mut names: Vec<_> =
            words.iter().flat_map(|word| word.aliases.iter().chain([&word.name])).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
        for word in &words {
            assert!(!word.brief.is_empty() && !word.returns.is_empty(), "{}", word.name);
            assert!(!word.group.is_empty(), "{}", word.name);
        }
    }
}
