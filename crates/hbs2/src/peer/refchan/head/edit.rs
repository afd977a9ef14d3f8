//! `hbs2-peer refchan head edit`: the next head of a channel, from the present one.

use hbs2_core::refchan::{HeadEdit, HeadEditError, Member};
use hbs2_core::{EncryptPublicKey, SignPublicKey};

use super::issue;
use crate::daemon::{Daemon, Reach};
use crate::error::Failure;
use crate::keys;
use crate::peer::refchan::read_head;
use crate::voice::{Talk, Voice};

/// Change the head of a channel and publish it; prints its hash
///
/// The head that the peer knows is taken, changed and given the next version. The secret key of the channel is read
/// from the keyring file that hbs2-keyman knows for CHAN. What is changed is said on stderr. When all is as it should
/// be already, nothing is published, and the hash of the present head is printed.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hbs2-peer refchan head edit CHAN --add-peer PEER            a second machine of your own
  hbs2-peer refchan head edit CHAN --add-peer PEER --add-author KEY --add-reader KEY
  hbs2-peer refchan head edit CHAN --remove-peer PEER --remove-author KEY --remove-reader KEY
  hbs2-peer refchan head edit CHAN --add-peer PEER --quorum 2

Where the keys are:
  peer      hbs2-peer poke, on its machine
  others    hbs2 keyring-list FILE: sign-key is that of an author or notifier, pub-key of a reader

Exit status: 0 published, or nothing to change; 1 not.")]
pub(crate) struct Words {
    /// Public key of the channel
    chan: SignPublicKey,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    reach: Reach,
}

/// What is to be different.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Changes, those with a KEY as often as you like")]
struct Changes {
    /// Let a peer bring and accept proposals; the weight has no meaning
    #[arg(long, value_name = "KEY[=WEIGHT]", value_parser = peer)]
    add_peer: Vec<(SignPublicKey, Option<i128>)>,
    /// Let it do so no more
    #[arg(long, value_name = "KEY")]
    remove_peer: Vec<SignPublicKey>,
    /// Let somebody write
    #[arg(long, value_name = "KEY")]
    add_author: Vec<SignPublicKey>,
    /// Let him write no more
    #[arg(long, value_name = "KEY")]
    remove_author: Vec<SignPublicKey>,
    /// Encrypt for this key from now on
    #[arg(long, value_name = "KEY")]
    add_reader: Vec<EncryptPublicKey>,
    /// Encrypt for it no more; what it could read it can read
    #[arg(long, value_name = "KEY")]
    remove_reader: Vec<EncryptPublicKey>,
    /// Let somebody send notices; authors may anyway
    #[arg(long, value_name = "KEY")]
    add_notifier: Vec<SignPublicKey>,
    /// Let him send notices no more
    #[arg(long, value_name = "KEY")]
    remove_notifier: Vec<SignPublicKey>,
    /// Peers that must accept a proposal
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    quorum: Option<u64>,
    /// How long peers wait for that, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    wait: Option<u64>,
}

/// Runs the command.
///
/// # Errors
/// No peer answers; no head is known; no secret key; nothing could be written under the new head.
pub(super) fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let chan = words.chan;
    let daemon = Daemon::reach(&words.reach)?;
    let (root, head) = read_head(&daemon, chan)?;
    let edits = words.changes.edits();
    let (next, made) = head.edited(&edits).map_err(|error| refused(chan, error))?;
    if made.is_empty() {
        tell(&edits, &made, voice.talk());
        let version = head.version;
        voice
            .talk()
            .note(format_args!("nothing to change, the head of refchan {chan} stays at version {version}"));
        voice.line(root)?;
        return Ok(());
    }
    let root = issue(&daemon, &keys::secret(&chan, voice.talk())?, &next)?;
    tell(&edits, &made, voice.talk());
    voice.talk().note(format_args!("published version {} of the head of refchan {chan}", next.version));
    voice.line(root)?;
    Ok(())
}

impl Changes {
    fn edits(&self) -> Vec<HeadEdit> {
        use HeadEdit::{Add, Quorum, Remove, Wait, Weigh};
        let mut edits = Vec::new();
        for (key, weight) in &self.add_peer {
            edits.push(Add(Member::Peer(*key)));
            edits.extend(weight.map(|weight| Weigh(*key, weight)));
        }
        edits.extend(self.remove_peer.iter().map(|key| Remove(Member::Peer(*key))));
        edits.extend(self.add_author.iter().map(|key| Add(Member::Author(*key))));
        edits.extend(self.remove_author.iter().map(|key| Remove(Member::Author(*key))));
        edits.extend(self.add_reader.iter().map(|key| Add(Member::Reader(*key))));
        edits.extend(self.remove_reader.iter().map(|key| Remove(Member::Reader(*key))));
        edits.extend(self.add_notifier.iter().map(|key| Add(Member::Notifier(*key))));
        edits.extend(self.remove_notifier.iter().map(|key| Remove(Member::Notifier(*key))));
        edits.extend(self.quorum.map(Quorum));
        edits.extend(self.wait.map(Wait));
        edits
    }
}

/// A peer, with its weight behind a `=` if it has one.
fn peer(word: &str) -> Result<(SignPublicKey, Option<i128>), String> {
    let (key, weight) = match word.split_once('=') {
        Some((key, weight)) => (key, Some(weight)),
        None => (word, None),
    };
    let key = key.parse::<SignPublicKey>().map_err(|error| error.to_string())?;
    let weight = weight.map(str::parse).transpose();
    Ok((key, weight.map_err(|_| "the weight is no number".to_owned())?))
}

/// Says what became of each edit. One without effect may have a slip in its key.
fn tell(edits: &[HeadEdit], made: &[HeadEdit], talk: &Talk) {
    for edit in edits {
        match (edit, made.contains(edit)) {
            (HeadEdit::Add(member), true) => talk.note(format_args!("added {member}")),
            (HeadEdit::Add(member), false) => talk.note(format_args!("{member} is named already")),
            (HeadEdit::Remove(member), true) => talk.note(format_args!("removed {member}")),
            (HeadEdit::Remove(member), false) => talk.note(format_args!("{member} is not named")),
            (HeadEdit::Weigh(key, weight), true) => talk.note(format_args!("peer {key} weighs {weight}")),
            (HeadEdit::Quorum(quorum), true) => talk.note(format_args!("the quorum is {quorum}")),
            (HeadEdit::Wait(seconds), true) => talk.note(format_args!("the wait is {seconds} s")),
            (HeadEdit::Weigh(..) | HeadEdit::Quorum(_) | HeadEdit::Wait(_), false) => {}
        }
    }
}

fn refused(chan: SignPublicKey, error: HeadEditError) -> Failure {
    let hint = match &error {
        HeadEditError::Both { .. } => "leave one of the two options out".to_owned(),
        HeadEditError::NoPeer => {
            "name another one with --add-peer KEY; that of the running peer: hbs2-peer poke".to_owned()
        }
        HeadEditError::Quorum { peers, .. } => {
            format!("take --quorum {peers} or less, or name more peers with --add-peer KEY")
        }
        HeadEditError::TooMany { .. } => "remove some that are not needed any more".to_owned(),
        HeadEditError::LastVersion { .. } => "make another channel".to_owned(),
    };
    Failure::told(format!("cannot change the head of refchan {chan}")).because(error).hinted(hint)
}
