//! The local contract: how programs on one machine talk to the daemon over a unix socket (spec: wire 1.6).
//!
//! * [`api`] names every method: its service, its index, what goes in and what comes out;
//! * [`value`] is how inputs and outputs become CBOR, with block bytes shared instead of copied;
//! * [`frame`] is one request or reply on the socket, byte for byte as the original writes it, so that its
//!   programs can use our daemon and ours can use its daemon;
//! * [`client`] is a blocking client: calls are pipelined and every one has a deadline; [`bulk`] moves many
//!   blocks with it;
//! * [`server`] is the daemon's side, on tokio, with a bound on everything a client can make it hold;
//! * [`path`] says where the socket is.
//!
//! The socket file's mode (0600) is the whole access control: who can open it is the user who runs the daemon.

pub mod api;
pub mod bulk;
pub mod client;
pub mod frame;
pub mod path;
pub mod server;
pub mod value;

pub use client::{Client, ClientError, Pending};
pub use frame::Fault;
pub use server::{Listener, Router, serve};
