//! `hbs2-peer run`: the daemon itself, in the foreground.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;

use hbs2_node::log::Level;
use hbs2_node::{About, HttpDoor, Options};
use hbs2_web::Server;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::places;
use crate::error::Failure;
use crate::voice::Tone;

/// Run the peer in the foreground
///
/// Makes a config and a key if there are none. Messages go to stderr. SIGTERM, SIGINT (Ctrl-C) and 'hbs2-peer die'
/// end it cleanly within 2 seconds. A lost network never ends it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Settings in the file 'config', one a line; a value may stand in double quotes; ';' begins a comment;
paths are relative to the directory of the config:

  listen \"0.0.0.0:7351\"           where other peers reach this one by UDP; off: no UDP
  listen-tcp \"0.0.0.0:10351\"      where other peers reach this one by TCP; off: nowhere
  known-peer \"tcp://IP:10351\"     address of a peer to keep connected with; without tcp://
                                  it is UDP; repeatable
  multicast off                   do not look for peers on the local network
                                  [default: on]
  bootstrap-dns \"DOMAIN\"          domain whose TXT records list peers, beside
                                  bootstrap.hbs2.net; repeatable; off: ask none
  bypass off                      speak to other peers in clear [default: on]
  proxy-fetch-for \"PEER-KEY\"     fetch what this peer asks for and we lack; repeatable
  key \"./default.key\"             keyring that names this peer
  storage \"/path\"                 the storage [default: ~/.local/share/hbs2]
  rpc unix \"/path\"                the socket for commands
                                  [default: $XDG_RUNTIME_DIR/hbs2-rpc.socket, else in /tmp]
  http-port N                     serve blocks, sites and metrics over HTTP at this port of
                                  127.0.0.1 [default: off]
  http-listen \"IP\"                at this address instead; 0.0.0.0: to everybody
  http-token-file \"/path\"         clients that show this token may write over HTTP
  poll reflog MINUTES \"KEY\"       keep a log up to date; repeatable
  poll lwwref MINUTES \"KEY\"       keep a reference up to date; repeatable
  accept-block-announce *         download what peers announce: of all peers, or of
                                  \"PEER-KEY\"; repeatable [default: of nobody]
  blacklist \"PEER-KEY\"            never talk to this peer; repeatable
  whitelist \"PEER-KEY\"            talk to the named peers only; repeatable
  known-peers-file \"/path\"        more known-peer lines
  ping-interval SECONDS           1 to 60 [default: 30]
  tcp-probe-wait SECONDS          how often peers are asked what they are [default: 300]
  downloads-del-on-start on       forget unfinished downloads [default: off]
  debug on, trace on              log more [default: off]

After a change of the config: 'hbs2-peer reload', or send SIGHUP.

Examples:
  hbs2-peer run
  hbs2-peer run -c ./alice -l 127.0.0.1:10352

Files:
  ~/.config/hbs2-peer/config, ~/.config/hbs2-peer/default.key, ~/.local/share/hbs2

Exit status: 0 ended as asked; 1 it cannot run.")]
pub struct Words {
    /// Directory of the config [default: ~/.config/hbs2-peer]
    #[arg(short, long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// Directory of the storage [default: as the config says]
    #[arg(short = 'p', long, value_name = "DIR", alias = "prefix")]
    storage: Option<PathBuf>,
    /// Address to listen at, UDP and TCP [default: as the config says]
    #[arg(short, long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// Keyring that names this peer [default: as the config says]
    #[arg(short, long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Socket for commands [default: as the config says]
    #[arg(short = 'r', long, value_name = "PATH", alias = "rpc")]
    socket: Option<PathBuf>,
    /// Accepted for the sake of older scripts: this peer never restarts itself
    #[arg(short = 'R', long)]
    no_respawn: bool,
}

/// Runs the command until a signal or a client ends it.
///
/// # Errors
/// The config is broken; storage, port or socket cannot be used.
pub fn run(words: &Words, level: Level, tone: Tone) -> Result<(), Failure> {
    if tone == Tone::Quiet {
        log_errors_only();
    }
    let options = Options {
        places: places(),
        config_dir: words.config.clone(),
        storage: words.storage.clone(),
        key: words.key.clone(),
        rpc_socket: words.socket.clone(),
        listen_tcp: words.listen,
        listen_udp: words.listen,
        level,
    };
    let mut http = None;
    hbs2_node::run(&options, end_of_time(), |about, door| http = door.and_then(|door| serve(about, door)))?;
    drop(http);
    Ok(())
}

/// Serves HTTP beside the daemon, as one more client of it.
fn serve(about: &About, door: HttpDoor) -> Option<Server> {
    let HttpDoor { listener, token_file } = door;
    let rpc_socket = about.rpc_socket.clone();
    let limits = hbs2_web::Limits::default();
    let server = Server::start(hbs2_web::Options { listener, rpc_socket, token_file, limits });
    server.inspect_err(|error| tracing::error!("HTTP is not served: {error}")).ok()
}

/// Takes the place of the daemon's own log, which starts at what happens to peers.
fn log_errors_only() {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::ERROR);
    log.with_target(false).with_ansi(std::io::stderr().is_terminal()).init();
}

/// Ends at SIGTERM or SIGINT. A hang-up is no reason to end: the peer reads its config again.
async fn end_of_time() {
    let listen = |kind| signal(kind).expect("the runtime listens to signals");
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate()), listen(SignalKind::interrupt()));
    // The daemon listens to it too, but begins a moment later.
    let _hangup = listen(SignalKind::hangup());
    tokio::select! {
        _ = terminate.recv() => (),
        _ = interrupt.recv() => (),
    }
}
