//! What the node tells about itself.

use hbs2_core::addr::PeerAddr;
use hbs2_core::{Hash, Meta, SignPublicKey};

use super::Node;
use crate::io::status::{
    BanSource, BanStatus, ChanHeadStatus, ConductStatus, MailboxInfo, PeerStatus, WantStatus,
};
use crate::moment::unix_seconds;
use crate::session::{Link, own_meta};
use crate::{Config, Counters, LinkId, Poll};

impl Node {
    /// What the node was told when it was made.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What the node tells about itself to peers that ask.
    #[must_use]
    pub fn annotation(&self) -> Meta {
        Meta::Short(own_meta(&self.config).to_text())
    }

    /// Linked and trusted peers, in the order of their links.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.sessions.iter().filter_map(|(id, link)| self.peer_status(id, link)).collect()
    }

    /// The table of polls, in the order in which the rows were added.
    #[must_use]
    pub fn polls(&self) -> Vec<Poll> {
        self.refs.polls().collect()
    }

    /// The head of a refchan that is polled or in use, if it has one.
    #[must_use]
    pub fn chan_head(&self, chan: &SignPublicKey) -> Option<ChanHeadStatus> {
        self.refs.chan_head(chan)
    }

    /// The mailboxes that are kept here, in the order of their keys.
    #[must_use]
    pub fn mailboxes(&self) -> Vec<MailboxInfo> {
        self.refs.mailboxes()
    }

    /// All wants, oldest first.
    #[must_use]
    pub fn wants(&self) -> Vec<WantStatus> {
        self.first_wants(usize::MAX)
    }

    /// The oldest wants, at most so many.
    #[must_use]
    pub fn first_wants(&self, most: usize) -> Vec<WantStatus> {
        self.brain.statuses(self.now).take(most).collect()
    }

    /// How many trees are wanted, and how many of their blocks are known to be missing.
    #[must_use]
    pub fn wanted(&self) -> (usize, usize) {
        self.brain.wanted()
    }

    /// The want of this tree, if it is wanted and not done.
    #[must_use]
    pub fn want(&self, root: &Hash) -> Option<WantStatus> {
        self.brain.status(self.now, root)
    }

    /// What peers did wrong, as far as it is remembered, whether they are linked or not; in the order of their keys.
    #[must_use]
    pub fn conduct(&self) -> Vec<ConductStatus> {
        self.conduct.statuses(self.now)
    }

    /// Who is not let in: by the blacklist, by the owner, for what it did.
    #[must_use]
    pub fn bans(&self) -> Vec<BanStatus> {
        let listed = self.config.blacklist.iter();
        let listed = listed.map(|key| BanStatus { key: *key, source: BanSource::Config, left: None });
        listed.chain(self.conduct.bans(self.now, self.unix_seconds())).collect()
    }

    /// Addresses that others are told of: those that answered a dial.
    #[must_use]
    pub fn exchange_addresses(&self) -> Vec<PeerAddr> {
        self.dialler.answering().map(|(address, _)| address).collect()
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.out.counters
    }

    /// Conversations of which we have the key.
    #[must_use]
    pub fn flows(&self) -> usize {
        self.bypass.flows()
    }

    /// Length of the longest packet that was sent sealed or came sealed, in bytes.
    #[must_use]
    pub fn sealed_bytes_longest(&self) -> usize {
        self.out.sealed_longest()
    }

    /// Bytes of blocks that are asked for, partly here, or with the driver.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.brain.held_bytes()
    }

    /// Bytes of packets that the driver has not reported as sent.
    #[must_use]
    pub fn unsent_bytes(&self) -> usize {
        self.out.unsent_total()
    }

    pub(super) fn unix_seconds(&self) -> Option<u64> {
        unix_seconds(self.now, self.clock.or(self.config.clock))
    }

    fn peer_status(&self, id: LinkId, link: &Link) -> Option<PeerStatus> {
        let peer = link.peer()?;
        let source = self.brain.source(id);
        Some(PeerStatus {
            link: id,
            key: peer.key,
            remote: link.remote,
            origin: link.origin,
            listens: self.dialler.address_of(id),
            native: link.native,
            spare: link.spare,
            sealed: self.bypass.is_sealed(id),
            since: peer.since,
            round_trip: link.round_trip,
            blocks: source.map_or(0, |source| source.blocks),
            block_bytes: source.map_or(0, |source| source.block_bytes),
            in_flight_bytes: source.map_or(0, |source| source.in_flight),
            window_bytes: source.map_or(0, |source| source.window()),
            misses: source.map_or(0, |source| source.misses),
            lates: source.map_or(0, |source| source.lates),
            heard: link.heard_at(),
            rate: source.map_or(0, |source| source.rate_seen()),
            progress: source.and_then(|source| source.progress),
            conduct: self.conduct.status(self.now, &peer.key),
        })
    }
}
