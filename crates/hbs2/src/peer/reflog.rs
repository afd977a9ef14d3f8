//! `hbs2-peer reflog`: grow-only logs of signed entries.

use bytes::Bytes;
use clap::Subcommand;
use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::{Decode, Hash, SignPublicKey, SignSecretKey};
use hbs2_rpc::api::reflog::{Fetch, Get, Post};

use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::input::Input;
use crate::keys;
use crate::store::blocks::Blocks;
use crate::voice::Voice;

/// Longest payload of one entry, in bytes. An entry travels as one message; data that is longer belongs into a
/// tree that the entry names.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of an entry around its payload, at most: key, nonce, signature and their frames.
const ENVELOPE_BYTES_MAX: usize = 256;

/// Read and extend logs of signed entries
///
/// A reflog is named by a public key. Its owner signs entries; peers that poll it keep all of them, for ever.
#[derive(Debug, Subcommand)]
pub(crate) enum Words {
    /// Print the root hash of a log
    ///
    /// 'hbs2 cat -H ROOT' lists its entries.
    #[command(after_long_help = "Exit status: 0 printed; 1 this peer has no entry of the log.")]
    Get(Key),
    /// Ask other peers for the log now; returns at once
    Fetch(Key),
    /// Sign stdin as a new entry and publish it
    ///
    /// The secret key is read from the keyring file that hbs2-keyman knows for KEY. An entry holds 4 MiB at most; store
    /// more with 'hbs2 store' and send the hash.
    #[command(after_long_help = "\
Example:
  echo hello | hbs2-peer reflog send KEY")]
    Send(Key),
    SendRaw(SendRawWords),
    /// Print the data of all entries, one after another, in the order of the log
    Cat(Key),
}

// Without a doc comment: it would replace the help of the commands that take it.
#[derive(Debug, clap::Args)]
pub(crate) struct Key {
    /// Public key of the log
    key: SignPublicKey,
    #[command(flatten)]
    reach: Reach,
}

/// Publish a signed entry, in CBOR, from stdin
#[derive(Debug, clap::Args)]
pub(crate) struct SendRawWords {
    #[command(flatten)]
    reach: Reach,
}

/// Runs the command.
///
/// # Errors
/// No peer answers; the log has no value; for sending also: no secret key, too much data, a bad signature.
pub(crate) fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    match words {
        Words::Get(words) => get(words, voice),
        Words::Fetch(words) => Daemon::reach(&words.reach)?.ask::<Fetch>(&words.key),
        Words::Send(words) => send(words, voice),
        Words::SendRaw(words) => send_raw(words, voice),
        Words::Cat(words) => cat(words, voice),
    }
}

fn get(words: &Key, voice: &mut Voice) -> Result<(), Failure> {
    voice.line(root(&Daemon::reach(&words.reach)?, words.key)?)?;
    Ok(())
}

fn root(daemon: &Daemon, key: SignPublicKey) -> Result<Hash, Failure> {
    daemon.ask::<Get>(&key)?.ok_or(Failure::NoReflog { key })
}

fn send(words: &Key, voice: &mut Voice) -> Result<(), Failure> {
    let daemon = Daemon::reach(&words.reach)?;
    let secret = keys::secret(&words.key, voice.talk())?;
    let data = Input::open(None, voice)?.all(PAYLOAD_BYTES_MAX)?;
    let update = sign(&secret, data)?;
    daemon.ask::<Post>(&update)?;
    voice.talk().detail(format_args!("published entry {}", update.id()));
    Ok(())
}

/// A new entry with this data.
///
/// # Errors
/// The system has no random bytes to give.
pub(crate) fn sign(secret: &SignSecretKey, data: Vec<u8>) -> Result<ReflogUpdate, Failure> {
    let mut nonce = [0; 24];
    getrandom::fill(&mut nonce).map_err(Failure::Random)?;
    Ok(ReflogUpdate::sign(secret, nonce, Bytes::from(data)))
}

fn send_raw(words: &SendRawWords, voice: &mut Voice) -> Result<(), Failure> {
    let daemon = Daemon::reach(&words.reach)?;
    let bytes = Input::open(None, voice)?.all(PAYLOAD_BYTES_MAX + ENVELOPE_BYTES_MAX)?;
    let update = ReflogUpdate::from_bytes(&bytes).map_err(Failure::Entry)?;
    update.verify()?;
    daemon.ask::<Post>(&update)?;
    voice.talk().detail(format_args!("published entry {}", update.id()));
    Ok(())
}

fn cat(words: &Key, voice: &mut Voice) -> Result<(), Failure> {
    let daemon = Daemon::reach(&words.reach)?;
    let root = root(&daemon, words.key)?;
    entries(&Blocks::behind(daemon), root, &words.key, |entry| Ok(voice.out().write_all(entry.data())?))
}

/// Gives the entries of a log in the tree `root` to `take`, in the order of the log. Blocks that are no entry of this
/// log, or not signed well, are left out: a tree may list anything.
///
/// # Errors
/// A block is missing, or `take` fails.
pub(crate) fn entries<E: From<Failure>>(
    blocks: &Blocks,
    root: Hash,
    key: &SignPublicKey,
    mut take: impl FnMut(ReflogUpdate) -> Result<(), E>,
) -> Result<(), E> {
    blocks.each_listed(root, |_, block| {
        let entry = ReflogUpdate::from_bytes(&block).ok();
        match entry.filter(|entry| entry.key() == key && entry.verify().is_ok()) {
            Some(entry) => take(entry),
            None => Ok(()),
        }
    })
}
