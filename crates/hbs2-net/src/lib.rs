//! Frames to and from addresses: the classic TCP carrier.
//!
//! A [`Tcp`] listens, dials and keeps links. Whatever happens arrives as an [`Event`] on one bounded channel;
//! whatever should happen is a call that never waits ([`Tcp::dial`], [`Tcp::send`], [`Tcp::close`]). What a
//! frame means, whom to dial and when to try again is decided elsewhere.
//!
//! Life of a link: connect or accept → cookies are exchanged ([`tcp`]) → the [`registry`] admits one link for
//! each pair of processes → reader and writer run until one of them ends ([`link`]) → [`Event::Closed`].
//!
//! Nothing here is unbounded: frames have a cap, each link has a byte limit for what waits to be sent, all
//! links together have one for what was received and not yet taken, and connections are counted. A failed
//! accept, dial or write is an event or a log line, never the end of the carrier.

pub mod frame;
pub mod tcp;

mod link;
mod pool;
mod queue;
mod registry;

pub use link::{CloseReason, Received};
pub use queue::{Lane, Refused};
pub use registry::Direction;
pub use tcp::{BindError, DialFailure, Event, LinkId, Options, Tcp};
