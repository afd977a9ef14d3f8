//! What the daemon is doing, in figures: for status pages, metrics and answers to "why is it slow".
//!
//! Times are spans and not moments, so that no clocks are compared.

use bytes::Bytes;
use hbs2_core::addr::PeerAddr;
use hbs2_core::cbor::{DecodeError, Decoder};
use hbs2_core::{Hash, SignPublicKey};

use crate::value::{Value, Writer, record};

/// Downloads in an [`Overview`], at most, those that were wanted first. Each takes about 2 KiB.
pub const DOWNLOADS_SHOWN_MAX: usize = 256;

record! {
    /// All of it.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Overview {
        /// Key of the daemon.
        key: SignPublicKey,
        /// Time since its start, in milliseconds.
        up_ms: u64,
        /// Blocks in the storage.
        blocks: u64,
        /// Bytes that the storage takes on disk.
        disk_bytes: u64,
        /// Blocks that were found damaged and put aside.
        corrupt: u64,
        /// References that are polled.
        polls: u64,
        /// Linked peers.
        peers: Vec<PeerFacts>,
        /// Trees that are wanted, all of them.
        wanted: u64,
        /// The first of them, at most [`DOWNLOADS_SHOWN_MAX`].
        downloads: Vec<Download>,
    }
}

record! {
    /// A link with another peer.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct PeerFacts {
        /// Its key.
        key: SignPublicKey,
        /// Its address as the socket sees it.
        address: PeerAddr,
        /// The address at which it can be dialled, as far as we have tried.
        listens: Option<PeerAddr>,
        /// Whether we have dialled.
        dialled: bool,
        /// Whether what we send is sealed.
        sealed: bool,
        /// Whether it is of our own kind.
        native: bool,
        /// Whether another link to the same peer is used in place of this one.
        spare: bool,
        /// Time since the peer is trusted on this link, in milliseconds.
        up_ms: u64,
        /// Shortest round trip seen lately, in microseconds.
        round_trip_us: Option<u64>,
        /// What it delivers while it is busy, in bytes per second; as last seen.
        rate: u64,
        /// Time since data of a block last came, in milliseconds.
        idle_ms: Option<u64>,
        /// Blocks it has delivered.
        blocks: u64,
        /// Bytes of blocks it has delivered.
        block_bytes: u64,
        /// Bytes of blocks asked of it and not yet here.
        in_flight_bytes: u64,
        /// Bytes that may be asked of it at a time.
        window_bytes: u64,
        /// Points against it now; see [`Conduct`](super::node::Conduct) for what they are for.
        points: u64,
        /// Messages of it that were dropped because there were too many.
        dropped: u64,
    }
}

record! {
    /// A tree that is wanted.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Download {
        /// Its root.
        root: Hash,
        /// What it is doing.
        state: DownloadState,
        /// Whether it is wanted again after a restart.
        kept: bool,
        /// Time since it is wanted, in milliseconds.
        age_ms: u64,
        /// Time since a block last came, in milliseconds.
        idle_ms: Option<u64>,
        /// Blocks that have come.
        blocks: u64,
        /// Their bytes.
        block_bytes: u64,
        /// What has come lately, in bytes per second.
        rate: u64,
        /// Blocks known to be missing; more may hide behind them.
        missing: u64,
        /// Some of them, at most [`MISSING_SAMPLE_MAX`](super::node::MISSING_SAMPLE_MAX).
        sample: Vec<Hash>,
        /// Peers that have been asked, some at least.
        asked: Vec<SignPublicKey>,
        /// Peers whose turn it is: they deliver, or have not answered yet.
        busy: Vec<SignPublicKey>,
        /// Time after which somebody is asked again, when all were asked in vain, in milliseconds.
        retry_ms: Option<u64>,
    }
}

/// What a download is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownloadState {
    /// The store is looked through for what is absent.
    Looking,
    /// Blocks are asked for and come.
    Fetching,
    /// Everybody who could be asked has been, in vain.
    Waiting,
    /// No peer is linked.
    Alone,
}

impl DownloadState {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Looking => "looking",
            Self::Fetching => "fetching",
            Self::Waiting => "waiting",
            Self::Alone => "alone",
        }
    }
}

impl Value for DownloadState {
    fn write(&self, w: &mut Writer) {
        w.cbor().variant(*self as u64, 0);
    }

    fn read(d: &mut Decoder<'_>, _: &Bytes) -> Result<Self, DecodeError> {
        match d.variant()? {
            (0, 0) => Ok(Self::Looking),
            (1, 0) => Ok(Self::Fetching),
            (2, 0) => Ok(Self::Waiting),
            (3, 0) => Ok(Self::Alone),
            _ => Err(d.error("the state of a download")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_of_a_download_crosses() {
        use DownloadState::{Alone, Fetching, Looking, Waiting};
        for state in [Looking, Fetching, Waiting, Alone] {
            assert_eq!(DownloadState::from_frame(&state.to_parts().join()), Ok(state));
        }
    }
}
