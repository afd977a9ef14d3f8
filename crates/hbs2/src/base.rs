//! `hbs2`: store and read data, make keys, seal for groups.

use clap::{Parser, Subcommand};

use crate::error::Failure;
use crate::names::Call;
use crate::pages::{completion, man};
use crate::references::{anyref, reflog};
use crate::voice::{Tone, Voice};
use crate::{bundle, groupkey, keys, metadata, sigil, store, usage};

const AFTER_HELP: &str = "\
Examples:
  hbs2 store notes.txt                 store a file; prints the hash of its tree
  tar c src | hbs2 store               store a stream
  hbs2 cat HASH > notes.txt            read it back, every block verified
  hbs2 cat -H HASH                     the hashes of its data blocks
  hbs2 keyring-new -n1 > my.key        make a signing key and an encryption key
  hbs2 groupkey-new members > gk       make a key for a group of readers
  hbs2 store --groupkey gk notes.txt   store a file that only they can read
  hbs2 hbs2-peer run                   any other program of the family, by its name

Where data goes:
  A running hbs2-peer is asked first; when none answers, the storage is opened directly.

Files:
  ~/.local/share/hbs2                  the storage
  ~/.config/hbs2-peer/config           may name another storage and another socket

Environment:
  HBS2_RPC_SOCKET                      socket of the peer to talk to
  XDG_CONFIG_HOME, XDG_DATA_HOME       instead of ~/.config and ~/.local/share
  XDG_RUNTIME_DIR                      where the socket is

Exit status: 0 done; 1 failed, not found, or wrongly used.

'hbs2 COMMAND --help' tells more about a command.";

/// Store and read content-addressed data, make keys, seal data for groups
#[derive(Debug, Parser)]
#[command(disable_version_flag = true, disable_help_subcommand = true, after_long_help = AFTER_HELP)]
struct Words {
    #[command(flatten)]
    tone: ToneWords,
    #[command(subcommand)]
    command: Command,
}

/// The two options of every program that say how much it talks.
#[derive(Debug, clap::Args)]
pub(crate) struct ToneWords {
    /// Say errors only
    #[arg(short, long, global = true, display_order = 900, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more on stderr
    #[arg(long, global = true, display_order = 901)]
    verbose: bool,
}

impl ToneWords {
    /// The tone the words ask for.
    pub(crate) fn tone(&self) -> Tone {
        match (self.quiet, self.verbose) {
            (true, _) => Tone::Quiet,
            (_, true) => Tone::Verbose,
            _ => Tone::Normal,
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Store(store::put::Words),
    Cat(store::cat::Words),
    Has(store::has::Words),
    Hash(store::hash::Words),
    Deps(store::deps::Words),
    Del(store::del::Words),
    Fsck(store::fsck::Words),
    #[command(subcommand)]
    Storage(store::import::Words),
    #[command(subcommand)]
    Metadata(metadata::Words),
    #[command(subcommand)]
    Bundle(bundle::Words),
    #[command(name = "keyring-new")]
    KeyringNew(keys::new::Words),
    #[command(name = "keyring-list")]
    KeyringList(keys::list::Words),
    #[command(name = "keyring-key-add")]
    KeyringKeyAdd(keys::add::Words),
    #[command(name = "keyring-key-del")]
    KeyringKeyDel(keys::del::Words),
    #[command(subcommand)]
    Keyring(keys::Words),
    #[command(name = "show-peer-key")]
    ShowPeerKey(keys::show_peer_key::Words),
    #[command(name = "groupkey-new")]
    GroupkeyNew(groupkey::new::Words),
    #[command(subcommand)]
    Groupkey(groupkey::Words),
    #[command(subcommand)]
    Sigil(sigil::Words),
    #[command(subcommand)]
    Reflog(reflog::Words),
    #[command(subcommand)]
    Anyref(anyref::Words),
    Completion(completion::Words),
    #[command(name = "man-pages")]
    ManPages(man::Words),
    Version(Version),
}

/// Print the version as JSON
#[derive(Debug, clap::Args)]
pub(crate) struct Version {}

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
        Command::Store(words) => store::put::run(&words, voice),
        Command::Cat(words) => store::cat::run(&words, voice),
        Command::Has(words) => store::has::run(&words, voice),
        Command::Hash(words) => store::hash::run(&words, voice),
        Command::Deps(words) => store::deps::run(&words, voice),
        Command::Del(words) => store::del::run(&words, voice),
        Command::Fsck(words) => store::fsck::run(&words, voice),
        Command::Storage(words) => store::import::run(&words, voice),
        Command::Metadata(words) => metadata::run(&words, voice),
        Command::Bundle(words) => bundle::run(&words, voice),
        Command::KeyringNew(words) => keys::new::run(&words, voice),
        Command::KeyringList(words) => keys::list::run(&words, voice),
        Command::KeyringKeyAdd(words) => keys::add::run(&words, voice),
        Command::KeyringKeyDel(words) => keys::del::run(&words, voice),
        Command::Keyring(words) => keys::run(&words, voice),
        Command::ShowPeerKey(words) => keys::show_peer_key::run(&words, voice),
        Command::GroupkeyNew(words) => groupkey::new::run(&words, voice),
        Command::Groupkey(words) => groupkey::run(&words, voice),
        Command::Sigil(words) => sigil::run(&words, voice),
        Command::Reflog(words) => reflog::run(&words, voice),
        Command::Anyref(words) => anyref::run(&words, voice),
        Command::Completion(words) => completion::run(&words, voice),
        Command::ManPages(words) => man::run(&words, voice),
        Command::Version(_) => version(voice),
    }
}

/// Prints the version in the shape of the original: one JSON object.
pub(crate) fn version(voice: &mut Voice) -> Result<(), Failure> {
    let package = env!("CARGO_PKG_VERSION");
    voice.bare(format_args!(r#"{{"buildVersion_git":null,"buildVersion_pkg":"{package}"}}"#))?;
    Ok(())
}
