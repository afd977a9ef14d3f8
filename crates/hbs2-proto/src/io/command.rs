//! What the node's owner may ask, and what is told about the node's life.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use hbs2_core::addr::PeerAddr;
use hbs2_core::mailbox::MailboxKind;
use hbs2_core::refkey::RefKind;
use hbs2_core::{Hash, SignPublicKey};

use super::{CloseReason, LinkId};
use crate::Offence;

/// Joins a command with its answer. The driver numbers commands as it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// How long a want is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keep {
    /// Until it is done or dropped, also over a restart.
    UntilDone,
    /// Until it is done or dropped, or this process ends.
    ThisRun,
}

/// The kind of a polled reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PollKind {
    /// A reflog.
    Reflog,
    /// A last-writer-wins reference.
    Lwwref,
    /// A reference channel: its head and its log.
    Refchan,
}

impl PollKind {
    /// The word for it in configurations and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reflog => "reflog",
            Self::Lwwref => "lwwref",
            Self::Refchan => "refchan",
        }
    }

    /// The kind of reference in the store that it follows.
    #[must_use]
    pub const fn ref_kind(self) -> RefKind {
        match self {
            Self::Reflog => RefKind::Reflog,
            Self::Lwwref => RefKind::Lww,
            Self::Refchan => RefKind::ChanLog,
        }
    }
}

impl fmt::Display for PollKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no [`PollKind`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is no kind of reference: reflog, lwwref or refchan")]
pub struct PollKindError {
    /// The word.
    pub word: String,
}

impl FromStr for PollKind {
    type Err = PollKindError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [Self::Reflog, Self::Lwwref, Self::Refchan]
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or_else(|| PollKindError { word: word.to_owned() })
    }
}

/// A row of the table of polls. To be in the table is to be subscribed: only polled references are answered,
/// accepted and stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Poll {
    /// The reference.
    pub key: SignPublicKey,
    /// Its kind.
    pub kind: PollKind,
    /// Minutes between questions, at least 1.
    pub minutes: u64,
}

/// A request of the node's owner. Each is answered by one [`Event::Answer`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Fetch the tree under `root`, whatever of it is absent. [`Answer::Done`] means that it is noted;
    /// [`Event::TreeDone`] follows when everything is there, at once if it is there already.
    Want {
        /// The tree, or single block.
        root: Hash,
        /// For how long.
        keep: Keep,
    },
    /// Fetch the tree under `root` from one peer alone, until `limit` is over or the link ends. If it is wanted otherwise
    /// too, everybody is asked. [`Answer::Done`] means that it is noted, as with [`Command::Want`]; [`Refusal::Silent`] that the
    /// link is not used.
    WantFrom {
        /// The tree, or single block.
        root: Hash,
        /// The link with the peer.
        link: LinkId,
        /// For how long.
        limit: Duration,
    },
    /// Forget a [`Command::WantFrom`]; if the tree is wanted otherwise too, that stays. Always [`Answer::Done`].
    UnwantFrom {
        /// As it was wanted.
        root: Hash,
    },
    /// Ask one peer how long a block is. [`Answer::Size`] is what it says; [`Refusal::Silent`] when it is not linked, or
    /// says nothing for 5 seconds.
    AskSize {
        /// The link with the peer.
        link: LinkId,
        /// The block.
        hash: Hash,
    },
    /// Forget a want. Always [`Answer::Done`].
    Unwant {
        /// As it was wanted.
        root: Hash,
    },
    /// Add a row to the table of polls, or change the minutes of the row with this key and kind. The reference is
    /// asked for at once. [`Answer::Done`] comes when the table is saved.
    PollAdd(Poll),
    /// Remove the rows of a key: of one kind, or of all. The subscription ends. [`Answer::Done`] comes when the
    /// table is saved.
    PollDel {
        /// The reference.
        key: SignPublicKey,
        /// Which kind, `None` for all.
        kind: Option<PollKind>,
    },
    /// Publish an update of a reflog: stored, merged, gossiped, whether it is polled here or not.
    /// [`Answer::Posted`] with the new root comes when it is durable.
    PostReflog {
        /// CBOR of a `ReflogUpdate`.
        update: Bytes,
    },
    /// Publish a value of a last-writer-wins reference. [`Answer::Posted`] with the hash of the box comes when it is
    /// durable; [`Refusal::Stale`] when a value with a higher or equal sequence is known.
    PostLwwref {
        /// CBOR of a `Signed<LwwRef>`.
        signed: Bytes,
    },
    /// Ask all peers for a reference now, whether it is polled here or not. [`Answer::Done`] at once.
    FetchRef {
        /// The reference.
        key: SignPublicKey,
        /// Its kind.
        kind: PollKind,
    },
    /// Ask all peers for a refchan as [`Command::FetchRef`] does. [`Answer::Told`] comes when all linked peers that its
    /// head names have told their log and what is new in it has been taken over; or after `wait`, a minute at most.
    AskNews {
        /// The channel.
        chan: SignPublicKey,
        /// How long.
        wait: Duration,
    },
    /// Publish a head of a refchan that is stored as a tree. [`Answer::Posted`] with the root comes when the reference
    /// is durable; [`Refusal::Stale`] when a head with this version or a higher one is known.
    PostChanHead {
        /// Root of the tree of the signed head.
        root: Hash,
    },
    /// Bring a proposal to a refchan. [`Answer::Posted`] with the name of the proposal comes when it is durable; whether
    /// a quorum accepts it shows in the log.
    Propose {
        /// The channel.
        chan: SignPublicKey,
        /// CBOR of a `Signed<Blob>` by the author.
        payload: Bytes,
    },
    /// Send a notice to a refchan. [`Answer::Done`] at once.
    Notify {
        /// The channel.
        chan: SignPublicKey,
        /// CBOR of a `Signed<Blob>` by an author or notifier.
        signed: Bytes,
    },
    /// Keep a mailbox here. [`Answer::Done`] comes when the list of mailboxes is saved.
    MailboxCreate {
        /// Whose.
        key: SignPublicKey,
        /// What for.
        kind: MailboxKind,
    },
    /// Keep a mailbox no more. [`Answer::Done`] comes when the list of mailboxes is saved.
    MailboxDelete {
        /// Whose.
        key: SignPublicKey,
    },
    /// Choose the policy of a mailbox. [`Answer::Posted`] with its tree comes when the choice is saved;
    /// [`Refusal::Stale`] when one with this version or a higher one is known.
    MailboxPolicy {
        /// CBOR of a `Signed<PolicySetting>` by the owner of the mailbox.
        signed: Bytes,
    },
    /// Ask all peers for a mailbox now. [`Answer::Done`] at once.
    MailboxFetch {
        /// Whose.
        key: SignPublicKey,
    },
    /// Send a message: passed on, and kept if a recipient has his mailbox here. [`Answer::Posted`] with the new value
    /// of the mailbox, or [`Answer::Done`] when none is here or its policy does not take it.
    MailboxSend {
        /// CBOR of a `Message`.
        message: Bytes,
    },
    /// Delete messages of a mailbox that is kept here. [`Answer::Posted`] comes when it is durable.
    MailboxErase {
        /// CBOR of a `Signed<Deletion>` by the owner of the mailbox.
        signed: Bytes,
    },
    /// Tell all peers that we have a tree. [`Answer::Done`] at once.
    Announce {
        /// Its root.
        root: Hash,
        /// Length of the root block, in bytes.
        bytes: u64,
    },
    /// Ask whether a peer answers at this address; dials it when it is not linked. [`Answer::Pinged`] comes after
    /// at most [`PING_ANSWER_MILLIS`](crate::session::PING_ANSWER_MILLIS).
    Ping {
        /// Its address.
        address: PeerAddr,
    },
    /// Let a peer in no more, and close its links. [`Answer::Done`] comes when the list of bans is saved.
    Ban {
        /// Its key.
        peer: SignPublicKey,
        /// For how long in seconds by the clock on the wall, also over a restart; `None` for ever.
        seconds: Option<u64>,
    },
    /// Lift the ban of a peer and forget what it did. [`Answer::Done`] comes when the list of bans is saved;
    /// [`Refusal::NotBanned`] when neither the owner nor its conduct has banned it.
    Unban {
        /// Its key.
        peer: SignPublicKey,
    },
    /// Close the links of a peer. It may come back.
    Kick {
        /// Its key.
        peer: SignPublicKey,
    },
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is done, or begun for those that say so.
    Done,
    /// It is published, with the new value of the reference.
    Posted {
        /// Root of the reflog, or hash of the signed box.
        value: Hash,
    },
    /// What a peer says about a block.
    Size {
        /// Its length in bytes; `None` when the peer does not have it.
        bytes: Option<u64>,
    },
    /// Whether the pinged peer has answered.
    Pinged {
        /// True when it has.
        answered: bool,
    },
    /// Whether the peers of a channel have told what they have.
    Told {
        /// True when all have, and it is here. False when somebody is late, or nobody is linked who could.
        all: bool,
    },
    /// It is not done.
    Refused(Refusal),
}

/// Why a command was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The bytes are not what they should be.
    #[error("the value is malformed")]
    Malformed,
    /// The signature is bad.
    #[error("the signature is bad")]
    Signature,
    /// A value with a higher or equal sequence is known.
    #[error("the value is not newer than the known one, which has sequence {known}")]
    Stale {
        /// Sequence of the known value.
        known: u64,
    },
    /// A table is full.
    #[error("the table is full with {entries} entries")]
    Full {
        /// How many it holds.
        entries: usize,
    },
    /// The head of the refchan is not known.
    #[error("the head of the refchan is not known")]
    NoHead,
    /// The head of the refchan does not allow it.
    #[error("the head of the refchan does not allow it")]
    NotAllowed,
    /// A peer was asked and says nothing.
    #[error("the peer does not answer")]
    Silent,
    /// There is no such thing here.
    #[error("it is not kept here")]
    Unknown,
    /// There is no such ban.
    #[error("the peer is not banned here")]
    NotBanned,
    /// The time on the wall is not known.
    #[error("the time is not known, so nothing can be timed")]
    NoClock,
    /// The stored state of the reference is incomplete, so nothing can be added to it.
    #[error("the stored reference cannot be read in full")]
    Unreadable,
    /// The store failed.
    #[error("the store failed")]
    Store,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A command has been answered.
    Answer {
        /// Which.
        command: CommandId,
        /// How.
        answer: Answer,
    },
    /// A tree that was wanted is here in full.
    TreeDone {
        /// Its root.
        root: Hash,
    },
    /// The value of a reference has changed, durably.
    RefChanged {
        /// The reference.
        key: SignPublicKey,
        /// Its kind.
        kind: PollKind,
        /// Its value in the store: root of the reflog, or hash of the signed box.
        value: Hash,
    },
    /// A refchan has a newer head, durably.
    ChanHeadChanged {
        /// The channel.
        chan: SignPublicKey,
        /// Root of the tree of the head.
        root: Hash,
    },
    /// A notice of a refchan has come, or was sent here.
    ChanNotice {
        /// The channel.
        chan: SignPublicKey,
        /// CBOR of the `ChanNotice`.
        notice: Bytes,
    },
    /// The entries of a mailbox have changed, durably.
    MailboxChanged {
        /// Whose.
        mailbox: SignPublicKey,
        /// Root of the tree of its entries.
        root: Hash,
    },
    /// A peer is linked and trusted.
    PeerUp {
        /// By this link.
        link: LinkId,
        /// Its key.
        peer: SignPublicKey,
        /// Its address as the socket sees it.
        address: PeerAddr,
    },
    /// A peer is linked no more.
    PeerDown {
        /// The link that ended.
        link: LinkId,
        /// Its key.
        peer: SignPublicKey,
        /// Why, when we closed it.
        reason: Option<CloseReason>,
    },
    /// A peer delivered bytes that are not the block it was asked for.
    Corrupt {
        /// Its key.
        peer: SignPublicKey,
        /// The block.
        hash: Hash,
    },
    /// A peer is banned for what it did.
    Banned {
        /// Its key.
        peer: SignPublicKey,
        /// What was too much.
        offence: Offence,
        /// For how long, in seconds.
        seconds: u64,
    },
}
