//! `hbs2-peer refchan notify`: news that are not kept.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use hbs2_core::cbor::Encoder;
use hbs2_core::refkey::RefKind;
use hbs2_core::sealed::nonce_for;
use hbs2_core::tree::walk::Leaves;
use hbs2_core::{Blob, Encode, Hash, SealedBlock, SignPublicKey, Signed};
use hbs2_rpc::api::refchan::Notify;
use hbs2_rpc::api::storage::{GetRef, RefAlias};
use zeroize::Zeroizing;

use super::{Chan, PAYLOAD_BYTES_MAX, gk, read_head};
use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::input::Input;
use crate::store::blocks::Blocks;
use crate::voice::Voice;
use crate::{keys, sigil};

/// News in a channel that are passed on and not kept
#[derive(Debug, Subcommand)]
pub(crate) enum Words {
    Post(PostWords),
    /// Print the root hash of the list of the last notices
    ///
    /// The peer keeps it where its config says so: refchan-notify-log "CHAN".
    #[command(after_long_help = "Exit status: 0 printed; 1 there is no such list.")]
    Log(Chan),
    Tail(TailWords),
}

/// Sign FILE or stdin as a notice and send it
///
/// The sigil says whose key signs; its secret is read from the keyring file that hbs2-keyman knows for it. The key
/// must be an author or a notifier of the channel.
#[derive(Debug, clap::Args)]
pub(crate) struct PostWords {
    /// Public key of the channel
    chan: SignPublicKey,
    /// Sigil of the sender: a file, or the hash of a stored one
    #[arg(short, long)]
    sigil: String,
    /// File with the notice [default: stdin]
    #[arg(short, long)]
    file: Option<PathBuf>,
    /// Seal the notice for the readers of the channel. Who is one of them uses the same group key for two weeks
    #[arg(long)]
    encrypt: bool,
    #[command(flatten)]
    reach: Reach,
}

/// Print the hashes of the last notices, oldest first
#[derive(Debug, clap::Args)]
pub(crate) struct TailWords {
    /// Public key of the channel
    chan: SignPublicKey,
    /// How many
    #[arg(short, default_value_t = 10)]
    number: usize,
    #[command(flatten)]
    reach: Reach,
}

/// Runs the command.
///
/// # Errors
/// No peer answers; no secret key; the head does not allow the sender; there is no list.
pub(super) fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    match words {
        Words::Post(words) => post(words, voice),
        Words::Log(words) => {
            voice.line(list(&Daemon::reach(&words.reach)?, &words.chan)?)?;
            Ok(())
        }
        Words::Tail(words) => tail(words, voice),
    }
}

fn post(words: &PostWords, voice: &mut Voice) -> Result<(), Failure> {
    let daemon = Daemon::reach(&words.reach)?;
    let blocks = Blocks::behind(daemon.clone());
    let sender = signer(&words.sigil, &blocks, voice)?;
    let secret = keys::secret(&sender, voice.talk())?;
    let (head_root, head) = read_head(&daemon, words.chan)?;
    if !head.allows_notice(&sender) {
        let message =
            format!("the head of refchan {} names {sender} neither as author nor as notifier", words.chan);
        return Err(Failure::told(message));
    }
    let mut notice = Input::open(words.file.as_deref(), voice)?.all(PAYLOAD_BYTES_MAX)?;
    if words.encrypt {
        let (root, secret) = gk::cached(&daemon, &words.chan, (head_root, &head), voice)?;
        // The original seals a lazy byte string here, and reads nothing else.
        let mut e = Encoder::new();
        e.lazy_bytes(&Zeroizing::new(notice));
        let cbor = Zeroizing::new(e.into_bytes());
        notice = SealedBlock::seal_under(&secret, root, nonce_for(&secret, &cbor), &cbor).to_bytes();
    }
    daemon.ask::<Notify>(&(words.chan, Signed::sign(&secret, &Blob(notice.into()))))
}

/// The signing key of a sigil.
fn signer(word: &str, blocks: &Blocks, voice: &mut Voice) -> Result<SignPublicKey, Failure> {
    let card = match word.parse::<Hash>() {
        Ok(hash) if !Path::new(word).exists() => {
            let block = blocks.get(&hash)?.ok_or(Failure::MissedBlock { hash })?;
            sigil::verified(&block, word.to_owned())?
        }
        _ => sigil::read(Some(Path::new(word)), voice)?,
    };
    Ok(card.sign)
}

fn list(daemon: &Daemon, chan: &SignPublicKey) -> Result<Hash, Failure> {
    let root = daemon.ask::<GetRef>(&RefAlias(RefKind::notices(chan)))?;
    root.ok_or_else(|| {
        let hint =
            format!("keep one with this line in the config of the peer: refchan-notify-log \"{chan}\"");
        Failure::told(format!("no list of notices is kept of refchan {chan}")).hinted(hint)
    })
}

fn tail(words: &TailWords, voice: &mut Voice) -> Result<(), Failure> {
    let daemon = Daemon::reach(&words.reach)?;
    let root = list(&daemon, &words.chan)?;
    let blocks = Blocks::behind(daemon);
    let mut all = Vec::new();
    for leaf in Leaves::new(root, |hash| blocks.get(hash)) {
        all.extend(leaf?);
    }
    for hash in &all[all.len().saturating_sub(words.number)..] {
        voice.line(hash)?;
    }
    Ok(())
}
