//! The methods of the daemon, one unit struct each, grouped by service (spec: wire 1.6).
//!
//! The services [`peer`], [`storage`], [`reflog`], [`lwwref`], [`refchan`] and [`mailbox`] are the original's, with
//! its ids, indexes and CBOR types; [`node`] is our own and has what lets a client move much data and wait for events without
//! asking again and again; [`overview`] is its answer to "what are you doing". An index is never given away twice: it is a promise to older programs.
//!
//! A method is called as `client.call::<api::storage::GetBlock>(&hash, timeout)` and served by
//! `router.on::<api::storage::GetBlock>(…)`.

use crate::value::Value;

pub mod lwwref;
pub mod mailbox;
pub mod node;
pub mod overview;
pub mod peer;
pub mod refchan;
pub mod reflog;
pub mod storage;

/// One method of a service.
pub trait Method: 'static {
    /// Protocol id of the service.
    const SERVICE: u64;
    /// Place of the method in the service.
    const INDEX: u64;
    /// Name for people, `service.method`.
    const NAME: &'static str;
    /// The most bytes an output takes on the socket, within reason. The server sets aside that much of a
    /// connection's budget before it starts the call.
    const OUTPUT_BYTES_MAX: usize;
    /// What goes in.
    type Input: Value + Send + 'static;
    /// What comes out.
    type Output: Value + Send + 'static;
}

/// Room for an output that is a number, a hash or a short text, in bytes.
pub(crate) const SMALL_OUTPUT_BYTES: usize = 4 * 1024;

/// Room for an output that is a list of peers, polls or lines, in bytes: some thousand rows of 100 bytes.
pub(crate) const LIST_OUTPUT_BYTES: usize = 1024 * 1024;

/// Room for an output that is one block, in bytes: the block and its envelope.
pub(crate) const BLOCK_OUTPUT_BYTES: usize = hbs2_core::limits::BLOCK_BYTES_MAX + 128;

/// Whether a service id is one of ours, whose replies may carry the reason of a failure as text. The original
/// has no place for one: see [`frame::Fault`](crate::frame::Fault).
#[must_use]
pub const fn is_own(service: u64) -> bool {
    service >> 32 == OWN_SERVICES
}

/// Ids of the original's notifications, of refchans and of reflogs. How their events are encoded is not known, so nobody
/// serves them; what clients of the original send there is read over, because they use the same connection for calls.
/// Ours wait with [`node::WaitEvents`].
pub const NOTIFICATION_SERVICES: [u64; 2] = [0x20e1_4bfa_0ca1_db8e, 0x065a_9ece_2a18_2216];

/// Upper half of our own service ids: `HBS2` with the high bit pattern of ASCII, which no id of the original has.
const OWN_SERVICES: u64 = 0x4842_5332;

/// Defines the methods of one service.
macro_rules! methods {
    ($service:literal $id:ident: $($(#[$doc:meta])* $index:literal $name:ident $text:literal ($input:ty) -> $output:ty, $room:expr;)+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub struct $name;

            impl $crate::api::Method for $name {
                const SERVICE: u64 = $id;
                const INDEX: u64 = $index;
                const NAME: &'static str = concat!($service, ".", $text);
                const OUTPUT_BYTES_MAX: usize = $room;
                type Input = $input;
                type Output = $output;
            }
        )+
    };
}
pub(crate) use methods;
