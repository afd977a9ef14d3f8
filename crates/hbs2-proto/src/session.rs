//! Who is linked, and who is trusted.
//!
//! [`Handshake`] is the life of one link, [`Dialler`] the book of addresses, [`Sessions`] the table of links that
//! joins them. [`Bypass`] is the encryption of the packets. A trusted link belongs to a [`Peer`]; when one process is linked twice, the later link is a *spare*:
//! it is served, but nothing is asked of it as long as the first lives.

mod bypass;
mod dial;
mod discovery;
mod exchange;
mod handshake;
mod table;

pub(crate) use bypass::{Bypass, Opened};
pub use bypass::{Flow, SEAL_BYTES, flow_id};
pub(crate) use dial::{Dialler, Source, is_routable, links_wanted};
pub(crate) use discovery::Discovery;
pub(crate) use exchange::Exchange;
pub(crate) use handshake::{Due, Handshake, Peer, Ponged};
pub(crate) use table::{Link, Sessions, Turn, listen_address, own_meta};

/// Longest wait for the answer of [`Command::Ping`](crate::Command::Ping), in milliseconds. The original waits one
/// second for a linked peer; two leave time to dial.
pub const PING_ANSWER_MILLIS: u64 = 2000;
