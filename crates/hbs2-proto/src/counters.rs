//! What was counted: for status pages, and so that nothing is dropped in silence.

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)*) => {
        /// Counts since the node was made.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[doc = $doc])+ pub $name: u64,)*
        }

        impl Counters {
            /// Name and count of each, in a fixed order.
            #[must_use]
            pub fn lines(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name)),*]
            }

            /// Name and meaning of each, in the same order.
            #[must_use]
            pub fn meanings() -> Vec<(&'static str, &'static str)> {
                vec![$((stringify!($name), concat!($($doc),+).trim_ascii())),*]
            }
        }
    };
}

counters! {
    /// Packets that came.
    packets_received,
    /// Packets handed to the driver.
    packets_sent,
    /// Bytes of packets that came.
    bytes_received,
    /// Bytes of packets handed to the driver.
    bytes_sent,
    /// Packets dropped because too much waits on their link, or on all links.
    packets_dropped,
    /// Packets that are greetings of the encryption layer.
    packets_hey,
    /// Greetings sent.
    heys_sent,
    /// Greetings with a bad signature, or of somebody else than the peer.
    heys_bad,
    /// Packets sent sealed.
    packets_sealed,
    /// Packets that came sealed and were opened.
    packets_opened,
    /// Packets that are neither messages nor sealed with a key we have.
    packets_unreadable,
    /// Packets that are no envelope, or whose body is no message.
    packets_malformed,
    /// Packets of protocols that are not spoken.
    packets_unknown,
    /// Messages from peers that are not trusted, of protocols that need trust.
    messages_untrusted,
    /// Messages over an inbound limit.
    messages_limited,
    /// Things that peers should not do; see [`Offence`](crate::Offence).
    offences,
    /// Bans for what peers did.
    bans,
    /// Links closed for what was done before anybody was known to be there.
    strangers_expelled,
    /// Links that came up.
    links_up,
    /// Links that became trusted.
    links_trusted,
    /// Dials that failed.
    dials_failed,
    /// Size questions answered.
    sizes_served,
    /// Blocks served, in whole or part.
    blocks_served,
    /// Blocks served in part without another reading.
    blocks_kept_served,
    /// Bytes of blocks served.
    block_bytes_served,
    /// Requests for chunks refused: size zero, or too many waiting.
    chunks_refused,
    /// Blocks fetched and stored.
    blocks_fetched,
    /// Bytes of blocks fetched and stored.
    block_bytes_fetched,
    /// Blocks that came wrong.
    blocks_rejected,
    /// Blocks that the store failed to write.
    blocks_failed,
    /// Chunks that nobody waited for.
    chunks_unexpected,
    /// Chunks asked for over datagrams that got lost.
    chunks_lost,
    /// Requests for blocks that met their deadline.
    requests_late,
    /// Reflog updates merged.
    updates_merged,
    /// Reflog updates refused: another reflog's.
    updates_foreign,
    /// Reflog updates refused: malformed or badly signed.
    updates_bad,
    /// Proposals of refchans that a quorum has admitted.
    proposals_admitted,
    /// Proposals of refchans that the local validator does not like.
    proposals_rejected,
    /// Messages and deletions put into mailboxes.
    letters_kept,
    /// Messages that the policy of their mailbox does not allow.
    letters_refused,
    /// Messages, deletions and statuses of mailboxes refused: malformed or badly signed.
    letters_bad,
    /// Values of references refused: malformed or badly signed.
    values_bad,
    /// Values of references ignored as not newer.
    values_stale,
    /// Blocks looked for on behalf of other peers.
    blocks_proxied,
    /// Trees not wanted because the table is full.
    wants_refused,
    /// Trees given up because they are larger than what they were to be.
    wants_over,
    /// Announces followed.
    announces_followed,
    /// Announces not followed.
    announces_ignored,
    /// Saved records that could not be read.
    records_unreadable,
    /// Commits that failed.
    commits_failed,
}
