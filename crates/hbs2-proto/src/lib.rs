//! Everything a node decides, without IO.
//!
//! [`Node`] is a machine: facts go in ([`Input`]), effects come out ([`Output`]), and it says when it wants to be
//! woken. It owns no socket, file, clock, thread or randomness; the time is an argument, and random numbers grow
//! from a seed of 32 bytes. `hbs2-node` drives it with real sockets, the simulator of `hbs2-testkit` with a
//! made-up world; the same facts in the same order give the same effects.
//!
//! It is the control plane only. Block bytes pass through as reference-counted [`bytes::Bytes`]; reading,
//! writing, hashing and the checking of many signatures is work for the driver, whose results come back as facts.
//!
//! [`io`] is the contract with the driver. [`wire`] holds the messages as they stand on the wire, `session` who
//! is linked and who is trusted, `blocks` the serving of blocks, `refs` the references, `brain` who is asked for
//! which block and when.

mod blocks;
mod brain;
mod conduct;
mod counters;
pub mod io;
mod limiter;
mod moment;
mod node;
mod outbox;
mod random;
pub mod refs;
pub mod session;
mod timers;
pub mod wire;

pub use conduct::Offence;
pub use counters::Counters;
pub use io::{
    AnnouncePolicy, Answer, CloseReason, Command, CommandId, Commit, Config, DialFailure, Event, Examined,
    Expected, Found, Input, Keep, LinkId, LogSource, Origin, Output, Poll, PollKind, Refusal, Ticket,
};
pub use node::Node;
