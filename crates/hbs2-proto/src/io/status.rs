//! What `Node` tells about itself by `&self` calls: for status pages, progress and answers to "why is it slow".

use std::time::{Duration, Instant};

use hbs2_core::addr::PeerAddr;
use hbs2_core::mailbox::{MailboxKind, PolicySetting};
use hbs2_core::{Hash, SignPublicKey, Signed};

use super::{Keep, LinkId, Origin};
use crate::Offence;

/// Missing hashes shown of a want, at most.
pub const MISSING_SHOWN_MAX: usize = 16;

/// A linked and trusted peer; see [`Node::peers`](crate::Node::peers).
#[derive(Debug, Clone)]
pub struct PeerStatus {
    /// Its link.
    pub link: LinkId,
    /// Its key.
    pub key: SignPublicKey,
    /// Its address as the socket sees it.
    pub remote: PeerAddr,
    /// Who opened the connection.
    pub origin: Origin,
    /// The address it can be dialled at, as far as we have tried.
    pub listens: Option<PeerAddr>,
    /// Whether it is of our own kind.
    pub native: bool,
    /// Whether another link of the same process is used in place of this one.
    pub spare: bool,
    /// Whether what we send to it is sealed.
    pub sealed: bool,
    /// Since when it is trusted.
    pub since: Instant,
    /// Shortest round trip seen lately.
    pub round_trip: Option<Duration>,
    /// Blocks it has delivered.
    pub blocks: u64,
    /// Bytes of blocks it has delivered.
    pub block_bytes: u64,
    /// Bytes of blocks asked of it and not yet delivered.
    pub in_flight_bytes: u64,
    /// Bytes that may be asked of it at a time.
    pub window_bytes: u64,
    /// Blocks it was asked for and did not have.
    pub misses: u64,
    /// Answers of it that were late.
    pub lates: u64,
    /// When something last came from it.
    pub heard: Instant,
    /// What it delivers while it is busy, in bytes per second; as last seen.
    pub rate: u64,
    /// When data of a block last came from it.
    pub progress: Option<Instant>,
    /// What it did wrong.
    pub conduct: ConductStatus,
}

/// What a peer did wrong lately; see [`Node::conduct`](crate::Node::conduct).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConductStatus {
    /// Its key.
    pub key: SignPublicKey,
    /// Points against it now; at a hundred it is banned.
    pub points: u32,
    /// Messages of it that were dropped because there were too many.
    pub dropped: u64,
    /// How often it was banned; one is forgotten for each good day.
    pub bans: u32,
    /// How often it did what, since it is remembered.
    pub offences: Vec<(Offence, u64)>,
    /// How long it is banned for it, from now.
    pub banned: Option<Duration>,
}

impl ConductStatus {
    /// Of a peer against which there is nothing.
    #[must_use]
    pub fn clean(key: SignPublicKey) -> Self {
        Self { key, points: 0, dropped: 0, bans: 0, offences: Vec::new(), banned: None }
    }

    /// Whether there is something to tell.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.points == 0 && self.dropped == 0 && self.bans == 0 && self.offences.is_empty()
    }
}

/// Who wants a peer to be away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BanSource {
    /// The blacklist of the configuration.
    Config,
    /// The owner, by [`Command::Ban`](crate::Command::Ban).
    Owner,
    /// The peer did too much of this.
    Conduct(Offence),
}

/// A ban; see [`Node::bans`](crate::Node::bans).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BanStatus {
    /// Who is banned.
    pub key: SignPublicKey,
    /// By whom.
    pub source: BanSource,
    /// How long from now; `None` for ever.
    pub left: Option<Duration>,
}

/// The head of a refchan that counts; see [`Node::chan_head`](crate::Node::chan_head).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChanHeadStatus {
    /// Root of its tree.
    pub root: Hash,
    /// Its version.
    pub version: u64,
}

/// A mailbox that is kept here; see [`Node::mailboxes`](crate::Node::mailboxes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxInfo {
    /// Whose it is.
    pub key: SignPublicKey,
    /// Its kind.
    pub kind: MailboxKind,
    /// Root of the tree of its entries.
    pub tree: Option<Hash>,
    /// The owner's choice of a policy.
    pub policy: Option<Signed<PolicySetting>>,
    /// Whether that policy is here and in use.
    pub policy_ready: bool,
}

/// What a want is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WantState {
    /// The store is being asked what is absent.
    Walking,
    /// Blocks are asked for and come.
    Fetching,
    /// Everybody has been asked; the missing blocks are asked for again from time to time.
    Waiting,
    /// No peer is linked.
    Alone,
}

/// A want; see [`Node::want`](crate::Node::want).
#[derive(Debug, Clone)]
pub struct WantStatus {
    /// Root of the tree.
    pub root: Hash,
    /// For how long it is kept.
    pub keep: Keep,
    /// What it is doing.
    pub state: WantState,
    /// Since when it is wanted.
    pub since: Instant,
    /// When a block of it last came.
    pub progress: Option<Instant>,
    /// Blocks fetched for it.
    pub blocks: u64,
    /// Bytes of blocks fetched for it.
    pub block_bytes: u64,
    /// What has come for it lately, in bytes per second.
    pub rate: u64,
    /// Blocks known to be missing; more may hide behind them.
    pub missing: usize,
    /// Some of the missing blocks, those that are being asked for first, at most [`MISSING_SHOWN_MAX`].
    pub missing_some: Vec<Hash>,
    /// Peers that have been asked for blocks of it.
    pub asked: Vec<SignPublicKey>,
    /// Peers that have said they have blocks of it, or are delivering some, or have not answered yet.
    pub busy: Vec<SignPublicKey>,
    /// When the first of its missing blocks is asked for again, if all have been asked for in vain.
    pub retry: Option<Instant>,
}
