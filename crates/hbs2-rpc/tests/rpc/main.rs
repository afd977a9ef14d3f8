//! The contract over real sockets.

mod bulk;
mod bytes;
mod calls;
mod daemon;
mod hostile;
mod listener;
