//! The daemon as a library: joins the decisions of `hbs2-proto` with sockets, store and clients.
//!
//! * [`config`] reads the configuration, and makes one where there is none;
//! * [`run`](mod@run) is a daemon from its start to its end;
//! * `driver` is the one task that owns the machine: facts in, effects out;
//! * `workers` are the threads that read, write and hash;
//! * `serve` answers the clients on the socket, `events` wakes those who wait;
//! * `companions` are local programs that judge and watch refchans;
//! * [`log`] is what the daemon says on stderr.
//!
//! Nothing is decided here. Whom to dial, what to fetch and what to believe is the machine's business; this crate
//! tells it what happens and does what it says.

mod companions;
pub mod config;
mod driver;
mod events;
pub mod log;
mod places;
mod polls;
mod queue;
mod reload;
pub mod run;
mod serve;
mod workers;

pub use places::Places;
pub use run::{About, Daemon, HttpDoor, Options, RunError, run};
