//! `hbs2-keyman run`: what other programs and scripts tell the index.

use hbs2_core::Hash;
use hbs2_keyman::KeyIndex;
use hbs2_script::config::CONFIG_BYTES_MAX;
use hbs2_script::word::group;
use hbs2_script::{Args, Limits, Machine, Outcome, Raised, Word, words};

use crate::error::Failure;
use crate::input::{Input, STDIN};
use crate::line;
use crate::script;
use crate::store::blocks::{Blocks, Place, Purpose};
use crate::voice::Voice;

/// Tell the index what no key file says
///
/// The words make one form; 'and' or 'then' begins another. Without words the forms are read from stdin. Group
/// keys are read from the running peer, or from the storage when none answers.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Forms, beside those of the script language:
  gk:track HASH...                     remember group keys: programs that have no access to one look
                                       for another with the same secret among them
  stdin                                run the forms on stdin
  help [PREFIX|NAME]                   list the words, or explain one

Example:
  $ hbs2-keyman run gk:track 4Ps2JWv1EFP7B8DBHcTYvyuSUDw3LcffebQWY4jid2Vn
  (gk:added 4Ps2JWv1EFP7B8DBHcTYvyuSUDw3LcffebQWY4jid2Vn)")]
pub struct Words {
    /// Form, its words joined by blanks
    #[arg(value_name = "FORM", trailing_var_arg = true, allow_hyphen_values = true)]
    forms: Vec<String>,
    #[command(flatten)]
    place: Place,
}

/// What the forms work on.
struct World<'c> {
    place: &'c Place,
    voice: &'c mut Voice,
    index: KeyIndex,
    /// Opened when the first group key is read.
    blocks: Option<Blocks>,
}

/// Runs the command.
///
/// # Errors
/// The forms cannot be read, one of them fails, or stdout cannot be written.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let (name, program) = match words.forms.as_slice() {
        [] => (STDIN, stdin(voice)?),
        forms => ("the command line", line::program(forms, str::to_owned)),
    };
    let index = super::index_with(voice.talk())?;
    let world = World { place: &words.place, voice, index, blocks: None };
    let mut machine = Machine::new(world, all_words(), Limits::default());
    let value = machine.run(name, &program)?;
    if value.is_true() {
        machine.world().voice.bare(value.display())?;
    }
    Ok(())
}

fn stdin(voice: &mut Voice) -> Result<String, Failure> {
    Input::open(None, voice)?.text(CONFIG_BYTES_MAX)
}

fn all_words<'c>() -> Vec<Word<World<'c>>> {
    let own = vec![
        Word::call("gk:track", "HASH…", track)
            .brief("remembers group keys by the id of their secret")
            .text("Each is read from the running peer or the storage. Prints (gk:added HASH) for each."),
        Word::call("stdin", "", load_stdin)
            .brief("runs the forms on stdin")
            .returns("what the last form gives"),
        Word::form("help", "[NAME]", show_help)
            .brief("lists the words that begin with NAME, or explains the word NAME"),
    ];
    words::all().into_iter().chain(group("The key index", own)).collect()
}

fn track(machine: &mut Machine<World<'_>>, args: Args<'_>) -> Outcome {
    let hash = |at| args.word_at(at)?.parse::<Hash>().map_err(|_| args.wrong(at, "the hash of a group key"));
    let roots: Vec<Hash> = (0..args.count()).map(hash).collect::<Result<_, Raised>>()?;
    let world = machine.world();
    for root in roots {
        world.track(&root).map_err(Raised::host)?;
    }
    machine.list(Vec::new())
}

fn load_stdin(machine: &mut Machine<World<'_>>, _: Args<'_>) -> Outcome {
    let program = stdin(machine.world().voice).map_err(Raised::host)?;
    machine.load(STDIN, &program)
}

fn show_help(machine: &mut Machine<World<'_>>, args: Args<'_>) -> Outcome {
    let name = args.get(0).map(|_| args.word_at(0)).transpose()?.unwrap_or_default();
    let text = script::help::explain(machine.words(), name)?;
    machine.world().voice.out().write_all(text.as_bytes()).map_err(Failure::Output)?;
    machine.list(Vec::new())
}

impl World<'_> {
    fn track(&mut self, root: &Hash) -> Result<(), Failure> {
        let blocks = match &mut self.blocks {
            Some(blocks) => blocks,
            empty => empty.insert(Blocks::open(self.place, Purpose::Read, self.voice)?),
        };
        self.index.track_group_key(root, |hash| blocks.get(hash))?;
        self.voice.line(format_args!("(gk:added {root})"))?;
        Ok(())
    }
}
