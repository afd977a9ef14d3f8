//! `hbs2-peer refchan propose`: writing to a channel.

use std::path::PathBuf;

use hbs2_core::{Blob, ChanHead, Encode, SignPublicKey, SignSecretKey, Signed};
use hbs2_rpc::api::peer::Poke;
use hbs2_rpc::api::refchan::Propose;

use super::{PAYLOAD_BYTES_MAX, read_head};
use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::input::Input;
use crate::keys;
use crate::voice::{Talk, Voice};

/// Write to a channel: sign FILE or stdin as AUTHOR and propose it
///
/// The peer passes the proposal on. When a quorum of the channel's peers has accepted it, it is in the log. The secret
/// key is read from the keyring file that hbs2-keyman knows for AUTHOR. A payload has 512 KiB at most; store more with
/// 'hbs2 store' and propose the hash.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  echo hello | hbs2-peer refchan propose -a AUTHOR CHAN
  hbs2-peer refchan cat CHAN")]
pub(super) struct Words {
    /// Public key of the channel
    chan: SignPublicKey,
    /// Public key of the author
    #[arg(short, long, value_name = "KEY")]
    author: SignPublicKey,
    /// File with the payload [default: stdin]
    #[arg(short, long)]
    file: Option<PathBuf>,
    /// Propose nothing; write the signed payload to stdout
    #[arg(short = 'n', long)]
    dry: bool,
    #[command(flatten)]
    reach: Reach,
}

/// Runs the command.
///
/// # Errors
/// No peer answers; no secret key; the head does not allow the author or the peer.
pub(super) fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let (chan, author) = (words.chan, words.author);
    let secret = keys::secret(&author, voice.talk())?;
    if words.dry {
        let payload = Input::open(words.file.as_deref(), voice)?.all(PAYLOAD_BYTES_MAX)?;
        voice.out().write_all(&Signed::sign(&secret, &Blob(payload.into())).to_bytes())?;
        return Ok(());
    }
    let daemon = Daemon::reach(&words.reach)?;
    let head = admitting(&daemon, chan, author)?;
    let payload = Input::open(words.file.as_deref(), voice)?.all(PAYLOAD_BYTES_MAX)?;
    post(&daemon, chan, &secret, payload, &head, voice.talk())
}

/// Proposes `payload` to a channel, as `author`.
///
/// # Errors
/// As [`run`].
pub(crate) fn propose(
    daemon: &Daemon,
    chan: SignPublicKey,
    author: SignPublicKey,
    payload: Vec<u8>,
    talk: &Talk,
) -> Result<(), Failure> {
    let secret = keys::secret(&author, talk)?;
    let head = admitting(daemon, chan, author)?;
    post(daemon, chan, &secret, payload, &head, talk)
}

/// The head of the channel, if it lets `author` write through this peer: the answer to a proposal has no place for a
/// reason, so we look first.
fn admitting(daemon: &Daemon, chan: SignPublicKey, author: SignPublicKey) -> Result<ChanHead, Failure> {
    let (_, head) = read_head(daemon, chan)?;
    if !head.authors.contains(&author) {
        return Err(Failure::told(format!("the head of refchan {chan} does not name {author} as an author")));
    }
    if let Some(peer) = own_key(daemon)?
        && !head.has_peer(&peer)
    {
        return Err(Failure::told(format!("the head of refchan {chan} does not name this peer {peer}")));
    }
    Ok(head)
}

fn post(
    daemon: &Daemon,
    chan: SignPublicKey,
    secret: &SignSecretKey,
    payload: Vec<u8>,
    head: &ChanHead,
    talk: &Talk,
) -> Result<(), Failure> {
    daemon.ask::<Propose>(&(chan, Signed::sign(secret, &Blob(payload.into()))))?;
    talk.detail(format_args!("proposed; {} peers must accept it", head.votes_needed()));
    Ok(())
}

/// The key of the running peer.
fn own_key(daemon: &Daemon) -> Result<Option<SignPublicKey>, Failure> {
    let text = daemon.ask::<Poke>(&())?;
    let line = text.lines().find_map(|line| line.strip_prefix("peer-key:"));
    Ok(line.and_then(|key| key.trim().trim_matches('"').parse().ok()))
}
