//! `hbs2-keyman`: the index of key files.

use clap::{Parser, Subcommand};
use hbs2_keyman::{KeyIndex, Paths};

use crate::base::{self, ToneWords, Version};
use crate::error::Failure;
use crate::names::Call;
use crate::voice::{Talk, Voice};
use crate::{keys, usage};

pub mod add_mask;
pub mod config;
pub mod list;
pub mod run;
pub mod set_weight;
pub mod update;

const AFTER_HELP: &str = "\
The index knows which file holds which key. Secret keys are never copied into it: every program
reads the key file itself at the moment it needs the key.

Examples:
  mkdir -p ~/.hbs2-keyman/keys
  hbs2 keyring-new -n1 > ~/.hbs2-keyman/keys/my.key
  hbs2-keyman update                   look at all files
  hbs2-keyman list                     which key is where
  hbs2-keyman add-mask '~/keys/**/*.key'

Settings in the file 'config', one a line; a value may stand in double quotes; ';' begins a comment:
  key-files MASK                       files to look at; repeatable. * and ? match within a name,
                                       ** across directories, ~ is the home directory
  default-key-path DIR                 where new keys go [default: ~/.hbs2-keyman/keys]
  default-key-mask MASK                files in that directory to look at [default: **/*.key]
  refchan KEY                          channel in which group keys are published; repeatable. 'update'
                                       reads it through the running peer

Files:
  ~/.config/hbs2-keyman/config         settings (under $XDG_CONFIG_HOME if set)
  ~/.local/share/hbs2-keyman/state.db  the index (under $XDG_DATA_HOME if set); may be deleted
  ~/.local/share/hbs2-keyman/kept.db   weights and known group keys; keep a copy
  ~/.hbs2-keyman/keys                  keys made by the programs; keep a copy

Environment:
  HOME, XDG_CONFIG_HOME, XDG_DATA_HOME

Exit status: 0 done; 1 failed or wrongly used.";

/// Know which file holds which key
#[derive(Debug, Parser)]
#[command(disable_version_flag = true, disable_help_subcommand = true, after_long_help = AFTER_HELP)]
struct Words {
    #[command(flatten)]
    tone: ToneWords,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Update(update::Words),
    List(list::Words),
    SetWeight(set_weight::Words),
    AddMask(add_mask::Words),
    Config(config::Words),
    Run(run::Words),
    Disclose(keys::disclose::Words),
    Version(Version),
}

/// What the program explains of itself.
pub(crate) fn command() -> clap::Command {
    <Words as clap::CommandFactory>::command()
}

/// Runs the program.
pub fn run(call: &Call, voice: &mut Voice) -> u8 {
    usage::run(call, voice, obey)
}

fn obey(words: Words, voice: &mut Voice) -> Result<(), Failure> {
    voice.set_tone(words.tone.tone());
    match words.command {
        Command::Update(words) => update::run(&words, voice),
        Command::List(words) => list::run(&words, voice),
        Command::SetWeight(words) => set_weight::run(&words, voice),
        Command::AddMask(words) => add_mask::run(&words),
        Command::Config(words) => config::run(&words, voice),
        Command::Run(words) => run::run(&words, voice),
        Command::Disclose(words) => keys::disclose::run(&words, voice),
        Command::Version(_) => base::version(voice),
    }
}

/// The index of the user who calls. What he should know about the key files that are used goes to `talk`.
///
/// # Errors
/// As [`index`].
pub fn index_with(talk: &Talk) -> Result<KeyIndex, Failure> {
    let talk = talk.clone();
    Ok(index()?.with_listener(move |warning| talk.note(format_args!("warning: {warning}"))))
}

/// The index of the user who calls.
///
/// # Errors
/// There is no home directory, or the database cannot be made.
pub fn index() -> Result<KeyIndex, Failure> {
    Ok(KeyIndex::open(Paths::from_environment(|name| std::env::var_os(name))?)?)
}
