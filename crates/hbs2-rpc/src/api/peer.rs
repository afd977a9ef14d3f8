//! Service Peer: the daemon itself, its neighbours, polls and downloads.

use bytes::Bytes;
use hbs2_core::addr::PeerAddr;
use hbs2_core::cbor::{DecodeError, Decoder};
use hbs2_core::{Hash, SignPublicKey};

use super::{LIST_OUTPUT_BYTES, SMALL_OUTPUT_BYTES, methods};
use crate::value::{Value, Writer, record};

/// Id of the service.
pub const ID: u64 = 0xDA23_7461_0000;

/// One row of the poll list: reference key, type (`reflog`, `lwwref`, `refchan`), interval in minutes.
pub type Poll = (SignPublicKey, String, u64);

methods! { "peer" ID:
    /// Attributes of the daemon, one `name: value` a line.
    0 Poke "poke" (()) -> String, SMALL_OUTPUT_BYTES;
    /// Whether a peer answers at an address; waits about one second.
    1 Ping "ping" (PeerAddr) -> bool, SMALL_OUTPUT_BYTES;
    /// Tells the neighbours that we have a block.
    2 Announce "announce" (Hash) -> (), SMALL_OUTPUT_BYTES;
    /// Starts to download a block and all it refers to; answers at once.
    3 Fetch "fetch" (Hash) -> (), SMALL_OUTPUT_BYTES;
    /// Known peers.
    4 Peers "peers" (()) -> Vec<(SignPublicKey, PeerAddr)>, LIST_OUTPUT_BYTES;
    /// Addresses learnt from neighbours.
    5 PexInfo "pexinfo" (()) -> Vec<PeerAddr>, LIST_OUTPUT_BYTES;
    /// Switches a kind of log messages.
    6 LogLevel "log-level" (SetLogging) -> (), SMALL_OUTPUT_BYTES;
    /// Stops the daemon.
    7 Die "die" (()) -> (), SMALL_OUTPUT_BYTES;
    /// References that are polled, in the order in which they were added.
    8 PollList "poll-list" (()) -> Vec<Poll>, LIST_OUTPUT_BYTES;
    /// Polls a reference from now on; a row that is there gets the new interval.
    9 PollAdd "poll-add" (Poll) -> (), SMALL_OUTPUT_BYTES;
    /// Stops polling every type of reference of a key.
    10 PollDel "poll-del" (SignPublicKey) -> (), SMALL_OUTPUT_BYTES;
    /// Downloads under way: root and start in seconds since 1970.
    11 DownloadList "download-list" (()) -> Vec<(Hash, u64)>, LIST_OUTPUT_BYTES;
    /// Gives a download up.
    12 DownloadDel "download-del" (Hash) -> (), SMALL_OUTPUT_BYTES;
    /// Counters of the packet layer.
    13 BypassInfo "bypass-info" (()) -> BypassStat, SMALL_OUTPUT_BYTES;
    /// Gives memory that is not in use back to the system.
    14 PerformGc "gc" (()) -> (), SMALL_OUTPUT_BYTES;
    /// As `PollList`, one type only when given, and a page `(offset, limit)` of it when given.
    15 PollList2 "poll-list2" ((Option<String>, Option<(u64, u64)>)) -> Vec<Poll>, LIST_OUTPUT_BYTES;
    /// What is counted and measured, in the order of the names.
    16 GetProbes "get-probes" (()) -> Vec<Probe>, LIST_OUTPUT_BYTES;
    /// Runs a script of peer commands and answers what it printed.
    17 RunScript "run-script" (String) -> String, LIST_OUTPUT_BYTES;
}

/// Which log messages to switch on or off. Two constructors with a boolean each; that debug is the first of
/// them has not been seen on a live socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetLogging {
    /// Debug messages on or off.
    Debug(bool),
    /// Trace messages on or off.
    Trace(bool),
}

impl Value for SetLogging {
    fn write(&self, w: &mut Writer) {
        let (tag, on) = match *self {
            Self::Debug(on) => (0, on),
            Self::Trace(on) => (1, on),
        };
        w.cbor().variant(tag, 1);
        w.cbor().bool(on);
    }

    fn read(d: &mut Decoder<'_>, _: &Bytes) -> Result<Self, DecodeError> {
        match d.variant()? {
            (0, 1) => d.bool().map(Self::Debug),
            (1, 1) => d.bool().map(Self::Trace),
            _ => Err(d.error("a log switch")),
        }
    }
}

record! {
    /// One measured value. That it is a record of a text and an integer has not been seen on a live socket.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Probe {
        /// What was measured, such as `Download.wip`.
        name: String,
        /// How much or how many.
        value: u64,
    }
}

record! {
    /// Counters of the packet layer since the start.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    pub struct BypassStat {
        /// Packets passed in clear.
        bypassed: u64,
        /// Packets sent encrypted.
        encrypted: u64,
        /// Packets decrypted.
        decrypted: u64,
        /// Packets that did not decrypt.
        decrypt_fails: u64,
        /// Packets sent.
        sent: u64,
        /// Packets received.
        received: u64,
        /// Bytes sent.
        sent_bytes: u64,
        /// Bytes received.
        received_bytes: u64,
        /// Flow keys known.
        flows: u64,
        /// Peers known.
        peers: u64,
        /// Handshakes with a bad signature.
        auth_fails: u64,
        /// Longest packet, in bytes.
        packet_bytes_longest: u64,
    }
}
