//! `hbs2-sync`: folders kept equal through a refchan (spec: cli 8).
//!
//! The words of a command line are a program of the language, in which `and` begins another form; the configs that
//! `run-config` reads are programs of the same words. The work is that of the library `hbs2-sync`.

use hbs2_script::nearest::closest;
use hbs2_script::{Limits, Machine, Word, help, words as general};

use crate::daemon::Reach;
use crate::error::{self, Failure};
use crate::names::Call;
use crate::voice::Voice;

pub mod line;
pub mod show;
pub mod single;
pub mod start;
pub mod usage;
pub mod work;
pub mod world;

use line::Task;
use world::Sync;

/// Name of the program that the command line is, in errors.
const COMMAND_LINE: &str = "the command line";

/// Runs the program.
pub fn run(call: &Call, voice: &mut Voice) -> u8 {
    let outcome = obey(call, voice);
    error::finish(outcome, voice)
}

fn obey(call: &Call, voice: &mut Voice) -> Result<(), Failure> {
    let (options, task) = line::read(&call.words)?;
    voice.set_tone(options.tone());
    let program = match task {
        Task::Usage => return Ok(usage::print(voice)?),
        Task::Help(prefix) => return explain(&prefix, voice),
        Task::Forms(program) => program,
    };
    let reach = Reach::new(options.config, options.socket);
    let mut machine = Machine::new(Sync::new(reach, options.answer, voice)?, all_words(), Limits::default());
    let name = program.split([' ', '\n', '(']).next().unwrap_or_default();
    if !name.is_empty()
        && machine.word(name).is_none()
        && program.lines().count() == 1
        && !program.starts_with('[')
    {
        let names = help::names(&own_words(), "");
        let closest = closest(name, names).map(str::to_owned);
        return Err(Failure::UnknownCommand { name: name.to_owned(), closest });
    }
    machine.run(COMMAND_LINE, &program)?;
    Ok(())
}

/// The page of a word, or the names that begin with a prefix; those of the language only when they are asked for.
fn explain(prefix: &str, voice: &mut Voice) -> Result<(), Failure> {
    let own = own_words();
    let page = own.iter().find(|word| word.name == prefix).map(help::page);
    let text = match page {
        Some(page) => page,
        None => {
            let names = help::names(&own, prefix);
            if names.is_empty() {
                let all = help::names(&own, "");
                let closest = closest(prefix, all).map(str::to_owned);
                return Err(Failure::UnknownWord { name: prefix.to_owned(), closest });
            }
            names.into_iter().map(|name| format!("{name}\n")).collect()
        }
    };
    voice.out().write_all(text.as_bytes())?;
    Ok(())
}

/// The words of this program.
#[must_use]
pub fn own_words<'v>() -> Vec<Word<Sync<'v>>> {
    let all = [start::words(), work::words(), show::words(), single::words()];
    hbs2_script::word::group("Folders", all.into_iter().flatten().collect())
}

/// With those of the language, for configs.
fn all_words<'v>() -> Vec<Word<Sync<'v>>> {
    let help = Word::form("help", "[NAME]", |m: &mut Machine<Sync<'v>>, args| {
        let name = args.get(0).map(|_| args.word_at(0)).transpose()?.unwrap_or_default();
        explain(name, m.world().voice()).map_err(hbs2_script::Raised::host)?;
        Ok(hbs2_script::Datum::Nil)
    })
    .brief("lists the words that begin with NAME, or explains the word NAME")
    .returns("nil");
    general::all().into_iter().chain(own_words()).chain([help]).collect()
}
