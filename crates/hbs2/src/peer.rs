//! `hbs2-peer`: the daemon and the commands that talk to it.

use clap::{Parser, Subcommand};
use hbs2_node::log::Level;

use crate::base::{self, Version};
use crate::error::Failure;
use crate::names::Call;
use crate::usage;
use crate::voice::{Tone, Voice};

pub mod announce;
pub mod ban;
pub mod bypass;
pub mod die;
pub mod do_;
pub mod download;
pub mod fetch;
pub mod figures;
pub mod gc;
pub mod init;
pub mod log;
pub mod lwwref;
pub mod mailbox;
pub mod peers;
pub mod pexinfo;
pub mod ping;
pub mod poke;
pub mod poll;
pub mod probes;
pub mod refchan;
pub mod reflog;
pub mod reload;
pub mod run;
pub mod status;

const AFTER_HELP: &str = "\
Examples:
  hbs2-peer init                       write a config and a key, if there are none
  hbs2-peer run                        run the peer in the foreground; Ctrl-C ends it
  hbs2-peer poke                       does it run, and where?
  hbs2-peer status --watch             who is linked, what is downloaded, what is stuck
  hbs2-peer fetch -p HASH              download a tree and wait for it
  hbs2-peer poll add KEY lwwref 5      ask other peers for a reference every 5 minutes

Files:
  ~/.config/hbs2-peer/config           settings, described by 'hbs2-peer run --help'
  ~/.config/hbs2-peer/default.key      the key that names this peer; keep it private
  ~/.local/share/hbs2                  the storage
  $XDG_RUNTIME_DIR/hbs2-rpc.socket     where the running peer answers; /tmp if that is not set

The socket of a running peer is looked for in this order:
  --socket, $HBS2_RPC_SOCKET, 'rpc unix' in the config, the two default places.

Environment:
  HBS2_RPC_SOCKET                      socket of the peer
  XDG_CONFIG_HOME, XDG_DATA_HOME       instead of ~/.config and ~/.local/share
  XDG_RUNTIME_DIR                      where the socket is

Exit status: 0 done; 1 failed, nobody answered, or wrongly used.

'hbs2-peer COMMAND --help' tells more about a command.";

/// Run a peer, and talk to a running one
#[derive(Debug, Parser)]
#[command(disable_version_flag = true, disable_help_subcommand = true, after_long_help = AFTER_HELP)]
struct Words {
    /// Say errors only
    #[arg(short, long, global = true, display_order = 900, conflicts_with_all = ["debug", "trace"])]
    quiet: bool,
    /// Say more on stderr; with run, log debug messages
    #[arg(short, long, global = true, display_order = 901, alias = "verbose")]
    debug: bool,
    /// Say and log everything
    #[arg(long, global = true, display_order = 902)]
    trace: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Words),
    #[command(visible_alias = "start")]
    Run(run::Words),
    Poke(poke::Words),
    Status(status::Words),
    Fetch(fetch::Words),
    #[command(subcommand)]
    Download(download::Words),
    Peers(peers::Words),
    Ban(ban::BanWords),
    Unban(ban::UnbanWords),
    Bans(ban::BansWords),
    Pexinfo(pexinfo::Words),
    Ping(ping::Words),
    #[command(subcommand)]
    Poll(poll::Words),
    #[command(subcommand)]
    Lwwref(lwwref::Words),
    #[command(subcommand)]
    Reflog(reflog::Words),
    #[command(subcommand)]
    Refchan(refchan::Words),
    #[command(subcommand)]
    Mailbox(mailbox::Words),
    Announce(announce::Words),
    #[command(subcommand)]
    Bypass(bypass::Words),
    Probes(probes::Words),
    Do(do_::Words),
    Log(log::Words),
    Gc(gc::Words),
    Reload(reload::Words),
    Die(die::Words),
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
    voice.set_tone(match (words.quiet, words.debug || words.trace) {
        (true, _) => Tone::Quiet,
        (_, true) => Tone::Verbose,
        _ => Tone::Normal,
    });
    match words.command {
        Command::Run(run) => {
            let level = Level { debug: words.debug, trace: words.trace };
            run::run(&run, level, voice.talk().tone())
        }
        Command::Init(words) => init::run(&words, voice),
        Command::Poke(words) => poke::run(&words, voice),
        Command::Status(words) => status::run(&words, voice),
        Command::Fetch(words) => fetch::run(&words, voice),
        Command::Peers(words) => peers::run(&words, voice),
        Command::Ban(words) => ban::ban(&words),
        Command::Unban(words) => ban::unban(&words),
        Command::Bans(words) => ban::bans(&words, voice),
        Command::Pexinfo(words) => pexinfo::run(&words, voice),
        Command::Ping(words) => ping::run(&words, voice),
        Command::Poll(words) => poll::run(&words, voice),
        Command::Lwwref(words) => lwwref::run(&words, voice),
        Command::Reflog(words) => reflog::run(&words, voice),
        Command::Refchan(words) => refchan::run(&words, voice),
        Command::Mailbox(words) => mailbox::run(&words, voice),
        Command::Announce(words) => announce::run(&words, voice),
        Command::Download(words) => download::run(&words, voice),
        Command::Bypass(words) => bypass::run(&words, voice),
        Command::Probes(words) => probes::run(&words, voice),
        Command::Do(words) => do_::run(&words, voice),
        Command::Log(words) => log::run(&words),
        Command::Gc(words) => gc::run(&words),
        Command::Reload(words) => reload::run(&words, voice),
        Command::Die(words) => die::run(&words, voice),
        Command::Version(_) => base::version(voice),
    }
}
