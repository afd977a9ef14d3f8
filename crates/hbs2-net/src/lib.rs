//! Frames to and from addresses: the classic carriers, TCP and UDP.
//!
//! A [`Net`] is both of them: it listens, dials and keeps links. Whatever happens arrives as an [`Event`] on one bounded
//! channel; whatever should happen is a call that never waits ([`Net::dial`], [`Net::send`], [`Net::close`]). What a
//! frame means, whom to dial and when to try again is decided elsewhere.
//!
//! Life of a link on TCP ([`tcp`]): connect or accept → cookies are exchanged → the [`registry`] admits one link for
//! each pair of processes → reader and writer run until one of them ends ([`link`]) → [`Event::Closed`]. On UDP
//! ([`udp`]) a link is an address: it begins with the first datagram, either way, and ends when we say so. Beside links
//! there are two ways to hear of others: [`multicast`] on the local network, and [`bootstrap`] domains.
//!
//! Nothing here is unbounded: frames have a cap, each link has a byte limit for what waits to be sent, all
//! links together have one for what was received and not yet taken and for long frames that are still coming, connections
//! are counted in all and by address, and the bytes of a second may be limited ([`Limits`]). A failed
//! accept, dial or write is an event or a log line, never the end of the carrier.

pub mod bootstrap;
pub mod frame;
pub mod multicast;
pub mod tcp;
pub mod udp;

mod link;
mod net;
mod outgoing;
mod places;
mod pool;
mod queue;
mod rate;
mod registry;

pub use link::{CloseReason, Received};
pub use net::{Limits, Listen, Net};
pub use outgoing::Outgoing;
pub use queue::{Lane, Refused};
pub use registry::Direction;
pub use tcp::{BindError, DialFailure, Event, LinkId, Options, Tcp};
pub use udp::Udp;
