//! The contract over real sockets.

#![allow(clippy::unwrap_used)] // A test that cannot unwrap has failed.

mod bulk;
mod bytes;
mod calls;
mod daemon;
mod hostile;
mod listener;
