//! HTTP for a daemon: blocks, trees, sites and references out, on request blocks and reflog entries in, and what a
//! monitor wants to know (spec: cli 4.6).
//!
//! * [`Server`] takes connections, with a limit on everything that one client can hold;
//! * `routes` are the requests there are, `write` the two that change something, `metrics` the one for monitors;
//! * `site` reads the metadata of a tree: what it is, and which other trees are its parts;
//! * `content` reads a tree in its order, a few blocks at a time, and only while the client takes them;
//! * `conditions` decides what a request with an entity tag or a range gets;
//! * `link` asks the daemon.
//!
//! It is one more client of the daemon: whatever it tells, it has asked over the local socket. It keeps nothing.

mod conditions;
mod content;
mod link;
mod metrics;
mod patient;
mod refusal;
mod routes;
mod server;
mod site;
mod write;

pub use server::{Limits, Options, Server};
