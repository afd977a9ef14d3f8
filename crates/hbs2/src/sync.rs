//! `hbs2-sync`: folders kept equal through a refchan (spec: cli 8).
//!
//! The words of a command line are a program of the language, in which `and` begins another form; the configs that
//! `run-config` reads are programs of the same words. The work is that of the library `hbs2-sync`.

use hbs2_script::nearest::closest;
use hbs2_script::{Datum, Limits, Machine, Word, help, words as general};

use crate::daemon::Reach;
use crate::error::{self, Failure};
use crate::names::Call;
use crate::script;
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
    voice.set_tone(options.tone);
    let program = match task {
        Task::Usage => return explain("", voice),
        Task::Help(prefix) => return explain(&prefix, voice),
        Task::Forms(program) => program,
    };
    let reach = Reach::new(options.config, options.socket);
    let mut machine = Machine::new(Sync::new(reach, options.timeout, voice)?, all_words(), Limits::default());
    // All names are checked before anything is done.
    for name in program.lines().filter_map(|line| line.split(' ').next()).filter(|name| is_name(name)) {
        if machine.word(name).is_none() {
            let closest = closest(name, help::names(&own_words(), "")).map(str::to_owned);
            return Err(Failure::UnknownCommand { name: name.to_owned(), closest });
        }
    }
    match machine.run(COMMAND_LINE, &program) {
        Ok(_) => Ok(()),
        Err(mut error) => {
            // Of a command its place in the line says nothing.
            error.spot.take_if(|spot| spot.file == COMMAND_LINE);
            Err(error.into())
        }
    }
}

/// Whether the first word of a command is a name, and not a form that was written out.
fn is_name(word: &str) -> bool {
    !word.is_empty() && !word.contains(['(', '[', '{', '\'', '`'])
}

/// Explains a command; without a name, the program. Words of the language are explained by `hbs2-cli`.
fn explain(name: &str, voice: &mut Voice) -> Result<(), Failure> {
    let own = own_words();
    let text = match own.iter().find(|word| word.name == name) {
        _ if name.is_empty() => usage::TEXT.to_owned(),
        Some(word) => help::command_page(word, voice.program()),
        None => script::help::names(&own, name)?,
    };
    Ok(voice.out().write_all(text.as_bytes())?)
}

/// The words of this program.
#[must_use]
pub fn own_words<'v>() -> Vec<Word<Sync<'v>>> {
    let help = Word::form("help", "[NAME]", |m: &mut Machine<Sync<'v>>, args| {
        let name = args.get(0).map(|_| args.word_at(0)).transpose()?.unwrap_or_default();
        explain(name, m.world().voice())?;
        Ok(Datum::Nil)
    })
    .brief("explains a command, or the program")
    .returns("nil; prints a page, or the names that begin with NAME");
    let all = [start::words(), work::words(), show::words(), single::words(), vec![help]];
    hbs2_script::word::group("Folders", all.into_iter().flatten().collect())
}

/// With those of the language, for configs.
fn all_words<'v>() -> Vec<Word<Sync<'v>>> {
    general::all().into_iter().chain(own_words()).collect()
}
