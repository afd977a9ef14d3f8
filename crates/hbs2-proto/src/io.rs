//! What goes into the machine and what comes out: the whole contract with its driver.
//!
//! The driver
//!
//! 1. makes a [`Node`](crate::Node) from a [`Config`], hands it the saved records ([`Input::Record`]) and then
//!    [`Input::Start`];
//! 2. calls `node.handle(now, input)` for each fact, in the order in which the facts happen, and after each call
//!    drains `node.poll()` until it is empty;
//! 3. sends [`Input::Wake`] when `node.next_wakeup()` has come.
//!
//! `now` must never go back. All outputs may be carried out concurrently and in any order, with three exceptions:
//! packets of one link leave in the order of their [`Output::Send`]; an [`Output::Close`] comes after the sends
//! before it; [`Output::Commit`]s are carried out in order. Every output that asks for something carries a
//! [`Ticket`] and is answered exactly once by the input that its text names; answers may come in any order.
//!
//! Facts about the node that a driver shows to its users are read by `&self` calls of `Node`; their types are in
//! [`status`].

mod command;
mod config;
mod memory;
pub mod status;

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;
use hbs2_core::addr::PeerAddr;
use hbs2_core::mailbox::{MailboxEntry, Policy};
use hbs2_core::refchan::VerifiedUpdate;
use hbs2_core::{Hash, SignPublicKey};

pub use command::{Answer, Command, CommandId, Event, Keep, Poll, PollKind, Refusal};
pub use config::{AnnouncePolicy, Config, LINKS_MAX, NoticeRule, PING_INTERVAL_SECONDS, PROBE_WAIT_SECONDS};
pub use memory::{MEMORY_BYTES, MEMORY_BYTES_MIN, Memory};
pub use status::{ChanHeadStatus, MailboxInfo};

use crate::Offence;
use crate::wire::Packet;

/// Name of the record that holds the table of polls.
pub const POLLS_RECORD: &str = "polls";

/// Name of the record that holds the wants that are to outlive a restart.
pub const WANTS_RECORD: &str = "wants";

/// Name of the record that holds the list of mailboxes.
pub const MAILBOXES_RECORD: &str = "mailboxes";

/// Name of the record that holds the bans of the owner.
pub const BANS_RECORD: &str = "bans";

/// The records a driver loads before [`Input::Start`].
pub const RECORDS: [&str; 4] = [POLLS_RECORD, WANTS_RECORD, MAILBOXES_RECORD, BANS_RECORD];

/// Absent hashes that the driver reports in one [`Input::Walked`] or [`Input::BlockStored`], at most. A full data
/// leaf names 1024 chunks and a full node 256 leaves, so honest blocks fit four times over; what does not fit is
/// found by walking again.
pub const MISSING_HASHES_MAX: usize = 4096;

/// Updates in one reflog, at most. A million pushes; their hashes take 32 MiB in memory.
pub const REFLOG_UPDATES_MAX: usize = 1 << 20;

/// Updates that one [`Output::ExamineUpdates`] names, at most. About 50 ms of signature checks on one core.
pub const EXAMINE_UPDATES_MAX: usize = 1024;

/// One connection. The driver numbers connections and never uses a number twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// Joins an output that asks with the input that answers. The machine never uses a number twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Who opened a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// We did, as asked by [`Output::Dial`] for this address.
    Dialled(PeerAddr),
    /// The other side did; its port is most likely not the one it listens on.
    Accepted,
}

/// Why a connection could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialFailure {
    /// Refused, unreachable or too slow.
    Unreachable,
    /// The process at that address is connected to us already, by this link if it is known which: the address is
    /// good, the connection is superfluous.
    Duplicate(Option<LinkId>),
    /// We met ourselves.
    Myself,
}

/// A fact for the machine.
#[derive(Debug, Clone)]
pub enum Input {
    /// A saved record, before [`Input::Start`]. Unreadable values are ignored and counted.
    Record {
        /// One of [`RECORDS`].
        name: String,
        /// Its bytes, as last written by a [`Commit`].
        value: Bytes,
    },
    /// Records are loaded, sockets are open: begin to dial, poll and fetch.
    Start,
    /// The time of `next_wakeup` has come. Harmless at any time.
    Wake,
    /// What the clock on the wall says now. To be told before [`Input::Start`], and again once in a while: it may be
    /// set. Until it is known nothing that needs a date is said.
    Clock {
        /// Seconds since the epoch.
        unix_seconds: u64,
    },
    /// The node is about to end. What is to outlive it and is not saved yet comes as an [`Output::Commit`]; other
    /// outputs need not be carried out any more.
    Stop,
    /// The configuration has changed. Who and where we are stays as it was.
    Reconfigure(Box<Config>),
    /// A request of the node's owner. Answered by one [`Event::Answer`].
    Command(CommandId, Command),

    /// A connection is ready for packets.
    LinkUp {
        /// Its number.
        link: LinkId,
        /// The address of the other side as the socket sees it.
        remote: PeerAddr,
        /// Who opened it.
        origin: Origin,
    },
    /// A connection has ended, for whatever reason, also after [`Output::Close`]. Nothing more comes from it.
    LinkDown {
        /// Which.
        link: LinkId,
    },
    /// An [`Output::Dial`] has failed. A success is a [`Input::LinkUp`] with [`Origin::Dialled`] of that address.
    DialFailed {
        /// As in the output.
        address: PeerAddr,
        /// Why.
        failure: DialFailure,
    },
    /// One frame has come. Keep it a slice of the read buffer: chunk data goes from here to the store uncopied.
    Received {
        /// From which connection.
        link: LinkId,
        /// The payload of the frame.
        packet: Bytes,
    },
    /// A datagram has come from the multicast group.
    Heard {
        /// Who sent it: the address at which it takes datagrams.
        from: SocketAddr,
        /// The datagram.
        packet: Bytes,
    },
    /// Answers [`Output::Lookup`].
    Found {
        /// The addresses, none when the domain could not be asked.
        addresses: Vec<PeerAddr>,
    },
    /// Packets have been handed to the operating system: their bytes no longer wait in the driver's queue. May sum
    /// up several packets. The machine lets only a few MiB wait per link, so this is what keeps data flowing.
    Sent {
        /// On which connection.
        link: LinkId,
        /// Sum of `Packet::len` of the packets, in bytes.
        bytes: usize,
    },

    /// Answers [`Output::StatBlock`].
    BlockStat {
        /// As in the output.
        ticket: Ticket,
        /// Length of the block in bytes, `None` when it is absent.
        bytes: Option<u64>,
    },
    /// Answers [`Output::ReadBlock`].
    BlockRead {
        /// As in the output.
        ticket: Ticket,
        /// The block, `None` when it is absent or corrupt.
        block: Option<Bytes>,
    },
    /// Answers [`Output::Walk`].
    Walked {
        /// As in the output.
        ticket: Ticket,
        /// Absent blocks in the order of the tree, at most [`MISSING_HASHES_MAX`].
        missing: Vec<Hash>,
        /// Whether more may be absent than listed.
        truncated: bool,
    },
    /// Answers [`Output::StoreBlock`]: the block had its hash and is in the store.
    BlockStored {
        /// Which block.
        hash: Hash,
        /// What is absent of the blocks it names, walked through present ones, at most [`MISSING_HASHES_MAX`].
        missing: Vec<Hash>,
        /// Whether more may be absent than listed.
        truncated: bool,
    },
    /// Answers [`Output::StoreBlock`]: the bytes had another hash; nothing was stored.
    BlockRejected {
        /// Which block was meant.
        hash: Hash,
        /// As in the output.
        from: LinkId,
    },
    /// Answers [`Output::StoreBlock`]: the store failed. The block will be fetched again, later.
    BlockFailed {
        /// Which block.
        hash: Hash,
    },
    /// Answers [`Output::ReadLog`].
    LogRead {
        /// As in the output.
        ticket: Ticket,
        /// The root that was read; `None` when the reference does not exist.
        root: Option<Hash>,
        /// The leaf entries in any order, at most [`REFLOG_UPDATES_MAX`].
        leaves: Vec<Hash>,
        /// Whether these are all. False when a block of the tree is absent or malformed, or at the limit.
        complete: bool,
    },
    /// Answers [`Output::ExamineUpdates`].
    UpdatesExamined {
        /// As in the output.
        ticket: Ticket,
        /// What each block turned out to be, in the order asked.
        updates: Vec<(Hash, Examined)>,
    },
    /// Answers [`Output::Examine`].
    BlocksExamined {
        /// As in the output.
        ticket: Ticket,
        /// What each block turned out to be, in the order asked.
        blocks: Vec<(Hash, Found)>,
    },
    /// Answers [`Output::ReadContent`].
    ContentRead {
        /// As in the output.
        ticket: Ticket,
        /// The root, the length of the root block in bytes, and the content. `None` when there is no reference, a
        /// block is absent, or the content is too long.
        read: Option<(Hash, u64, Bytes)>,
    },
    /// Answers [`Output::ReadPolicy`].
    PolicyRead {
        /// As in the output.
        ticket: Ticket,
        /// The policy; `None` when the tree cannot be read or is none.
        policy: Option<Policy>,
    },
    /// Answers [`Output::Validate`].
    Validated {
        /// As in the output.
        ticket: Ticket,
        /// Whether the proposal is good.
        accepted: bool,
    },
    /// Answers [`Output::ReadReference`].
    ReferenceRead {
        /// As in the output.
        ticket: Ticket,
        /// The block the reference points to; `None` when there is no reference or no such block.
        block: Option<Bytes>,
    },
    /// Answers [`Output::Commit`].
    Committed {
        /// As in the output.
        ticket: Ticket,
        /// Whether everything of the commit is on stable storage now. False: the store failed.
        durable: bool,
    },
}

/// What a leaf of somebody's reflog turned out to be; made by [`examine_update`](crate::refs::examine_update).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Examined {
    /// An update of this reflog with a good signature, and the trees that its payload names.
    Valid {
        /// Roots to fetch: target and annotation of the pointer, if the payload is one.
        links: Vec<Hash>,
    },
    /// An update of another reflog.
    Foreign,
    /// Not an update, or its signature is bad.
    Bad,
    /// The block is absent.
    Absent,
}

/// What a block is to be; see [`examine`](crate::refs::examine).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// An update of this refchan.
    ChanUpdate(SignPublicKey),
    /// An entry of a mailbox.
    Entry,
    /// A message for this mailbox.
    Message(SignPublicKey),
    /// A deletion by the owner of this mailbox.
    Deletion(SignPublicKey),
}

/// What a block turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// An update of the refchan with good signatures.
    Update(VerifiedUpdate),
    /// An entry.
    Entry(MailboxEntry),
    /// A message for the mailbox with a good signature.
    Message {
        /// Who wrote it.
        sender: SignPublicKey,
        /// Roots of the attached trees.
        parts: Vec<Hash>,
    },
    /// A deletion with a good signature.
    Deletion {
        /// The message it deletes.
        message: Hash,
    },
    /// Something of the right kind that belongs elsewhere.
    Foreign,
    /// Something else, or badly signed.
    Bad,
    /// The block is absent.
    Absent,
}

/// Which list of updates, or which content, to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogSource {
    /// The tree under the value of this reference (storage key, see [`hbs2_core::refkey`]).
    Reference(Hash),
    /// The tree under this root.
    Tree(Hash),
}

/// Something that must be on stable storage as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// Blocks with their hashes, which the machine has computed: no need to check them.
    pub blocks: Vec<(Hash, Bytes)>,
    /// Records by name.
    pub records: Vec<(&'static str, Bytes)>,
    /// References: storage key and new value.
    pub references: Vec<(Hash, Hash)>,
}

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CloseReason {
    /// The handshake did not end in time.
    Handshake,
    /// Nothing was heard for too long.
    Silent,
    /// The other side is ourselves.
    Myself,
    /// The peer is not allowed here.
    Banned,
    /// It did too much of this, and is banned for a while.
    Misconduct(Offence),
    /// Too many connections.
    Crowded,
    /// The node's owner asked for it.
    Asked,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake => "the handshake did not end in time",
            Self::Silent => "nothing was heard for too long",
            Self::Myself => "it is this peer itself",
            Self::Banned => "it is not allowed here",
            Self::Misconduct(offence) => return write!(f, "it is banned for a while: {offence}"),
            Self::Crowded => "there are too many connections",
            Self::Asked => "as asked",
        })
    }
}

/// An effect that the driver carries out.
#[derive(Debug, Clone)]
pub enum Output {
    /// Queue a packet on a link. Report with [`Input::Sent`] when it has left the queue.
    Send {
        /// On which connection.
        link: LinkId,
        /// The payload of one frame, in parts.
        packet: Packet,
    },
    /// Open a connection. Ends in [`Input::LinkUp`] or [`Input::DialFailed`].
    Dial {
        /// Where to.
        address: PeerAddr,
    },
    /// End a connection after what is queued on it has been tried for at most a moment. [`Input::LinkDown`]
    /// follows.
    Close {
        /// Which.
        link: LinkId,
        /// Why, for the log.
        reason: CloseReason,
    },

    /// Send a datagram to the multicast group.
    Multicast {
        /// The datagram.
        packet: Packet,
    },
    /// Ask a bootstrap domain for addresses → [`Input::Found`].
    Lookup {
        /// The domain.
        domain: String,
    },
    /// How long is this block? → [`Input::BlockStat`].
    StatBlock {
        /// For the answer.
        ticket: Ticket,
        /// Which block.
        hash: Hash,
    },
    /// Read this block → [`Input::BlockRead`].
    ReadBlock {
        /// For the answer.
        ticket: Ticket,
        /// Which block.
        hash: Hash,
    },
    /// What is absent of this tree? → [`Input::Walked`].
    Walk {
        /// For the answer.
        ticket: Ticket,
        /// Where to begin.
        root: Hash,
    },
    /// All chunks of a block have come: check the hash over the parts in order, store it grouped, look for absent
    /// blocks that it names → [`Input::BlockStored`], [`Input::BlockRejected`] or [`Input::BlockFailed`]. At most
    /// one is under way for each hash.
    StoreBlock {
        /// The name the bytes must have.
        hash: Hash,
        /// The bytes, in order.
        parts: Vec<Bytes>,
        /// The connection that delivered, for the answer.
        from: LinkId,
    },
    /// List the updates of a reflog → [`Input::LogRead`].
    ReadLog {
        /// For the answer.
        ticket: Ticket,
        /// Where the list is.
        source: LogSource,
    },
    /// Read these blocks and pass each to [`examine_update`](crate::refs::examine_update) with `key`, on worker
    /// threads → [`Input::UpdatesExamined`].
    ExamineUpdates {
        /// For the answer.
        ticket: Ticket,
        /// The reflog that they are to belong to.
        key: SignPublicKey,
        /// At most [`EXAMINE_UPDATES_MAX`] blocks.
        hashes: Vec<Hash>,
    },
    /// Read these blocks and pass each to [`examine`](crate::refs::examine), on worker threads →
    /// [`Input::BlocksExamined`].
    Examine {
        /// For the answer.
        ticket: Ticket,
        /// What they are to be.
        expected: Expected,
        /// At most [`EXAMINE_UPDATES_MAX`] blocks.
        hashes: Vec<Hash>,
    },
    /// Read the content of a data tree → [`Input::ContentRead`].
    ReadContent {
        /// For the answer.
        ticket: Ticket,
        /// Where the tree is.
        source: LogSource,
        /// Longest content that is of use, in bytes.
        bytes_max: usize,
    },
    /// Read the content of a data tree as the text of a mailbox policy → [`Input::PolicyRead`].
    ReadPolicy {
        /// For the answer.
        ticket: Ticket,
        /// Root of the tree.
        tree: Hash,
    },
    /// Ask the validator of a refchan for its verdict, for a few seconds; accept when none is reached →
    /// [`Input::Validated`].
    Validate {
        /// For the answer.
        ticket: Ticket,
        /// The channel, one of [`Config::validated_chans`].
        chan: SignPublicKey,
        /// The proposal, which is in the store.
        proposal: Hash,
    },
    /// Read the block that a reference points to → [`Input::ReferenceRead`].
    ReadReference {
        /// For the answer.
        ticket: Ticket,
        /// Storage key of the reference.
        key: Hash,
    },
    /// Write blocks, then records, then references, synced → [`Input::Committed`]. Commits happen in order.
    Commit {
        /// For the answer.
        ticket: Ticket,
        /// What to write.
        commit: Commit,
    },
    /// Tell whoever waits for it.
    Event(Event),
}
