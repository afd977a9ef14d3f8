//! Real sockets on both sides: a client that speaks HTTP byte by byte, and a scripted peer behind the server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod content;
mod kit;
mod limits;
mod sites;
mod writing;
