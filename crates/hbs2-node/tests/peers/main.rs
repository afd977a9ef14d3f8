//! Whole daemons in one process: real sockets, real stores, clients as users have them.
#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod alone;
mod carriers;
mod companions;
mod kit;
mod liar;
mod limits;
mod linked;
mod original;
mod refs;
mod scripted;
mod trees;
