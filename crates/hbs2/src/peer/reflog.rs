//! `hbs2-peer reflog`: grow-only logs of signed entries.

use bytes::Bytes;
use clap::Subcommand;
use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::tree::walk::Leaves;
use hbs2_core::{Decode, Hash, SignPublicKey};
use hbs2_rpc::api::reflog::{Fetch, Get, Post};

use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::input::Input;
use crate::keys;
use crate::store::blocks::{BATCH_BLOCKS, Blocks};
use crate::voice::Voice;

/// Longest payload of one entry, in bytes. An entry travels as one message; data that is longer belongs into a
/// tree that the entry names.
const PAYLOAD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of an entry around its payload, at most: key, nonce, signature and their frames.
const ENVELOPE_BYTES_MAX: usize = 256;

/// Read and extend logs of signed entries
///
/// A reflog is named by a public key. Its owner signs entries; peers that poll it keep all of them, for ever.
#[derive(Debug, clap::Args)]
pub struct Words {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Get(GetWords),
    Fetch(FetchWords),
    Send(SendWords),
    SendRaw(SendRawWords),
    Cat(CatWords),
}

/// Print the root hash of a log
///
/// 'hbs2 cat -H ROOT' lists its entries.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Exit status: 0 printed; 1 this peer has no entry of the log.")]
struct GetWords {
    /// Public key of the log
    key: SignPublicKey,
    #[command(flatten)]
    reach: Reach,
}

/// Ask other peers for the log now; returns at once
#[derive(Debug, clap::Args)]
struct FetchWords {
    /// Public key of the log
    key: SignPublicKey,
    #[command(flatten)]
    reach: Reach,
}

/// Sign stdin as a new entry and publish it
///
/// The secret key is read from the keyring file that hbs2-keyman knows for KEY. An entry holds 4 MiB at most; store
/// more with 'hbs2 store' and send the hash.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  echo hello | hbs2-peer reflog send KEY")]
struct SendWords {
    /// Public key of the log
    key: SignPublicKey,
    #[command(flatten)]
    reach: Reach,
}

/// Publish a signed entry, in CBOR, from stdin
#[derive(Debug, clap::Args)]
struct SendRawWords {
    #[command(flatten)]
    reach: Reach,
}

/// Print the data of all entries, one after another, in the order of the log
#[derive(Debug, clap::Args)]
struct CatWords {
    /// Public key of the log
    key: SignPublicKey,
    #[command(flatten)]
    reach: Reach,
}

/// Runs the command.
///
/// # Errors
/// No peer answers; the log has no value; for sending also: no secret key, too much data, a bad signature.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    match &words.command {
        Command::Get(words) => get(words, voice),
        Command::Fetch(words) => Daemon::reach(&words.reach)?.ask::<Fetch>(&words.key),
        Command::Send(words) => send(words, voice),
        Command::SendRaw(words) => send_raw(words, voice),
        Command::Cat(words) => cat(words, voice),
    }
}

fn get(words: &GetWords, voice: &mut Voice) -> Result<(), Failure> {
    voice.line(root(&Daemon::reach(&words.reach)?, words.key)?)?;
    Ok(())
}

fn root(daemon: &Daemon, key: SignPublicKey) -> Result<Hash, Failure> {
    daemon.ask::<Get>(&key)?.ok_or(Failure::NoReflog { key })
}

fn send(words: &SendWords, voice: &mut Voice) -> Result<(), Failure> {
    let daemon = Daemon::reach(&words.reach)?;
    let secret = keys::secret(&words.key, voice.talk())?;
    let data = Input::open(None, voice)?.all(PAYLOAD_BYTES_MAX)?;
    let mut nonce = [0; 24];
    getrandom::fill(&mut nonce).map_err(Failure::Random)?;
    let update = ReflogUpdate::sign(&secret, nonce, Bytes::from(data));
    daemon.ask::<Post>(&update)?;
    voice.talk().detail(format_args!("published entry {}", update.id()));
    Ok(())
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

/// Entries that are not of this log or not signed well are left out: a tree may list anything.
fn cat(words: &CatWords, voice: &mut Voice) -> Result<(), Failure> {
    let daemon = Daemon::reach(&words.reach)?;
    let root = root(&daemon, words.key)?;
    let blocks = Blocks::behind(daemon);
    for leaf in Leaves::new(root, |hash| blocks.get(hash)) {
        for batch in leaf?.chunks(BATCH_BLOCKS) {
            for (hash, block) in batch.iter().zip(blocks.get_all(batch)?) {
                let block = block.ok_or(Failure::MissedBlock { hash: *hash })?;
                let valid = ReflogUpdate::from_bytes(&block)
                    .ok()
                    .filter(|update| *update.key() == words.key && update.verify().is_ok());
                if let Some(update) = valid {
                    voice.out().write_all(update.data())?;
                }
            }
        }
    }
    Ok(())
}
