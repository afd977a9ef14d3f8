//! `hbs2-peer refchan`: channels that many write.

use bytes::Bytes;
use clap::Subcommand;
use hbs2_core::limits::CHAN_HEAD_BYTES_MAX;
use hbs2_core::tree::walk;
use hbs2_core::{ChanHead, Decode, Hash, SignPublicKey, Signed};
use hbs2_rpc::api::refchan::{Fetch, Get, HeadGet};

use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::store::blocks::Blocks;
use crate::voice::Voice;

pub(crate) mod cat;
mod gk;
pub(crate) mod head;
mod notify;
pub(crate) mod propose;

pub(crate) use propose::propose;

/// Longest payload of a proposal or notice, in bytes: with its envelopes it fits one packet. More belongs into a tree
/// that the payload names.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 512 * 1024;

/// Channels that many write and some admit to
///
/// A refchan is named by the public key of its owner, who signs its head: the authors who may write, the peers who
/// accept what is written, how many of them it takes, and the readers for whom programs encrypt. What a quorum of
/// peers has accepted is in the channel for ever.
#[derive(Debug, Subcommand)]
pub(crate) enum Words {
    #[command(subcommand)]
    Head(head::Words),
    Propose(propose::Words),
    /// Ask other peers for the head and the log of a channel now; returns at once
    Fetch(Chan),
    /// Print the root hash of the log of a channel
    ///
    /// 'hbs2 cat -H ROOT' lists its updates.
    #[command(after_long_help = "Exit status: 0 printed; 1 nothing was admitted to the channel yet.")]
    Get(Chan),
    /// Print the payloads of all proposals in a channel, one after another, in the order of the log
    Cat(Chan),
    /// Print a new group key file for the readers of a channel
    Gk(Chan),
    #[command(subcommand)]
    Notify(notify::Words),
}

// Without a doc comment: it would replace the help of the commands that take it.
#[derive(Debug, clap::Args)]
pub(crate) struct Chan {
    /// Public key of the channel
    chan: SignPublicKey,
    #[command(flatten)]
    reach: Reach,
}

/// Runs the command.
///
/// # Errors
/// No peer answers; those of the command.
pub(crate) fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    match words {
        Words::Head(words) => head::run(words, voice),
        Words::Propose(words) => propose::run(words, voice),
        Words::Fetch(words) => Daemon::reach(&words.reach)?.ask::<Fetch>(&words.chan),
        Words::Get(words) => {
            voice.line(log(&Daemon::reach(&words.reach)?, words.chan)?)?;
            Ok(())
        }
        Words::Cat(words) => cat::run(words, voice),
        Words::Gk(words) => gk::run(words, voice),
        Words::Notify(words) => notify::run(words, voice),
    }
}

/// The root of the log of a channel.
fn log(daemon: &Daemon, chan: SignPublicKey) -> Result<Hash, Failure> {
    daemon.ask::<Get>(&chan)?.ok_or_else(|| {
        let hint = format!("ask other peers for it with: hbs2-peer refchan fetch {chan}");
        Failure::told(format!("no value is known of refchan {chan}")).hinted(hint)
    })
}

/// The root of the tree of the head of a channel.
fn head_root(daemon: &Daemon, chan: SignPublicKey) -> Result<Hash, Failure> {
    daemon.ask::<HeadGet>(&chan)?.ok_or_else(|| {
        let hint = format!("ask other peers for it with: hbs2-peer refchan head fetch {chan}");
        Failure::told(format!("no head is known of refchan {chan}")).hinted(hint)
    })
}

/// The head of a channel, signed by it, and the root of its tree.
pub(crate) fn read_head(daemon: &Daemon, chan: SignPublicKey) -> Result<(Hash, ChanHead), Failure> {
    let root = head_root(daemon, chan)?;
    let (signer, head) = open_head(&head_box(&Blocks::behind(daemon.clone()), root)?, &root.to_string())?;
    if signer != chan {
        return Err(Failure::told(format!("the head {root} is signed by {signer} and not by its channel")));
    }
    Ok((root, head))
}

/// The bytes of the signed box in a tree.
fn head_box(blocks: &Blocks, root: Hash) -> Result<Bytes, Failure> {
    Ok(walk::content(root, CHAN_HEAD_BYTES_MAX, |hash| blocks.get(hash))?.into())
}

/// The head in a signed box, and who signed it. `what` names the box in errors.
fn open_head(bytes: &[u8], what: &str) -> Result<(SignPublicKey, ChanHead), Failure> {
    let opened = Signed::<ChanHead>::from_bytes(bytes)
        .map_err(|error| Failure::told(format!("{what} is no head of a refchan")).because(error))?
        .verify()
        .map_err(|error| Failure::told(format!("cannot believe the head in {what}")).because(error))?;
    Ok((opened.signer, opened.value))
}
