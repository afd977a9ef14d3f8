//! The messages between peers as they stand on the wire (spec: wire 1.3, 2).
//!
//! One frame carries one *envelope*: `[protocol id, body]`, where the body is the CBOR of one message as a lazy
//! (indefinite) byte string. A definite body is refused and an indefinite outer array too, several chunks and
//! trailing bytes are taken, as the original does. What does not decode is dropped by the receiver without an
//! answer.
//!
//! Chunk data is never copied here: [`Message::decode`] hands out slices of the frame, [`Message::encode`] puts the
//! slice between two small parts of a [`Packet`]. Each protocol has a file of its own.

mod block_announce;
mod block_chunks;
mod block_info;
mod exchange;
mod handshake;
mod hey;
mod lwwref;
mod mailbox;
mod peer_meta;
mod refchan;
mod reflog;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use hbs2_core::cbor::{Decode, DecodeError, Decoder, Encode, Encoder};
use hbs2_core::refchan::{ChanNotice, ChanUpdate};
use hbs2_core::reflog::ReflogUpdate;

use crate::session::{Flow, SEAL_BYTES};

pub use block_announce::{AnnounceMeta, BlockAnnounce};
pub use block_chunks::{BlockChunks, ChunksBody};
pub use block_info::BlockInfo;
pub use exchange::{PEX_ADDRESSES_MAX, PeerExchange};
pub use handshake::{Handshake, NONCE_BYTES, NONCE_BYTES_MAX, PeerAnnounce, PeerData};
pub(crate) use hey::program;
pub use hey::{Greeting, Hey};
pub use lwwref::LwwMessage;
pub use mailbox::MailboxMessage;
pub use peer_meta::{KEY_HTTP_PORT, KEY_LISTEN_TCP, KEY_LISTEN_UDP, KEY_NATIVE, MetaEntries, PeerMeta};
pub use refchan::{ChanHeadMessage, ChanRequest, ChanValidate, Verdict};
pub use reflog::ReflogRequest;

/// Longest packet taken, in bytes. The largest honest one is a chunk of 65535 bytes with its wrapping; mailbox
/// messages of the original may be larger, and a mebibyte leaves room for them.
pub const PACKET_BYTES_MAX: usize = 1024 * 1024;

/// Numbers of the protocols (spec: wire 2.2).
pub mod protocol {
    /// Sizes of blocks.
    pub const BLOCK_INFO: u64 = 1;
    /// Data of blocks.
    pub const BLOCK_CHUNKS: u64 = 2;
    /// "I have this".
    pub const BLOCK_ANNOUNCE: u64 = 3;
    /// Ping and pong.
    pub const HANDSHAKE: u64 = 4;
    /// Multicast discovery.
    pub const PEER_ANNOUNCE: u64 = 5;
    /// Addresses of others.
    pub const PEER_EXCHANGE: u64 = 6;
    /// Gossip of reflog updates.
    pub const REFLOG_UPDATE: u64 = 7;
    /// Values of reflogs.
    pub const REFLOG_REQUEST: u64 = 8;
    /// What a peer tells about itself.
    pub const PEER_META: u64 = 9;
    /// Last-writer-wins references.
    pub const LWWREF: u64 = 12001;
    /// Heads of refchans.
    pub const CHAN_HEAD: u64 = 11001;
    /// Gossip of updates of refchans.
    pub const CHAN_UPDATE: u64 = 11002;
    /// Values of logs of refchans.
    pub const CHAN_REQUEST: u64 = 11003;
    /// Gossip of notices of refchans.
    pub const CHAN_NOTICE: u64 = 11004;
    /// Mailboxes.
    pub const MAILBOX: u64 = 13001;
    /// Questions to a validator of a refchan; on unix sockets only.
    pub const CHAN_VALIDATE_LOCAL: u64 = 0xFFFA_0001;
    /// Notices to and from a local program; on unix sockets only.
    pub const CHAN_NOTICE_LOCAL: u64 = 0xFFFB_0001;
}

/// The payload of one frame, in three parts that are sent one after the other. Only chunks have a second part. A packet
/// that is to be sealed becomes one part when it is taken apart; the work of it is the driver's to place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packet {
    head: Bytes,
    data: Bytes,
    tail: Bytes,
    flow: Option<Arc<Flow>>,
}

impl Packet {
    /// A packet that is no envelope.
    pub(crate) fn raw(bytes: Bytes) -> Self {
        Self { head: bytes, ..Self::default() }
    }

    /// The same packet, to be sealed.
    pub(crate) fn sealed(self, flow: Option<Arc<Flow>>) -> Self {
        Self { flow, ..self }
    }

    /// Length as it leaves, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        let seal = if self.flow.is_some() { SEAL_BYTES } else { 0 };
        self.head.len() + self.data.len() + self.tail.len() + seal
    }

    /// Whether taking it apart costs the work of a seal.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.flow.is_some()
    }

    /// Whether it carries data of a block, which everything else may overtake.
    #[must_use]
    pub fn is_data(&self) -> bool {
        !self.data.is_empty()
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The parts, in order; the last two may be empty.
    #[must_use]
    pub fn into_parts(self) -> [Bytes; 3] {
        let parts = [self.head, self.data, self.tail];
        match self.flow {
            Some(flow) => [flow.seal(&parts), Bytes::new(), Bytes::new()],
            None => parts,
        }
    }

    /// The packet in one piece; copies when there is chunk data or a seal.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let [head, data, tail] = self.clone().into_parts();
        if data.is_empty() && tail.is_empty() {
            return head;
        }
        [head, data, tail].concat().into()
    }
}

/// One message of the protocols of this version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Protocol 1.
    BlockInfo(BlockInfo),
    /// Protocol 2.
    BlockChunks(BlockChunks),
    /// Protocol 3.
    BlockAnnounce(BlockAnnounce),
    /// Protocol 4.
    Handshake(Handshake),
    /// Protocol 5.
    PeerAnnounce(PeerAnnounce),
    /// Protocol 6.
    PeerExchange(PeerExchange),
    /// Protocol 7.
    ReflogUpdate(ReflogUpdate),
    /// Protocol 8.
    ReflogRequest(ReflogRequest),
    /// Protocol 9.
    PeerMeta(PeerMeta),
    /// Protocol 12001.
    Lww(LwwMessage),
    /// Protocol 11001.
    ChanHead(ChanHeadMessage),
    /// Protocol 11002.
    ChanUpdate(ChanUpdate),
    /// Protocol 11003.
    ChanRequest(ChanRequest),
    /// Protocol 11004.
    ChanNotice(ChanNotice),
    /// Protocol 13001.
    Mailbox(MailboxMessage),
}

/// Why a packet is not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Longer than [`PACKET_BYTES_MAX`].
    #[error("packet of {bytes} bytes is over the limit of {PACKET_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A greeting of the encryption layer.
    #[error("packet is a greeting of the encryption layer")]
    Hey {
        /// What it says.
        hey: Box<Hey>,
    },
    /// Not an envelope: noise, or encrypted.
    #[error("packet is not an envelope")]
    Envelope {
        /// Where it went wrong.
        source: DecodeError,
    },
    /// An envelope of a protocol that this version does not speak.
    #[error("protocol {id} is not spoken")]
    Protocol {
        /// Its number.
        id: u64,
    },
    /// The body is not a message of its protocol.
    #[error("body is not a message of protocol {id}")]
    Body {
        /// The protocol.
        id: u64,
        /// Where it went wrong.
        source: DecodeError,
    },
}

impl Message {
    /// Reads one packet. Data of chunks is a slice of `packet`.
    ///
    /// # Errors
    /// The packet is something else; [`WireError`] says what.
    pub fn decode(packet: &Bytes) -> Result<Self, WireError> {
        if packet.len() > PACKET_BYTES_MAX {
            return Err(WireError::TooLong { bytes: packet.len() });
        }
        if let Some(chunk) = BlockChunks::decode_in_place(packet) {
            return Ok(Self::BlockChunks(chunk));
        }
        let (id, body) = open(packet).map_err(|source| match Hey::from_packet(packet) {
            Some(hey) => WireError::Hey { hey: Box::new(hey) },
            None => WireError::Envelope { source },
        })?;
        let d = &mut Decoder::new(&body);
        let message = match id {
            protocol::BLOCK_INFO => BlockInfo::decode(d).map(Self::BlockInfo),
            protocol::BLOCK_CHUNKS => BlockChunks::decode(&body).map(Self::BlockChunks),
            protocol::BLOCK_ANNOUNCE => BlockAnnounce::decode(d).map(Self::BlockAnnounce),
            protocol::HANDSHAKE => Handshake::decode(d).map(Self::Handshake),
            protocol::PEER_ANNOUNCE => PeerAnnounce::decode(d).map(Self::PeerAnnounce),
            protocol::PEER_EXCHANGE => PeerExchange::decode(d).map(Self::PeerExchange),
            protocol::REFLOG_UPDATE => ReflogUpdate::decode(d).map(Self::ReflogUpdate),
            protocol::REFLOG_REQUEST => ReflogRequest::decode(d).map(Self::ReflogRequest),
            protocol::PEER_META => PeerMeta::decode(d).map(Self::PeerMeta),
            protocol::LWWREF => LwwMessage::decode(d).map(Self::Lww),
            protocol::CHAN_HEAD => ChanHeadMessage::decode(d).map(Self::ChanHead),
            protocol::CHAN_UPDATE => ChanUpdate::decode(d).map(Self::ChanUpdate),
            protocol::CHAN_REQUEST => ChanRequest::decode(d).map(Self::ChanRequest),
            protocol::CHAN_NOTICE => ChanNotice::decode(d).map(Self::ChanNotice),
            protocol::MAILBOX => MailboxMessage::decode(d).map(Self::Mailbox),
            id => return Err(WireError::Protocol { id }),
        };
        message.map_err(|source| WireError::Body { id, source })
    }

    /// The packet of this message.
    #[must_use]
    pub fn encode(&self) -> Packet {
        match self {
            Self::BlockInfo(message) => seal(protocol::BLOCK_INFO, &message.to_bytes()),
            Self::BlockChunks(message) => message.seal(),
            Self::BlockAnnounce(message) => seal(protocol::BLOCK_ANNOUNCE, &message.to_bytes()),
            Self::Handshake(message) => seal(protocol::HANDSHAKE, &message.to_bytes()),
            Self::PeerAnnounce(message) => seal(protocol::PEER_ANNOUNCE, &message.to_bytes()),
            Self::PeerExchange(message) => seal(protocol::PEER_EXCHANGE, &message.to_bytes()),
            Self::ReflogUpdate(message) => seal(protocol::REFLOG_UPDATE, &message.to_bytes()),
            Self::ReflogRequest(message) => seal(protocol::REFLOG_REQUEST, &message.to_bytes()),
            Self::PeerMeta(message) => seal(protocol::PEER_META, &message.to_bytes()),
            Self::Lww(message) => seal(protocol::LWWREF, &message.to_bytes()),
            Self::ChanHead(message) => seal(protocol::CHAN_HEAD, &message.to_bytes()),
            Self::ChanUpdate(message) => seal(protocol::CHAN_UPDATE, &message.to_bytes()),
            Self::ChanRequest(message) => seal(protocol::CHAN_REQUEST, &message.to_bytes()),
            Self::ChanNotice(message) => seal(protocol::CHAN_NOTICE, &message.to_bytes()),
            Self::Mailbox(message) => seal(protocol::MAILBOX, &message.to_bytes()),
        }
    }
}

/// The envelope of a message that never leaves the machine: for the helpers of a refchan on unix sockets.
#[must_use]
pub fn seal_local(id: u64, message: &impl Encode) -> Bytes {
    seal(id, &message.to_bytes()).to_bytes()
}

/// Reads the envelope of such a message.
///
/// # Errors
/// It is something else.
pub fn open_local<T: Decode>(id: u64, packet: &Bytes) -> Result<T, WireError> {
    let (found, body) = open(packet).map_err(|source| WireError::Envelope { source })?;
    if found != id {
        return Err(WireError::Protocol { id: found });
    }
    T::from_bytes(&body).map_err(|source| WireError::Body { id, source })
}

/// Protocol number and body of an envelope. The body is a slice of `packet` unless it came in several chunks.
fn open(packet: &Bytes) -> Result<(u64, Bytes), DecodeError> {
    let mut d = Decoder::new(packet);
    d.tuple(2)?;
    let id = d.uint()?;
    Ok((id, shared(packet, d.lazy_bytes()?)))
}

/// The envelope of a body that is short enough to be copied.
fn seal(id: u64, body: &[u8]) -> Packet {
    let mut e = Encoder::with_capacity(body.len() + 16);
    e.array(2);
    e.uint(id);
    e.lazy_bytes(body);
    Packet { head: e.into_bytes().into(), ..Packet::default() }
}

/// `part` as a slice of `whole` when it is one, else as bytes of its own.
fn shared(whole: &Bytes, part: Cow<'_, [u8]>) -> Bytes {
    match part {
        Cow::Borrowed(part) => whole.slice_ref(part),
        Cow::Owned(part) => part.into(),
    }
}

#[cfg(test)]
mod tests;
