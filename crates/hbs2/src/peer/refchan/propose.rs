//! `hbs2-peer refchan propose`: writing to a channel.

use std::path::PathBuf;

use hbs2_core::{Blob, ChanHead, Encode, SignPublicKey, Signed};
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
pub(crate) struct Words {
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
    let head = check(&daemon, chan, &author)?;
    let payload = Input::open(words.file.as_deref(), voice)?.all(PAYLOAD_BYTES_MAX)?;
    daemon.ask::<Propose>(&(chan, Signed::sign(&secret, &Blob(payload.into()))))?;
    tell(&head, voice.talk());
    Ok(())
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
    let head = send(daemon, chan, Signed::sign(&secret, &Blob(payload.into())))?;
    tell(&head, talk);
    Ok(())
}

/// Brings a payload that an author has signed to a channel; answers its head.
///
/// # Errors
/// The signature is bad, or the head does not allow the author or the peer.
pub(crate) fn send(daemon: &Daemon, chan: SignPublicKey, payload: Signed<Blob>) -> Result<ChanHead, Failure> {
    let opened = payload
        .verify()
        .map_err(|error| Failure::told("cannot believe the signed payload".to_owned()).because(error))?;
    let head = check(daemon, chan, &opened.signer)?;
    daemon.ask::<Propose>(&(chan, payload))?;
    Ok(head)
}

/// The head of a channel, which allows `author` to write and the running peer to bring it. The answer to a proposal has
/// no place for a reason: so we look first.
fn check(daemon: &Daemon, chan: SignPublicKey, author: &SignPublicKey) -> Result<ChanHead, Failure> {
    let (_, head) = read_head(daemon, chan)?;
    if !head.authors.contains(author) {
        return Err(Failure::told(format!("the head of refchan {chan} does not name {author} as an author")));
    }
    match own_key(daemon)? {
        Some(peer) if !head.has_peer(&peer) => {
            Err(Failure::told(format!("the head of refchan {chan} does not name this peer {peer}")))
        }
        _ => Ok(head),
    }
}

fn tell(head: &ChanHead, talk: &Talk) {
    talk.detail(format_args!("proposed; {} peers must accept it", head.votes_needed()));
}

/// The key of the running peer.
///
/// # Errors
/// It does not answer.
pub(crate) fn own_key(daemon: &Daemon) -> Result<Option<SignPublicKey>, Failure> {
    let text = daemon.ask::<Poke>(&())?;
    let line = text.lines().find_map(|line| line.strip_prefix("peer-key:"));
    Ok(line.and_then(|key| key.trim().trim_matches('"').parse().ok()))
}
