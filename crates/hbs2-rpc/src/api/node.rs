//! Our own service: much data in one call, and waits instead of questions.
//!
//! *Bulk.* [`PutMany`] and [`GetMany`] move up to [`BULK_BLOCKS_MAX`] blocks and [`BULK_BYTES_MAX`] bytes;
//! several such calls may be under way at once. [`StageMany`] followed by one [`Sync`] stores a large file at
//! the speed of the disk instead of waiting for it at each call.
//!
//! *Waits.* [`WaitTree`], [`WaitRef`], [`WaitPeers`] and [`WaitEvents`] answer when something happened or when
//! their own time is over, whichever comes first; a client that wants to wait longer asks again with what it
//! saw last, so nothing that happens between two calls is lost. The client's deadline for such a call must be
//! longer than the time it asks the daemon to wait.
//!
//! A failure of this service carries its reason as text ([`Fault::Failed`](crate::frame::Fault::Failed)).

use bytes::Bytes;
use hbs2_core::addr::PeerAddr;
use hbs2_core::cbor::{DecodeError, Decoder};
use hbs2_core::refkey::RefKind;
use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::{Hash, SignPublicKey};

use super::overview::Overview;
use super::{LIST_OUTPUT_BYTES, SMALL_OUTPUT_BYTES, methods};
use crate::value::{Value, Writer, record};

/// Id of the service: `HBS2`, then `S`, and the number of this contract.
pub const ID: u64 = 0x4842_5332_5253_0001;

/// Blocks in one bulk call, at most: 64 chunks of 256 KiB are 16 MiB.
pub const BULK_BLOCKS_MAX: usize = 64;

/// Bytes of blocks in one bulk call, at most: the 64 chunks above and their tree blocks, or one block of the
/// largest size with company. With its envelope it stays below
/// [`FRAME_BYTES_MAX`](crate::frame::FRAME_BYTES_MAX).
pub const BULK_BYTES_MAX: usize = 20 * 1024 * 1024;

/// Hashes in one [`StatMany`], at most: about 150 KiB.
pub const STAT_HASHES_MAX: usize = 4096;

/// Hashes in one answer of [`Leaves`], at most: about 4 MB; the next call skips as many.
pub const LEAVES_MAX: usize = 100_000;

/// Hashes in one answer of [`ListBlocks`], at most: about 4 MB; the next call begins after the last of them.
pub const LIST_HASHES_MAX: usize = 100_000;

/// Roots in one [`WaitTree`], at most: the transactions of one leaf of a log, many times over.
pub const WAIT_ROOTS_MAX: usize = 4096;

/// Missing hashes that a [`TreeStatus`] names, at most: enough to say what one waits for.
pub const MISSING_SAMPLE_MAX: usize = 16;

/// Entries in one [`PostMany`], at most. A push of a gigabyte has about 256 segments.
pub const POST_UPDATES_MAX: usize = 4096;

/// Bytes of one [`Events`], at most: the longest notice of a refchan, which fits a packet of 1 MiB, and as much again
/// for the events before it.
pub const EVENTS_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Longest time the daemon waits in one call, in milliseconds; a longer wish is cut to this. A call that
/// outlives its client is noticed when the connection closes, so this only bounds mistakes.
pub const WAIT_MS_MAX: u64 = 10 * 60 * 1000;

methods! { "node" ID:
    /// Stores blocks; answers their names when all are on stable storage.
    0 PutMany "put-many" (Vec<Bytes>) -> Vec<Hash>, SMALL_OUTPUT_BYTES;
    /// Blocks by name, in order; none for a block we do not have. The answer may be shorter than the question
    /// when the next block would exceed [`BULK_BYTES_MAX`]; it has one entry at least.
    1 GetMany "get-many" (Vec<Hash>) -> Vec<Option<Bytes>>, BULK_BYTES_MAX + SMALL_OUTPUT_BYTES;
    /// Sizes of blocks in bytes, in order; none for a block we do not have.
    2 StatMany "stat-many" (Vec<Hash>) -> Vec<Option<u64>>, SMALL_OUTPUT_BYTES + 10 * STAT_HASHES_MAX;
    /// Fetches trees and waits until they are complete.
    3 WaitTree "wait-tree" (TreeWait) -> TreeStatus, SMALL_OUTPUT_BYTES;
    /// Waits until a reference differs from what the caller saw last; answers the value it has then.
    4 WaitRef "wait-ref" (RefWait) -> Option<Hash>, SMALL_OUTPUT_BYTES;
    /// Asks the neighbours for a reference now; answers at once.
    5 FetchRef "fetch-ref" (RefName) -> (), SMALL_OUTPUT_BYTES;
    /// Leaf entries of a tree in order, as far as its blocks are here.
    6 Leaves "leaves" (LeavesFrom) -> LeavesPage, LEAVES_MAX * LEAF_BYTES + SMALL_OUTPUT_BYTES;
    /// What the daemon is doing, as lines for people.
    7 Status "status" (()) -> Vec<String>, LIST_OUTPUT_BYTES;
    /// Stores blocks; answers their names when they can be read. They are on stable storage within a second,
    /// or when a later [`Sync`] answers.
    8 StageMany "stage-many" (Vec<Bytes>) -> Vec<Hash>, SMALL_OUTPUT_BYTES;
    /// Answers when all that was stored before is on stable storage.
    9 Sync "sync" (()) -> (), SMALL_OUTPUT_BYTES;
    /// Adds entries to one reflog in one step: all are in the log and on stable storage, or none.
    10 PostMany "post-many" (PostEntries) -> Posted, SMALL_OUTPUT_BYTES;
    /// What happened since the caller looked last.
    11 WaitEvents "wait-events" (EventsWait) -> Events, EVENTS_BYTES_MAX;
    /// Waits until so many peers are linked; answers how many are.
    12 WaitPeers "wait-peers" (PeersWait) -> u64, SMALL_OUTPUT_BYTES;
    /// Names of stored blocks in the order of hashes, from the first after the given one; an empty list is the end.
    13 ListBlocks "list-blocks" (Option<Hash>) -> Vec<Hash>, LIST_HASHES_MAX * LEAF_BYTES + SMALL_OUTPUT_BYTES;
    /// Reads the configuration again; answers what has changed, a line each.
    14 Reload "reload" (()) -> Vec<String>, LIST_OUTPUT_BYTES;
    /// What the daemon counts and measures.
    15 Figures "figures" (()) -> Vec<Figure>, LIST_OUTPUT_BYTES;
    /// What the daemon tells about itself to peers that ask: the annotation of protocol 9, as CBOR.
    16 Annotation "annotation" (()) -> Bytes, SMALL_OUTPUT_BYTES;
    /// Lets a peer in no more and ends its links: key, and seconds or none for ever. Answers when that is durable.
    17 Ban "ban" ((SignPublicKey, Option<u64>)) -> (), SMALL_OUTPUT_BYTES;
    /// Lifts the ban of a peer, whether the owner or its conduct has brought it, and forgets what it did. Fails when
    /// there is none.
    18 Unban "unban" (SignPublicKey) -> (), SMALL_OUTPUT_BYTES;
    /// Who is not let in.
    19 Bans "bans" (()) -> Vec<Banned>, LIST_OUTPUT_BYTES;
    /// What peers did wrong, linked or not, as far as it is remembered; those without fault are left out.
    20 Conduct "conduct" (()) -> Vec<PeerConduct>, LIST_OUTPUT_BYTES;
    /// What the daemon is doing: with whom it is linked, what it downloads.
    21 Look "look" (()) -> Overview, LIST_OUTPUT_BYTES;
    /// Asks the neighbours for a refchan now. Answers true as soon as all of them that its head names have told their log
    /// and what is new in it has been taken over; false when that has not come to pass in the given time, in milliseconds,
    /// a minute at most, or when none of them is linked.
    22 AskNews "ask-news" ((SignPublicKey, u64)) -> bool, SMALL_OUTPUT_BYTES;
}

/// Bytes of one hash in an answer.
const LEAF_BYTES: usize = 38;

/// The position in the list of kinds: reflog 0, lwwref 1, anyref 2, refchan head 3, refchan log 4, mailbox 5.
impl Value for RefKind {
    fn write(&self, w: &mut Writer) {
        w.cbor().variant(*self as u64, 0);
    }

    fn read(d: &mut Decoder<'_>, _: &Bytes) -> Result<Self, DecodeError> {
        let kinds = [Self::Reflog, Self::Lww, Self::Any, Self::ChanHead, Self::ChanLog, Self::Mailbox];
        match d.variant()? {
            (tag, 0) => kinds.into_iter().find(|kind| *kind as u64 == tag),
            _ => None,
        }
        .ok_or_else(|| d.error("a kind of reference"))
    }
}

record! {
    /// A reference.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct RefName {
        /// Its kind; the daemon serves reflogs and lwwrefs.
        kind: RefKind,
        /// Its key.
        key: SignPublicKey,
    }
}

record! {
    /// Which trees to fetch and how long to wait.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct TreeWait {
        /// Roots; everything reachable from them is fetched. At most [`WAIT_ROOTS_MAX`].
        roots: Vec<Hash>,
        /// Time after which the status is answered anyway, in milliseconds. With 0 the fetch is started and
        /// the status is answered at once.
        timeout_ms: u64,
        /// None: answer when complete. With the `mark` of an earlier status: answer also when there is
        /// progress since, a few times a second at most.
        seen: Option<u64>,
    }
}

record! {
    /// How far a fetch of trees is.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub struct TreeStatus {
        /// Everything reachable is here.
        complete: bool,
        /// Blocks known to be missing now. More may show when those arrive.
        missing: u64,
        /// Some of them, at most [`MISSING_SAMPLE_MAX`].
        sample: Vec<Hash>,
        /// Blocks fetched since the fetch started.
        blocks: u64,
        /// Their bytes.
        bytes: u64,
        /// Peers that have been asked.
        peers_asked: u64,
        /// Peers that had something.
        peers_gave: u64,
        /// Grows with every change; see [`TreeWait::seen`].
        mark: u64,
    }
}

record! {
    /// Which reference to wait for.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct RefWait {
        /// The reference. The neighbours are asked for it when the wait begins.
        name: RefName,
        /// The value the caller saw last.
        seen: Option<Hash>,
        /// Time after which the value is answered anyway, in milliseconds.
        timeout_ms: u64,
    }
}

record! {
    /// Which leaves of which tree.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct LeavesFrom {
        /// Root of a tree, plain or annotated.
        root: Hash,
        /// Leaves to skip: those the caller has.
        skip: u64,
    }
}

record! {
    /// Some leaves of a tree.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub struct LeavesPage {
        /// The leaf entries, at most [`LEAVES_MAX`].
        hashes: Vec<Hash>,
        /// The tree has more leaves than these.
        more: bool,
        /// The tree block that is not here and where the list therefore ends.
        missing: Option<Hash>,
    }
}

record! {
    /// Entries for one reflog.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct PostEntries {
        /// Signed entries, all of one key; at most [`POST_UPDATES_MAX`].
        updates: Vec<ReflogUpdate>,
        /// Post only when the log is still as the caller saw it.
        guard: Guard,
    }
}

/// A condition on the value of a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// No condition.
    Any,
    /// The value is exactly this.
    Is(Option<Hash>),
}

impl Value for Guard {
    fn write(&self, w: &mut Writer) {
        match self {
            Self::Any => w.cbor().variant(0, 0),
            Self::Is(value) => {
                w.cbor().variant(1, 1);
                value.write(w);
            }
        }
    }

    fn read(d: &mut Decoder<'_>, frame: &Bytes) -> Result<Self, DecodeError> {
        match d.variant()? {
            (0, 0) => Ok(Self::Any),
            (1, 1) => Value::read(d, frame).map(Self::Is),
            _ => Err(d.error("a guard")),
        }
    }
}

/// What became of posted entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    /// They are in the log, whose root is now this.
    Done(Hash),
    /// The guard did not hold: nothing was posted, the value is this.
    Moved(Option<Hash>),
}

impl Value for Posted {
    fn write(&self, w: &mut Writer) {
        match self {
            Self::Done(root) => {
                w.cbor().variant(0, 1);
                root.write(w);
            }
            Self::Moved(value) => {
                w.cbor().variant(1, 1);
                value.write(w);
            }
        }
    }

    fn read(d: &mut Decoder<'_>, frame: &Bytes) -> Result<Self, DecodeError> {
        match d.variant()? {
            (0, 1) => Value::read(d, frame).map(Self::Done),
            (1, 1) => Value::read(d, frame).map(Self::Moved),
            _ => Err(d.error("the outcome of a post")),
        }
    }
}

record! {
    /// Which events to wait for.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct EventsWait {
        /// Cursor of the last answer. None: answer the present cursor at once.
        after: Option<u64>,
        /// Time after which an empty list is answered, in milliseconds.
        timeout_ms: u64,
    }
}

record! {
    /// What happened.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub struct Events {
        /// Where to go on.
        cursor: u64,
        /// The daemon has forgotten some events after the caller's cursor: look at everything again.
        lost: bool,
        /// The events, oldest first.
        events: Vec<Event>,
    }
}

/// Something that happened in the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A reference has a new value.
    Ref(RefName, Hash),
    /// Everything reachable from a root that was wanted is here.
    Tree(Hash),
    /// A peer became known at an address.
    Linked(SignPublicKey, PeerAddr),
    /// A peer is no longer known at an address.
    Lost(SignPublicKey, PeerAddr),
    /// A notice of a refchan has come or was sent here: the channel, and the bytes of the
    /// [`ChanNotice`](hbs2_core::refchan::ChanNotice).
    Notice(SignPublicKey, Bytes),
}

impl Value for Event {
    fn write(&self, w: &mut Writer) {
        match self {
            Self::Ref(name, value) => {
                w.cbor().variant(0, 2);
                name.write(w);
                value.write(w);
            }
            Self::Tree(root) => {
                w.cbor().variant(1, 1);
                root.write(w);
            }
            Self::Linked(key, addr) | Self::Lost(key, addr) => {
                w.cbor().variant(if matches!(self, Self::Linked(..)) { 2 } else { 3 }, 2);
                key.write(w);
                addr.write(w);
            }
            Self::Notice(chan, notice) => {
                w.cbor().variant(4, 2);
                chan.write(w);
                notice.write(w);
            }
        }
    }

    fn read(d: &mut Decoder<'_>, frame: &Bytes) -> Result<Self, DecodeError> {
        match d.variant()? {
            (0, 2) => Ok(Self::Ref(Value::read(d, frame)?, Value::read(d, frame)?)),
            (1, 1) => Value::read(d, frame).map(Self::Tree),
            (2, 2) => Ok(Self::Linked(Value::read(d, frame)?, Value::read(d, frame)?)),
            (3, 2) => Ok(Self::Lost(Value::read(d, frame)?, Value::read(d, frame)?)),
            (4, 2) => Ok(Self::Notice(Value::read(d, frame)?, Value::read(d, frame)?)),
            _ => Err(d.error("an event")),
        }
    }
}

record! {
    /// A peer that is not let in.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Banned {
        /// Its key.
        key: SignPublicKey,
        /// Who or what brought the ban, for people: `blacklist`, `by hand`, or what the peer did, such as `floods`.
        reason: String,
        /// How long from now; none for ever.
        seconds_left: Option<u64>,
    }
}

record! {
    /// What a peer did wrong.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct PeerConduct {
        /// Its key.
        key: SignPublicKey,
        /// Points against it now, which fade; at a hundred it is banned for a while.
        points: u64,
        /// Messages of it that were dropped because there were too many.
        dropped: u64,
        /// How often it was banned lately.
        bans: u64,
        /// How long it is banned now, if it is.
        banned_seconds: Option<u64>,
        /// What it did and how often, for people.
        offences: Vec<(String, u64)>,
    }
}

record! {
    /// How many peers to wait for.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct PeersWait {
        /// Answer when so many are linked.
        count: u64,
        /// Time after which the number is answered anyway, in milliseconds.
        timeout_ms: u64,
    }
}

record! {
    /// One thing that the daemon counts or measures, in the units its name ends in.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Figure {
        /// Its name: lower case words joined by `_`.
        name: String,
        /// What it is, for people.
        meaning: String,
        /// A count since the start of the daemon; false: a measure of now.
        counts: bool,
        /// How much it is.
        value: u64,
    }
}
